use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One thing that was taken back, as the issuer's revocation feed writes it.
///
/// ```
/// use hallpass_verify::{Revocation, RevocationTarget};
/// let read: Revocation = serde_json::from_str(r#"{"sub": "42", "not_before": 1700, "exp": 2600}"#)?;
/// assert_eq!(read.target, RevocationTarget::User { sub: "42".to_owned(), not_before: 1700 });
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
    /// The tokens of a subject that were issued before a second. `iat` has a grain of one second, so
    /// those of that very second stand unless they are listed otherwise.
    User {
        /// Claim `sub`.
        sub: String,
        /// The first second whose tokens stand, since the Unix epoch.
        not_before: i64,
    },
    /// The tokens that were signed with the key of this `kid`.
    Key(String),
    /// All tokens that were issued before a second.
    All {
        /// The first second whose tokens stand, since the Unix epoch.
        not_before: i64,
    },
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
    not_before: Option<i64>,
    exp: i64,
}

/// An entry of no kind that is known here.
#[derive(Debug, thiserror::Error)]
#[error("a revocation names one of jti, sid, sub, kid, all, and not_before with sub and all alone")]
struct UnknownKind;

impl TryFrom<Entry> for Revocation {
    type Error = UnknownKind;

    /// An entry that is not understood is an error, never nothing: passing over it would let in
    /// what the issuer has taken back.
    fn try_from(entry: Entry) -> Result<Self, UnknownKind> {
        let Entry { jti, sid, sub, kid, all, not_before, exp } = entry;
        let target = match (jti, sid, sub, kid, all, not_before) {
            (Some(jti), None, None, None, None, None) => RevocationTarget::Token(jti),
            (None, Some(sid), None, None, None, None) => RevocationTarget::Session(sid),
            (None, None, Some(sub), None, None, Some(not_before)) => {
                RevocationTarget::User { sub, not_before }
            }
            (None, None, None, Some(kid), None, None) => RevocationTarget::Key(kid),
            (None, None, None, None, Some(true), Some(not_before)) => RevocationTarget::All { not_before },
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
            RevocationTarget::User { sub, not_before } => {
                Self { sub: Some(sub), not_before: Some(not_before), ..none }
            }
            RevocationTarget::Key(kid) => Self { kid: Some(kid), ..none },
            RevocationTarget::All { not_before } => {
                Self { all: Some(true), not_before: Some(not_before), ..none }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "00000000-0000-4000-8000-000000000001";

    #[test]
    fn every_kind_reads_and_is_written_the_same() {
        for entry in [
            json!({"jti": ID, "exp": 9}),
            json!({"sid": ID, "exp": 9}),
            json!({"sub": "42", "not_before": 5, "exp": 9}),
            json!({"kid": "k", "exp": 9}),
            json!({"all": true, "not_before": 5, "exp": 9}),
        ] {
            let read: Revocation = serde_json::from_value(entry.clone()).expect("an entry");
            assert_eq!(serde_json::to_value(read).expect("JSON"), entry);
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
        let not_understood: [Value; 16] = [
            json!({}),
            json!({"exp": 9}),
            json!({"jti": ID}),
            json!({"jti": ID, "exp": "9"}),
            json!({"jti": "1", "exp": 9}),
            json!({"jti": ID, "sid": ID, "exp": 9}),
            json!({"jti": ID, "not_before": 5, "exp": 9}),
            json!({"sub": 42, "not_before": 5, "exp": 9}),
            json!({"sub": "42", "exp": 9}),
            json!({"sub": "42", "not_before": 5.5, "exp": 9}),
            json!({"all": false, "not_before": 5, "exp": 9}),
            json!({"all": true, "exp": 9}),
            json!({"all": "true", "not_before": 5, "exp": 9}),
            json!({"not_before": 5, "exp": 9}),
            json!({"client": "orders", "exp": 9}),
            json!("jti"),
        ];
        for entry in not_understood {
            assert!(serde_json::from_value::<Revocation>(entry.clone()).is_err(), "{entry}");
        }
    }
}
