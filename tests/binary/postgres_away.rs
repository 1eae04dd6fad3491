//! Postgres is not there when the service starts.

use std::os::unix::fs::symlink;

use hyper::StatusCode;
use tokio::time::{Duration, timeout};

use crate::client::get;
use crate::process::{Program, eventually, serve};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

/// How long a command may take that waits for nothing.
const AT_ONCE: Duration = Duration::from_secs(10);

/// The URL of the database with another folder, user or name.
fn instead(database: &str, part: &str, other: &str) -> String {
    assert!(database.contains(part), "{part} in {database}");
    database.replace(part, other)
}

#[tokio::test]
async fn a_service_that_starts_without_postgres_waits_and_works_when_postgres_comes() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let server = PostgresServer::shared();
    let database = server.create_database().await;
    let name = database.rsplit('/').next().expect("a name");
    let elsewhere = folder.path().to_str().expect("a UTF-8 path").replace('/', "%2F");
    let not_there = format!("postgres://postgres@{elsewhere}/{name}");
    let service = serve(folder.path(), &redis.url(), &not_there).start();
    let client = service.client();

    for path in ["/health/live", "/livez"] {
        assert_eq!(client.send(get(path)).await.status, StatusCode::OK, "{path}");
    }
    let not_ready = client.send(get("/health/ready")).await;
    assert_eq!(not_ready.status, StatusCode::SERVICE_UNAVAILABLE, "{not_ready:?}");
    assert_eq!(not_ready.json()["status"], "not_ready");
    client.send(get("/users/me")).await.assert_problem(503, "dependency_unavailable");
    let log = service.log().text();
    assert!(log.contains("the database is not there yet") && log.contains("No such file"), "{log}");

    symlink(server.socket(), folder.path().join(".s.PGSQL.5432")).expect("the socket");
    eventually("ready", async || service.client().is_ready().await).await;
    assert_eq!(service.client().register("ada@example.com").await.status, StatusCode::CREATED);
    service.client().log_in("ada@example.com").await;
    service.stop().await;
}

#[tokio::test]
async fn a_service_that_waits_for_postgres_stops_when_it_is_told_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let elsewhere = folder.path().to_str().expect("a UTF-8 path").replace('/', "%2F");
    let redis = RedisServer::start();
    let service = serve(folder.path(), &redis.url(), &format!("postgres://postgres@{elsewhere}/x")).start();
    service.stop().await;
}

/// Waiting mends none of these.
#[tokio::test]
async fn a_postgres_that_refuses_the_service_ends_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let database = PostgresServer::shared().create_database().await;
    for (wrong, said) in [
        (instead(&database, "/test_", "/no_such_"), "does not exist"),
        (instead(&database, "postgres@", "nobody_we_know@"), "does not exist"),
    ] {
        let program = serve(folder.path(), &redis.url(), &wrong);
        let outcome = timeout(AT_ONCE, program.run()).await.expect("it ends");
        assert_ne!(outcome.code, Some(0), "{outcome:?}");
        assert!(outcome.stderr.contains(said), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_command_does_not_wait_for_postgres() {
    let folder = tempfile::tempdir().expect("a folder");
    let elsewhere = folder.path().to_str().expect("a UTF-8 path").replace('/', "%2F");
    let program = Program::new(folder.path(), &["migrate"])
        .variable("DATABASE_URL", format!("postgres://postgres@{elsewhere}/x"));
    let outcome = timeout(AT_ONCE, program.run()).await.expect("it ends");
    assert_ne!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stderr.contains("cannot open the database"), "{outcome:?}");
}
