//! What is owed to the journal: revocations that were carried out while it could not be written.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use futures_util::{StreamExt, stream};

use super::shared::{OwedMemory, Shared, Watch};
use crate::domain::causes::with_causes;
use crate::domain::ids::UserId;
use crate::domain::journal::{EntryId, EventEntry, Journaled, Link, NewEntry};
use crate::store::error::{StoreError, StoreResult};

/// The most owed entries that this process remembers; beyond that the store alone does.
const REMEMBERED_MAX: usize = 100_000;

/// How many entries are written down at once.
const SETTLED_AT_ONCE: usize = 16;

/// Held while an entry is written down, by whoever is the first to do so.
struct Settling<'a> {
    shared: &'a Shared,
    id: EntryId,
}

impl<'a> Settling<'a> {
    fn begin(shared: &'a Shared, id: EntryId) -> Option<Self> {
        let is_first = shared.owed_memory().settling.insert(id);
        is_first.then(|| Self { shared, id })
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        self.shared.owed_memory().settling.remove(&self.id);
    }
}

impl Shared {
    fn owed_memory(&self) -> std::sync::MutexGuard<'_, OwedMemory> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remember(&self, entry: NewEntry) {
        let mut owed = self.owed_memory();
        if owed.entries.len() < REMEMBERED_MAX {
            owed.entries.insert(entry.id, entry);
        }
    }

    fn remembered(&self) -> Vec<NewEntry> {
        self.owed_memory().entries.values().cloned().collect()
    }

    /// How many this process remembers.
    pub(super) fn remembered_count(&self) -> usize {
        self.owed_memory().entries.len()
    }

    fn forget(&self, id: EntryId) {
        let mut owed = self.owed_memory();
        owed.entries.remove(&id);
        owed.failing.remove(&id);
    }

    /// Notes that an entry could not be written down; answers whether that is news.
    fn note_failure(&self, id: EntryId) -> bool {
        let mut owed = self.owed_memory();
        owed.failing.len() < REMEMBERED_MAX && owed.failing.insert(id)
    }

    /// What is owed to the journal: by the store, and by this process's memory.
    pub(super) async fn owed(&self, watch: &mut Watch, store_owes: bool) -> StoreResult<Vec<NewEntry>> {
        let mut owed = self.remembered();
        if store_owes && let Some(mut examination) = watch.examination.take() {
            owed.extend(examination.owed().await?);
            watch.examination = Some(examination);
        }
        let mut seen = HashSet::new();
        owed.retain(|entry| seen.insert(entry.id));
        Ok(owed)
    }

    /// Of these the ones that nobody here is writing down: a look comes by every second, and the database may take
    /// its time.
    pub(super) fn left_alone(&self, mut owed: Vec<NewEntry>) -> Vec<NewEntry> {
        let memory = self.owed_memory();
        owed.retain(|entry| !memory.settling.contains(&entry.id));
        owed
    }

    /// Writes that down, each entry for itself: one that cannot be written stays owed and holds up no other.
    /// Answers what it said of the last one that could not.
    /// (model: OwedUntilJournaled)
    pub(super) async fn settle(self: &Arc<Self>, owed: Vec<NewEntry>) -> StoreResult<()> {
        let settling = owed.into_iter().map(|entry| {
            let shared = self.clone();
            async move { shared.settle_one(&entry).await }
        });
        let settled: Vec<StoreResult<()>> =
            stream::iter(settling).buffer_unordered(SETTLED_AT_ONCE).collect().await;
        settled.into_iter().rfind(Result::is_err).unwrap_or(Ok(()))
    }

    /// Writes down what is owed, and carries it out where it stands.
    /// Forgotten only then (model: OwedUntilJournaled).
    pub(super) async fn settle_one(self: &Arc<Self>, entry: &NewEntry) -> StoreResult<()> {
        let _settling = Settling::begin(self, entry.id);
        let settled = async {
            let link = self.write_down(entry).await?;
            self.carry_out_at(entry, link).await.map(drop)
        };
        match settled.await {
            Ok(()) => self.forget(entry.id),
            Err(error) => {
                if self.note_failure(entry.id) {
                    tracing::warn!(entry = entry.id.get(), error = %with_causes(&error), "a revocation stays owed to the journal");
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Writes down what is owed. A version that the store has given is the account's from then on.
    async fn write_down(&self, entry: &NewEntry) -> StoreResult<Link> {
        if let Journaled::User { user, below } = entry.revoked {
            let event = EventEntry { id: entry.id, at: self.now(), until: entry.until };
            if let Some(event) = self.users.raise_security_version(user, below, event).await? {
                return Ok(event.link);
            }
        }
        self.journal.append_entry(entry).await
    }
}

/// Whether an entry is about a user.
pub(super) fn is_of(entry: &NewEntry, of: UserId) -> bool {
    match entry.revoked {
        Journaled::Session { user, .. } | Journaled::User { user, .. } | Journaled::Token { user, .. } => {
            user == of
        }
        Journaled::MachineToken(_) | Journaled::Client(_) => false,
    }
}

/// A revocation that is decided, and not complete for this cause.
pub(super) fn pending(cause: StoreError) -> StoreError {
    match cause {
        StoreError::RevocationPending(_) => cause,
        cause => StoreError::RevocationPending(Box::new(cause)),
    }
}
