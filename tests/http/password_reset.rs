//! `POST /auth/reset-password-request` and `POST /auth/reset-password`.

use hallpass::domain::password::PasswordHash;
use serde_json::json;
use sqlx::{Connection, Executor, SqliteConnection};

use crate::support::{Actor, LoggedIn, MILLISECOND, MINUTE, PASSWORD, TestApp, on_both_flavours};

const NEW: &str = "a better one this time";
const TTL: std::time::Duration = MINUTE.saturating_mul(10);

on_both_flavours! {
    a_reset_changes_the_password_and_ends_all_sessions,
    only_the_newest_token_works_and_only_once,
    a_token_ends_to_the_millisecond,
    an_account_without_a_password_gets_one_by_a_reset,
}

async fn a_reset_changes_the_password_and_ends_all_sessions(app: TestApp) {
    let ada = app.member("ada").await;
    let (elsewhere, eve) = (ada.on_another_device().await, app.member("eve").await);
    let answer = app.request_reset("Ada@Example.com").await.tokens(200);
    let token = answer["passwordResetToken"].as_str().expect("a token");
    ada.assert_lives().await;

    let answer = app.reset_password(token, NEW).await.json(200);
    assert_eq!(answer, json!({"message": "password changed successfully"}));

    ada.assert_is_over().await;
    elsewhere.assert_is_over().await;
    eve.assert_lives().await;
    app.log_in("ada@example.com", PASSWORD).await.assert_refused(401, "invalid_credentials");
    LoggedIn::log_in(&app, "ada@example.com", NEW).await.assert_lives().await;
}

async fn only_the_newest_token_works_and_only_once(app: TestApp) {
    app.register("ada@example.com", PASSWORD).await.json(201);
    let superseded = app.reset_token("ada@example.com").await;
    let newest = app.reset_token("ada@example.com").await;
    assert_ne!(superseded, newest);
    app.reset_password(&superseded, "from the first mail").await.assert_refused(400, "invalid_reset_token");
    app.reset_password(&newest, NEW).await.json(200);
    for used in [&newest, &superseded] {
        app.reset_password(used, "from a stolen mail").await.assert_refused(400, "invalid_reset_token");
    }
    app.log_in("ada@example.com", NEW).await.json(200);
}

async fn a_token_ends_to_the_millisecond(app: TestApp) {
    for name in ["ada", "grace"] {
        app.register(&format!("{name}@example.com"), PASSWORD).await.json(201);
    }
    let in_time = app.reset_token("ada@example.com").await;
    let too_late = app.reset_token("grace@example.com").await;
    app.advance(TTL - MILLISECOND);
    app.reset_password(&in_time, NEW).await.json(200);
    app.advance(MILLISECOND);
    app.reset_password(&too_late, NEW).await.assert_refused(400, "invalid_reset_token");
    app.log_in("grace@example.com", PASSWORD).await.json(200);
}

async fn an_account_without_a_password_gets_one_by_a_reset(app: TestApp) {
    app.import("ada@example.com", PasswordHash::UNUSABLE).await;
    app.log_in("ada@example.com", NEW).await.assert_refused(401, "invalid_credentials");
    assert!(!app.stored_user("ada@example.com").await.expect("an account").password.is_usable());
    let token = app.reset_token("ada@example.com").await;
    app.reset_password(&token, NEW).await.json(200);
    app.log_in("ada@example.com", NEW).await.json(200);
}

#[tokio::test]
async fn a_refused_new_password_does_not_use_the_token_up() {
    let app = TestApp::spawn().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    let token = app.reset_token("ada@example.com").await;
    for weak in ["short", "password", "ada@example.com", &"x".repeat(1025)] {
        let problem = app.reset_password(&token, weak).await.assert_refused(400, "weak_password");
        assert_eq!(problem["errors"][0]["field"], "newPassword");
    }
    app.log_in("ada@example.com", PASSWORD).await.json(200);
    app.reset_password(&token, NEW).await.json(200);
}

#[tokio::test]
async fn an_unknown_token_is_400() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let token = app.reset_token("ada@example.com").await;
    let mangled = token.replace("hp_pr_A", "hp_pr_B");
    for unknown in [&mangled, &format!("{token}A"), &ada.tokens.refresh, &ada.tokens.access, "hp_pr_", ""] {
        app.reset_password(unknown, NEW).await.assert_refused(400, "invalid_reset_token");
    }
    ada.assert_lives().await;
    app.reset_password(&token, NEW).await.json(200);
}

#[tokio::test]
async fn malformed_requests_are_400_and_use_nothing_up() {
    let app = TestApp::spawn().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    for body in ["", "{", "[]", "null", "{}", r#"{"email":7}"#, r#"{"email":null}"#, r#"{"email":"ada"}"#] {
        let request = app.anonymous().post("/auth/reset-password-request");
        request.text("application/json", body).send().await.assert_refused(400, "invalid_request");
    }
    let token = app.reset_token("ada@example.com").await;
    for body in [
        json!({}),
        json!({"resetToken": token}),
        json!({"newPassword": NEW}),
        json!({"resetToken": token, "newPassword": null}),
        json!({"resetToken": token, "newPassword": 12345678}),
        json!({"resetToken": [token], "newPassword": NEW}),
        json!([token, NEW]),
    ] {
        let request = app.anonymous().post("/auth/reset-password").json(&body);
        request.send().await.assert_refused(400, "invalid_request");
    }
    app.reset_password(&token, NEW).await.json(200);
}

#[tokio::test]
async fn an_address_without_an_account_gets_an_answer_that_looks_the_same_and_opens_nothing() {
    let app = TestApp::spawn().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    let known = app.request_reset("ada@example.com").await.tokens(200);
    let unknown = app.request_reset("eve@example.com").await.tokens(200);
    assert_eq!(known["message"], unknown["message"]);
    let [token, decoy] =
        [&known, &unknown].map(|answer| answer["passwordResetToken"].as_str().expect("a token"));
    assert_eq!(decoy.len(), token.len());
    assert_eq!(&decoy[..6], "hp_pr_");
    app.reset_password(decoy, NEW).await.assert_refused(400, "invalid_reset_token");
    app.reset_password(token, NEW).await.json(200);
}

#[tokio::test]
async fn a_changed_password_voids_an_outstanding_token() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let token = app.reset_token("ada@example.com").await;
    ada.change_password(NEW).await.json(200);
    app.reset_password(&token, "from an old mail").await.assert_refused(400, "invalid_reset_token");
}

#[tokio::test]
async fn no_token_is_answered_where_delivery_is_off() {
    let app = TestApp::set(&["reset.delivery=off"]).await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    for email in ["ada@example.com", "eve@example.com"] {
        let answer = app.request_reset(email).await.json(200);
        assert!(answer["message"].is_string());
        assert!(answer.get("passwordResetToken").is_none(), "{answer}");
    }
}

#[tokio::test]
async fn a_reset_that_the_database_refuses_leaves_the_token_good_for_another_try() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let token = app.reset_token("ada@example.com").await;
    let mut database = SqliteConnection::connect(&app.sqlite_url()).await.expect("the file");
    let broken = "CREATE TRIGGER broken BEFORE UPDATE ON users BEGIN SELECT RAISE(ABORT, 'broken'); END";
    database.execute(broken).await.expect("a trigger");

    app.reset_password(&token, NEW).await.assert_refused(503, "dependency_unavailable");
    app.log_in("ada@example.com", NEW).await.assert_refused(401, "invalid_credentials");
    ada.assert_lives().await;

    database.execute("DROP TRIGGER broken").await.expect("no trigger");
    app.reset_password(&token, NEW).await.json(200);
    app.reset_password(&token, "once more").await.assert_refused(400, "invalid_reset_token");
    ada.assert_is_over().await;
    app.log_in("ada@example.com", NEW).await.json(200);
}
