//! What must be kept, as traits: the service layer knows these and no driver.
//!
//! - [`Repository`] keeps what must last (SQL): accounts and signing keys.
//! - [`AuditLog`] keeps what happened, beside them.
//! - [`RevocationJournal`](journal::RevocationJournal) keeps every revocation there, before it is
//!   acknowledged.
//! - [`TokenStore`] keeps what is short-lived and read on every request: sessions, the denylist, reset
//!   tokens. It is a [`TokenBackend`](backend::TokenBackend), Redis or the embedded store, that the
//!   journal keeps [whole](journaled).
//! - [`RateLimitStore`] counts attempts, in the same place as the token store.
//!
//! A method is one *atomic operation* of the domain, never a get followed by a set. Verbs: `find_*`
//! may be absent, `list_*` pages, `insert_*` adds, `take_*` reads and deletes once, `revoke_*` is
//! idempotent. Expected outcomes are values; an error means that the answer is not known.
//!
//! Where a moment decides, the token store's own clock does: callers say how long, never when. A test
//! clock can be laid over it.

mod audit;
pub mod backend;
mod breaker;
pub mod clients;
pub mod deployment;
pub mod embedded;
pub mod feed;
pub mod journal;
pub mod journaled;
mod patience;
pub mod rate_limits;
pub mod redis;
pub mod signing_keys;
pub mod sql;
pub mod unreachable;

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
pub use rate_limits::{RateLimitStore, Take};

pub use audit::AuditLog;

use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::journal::{EventEntry, Link};
use crate::domain::partition::Partition;
use crate::domain::password::PasswordHash;
use crate::domain::rate_limit::PlaceMark;
use crate::domain::session::{NewSession, Session, SessionLifetimes, Timeout};
use crate::domain::session_cap::{SessionCursor, SessionUse};
use crate::domain::tokens::{RefreshClaims, ResetClaims};
use crate::domain::user::{AccountChange, ImportedUser, NewUser, ProfileChange, SecurityVersion, User};

/// The store could not answer. Never a verdict about a token or a password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Out of reach, too slow, or full: the same call may succeed later.
    #[error("{store} is unavailable")]
    Unavailable {
        /// Which store: `database` or `token store`.
        store: &'static str,
        /// What the driver said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A revocation is decided and will be complete by itself, but is not yet: the token store has
    /// carried it out and the journal lacks its entry, or the other way round.
    #[error("the revocation is not complete yet")]
    RevocationPending(#[source] Box<StoreError>),
    /// Something is stored that means nothing.
    #[error("corrupt entry in {place} for {key}: {problem}")]
    Corrupt {
        /// Table and column, or kind of key.
        place: &'static str,
        /// Which entry; never a secret.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The result of asking a store.
pub type StoreResult<T> = Result<T, StoreError>;

/// What became of a registration.
#[derive(Clone, Debug)]
pub enum InsertUserOutcome {
    /// The account exists now.
    Inserted(User),
    /// Another account has the address. Of several concurrent inserts exactly one wins.
    EmailTaken,
}

/// What became of a change of an account.
#[derive(Clone, Debug)]
pub enum ChangeOutcome {
    /// The account as it was and as it is now, at a new security version.
    Changed {
        /// Before the change.
        before: User,
        /// After it.
        after: Box<SecurityEvent>,
    },
    /// The account was like that already; nothing was written.
    Unchanged(User),
    /// There is no such account.
    NotFound,
    /// It would leave nobody who can log in as an administrator; nothing was written. Of several
    /// concurrent changes that would together, one is refused.
    LastAdmin,
    /// Another account has the address; nothing was written.
    EmailTaken,
}

/// What became of deleting an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// The account is gone.
    Deleted(CutOffOrder),
    /// There is no such account.
    NotFound,
    /// It would leave nobody who can log in as an administrator; nothing was written.
    LastAdmin,
}

/// A cut-off to be carried out: everything of the user from before `version` ends. It stands in the
/// journal, so whoever finds it carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutOffOrder {
    /// Whose.
    pub user: UserId,
    /// The first version that still counts. For an account that was deleted that is one which it
    /// never had.
    pub version: SecurityVersion,
    /// Where it stands.
    pub link: Link,
    /// Until when it matters.
    pub until: Timestamp,
}

/// A change of an account that moved its security version on.
#[derive(Clone, Debug)]
pub struct SecurityEvent {
    /// The account as it is now.
    pub user: User,
    /// Where its cut-off stands in the journal.
    pub link: Link,
    /// Until when that matters.
    pub until: Timestamp,
}

impl From<&SecurityEvent> for CutOffOrder {
    fn from(event: &SecurityEvent) -> Self {
        Self {
            user: event.user.id,
            version: event.user.security_version,
            link: event.link,
            until: event.until,
        }
    }
}

/// Accounts, in SQL. What moves a security version on writes the entry of the journal in the same
/// commit.
#[async_trait]
pub trait Repository: Send + Sync + 'static {
    /// Adds an account. The unique constraint on the address decides, not a look before.
    async fn insert_user(&self, user: &NewUser) -> StoreResult<InsertUserOutcome>;

    /// Adds the accounts whose address nobody has, in one transaction, and answers how many these
    /// are. The others are left as they stand, so that the same call can be made again. Their security
    /// versions are of `now`, whenever they were made where they come from.
    async fn insert_users(&self, users: &[ImportedUser], now: Timestamp) -> StoreResult<u64>;

    /// How many of these addresses have an account; one that is named twice counts once.
    async fn count_emails(&self, emails: &[Email]) -> StoreResult<u64>;

    /// The account of that id.
    async fn find_user(&self, id: UserId) -> StoreResult<Option<User>>;

    /// The account of that address.
    async fn find_user_by_email(&self, email: &Email) -> StoreResult<Option<User>>;

    /// At most `limit` accounts in the order of their ids, from the one after `after` on.
    async fn list_users(&self, after: Option<UserId>, limit: u32) -> StoreResult<Vec<User>>;

    /// Whether there is an administrator whose account is enabled; with `verified`, one whose address is
    /// proven as well.
    async fn has_administrator(&self, verified: bool) -> StoreResult<bool>;

    /// Changes names; `None` when there is no such account.
    async fn update_profile(&self, id: UserId, change: &ProfileChange) -> StoreResult<Option<User>>;

    /// Sets a new password and moves the security version on, if it still is `expected`; answers
    /// the account as it is then. Of several concurrent changes exactly one wins, the others get
    /// `None`.
    async fn change_password(
        &self,
        id: UserId,
        expected: SecurityVersion,
        password: &PasswordHash,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>>;

    /// Sets a new password whatever the version, moves it on, and answers the account as it is
    /// then; `None` when there is none.
    async fn set_password(
        &self,
        id: UserId,
        password: &PasswordHash,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>>;

    /// Changes role, state or address, and moves the security version on.
    async fn change_account(
        &self,
        id: UserId,
        change: &AccountChange,
        entry: EventEntry,
    ) -> StoreResult<ChangeOutcome>;

    /// Moves the security version on and changes nothing else: a kick, or a log-out everywhere.
    /// Answers the account as it is then; `None` when there is none.
    async fn advance_security_version(
        &self,
        id: UserId,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>>;

    /// Moves the security version on to `version` where it is behind that: the token store has ended
    /// what is older. `None` when it is there already, or there is no such account.
    async fn raise_security_version(
        &self,
        id: UserId,
        version: SecurityVersion,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>>;

    /// Deletes an account. Its id is never given again.
    async fn delete_user(&self, id: UserId, entry: EventEntry) -> StoreResult<DeleteOutcome>;

    /// Notes that the owner has proven the address theirs; answers whether the account still has it.
    async fn verify_email(&self, id: UserId, email: &Email) -> StoreResult<bool>;

    /// Replaces the hash of an unchanged password (higher cost parameters), if it still is `from`.
    /// The security version stays. Answers whether the hash was replaced.
    async fn rehash_password(&self, id: UserId, from: &PasswordHash, to: &PasswordHash) -> StoreResult<bool>;

    /// What the database's own clock shows; `None` where it has none: a file is on this machine.
    async fn time(&self) -> StoreResult<Option<Timestamp>>;

    /// Whether the database answers.
    async fn ping(&self) -> StoreResult<()>;
}

/// What became of opening a session.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What an access token names that a revocation could concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessSubject {
    /// Claim `sub`.
    pub user: UserId,
    /// Claim `sid`.
    pub session: SessionId,
    /// Claim `jti`.
    pub token: Jti,
    /// Claim `inc`: in which incarnation of the user's partition it was minted.
    pub incarnation: i64,
}

/// What a reset token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetGrant {
    /// The version of the account that it was issued under: it changes the password of that one.
    pub version: SecurityVersion,
    /// When it ends.
    pub deadline: Timestamp,
    /// Where it was asked for.
    pub place: PlaceMark,
}

/// Where a reset token is asked for. An account has one for each place, its newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetPlace {
    /// The place.
    pub mark: PlaceMark,
    /// How many places may have a token of the account at once for this one to get its first.
    pub room: u32,
}

/// What came of a reset token that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetInsertion {
    /// It is kept, unless a security event came between, which has voided it.
    Kept,
    /// As many places as there is room for have tokens that are live: nothing was changed.
    Full,
}

/// Whether an access token still stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessStatus {
    /// Nothing speaks against it.
    Live,
    /// Revoked: by itself, with its session, or with all of the user's.
    Revoked,
    /// The store has lost its data since the token was issued, so a revocation may be lost too.
    StoreLost,
}

/// A side of the token store that can be there without the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// What it holds can be read.
    Read,
    /// What it holds can be taken away and revoked: a full store still does that.
    Revoke,
    /// New things can be put in.
    Write,
}

/// Sessions, the denylist and reset tokens. Each method is atomic under any interleaving.
///
/// Whoever gets a live session from `rotate` or `check_refresh` mints an access token for it, so
/// both note the moment as the session's `issued_at`.
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// Opens a session, unless a security event has ended the version of its credentials. Sessions of the user
    /// of an earlier version end before that: they are an earlier holder's of that id, or a security event is
    /// about to end them.
    async fn open_session(
        &self,
        session: &NewSession,
        lifetimes: &SessionLifetimes,
    ) -> StoreResult<OpenOutcome>;

    /// Sees that a new account has nothing of an earlier holder of its id: a database that was restored gives
    /// ids again, and there may be sessions of theirs. Answers those that ended.
    ///
    /// # Errors
    /// [`StoreError::RevocationPending`] also where it is not known whether there are any.
    async fn begin_account(&self, user: UserId, version: SecurityVersion) -> StoreResult<Vec<SessionId>>;

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
    /// without it; [`StoreError::RevocationPending`] when one of these is not known yet.
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

    /// Denies one access token for `denial`, for as long as anybody could accept it; its session lives on.
    async fn revoke_access_token(&self, user: UserId, token: Jti, denial: Duration) -> StoreResult<()>;

    /// Denies a machine's access token, as above.
    async fn revoke_machine_token(&self, token: Jti, denial: Duration) -> StoreResult<()>;

    /// The cut-off of a security event: ends every session of the user that was opened under a
    /// version before the ordered one, denies their access tokens, refuses sessions that
    /// are still being opened under an older version, and voids outstanding reset tokens.
    /// Answers the sessions that ended.
    async fn cut_off(&self, order: &CutOffOrder) -> StoreResult<Vec<SessionId>>;

    /// The same while the database is away, which the answer ([`StoreError::RevocationPending`]) says:
    /// the version is the next that the store knows of, and the database takes it over when it is back.
    async fn cut_off_ahead(&self, user: UserId) -> StoreResult<Infallible>;

    /// Writes down what is owed to the journal of that user, now: of their security events in particular.
    async fn settle_owed(&self, user: UserId) -> StoreResult<()>;

    /// In which incarnation a partition is: what is minted in it names that.
    async fn incarnation(&self, partition: Partition) -> StoreResult<i64>;

    /// Whether an access token still stands.
    async fn access_status(&self, token: &AccessSubject) -> StoreResult<AccessStatus>;

    /// Whether a machine's access token that was minted in that incarnation still stands.
    async fn machine_status(&self, token: Jti, incarnation: i64) -> StoreResult<AccessStatus>;

    /// For each user, when the newest access token of their live sessions was minted; `None` for a
    /// user without one. In the order of `users`.
    async fn newest_access_tokens(&self, users: &[UserId]) -> StoreResult<Vec<Option<Timestamp>>>;

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

    /// Keeps a reset token of that version of the account for `ttl`. An earlier one of the user that was
    /// asked for at the same place is void from then on; those of other places are not touched.
    async fn insert_reset_token(
        &self,
        token: &ResetClaims,
        place: ResetPlace,
        version: SecurityVersion,
        ttl: Duration,
    ) -> StoreResult<ResetInsertion>;

    /// The grant of a reset token, if it is the newest of its place and unused. Consumes nothing.
    async fn find_reset_token(&self, token: &ResetClaims) -> StoreResult<Option<ResetGrant>>;

    /// Consumes a reset token, and voids all others of the user. Of several concurrent calls exactly one
    /// gets the grant.
    async fn take_reset_token(&self, token: &ResetClaims) -> StoreResult<Option<ResetGrant>>;

    /// Puts back a reset token that was taken for a change which then could not be made, unless
    /// a newer one of its place stands there. Tokens of other places do not keep it out.
    async fn restore_reset_token(&self, token: &ResetClaims, grant: ResetGrant) -> StoreResult<()>;

    /// Does what that side of the store is there for, on something that nobody needs.
    async fn probe(&self, side: Probe) -> StoreResult<()>;

    /// Whether the store answers, with data that can be relied on.
    async fn ping(&self) -> StoreResult<()>;
}
