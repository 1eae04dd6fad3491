//! An entry that somebody else carries out before its writer does.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hallpass::app::SystemRandom;
use hallpass::domain::clock::{ManualClock, Timestamp};
use hallpass::domain::journal::{EntryId, JournalEntry, JournalHead, Link, Mark, NewEntry};
use hallpass::domain::partition::Partition;
use hallpass::store::backend::TokenBackend;
use hallpass::store::embedded::{EmbeddedTime, EmbeddedTokenStore};
use hallpass::store::examination::ReplayStep;
use hallpass::store::journal::RevocationJournal;
use hallpass::store::{OnUnknown, SessionStore, StoreResult};
use tempfile::TempDir;

use super::{Journal, TestStore};
use crate::token_store::support::*;

/// Who finds an entry as soon as it stands.
#[derive(Clone, Copy)]
enum By {
    /// A replica that has just started.
    ALook,
    /// One that replays, and has not moved the mark yet.
    AReplay,
}

/// A journal beside which somebody carries out each entry before its writer does.
struct Overtaken {
    by: By,
    journal: Journal,
    backend: Arc<dyn TokenBackend>,
    clock: Arc<ManualClock>,
}

impl Overtaken {
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
        let link = self.journal.store.append_entry(entry).await?;
        match self.by {
            By::ALook => self.look().await?,
            By::AReplay => self.replay(entry, link).await?,
        }
        Ok(link)
    }

    async fn journal_heads(&self) -> StoreResult<Vec<JournalHead>> {
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
        self.journal.store.mirror_staleness().await
    }
}

/// A logout is answered by what its entry has done, and by what it was asked for only once.
async fn who_writes_an_entry_has_ended_the_session(
    by: By,
    backend: Arc<dyn TokenBackend>,
    clock: Arc<ManualClock>,
) {
    let journal = Journal::new().await;
    let overtaken =
        Overtaken { by, journal: journal.clone(), backend: backend.clone(), clock: clock.clone() };
    let store = Arc::new(TestStore::asking(Arc::new(overtaken), backend, journal, clock.clone()));
    let ada = Person::new().log_in(&store, &clock).await;
    let ending = async || store.revoke_session(ada.user, ada.id, OnUnknown::Deny).await.expect("an answer");
    assert!(ending().await, "its own entry has ended it");
    assert_dead(&store, &ada).await;
    assert!(!ending().await, "once");
}

async fn in_redis(by: By) {
    let (server, clock) = (crate::support::redis::RedisServer::start(), Arc::new(ManualClock::at(START)));
    let backend = crate::redis::backend(&server, &mark(), &clock).await;
    who_writes_an_entry_has_ended_the_session(by, backend, clock).await;
}

async fn in_the_embedded_store(by: By) {
    let (folder, clock) = (TempDir::new().expect("a folder"), Arc::new(ManualClock::at(START)));
    let time = EmbeddedTime { clock: clock.clone(), keeper: None };
    let path = folder.path().join("tokens.db");
    let backend = EmbeddedTokenStore::open(&path, time, &SystemRandom).await.expect("a store");
    who_writes_an_entry_has_ended_the_session(by, Arc::new(backend), clock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_look_in_redis() {
    in_redis(By::ALook).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_replay_in_redis() {
    in_redis(By::AReplay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_look_in_the_embedded_store() {
    in_the_embedded_store(By::ALook).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_replay_in_the_embedded_store() {
    in_the_embedded_store(By::AReplay).await;
}
