//! The store that a journal keeps whole, and how its backend is asked.

use std::future::Future;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::found::{Found, Scope};
use super::shared::{NotVouched, Shared, Spans, TRIES, Watch};
use crate::domain::ids::UserId;
use crate::domain::journal::EntryId;
use crate::domain::partition::Partition;
use crate::domain::random::Random;
use crate::domain::timekeeper::{Odd, Timekeeper};
use crate::metrics::JournalLag;
use crate::store::backend::TokenBackend;
use crate::store::error::StoreResult;
use crate::store::journal::RevocationJournal;
use crate::store::users::UserStore;
use crate::store::vouching::{BackendError, BackendResult, Vouched};

/// How long an entry stays in the journal after it matters no more: the database's clock may be the odd
/// one.
const KEPT_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How many entries are pruned by one statement.
const PRUNE_BATCH: u32 = 1_000;

/// How many entries are pruned by one call.
pub const PRUNED_AT_ONCE: u64 = 10_000;

/// How many evictions may be carried out and not written down yet, but for what is left to the next look.
const UNSETTLED_MAX: usize = 16;

/// What became of pruning the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// How many entries were deleted.
    pub entries: u64,
    /// Whether no other is left that can be.
    pub is_all: bool,
}

/// What a journaled store is made of.
pub struct Parts {
    /// What remembers and judges.
    pub backend: Arc<dyn TokenBackend>,
    /// What every revocation is written into.
    pub journal: Arc<dyn RevocationJournal>,
    /// Accounts: they take over versions that the store has given while they were away.
    pub users: Arc<dyn UserStore>,
    /// Time, and what is known of the store's clock.
    pub keeper: Arc<Timekeeper>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// How long revocations matter.
    pub spans: Spans,
}

/// A token store that acknowledges no revocation which a store that forgets could undo. Cheap to clone.
#[derive(Clone)]
pub struct JournaledTokenStore(pub(super) Arc<Shared>);

impl JournaledTokenStore {
    /// Keeps a backend whole by a journal. Nothing is asked yet.
    pub fn new(parts: Parts) -> Self {
        let Parts { backend, journal, users, keeper, random, spans } = parts;
        let holder = EntryId::generate(&*random);
        Self(Arc::new(Shared {
            backend,
            journal,
            users,
            keeper,
            random,
            spans,
            found: Found::default(),
            quiet_until: StdMutex::new(None),
            watch: tokio::sync::Mutex::new(Watch::new(holder)),
            owed: StdMutex::default(),
            unfinished: StdMutex::default(),
            lag: StdMutex::default(),
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

    /// What the store and the journal owe to each other, as of the last look; `None` before the first one.
    pub fn journal_lag(&self) -> Option<JournalLag> {
        let lag = *self.0.lag.lock().unwrap_or_else(PoisonError::into_inner);
        let age = lag.looked?.elapsed();
        // What came since is known at once where this process has done it.
        let owed = lag.owed.max(self.0.remembered_count());
        Some(JournalLag { behind: lag.behind, owed: u64::try_from(owed).unwrap_or(u64::MAX), age })
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

    /// Whether all of the store's data was found whole and is not in doubt.
    pub fn is_vouched(&self) -> bool {
        self.0.found.standing(Scope::All).is_some()
    }

    /// Runs an operation on a partition that was found whole. Should it turn out to be another's by then, it
    /// is looked at once more.
    /// (model: VouchingIsPassed)
    pub(super) async fn on_vouched<T, Asking>(
        &self,
        partition: Partition,
        ask: impl Fn(Arc<Vouched>) -> Asking,
    ) -> StoreResult<T>
    where
        Asking: Future<Output = BackendResult<T>>,
    {
        for _ in 0..TRIES {
            let by = self.0.vouched(Scope::Of(partition)).await?;
            match ask(by.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(BackendError::Store(error)) => return Err(error),
                Err(BackendError::Unvouched) => self.0.found.doubt(&by, partition),
            }
        }
        Err(NotVouched.error())
    }

    /// The same of an operation that is about many partitions: what was found whole is compared with what stands
    /// there, and what is whole still stays so.
    pub(super) async fn on_all_vouched<T, Asking>(
        &self,
        scope: Scope,
        mut ask: impl FnMut(Arc<Vouched>) -> Asking,
    ) -> StoreResult<T>
    where
        Asking: Future<Output = BackendResult<T>>,
    {
        for _ in 0..TRIES {
            let by = self.0.vouched(scope).await?;
            match ask(by.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(BackendError::Store(error)) => return Err(error),
                Err(BackendError::Unvouched) => self.0.look_again(&by).await?,
            }
        }
        Err(NotVouched.error())
    }
}
