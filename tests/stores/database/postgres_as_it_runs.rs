//! Postgres as people run it: roles that may do little, several hosts, other schemas, TLS, no room.

use std::time::Duration;

use hallpass::store::signing_keys::SigningKeyStore;
use hallpass::store::sql::DatabaseError;
use hallpass::store::sql::postgres::{PostgresOptions, PostgresStore};
use hallpass::store::{Pooled, UserStore};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::faults::all_text;
use super::fixtures::{EVERYBODY, Postgres, UserOrder, insert, new_user};
use super::migrations::steps_in;
use crate::support::certificates::Certificates;
use crate::support::pgbouncer::{LEAST, PgBouncer};
use crate::support::postgres::PostgresServer;

/// How soon the server is found that a failover has put in the place of another.
const FAILOVER: Duration = Duration::from_secs(2);

async fn connect(url: &str) -> Result<PostgresStore, DatabaseError> {
    PostgresStore::connect(url, PostgresOptions::default()).await
}

async fn run(url: &str, statement: &str) {
    let mut connection = PgConnection::connect(url).await.expect("a server");
    connection.execute(AssertSqlSafe(statement)).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    connection.close().await.expect("a clean end");
}

async fn users(store: &PostgresStore) -> usize {
    store.list_users(&EVERYBODY, UserOrder::Oldest, None, 100).await.expect("an answer").len()
}

#[tokio::test]
async fn a_role_is_given_what_it_needs_once_and_each_right_that_it_lacks_is_named() {
    let database = Postgres::migrated().await;
    let url = PostgresServer::shared().role_in(&database.url, LEAST).await;
    let named = |lacking: Vec<_>| lacking.iter().map(ToString::to_string).collect::<Vec<String>>();
    let least = connect(&url).await.expect("it may connect");
    // The steps cannot be seen.
    let unseen = least.pending_migrations().await.expect_err("a refusal");
    assert!(matches!(&unseen, DatabaseError::MayNotLook { role, .. } if role == LEAST), "{unseen:?}");
    let lacking = named(least.lacking_rights().await.expect("an answer"));
    assert!(
        lacking.len() == 13 && lacking.contains(&"SELECT, INSERT, DELETE on audit_log".to_owned()),
        "{lacking:?}"
    );

    let given = named(database.store.grant_rights(LEAST).await.expect("the owner may"));
    assert_eq!(given, lacking);
    assert_eq!(named(database.store.grant_rights(LEAST).await.expect("again")), [""; 0]);
    assert_eq!(named(least.lacking_rights().await.expect("an answer")), [""; 0]);
    assert_eq!(least.migrate().await.expect("nothing to do"), [""; 0]);
    insert(&least, &new_user("ada@example.com")).await;

    run(&database.url, &format!("REVOKE UPDATE, DELETE ON users FROM {LEAST}")).await;
    run(&database.url, &format!("REVOKE INSERT ON journal FROM {LEAST}")).await;
    let lacking = named(least.lacking_rights().await.expect("an answer"));
    assert_eq!(lacking, ["UPDATE, DELETE on users", "INSERT on journal"]);

    run(&database.url, "REVOKE USAGE ON SCHEMA public FROM PUBLIC").await;
    let hidden = least.pending_migrations().await.expect_err("a refusal");
    assert!(all_text(&hidden).contains("USAGE on the schema public"), "{hidden:?}");
    let given = named(database.store.grant_rights(LEAST).await.expect("the owner may"));
    assert_eq!(given, ["USAGE on the schema public", "UPDATE, DELETE on users", "INSERT on journal"]);
    assert_eq!(named(least.lacking_rights().await.expect("an answer")), [""; 0]);
}

/// It may neither make tables nor change them, and nothing of the journal or the audit log.
#[tokio::test]
async fn the_least_rights_are_no_more_than_that() {
    let database = Postgres::migrated().await;
    let url = PostgresServer::shared().role_in(&database.url, LEAST).await;
    database.store.grant_rights(LEAST).await.expect("the owner may");
    let mut connection = PgConnection::connect(&url).await.expect("a server");
    for statement in [
        "CREATE TABLE mine (id int)",
        "ALTER TABLE users ADD COLUMN mine int",
        "DROP TABLE users",
        "TRUNCATE audit_log",
        "UPDATE audit_log SET actor = 'operator'",
        "UPDATE journal SET until = 0",
        "DELETE FROM journal_heads",
        "DELETE FROM _sqlx_migrations",
        "INSERT INTO _sqlx_migrations VALUES (99, '', now(), true, '', 0)",
    ] {
        let refused = connection.execute(statement).await.expect_err(statement);
        let code = refused.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {refused}");
    }
}

#[tokio::test]
async fn a_role_that_may_not_take_the_steps_names_them_and_the_command_that_does() {
    let url = PostgresServer::shared().create_database().await;
    let least = connect(&PostgresServer::shared().role_in(&url, LEAST).await).await.expect("a server");
    let error = least.migrate().await.expect_err("a refusal");
    let text = all_text(&error);
    for part in ["0001_users", "0009_journal", LEAST, "hallpass migrate", "database.migrate_url"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!error.may_pass(), "waiting mends nothing");
    // Nothing is left half done.
    assert_eq!(
        connect(&url).await.expect("a server").migrate().await.expect("the steps").len(),
        steps_in("postgres").len()
    );
}

#[tokio::test]
async fn a_step_that_fails_takes_those_before_it_back() {
    let url = PostgresServer::shared().create_database().await;
    run(&url, "CREATE TABLE journal (id int)").await;
    let store = connect(&url).await.expect("a server");
    let error = store.migrate().await.expect_err("a refusal");
    assert!(all_text(&error).contains("\"journal\" already exists"), "{error:?}");
    run(&url, "DROP TABLE journal").await;
    assert_eq!(store.migrate().await.expect("the steps").len(), steps_in("postgres").len());
}

#[tokio::test]
async fn a_step_that_was_changed_after_it_was_taken_is_refused() {
    let database = Postgres::migrated().await;
    run(&database.url, "UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 2").await;
    let error = database.store.migrate().await.expect_err("a refusal");
    assert!(all_text(&error).contains("0002_signing_keys"), "{error:?}");
}

#[tokio::test]
async fn schemas_of_one_database_are_apart_behind_a_pooler_as_well() {
    let database = Postgres::empty().await;
    let pooled = PgBouncer::shared().url_of(&database.url, "postgres");
    let in_schema = async |name: &str| {
        let store = connect(&format!("{pooled}?schema={name}")).await.expect("a pooler");
        assert_eq!(store.migrate().await.expect("the steps").len(), steps_in("postgres").len(), "{name}");
        assert_eq!(store.migrate().await.expect("nothing to do"), [""; 0]);
        store
    };
    let (one, other) = (in_schema("one").await, in_schema("Other").await);
    for round in 0..20 {
        insert(&one, &new_user(&format!("user{round}@example.com"))).await;
        assert_eq!((users(&one).await, users(&other).await), (round + 1, 0));
    }
    // Where none is named, none of them is meant.
    assert_eq!(
        database.store.pending_migrations().await.expect("an answer").len(),
        steps_in("postgres").len()
    );
    let mut connection = database.connection().await;
    let tables =
        "SELECT count(*) FROM pg_tables WHERE tablename = 'users' AND schemaname IN ('one', 'Other')";
    let count: i64 = sqlx::query_scalar(tables).fetch_one(&mut connection).await.expect("an answer");
    assert_eq!(count, 2);
}

/// Two servers, and a URL that names both.
struct Pair {
    servers: [PostgresServer; 2],
    urls: [String; 2],
    both: String,
}

impl Pair {
    async fn migrated() -> Self {
        let servers = [PostgresServer::start(), PostgresServer::start()];
        let mut urls = Vec::new();
        for server in &servers {
            let url = server.create_database().await;
            connect(&url).await.expect("a server").migrate().await.expect("the steps");
            urls.push(url);
        }
        let urls: [String; 2] = urls.try_into().expect("two");
        let folders =
            servers.each_ref().map(|server| server.folder().display().to_string().replace('/', "%2F"));
        let both = format!("postgres://postgres@{},{}/test_0", folders[0], folders[1]);
        Self { servers, urls, both }
    }

    /// Lets a server take no writes, as a standby.
    async fn demote(&self, which: usize) {
        run(&self.urls[which], "ALTER DATABASE test_0 SET default_transaction_read_only = on").await;
    }

    async fn promote(&self, which: usize) {
        // From another database, which takes writes.
        let statement = "ALTER DATABASE test_0 RESET default_transaction_read_only";
        run(&self.servers[which].url_of("postgres"), statement).await;
    }
}

#[tokio::test]
async fn of_several_hosts_the_one_that_takes_writes_is_used_and_followed_when_it_moves() {
    let mut pair = Pair::migrated().await;
    pair.demote(0).await;
    let store = connect(&pair.both).await.expect("one that writes");
    insert(&store, &new_user("ada@example.com")).await;
    assert_eq!(users(&connect(&pair.urls[1]).await.expect("a server")).await, 1);

    // A failover: the one in use takes no writes any more, the other does.
    pair.demote(1).await;
    pair.promote(0).await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'test_0'";
    run(&pair.urls[1], end).await;
    let started = Instant::now();
    while store.insert_user(&new_user("eve@example.com")).await.is_err() {
        assert!(started.elapsed() < FAILOVER, "the other one is not found");
    }
    assert_eq!(users(&connect(&pair.urls[0]).await.expect("a server")).await, 1);

    // None of them.
    pair.demote(0).await;
    run(&pair.urls[0], end).await;
    let error = store.insert_user(&new_user("bob@example.com")).await.expect_err("nobody takes writes");
    assert!(all_text(&error).contains("no server that takes writes"), "{error:?}");
    let error = connect(&pair.both).await.expect_err("nobody takes writes");
    assert!(error.may_pass() && all_text(&error).contains("only read"), "{error:?}");
    connect(&format!("{}?target_session_attrs=any", pair.both)).await.expect("one that reads");

    // One that is gone is passed over.
    pair.promote(1).await;
    pair.servers[0].take_down();
    let started = Instant::now();
    while store.ping().await.is_err() {
        assert!(started.elapsed() < FAILOVER, "the other one is not found");
    }
    connect(&pair.both).await.expect("the other one");
}

#[tokio::test]
async fn a_host_that_is_silent_is_passed_over_in_time() {
    let database = Postgres::migrated().await;
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("an address");
    let url = database.url.replacen("postgres@", &format!("postgres@{address},"), 1);
    let options = PostgresOptions { connect_timeout: Duration::from_secs(2), ..PostgresOptions::default() };
    let store = PostgresStore::connect(&url, options).await.expect("the other one");
    assert_eq!(users(&store).await, 0);

    let alone = format!("postgres://postgres@{address}/hallpass");
    let error = PostgresStore::connect(&alone, options).await.expect_err("silence");
    let text = all_text(&error);
    assert!(error.may_pass() && text.contains(&address.to_string()) && text.contains("no answer"), "{text}");
}

#[tokio::test]
async fn a_shortage_of_connections_is_told_as_such() {
    let database = Postgres::migrated().await;
    // One statement has the only connection for longer than anybody else waits for it.
    let statement_timeout = Duration::from_secs(20);
    let options = PostgresOptions { max_connections: 1, statement_timeout, ..PostgresOptions::default() };
    let store = PostgresStore::connect(&database.url, options).await.expect("a server");
    let mut other = database.connection().await;
    let mut lock = other.begin().await.expect("a transaction");
    lock.execute("LOCK TABLE users").await.expect("the lock");
    let waiting = store.clone();
    let waiting =
        tokio::spawn(async move { waiting.list_users(&EVERYBODY, UserOrder::Oldest, None, 1).await });
    let waits = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass)";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut *lock).await.expect("an answer") {}
    let (pool, waits) = (store.pools()[0], "hallpass_pool_wait_seconds_count{pool=\"database\"}");
    assert_eq!((pool.in_use, pool.idle, pool.max), (1, 0, 1), "{pool:?}");
    let before = told(waits);
    let error = store.list_signing_keys().await.expect_err("no connection");
    let text = all_text(&error);
    assert!(
        text.contains("all 1 connections are in use") && text.contains("database.max_connections"),
        "{text}"
    );
    lock.rollback().await.expect("the lock given back");
    assert!(told(waits) > before, "it was waited for");
    waiting.await.expect("no panic").expect("an answer");
    let pool = store.pools()[0];
    assert_eq!((pool.in_use, pool.idle, pool.max), (0, 1, 1), "{pool:?}");
}

/// A number of the metrics of this process; nought where there is none yet.
fn told(series: &str) -> u64 {
    let text = hallpass::metrics::text().expect("the text");
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0, |number| number.trim().parse().expect("a number"))
}

/// Postgres has no more room: those that there are serve all, and without one the error says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_without_room_serves_with_what_there_is() {
    let database = Postgres::migrated().await;
    let role = "hallpass_one_connection";
    let url = PostgresServer::shared().role_in(&database.url, role).await;
    database.store.grant_rights(role).await.expect("the owner may");
    run(&database.url, &format!("ALTER ROLE {role} CONNECTION LIMIT 1")).await;
    let store = connect(&url).await.expect("the first one");
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1).await })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("an answer, by the one connection");
    }
    let error = connect(&url).await.expect_err("no room");
    assert!(error.may_pass() && all_text(&error).contains("too many connections"), "{error:?}");
}

#[tokio::test]
async fn a_certificate_is_checked_against_the_authority_that_the_url_names() {
    let (server, port) = PostgresServer::with_tls(Certificates::shared());
    let own = Certificates::shared().authority().display().to_string();
    let others = Certificates::make();
    let url =
        |host: &str, parameters: &str| format!("postgres://postgres@{host}:{port}/postgres?{parameters}");
    let verified = format!("sslmode=verify-full&sslrootcert={own}");

    let store = connect(&url("127.0.0.1", &verified)).await.expect("its certificate is good");
    store.migrate().await.expect("the steps");
    assert_eq!(users(&store).await, 0);
    let mut other = PgConnection::connect(&url("127.0.0.1", "sslmode=disable")).await.expect("a server");
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                     WHERE ssl AND application_name = 'hallpass'";
    let count: i64 = sqlx::query_scalar(encrypted).fetch_one(&mut other).await.expect("an answer");
    assert!(count > 0, "nothing is encrypted");
    other.close().await.expect("a clean end");

    for (host, parameters) in [
        // Another authority, none that is known, and another name than the certificate's.
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={}", others.authority().display())),
        ("127.0.0.1", "sslmode=verify-full".to_owned()),
        ("localhost", verified.clone()),
    ] {
        let error = connect(&url(host, &parameters)).await.expect_err("a refusal");
        let text = all_text(&error);
        assert!(text.contains("certificate") && !error.may_pass(), "{text}");
    }
    server.stop();
}

#[tokio::test]
async fn a_parameter_that_nobody_heeds_is_refused() {
    let url = PostgresServer::shared().create_database().await;
    for parameter in ["pgbouncer=true", "connect_timeout=3", "sslmod=require"] {
        let error = connect(&format!("{url}?{parameter}")).await.expect_err("a refusal");
        assert!(matches!(&error, DatabaseError::Url(_)), "{error:?}");
    }
}
