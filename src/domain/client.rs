//! OAuth clients: services that call hallpass in their own name (RFC 6749 2).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::audiences::Audiences;
use super::clock::Timestamp;
use super::metadata::Metadata;

/// The id of a client: 1 to 64 of `a` to `z`, digits, `-`, `_` and `.`, beginning with a letter, so
/// that no client is taken for a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(String);

/// The text is no client id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a client id is 1 to 64 of a-z, 0-9, -, _ and ., and begins with a letter")]
pub struct ClientIdError;

impl ClientId {
    const MAX_CHARS: usize = 64;

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = ClientIdError;

    fn from_str(text: &str) -> Result<Self, ClientIdError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
        let fits = text.len() <= Self::MAX_CHARS && text.bytes().all(plain);
        let begins_well = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if fits && begins_well { Ok(Self(text.to_owned())) } else { Err(ClientIdError) }
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who opens sessions at a login on this service itself, and so claim `client_id` of their tokens (RFC 9068 2.2
/// wants one in every token).
pub const FIRST_PARTY_CLIENT_ID: &str = "hallpass";

/// Reading the revocation feed.
pub const REVOCATIONS_READ: &str = "revocations:read";

/// Asking about refresh tokens of other clients at introspection: whoever learns from them whose they are
/// and how long their sessions live.
pub const TOKENS_INTROSPECT: &str = "tokens:introspect";

/// The grant type of token exchange (RFC 8693 2.1).
pub const TOKEN_EXCHANGE_GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// What a client may do: scope tokens in their order (RFC 6749 3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<String>);

/// The text is no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope is words of visible ASCII without \" and \\, with single spaces between")]
pub struct ScopeError;

impl Scopes {
    const MAX_CHARS: usize = 1_000;

    /// Whether all of `other` are among these.
    pub fn include(&self, other: &Self) -> bool {
        other.0.is_subset(&self.0)
    }

    /// Whether that word is among these.
    pub fn contains(&self, word: &str) -> bool {
        self.0.contains(word)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those among these that a request asks for, or all of them where it asks for none; `None` where it asks for
    /// others. RFC 6749 3.3 has single blanks; more of them say nothing else.
    pub fn narrowed_to(&self, asked: Option<&str>) -> Option<Self> {
        let words: Vec<&str> = asked.unwrap_or_default().split(' ').filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return Some(self.clone());
        }
        words.join(" ").parse().ok().filter(|asked| self.include(asked))
    }

    /// Those that are among both.
    #[must_use]
    pub fn cut_by(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// One word after the other.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Out of single words, each without a space in it.
    ///
    /// # Errors
    /// [`ScopeError`].
    pub fn from_words(words: &[String]) -> Result<Self, ScopeError> {
        if words.iter().any(|word| word.is_empty() || word.contains(' ')) {
            return Err(ScopeError);
        }
        words.join(" ").parse()
    }
}

/// All of several.
impl FromIterator<Scopes> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scopes>>(all: I) -> Self {
        Self(all.into_iter().flat_map(|scopes| scopes.0).collect())
    }
}

impl FromStr for Scopes {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let visible = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if text.is_empty() {
            return Ok(Self::default());
        }
        let fits = text.len() <= Self::MAX_CHARS
            && text.split(' ').all(|word| !word.is_empty() && word.bytes().all(visible));
        if fits { Ok(Self(text.split(' ').map(str::to_owned).collect())) } else { Err(ScopeError) }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, word) in self.0.iter().enumerate() {
            let space = if position > 0 { " " } else { "" };
            write!(f, "{space}{word}")?;
        }
        Ok(())
    }
}

/// Whom a client's access tokens are for, if not the service's own audience: 1 to 255 bytes without
/// control characters. It stands in every token, where validators compare it to the letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience(String);

/// The text is no audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an audience is 1 to 255 bytes without control characters")]
pub struct AudienceError;

impl Audience {
    /// How long it may be.
    pub const MAX_BYTES: usize = 255;

    /// The audience.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl FromStr for Audience {
    type Err = AudienceError;

    fn from_str(text: &str) -> Result<Self, AudienceError> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(AudienceError) }
    }
}

/// What we keep of a client's secret: its SHA-256. The secrets that hallpass makes have 256 random
/// bits, which nobody guesses out of a hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClientSecretHash([u8; 32]);

impl ClientSecretHash {
    /// From a computed or stored digest.
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest to store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ClientSecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecretHash(…)")
    }
}

/// How many secrets a client has at most: the one in use and the next, while it is rolled out.
pub const CLIENT_SECRETS_MAX: usize = 2;

/// A client as stored.
#[derive(Clone, Debug)]
pub struct Client {
    /// Which one.
    pub id: ClientId,
    /// What it may ask for.
    pub scopes: Scopes,
    /// Whom its access tokens are for (claim `aud`); the service's own audience where there is none.
    pub audience: Option<String>,
    /// Whom else it may ask for a token for (`resource`, RFC 8707).
    pub audiences: Audiences,
    /// Whether it may exchange the tokens that others come with (RFC 8693).
    pub exchange: bool,
    /// What administrators have noted down about it.
    pub metadata: Metadata,
    /// The secrets that it may present, newest first.
    pub secrets: Vec<ClientSecretHash>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A client to be made.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// Which one.
    pub id: ClientId,
    /// What it may ask for.
    pub scopes: Scopes,
    /// Whom its access tokens are for, if not the service's own audience.
    pub audience: Option<String>,
    /// Whom else it may ask for a token for.
    pub audiences: Audiences,
    /// Whether it may exchange tokens.
    pub exchange: bool,
    /// What administrators note down about it.
    pub metadata: Metadata,
    /// Its first secret.
    pub secret: ClientSecretHash,
    /// When it is made.
    pub created_at: Timestamp,
}

/// What to change about a client. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientChange {
    /// Whom its access tokens are for: `Some(None)` for the service's own audience.
    pub audience: Option<Option<String>>,
    /// Whom else it may ask for a token for.
    pub audiences: Option<Audiences>,
    /// Whether it may exchange tokens.
    pub exchange: Option<bool>,
    /// What is noted down about it.
    pub metadata: Option<Metadata>,
}

impl ClientChange {
    /// What the client is with it.
    pub fn applied_to(&self, client: &Client) -> Client {
        let mut changed = client.clone();
        if let Some(audience) = &self.audience {
            changed.audience.clone_from(audience);
        }
        if let Some(audiences) = &self.audiences {
            changed.audiences.clone_from(audiences);
        }
        if let Some(metadata) = &self.metadata {
            changed.metadata.clone_from(metadata);
        }
        changed.exchange = self.exchange.unwrap_or(changed.exchange);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_is_never_a_users() {
        for good in ["books", "b", "svc-1.eu_west", &"a".repeat(64)] {
            assert!(good.parse::<ClientId>().is_ok(), "{good}");
        }
        for bad in ["", "1", "42", "-a", "Books", "a b", "a\n", "ä", &"a".repeat(65)] {
            assert!(bad.parse::<ClientId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_audience_has_something_in_it_and_nothing_that_breaks_a_line() {
        for good in ["https://api.example.com", "b\u{fc}cher", &"a".repeat(255)] {
            assert_eq!(good.parse::<Audience>().map(Audience::into_string).as_deref(), Ok(good));
        }
        for bad in ["", "a\nb", "a\u{85}b", &"a".repeat(256)] {
            assert!(bad.parse::<Audience>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn scopes_of_single_words_have_no_spaces_in_them() {
        let words = |words: &[&str]| {
            Scopes::from_words(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(words(&["write", "read", "read"]).unwrap().to_string(), "read write");
        assert!(words(&[]).unwrap().is_empty());
        assert_eq!(words(&["write", "read"]).unwrap().words().collect::<Vec<_>>(), ["read", "write"]);
        for bad in [&["read write"][..], &[""], &["read", ""], &["re\"ad"]] {
            assert!(words(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn scopes_are_narrowed_and_never_widened() {
        let scopes: Scopes = "read write".parse().unwrap();
        let narrowed = |asked| scopes.narrowed_to(asked).map(|scopes| scopes.to_string());
        for (asked, left) in [(None, "read write"), (Some(" "), "read write"), (Some("  write "), "write")] {
            assert_eq!(narrowed(asked).as_deref(), Some(left), "{asked:?}");
        }
        for other in ["admin", "read admin", "re\"ad"] {
            assert_eq!(narrowed(Some(other)), None, "{other}");
        }
        assert_eq!(scopes.cut_by(&"admin read".parse().unwrap()).to_string(), "read");
    }

    #[test]
    fn scopes_are_written_in_one_order_and_compared_as_sets() {
        let scopes: Scopes = "write read".parse().unwrap();
        assert_eq!(scopes.to_string(), "read write");
        assert!(scopes.include(&"read".parse().unwrap()));
        assert!(!scopes.include(&"read admin".parse().unwrap()));
        for bad in [" read", "read  write", "re\"ad", "re\\ad", "lesen\u{fc}", "a\tb"] {
            assert!(bad.parse::<Scopes>().is_err(), "{bad:?}");
        }
    }
}
