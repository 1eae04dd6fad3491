//! The token store as the service knows it: a backend that the revocation journal keeps whole.
//!
//! Every revocation is written into the journal, in SQL, before it is acknowledged, and moves a mark on
//! in the store when it is carried out. A store that went back in time (a snapshot was restored, a
//! replica that lags was promoted) is told by its mark, by the server that it was vouched for on, or by
//! being empty. Nothing is answered by such data until what it has forgotten was carried out again; a
//! store without data begins another incarnation, in which nothing of before counts.

mod decision;
mod reader;
mod watch;

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use tokio::time::Instant;

use self::watch::{NotVouched, Watch};
use super::backend::{
    BackendError, BackendResult, CarriedOut, Placed, Placement, Presented, TokenBackend, Vouched,
};
use super::feed::{ReaderRole, RevocationFeed, RevocationReader};
use super::journal::RevocationJournal;
use super::patience;
use super::{
    AccessStatus, AccessSubject, CutOffOrder, OnReuse, OnUnknown, OpenOutcome, Probe, RefreshOutcome,
    Repository, ResetGrant, StoreError, StoreResult, TokenStore,
};
use crate::domain::causes::with_causes;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::{Jti, KeyId, SessionId, UserId};
use crate::domain::journal::{EntryId, EventEntry, Journaled, Link, NewEntry, VouchingId};
use crate::domain::partition::Partition;
use crate::domain::random::Random;
use crate::domain::session::{Session, SessionLifetimes};
use crate::domain::tokens::{RefreshClaims, ResetClaims};

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

/// How many entries are pruned at a time.
const PRUNE_BATCH: u32 = 1_000;

/// How often an entry is written once more before the operation is given up.
const REWRITES_MAX: usize = 3;

/// The most owed entries that this process remembers; beyond that the store alone does.
const REMEMBERED_MAX: usize = 100_000;

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
    pub repository: Arc<dyn Repository>,
    /// Time.
    pub clock: Arc<dyn Clock>,
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
    repository: Arc<dyn Repository>,
    clock: Arc<dyn Clock>,
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
    owed: StdMutex<Vec<NewEntry>>,
}

impl JournaledTokenStore {
    /// Keeps a backend whole by a journal. Nothing is asked yet.
    pub fn new(parts: Parts) -> Self {
        let Parts { backend, journal, repository, clock, random, spans } = parts;
        let holder = EntryId::generate(&*random);
        Self(Arc::new(Shared {
            backend,
            journal,
            repository,
            clock,
            random,
            spans,
            vouched: ArcSwapOption::empty(),
            last: ArcSwapOption::empty(),
            quiet_until: StdMutex::new(None),
            watch: tokio::sync::Mutex::new(Watch::new(holder)),
            owed: StdMutex::new(Vec::new()),
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

    /// Deletes entries of the journal that have not mattered for a day; answers how many.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn prune_journal(&self) -> StoreResult<u64> {
        let before = self.0.clock.now().before(KEPT_AFTER);
        let mut pruned = 0;
        loop {
            let batch = self.0.journal.prune_journal(before, PRUNE_BATCH).await?;
            pruned += batch;
            if batch < u64::from(PRUNE_BATCH) {
                return Ok(pruned);
            }
        }
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
    async fn revoke(&self, revoked: Journaled, until: Timestamp, now: Timestamp) -> StoreResult<CarriedOut> {
        let entry = NewEntry { id: EntryId::generate(&*self.0.random), revoked, until };
        match self.0.journal.append_entry(&entry).await {
            Ok(link) => self.carry_out_written(&entry, link).await.map_err(pending),
            Err(unwritten) => {
                tracing::warn!(error = %with_causes(&unwritten), "a revocation is owed to the journal");
                let denial = self.0.spans.denial;
                let carry_out = |by: Arc<Vouched>| async move {
                    self.0.backend.carry_out(&by, &entry, Placement::Owed, now, denial).await
                };
                self.on_vouched(carry_out).await?;
                // Only now is it decided: with both stores away nothing is.
                self.0.remember(entry);
                Err(pending(unwritten))
            }
        }
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

    /// Until when the end of a session matters; `None` where nothing is to be ended.
    async fn end_of(
        &self,
        user: UserId,
        session: SessionId,
        on_unknown: OnUnknown,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let asking = |by: Arc<Vouched>| async move { self.0.backend.session_end(&by, user, session).await };
        let end = match (self.on_vouched(asking).await, on_unknown) {
            (Ok(Some(end)), _) => end,
            (Ok(None), OnUnknown::Deny) => now,
            (Ok(None), OnUnknown::Ignore) => return None,
            // The latest that it can be.
            (Err(_), _) => now.after(self.0.spans.idle),
        };
        // Its access tokens have to be denied in any case.
        Some(end.max(now.after(self.0.spans.denial)))
    }

    /// A session that a reused token has ended is owed to the journal: written down beside the answer.
    fn settle_alarm(&self, token: &RefreshClaims, alarm: EntryId, presented: &Presented) {
        let Some(until) = presented.ended_until else { return };
        let revoked = Journaled::Session { user: token.user, session: token.session };
        let entry = NewEntry { id: alarm, revoked, until };
        self.0.remember(entry);
        let shared = self.0.clone();
        tokio::spawn(async move {
            if let Err(error) = shared.settle_one(&entry).await {
                tracing::warn!(error = %with_causes(&error), "the end of a session whose token was reused is owed to the journal");
            }
        });
    }
}

/// A revocation that is decided, and not complete for this cause.
fn pending(cause: StoreError) -> StoreError {
    match cause {
        StoreError::RevocationPending(_) => cause,
        cause => StoreError::RevocationPending(Box::new(cause)),
    }
}

impl Shared {
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

    fn remember(&self, entry: NewEntry) {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        if owed.len() < REMEMBERED_MAX {
            owed.push(entry);
        }
    }

    fn remembered(&self) -> Vec<NewEntry> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn forget(&self, id: EntryId) {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner).retain(|entry| entry.id != id);
    }

    /// Writes down what is owed, and carries it out where it stands.
    /// Forgotten only then (model: OwedUntilJournaled).
    async fn settle_one(self: &Arc<Self>, entry: &NewEntry) -> StoreResult<()> {
        let link = self.write_down(entry).await?;
        self.carry_out_at(entry, link).await?;
        self.forget(entry.id);
        Ok(())
    }

    /// Writes down what is owed. A version that the store has given is the account's from then on.
    async fn write_down(&self, entry: &NewEntry) -> StoreResult<Link> {
        if let Journaled::User { user, below } = entry.revoked {
            let event = EventEntry { id: entry.id, at: self.clock.now(), until: entry.until };
            if let Some(event) = self.repository.raise_security_version(user, below, event).await? {
                return Ok(event.link);
            }
        }
        self.journal.append_entry(entry).await
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
        let (placement, now) = (Placement::At(link), self.clock.now());
        self.backend.carry_out(by, entry, placement, now, self.spans.denial).await
    }
}

#[async_trait]
impl TokenStore for JournaledTokenStore {
    async fn open_session(&self, session: &Session, now: Timestamp) -> StoreResult<OpenOutcome> {
        self.on_vouched(|by| async move { self.0.backend.open_session(&by, session, now).await }).await
    }

    async fn rotate(
        &self,
        token: &RefreshClaims,
        now: Timestamp,
        lifetimes: &SessionLifetimes,
    ) -> StoreResult<RefreshOutcome> {
        let alarm = EntryId::generate(&*self.0.random);
        let presented = self
            .on_vouched(|by| async move { self.0.backend.rotate(&by, token, alarm, now, lifetimes).await })
            .await?;
        self.settle_alarm(token, alarm, &presented);
        Ok(presented.outcome)
    }

    async fn check_refresh(
        &self,
        token: &RefreshClaims,
        now: Timestamp,
        lifetimes: &SessionLifetimes,
        on_reuse: OnReuse,
    ) -> StoreResult<RefreshOutcome> {
        let alarm = EntryId::generate(&*self.0.random);
        let presented = self
            .on_vouched(|by| async move {
                self.0.backend.check_refresh(&by, token, alarm, now, lifetimes, on_reuse).await
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
        now: Timestamp,
        _denial: Duration,
    ) -> StoreResult<bool> {
        let Some(until) = self.end_of(user, session, on_unknown, now).await else {
            // Somebody else has ended it, and it may just have been announced.
            self.on_vouched(|by| async move { self.0.backend.passed_on(&by).await }).await?;
            self.replicated().await.map_err(pending)?;
            self.0.quiet().await;
            return Ok(false);
        };
        let revoked = self.revoke(Journaled::Session { user, session }, until, now).await?;
        Ok(!revoked.ended.is_empty())
    }

    async fn revoke_access_token(
        &self,
        user: UserId,
        token: Jti,
        now: Timestamp,
        denial: Duration,
    ) -> StoreResult<()> {
        self.revoke(Journaled::Token { user, token }, now.after(denial), now).await.map(drop)
    }

    async fn revoke_machine_token(&self, token: Jti, now: Timestamp, denial: Duration) -> StoreResult<()> {
        self.revoke(Journaled::MachineToken(token), now.after(denial), now).await.map(drop)
    }

    async fn cut_off(
        &self,
        order: &CutOffOrder,
        _now: Timestamp,
        _denial: Duration,
    ) -> StoreResult<Vec<SessionId>> {
        let CutOffOrder { user, version, link, until } = *order;
        let revoked = Journaled::User { user, below: version };
        let entry = NewEntry { id: link.at.entry, revoked, until };
        Ok(self.carry_out_written(&entry, link).await.map_err(pending)?.ended)
    }

    async fn cut_off_ahead(&self, user: UserId, now: Timestamp, denial: Duration) -> StoreResult<Infallible> {
        let id = EntryId::generate(&*self.0.random);
        let until = now.after(self.0.spans.absolute);
        let (below, _) = self
            .on_vouched(
                |by| async move { self.0.backend.cut_off_ahead(&by, user, id, until, now, denial).await },
            )
            .await?;
        self.0.remember(NewEntry { id, revoked: Journaled::User { user, below }, until });
        Err(pending(StoreError::Unavailable { store: "database", source: Box::new(Owed) }))
    }

    async fn settle_owed(&self) -> StoreResult<()> {
        let mut watch = self.0.watch.lock().await;
        let view = self.0.look(&mut watch).await?;
        let owed = self.0.owed(&mut watch, view.owes).await?;
        drop(watch);
        self.0.settle(owed).await
    }

    async fn incarnation(&self, partition: Partition) -> StoreResult<i64> {
        if let Some(last) = self.0.last.load().as_ref() {
            return Ok(last.of(partition).incarnation);
        }
        Ok(self.0.vouched().await?.of(partition).incarnation)
    }

    async fn access_status(&self, token: &AccessSubject, now: Timestamp) -> StoreResult<AccessStatus> {
        self.on_vouched(|by| async move { self.0.backend.access_status(&by, token, now).await }).await
    }

    async fn machine_status(
        &self,
        token: Jti,
        incarnation: i64,
        now: Timestamp,
    ) -> StoreResult<AccessStatus> {
        self.on_vouched(|by| async move { self.0.backend.machine_status(&by, token, incarnation, now).await })
            .await
    }

    async fn newest_access_tokens(
        &self,
        users: &[UserId],
        now: Timestamp,
    ) -> StoreResult<Vec<Option<Timestamp>>> {
        self.on_vouched(|by| async move { self.0.backend.newest_access_tokens(&by, users, now).await }).await
    }

    async fn list_sessions(&self, user: UserId, now: Timestamp) -> StoreResult<Vec<Session>> {
        self.on_vouched(|by| async move { self.0.backend.list_sessions(&by, user, now).await }).await
    }

    async fn insert_reset_token(
        &self,
        token: &ResetClaims,
        grant: ResetGrant,
        now: Timestamp,
    ) -> StoreResult<()> {
        self.on_vouched(|by| async move { self.0.backend.insert_reset_token(&by, token, grant, now).await })
            .await
    }

    async fn find_reset_token(&self, token: &ResetClaims, now: Timestamp) -> StoreResult<Option<ResetGrant>> {
        self.on_vouched(|by| async move { self.0.backend.find_reset_token(&by, token, now).await }).await
    }

    async fn take_reset_token(&self, token: &ResetClaims, now: Timestamp) -> StoreResult<Option<ResetGrant>> {
        self.on_vouched(|by| async move { self.0.backend.take_reset_token(&by, token, now).await }).await
    }

    async fn restore_reset_token(
        &self,
        token: &ResetClaims,
        grant: ResetGrant,
        now: Timestamp,
    ) -> StoreResult<()> {
        self.on_vouched(|by| async move { self.0.backend.restore_reset_token(&by, token, grant, now).await })
            .await
    }

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
impl RevocationFeed for JournaledTokenStore {
    fn reader(&self, role: ReaderRole) -> Box<dyn RevocationReader> {
        Box::new(reader::Reader::new(self.clone(), role))
    }

    async fn announce_key(&self, key: &KeyId, until: Timestamp, now: Timestamp) -> StoreResult<()> {
        self.on_vouched(|by| async move { self.0.backend.announce_key(&by, key, until, now).await }).await?;
        self.0.quiet().await;
        Ok(())
    }
}
