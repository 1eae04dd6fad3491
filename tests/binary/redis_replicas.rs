//! `redis.wait_replicas`, from the start's warning to the second answer.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::client::{Client, Tokens, post};
use crate::process::{Program, SECRET, eventually, serve};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

const WARNING: &str = "redis.wait_replicas is 1 and Redis has 0";

/// Takes a token back as whoever has it (RFC 7009).
async fn take_back(client: &Client, token: &str) -> crate::client::Answer {
    let form = crate::client::Call::new(hyper::Method::POST, "/oauth2/revoke")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("token={token}"));
    client.send(form).await
}

#[tokio::test]
async fn too_few_replicas_are_warned_of_and_hold_the_answer_up_and_not_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let (redis, database) = (RedisServer::with_snapshots(), PostgresServer::shared().create_database().await);
    let doctor = async || {
        let doctor = Program::new(folder.path(), &["doctor", "--json"])
            .variable("HALLPASS_SECRET", SECRET)
            .variable("HALLPASS_PUBLIC_URL", "https://hallpass.example.com")
            .variable("HALLPASS_REDIS__WAIT_REPLICAS", "1")
            .variable("REDIS_URL", redis.url())
            .variable("DATABASE_URL", &database);
        let findings: Value = serde_json::from_str(&doctor.run().await.stdout).expect("JSON");
        let found = findings.as_array().expect("a list").iter().find(|found| found["subject"] == "replicas");
        found.expect("something about replicas").clone()
    };
    let service =
        serve(folder.path(), &redis.url(), &database).variable("HALLPASS_REDIS__WAIT_REPLICAS", "1").start();
    assert!(service.log().text().contains(WARNING), "{}", service.log().text());
    let found = doctor().await;
    assert_eq!(found["condition"], "warning", "{found}");
    assert!(found["text"].as_str().is_some_and(|text| text.contains(WARNING)), "{found}");

    let client = service.client();
    let laptop = client.logged_in("ada@example.com").await;
    let (phone, tablet) = (client.log_in("ada@example.com").await, client.log_in("ada@example.com").await);
    let pending = client.log_out(&laptop.access).await;
    pending.assert_problem(503, "revocation_pending");
    assert!(pending.header("retry-after").parse::<u32>().is_ok(), "{pending:?}");
    client.log_out(&laptop.access).await.assert_problem(401, "token_revoked");
    client.auth_me(&laptop.access).await.assert_problem(401, "token_revoked");
    client.refresh(&laptop.refresh).await.assert_problem(401, "invalid_refresh_token");
    for _ in 0..2 {
        let pending = take_back(&client, &phone.refresh).await;
        assert_eq!(pending.status, StatusCode::SERVICE_UNAVAILABLE, "{pending:?}");
        assert!(pending.header("retry-after").parse::<u32>().is_ok(), "{pending:?}");
        client.refresh(&phone.refresh).await.assert_problem(401, "invalid_refresh_token");
    }

    let replica = RedisServer::with_snapshots();
    replica.follow(redis.port()).await;
    eventually("it is in step", async || doctor().await["condition"] == "good").await;
    // One that has just come acknowledges once a second, and counts for nothing before.
    eventually("it is confirmed", async || take_back(&client, &phone.refresh).await.status == StatusCode::OK)
        .await;
    assert_eq!(client.log_out(&tablet.access).await.status, StatusCode::OK);
    let answer = client.send(post("/auth/login").json(&json!({
        "email": "ada@example.com", "password": crate::client::PASSWORD
    })));
    assert_eq!(client.auth_me(&Tokens::of(&answer.await).access).await.status, StatusCode::OK);
    service.stop().await;
}
