//! `kill -9` and a new start: what was acknowledged stays so.

use std::path::Path;

use hyper::StatusCode;

use crate::client::Tokens;
use crate::process::{Program, Service, dev, serve};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_with_the_embedded_store() {
    let folder = tempfile::tempdir().expect("a folder");
    // Without a URL of its own the issuer changes with the port, and old access tokens with it.
    let start = |folder: &Path| dev(folder).variable("HALLPASS_PUBLIC_URL", "http://localhost:8080");
    acknowledged_survives_kills(|| start(folder.path())).await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_with_redis_and_postgres() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let database = PostgresServer::shared().create_database().await;
    acknowledged_survives_kills(|| serve(folder.path(), &redis.url(), &database)).await;
}

async fn acknowledged_survives_kills(program: impl Fn() -> Program) {
    let without_grace = || program().variable("HALLPASS_TOKENS__REFRESH__ROTATION_GRACE_PERIOD", "0s");
    let mut service: Service = without_grace().start();
    let mut kept = service.client().logged_in("kept@example.com").await;
    for round in 0..3 {
        let email = format!("user{round}@example.com");
        let ended = service.client().logged_in(&email).await;
        let spent = service.client().log_in(&email).await;
        assert_eq!(service.client().refresh(&spent.refresh).await.status, StatusCode::OK);
        assert_eq!(service.client().log_out(&ended.access).await.status, StatusCode::OK);
        service.kill().await;

        service = without_grace().start();
        let client = service.client();
        client.auth_me(&ended.access).await.assert_problem(401, "token_revoked");
        client.refresh(&ended.refresh).await.assert_problem(401, "invalid_refresh_token");
        assert_eq!(client.auth_me(&kept.access).await.status, StatusCode::OK, "old access tokens verify");
        let refreshed = client.refresh(&kept.refresh).await;
        assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
        kept = Tokens::of(&refreshed);
        client.refresh(&spent.refresh).await.assert_problem(401, "refresh_token_reused");
        client.auth_me(&spent.access).await.assert_problem(401, "token_revoked");
        client.log_in(&email).await;
    }
    service.stop().await;
}
