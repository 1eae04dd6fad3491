//! What waits to be written into the log, and the task that writes it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::gate::Gate;
use crate::domain::audit::AuditEntry;
use crate::domain::causes::with_causes;
use crate::store::AuditStore;

/// Entries that are written at a time.
pub(super) const BATCH_MAX: usize = 500;

/// How long to wait after a failed write, at first and at most.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);

/// The task that writes. It ends with the last clone of the log.
pub(super) struct Writer {
    pub(super) queue: Arc<Queue>,
    pub(super) task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn take_task(&self) -> Option<JoinHandle<()>> {
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
pub(super) enum Ending {
    /// Tries until it is stopped; who stops it sees to the rest.
    Patient,
    /// Tries once, then hands the rest to the log of the process.
    Brief,
}

/// What waits to be written. An entry leaves the queue when the database has it.
pub(super) struct Queue {
    pub(super) state: Mutex<State>,
    gate: Mutex<Gate>,
    max: usize,
    pub(super) wake: Notify,
    pub(super) written: watch::Sender<u64>,
}

pub(super) struct State {
    pub(super) waiting: VecDeque<AuditEntry>,
    /// How many were ever taken in.
    pub(super) accepted: u64,
    ending: Option<Ending>,
}

impl Queue {
    pub(super) fn new(max: usize) -> Self {
        let state = State { waiting: VecDeque::new(), accepted: 0, ending: None };
        Self {
            state: Mutex::new(state),
            gate: Mutex::default(),
            max,
            wake: Notify::new(),
            written: watch::Sender::new(0),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes entries in; those for which there is no room go to the process's own log.
    pub(super) fn push_all(&self, entries: impl IntoIterator<Item = AuditEntry>) {
        entries.into_iter().filter_map(|entry| self.push(entry)).for_each(|refused| log_instead(&refused));
    }

    /// Takes in what stands for what was counted so far.
    pub(super) fn push_counted(&self) {
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

    pub(super) fn close(&self, ending: Ending) {
        self.lock().ending.get_or_insert(ending);
        self.wake.notify_one();
    }

    /// Hands what still waits to the process's own log; answers how many.
    pub(super) fn log_the_rest(&self) -> usize {
        let rest = std::mem::take(&mut self.lock().waiting);
        rest.iter().for_each(log_instead);
        rest.len()
    }
}

/// Writes what waits, until the end has come and nothing waits any more.
pub(super) async fn write(queue: Arc<Queue>, log: Arc<dyn AuditStore>) {
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
mod tests {
    use super::*;

    #[test]
    fn retries_slow_down_to_a_bound() {
        assert_eq!(pause_after(0), RETRY_FIRST);
        assert_eq!(pause_after(1), RETRY_FIRST * 2);
        assert_eq!(pause_after(u32::MAX), RETRY_LAST);
    }
}
