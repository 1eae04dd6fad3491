//! An entry that somebody else carries out before its writer does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use hallpass::app::SystemRandom;
use hallpass::domain::clock::{Clock, ManualClock, Timestamp};
use hallpass::domain::ids::UserId;
use hallpass::domain::journal::{EntryId, JournalEntry, JournalHead, Journaled, Link, Mark, NewEntry};
use hallpass::domain::partition::Partition;
use hallpass::store::backend::TokenBackend;
use hallpass::store::embedded::{EmbeddedTime, EmbeddedTokenStore};
use hallpass::store::examination::ReplayStep;
use hallpass::store::journal::RevocationJournal;
use hallpass::store::{CutOffStore, OnUnknown, SessionStore, StoreResult};
use tempfile::TempDir;

use super::{Journal, TestStore};
use crate::token_store::support::*;

/// Who finds an entry as soon as it stands.
#[derive(Clone, Copy)]
enum By {
    /// A replica that has just started.
    ALook,
    /// The same, and there is another entry behind it by then.
    ALookFurtherOn,
    /// One that replays, and has not moved the mark yet.
    AReplay,
    /// The same process, which looks every second.
    ItsOwnLook,
}

/// Much more than an answer takes, and less than [`STALENESS`].
const PATIENCE: Duration = Duration::from_secs(60);

/// How long copies of the feed are used that nobody knows of, in a crowd.
const STALENESS: Duration = Duration::from_secs(3_600);

/// How often that may be looked at for one doubt.
const LOOKS_MAX: i64 = 4;

/// A journal beside which somebody carries out each entry before its writer does.
struct Overtaken {
    by: By,
    /// Who is logged out, by somebody who has not carried that out yet, whenever the journal is looked at.
    crowd: OnceLock<UserId>,
    /// The writer.
    writer: OnceLock<Weak<TestStore>>,
    /// How often an entry was to be written down.
    written: AtomicUsize,
    /// The same, when its own look was over.
    written_at_the_look: AtomicUsize,
    journal: Journal,
    backend: Arc<dyn TokenBackend>,
    clock: Arc<ManualClock>,
}

impl Overtaken {
    async fn others_write(&self) -> StoreResult<()> {
        let Some(user) = self.crowd.get().copied() else { return Ok(()) };
        let revoked = Journaled::Session { user, session: fresh_session_id() };
        self.another_writes(revoked).await
    }

    async fn another_writes(&self, revoked: Journaled) -> StoreResult<()> {
        let until = self.clock.now().after(LIFETIMES.revocation());
        let entry = NewEntry { id: EntryId::generate(&SystemRandom), revoked, until };
        self.journal.store.append_entry(&entry).await.map(drop)
    }

    async fn look(&self) -> StoreResult<()> {
        let another = TestStore::over(self.backend.clone(), self.journal.clone(), self.clock.clone());
        another.keep().await.map(drop)
    }

    /// A step that is to begin where the mark is not moves none.
    async fn replay(&self, entry: &NewEntry, link: Link) -> StoreResult<()> {
        let partition = entry.revoked.partition();
        let elsewhere = Mark { position: link.at.position + 7, entry: EntryId::generate(&SystemRandom) };
        let found = JournalEntry { link, revoked: entry.revoked.clone(), until: entry.until };
        let step = ReplayStep { partition, from: elsewhere, entries: vec![found], to: elsewhere };
        let mut examination = self.backend.examine().await?;
        examination.view().await?;
        let moved = examination.replay(&[step], LIFETIMES.revocation()).await?;
        assert_eq!(moved, [false]);
        Ok(())
    }
}

#[async_trait]
impl RevocationJournal for Overtaken {
    async fn append_entry(&self, entry: &NewEntry) -> StoreResult<Link> {
        let is_first = self.written.fetch_add(1, Ordering::Relaxed) == 0;
        let writer = self.writer.get().and_then(Weak::upgrade);
        if let (By::ItsOwnLook, true, Some(writer)) = (self.by, is_first, writer) {
            writer.keep().await?;
            self.written_at_the_look.store(self.written.load(Ordering::Relaxed), Ordering::Relaxed);
            if let Journaled::Session { user, .. } = entry.revoked {
                writer.settle_owed(user).await?;
            }
        }
        let link = self.journal.store.append_entry(entry).await?;
        match self.by {
            By::ALook => self.look().await?,
            By::ALookFurtherOn => {
                self.another_writes(entry.revoked.clone()).await?;
                self.look().await?;
            }
            By::AReplay => self.replay(entry, link).await?,
            By::ItsOwnLook => {}
        }
        Ok(link)
    }

    async fn journal_heads(&self) -> StoreResult<Vec<JournalHead>> {
        self.others_write().await?;
        self.journal.store.journal_heads().await
    }

    async fn list_entries(
        &self,
        partition: Partition,
        after: i64,
        last: i64,
        limit: u32,
    ) -> StoreResult<Vec<JournalEntry>> {
        self.journal.store.list_entries(partition, after, last, limit).await
    }

    async fn find_entries(&self, positions: &[(Partition, i64)]) -> StoreResult<Vec<Option<EntryId>>> {
        self.journal.store.find_entries(positions).await
    }

    async fn has_hole(&self, partition: Partition, after: i64, last: i64) -> StoreResult<bool> {
        self.journal.store.has_hole(partition, after, last).await
    }

    async fn join_history(&self, partition: Partition, position: i64, join: EntryId) -> StoreResult<Mark> {
        self.journal.store.join_history(partition, position, join).await
    }

    async fn adopt_incarnation(&self, partition: Partition, incarnation: i64) -> StoreResult<()> {
        self.journal.store.adopt_incarnation(partition, incarnation).await
    }

    async fn begin_incarnation(
        &self,
        partitions: &[(Partition, i64)],
        number: i64,
    ) -> StoreResult<Vec<Partition>> {
        self.journal.store.begin_incarnation(partitions, number).await
    }

    async fn prune_journal(&self, before: Timestamp, limit: u32) -> StoreResult<u64> {
        self.journal.store.prune_journal(before, limit).await
    }

    async fn note_mirror_staleness(&self, staleness: Duration) -> StoreResult<()> {
        self.journal.store.note_mirror_staleness(staleness).await
    }

    async fn mirror_staleness(&self) -> StoreResult<Duration> {
        match self.crowd.get() {
            Some(_) => Ok(STALENESS),
            None => self.journal.store.mirror_staleness().await,
        }
    }
}

async fn overtaken(
    by: By,
    backend: Arc<dyn TokenBackend>,
    clock: &Arc<ManualClock>,
) -> (SharedStore, Arc<Overtaken>) {
    let journal = Journal::new().await;
    let overtaken = Arc::new(Overtaken {
        by,
        crowd: OnceLock::new(),
        writer: OnceLock::new(),
        written: AtomicUsize::new(0),
        written_at_the_look: AtomicUsize::new(0),
        journal: journal.clone(),
        backend: backend.clone(),
        clock: clock.clone(),
    });
    let store = Arc::new(TestStore::asking(overtaken.clone(), backend, journal, clock.clone()));
    overtaken.writer.set(Arc::downgrade(&store)).expect("the only one");
    (store, overtaken)
}

/// What was put into doubt is found whole by itself: that something is under way elsewhere in the store does not matter,
/// and nothing is waited for, since it is what it was.
async fn a_doubt_is_settled_in_a_crowd(backend: Arc<dyn TokenBackend>, clock: Arc<ManualClock>) {
    let looks = looks_at_an_end(By::ALookFurtherOn, backend, clock).await - 1;
    assert!((1..=LOOKS_MAX).contains(&looks), "the journal was looked at {looks} times");
}

/// Where the store has that very entry there is nothing to be in doubt about.
async fn what_another_has_carried_out_is_not_doubted(
    backend: Arc<dyn TokenBackend>,
    clock: Arc<ManualClock>,
) {
    assert_eq!(looks_at_an_end(By::ALook, backend, clock).await, 0);
}

/// How many entries there are in the journal besides the one that ends a session: one a look.
async fn looks_at_an_end(by: By, backend: Arc<dyn TokenBackend>, clock: Arc<ManualClock>) -> i64 {
    let (store, journal) = overtaken(by, backend, &clock).await;
    let ada = Person::new().log_in(&store, &clock).await;
    let of_another_partition = UserId::try_from(ada.user.get() + 1).expect("an id");
    let before = store.journal.count().await;
    journal.crowd.set(of_another_partition).expect("nobody so far");
    let ending = store.revoke_session(ada.user, ada.id, OnUnknown::Deny);
    let ended = tokio::time::timeout(PATIENCE, ending).await.expect("an answer in time");
    assert!(ended.expect("an answer"), "its own entry has ended it");
    assert_dead(&store, &ada).await;
    store.journal.count().await - before - 1
}

/// A logout is answered by what its entry has done, and by what it was asked for only once.
async fn who_writes_an_entry_has_ended_the_session(
    by: By,
    backend: Arc<dyn TokenBackend>,
    clock: Arc<ManualClock>,
) {
    let (store, _) = overtaken(by, backend, &clock).await;
    let ada = Person::new().log_in(&store, &clock).await;
    let ending = async || store.revoke_session(ada.user, ada.id, OnUnknown::Deny).await.expect("an answer");
    assert!(ending().await, "its own entry has ended it");
    assert_dead(&store, &ada).await;
    assert!(!ending().await, "once");
}

/// What is owed to the journal is written down beside the answer. Until that is done it counts as owed, and the looks
/// that come by leave it alone; who has to know that it is written writes it down as well.
async fn a_look_leaves_alone_what_is_being_written_down(
    backend: Arc<dyn TokenBackend>,
    clock: Arc<ManualClock>,
) {
    let (store, journal) = overtaken(By::ItsOwnLook, backend, &clock).await;
    let ada = Person::new();
    let sessions = [ada.log_in(&store, &clock).await, ada.log_in(&store, &clock).await];
    assert!(store.evict_session(ada.user, sessions[0].id, 1).await.expect("an eviction"));
    let writing = async {
        while store.journal.count().await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, writing).await.expect("an entry");
    assert_eq!(store.journal_lag().expect("a look").owed, 1);
    assert_eq!(journal.written_at_the_look.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_its_own_look_in_redis() {
    let (_server, backend, clock) = redis().await;
    a_look_leaves_alone_what_is_being_written_down(backend, clock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_its_own_look_in_the_embedded_store() {
    let (_folder, backend, clock) = embedded().await;
    a_look_leaves_alone_what_is_being_written_down(backend, clock).await;
}

async fn redis() -> (crate::support::redis::RedisServer, Arc<dyn TokenBackend>, Arc<ManualClock>) {
    let (server, clock) = (crate::support::redis::RedisServer::start(), Arc::new(ManualClock::at(START)));
    let backend = crate::redis::backend(&server, &mark(), &clock).await;
    (server, backend, clock)
}

async fn embedded() -> (TempDir, Arc<dyn TokenBackend>, Arc<ManualClock>) {
    let (folder, clock) = (TempDir::new().expect("a folder"), Arc::new(ManualClock::at(START)));
    let time = EmbeddedTime { clock: clock.clone(), keeper: None };
    let path = folder.path().join("tokens.db");
    let backend = EmbeddedTokenStore::open(&path, time, &SystemRandom).await.expect("a store");
    (folder, Arc::new(backend), clock)
}

async fn in_redis(by: By) {
    let (_server, backend, clock) = redis().await;
    who_writes_an_entry_has_ended_the_session(by, backend, clock).await;
}

async fn in_the_embedded_store(by: By) {
    let (_folder, backend, clock) = embedded().await;
    who_writes_an_entry_has_ended_the_session(by, backend, clock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_crowd_in_redis() {
    let (_server, backend, clock) = redis().await;
    a_doubt_is_settled_in_a_crowd(backend, clock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_crowd_in_the_embedded_store() {
    let (_folder, backend, clock) = embedded().await;
    a_doubt_is_settled_in_a_crowd(backend, clock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_doubt_in_redis() {
    let (_server, backend, clock) = redis().await;
    what_another_has_carried_out_is_not_doubted(backend, clock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_doubt_in_the_embedded_store() {
    let (_folder, backend, clock) = embedded().await;
    what_another_has_carried_out_is_not_doubted(backend, clock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_look_in_redis() {
    in_redis(By::ALook).await;
    in_redis(By::ALookFurtherOn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_replay_in_redis() {
    in_redis(By::AReplay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_look_in_the_embedded_store() {
    in_the_embedded_store(By::ALook).await;
    in_the_embedded_store(By::ALookFurtherOn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_replay_in_the_embedded_store() {
    in_the_embedded_store(By::AReplay).await;
}
