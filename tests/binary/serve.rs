//! `hallpass serve`: the whole way with Redis and Postgres, and what it refuses to start with.

use hyper::StatusCode;

use crate::client::{Tokens, get, post};
use crate::process::{Program, serve};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

#[tokio::test]
async fn a_user_goes_all_the_way_over_redis_and_postgres() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let database = PostgresServer::shared().create_database().await;
    let service = serve(folder.path(), &redis.url(), &database).start();
    let client = service.client();
    assert!(client.is_ready().await);

    let registered = client.register("Ada@Example.com").await;
    assert_eq!(registered.status, StatusCode::CREATED, "{registered:?}");
    assert_eq!(registered.json()["message"], "user created successfully");
    let first = client.log_in("ada@example.com").await;
    let me = client.auth_me(&first.access).await;
    assert_eq!(me.json()["accessToken"], first.access);
    assert_eq!(me.json()["user"]["email"], "ada@example.com");
    let second = Tokens::of(&client.refresh(&first.refresh).await);
    assert_ne!(second.refresh, first.refresh);
    assert_eq!(client.auth_me(&second.access).await.status, StatusCode::OK);

    let sessions = client.send(get("/auth/sessions").bearer(&second.access)).await.json();
    assert_eq!(sessions[0]["address"], "127.0.0.1", "the connection's peer");

    let logged_out = client.log_out(&second.access).await;
    assert_eq!(logged_out.json()["message"], "logged out successfully");
    client.auth_me(&second.access).await.assert_problem(401, "token_revoked");
    client.auth_me(&first.access).await.assert_problem(401, "token_revoked");
    client.refresh(&second.refresh).await.assert_problem(401, "invalid_refresh_token");
    client.log_in("ada@example.com").await;

    let reset = post("/auth/reset-password-request").json(&serde_json::json!({ "email": "ada@example.com" }));
    assert!(client.send(reset).await.json().get("passwordResetToken").is_none(), "delivery is off");
    assert_eq!(client.send(get("/.well-known/jwks.json")).await.json()["keys"][0]["alg"], "ES256");

    let log = service.log().clone();
    assert_eq!(service.stop().await, "", "serve prints nothing; it logs");
    for secret in [&first.access, &first.refresh, &second.access, &second.refresh] {
        assert!(!log.text().contains(secret.as_str()), "a token in the log:\n{}", log.text());
    }
}

#[tokio::test]
async fn serve_names_everything_that_is_missing_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = Program::new(folder.path(), &["serve", "--listen", "0.0.0.0:0"]).run().await;
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert_says(
        &outcome.stderr,
        &["secret (default) is not set", "redis.url (default) is not set", "public_url"],
    );
    assert_eq!(outcome.stdout, "");
}

#[tokio::test]
async fn serve_names_everything_that_is_unsafe_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = Program::new(folder.path(), &["serve", "--listen", "0.0.0.0:0"])
        .variable("HALLPASS_SECRET", "much too short")
        .variable("HALLPASS_PUBLIC_URL", "https://hallpass.example.com")
        .variable("HALLPASS_ADMIN__EMAIL", "johndoe@example.com")
        .variable("HALLPASS_ADMIN__PASSWORD", "password")
        .variable("HALLPASS_RESET__DELIVERY", "response")
        .variable("HALLPASS_SURPRISE", "1")
        .run()
        .await;
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert_says(
        &outcome.stderr,
        &[
            "secret (variable HALLPASS_SECRET)",
            "redis.url (default) is not set",
            "admin.email (variable HALLPASS_ADMIN__EMAIL) is the sample administrator's",
            "admin.password (variable HALLPASS_ADMIN__PASSWORD)",
            "reset.delivery (variable HALLPASS_RESET__DELIVERY) = \"response\"",
            "HALLPASS_SURPRISE",
        ],
    );
    assert!(!outcome.stderr.contains("much too short"), "{outcome:?}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing is left behind");
}

#[tokio::test]
async fn what_would_travel_in_the_clear_is_refused_or_told_of() {
    let folder = tempfile::tempdir().expect("a folder");
    // Nobody is asked there: it is about the settings.
    let in_the_clear = |command: &[&str]| {
        Program::new(folder.path(), command)
            .variable("HALLPASS_SECRET", crate::process::SECRET)
            .variable("HALLPASS_PUBLIC_URL", "http://hallpass.example.com")
            .variable("REDIS_URL", "redis://redis.invalid")
            .variable("DATABASE_URL", "postgres://postgres.invalid/hallpass")
    };
    let refused = in_the_clear(&["serve", "--listen", "127.0.0.1:0"]).run().await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert_says(&refused.stderr, &["public_url", "is http://", "`danger_plaintext_public_url`"]);
    for command in [&["config", "check"][..], &["doctor"]] {
        let meant = in_the_clear(command).variable("HALLPASS_DANGER_PLAINTEXT_PUBLIC_URL", "true");
        let told = meant.run().await;
        let text = told.stdout + &told.stderr;
        assert_says(
            &text,
            &["danger_plaintext_public_url", "database.url", "sslmode=verify-full", "rediss://"],
        );
    }
}

#[tokio::test]
async fn a_redis_that_evicts_is_refused_unless_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let mut connection =
        redis::Client::open(redis.url()).expect("a URL").get_connection().expect("a connection");
    redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory-policy", "allkeys-lru"])
        .exec(&mut connection)
        .expect("a setting");
    let database = format!("sqlite://{}/hallpass.db", folder.path().display());
    let outcome = serve(folder.path(), &redis.url(), &database).run().await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_says(&outcome.stderr, &["maxmemory-policy allkeys-lru", "noeviction"]);

    let asked_for = serve(folder.path(), &redis.url(), &database)
        .variable("HALLPASS_REDIS__DANGER_ALLOW_EVICTION", "true")
        .start();
    assert!(asked_for.client().is_ready().await);
    assert_says(&asked_for.log().text(), &["allkeys-lru"]);
    asked_for.stop().await;
}

/// Fails unless the text holds all parts.
#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}
