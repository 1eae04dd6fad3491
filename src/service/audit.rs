//! The audit log: noted at once, written a moment later, read by administrators.
//!
//! No request waits for the log. Entries queue in memory and one task writes them in batches, again
//! and again while the database is away. What cannot be written in the end, since the queue is full
//! or the process has to go, becomes a warning in the process's own log with everything that the entry
//! says: nothing is lost without a word. Only a process that is killed takes its queue with it.
//!
//! What strangers try is noted within bounds (`gate`), and counted beyond.

mod gate;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use self::gate::{Gate, Often, Verdict};
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

/// Entries that are written at a time.
const BATCH_MAX: usize = 500;

/// How long to wait after a failed write, at first and at most.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);

/// How long somebody who reads the log waits for what was noted before to be in it.
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

    /// Notes what happened, unless the same was noted within the last minute: what anybody can bring about
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
            // Who sees to it later has to know.
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

/// The task that writes, which ends with the last who could give it anything to write.
struct Writer {
    queue: Arc<Queue>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    fn take_task(&self) -> Option<JoinHandle<()>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.push_counted();
        self.queue.close(Ending::Brief);
    }
}

/// How the writer is to come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Tries until somebody stops it, who sees to the rest.
    Patient,
    /// Tries once; nobody is left to see to the rest.
    Brief,
}

/// What waits to be written. An entry leaves the queue when the database has it.
struct Queue {
    state: Mutex<State>,
    gate: Mutex<Gate>,
    max: usize,
    wake: Notify,
    written: watch::Sender<u64>,
}

struct State {
    waiting: VecDeque<AuditEntry>,
    /// How many were ever taken in.
    accepted: u64,
    ending: Option<Ending>,
}

impl Queue {
    fn new(max: usize) -> Self {
        let state = State { waiting: VecDeque::new(), accepted: 0, ending: None };
        Self {
            state: Mutex::new(state),
            gate: Mutex::default(),
            max,
            wake: Notify::new(),
            written: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes entries in; those for which there is no room go to the process's own log.
    fn push_all(&self, entries: impl IntoIterator<Item = AuditEntry>) {
        entries.into_iter().filter_map(|entry| self.push(entry)).for_each(|refused| log_instead(&refused));
    }

    /// Takes in what stands for what was counted so far.
    fn push_counted(&self) {
        let counted = self.gate().take_counted();
        for entry in &counted {
            tracing::warn!(
                action = %entry.action,
                count = entry.count,
                "more was tried than the audit log notes one by one"
            );
        }
        self.push_all(counted);
    }

    /// Ends when what was counted is to be written; never where nothing was.
    async fn counted_is_due(&self) {
        let due = self.gate().due();
        match due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Takes an entry in, or hands it back when there is no room or the end has come.
    fn push(&self, entry: AuditEntry) -> Option<AuditEntry> {
        let mut state = self.lock();
        if state.ending.is_some() || state.waiting.len() >= self.max {
            return Some(entry);
        }
        state.waiting.push_back(entry);
        state.accepted += 1;
        drop(state);
        self.wake.notify_one();
        None
    }

    /// The oldest that wait; they go on waiting.
    fn batch(&self) -> Vec<AuditEntry> {
        self.lock().waiting.iter().take(BATCH_MAX).cloned().collect()
    }

    /// The oldest `count` are written.
    fn done(&self, count: usize) {
        self.lock().waiting.drain(..count);
        self.written.send_modify(|written| *written += u64::try_from(count).unwrap_or(0));
    }

    fn ending(&self) -> Option<Ending> {
        self.lock().ending
    }

    fn close(&self, ending: Ending) {
        self.lock().ending.get_or_insert(ending);
        self.wake.notify_one();
    }

    /// Hands what still waits to the process's own log; answers how many.
    fn log_the_rest(&self) -> usize {
        let rest = std::mem::take(&mut self.lock().waiting);
        rest.iter().for_each(log_instead);
        rest.len()
    }
}

/// Writes what waits, until the end has come and nothing waits any more.
async fn write(queue: Arc<Queue>, log: Arc<dyn AuditStore>) {
    let mut failures = 0;
    loop {
        let batch = queue.batch();
        if batch.is_empty() {
            if queue.ending().is_some() {
                return;
            }
            tokio::select! {
                () = queue.wake.notified() => {}
                () = queue.counted_is_due() => queue.push_counted(),
            }
            continue;
        }
        match log.append_audit(&batch).await {
            Ok(()) => {
                queue.done(batch.len());
                if failures > 0 {
                    tracing::info!(failures, "the audit log is written again");
                }
                failures = 0;
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(error = %with_causes(&error), waiting = batch.len(), "the audit log cannot be written just now");
                }
                if queue.ending() == Some(Ending::Brief) {
                    queue.log_the_rest();
                    return;
                }
                tokio::time::sleep(pause_after(failures)).await;
                failures += 1;
            }
        }
    }
}

/// Twice as long after every failure in a row, up to [`RETRY_LAST`].
fn pause_after(failures: u32) -> Duration {
    RETRY_FIRST.saturating_mul(2_u32.saturating_pow(failures)).min(RETRY_LAST)
}

/// An entry that the database does not get.
fn log_instead(entry: &AuditEntry) {
    let AuditEntry { event, at, action, actor, user, session, token, address, reason, object, count } = entry;
    tracing::warn!(
        %event,
        at = at.as_millis(),
        %action,
        %actor,
        user = user.map(tracing::field::display),
        session = session.map(tracing::field::display),
        token = token.map(tracing::field::display),
        address = address.map(tracing::field::display),
        reason = reason.map(tracing::field::display),
        object,
        count,
        "audit entry that is not in the database"
    );
}

#[cfg(test)]
mod tests;
