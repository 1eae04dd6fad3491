//! Whom tokens are for: what may be asked for, and what a request asks for (RFC 8707).

use serde::{Deserialize, Serialize};

/// Audiences in the order in which they were given, each once. They are compared byte for byte, and go into claim
/// `aud` as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Audiences(Vec<String>);

/// Why texts are no audiences. The texts are not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AudiencesError {
    /// One is empty, too long or has a control character in it.
    #[error("has one that is not 1 to {} bytes without control characters", Audiences::MAX_BYTES)]
    Malformed,
    /// There are too many.
    #[error("has more than {} of them", Audiences::MAX_LISTED)]
    TooMany,
}

impl Audiences {
    /// How long each may be.
    pub const MAX_BYTES: usize = 256;
    /// How many a request may ask for.
    pub const MAX_ASKED: usize = 8;
    /// How many a list may have of which requests ask for some.
    pub const MAX_LISTED: usize = 64;

    /// A list.
    ///
    /// # Errors
    /// [`AudiencesError`].
    pub fn listed(texts: impl IntoIterator<Item = String>) -> Result<Self, AudiencesError> {
        let mut audiences = Vec::new();
        for text in texts {
            if !is_audience(&text) {
                return Err(AudiencesError::Malformed);
            }
            if !audiences.contains(&text) {
                audiences.push(text);
            }
        }
        if audiences.len() > Self::MAX_LISTED { Err(AudiencesError::TooMany) } else { Ok(Self(audiences)) }
    }

    /// Whether that one is among them.
    pub fn contains(&self, audience: &str) -> bool {
        self.0.iter().any(|own| own == audience)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// For claim `aud`.
    pub fn into_vec(self) -> Vec<String> {
        self.0
    }

    /// As text to store: JSON.
    pub fn encode(&self) -> String {
        serde_json::Value::from(self.0.clone()).to_string()
    }

    /// Reads a stored text.
    ///
    /// # Errors
    /// It is none.
    pub fn decode(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

impl TryFrom<Vec<String>> for Audiences {
    type Error = AudiencesError;

    fn try_from(texts: Vec<String>) -> Result<Self, AudiencesError> {
        Self::listed(texts)
    }
}

impl From<Audiences> for Vec<String> {
    fn from(audiences: Audiences) -> Self {
        audiences.0
    }
}

/// Whether a text can be an audience: 1 to 256 bytes without control characters.
pub fn is_audience(text: &str) -> bool {
    (1..=Audiences::MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether a text is an absolute URI without a fragment (RFC 8707 2, RFC 3986 4.3).
pub fn is_resource(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let is_uri = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&b);
    is_scheme && !rest.is_empty() && rest.bytes().all(is_uri) && has_whole_escapes(rest)
}

/// Whether two hexadecimal digits follow each `%`.
fn has_whole_escapes(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|digit| digit.is_ascii_hexdigit()))
}

/// What a request asks for, as it came: `None` where it asks for nothing, so that all is as the client or the
/// session has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// Nothing in particular.
    #[default]
    Nothing,
    /// These.
    For(Audiences),
    /// What cannot be asked for: it is malformed, none or too much.
    Malformed,
}

impl Asked {
    /// What fields `resource` ask for, and then what fields `audience` do, each `None` where no such field came. A
    /// `resource` has to be a URI; what an `audience` may be says the list that it has to be among.
    pub fn of(resources: Option<Vec<String>>, audiences: Option<Vec<String>>) -> Self {
        let (resources, audiences) = match (resources, audiences) {
            (None, None) => return Self::Nothing,
            (resources, audiences) => (resources, audiences),
        };
        let is_empty = |texts: &Option<Vec<String>>| texts.as_ref().is_some_and(Vec::is_empty);
        let are_resources = resources.iter().flatten().all(|text| is_resource(text));
        if is_empty(&resources) || is_empty(&audiences) || !are_resources {
            return Self::Malformed;
        }
        let all = resources.into_iter().chain(audiences).flatten();
        match Audiences::listed(all) {
            Ok(asked) if asked.0.len() <= Audiences::MAX_ASKED => Self::For(asked),
            _ => Self::Malformed,
        }
    }

    /// What is asked for, if all of it is `allowed`; `None` where nothing is.
    ///
    /// # Errors
    /// [`NotAllowed`].
    pub fn within(&self, allowed: impl Fn(&str) -> bool) -> Result<Option<&Audiences>, NotAllowed> {
        match self {
            Self::Nothing => Ok(None),
            Self::For(asked) if asked.iter().all(allowed) => Ok(Some(asked)),
            Self::For(_) | Self::Malformed => Err(NotAllowed),
        }
    }
}

/// What is asked for may not be, or cannot be (RFC 8707 2, `invalid_target`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAllowed;

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Option<Vec<String>> {
        Some(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    fn asked(resources: &[&str]) -> Asked {
        Asked::of(texts(resources), None)
    }

    #[test]
    fn a_resource_is_an_absolute_uri_without_a_fragment() {
        for good in ["https://a", "https://a/", "urn:example:orders", "http://[::1]:80/x?y=%20", "a+b-1.x:y"]
        {
            assert!(is_resource(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "/a",
            "//a",
            "https:",
            ":a",
            "1a:b",
            "https://a#b",
            "https://a#",
            "a b:c",
            "https://a b",
            "https://\u{fc}",
            "https://a\"",
            "https://a\n",
            "https://a%2",
            "https://a%zz",
            "https://a\\b",
        ] {
            assert!(!is_resource(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_is_asked_for_keeps_its_order_and_counts_once() {
        let Asked::For(audiences) = asked(&["https://b", "https://a", "https://b"]) else { panic!("asked") };
        assert_eq!(audiences.into_vec(), ["https://b", "https://a"]);
        let both = Asked::of(texts(&["https://a"]), texts(&["api", "https://a"]));
        assert_eq!(both, Asked::For(Audiences(vec!["https://a".to_owned(), "api".to_owned()])));
        assert_eq!(Asked::of(None, None), Asked::Nothing);
    }

    #[test]
    fn nothing_too_much_and_what_is_none_cannot_be_asked_for() {
        let numbered = |count: usize| (0..count).map(|n| format!("https://{n}")).collect::<Vec<_>>();
        let long = |bytes: usize| format!("https://{}", "a".repeat(bytes - 8));
        assert!(matches!(Asked::of(Some(numbered(8)), None), Asked::For(_)));
        assert!(matches!(asked(&[&long(256)]), Asked::For(_)));
        for malformed in [
            Asked::of(Some(numbered(9)), None),
            Asked::of(Some(numbered(5)), Some(numbered(9))),
            asked(&[]),
            asked(&[""]),
            asked(&["https://a", ""]),
            asked(&["api"]),
            asked(&["https://a#b"]),
            asked(&[&long(257)]),
            Asked::of(None, texts(&[])),
            Asked::of(None, texts(&[""])),
            Asked::of(texts(&["https://a"]), texts(&[])),
        ] {
            assert_eq!(malformed, Asked::Malformed);
            assert_eq!(malformed.within(|_| true), Err(NotAllowed));
        }
    }

    #[test]
    fn it_is_compared_byte_for_byte_with_what_is_allowed() {
        let allowed = Audiences::listed(["https://a".to_owned(), "urn:x".to_owned()]).expect("a list");
        let within = |asked: &Asked| asked.within(|one| allowed.contains(one)).map(|found| found.is_some());
        assert_eq!(within(&Asked::Nothing), Ok(false));
        assert_eq!(within(&asked(&["urn:x", "https://a"])), Ok(true));
        for other in ["https://a/", "https://A", "HTTPS://a", "https://a?", "urn:X"] {
            assert_eq!(within(&asked(&[other])), Err(NotAllowed), "{other}");
            assert_eq!(within(&asked(&["https://a", other])), Err(NotAllowed), "{other}");
        }
    }

    #[test]
    fn a_list_is_stored_as_it_was_given() {
        let list = Audiences::listed(["https://b", "a, \"b\""].map(str::to_owned)).expect("a list");
        assert_eq!(list.encode(), r#"["https://b","a, \"b\""]"#);
        assert_eq!(Audiences::decode(&list.encode()).expect("a list"), list);
        assert_eq!(Audiences::decode("[]").expect("a list"), Audiences::default());
        for bad in ["", "{}", "[1]", r#"[""]"#, r#"["a\u0000"]"#, "null"] {
            assert!(Audiences::decode(bad).is_err(), "{bad}");
        }
        let many = |count: usize| Audiences::listed((0..count).map(|n| n.to_string()));
        assert_eq!((many(64).is_ok(), many(65)), (true, Err(AudiencesError::TooMany)));
    }
}
