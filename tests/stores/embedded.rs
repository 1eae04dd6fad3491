//! The embedded store: the contract, and what only a file can promise.

mod carried;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hallpass::app::SystemRandom;
use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::domain::session::Session;
use hallpass::store::backend::TokenBackend;
use hallpass::store::embedded::{EmbeddedTime, EmbeddedTokenStore, OpenError};
use hallpass::store::{
    AccessStatus, DenylistStore, OpenOutcome, RateLimitStore, RefreshOutcome, ResetTokenStore, SessionStore,
    StoreError,
};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::journaled::{Journal, TestStore};
use crate::presence::SharedPresence;
use crate::rate_limits::{SharedLimits, fresh_account, fresh_place};
use crate::token_store::SharedStore;
use crate::token_store::support::*;

crate::token_store::contract!(in_a_fresh_folder);

mod presences {
    crate::presence::contract!(super::presences_in_a_fresh_folder);
}

mod limits {
    crate::rate_limits::contract!(super::limits_in_a_fresh_folder);
}

pub(crate) async fn in_a_fresh_folder(clock: Arc<ManualClock>) -> (SharedStore, TempDir) {
    let data = Data::new(clock);
    (data.shared().await, data.folder)
}

async fn presences_in_a_fresh_folder(clock: Arc<ManualClock>) -> (SharedPresence, TempDir) {
    let data = Data::new(clock);
    (Arc::new(data.open().await.expect("a store")), data.folder)
}

async fn limits_in_a_fresh_folder(clock: Arc<ManualClock>) -> (SharedLimits, TempDir) {
    let data = Data::new(clock);
    (Arc::new(data.open().await.expect("a store")), data.folder)
}

/// A folder for a store, and the time there.
struct Data {
    folder: TempDir,
    clock: Arc<ManualClock>,
    journal: OnceCell<Journal>,
}

impl Data {
    fn new(clock: Arc<ManualClock>) -> Self {
        Self { folder: TempDir::new().expect("a folder"), clock, journal: OnceCell::new() }
    }

    fn at_start() -> Self {
        Self::new(Arc::new(ManualClock::at(START)))
    }

    /// In a folder that is not there yet.
    fn file(&self) -> PathBuf {
        self.folder.path().join("data").join("tokens.db")
    }

    async fn open(&self) -> Result<EmbeddedTokenStore, OpenError> {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        EmbeddedTokenStore::open(&self.file(), EmbeddedTime { clock, keeper: None }, &SystemRandom).await
    }

    /// The store, with a journal that outlives it.
    async fn shared(&self) -> SharedStore {
        let journal = self.journal.get_or_init(Journal::new).await.clone();
        let backend = Arc::new(self.open().await.expect("a store"));
        Arc::new(TestStore::over(backend, journal, self.clock.clone()))
    }

    /// A second look at the file, past the store.
    async fn database(&self) -> SqlitePool {
        let options = SqliteConnectOptions::new().filename(self.file());
        SqlitePool::connect_with(options).await.expect("a connection")
    }
}

#[tokio::test]
async fn everything_survives_reopening() {
    let data = Data::at_start();
    let clock = &*data.clock;
    let (ada, grace) = (Person::new(), Person::new());

    let store = data.shared().await;
    let live = ada.log_in(&store, clock).await;
    let revoked = ada.log_in(&store, clock).await;
    let denied = live.access_token();
    let cut_off = grace.log_in(&store, clock).await;
    let (reset, grant) = (ada.reset_token(), ada.reset_grant(clock, DAY));
    clock.advance(SECOND);
    rotate(&store, live.token(0)).await;
    let minted = clock.now();
    store.revoke_session(ada.user, revoked.id, OnUnknown::Ignore).await.expect("revoke_session");
    store.revoke_access_token(ada.user, denied.token, denial()).await.expect("a denial");
    store.insert_reset_token(&reset, reset_place(1), ada.version, DAY).await.expect("a reset token");
    grace.after_a_security_event().cut_off(&store, clock).await;
    drop(store);

    clock.advance(SECOND);
    let store = data.shared().await;
    assert_eq!(newest_access_token(&store, &ada).await, Some(minted));
    assert_live(&store, &live, 1).await;
    assert_eq!(status(&store, &denied).await, AccessStatus::Revoked);
    assert_dead(&store, &revoked).await;
    assert_dead(&store, &cut_off).await;
    let late = store.open_session(&grace.session(), &LIFETIMES).await.expect("open_session");
    assert!(matches!(late, OpenOutcome::Superseded { .. }), "{late:?}");
    // It may have been used, or replaced, in what a restored file has lost.
    let taken = store.take_reset_token(&reset).await.expect("take_reset_token");
    assert_eq!(taken, None, "{grant:?}");
}

#[tokio::test]
async fn known_places_survive_reopening_and_go_when_their_time_is_over() {
    let data = Data::at_start();
    let (ada, home) = (fresh_account(), fresh_place());
    let store = data.open().await.expect("a store");
    store.remember_place(ada, home).await.expect("remember_place");
    drop(store);

    let store = data.open().await.expect("a store");
    assert!(store.is_known_place(ada, home).await.expect("is_known_place"));
    drop(store);
    data.clock.advance(DAY * 30);
    let _store = data.open().await.expect("a store");
    eventually(&data, "SELECT NOT EXISTS (SELECT 1 FROM places)").await;
}

#[tokio::test]
async fn a_token_of_an_earlier_incarnation_is_refused() {
    let data = Data::at_start();
    let clock = &*data.clock;
    let store = data.shared().await;
    let session = Person::new().log_in(&store, clock).await;
    let now = session.access_token();
    assert_eq!(status(&store, &now).await, AccessStatus::Live);
    let earlier = hallpass::store::AccessSubject { incarnation: now.incarnation - 1, ..now };
    assert_eq!(status(&store, &earlier).await, AccessStatus::StoreLost);
}

#[tokio::test]
async fn a_lost_file_refuses_the_tokens_from_before() {
    let data = Data::at_start();
    let clock = &*data.clock;
    let store = data.shared().await;
    let session = Person::new().log_in(&store, clock).await;
    let token = session.access_token();
    drop(store);
    std::fs::remove_dir_all(data.file().parent().expect("a folder")).expect("a loss");

    clock.advance(SECOND);
    let store = data.shared().await;
    assert_eq!(status(&store, &token).await, AccessStatus::StoreLost);
    let new = Person::new().log_in(&store, clock).await;
    assert_eq!(status(&store, &token).await, AccessStatus::StoreLost);
    assert_live(&store, &new, 0).await;
    assert_eq!(rotate(&store, session.token(0)).await, RefreshOutcome::Unknown);
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_is_gone() {
    let data = Data::at_start();
    let first = data.open().await.expect("a store");
    let refused = data.open().await.expect_err("the file is taken");
    assert!(matches!(&refused, OpenError::InUse { path } if *path == data.file()), "{refused:?}");
    let told = format!("the token store {} is in use by another process", data.file().display());
    assert_eq!(refused.to_string(), told);
    first.ping().await.expect("the first goes on");
    drop(first);
    data.open().await.expect("the file is free");
}

#[tokio::test]
async fn a_closed_store_is_unavailable_and_leaves_one_tidy_file() {
    let data = Data::at_start();
    let store = data.open().await.expect("a store");
    store.close().await;
    let error = store.ping().await.expect_err("closed");
    assert!(matches!(error, StoreError::Unavailable { store: "token store", .. }), "{error:?}");
    assert_eq!(file_names(data.file().parent().expect("a folder")), ["tokens.db", "tokens.db.lock"]);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let data = Data::at_start();
    std::fs::create_dir(data.file().parent().expect("a folder")).expect("a folder");
    std::fs::write(data.file(), "not a database, but long enough to have had a header".repeat(100))
        .expect("a file");
    let refused = data.open().await.expect_err("no database");
    assert!(matches!(refused, OpenError::Database { .. }), "{refused:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn no_file_is_readable_by_others() {
    use std::os::unix::fs::PermissionsExt;

    let data = Data::at_start();
    let folder = data.file().parent().expect("a folder").to_owned();
    let mode = |path: &Path| std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    let store = data.shared().await;
    Person::new().log_in(&store, &data.clock).await;
    let names = file_names(&folder);
    assert_eq!(names, ["tokens.db", "tokens.db-shm", "tokens.db-wal", "tokens.db.lock"]);
    for name in names {
        assert_eq!(mode(&folder.join(&name)), 0o600, "{name}");
    }
    assert_eq!(mode(&folder), 0o700);

    drop(store);
    std::fs::set_permissions(data.file(), PermissionsExt::from_mode(0o644)).expect("a careless copy");
    let _store = data.shared().await;
    assert_eq!(mode(&data.file()), 0o600);
}

#[tokio::test]
async fn a_session_that_means_nothing_is_named() {
    let data = Data::at_start();
    let clock = &*data.clock;
    let store = data.shared().await;
    let session = Person::new().log_in(&store, clock).await;
    for (column, statement) in [
        ("sessions.generation", "UPDATE sessions SET generation = -1"),
        (
            "sessions.carried",
            "UPDATE sessions SET carried = json_set(carried, '$.r', 'root'), generation = 0",
        ),
        ("sessions.carried", "UPDATE sessions SET carried = json_set(carried, '$.e', 'nobody')"),
        ("sessions.carried", "UPDATE sessions SET carried = ''"),
    ] {
        sqlx::query(statement).execute(&data.database().await).await.expect(statement);
        let error = store.rotate(&session.token(0), &LIFETIMES).await.expect_err(column);
        let StoreError::Corrupt { place, key, .. } = error else { panic!("{error:?}") };
        assert_eq!((place, key), (column, session.id.to_string()));
    }
}

#[tokio::test]
async fn access_tokens_are_judged_while_a_write_is_under_way() {
    let data = Data::at_start();
    let clock = &*data.clock;
    let store = data.shared().await;
    let session = Person::new().log_in(&store, clock).await;
    let database = data.database().await;
    let writer = database.begin_with("BEGIN IMMEDIATE").await.expect("the lock for writing");
    // In the second of the login, so that checking the refresh token has nothing to note.
    assert_live(&store, &session, 0).await;
    writer.rollback().await.expect("rollback");
}

#[tokio::test]
async fn what_is_given_up_halfway_changes_nothing() {
    let data = Data::at_start();
    let clock = &*data.clock;
    let store = data.shared().await;
    let session = Person::new().log_in(&store, clock).await;
    let database = data.database().await;
    let writer = database.begin_with("BEGIN IMMEDIATE").await.expect("the lock for writing");
    {
        let token = session.token(0);
        let mut rotation = std::pin::pin!(store.rotate(&token, &LIFETIMES));
        let waker = futures_util::task::noop_waker();
        let polled = rotation.as_mut().poll(&mut std::task::Context::from_waker(&waker));
        assert!(polled.is_pending(), "it waits for its turn");
    }
    writer.rollback().await.expect("rollback");
    assert_live(&store, &session, 0).await;
    assert!(matches!(rotate(&store, session.token(0)).await, RefreshOutcome::Current(_)));
}

#[tokio::test]
async fn opening_deletes_what_ended_meanwhile() {
    let data = Data::at_start();
    let clock = &*data.clock;
    let store = data.shared().await;
    let session = Person::new().log_in(&store, clock).await;
    drop(store);
    clock.advance(LIFETIMES.idle + DAY);
    let _store = data.shared().await;
    eventually(&data, "SELECT NOT EXISTS (SELECT 1 FROM sessions)").await;
    assert!(Session::is_expired(&session, clock.now()));
}

#[tokio::test]
async fn an_earlier_deadline_wakes_the_purge() {
    let data = Data::at_start();
    let clock = &*data.clock;
    let store = data.shared().await;
    let (ada, grace) = (Person::new(), Person::new());
    let (kept, ended) = (ada.reset_token(), grace.reset_token());
    let in_a_day = ada.reset_grant(clock, DAY);
    store.insert_reset_token(&kept, reset_place(1), ada.version, DAY).await.expect("a reset token");
    eventually(&data, "SELECT count(*) = 1 FROM reset_tokens").await;
    store
        .insert_reset_token(&ended, reset_place(1), grace.version, Duration::ZERO)
        .await
        .expect("a reset token");
    eventually(&data, "SELECT count(*) = 1 FROM reset_tokens").await;
    let found = store.find_reset_token(&kept).await.expect("find_reset_token");
    assert_eq!(found, Some(in_a_day));
}

#[tokio::test]
async fn the_purge_ends_with_its_store() {
    let data = Data::at_start();
    let store = data.open().await.expect("a store");
    assert_eq!(Arc::strong_count(&data.clock), 3);
    drop(store);
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(Arc::strong_count(&data.clock), 1, "nobody asks the clock any more");
}

fn file_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Asks the file until the answer is yes: the purge is a task of its own.
async fn eventually(data: &Data, question: &'static str) {
    let database = data.database().await;
    let asking = async {
        while !sqlx::query_scalar::<_, bool>(question).fetch_one(&database).await.expect(question) {}
    };
    tokio::time::timeout(Duration::from_secs(10), asking).await.expect(question);
}
