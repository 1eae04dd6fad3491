//! `/metrics`: what is counted, where it is told, and what it does not give away.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::client::{Client, PASSWORD, get, login, post};
use crate::process::{Program, Service, dev, eventually, serve};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

/// `dev` with metrics on a port of its own.
fn watched(folder: &Path) -> Program {
    dev(folder).variable("HALLPASS_METRICS__LISTEN", "127.0.0.1:0")
}

/// Whoever watches the service.
fn watcher(service: &Service) -> Client {
    let log = service.log().text();
    let line = log.lines().find(|line| line.contains("metrics at /metrics")).expect("a line says where");
    let words = line.split(|c: char| !matches!(c, '0'..='9' | '.' | ':'));
    let address: SocketAddr = words.filter_map(|word| word.parse().ok()).next().expect("an address");
    Client::new(address)
}

/// The value of a series, which is told by how its line begins.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("no {series} in\n{text}"));
    line.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

async fn told(watcher: &Client) -> String {
    let answer = watcher.send(get("/metrics")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    assert_ne!(answer.header("connection"), "close", "whoever watches keeps a connection");
    answer.text().to_owned()
}

#[tokio::test]
async fn what_happens_is_counted_and_nobody_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = watched(folder.path()).start();
    let (client, watcher) = (service.client(), watcher(&service));
    let tokens = client.logged_in("ada@example.com").await;
    assert_eq!(client.send(login("ada@example.com", "not her password")).await.status, 401);
    assert_eq!(client.auth_me(&tokens.access).await.status, 200);
    // The second one comes late, and is given the same.
    for _ in 0..2 {
        assert_eq!(client.refresh(&tokens.refresh).await.status, 200);
    }
    assert_eq!(client.refresh("hp_rt_nonsense").await.status, 401);
    assert_eq!(client.send(post("/auth/logout").bearer(&tokens.access)).await.status, 200);
    assert_eq!(client.send(get("/ada@example.com/nowhere")).await.status, 404);

    let text = told(&watcher).await;
    for (series, wanted) in [
        ("hallpass_refresh_total{result=\"rotated\"}", 1.0),
        ("hallpass_refresh_total{result=\"replayed\"}", 1.0),
        ("hallpass_revocations_total{kind=\"session\"}", 1.0),
        ("hallpass_revocation_lag_seconds_count", 1.0),
        ("hallpass_auth_events_total{event=\"login\",outcome=\"success\",reason=\"\"}", 1.0),
        (
            "hallpass_auth_events_total{event=\"login\",outcome=\"refused\",reason=\"invalid_credentials\"}",
            1.0,
        ),
        ("hallpass_auth_events_total{event=\"authMe\",outcome=\"success\",reason=\"\"}", 1.0),
        ("hallpass_auth_events_total{event=\"refreshToken\",outcome=\"success\",reason=\"\"}", 2.0),
        (
            "http_server_request_duration_seconds_count{operation=\"login\",method=\"POST\",status=\"401\"}",
            1.0,
        ),
        ("http_server_request_duration_seconds_count{operation=\"\",method=\"GET\",status=\"404\"}", 1.0),
        ("hallpass_ready{operation=\"login\"}", 1.0),
        ("hallpass_check{check=\"database\"}", 1.0),
        ("hallpass_feed_streams", 0.0),
        ("hallpass_password_hash_queue", 0.0),
        ("hallpass_sessions_alive", 0.0),
        ("hallpass_journal_lag_entries", 0.0),
        ("hallpass_journal_owed_entries", 0.0),
        ("hallpass_pool_connections_max{pool=\"database\"}", 4.0),
        ("hallpass_pool_connections_max{pool=\"database_writer\"}", 1.0),
        ("hallpass_pool_connections_max{pool=\"token_store\"}", 4.0),
        ("hallpass_pool_connections_max{pool=\"token_store_writer\"}", 1.0),
        ("hallpass_store_breakers_open{store=\"token_store\"}", 0.0),
    ] {
        assert!((value(&text, series) - wanted).abs() < f64::EPSILON, "{series} is not {wanted}:\n{text}");
    }
    assert!(value(&text, "hallpass_password_hash_wait_seconds_count") >= 3.0);
    assert!(value(&text, "hallpass_signing_key_age_seconds{state=\"active\"}") < 60.0);
    assert!(value(&text, "hallpass_signing_key_age_seconds{state=\"next\"}") < 60.0);
    assert!(value(&text, "hallpass_journal_look_age_seconds") < 60.0);
    assert!(value(&text, "hallpass_clock_offset_seconds{clock=\"token_store\"}").abs() < 5.0);
    for secret in ["ada", "example.com", "127.0.0.1", "hp_rt_", "nonsense", PASSWORD, &tokens.access, "books"]
    {
        assert!(!text.contains(secret), "{secret} is told in\n{text}");
    }
    // Visitors have no such page.
    assert_eq!(client.send(get("/metrics")).await.status, 404);
    assert_eq!(watcher.send(get("/auth/auth-me")).await.status, 404);
    service.stop().await;
}

#[tokio::test]
async fn a_store_that_is_away_shows() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut redis = RedisServer::start();
    let database = PostgresServer::shared().create_database().await;
    let service = serve(folder.path(), &redis.url(), &database)
        .variable("HALLPASS_METRICS__LISTEN", "127.0.0.1:0")
        .start();
    let watcher = watcher(&service);
    eventually("ready", async || service.client().is_ready().await).await;
    assert!(value(&told(&watcher).await, "hallpass_check{check=\"token_store\"}") > 0.0);
    redis.kill();
    eventually("the store is missed", async || {
        let text = told(&watcher).await;
        value(&text, "hallpass_check{check=\"token_store\"}") < 1.0
            && value(&text, "hallpass_ready{operation=\"refresh\"}") < 1.0
            && value(&text, "hallpass_store_errors_total{store=\"token_store\"}") > 0.0
            && value(&text, "hallpass_store_breaker_openings_total{store=\"token_store\"}") > 0.0
            && value(&text, "hallpass_store_breakers_open{store=\"token_store\"}") > 0.0
    })
    .await;
    assert!(value(&told(&watcher).await, "hallpass_pool_connections_max{pool=\"database\"}") > 0.0);
    let text = told(&watcher).await;
    assert!(value(&text, "hallpass_check{check=\"database\"}") > 0.0);
    redis.restart();
    eventually("the store is asked again", async || {
        let text = told(&watcher).await;
        value(&text, "hallpass_store_breakers_open{store=\"token_store\"}").abs() < f64::EPSILON
            && value(&text, "hallpass_ready{operation=\"refresh\"}") > 0.0
    })
    .await;
    service.stop().await;
}

#[tokio::test]
async fn a_service_that_waits_for_its_database_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let server = PostgresServer::shared();
    let database = server.create_database().await;
    let name = database.rsplit('/').next().expect("a name");
    let elsewhere = folder.path().to_str().expect("a UTF-8 path").replace('/', "%2F");
    let service = serve(folder.path(), &redis.url(), &format!("postgres://postgres@{elsewhere}/{name}"))
        .variable("HALLPASS_METRICS__LISTEN", "127.0.0.1:0")
        .start();
    let watcher = watcher(&service);
    let text = told(&watcher).await;
    for series in ["hallpass_check{check=\"database\"}", "hallpass_ready{operation=\"validate\"}"] {
        assert!(value(&text, series).abs() < f64::EPSILON, "{series} in\n{text}");
    }
    assert!(!text.contains("hallpass_sessions_alive "), "nobody can tell:\n{text}");
    symlink(server.socket(), folder.path().join(".s.PGSQL.5432")).expect("the socket");
    eventually("ready", async || service.client().is_ready().await).await;
    let text = told(&watcher).await;
    assert!(value(&text, "hallpass_check{check=\"database\"}") > 0.0);
    assert!(value(&text, "hallpass_ready{operation=\"validate\"}") > 0.0);
    assert!(value(&text, "hallpass_sessions_alive").abs() < f64::EPSILON);
    service.stop().await;
}

#[tokio::test]
async fn serve_tells_nobody_unless_it_is_told_where_and_says_when_it_cannot() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let database = PostgresServer::shared().create_database().await;
    let service = serve(folder.path(), &redis.url(), &database).start();
    assert!(!service.log().text().contains("metrics"), "{}", service.log().text());
    service.stop().await;

    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let refused = serve(folder.path(), &redis.url(), &database)
        .variable("HALLPASS_METRICS__LISTEN", &address)
        .run()
        .await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains(&format!("cannot listen on {address}")), "{refused:?}");
    // Two of them on one machine.
    let service = dev(folder.path()).variable("HALLPASS_METRICS__LISTEN", &address).start();
    assert!(service.log().text().contains("no metrics: the address cannot be had"));
    let banner = service.stop().await;
    assert!(banner.contains(&format!("Metrics none: {address} cannot be had")), "{banner}");
}
