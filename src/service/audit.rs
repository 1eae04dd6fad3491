//! The audit log: noted at once, written a moment later, read by administrators.
//!
//! No request waits for the log. Entries queue in memory and one task writes them in batches, again
//! and again while the database is away. What cannot be written in the end, since the queue is full
//! or the process has to go, becomes a warning in the process's own log with everything that the entry
//! says: nothing is lost without a word. Only a process that is killed takes its queue with it.
//!
//! What strangers try is noted within bounds (`gate`), and counted beyond.

mod gate;
mod writer;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::gate::{Often, Verdict};
use self::writer::{Ending, Queue, Writer, write};
use super::caller::Administrator;
use super::error::Result;
use super::named_in_log;
use crate::domain::audit::{AuditEntry, AuditFilter, AuditId, RecordedEntry};
use crate::domain::causes::with_causes;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::rate_limit::AccountMark;
use crate::domain::timekeeper::{Odd, Timekeeper};
use crate::store::{AuditStore, StoreResult};

/// Entries that may wait while the database is away: at 50 logins a second, some minutes' worth.
const QUEUE_MAX: usize = 16_384;

/// How long a reader of the log waits for what was noted before to be in it.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// How often entries whose time is over are looked for, how soon again after a failure, and how many
/// go at a time.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);
const PRUNE_AGAIN_AFTER: Duration = Duration::from_secs(60);
const PRUNE_BATCH: u32 = 1_000;

/// A page of the log.
#[derive(Clone, Debug)]
pub struct AuditPage {
    /// The entries, newest first.
    pub entries: Vec<RecordedEntry>,
    /// Before which entry the next page begins, if there is one.
    pub next: Option<AuditId>,
}

/// The audit log. Cheap to clone; when the last clone goes, what still waits is written.
#[derive(Clone)]
pub struct Audit {
    log: Arc<dyn AuditStore>,
    writer: Arc<Writer>,
}

impl Audit {
    /// Begins to write what will be noted. Must be called within a tokio runtime.
    pub fn start(log: Arc<dyn AuditStore>) -> Self {
        Self::with_room_for(QUEUE_MAX, log)
    }

    fn with_room_for(queue_max: usize, log: Arc<dyn AuditStore>) -> Self {
        let queue = Arc::new(Queue::new(queue_max));
        let task = tokio::spawn(write(queue.clone(), log.clone()));
        let writer = Writer { queue, task: Mutex::new(Some(task)) };
        Self { log, writer: Arc::new(writer) }
    }

    /// Notes what happened. Never waits. Of what strangers have merely tried so much is noted a minute, and
    /// the rest as one entry of its kind, which says how many it stands for.
    pub fn record(&self, entry: AuditEntry) {
        self.note(entry, Often::Always);
    }

    /// Notes what happened, unless the same was noted within the last minute: what strangers can bring about
    /// as often as they like must not fill the log. It is the same if it comes from the same place and is
    /// `about` the same account.
    pub fn record_seldom(&self, entry: AuditEntry, about: Option<AccountMark>) {
        self.note(entry, Often::Seldom(about));
    }

    fn note(&self, entry: AuditEntry, often: Often) {
        named_in_log::whom(&entry);
        let queue = &self.writer.queue;
        let (verdict, due) = queue.gate().judge(&entry, often);
        queue.push_all(due);
        match verdict {
            Verdict::Noted => queue.push_all([entry]),
            // The task sees to it later.
            Verdict::Counted => queue.wake.notify_one(),
            Verdict::Repeated => {}
        }
    }

    /// Waits until everything that was noted here so far is written, for `patience` at most; answers
    /// whether it is.
    pub async fn flush(&self, patience: Duration) -> bool {
        let queue = &self.writer.queue;
        let wanted = queue.lock().accepted;
        let mut written = queue.written.subscribe();
        // An error of the channel cannot be: its sender stands in the queue.
        tokio::time::timeout(patience, written.wait_for(|written| *written >= wanted)).await.is_ok()
    }

    /// Writes what waits, for `patience` at most, and takes nothing more: what the database does not
    /// take, and what is noted from now on, goes to the process's own log. Answers how many entries
    /// went there.
    pub async fn close(&self, patience: Duration) -> usize {
        self.writer.queue.push_counted();
        self.writer.queue.close(Ending::Patient);
        let Some(mut task) = self.writer.take_task() else { return 0 };
        if tokio::time::timeout(patience, &mut task).await.is_err() {
            task.abort();
            // Aborted, or just done: either way it writes no more.
            let _ = task.await;
        }
        self.writer.queue.log_the_rest()
    }

    /// A page of the log, newest first, from the entry before `before` on. What this process has noted
    /// so far is in it, if the database takes it within a second.
    ///
    /// # Errors
    /// [`Error::Store`](super::error::Error::Store).
    pub async fn list(
        &self,
        _by: Administrator,
        filter: &AuditFilter,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<AuditPage> {
        self.flush(FLUSH_PATIENCE).await;
        let mut entries = self.log.list_audit(filter, before, limit.saturating_add(1)).await?;
        let page_size = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = entries.len() > page_size;
        entries.truncate(page_size);
        let next = entries.last().map(|entry| entry.id).filter(|_| more);
        Ok(AuditPage { entries, next })
    }

    /// Since when the log is whole: entries of before may have been pruned.
    ///
    /// # Errors
    /// [`Error::Store`](super::error::Error::Store).
    pub async fn horizon(&self, _by: Administrator) -> Result<Timestamp> {
        Ok(self.log.audit_horizon().await?)
    }

    /// Deletes the entries of before `before`; answers how many.
    ///
    /// # Errors
    /// The database's: some may be gone already.
    pub async fn prune(&self, before: Timestamp) -> StoreResult<u64> {
        let mut pruned = 0;
        loop {
            let batch = self.log.prune_audit(before, PRUNE_BATCH).await?;
            pruned += batch;
            if batch < u64::from(PRUNE_BATCH) {
                return Ok(pruned);
            }
        }
    }

    /// Deletes entries that are older than `retention` for as long as it is polled.
    pub async fn keep_pruning(self, keeper: Arc<Timekeeper>, retention: Duration) {
        loop {
            if keeper.odd() != Odd::default() {
                // Nothing goes by a clock that may be wrong.
                tokio::time::sleep(PRUNE_AGAIN_AFTER).await;
                continue;
            }
            let pause = match self.prune(keeper.now().before(retention)).await {
                Ok(pruned) => {
                    if pruned > 0 {
                        tracing::info!(pruned, "audit entries deleted, since their time is over");
                    }
                    PRUNE_EVERY
                }
                Err(error) => {
                    tracing::warn!(error = %with_causes(&error), "old audit entries cannot be deleted just now");
                    PRUNE_AGAIN_AFTER
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests;
