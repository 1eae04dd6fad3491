//! What a journaled store remembers, and what it has found whole.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::found::{Found, Scope, Whole};
use crate::domain::clock::{Clock as _, Timestamp};
use crate::domain::journal::{EntryId, Journaled, Mark, NewEntry};
use crate::domain::partition::Partition;
use crate::domain::random::Random;
use crate::domain::session::SessionLifetimes;
use crate::domain::timekeeper::Timekeeper;
use crate::store::backend::TokenBackend;
use crate::store::error::{StoreError, StoreResult};
use crate::store::examination::{Examination, View};
use crate::store::journal::RevocationJournal;
use crate::store::patience;
use crate::store::users::UserStore;
use crate::store::vouching::Vouched;

/// How long an operation waits for the store to be vouched for: usually that takes two round trips.
const VOUCHING_WAIT: Duration = Duration::from_millis(500);

/// How often an operation is done on what was just vouched for, before the store is given up as one that
/// changes under our hands.
pub(super) const TRIES: usize = 2;

/// For how long one replica has the task of making the store whole, unless it goes on.
pub(super) const LEASE: Duration = Duration::from_secs(2);

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

pub(super) struct Shared {
    pub(super) backend: Arc<dyn TokenBackend>,
    pub(super) journal: Arc<dyn RevocationJournal>,
    pub(super) users: Arc<dyn UserStore>,
    pub(super) keeper: Arc<Timekeeper>,
    pub(super) random: Arc<dyn Random>,
    pub(super) spans: Spans,
    pub(super) found: Found,
    /// No revocation is acknowledged before: replicas may answer from copies of the feed that nobody
    /// knows of.
    pub(super) quiet_until: StdMutex<Option<Instant>>,
    pub(super) watch: tokio::sync::Mutex<Watch>,
    /// Revocations that were carried out while the journal could not be written.
    pub(super) owed: StdMutex<OwedMemory>,
    /// Revocations that were begun and could not be acknowledged.
    pub(super) unfinished: StdMutex<HashMap<Journaled, NewEntry>>,
    /// What the last look at both has found.
    pub(super) lag: StdMutex<Lag>,
    /// Held by evictions that are to be written down.
    pub(super) unsettled_evictions: Arc<Semaphore>,
}

/// What is remembered from look to look.
pub(super) struct Watch {
    pub(super) examination: Option<Box<dyn Examination>>,
    /// The furthest mark that was seen at any look, of each partition. What this process has carried out
    /// since its last look is not among them: a look compares with what was known when it began.
    /// (model: HighMarkIsCompared)
    pub(super) seen: Vec<Mark>,
    /// Where the journal stood at the last look: what is behind the mark since then was not carried out
    /// by whoever wrote it.
    pub(super) stood: Vec<i64>,
    /// Under which name this process has the lease.
    pub(super) holder: EntryId,
    pub(super) failed: Option<Instant>,
    /// When another replica was last found to make the store whole.
    pub(super) taken: Option<Instant>,
}

/// What the token store owed to the journal, and the reverse, at a look at both.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lag {
    /// Entries that stood in the journal at the look before, and were not carried out yet.
    pub(super) behind: u64,
    /// Revocations that were not in the journal yet.
    pub(super) owed: usize,
    /// `None` before the first look.
    pub(super) looked: Option<Instant>,
}

/// What this process remembers of it.
#[derive(Default)]
pub(super) struct OwedMemory {
    pub(super) entries: HashMap<EntryId, NewEntry>,
    /// Those that could not be written down when they were tried, which is said once of each.
    pub(super) failing: HashSet<EntryId>,
    /// Those that somebody here is writing down.
    pub(super) settling: HashSet<EntryId>,
}

impl Shared {
    pub(super) fn now(&self) -> Timestamp {
        self.keeper.now()
    }

    /// Notes what a look at the store and the journal has found.
    pub(super) fn note_lag(&self, note: impl FnOnce(&mut Lag)) {
        note(&mut self.lag.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What was found whole; looked for if need be, but not for long.
    pub(super) async fn vouched(self: &Arc<Self>, scope: Scope) -> StoreResult<Arc<Vouched>> {
        if let Some(vouched) = self.found.standing(scope) {
            return Ok(vouched);
        }
        // Beside this request: the look goes on when the request is given up.
        let shared = self.clone();
        let look = tokio::spawn(async move { shared.look_if_needed(scope).await });
        let looked = patience::within(VOUCHING_WAIT, look).await;
        // Whatever became of the others.
        self.found.standing(scope).ok_or_else(|| match looked {
            Ok(Ok(Err(error))) => error,
            Ok(Ok(Ok(())) | Err(_)) | Err(_) => NotVouched.error(),
        })
    }

    /// Notes which partitions were found whole, and until when nothing is acknowledged therefore.
    pub(super) fn note_whole(&self, whole: &[Whole], quiet_until: Option<Instant>) {
        let mut quiet = self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        *quiet = quiet_until.max(*quiet);
        drop(quiet);
        self.found.note_whole(whole);
    }

    /// Returns once no copy of the feed is in use that nobody knows of.
    /// (model: VouchingIsWaitedOut)
    pub(super) async fn quiet(&self) {
        let until = *self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = until.filter(|until| Instant::now() < *until) {
            tokio::time::sleep_until(until).await;
        }
    }
}

impl Watch {
    pub(super) fn new(holder: EntryId) -> Self {
        let (seen, stood) = (vec![Mark::START; Partition::COUNT], vec![0; Partition::COUNT]);
        Self { examination: None, seen, stood, holder, failed: None, taken: None }
    }

    /// What was found whole has all that was seen before, or is of another incarnation.
    pub(super) fn note(&mut self, view: &View) {
        // Where nobody answers, what was seen before is what is known.
        for (seen, state) in self.seen.iter_mut().zip(&view.states) {
            if let Some(state) = state {
                *seen = state.mark;
            }
        }
    }

    /// Whether another replica is waited for: it has been found at work since its last lease.
    pub(super) fn waits(&self) -> bool {
        self.taken.is_some_and(|taken| taken.elapsed() < LEASE)
    }

    pub(super) fn seen(&self, partition: Partition) -> Mark {
        self.seen.get(partition.index()).copied().unwrap_or(Mark::START)
    }
}

/// Nobody has looked successfully yet.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the token store may have gone back in time, and what it has forgotten is not made good yet")]
pub(super) struct NotVouched;

impl NotVouched {
    pub(super) fn error(self) -> StoreError {
        StoreError::Unavailable { store: "token store", source: Box::new(self) }
    }
}
