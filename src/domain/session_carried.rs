//! What a session carries: said again by its tokens and lists, and judged by no store.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::audiences::Audiences;
use super::clock::Timestamp;
use super::email::Email;
use super::roles::Roles;
use super::session_origin::SessionOrigin;
use super::user::{Role, User};

/// What a session was opened with, and keeps until it ends. The stores keep it as one text and decide
/// nothing by it; what they judge are the fields of [`Session`](super::session::Session) itself.
///
/// A change of address or role ends the session (a new security version), so refreshing needs no look at the
/// account. But for one: that the address is proven later ends nothing. While it was not, who mints for the
/// session looks.
///
/// As text it is JSON with names of one letter, since there is one for each login. What most sessions have is
/// not written: its absence stands for it. So a member that is added here needs a `default` for the
/// sessions that are open, and its line in [`Carried::of`]. Members that are not known are passed over: replicas of
/// the build before read what those of the next have written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// The address at login.
    #[serde(rename = "e")]
    pub email: Email,
    /// Whether it was proven to be its owner's by then. Once it is, it stays so for this session: another
    /// address ends it.
    #[serde(rename = "v", default, skip_serializing_if = "is_false")]
    pub email_verified: bool,
    /// The role at login; the least one is not written.
    #[serde(rename = "r", default = "member", skip_serializing_if = "is_member")]
    pub role: Role,
    /// Whom its tokens may be for; none stands for the service's own audience.
    #[serde(rename = "g", default, skip_serializing_if = "Audiences::is_empty")]
    pub grant: Audiences,
    /// All roles at login, where there was another than that one. Builds before go by that one.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub all_roles: Option<Roles>,
    /// When its owner proved who they are, seconds since the Unix epoch; not written by builds before.
    #[serde(rename = "t", default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// Where it was opened.
    #[serde(flatten)]
    pub origin: SessionOrigin,
}

/// The text is none that a session carries. What stands in it is personal data and not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarriedError {
    /// Up to which byte of the text it could be read.
    at: usize,
}

impl fmt::Display for CarriedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is malformed at byte {}", self.at)
    }
}

impl std::error::Error for CarriedError {}

impl From<serde_json::Error> for CarriedError {
    fn from(error: serde_json::Error) -> Self {
        Self { at: error.column() }
    }
}

impl Carried {
    /// For an address that is not proven.
    pub fn new(email: Email, role: Role, origin: SessionOrigin) -> Self {
        Self {
            email,
            email_verified: false,
            role,
            grant: Audiences::default(),
            all_roles: None,
            auth_time: None,
            origin,
        }
    }

    /// For a login of this account as it is now, whose owner has proven at `proven_at` who they are.
    pub fn of(user: &User, proven_at: Timestamp, origin: SessionOrigin) -> Self {
        Self {
            email_verified: user.email_verified,
            auth_time: Some(proven_at.as_secs()),
            all_roles: Some(user.roles.clone()).filter(|roles| !roles.is_only(user.role())),
            ..Self::new(user.email.clone(), user.role(), origin)
        }
    }

    /// The roles at login.
    pub fn roles(&self) -> Roles {
        self.all_roles.clone().unwrap_or_else(|| self.role.into())
    }

    /// By what its owner proved who they are (RFC 8176): a password is the one way in.
    pub fn authentication_methods(&self) -> Vec<String> {
        vec!["pwd".to_owned()]
    }

    /// How much that proves: one factor.
    pub fn authentication_class(&self) -> String {
        "urn:hallpass:acr:1".to_owned()
    }

    /// The text to store.
    ///
    /// # Errors
    /// It would not read back the same: a member holds what [`decode`](Self::decode) refuses, such as a client with
    /// a control character.
    pub fn encode(&self) -> Result<String, CarriedError> {
        let text = serde_json::to_string(self)?;
        match Self::decode(&text)? == *self {
            true => Ok(text),
            false => Err(CarriedError { at: text.len() }),
        }
    }

    /// Reads a stored text.
    ///
    /// # Errors
    /// It is none: cut off, or a member means nothing.
    pub fn decode(text: &str) -> Result<Self, CarriedError> {
        Ok(serde_json::from_str(text)?)
    }
}

/// A time that is written is one: `null` is not absence.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    i64::deserialize(deserializer).map(Some)
}

fn is_false(note: &bool) -> bool {
    !note
}

fn member() -> Role {
    Role::Member
}

fn is_member(role: &Role) -> bool {
    *role == Role::Member
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(origin: SessionOrigin) -> Carried {
        Carried::new(Email::parse("ada@example.com").expect("an address"), Role::Member, origin)
    }

    fn rich() -> Carried {
        let origin =
            SessionOrigin::new("2001:db8::7".parse().ok(), Some("Müller's \"Browser\" \\ 🦀"), "app");
        let grant = Audiences::listed(["https://a", "urn:b"].map(str::to_owned)).expect("audiences");
        let auth_time = Some(1_796_169_600);
        let all_roles = "editor admin".parse().ok();
        Carried { email_verified: true, role: Role::Admin, grant, all_roles, auth_time, ..carried(origin) }
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        for carried in [rich(), carried(SessionOrigin::new(None, None, "hallpass"))] {
            let text = carried.encode().expect("a text");
            assert_eq!(Carried::decode(&text), Ok(carried), "{text}");
        }
    }

    /// The text is what replicas of other builds read, and what sessions were opened with before.
    #[test]
    fn the_text_has_names_of_one_letter_and_leaves_out_what_most_sessions_have() {
        let plain = carried(SessionOrigin::new(None, None, "hallpass"));
        assert_eq!(plain.encode().as_deref(), Ok(r#"{"e":"ada@example.com"}"#));
        let text = r#"{"e":"ada@example.com","v":true,"r":"admin","g":["https://a","urn:b"],"l":["admin","editor"],"t":1796169600,"a":"2001:db8::7","u":"Müller's \"Browser\" \\ 🦀","c":"app"}"#;
        assert_eq!(rich().encode().as_deref(), Ok(text));
    }

    #[test]
    fn members_of_a_later_build_are_passed_over() {
        let text = r#"{"e":"ada@example.com","z":{"deep":[1]},"department":"north","c":"app"}"#;
        assert_eq!(Carried::decode(text), Ok(carried(SessionOrigin::new(None, None, "app"))));
    }

    #[test]
    fn what_means_nothing_is_refused_and_not_repeated() {
        for text in [
            "",
            "{}",
            "null",
            "[]",
            r#"{"e":"ada@example.com""#,
            r#"{"e":"ada@example.com"}{"#,
            r#"{"e":"no address"}"#,
            r#"{"e":null}"#,
            r#"{"e":"ada@example.com","r":"root"}"#,
            r#"{"e":"ada@example.com","r":null}"#,
            r#"{"e":"ada@example.com","l":[]}"#,
            r#"{"e":"ada@example.com","l":"editor"}"#,
            r#"{"e":"ada@example.com","l":["Editor"]}"#,
            r#"{"e":"ada@example.com","v":"ada@example.com"}"#,
            r#"{"e":"ada@example.com","v":1}"#,
            r#"{"e":"ada@example.com","t":null}"#,
            r#"{"e":"ada@example.com","t":"1796169600"}"#,
            r#"{"e":"ada@example.com","t":1796169600.5}"#,
            r#"{"e":"ada@example.com","a":"300.0.2.7"}"#,
            r#"{"e":"ada@example.com","a":""}"#,
            r#"{"e":"ada@example.com","g":"https://a"}"#,
            r#"{"e":"ada@example.com","g":[""]}"#,
            r#"{"e":"ada@example.com","g":null}"#,
            r#"{"e":"ada@example.com","u":"a\u0007"}"#,
            r#"{"e":"ada@example.com","c":"a\n"}"#,
        ] {
            let error = Carried::decode(text).expect_err(text).to_string();
            assert!(error.starts_with("is malformed at byte ") && !error.contains("ada"), "{text}: {error}");
        }
    }

    #[test]
    fn no_text_that_was_cut_off_is_read() {
        let text = rich().encode().expect("a text");
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            assert!(Carried::decode(&text[..end]).is_err(), "{}", &text[..end]);
        }
    }

    /// Builds before kept up to 256 characters of it.
    #[test]
    fn a_user_agent_that_was_kept_longer_is_read_as_it_is_kept_now() {
        let long = format!(r#"{{"e":"ada@example.com","u":"{}"}}"#, "ü".repeat(256));
        let read = Carried::decode(&long).expect("what was kept").origin;
        assert_eq!(read, SessionOrigin::new(None, Some(&"ü".repeat(256)), "hallpass"));
    }

    /// Else a login would write what no later request can read.
    #[test]
    fn what_would_not_read_back_the_same_is_not_written() {
        let of = |origin: SessionOrigin| carried(origin).encode();
        let nowhere = || SessionOrigin::new(None, None, "hallpass");
        assert!(of(SessionOrigin::new(None, None, "a\nclient")).is_err());
        assert!(of(SessionOrigin { user_agent: Some("a".repeat(65)), ..nowhere() }).is_err());
        assert!(of(SessionOrigin { user_agent: Some(String::new()), ..nowhere() }).is_err());
        assert!(of(nowhere()).is_ok());
    }
}
