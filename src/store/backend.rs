//! What a token store has to be able to do, engine by engine.
//!
//! A backend remembers and judges; [`JournaledTokenStore`](super::journaled::JournaledTokenStore) is
//! what the service talks to, and sees that nothing is judged by data that may have gone back in time.
//! So each operation is told by which [`Vouched`] it is asked, and is refused ([`BackendError::Unvouched`])
//! where the data is of another (model: VouchingIsPassed).

use std::time::Duration;

use async_trait::async_trait;

use super::feed::{FeedBatch, ReaderRole, Standing};
use super::{
    AccessStatus, AccessSubject, OnReuse, OpenOutcome, Probe, RefreshOutcome, ResetGrant, ResetInsertion,
    ResetPlace, StoreError, StoreResult,
};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, KeyId, SessionId, UserId};
use crate::domain::journal::{EntryId, JournalEntry, Journaled, Link, Mark, NewEntry, VouchingId};
use crate::domain::partition::Partition;
use crate::domain::session::{NewSession, Session, SessionLifetimes};
use crate::domain::session_cap::{SessionCursor, SessionUse};
use crate::domain::tokens::{RefreshClaims, ResetClaims};
use crate::domain::user::SecurityVersion;

/// What this process has found whole: on which server, and by which vouching of each partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Which server, and which history of it.
    pub server: String,
    /// Each partition, in the order of [`Partition::all`].
    partitions: Vec<VouchedPartition>,
}

/// What a partition was found whole by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VouchedPartition {
    /// Since which loss of its data it has kept it.
    pub incarnation: i64,
    /// Which vouching.
    pub vouching: VouchingId,
}

impl Vouched {
    /// All partitions, in the order of [`Partition::all`]; `None` where one is missing.
    pub fn new(server: String, partitions: Vec<VouchedPartition>) -> Option<Self> {
        (partitions.len() == Partition::COUNT).then_some(Self { server, partitions })
    }

    /// What a partition was found whole by.
    pub fn of(&self, partition: Partition) -> VouchedPartition {
        let nothing = VouchedPartition { incarnation: 0, vouching: VouchingId::NONE };
        self.partitions.get(partition.index()).copied().unwrap_or(nothing)
    }

    /// The incarnation of each partition, in the order of [`Partition::all`].
    pub fn incarnations(&self) -> Vec<i64> {
        self.partitions.iter().map(|partition| partition.incarnation).collect()
    }
}

/// Why a backend gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The data is not what was vouched for: it was lost, or has gone back, or somebody has vouched
    /// for it anew.
    #[error("the token store's data is not what was vouched for")]
    Unvouched,
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The result of asking a backend.
pub type BackendResult<T> = Result<T, BackendError>;

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
pub enum Opening {
    /// What the caller hears.
    Settled(OpenOutcome),
    /// The user has sessions of an earlier version, which have to end first; nothing was written.
    OlderStand,
}

/// How a revocation that is carried out stands in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Here: the mark moves on over this position once all before it were carried out.
    At(Link),
    /// Nowhere yet: it is kept among those that are owed to the journal.
    Owed,
}

/// What a revocation that was carried out has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedOut {
    /// The sessions that ended; a single one that was no longer live is not among them.
    pub ended: Vec<SessionId>,
    /// What it was to the mark.
    pub placed: Placed,
}

/// What a store knows of a revocation that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It has not carried it out, or for less time than is asked for.
    Nothing,
    /// It is carried out, and its entry may be owed to the journal.
    CarriedOut,
    /// It is carried out, and its entry stands in the journal: nothing is owed to that.
    Journaled,
}

/// What a position in the journal was to the mark of its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// The mark has moved over it, or will when what lies between is carried out.
    Counted,
    /// The mark stood there already, or further on: somebody else has carried it out, or the database was
    /// restored and has given the position again.
    Passed,
    /// Another entry stands before it than the one at the mark: the database was restored.
    Diverged,
}

/// What a partition of the store says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Since which loss of its data it has kept it.
    pub incarnation: i64,
    /// The vouching that its data was last found whole by.
    pub vouching: VouchingId,
    /// Up to where the journal was carried out.
    pub mark: Mark,
    /// The server that it was vouched for on; restored data names another.
    pub seal: String,
}

/// Some entries of a partition that are carried out again, and how its mark moves over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayStep {
    /// Which one.
    pub partition: Partition,
    /// Where its mark has to stand.
    pub from: Mark,
    /// What matters of what lies behind that, in order.
    pub entries: Vec<JournalEntry>,
    /// Where its mark is to stand then.
    pub to: Mark,
}

/// A partition that begins anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartition {
    /// Which one.
    pub partition: Partition,
    /// The vouching that was read there; `None` where there was nothing.
    pub read: Option<VouchingId>,
    /// What is to stand there.
    pub state: PartitionState,
}

/// What a store says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Which server answers, and which history of it.
    pub server: String,
    /// Each partition, in the order of [`Partition::all`]; `None` where there is nothing.
    pub states: Vec<Option<PartitionState>>,
    /// Whether anything is owed to the journal.
    pub owes: bool,
    /// What the store's clock shows.
    pub time: Timestamp,
}

/// Looks at a store, and makes it whole, over one connection: what was read of its server holds for
/// all that follows.
#[async_trait]
pub trait Examination: Send + Sync {
    /// What the store says of itself.
    async fn view(&mut self) -> StoreResult<View>;

    /// Takes or keeps the lease under which one replica makes the store whole; answers whether it has
    /// it, for `term`.
    async fn lease(&mut self, holder: EntryId, term: Duration) -> StoreResult<bool>;

    /// Ends the lease, if this holder has it: the others need not wait until its term is over.
    async fn end_lease(&mut self, holder: EntryId) -> StoreResult<()>;

    /// Takes back every vouching for partitions that stand exactly as they were read: by
    /// [`VouchingId::NONE`] nothing is answered.
    /// (model: CondemnedBeforeDrawn, StepsCompareAndSet)
    async fn condemn(&mut self, partitions: &[(Partition, PartitionState)]) -> StoreResult<()>;

    /// Begins partitions anew, if they stand as they were read: with nothing, or condemned.
    /// (model: StepsCompareAndSet)
    async fn begin(&mut self, partitions: &[NewPartition]) -> StoreResult<()>;

    /// Carries out entries of the journal, those of each partition in their order, and then moves the marks.
    /// Answers for each step whether its mark has moved: not if it is not where it was to begin.
    /// (model: AppliedBeforeTheMark, StepsCompareAndSet)
    async fn replay(&mut self, steps: &[ReplayStep], denial: Duration) -> StoreResult<Vec<bool>>;

    /// Vouches for partitions that stand as they were read: `vouching` replaces theirs, and their seal
    /// becomes this server's (model: SealIsTheServer, StepsCompareAndSet).
    async fn seal(
        &mut self,
        partitions: &[(Partition, PartitionState)],
        vouching: VouchingId,
    ) -> StoreResult<()>;

    /// Revocations that were carried out and are not in the journal yet.
    async fn owed(&mut self) -> StoreResult<Vec<NewEntry>>;
}

/// A token store of one engine. Each operation is atomic under any interleaving.
#[async_trait]
pub trait TokenBackend: Send + Sync + 'static {
    /// A connection to look at the store by.
    async fn examine(&self) -> StoreResult<Box<dyn Examination>>;

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

    /// As [`TokenStore::rotate`](super::TokenStore::rotate). A session that a reused token ends is owed
    /// to the journal under `alarm`.
    async fn rotate(
        &self,
        by: &Vouched,
        token: &RefreshClaims,
        alarm: EntryId,
        lifetimes: &SessionLifetimes,
    ) -> BackendResult<Presented>;

    /// As [`TokenStore::check_refresh`](super::TokenStore::check_refresh), and `alarm` as above.
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

    /// Whether a session that is over, or a token, is revoked already, and denied until then at least; of a
    /// user that is never known. It may be announced and not have reached everybody yet.
    async fn known_revocation(
        &self,
        by: &Vouched,
        revoked: &Journaled,
        until: Timestamp,
    ) -> BackendResult<Known>;

    /// As [`TokenStore::evict_session`](super::TokenStore::evict_session). What is ended is owed to the journal
    /// under `entry`; answers until when that matters, and `None` where nothing was ended.
    /// (model: OwedUntilJournaled)
    async fn evict_session(
        &self,
        by: &Vouched,
        eviction: &Eviction,
        entry: EntryId,
        denial: Duration,
    ) -> BackendResult<Option<Timestamp>>;

    /// Carries a revocation out, or once more, and announces it; what it ends is denied for `denial`.
    async fn carry_out(
        &self,
        by: &Vouched,
        entry: &NewEntry,
        placement: Placement,
        denial: Duration,
    ) -> BackendResult<CarriedOut>;

    /// Ends everything of a user while the database is away: the cut-off takes the next version that
    /// the store knows of none for, and is owed to the journal under `entry`.
    /// (model: VersionsAreNew, OwedUntilJournaled)
    async fn cut_off_ahead(
        &self,
        by: &Vouched,
        user: UserId,
        entry: EntryId,
        until: Timestamp,
        denial: Duration,
    ) -> BackendResult<(SecurityVersion, Vec<SessionId>)>;

    /// As [`TokenStore::access_status`](super::TokenStore::access_status).
    async fn access_status(&self, by: &Vouched, token: &AccessSubject) -> BackendResult<AccessStatus>;

    /// As [`TokenStore::machine_status`](super::TokenStore::machine_status).
    async fn machine_status(&self, by: &Vouched, token: Jti, incarnation: i64)
    -> BackendResult<AccessStatus>;

    /// As [`TokenStore::newest_access_tokens`](super::TokenStore::newest_access_tokens).
    async fn newest_access_tokens(
        &self,
        by: &Vouched,
        users: &[UserId],
    ) -> BackendResult<Vec<Option<Timestamp>>>;

    /// As [`TokenStore::list_sessions`](super::TokenStore::list_sessions).
    async fn list_sessions(
        &self,
        by: &Vouched,
        user: UserId,
        after: Option<SessionCursor>,
        limit: u32,
    ) -> BackendResult<Vec<Session>>;

    /// As [`TokenStore::session_uses`](super::TokenStore::session_uses).
    async fn session_uses(&self, by: &Vouched, user: UserId) -> BackendResult<Vec<SessionUse>>;

    /// As [`TokenStore::find_session`](super::TokenStore::find_session).
    async fn find_session(
        &self,
        by: &Vouched,
        user: UserId,
        session: SessionId,
    ) -> BackendResult<Option<Session>>;

    /// As [`TokenStore::insert_reset_token`](super::TokenStore::insert_reset_token).
    async fn insert_reset_token(
        &self,
        by: &Vouched,
        token: &ResetClaims,
        place: ResetPlace,
        version: SecurityVersion,
        ttl: Duration,
    ) -> BackendResult<ResetInsertion>;

    /// As [`TokenStore::find_reset_token`](super::TokenStore::find_reset_token).
    async fn find_reset_token(&self, by: &Vouched, token: &ResetClaims) -> BackendResult<Option<ResetGrant>>;

    /// As [`TokenStore::take_reset_token`](super::TokenStore::take_reset_token).
    async fn take_reset_token(&self, by: &Vouched, token: &ResetClaims) -> BackendResult<Option<ResetGrant>>;

    /// As [`TokenStore::restore_reset_token`](super::TokenStore::restore_reset_token).
    async fn restore_reset_token(
        &self,
        by: &Vouched,
        token: &ResetClaims,
        grant: ResetGrant,
    ) -> BackendResult<()>;

    /// Returns once every replica that answers from a copy of the feed knows all that was announced.
    async fn passed_on(&self, by: &Vouched) -> BackendResult<()>;

    /// Returns once as many replicas of the store itself as the settings ask for have all that was carried
    /// out before. A store that is one file has none.
    ///
    /// # Errors
    /// Too few have it so far, or it is not known: it is carried out all the same.
    async fn replicated(&self, _: &Vouched) -> BackendResult<()> {
        Ok(())
    }

    /// Announces that a signing key was revoked; what is in the journal is announced as it is carried
    /// out.
    async fn announce_key(&self, by: &Vouched, key: &KeyId, remembered: Duration) -> BackendResult<()>;

    /// A reader of what was announced, that begins with all that still matters.
    fn reader(&self, role: ReaderRole) -> Box<dyn BackendReader>;

    /// As [`TokenStore::probe`](super::TokenStore::probe).
    async fn probe(&self, side: Probe) -> StoreResult<()>;

    /// Whether the store answers.
    async fn ping(&self) -> StoreResult<()>;
}

/// Follows what a backend announces.
#[async_trait]
pub trait BackendReader: Send {
    /// As [`RevocationReader::read`](super::feed::RevocationReader::read). Begins anew where the data
    /// was vouched for by another vouching than at the last read.
    /// (model: NewVouchingReadsAnew, ReadsWhatIsVouchedFor)
    async fn read(&mut self, by: &Vouched, wait: Duration) -> BackendResult<FeedBatch>;

    /// As [`RevocationReader::confirm`](super::feed::RevocationReader::confirm).
    async fn confirm(&mut self, by: &Vouched) -> BackendResult<Standing>;

    /// As [`RevocationReader::step_back`](super::feed::RevocationReader::step_back).
    async fn step_back(&mut self) -> StoreResult<()>;
}
