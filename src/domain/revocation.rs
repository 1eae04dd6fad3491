//! Revocations as they are announced: what any validator of tokens has to know.

use std::time::Duration;

use super::client::ClientId;
use super::clock::Timestamp;
use super::ids::{Jti, KeyId, SessionId, UserId};
use super::partition::Partition;
use super::user::SecurityVersion;

/// What is refused from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// One access token.
    Token(Jti),
    /// Every access token of a session.
    Session(SessionId),
    /// Every access token of a user that belongs to a session from before a security event.
    User {
        /// Whose.
        user: UserId,
        /// The first version that still counts.
        below: SecurityVersion,
    },
    /// Every access token of a client that was deleted: its own, and those that it was issued or acts by on behalf of
    /// others.
    Client(ClientId),
    /// Everything that a key has signed.
    Key(KeyId),
    /// Every access token of an earlier incarnation of the token store: what was revoked until then
    /// may be forgotten.
    Everything {
        /// The number of the first incarnation that still counts.
        below: u64,
        /// Where one partition alone is meant, which.
        partition: Option<Partition>,
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
