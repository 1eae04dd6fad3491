//! The token store as the service knows it: a backend that the revocation journal keeps whole.
//!
//! Every revocation is written into the journal, in SQL, before it is acknowledged, and moves a mark on
//! in the store when it is carried out. A store that went back in time (a snapshot was restored, a
//! replica that lags was promoted) is told by its mark, by the server that it was vouched for on, or by
//! being empty. Nothing is answered by such data until what it has forgotten was carried out again; a
//! store without data begins another incarnation, in which nothing of before counts.

mod again;
mod decision;
mod evictions;
mod look;
mod owed;
mod reader;
mod repeated;
mod replay;
mod watch;

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::evictions::UNSETTLED_MAX;
use self::look::{NotVouched, Watch};
use self::owed::{OwedMemory, is_of, pending};
use self::repeated::whole_minute;
use super::backend::TokenBackend;
use super::cut_offs::CutOffOrder;
use super::denylist::{AccessStatus, AccessSubject};
use super::error::{StoreError, StoreResult};
use super::journal::RevocationJournal;
use super::patience;
use super::reset_tokens::{ResetGrant, ResetInsertion, ResetPlace};
use super::revocations::{
    CarriedOut, Known, Placed, Placement, ReaderRole, RevocationReader, RevocationStore,
};
use super::sessions::{OnReuse, OnUnknown, OpenOutcome, Opening, Presented, RefreshOutcome};
use super::token_store::{Probe, TokenStore};
use super::users::UserStore;
use super::vouching::{BackendError, BackendResult, Vouched};
use crate::domain::causes::with_causes;
use crate::domain::clock::{Clock as _, Timestamp};
use crate::domain::ids::{Jti, KeyId, SessionId, UserId};
use crate::domain::journal::{EntryId, Journaled, Link, NewEntry, VouchingId};
use crate::domain::partition::Partition;
use crate::domain::random::Random;
use crate::domain::session::{NewSession, Session, SessionLifetimes};
use crate::domain::session_cap::{SessionCursor, SessionUse};
use crate::domain::timekeeper::{Odd, Timekeeper};
use crate::domain::tokens::{RefreshClaims, ResetClaims};
use crate::domain::user::SecurityVersion;
use crate::store::{CutOffStore, DenylistStore, ResetTokenStore, SessionStore};

/// How long an operation waits for the store to be vouched for: usually that takes two round trips.
const VOUCHING_WAIT: Duration = Duration::from_millis(500);

/// How often an operation is done on what was just vouched for, before the store is given up as one that
/// changes under our hands.
const TRIES: usize = 2;

/// How much longer than its `max_staleness` a mirror is waited for: clocks run equally fast but for
/// drift.
const DRIFT_ALLOWANCE: Duration = Duration::from_millis(50);

/// How long an entry stays in the journal after it matters no more: the database's clock may be the odd
/// one.
const KEPT_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How many entries are pruned by one statement.
const PRUNE_BATCH: u32 = 1_000;

/// How many entries are pruned by one call.
pub const PRUNED_AT_ONCE: u64 = 10_000;

/// How often an entry is written once more before the operation is given up.
const REWRITES_MAX: usize = 3;

/// What became of pruning the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// How many entries were deleted.
    pub entries: u64,
    /// Whether no other is left that can be.
    pub is_all: bool,
}

/// How long revocations matter.
#[derive(Clone, Copy, Debug)]
pub struct Spans {
    /// How long an access token is denied.
    pub denial: Duration,
    /// How long a session may go without a refresh.
    pub idle: Duration,
    /// How long a session may live.
    pub absolute: Duration,
}

impl From<&SessionLifetimes> for Spans {
    fn from(lifetimes: &SessionLifetimes) -> Self {
        Self { denial: lifetimes.revocation(), idle: lifetimes.idle, absolute: lifetimes.absolute }
    }
}

/// What a journaled store is made of.
pub struct Parts {
    /// What remembers and judges.
    pub backend: Arc<dyn TokenBackend>,
    /// What every revocation is written into.
    pub journal: Arc<dyn RevocationJournal>,
    /// Accounts: they take over versions that the store has given while they were away.
    pub repository: Arc<dyn UserStore>,
    /// Time, and what is known of the store's clock.
    pub keeper: Arc<Timekeeper>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// How long revocations matter.
    pub spans: Spans,
}

/// A token store that acknowledges no revocation which a store that forgets could undo. Cheap to clone.
#[derive(Clone)]
pub struct JournaledTokenStore(Arc<Shared>);

struct Shared {
    backend: Arc<dyn TokenBackend>,
    journal: Arc<dyn RevocationJournal>,
    repository: Arc<dyn UserStore>,
    keeper: Arc<Timekeeper>,
    random: Arc<dyn Random>,
    spans: Spans,
    /// What was found whole; `None` until it is.
    vouched: ArcSwapOption<Vouched>,
    /// What was found whole last, also when it is in doubt now.
    last: ArcSwapOption<Vouched>,
    /// No revocation is acknowledged before: replicas may answer from copies of the feed that nobody
    /// knows of.
    quiet_until: StdMutex<Option<Instant>>,
    watch: tokio::sync::Mutex<Watch>,
    /// Revocations that were carried out while the journal could not be written.
    owed: StdMutex<OwedMemory>,
    /// Revocations that were begun and could not be acknowledged.
    unfinished: StdMutex<HashMap<Journaled, NewEntry>>,
    /// Held by evictions that are to be written down.
    unsettled_evictions: Arc<Semaphore>,
}

impl JournaledTokenStore {
    /// Keeps a backend whole by a journal. Nothing is asked yet.
    pub fn new(parts: Parts) -> Self {
        let Parts { backend, journal, repository, keeper, random, spans } = parts;
        let holder = EntryId::generate(&*random);
        Self(Arc::new(Shared {
            backend,
            journal,
            repository,
            keeper,
            random,
            spans,
            vouched: ArcSwapOption::empty(),
            last: ArcSwapOption::empty(),
            quiet_until: StdMutex::new(None),
            watch: tokio::sync::Mutex::new(Watch::new(holder)),
            owed: StdMutex::default(),
            unfinished: StdMutex::default(),
            unsettled_evictions: Arc::new(Semaphore::new(UNSETTLED_MAX)),
        }))
    }

    /// Looks whether the store is whole still, carries out what stands in the journal and was left
    /// behind by its writer, and writes down what is owed to it. To be done once a second. Answers how many
    /// sessions of whom that ended.
    ///
    /// # Errors
    /// A store does not answer. What was not done is done at the next look.
    pub async fn keep(&self) -> StoreResult<Vec<(UserId, usize)>> {
        self.0.keep().await
    }

    /// Deletes entries of the journal that have not mattered for a day, but no more than
    /// [`PRUNED_AT_ONCE`]. None while any clock is odd.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn prune_journal(&self) -> StoreResult<Pruned> {
        if self.0.keeper.odd() != Odd::default() {
            return Ok(Pruned { entries: 0, is_all: true });
        }
        let before = self.0.now().before(KEPT_AFTER);
        let mut entries = 0;
        while entries < PRUNED_AT_ONCE {
            let batch = self.0.journal.prune_journal(before, PRUNE_BATCH).await?;
            entries += batch;
            if batch < u64::from(PRUNE_BATCH) {
                return Ok(Pruned { entries, is_all: true });
            }
        }
        Ok(Pruned { entries, is_all: false })
    }

    /// Whether the store's data was found whole and is not in doubt.
    pub fn is_vouched(&self) -> bool {
        self.0.vouched.load().is_some()
    }

    /// Runs an operation on data that was found whole. Should it turn out to be another's by then, it
    /// is looked at once more.
    /// (model: VouchingIsPassed)
    async fn on_vouched<T, Asking>(&self, ask: impl Fn(Arc<Vouched>) -> Asking) -> StoreResult<T>
    where
        Asking: Future<Output = BackendResult<T>>,
    {
        for _ in 0..TRIES {
            let by = self.0.vouched().await?;
            match ask(by.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(BackendError::Store(error)) => return Err(error),
                Err(BackendError::Unvouched) => self.0.doubt(&by),
            }
        }
        Err(NotVouched.error())
    }

    /// Writes a revocation down, carries it out, and returns once no replica can be without it.
    /// While the journal is away it is owed, and said to be pending (model: OwedUntilJournaled).
    ///
    /// One that is nothing new, since what is revoked is denied until `known_until` already, is written down
    /// and announced no second time. It is acknowledged like the first: when its entry stands, and no replica
    /// can be without it.
    async fn revoke(
        &self,
        revoked: Journaled,
        until: Timestamp,
        known_until: Option<Timestamp>,
    ) -> StoreResult<CarriedOut> {
        let known = match known_until {
            Some(known_until) => self.known(&revoked, known_until).await,
            None => Known::Nothing,
        };
        if known == Known::Journaled {
            self.announced_is_known().await.map_err(pending)?;
            return Ok(CarriedOut { ended: Vec::new(), placed: Placed::Counted });
        }
        let unfinished = self.0.take_unfinished(&revoked, until);
        let new = || NewEntry { id: EntryId::generate(&*self.0.random), revoked, until };
        let entry = unfinished.unwrap_or_else(new);
        let done = self.write_and_carry_out(&entry, known).await;
        if done.is_err() {
            self.0.note_unfinished(entry);
        }
        done
    }

    async fn write_and_carry_out(&self, entry: &NewEntry, known: Known) -> StoreResult<CarriedOut> {
        let unwritten = match self.0.journal.append_entry(entry).await {
            Ok(link) => return self.carry_out_written(entry, link).await.map_err(pending),
            Err(unwritten) => unwritten,
        };
        tracing::warn!(error = %with_causes(&unwritten), "a revocation is owed to the journal");
        if known == Known::CarriedOut {
            // Its entry is owed, by whoever has carried it out.
            return Err(pending(unwritten));
        }
        let denial = self.0.spans.denial;
        let carry_out = |by: Arc<Vouched>| async move {
            self.0.backend.carry_out(&by, entry, Placement::Owed, denial).await
        };
        self.on_vouched(carry_out).await?;
        // Only now is it decided: with both stores away nothing is.
        self.0.remember(*entry);
        Err(pending(unwritten))
    }

    /// Carries out what stands in the journal.
    /// It is told after any wait that a new vouching asks for (model: VouchingIsWaitedOut).
    async fn carry_out_written(&self, entry: &NewEntry, link: Link) -> StoreResult<CarriedOut> {
        let carried_out = self.0.carry_out_at(entry, link).await?;
        self.replicated().await?;
        self.0.quiet().await;
        Ok(carried_out)
    }

    /// Returns once the store's own replicas have what was carried out. Should another server have taken
    /// the place of the one that did so, it was found whole since, with all that stands in the journal.
    async fn replicated(&self) -> StoreResult<()> {
        self.on_vouched(|by| async move { self.0.backend.replicated(&by).await }).await
    }

    /// A session that a reused token has ended is owed to the journal: written down beside the answer.
    fn settle_alarm(&self, token: &RefreshClaims, alarm: EntryId, presented: &Presented) {
        let Some(until) = presented.ended_until else { return };
        let revoked = Journaled::Session { user: token.user, session: token.session };
        let entry = NewEntry { id: alarm, revoked, until };
        self.0.remember(entry);
        let shared = self.0.clone();
        // Should that fail it stays owed, which is said there.
        tokio::spawn(async move { shared.settle_one(&entry).await });
    }
}

impl Shared {
    fn now(&self) -> Timestamp {
        self.keeper.now()
    }

    /// What was found whole; looked for if need be, but not for long.
    async fn vouched(self: &Arc<Self>) -> StoreResult<Arc<Vouched>> {
        if let Some(vouched) = self.vouched.load_full() {
            return Ok(vouched);
        }
        // Beside this request: the look goes on when the request is given up.
        let shared = self.clone();
        let look = tokio::spawn(async move { shared.look_if_needed().await });
        match patience::within(VOUCHING_WAIT, look).await {
            Ok(Ok(looked)) => looked?,
            Ok(Err(_)) | Err(_) => return Err(NotVouched.error()),
        }
        self.vouched.load_full().ok_or_else(|| NotVouched.error())
    }

    fn set_vouched(&self, vouched: Vouched, quiet_until: Option<Instant>) {
        let vouched = Arc::new(vouched);
        let mut quiet = self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        *quiet = quiet_until.max(*quiet);
        drop(quiet);
        self.last.store(Some(vouched.clone()));
        self.vouched.store(Some(vouched));
    }

    /// The incarnation that this process has last found; 0 where it has found none.
    /// (model: IncarnationNeverGoesBack)
    fn known_incarnation(&self, partition: Partition) -> i64 {
        self.last.load().as_ref().map_or(0, |last| last.of(partition).incarnation)
    }

    /// The vouching by which this process has last found it whole.
    fn known_vouching(&self, partition: Partition) -> VouchingId {
        self.last.load().as_ref().map_or(VouchingId::NONE, |last| last.of(partition).vouching)
    }

    fn known_server(&self) -> Option<String> {
        self.last.load().as_ref().map(|last| last.server.clone())
    }

    /// What was found whole is not what stands there: unless somebody has looked since.
    fn doubt(&self, by: &Arc<Vouched>) {
        let standing = self.vouched.load();
        if standing.as_ref().is_some_and(|standing| Arc::ptr_eq(standing, by)) {
            self.vouched.compare_and_swap(&standing, None);
        }
    }

    /// Returns once no copy of the feed is in use that nobody knows of.
    /// (model: VouchingIsWaitedOut)
    async fn quiet(&self) {
        let until = *self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = until.filter(|until| Instant::now() < *until) {
            tokio::time::sleep_until(until).await;
        }
    }

    /// Carries out an entry where it stands. Should the store be past that already, somebody else has
    /// carried it out; or it is of another history, since the database was restored and has given the
    /// position again. A look makes one history of the two. Should the entry not stand in that, it is
    /// written once more.
    ///
    /// A position at or below the mark, or off its chain, is not acknowledged before a look has joined the
    /// two histories (model: PositionsAboveTheMark).
    async fn carry_out_at(self: &Arc<Self>, entry: &NewEntry, link: Link) -> StoreResult<CarriedOut> {
        let carried_out = self.carry_out_once(entry, link).await?;
        let (mut placed, mut at) = (carried_out.placed, link.at);
        for _ in 0..REWRITES_MAX {
            if placed == Placed::Counted {
                return Ok(carried_out);
            }
            self.vouched.store(None);
            self.vouched().await?;
            let partition = entry.revoked.partition();
            if self.journal.find_entry(partition, at.position).await? == Some(at.entry) {
                return Ok(carried_out);
            }
            let again = NewEntry { id: EntryId::generate(&*self.random), ..*entry };
            let link = self.journal.append_entry(&again).await?;
            placed = self.carry_out_once(&again, link).await?.placed;
            at = link.at;
        }
        Err(NotVouched.error())
    }

    async fn carry_out_once(self: &Arc<Self>, entry: &NewEntry, link: Link) -> StoreResult<CarriedOut> {
        for _ in 0..TRIES {
            let by = self.vouched().await?;
            match self.carry_out_by(&by, entry, link).await {
                Ok(carried_out) => return Ok(carried_out),
                Err(BackendError::Store(error)) => return Err(error),
                Err(BackendError::Unvouched) => self.doubt(&by),
            }
        }
        Err(NotVouched.error())
    }

    async fn carry_out_by(&self, by: &Vouched, entry: &NewEntry, link: Link) -> BackendResult<CarriedOut> {
        self.backend.carry_out(by, entry, Placement::At(link), self.spans.denial).await
    }
}

#[async_trait]
impl SessionStore for JournaledTokenStore {
    async fn open_session(
        &self,
        session: &NewSession,
        lifetimes: &SessionLifetimes,
    ) -> StoreResult<OpenOutcome> {
        for _ in 0..TRIES {
            let open =
                |by: Arc<Vouched>| async move { self.0.backend.open_session(&by, session, lifetimes).await };
            match self.on_vouched(open).await? {
                Opening::Settled(outcome) => return Ok(outcome),
                // By an entry of the journal, as whatever ends sessions: a store that goes back revives none.
                Opening::OlderStand => {
                    self.end_older(session.subject.user, session.subject.security_version).await?;
                }
            }
        }
        Err(NotVouched.error())
    }

    async fn rotate(
        &self,
        token: &RefreshClaims,
        lifetimes: &SessionLifetimes,
    ) -> StoreResult<RefreshOutcome> {
        let alarm = EntryId::generate(&*self.0.random);
        let presented = self
            .on_vouched(|by| async move { self.0.backend.rotate(&by, token, alarm, lifetimes).await })
            .await?;
        self.settle_alarm(token, alarm, &presented);
        Ok(presented.outcome)
    }

    async fn check_refresh(
        &self,
        token: &RefreshClaims,
        lifetimes: &SessionLifetimes,
        on_reuse: OnReuse,
    ) -> StoreResult<RefreshOutcome> {
        let alarm = EntryId::generate(&*self.0.random);
        let presented = self
            .on_vouched(|by| async move {
                self.0.backend.check_refresh(&by, token, alarm, lifetimes, on_reuse).await
            })
            .await?;
        self.settle_alarm(token, alarm, &presented);
        Ok(presented.outcome)
    }

    async fn revoke_session(
        &self,
        user: UserId,
        session: SessionId,
        on_unknown: OnUnknown,
    ) -> StoreResult<bool> {
        let now = self.0.now();
        let asking = |by: Arc<Vouched>| async move { self.0.backend.session_end(&by, user, session).await };
        let (end, is_over) = match (self.on_vouched(asking).await, on_unknown) {
            (Ok(Some(end)), _) => (end, end <= now),
            (Ok(None), OnUnknown::Deny) => (now, true),
            (Ok(None), OnUnknown::Ignore) => {
                // Somebody else has ended it, and it may just have been announced.
                self.announced_is_known().await?;
                return Ok(false);
            }
            // The latest that it can be.
            (Err(_), _) => (now.after(self.0.spans.idle), false),
        };
        // Its access tokens have to be denied in any case.
        let until = whole_minute(end.max(now.after(self.0.spans.denial)));
        // No access token is minted any more for one that is over: whatever denies it still denies them all.
        let known_until = is_over.then_some(now);
        let revoked = self.revoke(Journaled::Session { user, session }, until, known_until).await?;
        Ok(!revoked.ended.is_empty())
    }

    async fn evict_session(&self, user: UserId, session: SessionId, max: u32) -> StoreResult<bool> {
        self.evict(user, session, max).await
    }

    async fn newest_access_tokens(&self, users: &[UserId]) -> StoreResult<Vec<Option<Timestamp>>> {
        self.on_vouched(|by| async move { self.0.backend.newest_access_tokens(&by, users).await }).await
    }

    async fn list_sessions(
        &self,
        user: UserId,
        after: Option<SessionCursor>,
        limit: u32,
    ) -> StoreResult<Vec<Session>> {
        self.on_vouched(|by| async move { self.0.backend.list_sessions(&by, user, after, limit).await }).await
    }

    async fn session_uses(&self, user: UserId) -> StoreResult<Vec<SessionUse>> {
        self.on_vouched(|by| async move { self.0.backend.session_uses(&by, user).await }).await
    }

    async fn find_session(&self, user: UserId, session: SessionId) -> StoreResult<Option<Session>> {
        self.on_vouched(|by| async move { self.0.backend.find_session(&by, user, session).await }).await
    }
}

#[async_trait]
impl DenylistStore for JournaledTokenStore {
    async fn revoke_access_token(&self, user: UserId, token: Jti, denial: Duration) -> StoreResult<()> {
        let until = self.0.now().after(denial);
        self.revoke(Journaled::Token { user, token }, until, Some(until)).await.map(drop)
    }

    async fn revoke_machine_token(&self, token: Jti, denial: Duration) -> StoreResult<()> {
        let until = self.0.now().after(denial);
        self.revoke(Journaled::MachineToken(token), until, Some(until)).await.map(drop)
    }

    async fn incarnation(&self, partition: Partition) -> StoreResult<i64> {
        if let Some(last) = self.0.last.load().as_ref() {
            return Ok(last.of(partition).incarnation);
        }
        Ok(self.0.vouched().await?.of(partition).incarnation)
    }

    async fn access_status(&self, token: &AccessSubject) -> StoreResult<AccessStatus> {
        self.on_vouched(|by| async move { self.0.backend.access_status(&by, token).await }).await
    }

    async fn machine_status(&self, token: Jti, incarnation: i64) -> StoreResult<AccessStatus> {
        self.on_vouched(|by| async move { self.0.backend.machine_status(&by, token, incarnation).await })
            .await
    }
}

#[async_trait]
impl ResetTokenStore for JournaledTokenStore {
    async fn insert_reset_token(
        &self,
        token: &ResetClaims,
        place: ResetPlace,
        version: SecurityVersion,
        ttl: Duration,
    ) -> StoreResult<ResetInsertion> {
        self.on_vouched(|by| async move {
            self.0.backend.insert_reset_token(&by, token, place, version, ttl).await
        })
        .await
    }

    async fn find_reset_token(&self, token: &ResetClaims) -> StoreResult<Option<ResetGrant>> {
        self.on_vouched(|by| async move { self.0.backend.find_reset_token(&by, token).await }).await
    }

    async fn take_reset_token(&self, token: &ResetClaims) -> StoreResult<Option<ResetGrant>> {
        self.on_vouched(|by| async move { self.0.backend.take_reset_token(&by, token).await }).await
    }

    async fn restore_reset_token(&self, token: &ResetClaims, grant: ResetGrant) -> StoreResult<()> {
        self.on_vouched(|by| async move { self.0.backend.restore_reset_token(&by, token, grant).await }).await
    }
}

#[async_trait]
impl CutOffStore for JournaledTokenStore {
    async fn begin_account(&self, user: UserId, version: SecurityVersion) -> StoreResult<Vec<SessionId>> {
        let ask = |by: Arc<Vouched>| async move { self.0.backend.has_sessions(&by, user).await };
        match self.on_vouched(ask).await {
            Ok(false) => Ok(Vec::new()),
            // Where nobody knows, it stands in the journal before somebody does.
            Ok(true) | Err(_) => self.end_older(user, version).await,
        }
    }

    async fn cut_off(&self, order: &CutOffOrder) -> StoreResult<Vec<SessionId>> {
        let CutOffOrder { user, version, link, until } = *order;
        let revoked = Journaled::User { user, below: version };
        let entry = NewEntry { id: link.at.entry, revoked, until };
        Ok(self.carry_out_written(&entry, link).await.map_err(pending)?.ended)
    }

    async fn cut_off_ahead(&self, user: UserId) -> StoreResult<Infallible> {
        let id = EntryId::generate(&*self.0.random);
        let (until, denial) = (self.0.now().after(self.0.spans.absolute), self.0.spans.denial);
        let (below, _) = self
            .on_vouched(|by| async move { self.0.backend.cut_off_ahead(&by, user, id, until, denial).await })
            .await?;
        self.0.remember(NewEntry { id, revoked: Journaled::User { user, below }, until });
        Err(pending(StoreError::Unavailable { store: "database", source: Box::new(Owed) }))
    }

    async fn settle_owed(&self, user: UserId) -> StoreResult<()> {
        let (mut watch, view) = self.0.looked().await?;
        let mut owed = self.0.owed(&mut watch, view.owes).await?;
        drop(watch);
        owed.retain(|entry| is_of(entry, user));
        self.0.settle(owed).await
    }
}

#[async_trait]
impl TokenStore for JournaledTokenStore {
    async fn probe(&self, side: Probe) -> StoreResult<()> {
        self.0.backend.probe(side).await
    }

    async fn ping(&self) -> StoreResult<()> {
        self.0.backend.ping().await?;
        self.0.vouched().await.map(drop)
    }
}

/// The entry of a cut-off is owed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the cut-off is carried out, and the database has to take it over")]
struct Owed;

#[async_trait]
impl RevocationStore for JournaledTokenStore {
    fn reader(&self, role: ReaderRole) -> Box<dyn RevocationReader> {
        Box::new(reader::Reader::new(self.clone(), role))
    }

    async fn announce_key(&self, key: &KeyId, remembered: Duration) -> StoreResult<()> {
        self.on_vouched(|by| async move { self.0.backend.announce_key(&by, key, remembered).await }).await?;
        self.0.quiet().await;
        Ok(())
    }
}
