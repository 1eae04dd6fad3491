//! What Redis holds, read back into the domain. Anything that means nothing is
//! [`StoreError::Corrupt`], naming the kind of key, the key and what is wrong.

use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr;

use redis::{FromRedisValue, Value};

use super::keys::UserKeys;
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::session::Session;
use crate::domain::session_carried::Carried;
use crate::domain::session_origin::SessionOrigin;
use crate::domain::tokens::Generation;
use crate::domain::user::{Role, SecurityVersion};
use crate::store::error::{StoreError, StoreResult};

pub(super) const SESSION: &str = "session";
pub(super) const SESSIONS: &str = "session set";
pub(super) const DENYLIST: &str = "denylist";
pub(super) const CUTOFF: &str = "cut-off";

/// Stored fields: `None` where there is none.
pub(super) type Fields = Vec<Option<String>>;

/// A hash: its fields by their names.
pub(super) type Hash = HashMap<String, String>;

/// One entry, for saying what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    /// Kind of key.
    pub(super) place: &'static str,
    /// The key.
    pub(super) key: &'a str,
}

impl Entry<'_> {
    /// The error that names this entry.
    pub(super) fn corrupt(&self, problem: impl Into<String>) -> StoreError {
        StoreError::Corrupt { place: self.place, key: self.key.to_owned(), problem: problem.into() }
    }

    /// Reads a field that must be there.
    pub(super) fn read<T: FromStr>(&self, name: &str, field: Option<&str>) -> StoreResult<T> {
        let text = field.ok_or_else(|| self.corrupt(format!("`{name}` is missing")))?;
        text.parse().map_err(|_| self.corrupt(format!("`{name}` is malformed")))
    }

    /// Reads a whole answer as `T`.
    pub(super) fn convert<T: FromRedisValue>(&self, value: Value) -> StoreResult<T> {
        redis::from_redis_value(value).map_err(|_| self.corrupt("is not what was stored"))
    }
}

/// What a script answered: a verdict and, for some, what stands there now.
#[derive(Debug)]
pub(super) struct Answer {
    /// The first word, as the script's header lists it.
    pub(super) verdict: String,
    /// The rest.
    pub(super) fields: Fields,
}

impl Answer {
    /// What stands behind the verdict.
    pub(super) fn field(&self, position: usize) -> Option<&str> {
        self.fields.get(position).and_then(Option::as_deref)
    }

    /// Reads a script's answer; `entry` is what the script is about.
    pub(super) fn read(entry: Entry<'_>, value: Value) -> StoreResult<Self> {
        let mut fields = entry.convert::<Fields>(value)?.into_iter();
        match fields.next().flatten() {
            Some(verdict) => Ok(Self { verdict, fields: fields.collect() }),
            None => Err(entry.corrupt("the script gave no verdict")),
        }
    }
}

/// Where a script says by how many ms a session was ahead of the clock: before its fields. Empty where it was not.
pub(super) const AHEAD: usize = 0;

/// A session that a script answered with, behind a verdict and [`AHEAD`]. Nothing of it is left in the answer.
pub(super) fn answered_session(entry: Entry<'_>, id: SessionId, answer: &mut Answer) -> StoreResult<Session> {
    let mut words = std::mem::take(&mut answer.fields).into_iter().skip(AHEAD + 1);
    let mut fields = Hash::new();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        fields.extend(name.zip(value));
    }
    session(entry, id, &fields)
}

/// A session out of the fields of its hash.
pub(super) fn session(entry: Entry<'_>, id: SessionId, fields: &Hash) -> StoreResult<Session> {
    fn read<T: FromStr>(entry: Entry<'_>, fields: &Hash, name: &str) -> StoreResult<T> {
        entry.read(name, fields.get(name).map(String::as_str))
    }
    let time = |name| read(entry, fields, name).map(Timestamp::from_millis);
    Ok(Session {
        id,
        user: read::<UserId>(entry, fields, "u")?,
        security_version: SecurityVersion::new(read(entry, fields, "v")?),
        carried: carried(entry, fields)?,
        incarnation: read(entry, fields, "b")?,
        generation: Generation::new(read(entry, fields, "g")?),
        created_at: time("c")?,
        rotated_at: time("t")?,
        issued_at: time("n")?,
        idle_deadline: time("i")?,
        absolute_deadline: time("a")?,
    })
}

/// Sees whether a session's hash can be read. Where there is none, nothing hinders.
///
/// # Errors
/// [`StoreError::Corrupt`]: it cannot.
pub(super) fn check_readable(entry: Entry<'_>, id: SessionId, stored: Value) -> StoreResult<()> {
    let fields: Hash = entry.convert(stored)?;
    match fields.is_empty() {
        true => Ok(()),
        false => session(entry, id, &fields).map(drop),
    }
}

/// The format of what a session carries, as the scripts mark it: a session of that format and as it was written is
/// redeemed without a look at it before. To be another one as soon as [`Carried`] writes what a build before refuses
/// to read.
pub const CARRIED_FORMAT: &str = "1";

/// The most bytes that a field of a hash may have for Redis to keep the hash as a list
/// (`hash-max-listpack-value`).
const PIECE_MAX_BYTES: usize = 64;

/// What a session carries, cut in whole characters into the fields that hold it, whose names are their numbers.
pub(super) fn pieces(carried: &str) -> impl Iterator<Item = &str> {
    let mut rest = carried;
    std::iter::from_fn(move || {
        let is_an_end = |end: &usize| rest.is_char_boundary(*end);
        let end = (1..=PIECE_MAX_BYTES.min(rest.len())).rev().find(is_an_end)?;
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        Some(piece)
    })
}

/// The other way round. A piece that is missing leaves a text that is none.
fn carried(entry: Entry<'_>, fields: &Hash) -> StoreResult<Carried> {
    let pieces = (0_usize..).map_while(|number| fields.get(&number.to_string()));
    let text: String = pieces.map(String::as_str).collect();
    if text.is_empty() {
        return carried_before(entry, fields);
    }
    Carried::decode(&text).map_err(|error| entry.corrupt(format!("what it carries {error}")))
}

/// What a session carries that an earlier build has opened: a field each, an empty address or user agent for none,
/// and `1` where the e-mail address was proven.
fn carried_before(entry: Entry<'_>, fields: &Hash) -> StoreResult<Carried> {
    let field = |name: &str| fields.get(name).map(String::as_str);
    let email: String = entry.read("e", field("e"))?;
    let email = Email::parse(&email).map_err(|error| entry.corrupt(format!("`e` {error}")))?;
    let role = entry.read::<Role>("r", field("r"))?;
    let address = match field("p") {
        Some("") => None,
        address => Some(entry.read::<IpAddr>("p", address)?),
    };
    let user_agent = plain(entry, "w", field("w"))?;
    let origin = SessionOrigin::new(address, Some(&user_agent), plain(entry, "k", field("k"))?);
    let email_verified = match field("m") {
        None => false,
        Some("1") => true,
        Some(_) => return Err(entry.corrupt("`m` is malformed")),
    };
    Ok(Carried { email_verified, ..Carried::new(email, role, origin) })
}

/// Text without control characters.
fn plain(entry: Entry<'_>, name: &str, field: Option<&str>) -> StoreResult<String> {
    let text: String = entry.read(name, field)?;
    match text.chars().any(char::is_control) {
        true => Err(entry.corrupt(format!("`{name}` is malformed"))),
        false => Ok(text),
    }
}

/// The first version that counts after the user's last security event.
pub(super) fn first_version(keys: &UserKeys, cutoff: Option<&str>) -> StoreResult<Option<i64>> {
    let read = |version| Entry { place: CUTOFF, key: &keys.cutoff() }.read("version", Some(version));
    cutoff.map(read).transpose()
}

/// What is wrong when a script's verdict is none of its results: it says what it could not read.
pub(super) fn unreadable(entry: Entry<'_>, keys: &UserKeys, answer: &Answer) -> StoreError {
    let word = |position: usize| answer.fields.get(position).and_then(|word| word.as_deref());
    let problem = format!("`{}` is missing or malformed", word(1).unwrap_or("a field"));
    match (answer.verdict.as_str(), word(0)) {
        ("corrupt", Some("cutoff")) => Entry { place: CUTOFF, key: &keys.cutoff() }.corrupt(problem),
        ("corrupt", _) => entry.corrupt(problem),
        (verdict, _) => entry.corrupt(format!("unexpected verdict `{verdict}`")),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ENTRY: Entry<'_> = Entry { place: "session", key: "hallpass:{p07}:opened:x" };

    fn hash(fields: &[(&str, &str)]) -> Hash {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// What is judged of a session.
    fn judged() -> Hash {
        hash(&[
            ("u", "7"),
            ("v", "3"),
            ("g", "5"),
            ("c", "1000"),
            ("t", "2000"),
            ("n", "2500"),
            ("i", "3000"),
            ("a", "4000"),
            ("b", "9"),
        ])
    }

    fn carried() -> Carried {
        let origin = SessionOrigin::new("192.0.2.7".parse().ok(), Some("curl/8.5.0"), "a-client");
        let email = Email::parse("ada@example.com").expect("an address");
        Carried { email_verified: true, ..Carried::new(email, Role::Admin, origin) }
    }

    fn stored() -> Hash {
        let text = carried().encode().expect("a text");
        let mut fields = judged();
        fields.extend(pieces(&text).enumerate().map(|(name, piece)| (name.to_string(), piece.to_owned())));
        assert!(fields.contains_key("1") && !fields.contains_key("2"), "{fields:?}");
        fields
    }

    /// As builds before wrote it.
    fn stored_before() -> Hash {
        let mut fields = judged();
        fields.extend(hash(&[
            ("e", "ada@example.com"),
            ("r", "admin"),
            ("p", "192.0.2.7"),
            ("w", "curl/8.5.0"),
            ("k", "a-client"),
            ("m", "1"),
        ]));
        fields
    }

    fn read(fields: &Hash) -> Result<Session, String> {
        session(ENTRY, SessionId::from(Uuid::nil()), fields).map_err(|error| error.to_string())
    }

    #[test]
    fn a_session_is_read_by_the_names_of_its_fields_also_as_builds_before_had_them() {
        for fields in [stored(), stored_before()] {
            let session = read(&fields).expect("a session");
            assert_eq!(session.user.get(), 7);
            assert_eq!(session.security_version.get(), 3);
            assert_eq!(session.generation.get(), 5);
            assert_eq!(session.incarnation, 9);
            let times = [
                session.created_at,
                session.rotated_at,
                session.issued_at,
                session.idle_deadline,
                session.absolute_deadline,
            ];
            assert_eq!(times.map(Timestamp::as_millis), [1000, 2000, 2500, 3000, 4000]);
            assert_eq!(session.carried, carried());
        }
    }

    #[test]
    fn no_piece_is_longer_than_redis_keeps_in_a_list_and_together_they_are_the_text() {
        for text in
            ["", "a", &"a".repeat(64), &"a".repeat(65), &"ü".repeat(500), &format!("a{}", "🦀".repeat(99))]
        {
            let pieces: Vec<_> = pieces(text).collect();
            assert!(pieces.iter().all(|piece| (1..=64).contains(&piece.len())), "{pieces:?}");
            assert_eq!(pieces.concat(), text);
        }
    }

    /// The first builds wrote no such note.
    #[test]
    fn an_address_of_before_is_proven_only_where_that_is_noted() {
        let mut fields = stored_before();
        fields.remove("m");
        assert!(!read(&fields).expect("a session").carried.email_verified);
        for other in ["", "0", "true", "11", " 1"] {
            fields.insert("m".to_owned(), other.to_owned());
            assert!(read(&fields).expect_err("corrupt").contains("`m`"), "{other:?}");
        }
    }

    #[test]
    fn an_empty_address_or_user_agent_of_before_is_none() {
        let mut fields = stored_before();
        fields.extend(hash(&[("p", ""), ("w", "")]));
        let origin = read(&fields).expect("a session").carried.origin;
        assert_eq!(origin, SessionOrigin::new(None, None, "a-client"));
    }

    #[test]
    fn a_missing_or_malformed_field_is_named_with_its_key() {
        for fields in [stored(), stored_before()] {
            for name in fields.keys().filter(|name| *name != "m") {
                let named = if name.parse::<u8>().is_ok() { "what it carries" } else { &format!("`{name}`") };
                for broken in [None, Some("\u{1}".to_owned())] {
                    // A session without the first piece counts as one of a build before.
                    let named = if name == "0" && broken.is_none() { "`e`" } else { named };
                    let mut fields = fields.clone();
                    match broken {
                        Some(broken) => fields.insert(name.clone(), broken),
                        None => fields.remove(name),
                    };
                    let error = read(&fields).expect_err("corrupt");
                    assert!(error.contains(named) && error.contains(ENTRY.key), "{named}: {error}");
                }
            }
        }
        assert!(read(&Hash::new()).is_err());
    }
}
