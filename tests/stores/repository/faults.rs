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
use hallpass::store::sql::postgres::{PostgresOptions, PostgresRepository};
use hallpass::store::sql::sqlite::{SqliteOptions, SqliteRepository};
use hallpass::store::{Repository, StoreError, StoreResult};
use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::fixtures::{Postgres, Sqlite, insert, new_user, signing_key};
use crate::support::postgres::PostgresServer;
use crate::support::silent_proxy::SilentProxy;

/// The bound of a call with the default options, and a margin for a busy machine.
const BOUND: Duration = Duration::from_secs(5);

/// Everything that an error shows, its causes and its `Debug` output included.
fn all_text(error: &dyn Error) -> String {
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
const BAD_VALUES: [(&str, &str); 5] = [
    ("users.role", "role = 'root'"),
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
        let id = insert(&database.repository, &new_user(&format!("user{n}@example.com"))).await.id;
        let spoil = format!("UPDATE users SET {assignment} WHERE id = {id}");
        connection.execute(AssertSqlSafe(spoil)).await.expect("a spoilt row");
        assert_corrupt(database.repository.find_user(id).await, place, &id.to_string());
        let before = UserId::try_from(id.get() - 1).ok();
        assert_corrupt(database.repository.list_users(before, 1).await, place, &id.to_string());
    }
    connection.execute("UPDATE users SET id = 9007199254740992 WHERE id = 1").await.expect("a spoilt row");
    let last = UserId::try_from(9_007_199_254_740_991).ok();
    assert_corrupt(database.repository.list_users(last, 1).await, "users.id", "9007199254740992");

    let key = signing_key("kid-1", SigningAlgorithm::Es256, 1_000);
    database.repository.insert_first_signing_key(&key).await.expect("an answer");
    for (place, assignment) in BAD_KEY_VALUES {
        let spoil = format!("UPDATE signing_keys SET {assignment}");
        connection.execute(AssertSqlSafe(spoil)).await.expect("a spoilt row");
        assert_corrupt(database.repository.list_signing_keys().await, place, "kid-1");
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
        let id = insert(&database.repository, &new_user(&format!("user{n}@example.com"))).await.id;
        let spoil = format!("UPDATE users SET {assignment} WHERE id = {id}");
        connection.execute(AssertSqlSafe(spoil)).await.expect("a spoilt row");
        assert_corrupt(database.repository.find_user(id).await, place, &id.to_string());
    }
    let key = signing_key("kid-1", SigningAlgorithm::Es256, 1_000);
    database.repository.insert_first_signing_key(&key).await.expect("an answer");
    for (place, assignment) in BAD_KEY_VALUES {
        let spoil = format!("UPDATE signing_keys SET {assignment}");
        connection.execute(AssertSqlSafe(spoil)).await.expect("a spoilt row");
        assert_corrupt(database.repository.list_signing_keys().await, place, "kid-1");
    }

    // A column of another type: what a hand that "repairs" a schema leaves behind.
    connection.execute("ALTER TABLE users ALTER first_name TYPE bytea USING ''").await.expect("another type");
    connection
        .execute("UPDATE users SET role = 'member', email = id || '@example.com'")
        .await
        .expect("better rows");
    database.repository.close().await;
    let reopened =
        PostgresRepository::connect(&database.url, PostgresOptions::default()).await.expect("a server");
    assert_corrupt(reopened.list_users(None, 1).await, "users.first_name", "1");
}

#[tokio::test]
async fn a_missing_column_is_unavailable() {
    let database = Sqlite::migrated().await;
    let drop_column = "ALTER TABLE users DROP COLUMN last_name";
    database.connection().await.execute(drop_column).await.expect("one column less");
    assert_unavailable(database.repository.list_users(None, 1).await);
}

#[tokio::test]
async fn an_id_is_not_given_again_after_its_account_is_deleted() {
    let sqlite = Sqlite::migrated().await;
    let postgres = Postgres::migrated().await;
    let delete = "DELETE FROM users";
    let first = insert(&sqlite.repository, &new_user("a@example.com")).await.id;
    sqlite.connection().await.execute(delete).await.expect("no accounts");
    assert!(first < insert(&sqlite.repository, &new_user("b@example.com")).await.id);
    let first = insert(&postgres.repository, &new_user("a@example.com")).await.id;
    postgres.connection().await.execute(delete).await.expect("no accounts");
    assert!(first < insert(&postgres.repository, &new_user("b@example.com")).await.id);
}

/// What Postgres says about a refused row quotes the row.
#[tokio::test]
async fn no_error_quotes_a_row() {
    let database = Postgres::migrated().await;
    let refuse = "ALTER TABLE users ADD CONSTRAINT nobody CHECK (last_name <> 'Lovelace')";
    database.connection().await.execute(refuse).await.expect("one more constraint");
    let error = database.repository.insert_user(&new_user("ada@example.com")).await.expect_err("a refusal");
    let text = all_text(&error);
    assert!(text.contains("nobody"), "{text}");
    assert!(!text.contains("the-secret-hash") && !text.contains("ada@example.com"), "{text}");
}

#[tokio::test]
async fn a_sqlite_file_that_another_process_writes_is_unavailable_to_writers_only() {
    let database = Sqlite::migrated().await;
    let repository =
        SqliteRepository::connect(&database.url, SqliteOptions::default()).await.expect("the file");
    let ada = insert(&repository, &new_user("ada@example.com")).await;
    let mut other = database.connection().await;
    other.execute("BEGIN IMMEDIATE").await.expect("the write lock");

    let started = Instant::now();
    assert_unavailable(repository.insert_user(&new_user("eve@example.com")).await);
    assert!(started.elapsed() < BOUND);
    assert!(repository.find_user(ada.id).await.expect("an answer").is_some());

    // The refused write is not made later either.
    other.execute("ROLLBACK").await.expect("the lock given back");
    repository.change_password(ada.id, SecurityVersion::FIRST, &ada.password).await.expect("an answer");
    assert_eq!(repository.list_users(None, 10).await.expect("an answer").len(), 1);
}

#[tokio::test]
async fn a_closed_sqlite_repository_is_unavailable() {
    let database = Sqlite::migrated().await;
    database.repository.close().await;
    assert_unavailable(database.repository.ping().await);
    assert_unavailable(database.repository.insert_user(&new_user("ada@example.com")).await);
    assert!(!database.folder.path().join("data/hallpass.db-wal").exists(), "the WAL is folded in");
}

#[tokio::test]
async fn the_sqlite_file_is_open_to_its_owner_alone() {
    let database = Sqlite::migrated().await;
    insert(&database.repository, &new_user("ada@example.com")).await;
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
    let connect = async |url: &str| SqliteRepository::connect(url, SqliteOptions::default()).await;

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
    let repository = PostgresRepository::connect(&url, PostgresOptions::default()).await.expect("a server");
    repository.migrate().await.expect("the steps");
    repository.ping().await.expect("an answer");
    server.stop();

    let started = Instant::now();
    assert_unavailable(repository.ping().await);
    assert_unavailable(repository.insert_user(&new_user("ada@example.com")).await);
    assert!(started.elapsed() < 2 * BOUND);
    let error = PostgresRepository::connect(&url, PostgresOptions::default()).await.expect_err("no server");
    assert!(matches!(error, DatabaseError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_locked_postgres_table_is_unavailable_and_the_refused_write_is_not_made_later() {
    let database = Postgres::migrated().await;
    let mut other = database.connection().await;
    let mut lock = other.begin().await.expect("a transaction");
    lock.execute("LOCK TABLE users").await.expect("the lock");

    let started = Instant::now();
    assert_unavailable(database.repository.insert_user(&new_user("ada@example.com")).await);
    assert!(started.elapsed() < BOUND);
    lock.rollback().await.expect("the lock given back");
    assert!(database.repository.list_users(None, 10).await.expect("an answer").is_empty());
}

/// A host that vanishes without a word: no refusal, no reset, and its successor answers under the
/// same name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_postgres_is_unavailable_and_its_successor_is_found() {
    let database = Postgres::migrated().await;
    let proxy = SilentProxy::before(PostgresServer::shared().socket()).await;
    let name = database.url.rsplit('/').next().expect("a name");
    let url = format!("postgres://postgres@{}/{name}", proxy.address());
    let options = PostgresOptions { max_connections: 2, acquire_timeout: Duration::from_secs(1) };
    let repository = PostgresRepository::connect(&url, options).await.expect("a server");
    repository.ping().await.expect("an answer");

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
    let (first, second, ()) =
        tokio::join!(repository.list_users(None, 1), repository.list_users(None, 1), vanish);
    assert_unavailable(first);
    assert_unavailable(second);
    assert_unavailable(repository.ping().await);
    assert!(started.elapsed() < 2 * BOUND);
    lock.rollback().await.expect("the lock given back");

    proxy.put_up_a_successor();
    let started = Instant::now();
    while repository.ping().await.is_err() {
        assert!(started.elapsed() < BOUND, "the connections to the vanished host still fill the pool");
    }
}

#[tokio::test]
async fn no_error_shows_the_password() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
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
        let error =
            PostgresRepository::connect(&url, PostgresOptions::default()).await.expect_err("no server");
        let text = all_text(&error);
        assert!(!text.contains("hunter2"), "{text}");
    }

    let database = Postgres::migrated().await;
    let url = database.url.replace("postgres@", "postgres:hunter2@");
    let repository = PostgresRepository::connect(&url, PostgresOptions::default()).await.expect("a server");
    let shown = format!("{repository:?}");
    assert!(shown.contains("test_") && !shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_refused_connection_says_where_and_why() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let url = format!("postgres://ada@{address}/hallpass");
    let error = PostgresRepository::connect(&url, PostgresOptions::default()).await.expect_err("no server");
    let text = all_text(&error);
    assert!(text.contains(&format!("{address}/hallpass")) && text.contains("refused"), "{text}");
}
