//! `POST /auth/logout`.

use serde_json::json;

use crate::support::{Actor, MINUTE, TestApp, jwt};

const LATER: std::time::Duration = MINUTE.saturating_mul(16);

#[tokio::test]
async fn a_logout_kills_the_sessions_tokens_at_once_and_no_other_session() {
    let app = TestApp::spawn().await;
    let mut ada = app.member("ada").await;
    let before = ada.tokens.clone();
    ada.refresh().await;
    let elsewhere = ada.on_another_device().await;
    let eve = app.member("eve").await;

    let answer = ada.post("/auth/logout").send().await;
    assert_eq!(answer.json(200), json!({"message": "logged out successfully"}));

    ada.assert_is_over().await;
    app.me(&before.access).await.assert_refused(401, "token_revoked");
    app.refresh(&before.refresh).await.assert_refused(401, "invalid_refresh_token");
    elsewhere.assert_lives().await;
    eve.assert_lives().await;
}

#[tokio::test]
async fn an_expired_access_token_logs_out() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    app.advance(LATER);
    app.log_out(&ada.tokens.access).await.json(200);
    app.refresh(&ada.tokens.refresh).await.assert_refused(401, "invalid_refresh_token");
}

#[tokio::test]
async fn a_refresh_token_alone_logs_out_from_the_header_and_from_the_body() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let elsewhere = ada.on_another_device().await;
    let by_header = app.anonymous().post("/auth/logout").refresh(&ada.tokens.refresh);
    by_header.send().await.json(200);
    ada.assert_is_over().await;
    elsewhere.assert_lives().await;

    let by_body = app.anonymous().post("/auth/logout");
    by_body.json(&json!({"refreshToken": elsewhere.tokens.refresh})).send().await.json(200);
    elsewhere.assert_is_over().await;
}

#[tokio::test]
async fn a_session_that_is_gone_is_401() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    app.log_out(&ada.tokens.access).await.json(200);
    app.log_out(&ada.tokens.access).await.assert_refused(401, "token_revoked");
    let by_refresh_token = app.anonymous().post("/auth/logout").refresh(&ada.tokens.refresh);
    by_refresh_token.send().await.assert_refused(401, "invalid_refresh_token");
    app.advance(LATER);
    app.log_out(&ada.tokens.access).await.assert_refused(401, "token_revoked");
}

#[tokio::test]
async fn whoever_is_not_logged_in_gets_401() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let nobody = app.anonymous().post("/auth/logout").send().await;
    nobody.assert_refused(401, "authentication_required");
    let tampered = jwt::with_another_signature(&ada.tokens.access);
    app.log_out(&tampered).await.assert_refused(401, "invalid_token");
    let mangled = app.anonymous().post("/auth/logout").refresh(&format!("{}A", ada.tokens.refresh));
    mangled.send().await.assert_refused(401, "invalid_refresh_token");
    ada.assert_lives().await;
}

#[tokio::test]
async fn a_logout_on_one_instance_holds_on_another() {
    let app = TestApp::on_redis_and_postgres().await;
    let other = app.another_instance(|_| ()).await;
    for name in ["ada", "grace", "hedy"] {
        let person = app.member(name).await;
        other.me(&person.tokens.access).await.json(200);
        app.log_out(&person.tokens.access).await.json(200);
        other.me(&person.tokens.access).await.assert_refused(401, "token_revoked");
        other.refresh(&person.tokens.refresh).await.assert_refused(401, "invalid_refresh_token");
    }
}
