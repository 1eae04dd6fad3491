//! What Redis holds, read back into the domain. Anything that means nothing is
//! [`StoreError::Corrupt`], naming the kind of key, the key and what is wrong.

use std::net::IpAddr;
use std::str::FromStr;

use redis::{FromRedisValue, Value};

use super::keys::{SESSION_FIELDS, UserKeys};
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::session::{Session, Subject};
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

/// Where a script says by how many ms a session was ahead of the clock: behind its fields.
pub(super) const AHEAD: usize = SESSION_FIELDS.len();

/// A session out of the fields of its hash, in the order of [`SESSION_FIELDS`].
pub(super) fn session(entry: Entry<'_>, id: SessionId, fields: &Fields) -> StoreResult<Session> {
    let text = |position: usize| fields.get(position).and_then(|field| field.as_deref());
    let time = |position: usize| -> StoreResult<Timestamp> {
        entry.read(SESSION_FIELDS[position], text(position)).map(Timestamp::from_millis)
    };
    Ok(Session {
        id,
        subject: Subject {
            user: entry.read::<UserId>(SESSION_FIELDS[0], text(0))?,
            email: email(entry, text(1))?,
            email_verified: is_noted(entry, SESSION_FIELDS[14], text(14))?,
            role: entry.read::<Role>(SESSION_FIELDS[2], text(2))?,
            security_version: SecurityVersion::new(entry.read(SESSION_FIELDS[3], text(3))?),
        },
        incarnation: entry.read(SESSION_FIELDS[10], text(10))?,
        origin: origin(entry, text(11), text(12), text(13))?,
        generation: Generation::new(entry.read(SESSION_FIELDS[4], text(4))?),
        created_at: time(5)?,
        rotated_at: time(6)?,
        issued_at: time(7)?,
        idle_deadline: time(8)?,
        absolute_deadline: time(9)?,
    })
}

/// Where a session was opened; an empty address or user agent stands for none.
fn origin(
    entry: Entry<'_>,
    address: Option<&str>,
    user_agent: Option<&str>,
    client: Option<&str>,
) -> StoreResult<SessionOrigin> {
    let address = match address {
        Some("") => None,
        address => Some(entry.read::<IpAddr>(SESSION_FIELDS[11], address)?),
    };
    let user_agent = Some(plain(entry, SESSION_FIELDS[12], user_agent)?).filter(|text| !text.is_empty());
    Ok(SessionOrigin { address, user_agent, client: plain(entry, SESSION_FIELDS[13], client)? })
}

/// Whether a note is there. Only `1` is one.
fn is_noted(entry: Entry<'_>, name: &str, field: Option<&str>) -> StoreResult<bool> {
    match field {
        None => Ok(false),
        Some("1") => Ok(true),
        Some(_) => Err(entry.corrupt(format!("`{name}` is malformed"))),
    }
}

/// Text without control characters.
fn plain(entry: Entry<'_>, name: &str, field: Option<&str>) -> StoreResult<String> {
    let text: String = entry.read(name, field)?;
    match text.chars().any(char::is_control) {
        true => Err(entry.corrupt(format!("`{name}` is malformed"))),
        false => Ok(text),
    }
}

fn email(entry: Entry<'_>, field: Option<&str>) -> StoreResult<Email> {
    let text: String = entry.read(SESSION_FIELDS[1], field)?;
    Email::parse(&text).map_err(|error| entry.corrupt(format!("`{}` {error}", SESSION_FIELDS[1])))
}

/// The first version that counts after the user's last security event.
pub(super) fn first_version(keys: &UserKeys, cutoff: Option<&str>) -> StoreResult<Option<i64>> {
    let entry = Entry { place: CUTOFF, key: &keys.cutoff() };
    cutoff.map(|version| entry.read("version", Some(version))).transpose()
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

    fn stored() -> Fields {
        let own = ["7", "ada@example.com", "member", "3", "5", "1000", "2000", "2500", "3000", "4000", "9"];
        let origin = ["192.0.2.7", "curl/8.5.0", "hallpass"];
        let proven = ["1"];
        own.iter().chain(&origin).chain(&proven).map(|field| Some((*field).to_owned())).collect()
    }

    fn read(fields: &Fields) -> Result<Session, String> {
        session(ENTRY, SessionId::from(Uuid::nil()), fields).map_err(|error| error.to_string())
    }

    #[test]
    fn a_session_is_read_in_the_order_of_its_fields() {
        let session = read(&stored()).expect("a session");
        assert_eq!(session.subject.user.get(), 7);
        assert_eq!(session.subject.email.as_str(), "ada@example.com");
        assert_eq!(session.subject.role, Role::Member);
        assert_eq!(session.subject.security_version.get(), 3);
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
        assert_eq!(session.origin.address.map(|address| address.to_string()).as_deref(), Some("192.0.2.7"));
        assert_eq!(session.origin.user_agent.as_deref(), Some("curl/8.5.0"));
        assert_eq!(session.origin.client, "hallpass");
        assert!(session.subject.email_verified);
    }

    /// Builds before wrote no such note, and old replicas write none beside this one.
    #[test]
    fn an_address_is_proven_only_where_that_is_noted() {
        let mut fields = stored();
        fields[14] = None;
        assert!(!read(&fields).expect("a session").subject.email_verified);
        for other in ["", "0", "true", "11", " 1"] {
            fields[14] = Some(other.to_owned());
            assert!(read(&fields).expect_err("corrupt").contains("`m`"), "{other:?}");
        }
    }

    #[test]
    fn an_empty_address_or_user_agent_is_none() {
        let mut fields = stored();
        fields[11] = Some(String::new());
        fields[12] = Some(String::new());
        let origin = read(&fields).expect("a session").origin;
        assert_eq!(origin, SessionOrigin::new(None, None, "hallpass"));
    }

    #[test]
    fn a_missing_or_malformed_field_is_named_with_its_key() {
        for (position, name) in SESSION_FIELDS[..14].iter().enumerate() {
            for broken in [None, Some("\u{1}".to_owned())] {
                let mut fields = stored();
                fields[position] = broken;
                let error = read(&fields).expect_err("corrupt");
                assert!(error.contains(&format!("`{name}`")) && error.contains(ENTRY.key), "{error}");
            }
        }
        assert!(read(&Vec::new()).is_err());
    }
}
