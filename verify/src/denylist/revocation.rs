use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One thing that was taken back, as the issuer's revocation feed writes it.
///
/// ```
/// use hallpass_verify::{Revocation, RevocationTarget};
/// let read: Revocation = serde_json::from_str(r#"{"sub": "42", "sv": 7, "exp": 2600}"#)?;
/// assert_eq!(read.target, RevocationTarget::User { sub: "42".to_owned(), sv: 7 });
/// assert_eq!(read.exp, 2600);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Entry", into = "Entry")]
pub struct Revocation {
    /// What no longer stands.
    pub target: RevocationTarget,
    /// Until when the entry matters, seconds since the Unix epoch: by then every token that it
    /// concerns has expired.
    pub exp: i64,
}

/// What a revocation concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationTarget {
    /// The token with this `jti`.
    Token(Uuid),
    /// The tokens of the session with this `sid`.
    Session(Uuid),
    /// The tokens of a subject whose version is below a number, and those that have none. A subject that is no number is a
    /// client that was deleted: those as well that were issued to it, or that it acts by or did, whatever their version.
    User {
        /// Claim `sub`.
        sub: String,
        /// The least claim `sv` that stands.
        sv: i64,
    },
    /// The tokens that were signed with the key of this `kid`.
    Key(String),
    /// All tokens that were issued under an earlier memory of the issuer's.
    All {
        /// The least claim `inc` that stands.
        inc: u64,
        /// Where it is of some tokens alone, of which.
        partition: Option<Partition>,
    },
}

/// One of the parts that an issuer's memory of tokens is divided into.
///
/// A token whose `sub` is a number belongs to the remainder of that by 64; what is no person's belongs
/// to the last part, number 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Partition(u8);

/// There is no partition of that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a partition is a whole number from 0 to 64")]
pub struct PartitionError;

impl Partition {
    /// Of people.
    const PEOPLE: u8 = 64;

    /// That of tokens with this claim `sub`.
    pub fn of(sub: &str) -> Self {
        let person = number(sub).and_then(|number| u8::try_from(number % u64::from(Self::PEOPLE)).ok());
        Self(person.unwrap_or(Self::PEOPLE))
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Partition {
    type Error = PartitionError;

    fn try_from(number: u8) -> Result<Self, PartitionError> {
        if number <= Self::PEOPLE { Ok(Self(number)) } else { Err(PartitionError) }
    }
}

impl From<Partition> for u8 {
    fn from(partition: Partition) -> Self {
        partition.0
    }
}

/// A subject in digits, where no other text means the same number.
pub(super) fn number(sub: &str) -> Option<u64> {
    let canonical = sub == "0" || !sub.starts_with(['0', '+']);
    sub.parse().ok().filter(|_| canonical)
}

/// The form on the wire: one of the names says what kind it is.
#[derive(Default, Serialize, Deserialize)]
struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sv: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inc: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<Partition>,
    exp: i64,
}

/// An entry of no kind that is known here.
#[derive(Debug, thiserror::Error)]
#[error(
    "a revocation names one of jti, sid, sub, kid, all; sv with sub, inc with all, partition with inc alone"
)]
struct UnknownKind;

impl TryFrom<Entry> for Revocation {
    type Error = UnknownKind;

    /// An entry that is not understood is an error, never nothing: passing over it would let in
    /// what the issuer has taken back.
    fn try_from(entry: Entry) -> Result<Self, UnknownKind> {
        let Entry { jti, sid, sub, kid, all, sv, inc, partition, exp } = entry;
        let target = match (jti, sid, sub, kid, all, (sv, inc, partition)) {
            (Some(jti), None, None, None, None, (None, None, None)) => RevocationTarget::Token(jti),
            (None, Some(sid), None, None, None, (None, None, None)) => RevocationTarget::Session(sid),
            (None, None, Some(sub), None, None, (Some(sv), None, None)) => RevocationTarget::User { sub, sv },
            (None, None, None, Some(kid), None, (None, None, None)) => RevocationTarget::Key(kid),
            (None, None, None, None, Some(true), (None, Some(inc), partition)) => {
                RevocationTarget::All { inc, partition }
            }
            _ => return Err(UnknownKind),
        };
        Ok(Self { target, exp })
    }
}

impl From<Revocation> for Entry {
    fn from(Revocation { target, exp }: Revocation) -> Self {
        let none = Self { exp, ..Self::default() };
        match target {
            RevocationTarget::Token(jti) => Self { jti: Some(jti), ..none },
            RevocationTarget::Session(sid) => Self { sid: Some(sid), ..none },
            RevocationTarget::User { sub, sv } => Self { sub: Some(sub), sv: Some(sv), ..none },
            RevocationTarget::Key(kid) => Self { kid: Some(kid), ..none },
            RevocationTarget::All { inc, partition } => {
                Self { all: Some(true), inc: Some(inc), partition, ..none }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "00000000-0000-4000-8000-000000000001";

    #[test]
    fn every_kind_reads_and_is_written_the_same() {
        for entry in [
            json!({"jti": ID, "exp": 9}),
            json!({"sid": ID, "exp": 9}),
            json!({"sub": "42", "sv": 5, "exp": 9}),
            json!({"kid": "k", "exp": 9}),
            json!({"all": true, "inc": 5, "exp": 9}),
            json!({"all": true, "inc": u64::MAX, "partition": 0, "exp": 9}),
            json!({"all": true, "inc": 0, "partition": 64, "exp": 9}),
        ] {
            let read: Revocation = serde_json::from_value(entry.clone()).expect("an entry");
            assert_eq!(serde_json::to_value(read).expect("JSON"), entry);
        }
    }

    #[test]
    fn a_person_belongs_to_the_remainder_of_the_number_and_all_else_to_the_last_part() {
        for (sub, partition) in [
            ("0", 0),
            ("42", 42),
            ("63", 63),
            ("64", 0),
            ("9007199254740991", 63),
            ("18446744073709551615", 63),
            ("18446744073709551616", 64),
            ("orders", 64),
            ("042", 64),
            ("+42", 64),
            ("-1", 64),
            ("4.2", 64),
            ("", 64),
        ] {
            assert_eq!(Partition::of(sub).number(), partition, "{sub:?}");
        }
    }

    #[test]
    fn members_that_come_with_later_versions_are_passed_over() {
        let read: Result<Revocation, _> =
            serde_json::from_value(json!({"jti": ID, "exp": 9, "reason": "logout"}));
        assert!(read.is_ok());
    }

    #[test]
    fn an_entry_that_is_not_understood_is_an_error() {
        let not_understood = [
            json!({}),
            json!({"exp": 9}),
            json!({"jti": ID}),
            json!({"jti": ID, "exp": "9"}),
            json!({"jti": "1", "exp": 9}),
            json!({"jti": ID, "sid": ID, "exp": 9}),
            json!({"jti": ID, "sv": 5, "exp": 9}),
            json!({"jti": ID, "inc": 5, "exp": 9}),
            json!({"kid": "k", "partition": 5, "exp": 9}),
            json!({"sub": 42, "sv": 5, "exp": 9}),
            json!({"sub": "42", "exp": 9}),
            json!({"sub": "42", "sv": 5.0, "exp": 9}),
            json!({"sub": "42", "sv": "5", "exp": 9}),
            json!({"sub": "42", "inc": 5, "exp": 9}),
            json!({"sub": "42", "sv": 5, "inc": 5, "exp": 9}),
            json!({"sub": "42", "sv": 5, "partition": 42, "exp": 9}),
            json!({"sub": "42", "not_before": 5, "exp": 9}),
            json!({"all": false, "inc": 5, "exp": 9}),
            json!({"all": true, "exp": 9}),
            json!({"all": "true", "inc": 5, "exp": 9}),
            json!({"all": true, "sv": 5, "exp": 9}),
            json!({"all": true, "inc": -1, "exp": 9}),
            json!({"all": true, "inc": 5.5, "exp": 9}),
            json!({"all": true, "inc": 5, "partition": 65, "exp": 9}),
            json!({"all": true, "inc": 5, "partition": -1, "exp": 9}),
            json!({"all": true, "inc": 5, "partition": "5", "exp": 9}),
            json!({"all": true, "partition": 5, "exp": 9}),
            json!({"all": true, "not_before": 5, "exp": 9}),
            json!({"inc": 5, "exp": 9}),
            json!({"client": "orders", "exp": 9}),
            json!("jti"),
        ];
        for entry in not_understood {
            assert!(serde_json::from_value::<Revocation>(entry.clone()).is_err(), "{entry}");
        }
    }
}
