//! Stores that go back in time: the file of the embedded store and the database, restored from copies.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hallpass::app::SystemRandom;
use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::store::embedded::{EmbeddedTime, EmbeddedTokenStore};
use hallpass::store::{AccessStatus, DenylistStore, OnUnknown, SessionStore, TokenStore};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

use super::{Journal, TestStore};
use crate::token_store::SharedStore;
use crate::token_store::support::*;

/// A folder with both.
struct Stores {
    folder: Arc<TempDir>,
    clock: Arc<ManualClock>,
}

/// Both while they are in use.
struct Opened {
    store: SharedStore,
    tokens: Arc<EmbeddedTokenStore>,
}

impl Opened {
    /// Afterwards all is in the files.
    async fn close(self) {
        self.tokens.close().await;
        self.store.journal.store.close().await;
        // Who works beside the calls gets an answer, and lets go of the file.
        let tokens = Arc::downgrade(&self.tokens);
        drop(self);
        while tokens.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

impl Deref for Opened {
    type Target = SharedStore;

    fn deref(&self) -> &SharedStore {
        &self.store
    }
}

/// What can be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restored {
    Tokens,
    Database,
}

impl Stores {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(START));
        Self { folder: Arc::new(TempDir::new().expect("a folder")), clock }
    }

    fn tokens(&self) -> PathBuf {
        self.folder.path().join("tokens.db")
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("hallpass.db")
    }

    /// Both, as a process that has just begun has them.
    async fn open(&self) -> Opened {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let tokens = EmbeddedTokenStore::open(
            &self.tokens(),
            EmbeddedTime { clock: clock.clone(), keeper: None },
            &SystemRandom,
        )
        .await;
        let tokens = Arc::new(tokens.expect("a store"));
        let journal = Journal::in_folder(self.folder.clone()).await;
        let store = Arc::new(TestStore::over(tokens.clone(), journal, clock));
        Opened { store, tokens }
    }

    /// Files of closed stores: what was written is in them.
    fn copy(&self, what: Restored) -> PathBuf {
        let copy = self.folder.path().join(format!("{what:?}"));
        std::fs::copy(self.file(what), &copy).expect("a copy");
        copy
    }

    fn restore(&self, what: Restored, copy: &Path) {
        let file = self.file(what);
        for suffix in ["-wal", "-shm"] {
            let beside = PathBuf::from(format!("{}{suffix}", file.display()));
            if beside.exists() {
                std::fs::remove_file(beside).expect("removed");
            }
        }
        std::fs::copy(copy, file).expect("restored");
    }

    fn file(&self, what: Restored) -> PathBuf {
        match what {
            Restored::Tokens => self.tokens(),
            Restored::Database => self.database(),
        }
    }
}

#[tokio::test]
async fn what_was_revoked_stays_revoked_whichever_store_is_restored() {
    for restored in [Restored::Tokens, Restored::Database] {
        let (stores, ada) = (Stores::new(), Person::new());
        let clock = &*stores.clock;
        let store = stores.open().await;
        let (ended, live) = (ada.log_in(&store, clock).await, ada.log_in(&store, clock).await);
        let denied = live.access_token();
        store.close().await;
        let copy = stores.copy(restored);

        let store = stores.open().await;
        store.revoke_session(ada.user, ended.id, OnUnknown::Deny).await.expect("an end");
        store.revoke_access_token(ada.user, denied.token, denial()).await.expect("a denial");
        let other = Person::new();
        let others = other.log_in(&store, clock).await;
        other.after_a_security_event().cut_off(&store, clock).await;
        store.close().await;
        stores.restore(restored, &copy);

        for _ in 0..2 {
            let store = stores.open().await;
            assert_dead(&store, &ended).await;
            assert_dead(&store, &others).await;
            // Restored tokens have the rest of the journal carried out. Of a database that was restored while
            // nobody looked it cannot be told what else was: then everybody logs in again.
            let expected = match restored {
                Restored::Tokens => AccessStatus::Revoked,
                Restored::Database => AccessStatus::StoreLost,
            };
            assert_eq!(status(&store, &denied).await, expected, "{restored:?}");
            match restored {
                Restored::Tokens => assert_live(&store, &live, 0).await,
                Restored::Database => assert_dead(&store, &live).await,
            }
            let another = ada.log_in(&store, clock).await;
            store.revoke_session(ada.user, another.id, OnUnknown::Deny).await.expect("an end");
            store.close().await;
        }
    }
}

#[tokio::test]
async fn a_store_without_data_logs_everybody_out_and_goes_on() {
    let (stores, ada) = (Stores::new(), Person::new());
    let clock = &*stores.clock;
    let store = stores.open().await;
    let session = ada.log_in(&store, clock).await;
    store.close().await;
    std::fs::remove_file(stores.tokens()).expect("removed");

    let store = stores.open().await;
    assert_dead(&store, &session).await;
    let session = ada.log_in(&store, clock).await;
    assert_live(&store, &session, 0).await;
}

#[tokio::test]
async fn data_that_is_of_a_hole_in_the_journal_counts_for_nothing() {
    let (stores, ada) = (Stores::new(), Person::new());
    let clock = &*stores.clock;
    let store = stores.open().await;
    let session = ada.log_in(&store, clock).await;
    store.close().await;
    let (tokens, database) = (stores.copy(Restored::Tokens), stores.copy(Restored::Database));

    // The database forgets the end of the session, and goes on behind that.
    let store = stores.open().await;
    store.revoke_session(ada.user, session.id, OnUnknown::Deny).await.expect("an end");
    store.close().await;
    stores.restore(Restored::Database, &database);
    let store = stores.open().await;
    store.ping().await.expect("it is whole");
    store.close().await;

    // Then the token store does, too: nobody knows any more what was revoked.
    stores.restore(Restored::Tokens, &tokens);
    let store = stores.open().await;
    assert_dead(&store, &session).await;
    let session = ada.log_in(&store, clock).await;
    assert_live(&store, &session, 0).await;
}

/// A process that goes on has seen what the database has forgotten.
#[tokio::test]
async fn a_database_that_goes_back_beside_a_running_process_goes_on_behind_what_that_has_seen() {
    for has_looked in [false, true] {
        let (stores, ada) = (Stores::new(), Person::new());
        let clock = &*stores.clock;
        let store = stores.open().await;
        let live = ada.log_in(&store, clock).await;
        let ended = [ada.log_in(&store, clock).await, ada.log_in(&store, clock).await];
        for session in &ended {
            let ending = store.revoke_session(ada.user, session.id, OnUnknown::Deny);
            assert!(ending.await.expect("an end"));
        }
        if has_looked {
            store.keep().await.expect("a look");
        }
        let options = SqliteConnectOptions::new().filename(stores.database());
        let mut database = SqliteConnection::connect_with(&options).await.expect("a connection");
        for statement in [
            "DELETE FROM journal WHERE position = 2",
            "UPDATE journal_heads SET position = 1, entry = previous, previous = 0 WHERE position = 2",
        ] {
            sqlx::query(statement).execute(&mut database).await.expect(statement);
        }
        for _ in 0..3 {
            let another = ada.log_in(&store, clock).await;
            let ending = store.revoke_session(ada.user, another.id, OnUnknown::Deny);
            assert!(ending.await.expect("an end"));
            store.keep().await.expect("a look");
            assert!(store.is_vouched());
            assert_dead(&store, &another).await;
        }
        for session in &ended {
            assert_dead(&store, session).await;
        }
        assert_live(&store, &live, 0).await;
        let newest = sqlx::query_scalar("SELECT max(position) FROM journal_heads");
        let newest: i64 = newest.fetch_one(&mut database).await.expect("a position");
        assert!(newest < 10, "{newest}: joined once");
    }
}
