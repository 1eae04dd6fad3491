//! This process's copy of the revocation feed: what it tells validators elsewhere, and how sure it
//! is of it.

mod copy;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use hallpass_verify::{AccessClaims, RevocationStatus};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use self::copy::FeedCopy;
pub use self::copy::{Cursor, CursorError};
use super::error::Stale;
use crate::domain::causes::with_causes;
use crate::domain::clock::{Clock as _, Timestamp};
use crate::domain::random::{self, Random};
use crate::domain::revocation::{Revoked, ValidationMode};
use crate::domain::timekeeper::Timekeeper;
use crate::store::StoreResult;
use crate::store::revocations::{FeedBatch, ReaderRole, RevocationReader, RevocationStore, Standing};

/// How long one read of the feed waits for something to come: without revocations the copy is
/// confirmed this often.
const READ_WAIT: Duration = Duration::from_millis(250);

/// How long to wait after the feed could not be read.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// How many entries may come before those that have ended are dropped.
const PRUNE_EVERY: usize = 4_096;

/// Entries of the copy, and the place behind the last of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries {
    /// What is revoked, oldest first.
    pub revocations: Vec<hallpass_verify::Revocation>,
    /// Where to go on.
    pub cursor: Cursor,
    /// Up to when nothing is missing, by [`Revocations::clock`].
    pub complete_until: Timestamp,
}

/// The copy, and the task that keeps it up to date. Cheap to clone.
#[derive(Clone)]
pub struct Revocations(Arc<Shared>);

struct Shared {
    feed: Arc<dyn RevocationStore>,
    keeper: Arc<Timekeeper>,
    /// How long a revocation matters.
    memory: Duration,
    mode: ValidationMode,
    /// What others know this copy by.
    name: Uuid,
    random: Arc<dyn Random>,
    copy: RwLock<FeedCopy>,
    /// Rings when something was added or confirmed.
    bell: watch::Sender<()>,
    /// Rings when a signing key was revoked.
    key_bell: watch::Sender<()>,
    is_closed: AtomicBool,
    /// Whether nobody waits for this copy any more.
    has_stepped_back: watch::Sender<bool>,
}

impl Revocations {
    /// An empty copy of the feed, which is not up to date before it is followed.
    pub fn new(
        feed: Arc<dyn RevocationStore>,
        keeper: Arc<Timekeeper>,
        random: Arc<dyn Random>,
        memory: Duration,
        mode: ValidationMode,
    ) -> Self {
        Self(Arc::new(Shared {
            feed,
            keeper,
            memory,
            mode,
            name: random::uuid(&*random),
            copy: RwLock::new(FeedCopy::new(random::uuid(&*random))),
            random,
            bell: watch::Sender::new(()),
            key_bell: watch::Sender::new(()),
            is_closed: AtomicBool::new(false),
            has_stepped_back: watch::Sender::new(false),
        }))
    }

    /// Everything that still matters.
    ///
    /// # Errors
    /// [`Stale`].
    pub fn snapshot(&self) -> Result<Entries, Stale> {
        self.entries(None)
    }

    /// What came behind `cursor`; all of it where that is not of this process, or of long ago.
    ///
    /// # Errors
    /// [`Stale`].
    pub fn since(&self, cursor: Cursor) -> Result<Entries, Stale> {
        self.entries(Some(cursor))
    }

    fn entries(&self, from: Option<Cursor>) -> Result<Entries, Stale> {
        let now = self.clock();
        let copy = self.copy();
        let complete_until = copy.complete_until().ok_or(Stale)?;
        let from = from.filter(|cursor| cursor.copy == copy.id).map(|cursor| cursor.position);
        let revocations = copy.from(from).filter(|entry| now.as_secs() < entry.exp).cloned().collect();
        let cursor = Cursor { copy: copy.id, position: copy.end() };
        Ok(Entries { revocations, cursor, complete_until })
    }

    /// What the clock shows by which it is told up to when nothing is missing: the token store's, whichever
    /// replica answers. Whoever follows the feed compares the two, and nothing else with either.
    pub fn clock(&self) -> Timestamp {
        self.0.keeper.store_time()
    }

    /// Whether the copy held everything a moment ago.
    /// (model: StaleSaysNothing)
    pub fn is_fresh(&self) -> bool {
        self.copy().is_fresh()
    }

    /// How old the copy is; `None` before there is one.
    pub fn age(&self) -> Option<Duration> {
        self.copy().age()
    }

    /// Whether the copy speaks against a token with these claims. Which key has signed it is not looked
    /// at: the ring knows those that were revoked.
    ///
    /// # Errors
    /// [`Stale`].
    pub fn is_revoked(&self, claims: &AccessClaims) -> Result<bool, Stale> {
        let copy = self.copy();
        if !copy.is_fresh() {
            return Err(Stale);
        }
        Ok(copy.speaks_against(claims))
    }

    /// What the copy says of a token with these claims, which is in time at `now`; `None` where the
    /// token store is to be asked.
    pub(super) fn status(&self, claims: &AccessClaims, now: Timestamp) -> Option<RevocationStatus> {
        // The copy forgets what concerns expired tokens only.
        if claims.exp <= now.as_secs() {
            return None;
        }
        let is_revoked = self.answering_copy()?.speaks_against(claims);
        Some(if is_revoked { RevocationStatus::Revoked } else { RevocationStatus::Live })
    }

    /// Whether the copy answers in place of the token store just now.
    pub fn answers(&self) -> bool {
        self.answering_copy().is_some()
    }

    /// The copy, while it may be used in place of the token store (model: StaleSaysNothing).
    fn answering_copy(&self) -> Option<RwLockReadGuard<'_, FeedCopy>> {
        let ValidationMode::Mirror { max_staleness } = self.0.mode else { return None };
        Some(self.copy()).filter(|copy| copy.answers(self.0.keeper.monotonic(), max_staleness))
    }

    fn copy(&self) -> RwLockReadGuard<'_, FeedCopy> {
        self.0.copy.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn copy_mut(&self) -> RwLockWriteGuard<'_, FeedCopy> {
        self.0.copy.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rings whenever the copy has grown or was confirmed.
    pub fn listen(&self) -> watch::Receiver<()> {
        self.0.bell.subscribe()
    }

    /// Rings whenever a signing key was revoked.
    pub fn listen_for_keys(&self) -> watch::Receiver<()> {
        self.0.key_bell.subscribe()
    }

    /// The service stops: whoever listens is to go, and nobody is to wait for this copy any more.
    pub fn close(&self) {
        self.0.is_closed.store(true, Ordering::Release);
        self.0.bell.send_replace(());
    }

    /// Whether the service stops.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed.load(Ordering::Acquire)
    }

    /// Returns once nobody waits for this copy any more, after [`close`](Self::close).
    pub async fn has_stepped_back(&self) {
        if self.0.mode == ValidationMode::Strict {
            return;
        }
        // The sender is here as long as we are.
        let _ = self.0.has_stepped_back.subscribe().wait_for(|stepped_back| *stepped_back).await;
    }

    /// Keeps the copy up to date for as long as it is polled.
    pub async fn keep_following(self) {
        let role = match self.0.mode {
            ValidationMode::Strict => ReaderRole::Observer,
            ValidationMode::Mirror { max_staleness } => {
                ReaderRole::Mirror { name: self.0.name, max_staleness }
            }
        };
        let mut reader = self.0.feed.reader(role);
        loop {
            if let Err(error) = self.follow(&mut *reader).await {
                // Whether anybody waits for this copy is not known: a Redis that lost its data would
                // not know it either.
                self.copy_mut().answers_since = None;
                tracing::debug!(
                    error = %with_causes(&error),
                    "the revocation feed cannot be followed"
                );
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }

    /// One read.
    /// What it makes good counts from when it began (model: FreshFromTheBeginning), and for a mirror alone
    /// (model: OnlyMembersAnswer).
    async fn follow(&self, reader: &mut dyn RevocationReader) -> StoreResult<()> {
        if self.is_closed() && !*self.0.has_stepped_back.borrow() {
            self.copy_mut().answers_since = None;
            reader.step_back().await?;
            self.0.has_stepped_back.send_replace(true);
        }
        // Whatever was announced before this moment is in what comes back.
        let began = (Instant::now(), self.0.keeper.monotonic());
        let batch = reader.read(READ_WAIT).await?;
        self.take_in(batch, began);
        let standing = reader.confirm().await?;
        match standing {
            Standing::Mirror => self.copy_mut().answers_since = Some(began),
            Standing::CatchingUp => {}
            Standing::Observer => self.copy_mut().answers_since = None,
        }
        Ok(())
    }

    /// A read that was not all there is makes nothing fresh (model: OnlyCompleteReadsCount).
    fn take_in(&self, batch: FeedBatch, (began, _): (Instant, Duration)) {
        let now = batch.as_of;
        let key_was_revoked =
            batch.announced.iter().any(|revocation| matches!(revocation.revoked, Revoked::Key(_)));
        let mut copy = self.copy_mut();
        copy.settle_on(batch.vouching, &batch.incarnations, now.after(self.0.memory), || {
            random::uuid(&*self.0.random)
        });
        for revocation in &batch.announced {
            copy.add(revocation);
        }
        if batch.is_complete {
            copy.confirmed = Some((began, now));
        }
        if copy.added_since_pruned >= PRUNE_EVERY {
            copy.prune(now);
        }
        drop(copy);
        self.0.bell.send_replace(());
        if key_was_revoked {
            self.0.key_bell.send_replace(());
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::domain::clock::ManualClock;
    use crate::domain::ids::KeyId;
    use crate::domain::journal::VouchingId;
    use crate::domain::partition::Partition;
    use crate::store::revocations::ReaderRole;

    const START: Timestamp = Timestamp::from_millis(1_796_169_600_500);

    struct Zeros;

    impl Random for Zeros {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    /// Is read by the readers of the test alone.
    struct NoFeed;

    #[async_trait]
    impl RevocationStore for NoFeed {
        fn reader(&self, _: ReaderRole) -> Box<dyn RevocationReader> {
            unreachable!("the test has readers of its own")
        }

        async fn announce_key(&self, _: &KeyId, _: Duration) -> StoreResult<()> {
            Ok(())
        }
    }

    /// Reads nothing, which takes its time.
    struct Slow {
        clock: Arc<ManualClock>,
        takes: Duration,
        is_complete: bool,
    }

    #[async_trait]
    impl RevocationReader for Slow {
        async fn read(&mut self, _: Duration) -> StoreResult<FeedBatch> {
            let as_of = self.clock.now();
            self.clock.advance(self.takes);
            Ok(FeedBatch {
                announced: Vec::new(),
                vouching: VouchingId::new(1),
                incarnations: vec![1; Partition::COUNT],
                as_of,
                is_complete: self.is_complete,
            })
        }

        async fn confirm(&mut self) -> StoreResult<Standing> {
            Ok(Standing::Observer)
        }

        async fn step_back(&mut self) -> StoreResult<()> {
            Ok(())
        }
    }

    /// What is revoked while a read is under way may be missing from it.
    #[tokio::test]
    async fn a_copy_is_complete_up_to_when_its_last_complete_read_began() {
        let clock = Arc::new(ManualClock::at(START));
        let memory = Duration::from_secs(900);
        let copy = Revocations::new(
            Arc::new(NoFeed),
            Arc::new(Timekeeper::new(clock.clone(), Duration::ZERO)),
            Arc::new(Zeros),
            memory,
            ValidationMode::Strict,
        );
        let takes = Duration::from_millis(300);
        let mut reader = Slow { clock: clock.clone(), takes, is_complete: true };
        copy.follow(&mut reader).await.unwrap();
        assert_eq!(copy.snapshot().unwrap().complete_until, START);
        assert_eq!(copy.clock(), START.after(takes));
        copy.follow(&mut Slow { is_complete: false, ..reader }).await.unwrap();
        assert_eq!(copy.snapshot().unwrap().complete_until, START, "not all was read");
    }
}
