//! What breaks, broken on purpose: rows that mean nothing, databases that are gone, busy or silent.

use std::error::Error;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use hallpass::domain::ids::UserId;
use hallpass::domain::signing_key::SigningAlgorithm;
use hallpass::domain::user::SecurityVersion;
use hallpass::store::signing_keys::SigningKeyStore;
use hallpass::store::sql::DatabaseError;
use hallpass::store::sql::postgres::{PostgresOptions, PostgresStore};
use hallpass::store::sql::sqlite::{SqliteOptions, SqliteStore};
use hallpass::store::{StoreError, StoreResult, UserStore};
use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::time::Instant;

use super::fixtures::{EVERYBODY, Postgres, Sqlite, UserOrder, event, insert, new_user, signing_key};
use crate::support::ports::{free_address, free_port};
use crate::support::postgres::PostgresServer;
use crate::support::silent_proxy::SilentProxy;

/// The bound of a call with the default options.
const BOUND: Duration = Duration::from_secs(1);

/// An answer without a wait: the store is not asked.
const AT_ONCE: Duration = Duration::from_millis(50);

/// How soon the server is found that a failover has put in the place of another.
const FAILOVER: Duration = Duration::from_secs(2);

/// Calls that fail until nobody asks any more.
const ENOUGH_FAILURES: usize = 5;

/// What `call` answers, and how long it took.
async fn timed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    (call.await, began.elapsed())
}

/// Everything that an error shows, its causes and its `Debug` output included.
pub fn all_text(error: &dyn Error) -> String {
    let mut text = format!("{error:?}");
    let mut next = Some(error);
    while let Some(error) = next {
        write!(text, " {error}").expect("a string takes text");
        next = error.source();
    }
    text
}

fn assert_unavailable<T>(answer: StoreResult<T>) {
    match answer {
        Err(StoreError::Unavailable { store: "database", .. }) => {}
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("an answer"),
    }
}

fn assert_corrupt<T>(answer: StoreResult<T>, place: &str, key: &str) {
    match answer {
        Err(error @ StoreError::Corrupt { .. }) => {
            let said = error.to_string();
            assert!(said.contains(&format!("corrupt entry in {place} for {key}:")), "{said}");
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("{place} was read"),
    }
}

/// Assignments to columns of `users` that no code of ours writes, on both engines.
const BAD_VALUES: [(&str, &str); 10] = [
    ("users.role", "role = 'root'"),
    ("users.roles", "roles = ''"),
    ("users.roles", "roles = 'member,editor'"),
    ("users.roles", "roles = 'Editor'"),
    ("users.metadata", "metadata = '[]'"),
    ("users.metadata", "metadata = '{'"),
    ("users.email", "email = 'no address'"),
    ("users.email", "email = 'Ada@Example.com'"),
    ("users.first_name", "first_name = 'line\nbreak'"),
    ("users.last_name", "last_name = 'line\nbreak'"),
];

/// The same of `signing_keys`, each on top of the one before.
const BAD_KEY_VALUES: [(&str, &str); 4] = [
    ("signing_keys.algorithm", "algorithm = 'none'"),
    ("signing_keys.activated_at", "activated_at = NULL"),
    ("signing_keys.revoked_at", "state = 'revoked'"),
    ("signing_keys.state", "state = 'lost'"),
];

#[tokio::test]
async fn sqlite_names_the_row_that_means_nothing() {
    let database = Sqlite::migrated().await;
    let mut connection = database.connection().await;
    connection.execute("PRAGMA ignore_check_constraints = ON").await.expect("a pragma");
    let bytes = [("users.first_name", "first_name = CAST(x'ff' AS TEXT)")];
    for (n, (place, assignment)) in BAD_VALUES.into_iter().chain(bytes).enumerate() {
        let id = insert(&database.store, &new_user(&format!("user{n}@example.com"))).await.id;
        let spoil = format!("UPDATE users SET {assignment} WHERE id = {id}");
        connection.execute(AssertSqlSafe(spoil)).await.expect("a spoilt row");
        assert_corrupt(database.store.find_user(id).await, place, &id.to_string());
        let before = UserId::try_from(id.get() - 1).ok();
        assert_corrupt(
            database.store.list_users(&EVERYBODY, UserOrder::Oldest, before, 1).await,
            place,
            &id.to_string(),
        );
    }
    connection.execute("UPDATE users SET id = 9007199254740992 WHERE id = 1").await.expect("a spoilt row");
    let last = UserId::try_from(9_007_199_254_740_991).ok();
    assert_corrupt(
        database.store.list_users(&EVERYBODY, UserOrder::Oldest, last, 1).await,
        "users.id",
        "9007199254740992",
    );

    let key = signing_key("kid-1", SigningAlgorithm::Es256, 1_000);
    database.store.insert_first_signing_key(&key).await.expect("an answer");
    for (place, assignment) in BAD_KEY_VALUES {
        let spoil = format!("UPDATE signing_keys SET {assignment}");
        connection.execute(AssertSqlSafe(spoil)).await.expect("a spoilt row");
        assert_corrupt(database.store.list_signing_keys().await, place, "kid-1");
    }
}

#[tokio::test]
async fn postgres_names_the_row_that_means_nothing() {
    let database = Postgres::migrated().await;
    let mut connection = database.connection().await;
    connection
        .execute(
            "ALTER TABLE users DROP CONSTRAINT users_role_check, DROP CONSTRAINT users_email_check;
             ALTER TABLE signing_keys DROP CONSTRAINT signing_keys_algorithm_check,
                 DROP CONSTRAINT signing_keys_state_check",
        )
        .await
        .expect("fewer constraints");
    for (n, (place, assignment)) in BAD_VALUES.into_iter().enumerate() {
        let id = insert(&database.store, &new_user(&format!("user{n}@example.com"))).await.id;
        let spoil = format!("UPDATE users SET {assignment} WHERE id = {id}");
        connection.execute(AssertSqlSafe(spoil)).await.expect("a spoilt row");
        assert_corrupt(database.store.find_user(id).await, place, &id.to_string());
    }
    let key = signing_key("kid-1", SigningAlgorithm::Es256, 1_000);
    database.store.insert_first_signing_key(&key).await.expect("an answer");
    for (place, assignment) in BAD_KEY_VALUES {
        let spoil = format!("UPDATE signing_keys SET {assignment}");
        connection.execute(AssertSqlSafe(spoil)).await.expect("a spoilt row");
        assert_corrupt(database.store.list_signing_keys().await, place, "kid-1");
    }

    // A column of another type: what a hand that "repairs" a schema leaves behind.
    let another = "DROP INDEX users_by_first_name; ALTER TABLE users ALTER first_name TYPE bytea USING ''";
    connection.execute(another).await.expect("another type");
    connection
        .execute("UPDATE users SET role = 'member', email = id || '@example.com'")
        .await
        .expect("better rows");
    database.store.close().await;
    let reopened = PostgresStore::connect(&database.url, PostgresOptions::default()).await.expect("a server");
    assert_corrupt(
        reopened.list_users(&EVERYBODY, UserOrder::Oldest, None, 1).await,
        "users.first_name",
        "1",
    );
}

#[tokio::test]
async fn a_missing_column_is_unavailable() {
    let database = Sqlite::migrated().await;
    let drop_column = "DROP INDEX users_by_last_name; ALTER TABLE users DROP COLUMN last_name";
    database.connection().await.execute(drop_column).await.expect("one column less");
    assert_unavailable(database.store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1).await);
}

#[tokio::test]
async fn an_id_is_not_given_again_after_its_account_is_deleted() {
    let sqlite = Sqlite::migrated().await;
    let postgres = Postgres::migrated().await;
    let delete = "DELETE FROM users";
    let first = insert(&sqlite.store, &new_user("a@example.com")).await.id;
    sqlite.connection().await.execute(delete).await.expect("no accounts");
    assert!(first < insert(&sqlite.store, &new_user("b@example.com")).await.id);
    let first = insert(&postgres.store, &new_user("a@example.com")).await.id;
    postgres.connection().await.execute(delete).await.expect("no accounts");
    assert!(first < insert(&postgres.store, &new_user("b@example.com")).await.id);
}

/// What Postgres says about a refused row quotes the row.
#[tokio::test]
async fn no_error_quotes_a_row() {
    let database = Postgres::migrated().await;
    let refuse = "ALTER TABLE users ADD CONSTRAINT nobody CHECK (last_name <> 'Lovelace')";
    database.connection().await.execute(refuse).await.expect("one more constraint");
    let error = database.store.insert_user(&new_user("ada@example.com")).await.expect_err("a refusal");
    let text = all_text(&error);
    assert!(text.contains("nobody"), "{text}");
    assert!(!text.contains("the-secret-hash") && !text.contains("ada@example.com"), "{text}");
}

#[tokio::test]
async fn a_sqlite_file_that_another_process_writes_is_unavailable_to_writers_only() {
    let database = Sqlite::migrated().await;
    let store = SqliteStore::connect(&database.url, SqliteOptions::default()).await.expect("the file");
    let ada = insert(&store, &new_user("ada@example.com")).await;
    let mut other = database.connection().await;
    other.execute("BEGIN IMMEDIATE").await.expect("the write lock");

    for asked in 0..2 * ENOUGH_FAILURES {
        let (answer, took) = timed(store.insert_user(&new_user("eve@example.com"))).await;
        assert_unavailable(answer);
        assert!(took < if asked < ENOUGH_FAILURES { BOUND } else { AT_ONCE }, "{asked}: {took:?}");
    }
    assert!(store.find_user(ada.id).await.expect("an answer").is_some());

    // The refused write is not made later either.
    other.execute("ROLLBACK").await.expect("the lock given back");
    let started = Instant::now();
    while store.change_password(ada.id, SecurityVersion::FIRST, &ada.password, event()).await.is_err() {
        assert!(started.elapsed() < BOUND, "nobody asks again");
    }
    assert_eq!(store.list_users(&EVERYBODY, UserOrder::Oldest, None, 10).await.expect("an answer").len(), 1);
}

#[tokio::test]
async fn a_closed_sqlite_repository_is_unavailable() {
    let database = Sqlite::migrated().await;
    database.store.close().await;
    assert_unavailable(database.store.ping().await);
    assert_unavailable(database.store.insert_user(&new_user("ada@example.com")).await);
    assert!(!database.folder.path().join("data/hallpass.db-wal").exists(), "the WAL is folded in");
}

#[tokio::test]
async fn the_sqlite_file_is_open_to_its_owner_alone() {
    let database = Sqlite::migrated().await;
    insert(&database.store, &new_user("ada@example.com")).await;
    let mode = |path: &str| {
        let metadata = std::fs::metadata(database.folder.path().join(path)).expect("it exists");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("data"), 0o700);
    for file in ["data/hallpass.db", "data/hallpass.db-wal", "data/hallpass.db-shm"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
}

#[tokio::test]
async fn what_is_no_sqlite_file_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "by no means a database, but long enough to be looked at".repeat(50))
        .expect("a file");
    let connect = async |url: &str| SqliteStore::connect(url, SqliteOptions::default()).await;

    let error = connect(&text.display().to_string()).await.expect_err("a refusal");
    assert!(matches!(error, DatabaseError::Unreachable { .. }), "{error:?}");
    assert!(all_text(&error).contains("notes.txt"), "{error:?}");

    let below_a_file = format!("{}/x/hallpass.db", text.display());
    assert!(matches!(connect(&below_a_file).await, Err(DatabaseError::Create { .. })));
    for url in ["sqlite::memory:", "sqlite://x?mode=memory", "sqlite://", "", "sqlite://x?mod=rw"] {
        assert!(matches!(connect(url).await, Err(DatabaseError::Url(_))), "{url}");
    }
}

#[tokio::test]
async fn a_postgres_that_is_gone_is_unavailable() {
    let server = PostgresServer::start();
    let url = server.create_database().await;
    let store = PostgresStore::connect(&url, PostgresOptions::default()).await.expect("a server");
    store.migrate().await.expect("the steps");
    store.ping().await.expect("an answer");
    server.stop();

    let started = Instant::now();
    assert_unavailable(store.ping().await);
    assert_unavailable(store.insert_user(&new_user("ada@example.com")).await);
    assert!(started.elapsed() < 2 * BOUND);
    let error = PostgresStore::connect(&url, PostgresOptions::default()).await.expect_err("no server");
    assert!(matches!(error, DatabaseError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_locked_postgres_table_is_unavailable_and_the_refused_write_is_not_made_later() {
    let database = Postgres::migrated().await;
    let mut other = database.connection().await;
    let mut lock = other.begin().await.expect("a transaction");
    lock.execute("LOCK TABLE users").await.expect("the lock");

    let (answer, took) = timed(database.store.insert_user(&new_user("ada@example.com"))).await;
    assert_unavailable(answer);
    assert!(took < BOUND, "{took:?}");
    lock.rollback().await.expect("the lock given back");
    assert!(
        database
            .store
            .list_users(&EVERYBODY, UserOrder::Oldest, None, 10)
            .await
            .expect("an answer")
            .is_empty()
    );
}

/// A host that vanishes without a word: no refusal, no reset, and its successor answers under the
/// same name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_postgres_is_unavailable_and_its_successor_is_found() {
    let database = Postgres::migrated().await;
    let proxy = SilentProxy::before(PostgresServer::shared().socket()).await;
    let name = database.url.rsplit('/').next().expect("a name");
    let url = format!("postgres://postgres@{}/{name}", proxy.address());
    let options = PostgresOptions { max_connections: 2, ..PostgresOptions::default() };
    let store = PostgresStore::connect(&url, options).await.expect("a server");
    store.ping().await.expect("an answer");

    // Every connection of the pool waits for an answer, behind a lock, when the host vanishes.
    let mut other = database.connection().await;
    let mut lock = other.begin().await.expect("a transaction");
    lock.execute("LOCK TABLE users").await.expect("the lock");
    let vanish = async {
        let waiting = "SELECT count(*) = 2 FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass";
        while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(&mut *lock).await.expect("an answer") {}
        proxy.fall_silent();
    };
    let started = Instant::now();
    let (first, second, ()) = tokio::join!(
        store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1),
        store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1),
        vanish
    );
    assert_unavailable(first);
    assert_unavailable(second);
    assert_unavailable(store.ping().await);
    assert!(started.elapsed() < 2 * BOUND);
    lock.rollback().await.expect("the lock given back");

    proxy.put_up_a_successor();
    let started = Instant::now();
    while store.ping().await.is_err() {
        assert!(started.elapsed() < FAILOVER, "the connections to the vanished host still fill the pool");
    }
}

/// Connections that were idle when the host vanished, more than could be tried one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_to_a_vanished_postgres_are_not_tried_one_by_one() {
    let database = Postgres::migrated().await;
    let proxy = SilentProxy::before(PostgresServer::shared().socket()).await;
    let name = database.url.rsplit('/').next().expect("a name");
    let url = format!("postgres://postgres@{}/{name}", proxy.address());
    let store = PostgresStore::connect(&url, PostgresOptions::default()).await.expect("a server");
    let mut other = database.connection().await;
    let mut lock = other.begin().await.expect("a transaction");
    lock.execute("LOCK TABLE users").await.expect("the lock");
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1).await })
        })
        .collect();
    let waiting = "SELECT count(*) = 10 FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass";
    while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(&mut *lock).await.expect("an answer") {}
    lock.rollback().await.expect("the lock given back");
    for call in calls {
        call.await.expect("no panic").expect("an answer");
    }

    proxy.fall_silent();
    proxy.put_up_a_successor();
    let started = Instant::now();
    for _ in 0..10 {
        while store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1).await.is_err() {}
    }
    // One by one it would be as long as ten waits.
    assert!(started.elapsed() < BOUND * 2, "{:?}", started.elapsed());
}

/// A failover whose address leads to the new primary, while the pool's connections lead to the one that
/// was demoted: they answer, and refuse every change.
#[tokio::test]
async fn connections_to_a_postgres_that_takes_no_writes_any_more_are_given_up() {
    let database = Postgres::migrated().await;
    let name = database.url.rsplit('/').next().expect("a name").to_owned();
    let mut other = database.connection().await;
    let mut set = async |clause: &str| {
        let alter = format!("ALTER DATABASE {name} {clause}");
        other.execute(AssertSqlSafe(alter)).await.expect("another setting");
    };
    set("SET default_transaction_read_only = on").await;
    let options = PostgresOptions { max_connections: 2, ..PostgresOptions::default() };
    let store = PostgresStore::connect(&database.url, options).await.expect("a server");
    assert_unavailable(store.ping().await);
    for _ in 0..5 {
        let (one, two) = tokio::join!(
            store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1),
            store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1)
        );
        one.and(two).expect("two connections that only read");
    }
    // Both lie idle in the pool once a call finds them there.
    store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1).await.expect("one of them");
    store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1).await.expect("the other");

    set("RESET default_transaction_read_only").await;
    let started = Instant::now();
    let mut failures = 0;
    while store.insert_user(&new_user("ada@example.com")).await.is_err() {
        failures += 1;
        assert!(started.elapsed() < FAILOVER, "the pool keeps connections that only read");
    }
    assert_eq!(failures, 1, "its siblings went with the first");
    store.ping().await.expect("an answer");
}

/// Every connection is ended by the server, as a clean shutdown ends them.
#[tokio::test]
async fn connections_that_postgres_ends_while_they_are_idle_cost_no_answer() {
    let database = Postgres::migrated().await;
    let options = PostgresOptions::default();
    let store = PostgresStore::connect(&database.url, options).await.expect("a server");
    let mut other = database.connection().await;
    for _ in 0..5 {
        store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1).await.expect("an answer");
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        other.execute(end).await.expect("connections ended");
        store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1).await.expect("an answer");
    }
}

/// The first callers wait; when it is known that the table hangs nobody does, and who needs another
/// table never does.
#[tokio::test]
async fn a_hanging_postgres_table_holds_up_nobody_for_long() {
    let database = Postgres::migrated().await;
    let options = PostgresOptions::default();
    let store = PostgresStore::connect(&database.url, options).await.expect("a server");
    let mut other = database.connection().await;
    let mut lock = other.begin().await.expect("a transaction");
    lock.execute("LOCK TABLE users").await.expect("the lock");
    for _ in 0..ENOUGH_FAILURES {
        let (answer, took) = timed(store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1)).await;
        assert_unavailable(answer);
        assert!(took < BOUND, "{took:?}");
    }
    for _ in 0..10 {
        let (answer, took) = timed(store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1)).await;
        assert_unavailable(answer);
        assert!(took < AT_ONCE, "{took:?}");
    }
    store.list_signing_keys().await.expect("another table");
    lock.rollback().await.expect("the lock given back");
    let started = Instant::now();
    while store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1).await.is_err() {
        assert!(started.elapsed() < BOUND, "nobody asks again");
    }
}

#[tokio::test]
async fn a_postgres_that_is_away_holds_up_nobody_for_long() {
    let server = PostgresServer::start();
    let url = server.create_database().await;
    let store = PostgresStore::connect(&url, PostgresOptions::default()).await.expect("a server");
    store.migrate().await.expect("the steps");
    server.stop();
    for asked in 0..3 * ENOUGH_FAILURES {
        let (answer, took) = timed(store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1)).await;
        assert_unavailable(answer);
        assert!(took < if asked < ENOUGH_FAILURES { BOUND } else { AT_ONCE }, "{asked}: {took:?}");
    }
}

/// Many at once, with one connection for all: the last waits far longer than the line may stand still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_line_at_a_sqlite_file_is_no_outage() {
    let database = Sqlite::migrated().await;
    let ada = insert(&database.store, &new_user("ada@example.com")).await;
    let quiet = Duration::from_millis(800);
    let options = SqliteOptions {
        readers: 1,
        quiet_reads: quiet,
        longest_wait: Duration::from_secs(60),
        ..SqliteOptions::default()
    };
    let store = SqliteStore::connect(&database.url, options).await.expect("the file");
    for length in (9..17).map(|power| 1 << power) {
        let calls: Vec<_> = (0..length)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { timed(store.find_user(ada.id)).await })
            })
            .collect();
        let mut longest = Duration::ZERO;
        for call in calls {
            let (answer, took) = call.await.expect("no panic");
            assert!(answer.expect("an answer").is_some());
            longest = longest.max(took);
        }
        if longest > quiet + quiet / 4 {
            return;
        }
    }
    panic!("no line is long on this machine");
}

#[tokio::test]
async fn no_error_shows_the_password() {
    let port = free_port();
    for url in [
        format!("postgres://ada:hunter2@127.0.0.1:{port}/hallpass"),
        "postgres://ada:hunter2@127.0.0.1:port/hallpass".to_owned(),
        "postgres://ada:hunter2@127.0.0.1/hallpass?sslmode=perhaps".to_owned(),
        "ada:hunter2@127.0.0.1/hallpass".to_owned(),
        "postgres:ada:hunter2@127.0.0.1/hallpass".to_owned(),
        "postgres://ada:5/hunter2@127.0.0.1/hallpass".to_owned(),
        "postgres://ada:5?hunter2@127.0.0.1/hallpass".to_owned(),
        "postgres://ada:5#hunter2@127.0.0.1/hallpass".to_owned(),
    ] {
        let error = PostgresStore::connect(&url, PostgresOptions::default()).await.expect_err("no server");
        let text = all_text(&error);
        assert!(!text.contains("hunter2"), "{text}");
    }

    let database = Postgres::migrated().await;
    let url = database.url.replace("postgres@", "postgres:hunter2@");
    let store = PostgresStore::connect(&url, PostgresOptions::default()).await.expect("a server");
    let shown = format!("{store:?}");
    assert!(shown.contains("test_") && !shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_refused_connection_says_where_and_why() {
    let address = free_address();
    let url = format!("postgres://ada@{address}/hallpass");
    let error = PostgresStore::connect(&url, PostgresOptions::default()).await.expect_err("no server");
    let text = all_text(&error);
    assert!(text.contains(&format!("{address}/hallpass")) && text.contains("refused"), "{text}");
}
