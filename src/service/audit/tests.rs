use std::io;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::writer::BATCH_MAX;
use super::*;
use crate::domain::audit::{AuditAction, AuditActor, Reason};
use crate::domain::clock::ManualClock;
use crate::domain::random::Random;
use crate::domain::timekeeper::Timekeeper;
use crate::store::StoreError;

const PATIENCE: Duration = Duration::from_secs(30);

/// A database that can be away.
#[derive(Default)]
struct Database {
    away: AtomicBool,
    /// Takes the entries and then loses its answer, once.
    loses_an_answer: AtomicBool,
    entries: Mutex<Vec<AuditEntry>>,
}

impl Database {
    fn away() -> Arc<Self> {
        Arc::new(Self { away: true.into(), ..Self::default() })
    }

    fn entries(&self) -> MutexGuard<'_, Vec<AuditEntry>> {
        self.entries.lock().expect("no panic")
    }

    fn unavailable(&self) -> StoreError {
        StoreError::Unavailable { store: "database", source: Box::new(io::Error::other("away")) }
    }
}

#[async_trait]
impl AuditStore for Database {
    async fn append_audit(&self, entries: &[AuditEntry]) -> StoreResult<()> {
        if self.away.load(Ordering::SeqCst) {
            return Err(self.unavailable());
        }
        let mut kept = self.entries();
        for entry in entries {
            if kept.iter().all(|other| other.event != entry.event) {
                kept.push(entry.clone());
            }
        }
        match self.loses_an_answer.swap(false, Ordering::SeqCst) {
            true => Err(self.unavailable()),
            false => Ok(()),
        }
    }

    async fn list_audit(
        &self,
        _: &AuditFilter,
        _: Option<AuditId>,
        _: u32,
    ) -> StoreResult<Vec<RecordedEntry>> {
        Ok(Vec::new())
    }

    async fn prune_audit(&self, before: Timestamp, limit: u32) -> StoreResult<u64> {
        let mut kept = self.entries();
        let mut left = limit;
        let length = kept.len();
        kept.retain(|entry| {
            let goes = entry.at < before && left > 0;
            left -= u32::from(goes);
            !goes
        });
        Ok((length - kept.len()) as u64)
    }

    async fn audit_horizon(&self) -> StoreResult<Timestamp> {
        Ok(Timestamp::from_millis(0))
    }
}

/// The `n`th entry, at the `n`th millisecond.
pub(super) fn entry(n: u64) -> AuditEntry {
    struct Counter(u64);
    impl Random for Counter {
        fn fill(&self, bytes: &mut [u8]) {
            bytes[..8].copy_from_slice(&self.0.to_be_bytes());
        }
    }
    let at = Timestamp::from_millis(i64::try_from(n).expect("a small number"));
    AuditEntry::new(AuditAction::LoginSucceeded, AuditActor::Service, at, &Counter(n))
}

fn numbers(database: &Database) -> Vec<i64> {
    database.entries().iter().map(|entry| entry.at.as_millis()).collect()
}

#[tokio::test]
async fn entries_are_written_in_order_in_batches() {
    let database = Arc::new(Database::default());
    let audit = Audit::start(database.clone());
    let count = 3 * BATCH_MAX as u64 + 1;
    (0..count).for_each(|n| audit.record(entry(n)));
    assert!(audit.flush(PATIENCE).await);
    assert_eq!(numbers(&database), (0..count as i64).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_the_database_does_not_take_is_offered_again_until_it_does() {
    let database = Database::away();
    let audit = Audit::start(database.clone());
    audit.record(entry(1));
    assert!(!audit.flush(PATIENCE).await);
    audit.record(entry(2));
    database.away.store(false, Ordering::SeqCst);
    assert!(audit.flush(PATIENCE).await);
    assert_eq!(numbers(&database), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_writes_nothing_twice() {
    let database = Arc::new(Database { loses_an_answer: true.into(), ..Database::default() });
    let audit = Audit::start(database.clone());
    audit.record(entry(1));
    assert!(audit.flush(PATIENCE).await);
    assert_eq!(numbers(&database), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_takes_no_more_and_keeps_what_it_has() {
    let database = Database::away();
    let audit = Audit::with_room_for(2, database.clone());
    (1..=3).for_each(|n| audit.record(entry(n)));
    database.away.store(false, Ordering::SeqCst);
    assert!(audit.flush(PATIENCE).await);
    audit.record(entry(4));
    assert!(audit.flush(PATIENCE).await);
    assert_eq!(numbers(&database), [1, 2, 4]);
}

#[tokio::test(start_paused = true)]
async fn closing_writes_what_waits_and_says_what_it_could_not() {
    let database = Arc::new(Database::default());
    let audit = Audit::start(database.clone());
    (0..10).for_each(|n| audit.record(entry(n)));
    assert_eq!(audit.close(PATIENCE).await, 0);
    assert_eq!(numbers(&database).len(), 10);
    audit.record(entry(11));
    assert_eq!(audit.close(PATIENCE).await, 0, "the entry went to the log at once");
    assert_eq!(numbers(&database).len(), 10);

    let audit = Audit::start(Database::away());
    (0..10).for_each(|n| audit.record(entry(n)));
    let began = tokio::time::Instant::now();
    assert_eq!(audit.close(PATIENCE).await, 10);
    assert_eq!(began.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_a_database_that_comes_back() {
    let database = Database::away();
    let audit = Audit::start(database.clone());
    audit.record(entry(1));
    let coming_back = async {
        tokio::time::sleep(PATIENCE / 2).await;
        database.away.store(false, Ordering::SeqCst);
    };
    let (left, ()) = tokio::join!(audit.close(PATIENCE), coming_back);
    assert_eq!(left, 0);
    assert_eq!(numbers(&database), [1]);
}

#[tokio::test]
async fn what_waits_is_written_when_the_last_handle_goes() {
    let database = Arc::new(Database::default());
    let audit = Audit::start(database.clone());
    let queue = audit.writer.queue.clone();
    let mut written = queue.written.subscribe();
    audit.record(entry(1));
    drop(audit);
    tokio::time::timeout(PATIENCE, written.wait_for(|written| *written == 1))
        .await
        .expect("soon")
        .expect("open");
    assert_eq!(numbers(&database), [1]);
}

#[tokio::test(start_paused = true)]
async fn entries_go_when_their_time_is_over_and_not_before() {
    let database = Arc::new(Database::default());
    let audit = Audit::start(database.clone());
    let count = u64::from(PRUNE_BATCH) + 2;
    (0..count).for_each(|n| audit.record(entry(n)));
    assert!(audit.flush(PATIENCE).await);
    let retention = Duration::from_secs(1);
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000)));
    let pruning = tokio::spawn(
        audit.clone().keep_pruning(Arc::new(Timekeeper::new(clock.clone(), Duration::ZERO)), retention),
    );
    let all: Vec<i64> = (0..count as i64).collect();

    tokio::time::sleep(PRUNE_EVERY * 2).await;
    assert_eq!(numbers(&database), all, "the first is exactly as old as allowed");
    clock.advance(Duration::from_millis(1));
    tokio::time::sleep(PRUNE_EVERY).await;
    assert_eq!(numbers(&database), all[1..]);
    clock.advance(Duration::from_millis(count - 2));
    tokio::time::sleep(PRUNE_EVERY).await;
    assert_eq!(numbers(&database), all[all.len() - 1..], "more than one batch");
    pruning.abort();
}

#[tokio::test]
async fn what_comes_again_and_again_is_noted_once_a_minute() {
    let database = Arc::new(Database::default());
    let audit = Audit::start(database.clone());
    let times = [0, 1, 59_999, 60_000, 119_999];
    times.iter().for_each(|at| audit.record_seldom(entry(*at), None));
    let of_another_kind = |at| AuditEntry { reason: Some(Reason::RateLimited), ..entry(at) };
    times.iter().for_each(|at| audit.record_seldom(of_another_kind(at + 1_000_000), None));
    assert!(audit.flush(PATIENCE).await);
    assert_eq!(numbers(&database), [0, 60_000, 1_000_000, 1_060_000]);
}

/// The `n`th attempt of somebody, at the start.
fn attempt(n: u64) -> AuditEntry {
    let entry = AuditEntry { at: Timestamp::from_millis(0), ..entry(n) };
    AuditEntry { action: AuditAction::LoginFailed, actor: AuditActor::Anonymous, ..entry }
}

fn counts(database: &Database) -> Vec<u64> {
    database.entries().iter().filter_map(|entry| entry.count).collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_is_written_a_minute_later_whatever_else_comes() {
    let database = Arc::new(Database::default());
    let audit = Audit::start(database.clone());
    (0..1_000).for_each(|n| audit.record(attempt(n)));
    for n in 1_000..1_119 {
        audit.record(entry(n));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(counts(&database), [0_u64; 0]);
    tokio::time::sleep(Duration::from_millis(501)).await;
    assert!(audit.flush(PATIENCE).await);
    assert_eq!(counts(&database), [700], "one place has half of the entries");
    assert_eq!(database.entries().len(), 300 + 119 + 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_is_written_at_the_end() {
    let database = Arc::new(Database::default());
    let audit = Audit::start(database.clone());
    (0..301).for_each(|n| audit.record(attempt(n)));
    assert_eq!(audit.close(PATIENCE).await, 0);
    assert_eq!(counts(&database), [1]);

    let database = Arc::new(Database::default());
    let audit = Audit::start(database.clone());
    let mut written = audit.writer.queue.written.subscribe();
    (0..302).for_each(|n| audit.record(attempt(n)));
    drop(audit);
    let all = written.wait_for(|written| *written == 301);
    tokio::time::timeout(PATIENCE, all).await.expect("soon").expect("open");
    assert_eq!(counts(&database), [2]);
}
