//! Redis is not there yet, goes and comes.

use std::time::Duration;

use hyper::StatusCode;
use tokio::time::Instant;

use crate::client::{Client, PASSWORD, get, login};
use crate::process::{eventually, serve};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

/// The design says within a second; the rest is for a busy machine.
const SOON: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_service_that_starts_without_redis_works_when_redis_comes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut redis = RedisServer::start();
    redis.kill();
    let database = PostgresServer::shared().create_database().await;
    let service = serve(folder.path(), &redis.url(), &database).start();
    let client = service.client();

    assert_eq!(client.send(get("/health/live")).await.status, StatusCode::OK);
    let not_ready = client.send(get("/health/ready")).await;
    assert_eq!(not_ready.status, StatusCode::SERVICE_UNAVAILABLE, "{not_ready:?}");
    assert_eq!(not_ready.json()["checks"]["token_store"], "unavailable", "{not_ready:?}");
    assert_eq!(client.send(get("/.well-known/jwks.json")).await.status, StatusCode::OK);
    assert_eq!(client.register("ada@example.com").await.status, StatusCode::CREATED, "needs no Redis");
    assert_unavailable(&client).await;

    // In JSON, as `serve` logs, and down to what the system said.
    let says = |field: &str, message: &str| {
        let log = service.log().text();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut said = lines.filter(|line| line["message"] == message);
        said.any(|line| {
            let said = line[field].as_str().unwrap_or_default();
            said.contains("token store is unavailable: ") && said.contains("refused")
        })
    };
    assert!(says("error", "Redis does not answer yet"), "{}", service.log().text());
    // After some failures in a row, of whatever, one of many requests asks Redis, and the others say that they did not.
    eventually("a request says what the system said", async || {
        assert_unavailable(&client).await;
        says("cause", "request failed")
    })
    .await;

    redis.restart();
    eventually("ready", async || client.is_ready().await).await;
    let tokens = client.log_in("ada@example.com").await;
    assert_eq!(client.auth_me(&tokens.access).await.status, StatusCode::OK);

    redis.kill();
    let asked = Instant::now();
    let answer = client.auth_me(&tokens.access).await;
    answer.assert_problem(503, "dependency_unavailable");
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    // Whose token it is was found before the request had a line.
    eventually("the line about it names the account", async || {
        let is_it = |line: &str| {
            ["\"operation\":\"authMe\"", "\"status\":503", "\"account\":\""]
                .iter()
                .all(|part| line.contains(part))
        };
        service.log().text().lines().any(is_it)
    })
    .await;
    assert_unavailable(&client).await;

    redis.restart();
    eventually("ready", async || client.is_ready().await).await;
    let answer = client.auth_me(&tokens.access).await;
    assert_eq!(
        answer.status,
        StatusCode::OK,
        "its file has kept the session: {answer:?}\n{}",
        service.log().text()
    );
    service.stop().await;
}

/// Fails unless a login is neither done nor refused.
async fn assert_unavailable(client: &Client) {
    let answer = client.send(login("ada@example.com", PASSWORD)).await;
    answer.assert_problem(503, "dependency_unavailable");
    assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{answer:?}");
}
