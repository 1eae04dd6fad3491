//! Bringing a database up to date, several replicas at once included.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::join_all;
use hallpass::store::Repository;
use hallpass::store::sql::DatabaseError;
use hallpass::store::sql::postgres::{PostgresOptions, PostgresRepository};
use hallpass::store::sql::sqlite::{SqliteOptions, SqliteRepository};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};

use super::fixtures::{Postgres, Sqlite};
use crate::support::postgres::PostgresServer;

/// Where a child process of [`processes_that_start_at_once_share_a_new_file`] finds the file.
const FILE: &str = "HALLPASS_TEST_DATABASE";

const REPLICAS: usize = 16;

/// The names of the step files of an engine, in order.
fn steps_in(folder: &str) -> Vec<String> {
    let folder = format!("{}/migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a UTF-8 name"))
        .map(|name| name.strip_suffix(".sql").expect("an SQL file").to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn both_engines_have_the_same_steps() {
    assert_eq!(steps_in("sqlite"), steps_in("postgres"));
}

/// The program holds the files as they were when it was compiled.
#[tokio::test]
async fn sqlite_takes_every_step_once() {
    let database = Sqlite::empty().await;
    let repository = &database.repository;
    let steps = steps_in("sqlite");
    assert_eq!(repository.pending_migrations().await.expect("an answer"), steps);
    assert_eq!(repository.migrate().await.expect("the steps"), steps);
    assert_eq!(repository.pending_migrations().await.expect("an answer"), [""; 0]);
    assert_eq!(repository.migrate().await.expect("nothing to do"), [""; 0]);
}

#[tokio::test]
async fn postgres_takes_every_step_once() {
    let database = Postgres::empty().await;
    let repository = &database.repository;
    let steps = steps_in("postgres");
    assert_eq!(repository.pending_migrations().await.expect("an answer"), steps);
    assert_eq!(repository.migrate().await.expect("the steps"), steps);
    assert_eq!(repository.pending_migrations().await.expect("an answer"), [""; 0]);
    assert_eq!(repository.migrate().await.expect("nothing to do"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_replicas_that_start_at_once_share_a_new_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}/new/hallpass.db", folder.path().display());
    let replicas = (0..REPLICAS).map(|_| async {
        let repository = SqliteRepository::connect(&url, SqliteOptions::default()).await.expect("the file");
        let taken = repository.migrate().await.expect("the steps");
        repository.ping().await.expect("an answer");
        taken
    });
    assert_eq!(join_all(replicas).await.concat(), steps_in("sqlite"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_replicas_that_start_at_once_share_a_new_database() {
    let url = PostgresServer::shared().create_database().await;
    let replicas = (0..REPLICAS).map(|_| async {
        let repository =
            PostgresRepository::connect(&url, PostgresOptions::default()).await.expect("a server");
        let taken = repository.migrate().await.expect("the steps");
        repository.ping().await.expect("an answer");
        taken
    });
    assert_eq!(join_all(replicas).await.concat(), steps_in("postgres"));
}

/// Locks between processes are not those between the connections of one.
#[test]
fn processes_that_start_at_once_share_a_new_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}/new/hallpass.db", folder.path().display());
    let children: Vec<_> = (0..REPLICAS)
        .map(|_| {
            std::process::Command::new(std::env::current_exe().expect("this program"))
                .args(["--exact", "repository::migrations::one_of_several_processes", "--ignored"])
                .env(FILE, &url)
                .stdout(std::process::Stdio::piped())
                .spawn()
                .expect("a child process")
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().expect("its end");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }
}

#[tokio::test]
#[ignore = "started by processes_that_start_at_once_share_a_new_file"]
async fn one_of_several_processes() {
    let Ok(url) = std::env::var(FILE) else { return };
    let repository = SqliteRepository::connect(&url, SqliteOptions::default()).await.expect("the file");
    repository.migrate().await.expect("the steps");
    assert_eq!(repository.pending_migrations().await.expect("an answer"), [""; 0]);
}

/// The switch of a fresh file to WAL needs the file alone, and SQLite does not wait for that.
#[tokio::test]
async fn a_new_file_that_another_process_is_using_is_waited_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("hallpass.db");
    let other = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut other = other.connect().await.expect("a new file");
    other.execute("BEGIN IMMEDIATE; CREATE TABLE theirs (id INTEGER)").await.expect("the write lock");

    let url = path.to_str().expect("a UTF-8 path");
    let mut connecting = pin!(SqliteRepository::connect(url, SqliteOptions::default()));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut connecting).await;
    assert!(early.is_err(), "it waits: {early:?}");
    other.execute("COMMIT").await.expect("the lock given back");
    connecting.await.expect("the file").migrate().await.expect("the steps");
}

const STEP_OF_THE_FUTURE: &str = "INSERT INTO _sqlx_migrations
    (version, description, success, checksum, execution_time) VALUES (9999, 'later', true, '', 0)";

#[tokio::test]
async fn sqlite_refuses_a_database_of_a_later_hallpass() {
    let database = Sqlite::migrated().await;
    database.connection().await.execute(STEP_OF_THE_FUTURE).await.expect("a row");
    let answer = database.repository.migrate().await;
    assert!(matches!(answer, Err(DatabaseError::Newer(9999))), "{answer:?}");
    let pending = database.repository.pending_migrations().await;
    assert!(matches!(pending, Err(DatabaseError::Newer(9999))), "{pending:?}");
}

#[tokio::test]
async fn postgres_refuses_a_database_of_a_later_hallpass() {
    let database = Postgres::migrated().await;
    database.connection().await.execute(STEP_OF_THE_FUTURE).await.expect("a row");
    // Twice: the first refusal has given its lock back.
    for _ in 0..2 {
        let answer = database.repository.migrate().await;
        assert!(matches!(answer, Err(DatabaseError::Newer(9999))), "{answer:?}");
    }
}
