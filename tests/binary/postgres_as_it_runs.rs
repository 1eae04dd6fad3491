//! The service with Postgres as people run it: behind PgBouncer, and by a role with few rights.

use std::path::Path;

use futures_util::future::join_all;
use hyper::StatusCode;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::client::{PASSWORD, get, login};
use crate::process::{Outcome, Program, SECRET, serve};
use crate::support::pgbouncer::{LEAST, PgBouncer};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

/// Logins at once, and accounts that log in.
const LOGINS: usize = 80;
const ACCOUNTS: usize = 22;

/// What one address has in the queue of hashes.
const PLACES: usize = 8;

async fn run(url: &str, statement: &str) {
    let mut connection = PgConnection::connect(url).await.expect("a server");
    connection.execute(AssertSqlSafe(statement)).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    connection.close().await.expect("a clean end");
}

fn command(folder: &Path, redis: &str, database: &str, arguments: &[&str]) -> Program {
    Program::new(folder, arguments)
        .variable("HALLPASS_SECRET", SECRET)
        .variable("HALLPASS_PUBLIC_URL", "https://hallpass.example.com")
        .variable("REDIS_URL", redis)
        .variable("DATABASE_URL", database)
}

/// What the doctor says of a subject: its condition and its text.
fn found(outcome: &Outcome, subject: &str) -> (String, String) {
    let findings: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let finding = findings.as_array().expect("a list").iter().find(|finding| finding["subject"] == subject);
    let finding = finding.unwrap_or_else(|| panic!("nothing about {subject}: {outcome:?}"));
    let text = |name: &str| finding[name].as_str().expect("text").to_owned();
    (text("condition"), text("text"))
}

/// Two replicas, each with more connections than the pooler has for all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_behind_pgbouncer_in_transaction_mode_answer_everybody() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let database = PostgresServer::shared().create_database().await;
    let pooled = PgBouncer::shared().url_of(&database, "postgres");
    let start = || {
        // How long so many hashes take on this machine is not what this is about.
        serve(folder.path(), &redis.url(), &pooled)
            .variable("HALLPASS_PASSWORDS__ARGON2__MEMORY_KIB", "64")
            .variable("HALLPASS_PASSWORDS__ARGON2__ITERATIONS", "1")
            .variable("HALLPASS_PASSWORDS__HASH_QUEUE", "1000")
            .variable("HALLPASS_DATABASE__ACQUIRE_TIMEOUT", "30s")
            .variable("HALLPASS_RATE_LIMITS__ENABLED", "false")
            .start()
    };
    let (first, second) = (start(), start());
    let clients = [first.client(), second.client()];
    // A place has eight places in the queue of hashes.
    let accounts: Vec<usize> = (0..ACCOUNTS).collect();
    for accounts in accounts.chunks(PLACES) {
        let registered = join_all(accounts.iter().map(async |account| {
            clients[account % 2].register(&format!("user{account}@example.com")).await.status
        }));
        assert!(
            registered.await.iter().all(|status| *status == StatusCode::CREATED),
            "{}",
            first.log().text()
        );
    }
    for round in 0..LOGINS / PLACES {
        let logins = join_all((0..PLACES).map(async |place| {
            let number = round * PLACES + place;
            let email = format!("user{}@example.com", number % ACCOUNTS);
            let tokens = clients[number % 2].log_in(&email).await;
            let me = clients[(number + 1) % 2].send(get("/users/me").bearer(&tokens.access)).await;
            (me.status, me.json()["email"].as_str() == Some(email.as_str()))
        }));
        assert_eq!(logins.await, [(StatusCode::OK, true); PLACES], "round {round}: {}", first.log().text());
    }
    for service in [first, second] {
        assert!(service.client().is_ready().await);
        service.stop().await;
    }
}

#[tokio::test]
async fn a_service_runs_as_a_role_that_owns_nothing_when_another_migrates() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let owner = PostgresServer::shared().create_database().await;
    let least = PostgresServer::shared().role_in(&owner, LEAST).await;
    let doctor = async || command(folder.path(), &redis.url(), &least, &["doctor", "--json"]).run().await;

    // By itself it may not begin, and says what to do.
    let refused = serve(folder.path(), &redis.url(), &least).run().await;
    assert_ne!(refused.code, Some(0), "{refused:?}");
    for part in ["0001_users", LEAST, "hallpass migrate", "database.migrate_url"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
    assert_eq!(found(&doctor().await, "schema").0, "warning");

    let migrate = command(folder.path(), &redis.url(), &least, &["migrate"])
        .variable("HALLPASS_DATABASE__MIGRATE_URL", &owner);
    let migrated = migrate.run().await;
    assert!(migrated.code == Some(0) && migrated.stdout.contains("15 steps taken"), "{migrated:?}");
    assert_eq!(found(&doctor().await, "rights").0, "good");
    let service = serve(folder.path(), &redis.url(), &least).start();
    let tokens = service.client().logged_in("ada@example.com").await;
    assert_eq!(service.client().log_out(&tokens.access).await.status, StatusCode::OK);
    assert!(!service.log().text().contains("lacks"), "{}", service.log().text());
    service.stop().await;

    run(&owner, &format!("REVOKE INSERT ON users, audit_log FROM {LEAST}")).await;
    let outcome = doctor().await;
    let (condition, text) = found(&outcome, "rights");
    assert_eq!((outcome.code, condition.as_str()), (Some(1), "bad"), "{outcome:?}");
    for part in [LEAST, "INSERT on users", "INSERT on audit_log", "hallpass migrate"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Said at start as well, and given back where the owner is known.
    let service = serve(folder.path(), &redis.url(), &least).start();
    assert!(service.log().text().contains("INSERT on users"), "{}", service.log().text());
    service.stop().await;
    let service =
        serve(folder.path(), &redis.url(), &least).variable("HALLPASS_DATABASE__MIGRATE_URL", &owner).start();
    assert_eq!(service.client().register("grace@example.com").await.status, StatusCode::CREATED);
    service.stop().await;
    assert_eq!(found(&doctor().await, "rights").0, "good");
}

#[tokio::test]
async fn a_shortage_of_connections_is_503_and_the_log_says_what_is_short() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let database = PostgresServer::shared().create_database().await;
    let service = serve(folder.path(), &redis.url(), &database)
        .variable("HALLPASS_DATABASE__MAX_CONNECTIONS", "1")
        .variable("HALLPASS_DATABASE__STATEMENT_TIMEOUT", "20s")
        .start();
    let client = service.client();
    assert_eq!(client.register("ada@example.com").await.status, StatusCode::CREATED);
    let mut other = PgConnection::connect(&database).await.expect("a server");
    let mut lock = other.begin().await.expect("a transaction");
    lock.execute("LOCK TABLE users").await.expect("the lock");
    let first = async { client.send(login("ada@example.com", PASSWORD)).await };
    let others = async {
        let waits =
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass)";
        while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut *lock).await.expect("an answer") {}
        let short = client.send(login("ada@example.com", PASSWORD)).await;
        short.assert_problem(503, "dependency_unavailable");
        assert!(!short.header("retry-after").is_empty(), "{short:?}");
        lock.rollback().await.expect("the lock given back");
    };
    let (first, ()) = tokio::join!(first, others);
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    let log = service.log().text();
    assert!(
        log.contains("all 1 connections are in use") && log.contains("database.max_connections"),
        "{log}"
    );
    service.stop().await;
}
