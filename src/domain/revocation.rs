//! Revocations as they are announced: what any validator of tokens has to know.

use std::time::Duration;

use super::clock::Timestamp;
use super::ids::{Jti, KeyId, SessionId, UserId};

/// What is refused from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// One access token.
    Token(Jti),
    /// Every access token of a session.
    Session(SessionId),
    /// Every access token of a user that was issued before a moment. The claim `iat` has whole
    /// seconds, so this never decides within one: sessions that a security event ended are named on
    /// their own.
    User {
        /// Whose.
        user: UserId,
        /// The moment.
        not_before: Timestamp,
    },
    /// Everything that a key has signed.
    Key(KeyId),
    /// Every access token that was issued before a moment: what was revoked until then may be
    /// forgotten.
    Everything {
        /// The moment.
        not_before: Timestamp,
    },
}

/// Something that was revoked, and until when that matters: afterwards every token that it is about
/// has expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// What.
    pub revoked: Revoked,
    /// When the last token that it concerns is refused for its age.
    pub until: Timestamp,
}

/// Whom a replica asks whether an access token was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidationMode {
    /// The token store, each time.
    Strict,
    /// Its own copy of the revocation feed while that is up to date, else the token store. Whoever
    /// revokes waits until all such copies have the revocation.
    Mirror {
        /// How long after it was last confirmed a copy is used at most.
        max_staleness: Duration,
    },
}
