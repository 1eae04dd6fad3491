//! The service with Redis as people run it.

use std::path::Path;

use hallpass::store::redis::needed_commands;
use hyper::StatusCode;
use serde_json::Value;

use crate::process::{Outcome, Program, SECRET, serve};
use crate::support::certificates::Certificates;
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

async fn doctor(folder: &Path, redis: &str, database: &str) -> Outcome {
    let program = Program::new(folder, &["doctor", "--json"])
        .variable("HALLPASS_SECRET", SECRET)
        .variable("HALLPASS_PUBLIC_URL", "https://hallpass.example.com")
        .variable("HALLPASS_REDIS__PREFIX", "least")
        .variable("REDIS_URL", redis)
        .variable("DATABASE_URL", database);
    program.run().await
}

/// What the doctor says of a subject: its condition and its text.
fn found(outcome: &Outcome, subject: &str) -> (String, String) {
    let findings: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let finding = findings.as_array().expect("a list").iter().find(|finding| finding["subject"] == subject);
    let finding = finding.unwrap_or_else(|| panic!("nothing about {subject}: {outcome:?}"));
    let text = |name: &str| finding[name].as_str().expect("text").to_owned();
    (text("condition"), text("text"))
}

#[tokio::test]
async fn a_cluster_node_and_a_sentinel_end_the_start_with_what_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = PostgresServer::shared().create_database().await;
    for (server, said) in [
        (RedisServer::node_of_a_cluster(), "node of a Redis Cluster"),
        (RedisServer::sentinel(), "this is a Sentinel"),
    ] {
        let outcome = serve(folder.path(), &server.url(), &database).run().await;
        assert!(outcome.code == Some(1) && outcome.stderr.contains(said), "{outcome:?}");
        let (condition, text) = found(&doctor(folder.path(), &server.url(), &database).await, "token store");
        assert!(condition == "bad" && text.contains(said), "{condition}: {text}");
    }
}

#[tokio::test]
async fn a_service_runs_as_a_user_of_redis_with_few_rights_and_the_doctor_names_what_it_lacks() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let database = PostgresServer::shared().create_database().await;
    let needed: Vec<String> = needed_commands().collect();
    let mut user = vec!["ACL", "SETUSER", "least", "on", ">hunter2", "~least:*", "resetchannels"];
    user.extend(needed.iter().map(String::as_str));
    redis.command::<()>(&user).await;
    let url = format!("redis://least:hunter2@127.0.0.1:{}", redis.port());
    let service = serve(folder.path(), &url, &database).variable("HALLPASS_REDIS__PREFIX", "least").start();
    let client = service.client();
    let tokens = client.logged_in("ada@example.com").await;
    assert_eq!(client.refresh(&tokens.refresh).await.status, StatusCode::OK);
    assert_eq!(client.log_out(&tokens.access).await.status, StatusCode::OK);
    client.auth_me(&tokens.access).await.assert_problem(401, "token_revoked");
    assert!(client.is_ready().await);

    assert_eq!(found(&doctor(folder.path(), &url, &database).await, "redis rights").0, "unknown");
    redis.command::<()>(&["ACL", "SETUSER", "least", "+multi", "+discard"]).await;
    assert_eq!(found(&doctor(folder.path(), &url, &database).await, "redis rights").0, "good");
    redis.command::<()>(&["ACL", "SETUSER", "least", "-hset", "-zadd"]).await;
    let outcome = doctor(folder.path(), &url, &database).await;
    let (condition, text) = found(&outcome, "redis rights");
    assert!(condition == "bad" && text.contains("hset, zadd"), "{condition}: {text}");
    assert!(!outcome.stdout.contains("hunter2"), "{outcome:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_service_shows_its_certificate_to_redis_and_trusts_an_authority_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificates = Certificates::shared();
    let (_redis, port) = RedisServer::with_tls(certificates);
    let database = PostgresServer::shared().create_database().await;
    let service = serve(folder.path(), &format!("rediss://127.0.0.1:{port}"), &database)
        .variable("HALLPASS_REDIS__TLS__CA_FILE", certificates.authority())
        .variable("HALLPASS_REDIS__TLS__CERT_FILE", certificates.certificate())
        .variable("HALLPASS_REDIS__TLS__KEY_FILE", certificates.key())
        .start();
    let tokens = service.client().logged_in("ada@example.com").await;
    assert_eq!(service.client().auth_me(&tokens.access).await.status, StatusCode::OK);
    service.stop().await;
}

#[tokio::test]
async fn a_service_reaches_redis_through_a_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_redis, url) = RedisServer::with_socket();
    let database = PostgresServer::shared().create_database().await;
    let service = serve(folder.path(), &url, &database).start();
    let tokens = service.client().logged_in("ada@example.com").await;
    assert_eq!(service.client().auth_me(&tokens.access).await.status, StatusCode::OK);
    service.stop().await;
}

/// How often whole hashes were read so far, such as sessions.
async fn hashes_read(redis: &RedisServer) -> u64 {
    let said = redis.info("commandstats").await;
    let calls = said.lines().find_map(|line| line.strip_prefix("cmdstat_hgetall:calls=")?.split(',').next());
    calls.map_or(0, |calls| calls.parse().expect("a number"))
}

/// What a login costs does not grow with the sessions that the account has.
#[tokio::test]
async fn a_login_reads_none_of_the_sessions_that_the_account_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let database = PostgresServer::shared().create_database().await;
    let service = serve(folder.path(), &redis.url(), &database)
        .variable("HALLPASS_RATE_LIMITS__ENABLED", "false")
        .start();
    let client = service.client();
    client.logged_in("ada@example.com").await;
    for _ in 0..5 {
        client.log_in("ada@example.com").await;
    }
    let before = hashes_read(&redis).await;
    for _ in 0..5 {
        client.log_in("ada@example.com").await;
    }
    assert_eq!(hashes_read(&redis).await, before);
    service.stop().await;
}
