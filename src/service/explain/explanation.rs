//! What is known of what was presented.

use hallpass_verify::AccessClaims;

use crate::domain::audit::{Reason, RecordedEntry};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::session::Session;
use crate::domain::tokens::RefreshClaims;

/// What the presented token or id says of itself, where that can be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The claims of an access token of ours, in time or not.
    Access(Box<AccessClaims>),
    /// What a refresh token of ours names.
    Refresh(RefreshClaims),
    /// A session of that user's.
    Session(UserId, SessionId),
    /// An access token that the audit log knows by its id.
    Token(Jti),
    /// Nothing that can be believed.
    Nothing,
}

/// Whether it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is accepted.
    Live,
    /// It is refused.
    Invalid(Invalidation),
    /// Nothing is known against it, but the token store cannot be asked.
    CannotTell,
}

/// Why it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalidation {
    /// Why.
    pub reason: Reason,
    /// Since when, where that is known.
    pub at: Option<Timestamp>,
    /// Where the audit log says so; else it was told by the stores or inferred from the clock.
    pub entry: Option<RecordedEntry>,
}

impl Invalidation {
    pub(super) fn of(reason: Reason) -> Self {
        Self { reason, at: None, entry: None }
    }

    pub(super) fn at(reason: Reason, at: Timestamp) -> Self {
        Self { at: Some(at), ..Self::of(reason) }
    }

    /// As an entry of the audit log has it.
    pub(super) fn told(reason: Reason, entry: RecordedEntry) -> Self {
        Self { reason, at: Some(entry.entry.at), entry: Some(entry) }
    }
}

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What it says.
    pub content: Content,
    /// Whether it is good.
    pub verdict: Verdict,
    /// Its session, while that lives.
    pub session: Option<Session>,
}

impl Explanation {
    pub(super) fn invalid(content: Content, invalidation: Invalidation) -> Self {
        Self { content, verdict: Verdict::Invalid(invalidation), session: None }
    }
}
