//! Bringing a database up to date, several replicas at once included.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::join_all;
use hallpass::domain::audit::{AuditFilter, RecordedEntry};
use hallpass::domain::client::{Client, ClientSecretHash};
use hallpass::domain::ids::UserId;
use hallpass::domain::journal::{EntryId, JournalEntry, JournalHead, Journaled, Mark};
use hallpass::domain::partition::Partition;
use hallpass::domain::signing_key::{RingKey, SigningAlgorithm};
use hallpass::domain::user::{NewUser, Role, User};
use hallpass::store::clients::ClientStore;
use hallpass::store::deployment::DeploymentStore;
use hallpass::store::journal::RevocationJournal;
use hallpass::store::signing_keys::SigningKeyStore;
use hallpass::store::sql::DatabaseError;
use hallpass::store::sql::postgres::{PostgresOptions, PostgresStore};
use hallpass::store::sql::sqlite::{SqliteOptions, SqliteStore};
use hallpass::store::{AuditStore, UserStore};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use super::audit::full_entry;
use super::fixtures::{EVERYBODY, Postgres, Sqlite, UserOrder, event, insert, name, new_user, signing_key};
use crate::support::postgres::PostgresServer;

/// Where a child process of [`processes_that_start_at_once_share_a_new_file`] finds the file.
const FILE: &str = "HALLPASS_TEST_DATABASE";

const REPLICAS: usize = 16;

/// The names of the step files of an engine, in order.
pub fn steps_in(folder: &str) -> Vec<String> {
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
    let store = &database.store;
    let steps = steps_in("sqlite");
    assert_eq!(store.pending_migrations().await.expect("an answer"), steps);
    assert_eq!(store.migrate().await.expect("the steps"), steps);
    assert_eq!(store.pending_migrations().await.expect("an answer"), [""; 0]);
    assert_eq!(store.migrate().await.expect("nothing to do"), [""; 0]);
}

#[tokio::test]
async fn postgres_takes_every_step_once() {
    let database = Postgres::empty().await;
    let store = &database.store;
    let steps = steps_in("postgres");
    assert_eq!(store.pending_migrations().await.expect("an answer"), steps);
    assert_eq!(store.migrate().await.expect("the steps"), steps);
    assert_eq!(store.pending_migrations().await.expect("an answer"), [""; 0]);
    assert_eq!(store.migrate().await.expect("nothing to do"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_replicas_that_start_at_once_share_a_new_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}/new/hallpass.db", folder.path().display());
    let replicas = (0..REPLICAS).map(|_| async {
        let store = SqliteStore::connect(&url, SqliteOptions::default()).await.expect("the file");
        let taken = store.migrate().await.expect("the steps");
        store.ping().await.expect("an answer");
        taken
    });
    assert_eq!(join_all(replicas).await.concat(), steps_in("sqlite"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_replicas_that_start_at_once_share_a_new_database() {
    let url = PostgresServer::shared().create_database().await;
    let replicas = (0..REPLICAS).map(|_| async {
        let store = PostgresStore::connect(&url, PostgresOptions::default()).await.expect("a server");
        let taken = store.migrate().await.expect("the steps");
        store.ping().await.expect("an answer");
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
                .args(["--exact", "database::migrations::one_of_several_processes", "--ignored"])
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
    let store = SqliteStore::connect(&url, SqliteOptions::default()).await.expect("the file");
    store.migrate().await.expect("the steps");
    assert_eq!(store.pending_migrations().await.expect("an answer"), [""; 0]);
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
    let mut connecting = pin!(SqliteStore::connect(url, SqliteOptions::default()));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut connecting).await;
    assert!(early.is_err(), "it waits: {early:?}");
    other.execute("COMMIT").await.expect("the lock given back");
    connecting.await.expect("the file").migrate().await.expect("the steps");
}

/// Steps that add a column which accounts and clients are written or read with today, and touch nothing else.
const USED_TODAY: [&str; 5] = [
    "0010_external_id",
    "0011_mailbox",
    "0013_client_audiences_for_0012",
    "0014_roles_for_0012",
    "0015_metadata_for_0012",
];

/// The steps of an engine up to the one that begins with `last`, as an earlier hallpass had them, and those
/// without which today's code could not fill and read the database.
async fn steps_up_to(engine: &str, last: &str) -> Migrator {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let steps = steps_in(engine).into_iter();
    for step in steps.filter(|step| &step[..last.len()] <= last || USED_TODAY.contains(&step.as_str())) {
        let file = format!("{step}.sql");
        let from = format!("{}/migrations/{engine}/{file}", env!("CARGO_MANIFEST_DIR"));
        std::fs::copy(from, folder.path().join(file)).expect("a copy");
    }
    Migrator::new(folder.path()).await.expect("steps")
}

/// All that a database of before the journal is used for.
trait Everything: UserStore + SigningKeyStore + ClientStore + AuditStore {}

impl<T: UserStore + SigningKeyStore + ClientStore + AuditStore> Everything for T {}

/// All that stands in such a database, as the traits read it.
type Contents = (Vec<String>, Vec<RingKey>, Vec<String>, Vec<RecordedEntry>);

async fn contents(database: &dyn Everything) -> Contents {
    let user = |user: &User| format!("{user:?} {}", user.password.expose());
    let client = |client: &Client| {
        let secrets: Vec<_> = client.secrets.iter().map(ClientSecretHash::as_bytes).collect();
        format!("{client:?} {secrets:?}")
    };
    (
        database
            .list_users(&EVERYBODY, UserOrder::Oldest, None, 100)
            .await
            .expect("an answer")
            .iter()
            .map(user)
            .collect(),
        database.list_signing_keys().await.expect("an answer"),
        database.list_clients().await.expect("an answer").iter().map(client).collect(),
        database.list_audit(&AuditFilter::default(), None, 100).await.expect("an answer"),
    )
}

/// Something of every kind but a client. The first of the accounts has security version 4.
async fn fill(database: &dyn Everything) -> UserId {
    let ada = NewUser {
        role: Role::Admin,
        email_verified: true,
        last_name: name("O'Brien \"x\" 🦀"),
        ..new_user("ada@example.com")
    };
    let ada = insert(database, &ada).await;
    insert(database, &NewUser { first_name: None, ..new_user("bob@example.com") }).await;
    let key = signing_key("kid-1", SigningAlgorithm::Es256, 1_000);
    assert!(database.insert_first_signing_key(&key).await.expect("an answer"));
    database.append_audit(&[full_entry(1)]).await.expect("an answer");
    ada.id
}

/// A client, which is not made without looking into the journal. `hash` is that of its secret.
fn client_with(hash: &str) -> String {
    format!(
        "INSERT INTO clients (id, scopes, created_at, audiences, exchange)
             VALUES ('reports', 'read write', 1000, '[\"https://orders.example.com\"]', TRUE);
         INSERT INTO client_secrets (client_id, hash, created_at) VALUES ('reports', {hash}, 1000)"
    )
}

/// What the first account and a deleted one have owed to the token store. The sessions that these are
/// about name no incarnation, so no token store takes them any more.
const OWED: &str = "UPDATE users SET security_version = 4, cut_off_version = 2, disabled = TRUE WHERE id = 1;
    INSERT INTO deleted_users (id, security_version) VALUES (99, 3)";

/// What is owed from now on stands in the journal.
const KEPT_BEFORE: [&str; 2] = ["SELECT cut_off_version FROM users", "SELECT 1 FROM deleted_users"];

/// The journal of a database that has had none begins at the beginning, and accounts go on as they were.
async fn assert_a_new_journal<T>(database: &T, ada: UserId)
where
    T: Everything + RevocationJournal + DeploymentStore,
{
    let heads = database.journal_heads().await.expect("an answer");
    let new =
        Partition::all().map(|partition| JournalHead { partition, newest: Mark::START, incarnation: 0 });
    assert_eq!(heads, new.collect::<Vec<_>>());
    assert_eq!(database.mirror_staleness().await.expect("an answer"), Duration::ZERO);
    assert_eq!(database.find_deployment_id().await.expect("an answer"), None);

    let kick =
        database.advance_security_version(ada, event()).await.expect("an answer").expect("the account");
    assert_eq!(kick.user.security_version.get(), 5);
    assert_eq!((kick.link.at.position, kick.link.previous), (1, EntryId::NONE));
    let revoked = Journaled::User { user: ada, below: kick.user.security_version };
    let entries = database.list_entries(Partition::of(ada), 0, i64::MAX, 10).await.expect("an answer");
    assert_eq!(entries, [JournalEntry { link: kick.link, revoked, until: kick.until }]);

    let successor = insert(database, &new_user("eve@example.com")).await;
    assert_eq!(successor.id.get(), 3, "the ids of before are not given again");
}

#[tokio::test]
async fn a_sqlite_file_of_before_the_journal_keeps_all_that_is_in_it() {
    let database = Sqlite::empty().await;
    let mut connection = database.connection().await;
    steps_up_to("sqlite", "0007").await.run(&mut connection).await.expect("the earlier steps");
    let store = &database.store;
    let ada = fill(store).await;
    let client = client_with(&format!("X'{}'", "07".repeat(32)));
    connection.execute(AssertSqlSafe(client)).await.expect("a client");
    connection.execute(OWED).await.expect("something owed");
    let before = contents(store).await;
    assert_eq!((before.0.len(), before.1.len(), before.2.len(), before.3.len()), (2, 1, 1, 1));

    assert_eq!(
        store.migrate().await.expect("the steps"),
        ["0008_deployment", "0009_journal", "0012_sealed_values", "0016_search_for_0012"]
    );
    assert_eq!(contents(store).await, before);
    assert_a_new_journal(store, ada).await;
    for gone in KEPT_BEFORE {
        assert!(connection.execute(gone).await.is_err(), "{gone}");
    }
}

/// The connections of a replica that still runs go on through the steps.
#[tokio::test]
async fn a_postgres_database_of_before_the_journal_keeps_all_that_is_in_it() {
    let database = Postgres::empty().await;
    let mut connection = database.connection().await;
    steps_up_to("postgres", "0007").await.run(&mut connection).await.expect("the earlier steps");
    let store = &database.store;
    let ada = fill(store).await;
    let client = client_with(&format!("'\\x{}'::bytea", "07".repeat(32)));
    connection.execute(AssertSqlSafe(client)).await.expect("a client");
    connection.execute(OWED).await.expect("something owed");
    let before = contents(store).await;
    assert_eq!((before.0.len(), before.1.len(), before.2.len(), before.3.len()), (2, 1, 1, 1));

    assert_eq!(
        store.migrate().await.expect("the steps"),
        ["0008_deployment", "0009_journal", "0012_sealed_values", "0016_search_for_0012"]
    );
    assert_eq!(contents(store).await, before);
    assert_a_new_journal(store, ada).await;
    for gone in KEPT_BEFORE {
        assert!(connection.execute(gone).await.is_err(), "{gone}");
    }
}

const STEP_OF_THE_FUTURE: &str = "INSERT INTO _sqlx_migrations
    (version, description, success, checksum, execution_time) VALUES (9999, 'later', true, '', 0)";

/// One that leaves alone what is used by programs which know the steps up to 12.
const STEP_FOR_TODAY: &str = "INSERT INTO _sqlx_migrations
    (version, description, success, checksum, execution_time) VALUES (9998, 'more of it for 0012', true, '', 0)";

/// Replicas of this version start again while others are brought up to date.
#[tokio::test]
async fn a_later_step_that_leaves_this_version_alone_is_passed_over() {
    let (sqlite, postgres) = (Sqlite::migrated().await, Postgres::migrated().await);
    sqlite.connection().await.execute(STEP_FOR_TODAY).await.expect("a row");
    postgres.connection().await.execute(STEP_FOR_TODAY).await.expect("a row");
    for _ in 0..2 {
        assert_eq!(sqlite.store.migrate().await.expect("as it is"), [""; 0]);
        assert_eq!(sqlite.store.pending_migrations().await.expect("none"), [""; 0]);
        assert_eq!(postgres.store.migrate().await.expect("as it is"), [""; 0]);
        assert_eq!(postgres.store.pending_migrations().await.expect("none"), [""; 0]);
    }
    insert(&sqlite.store, &new_user("ada@example.com")).await;
    insert(&postgres.store, &new_user("ada@example.com")).await;
    // Beside it, one that does not is refused.
    sqlite.connection().await.execute(STEP_OF_THE_FUTURE).await.expect("a row");
    assert!(matches!(sqlite.store.migrate().await, Err(DatabaseError::Newer(9999))));
}

#[tokio::test]
async fn sqlite_refuses_a_database_of_a_later_hallpass() {
    let database = Sqlite::migrated().await;
    database.connection().await.execute(STEP_OF_THE_FUTURE).await.expect("a row");
    let answer = database.store.migrate().await;
    assert!(matches!(answer, Err(DatabaseError::Newer(9999))), "{answer:?}");
    let pending = database.store.pending_migrations().await;
    assert!(matches!(pending, Err(DatabaseError::Newer(9999))), "{pending:?}");
}

#[tokio::test]
async fn postgres_refuses_a_database_of_a_later_hallpass() {
    let database = Postgres::migrated().await;
    database.connection().await.execute(STEP_OF_THE_FUTURE).await.expect("a row");
    // Twice: the first refusal has given its lock back.
    for _ in 0..2 {
        let answer = database.store.migrate().await;
        assert!(matches!(answer, Err(DatabaseError::Newer(9999))), "{answer:?}");
    }
}
