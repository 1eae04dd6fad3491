//! Sessions: what the service asks, and what an engine has to be able to do for that.

use std::time::Duration;

use async_trait::async_trait;

use super::error::StoreResult;
use super::unreachable::engine_trait;
use super::vouching::{BackendResult, Vouched};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::journal::EntryId;
use crate::domain::session::{NewSession, Session, SessionLifetimes, Timeout};
use crate::domain::session_cap::{SessionCursor, SessionUse};
use crate::domain::tokens::RefreshClaims;
use crate::domain::user::SecurityVersion;

/// What became of opening a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and most hold the session")]
pub enum OpenOutcome {
    /// The session is live.
    Opened(Session),
    /// The credentials were checked at a version that a security event has ended; nothing was
    /// written.
    Superseded {
        /// The first version that counts.
        first: SecurityVersion,
    },
}

/// What became of a presented refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// It was the current one. The session, after the operation.
    Current(Session),
    /// It was the one before, within the grace period. The session, unchanged: its current
    /// generation is the successor that the first caller got.
    Previous(Session),
    /// It was newer than the store knew; the session has moved forward to it (and on, when
    /// rotating). The session, after the operation.
    Recovered(Session),
    /// It was superseded. The session is revoked and denied, unless the caller asked to only
    /// refuse.
    Reused,
    /// The session has ended by itself, and by which of its deadlines.
    Expired(Timeout),
    /// The session was ended since its account had too many. Of each account that is known for the latest of
    /// them alone.
    Evicted,
    /// There is no such session: revoked, or gone long ago.
    Unknown,
}

impl RefreshOutcome {
    /// The session, where the token was good.
    pub fn session(self) -> Option<Session> {
        match self {
            Self::Current(session) | Self::Previous(session) | Self::Recovered(session) => Some(session),
            Self::Reused | Self::Expired(_) | Self::Evicted | Self::Unknown => None,
        }
    }
}

/// What a superseded token brings about where no rotation takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReuse {
    /// The session is revoked: the token was stolen.
    Revoke,
    /// The token is refused and nothing changes, for dialects whose clients never get a successor.
    Refuse,
}

/// What becomes of a session that is to be ended and that the store does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnknown {
    /// Its access tokens are denied all the same: a token of ours has named it and its user, and the
    /// store may have lost it.
    Deny,
    /// Nothing: somebody has named it, and it may be another user's.
    Ignore,
}

/// Sessions and their refresh tokens. Each method is atomic under any interleaving.
///
/// Whoever gets a live session from `rotate` or `check_refresh` mints an access token for it, so
/// both note the moment as the session's `issued_at`.
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Opens a session, unless a security event has ended the version of its credentials. Sessions of the user
    /// of an earlier version end before that: they are an earlier holder's of that id, or a security event is
    /// about to end them.
    async fn open_session(
        &self,
        session: &NewSession,
        lifetimes: &SessionLifetimes,
    ) -> StoreResult<OpenOutcome>;

    /// Redeems a refresh token for its successor (RFC 9700 4.14.2). Concurrent calls with one
    /// token: one gets `Current`, the others `Previous` with the same generation.
    async fn rotate(
        &self,
        token: &RefreshClaims,
        lifetimes: &SessionLifetimes,
    ) -> StoreResult<RefreshOutcome>;

    /// Judges a refresh token without rotating it and without prolonging the session.
    async fn check_refresh(
        &self,
        token: &RefreshClaims,
        lifetimes: &SessionLifetimes,
        on_reuse: OnReuse,
    ) -> StoreResult<RefreshOutcome>;

    /// Ends a session and denies its access tokens. Answers whether it was live; of
    /// several concurrent calls exactly one gets `true`.
    ///
    /// Every revocation answers once it stands in the journal, is carried out, and no replica can be
    /// without it; [`RevocationPending`] when one of these is not known yet.
    ///
    /// [`RevocationPending`]: super::error::StoreError::RevocationPending
    async fn revoke_session(
        &self,
        user: UserId,
        session: SessionId,
        on_unknown: OnUnknown,
    ) -> StoreResult<bool>;

    /// Ends a session of an account that has more than `max`, and denies its access tokens; answers whether it
    /// was live and there were as many. Of several concurrent calls none ends one too many. Its entry in the
    /// journal is owed in the same step, and written down beside the answer.
    async fn evict_session(&self, user: UserId, session: SessionId, max: u32) -> StoreResult<bool>;

    /// For each user, when the newest access token of their live sessions was minted; `None` for a
    /// user without one. In the order of `users`.
    async fn newest_access_tokens(&self, users: &[UserId]) -> StoreResult<Vec<Option<Timestamp>>>;

    /// How many sessions these users have together that have not ended by `now`, and some that a security event has ended
    /// at most; of a store of which a part is away, an error.
    async fn count_sessions(&self, users: &[UserId], now: Timestamp) -> StoreResult<u64>;

    /// At most `limit` of the user's live sessions, newest first, from the one behind `after` on: none that was
    /// revoked, cut off, or has ended by itself.
    async fn list_sessions(
        &self,
        user: UserId,
        after: Option<SessionCursor>,
        limit: u32,
    ) -> StoreResult<Vec<Session>>;

    /// How each of the user's live sessions was used, in no order.
    async fn session_uses(&self, user: UserId) -> StoreResult<Vec<SessionUse>>;

    /// A live session of the user.
    async fn find_session(&self, user: UserId, session: SessionId) -> StoreResult<Option<Session>>;
}

/// What became of a presented refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// What the caller hears.
    pub outcome: RefreshOutcome,
    /// When the session of a reused token would have ended by itself: its revocation matters until
    /// then, and is owed to the journal.
    pub ended_until: Option<Timestamp>,
}

/// A session that is to end since its account has more than `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// Whose.
    pub user: UserId,
    /// Which one.
    pub session: SessionId,
    /// How many may stand.
    pub max: u32,
}

/// How many of an account's latest evictions are remembered.
pub const EVICTIONS_REMEMBERED: u32 = 100;

/// What became of opening a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "looked at where it is answered, and never kept")]
pub enum Opening {
    /// What the caller hears.
    Settled(OpenOutcome),
    /// The user has sessions of an earlier version, which have to end first; nothing was written.
    OlderStand,
}

engine_trait! {
    /// Sessions in one engine. Each operation is atomic under any interleaving.
    pub trait SessionBackend {
        /// Opens a session, unless a security event has ended the version of its credentials, or the user has
        /// sessions of an earlier version.
        /// (model: NoSessionBelowTheCutOff)
        async fn open_session(
            &self,
            by: &Vouched,
            session: &NewSession,
            lifetimes: &SessionLifetimes,
        ) -> BackendResult<Opening>;

        /// Whether the user has any session; it may have ended by itself.
        async fn has_sessions(&self, by: &Vouched, user: UserId) -> BackendResult<bool>;

        /// As [`SessionStore::rotate`]. A session that a reused token ends is owed
        /// to the journal under `alarm`.
        async fn rotate(
            &self,
            by: &Vouched,
            token: &RefreshClaims,
            alarm: EntryId,
            lifetimes: &SessionLifetimes,
        ) -> BackendResult<Presented>;

        /// As [`SessionStore::check_refresh`], and `alarm` as above.
        async fn check_refresh(
            &self,
            by: &Vouched,
            token: &RefreshClaims,
            alarm: EntryId,
            lifetimes: &SessionLifetimes,
            on_reuse: OnReuse,
        ) -> BackendResult<Presented>;

        /// When a session ends unless it is refreshed; `None` when there is none.
        async fn session_end(
            &self,
            by: &Vouched,
            user: UserId,
            session: SessionId,
        ) -> BackendResult<Option<Timestamp>>;

        /// As [`SessionStore::evict_session`]. What is ended is owed to the journal
        /// under `entry`; answers until when that matters, and `None` where nothing was ended.
        /// (model: OwedUntilJournaled)
        async fn evict_session(
            &self,
            by: &Vouched,
            eviction: &Eviction,
            entry: EntryId,
            denial: Duration,
        ) -> BackendResult<Option<Timestamp>>;

        /// As [`SessionStore::newest_access_tokens`].
        async fn newest_access_tokens(
            &self,
            by: &Vouched,
            users: &[UserId],
        ) -> BackendResult<Vec<Option<Timestamp>>>;

        /// As [`SessionStore::count_sessions`].
        async fn count_sessions(&self, by: &Vouched, users: &[UserId], now: Timestamp) -> BackendResult<u64>;

        /// As [`SessionStore::list_sessions`].
        async fn list_sessions(
            &self,
            by: &Vouched,
            user: UserId,
            after: Option<SessionCursor>,
            limit: u32,
        ) -> BackendResult<Vec<Session>>;

        /// As [`SessionStore::session_uses`].
        async fn session_uses(&self, by: &Vouched, user: UserId) -> BackendResult<Vec<SessionUse>>;

        /// As [`SessionStore::find_session`].
        async fn find_session(
            &self,
            by: &Vouched,
            user: UserId,
            session: SessionId,
        ) -> BackendResult<Option<Session>>;
    }
}
