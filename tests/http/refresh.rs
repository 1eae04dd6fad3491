//! `POST /auth/refresh-token`.

use serde_json::json;

use crate::support::{Actor, MINUTE, TestApp, Tokens, jwt};

const LATER: std::time::Duration = MINUTE.saturating_mul(16);

#[tokio::test]
async fn both_headers_get_a_new_pair_whether_the_access_token_is_live_or_expired() {
    let app = TestApp::spawn().await;
    let mut ada = app.member("ada").await;
    for _ in 0..2 {
        let request = app.anonymous().post("/auth/refresh-token").access(&ada.tokens.access);
        let answer = request.refresh(&ada.tokens.refresh).send().await.tokens(200);
        let renewed = Tokens::of(&answer);
        assert_ne!(renewed.access, ada.tokens.access);
        assert_ne!(renewed.refresh, ada.tokens.refresh);
        assert_eq!(answer["tokenType"], "Bearer");
        assert_eq!(answer["expiresIn"], 900);
        ada.tokens = renewed;
        ada.assert_lives().await;
        app.advance(LATER);
    }
}

#[tokio::test]
async fn the_refresh_token_comes_in_the_header_or_in_the_body_under_either_name() {
    let app = TestApp::spawn().await;
    let mut ada = app.member("ada").await;
    ada.refresh().await;
    for name in ["refreshToken", "refresh_token"] {
        let request = app.anonymous().post("/auth/refresh-token");
        let answer = request.json(&json!({name: ada.tokens.refresh})).send().await.tokens(200);
        ada.tokens = Tokens::of(&answer);
        ada.assert_lives().await;
    }
    for scheme in ["", "bearer "] {
        let request = app.anonymous().post("/auth/refresh-token");
        let value = format!("{scheme}{}", ada.tokens.refresh);
        let answer = request.header("x-refresh-token", value).send().await.tokens(200);
        ada.tokens = Tokens::of(&answer);
    }
    ada.assert_lives().await;
}

#[tokio::test]
async fn a_refresh_stays_in_its_session() {
    let app = TestApp::spawn().await;
    let mut ada = app.member("ada").await;
    let before = jwt::claims(&ada.tokens.access);
    app.advance(MINUTE);
    ada.refresh().await;
    let after = jwt::claims(&ada.tokens.access);
    assert_eq!(after["sid"], before["sid"]);
    assert_ne!(after["jti"], before["jti"]);
    assert_eq!(after["iat"], app.now());
}

#[tokio::test]
async fn a_malformed_body_is_400() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let twice = format!(r#"{{"refreshToken":"{0}","refreshToken":"{0}"}}"#, ada.tokens.refresh);
    let aliased = format!(r#"{{"refreshToken":"{0}","refresh_token":"{0}"}}"#, ada.tokens.refresh);
    for body in [
        "{",
        "[]",
        "7",
        "{}",
        r#"{"refreshToken":null}"#,
        r#"{"refreshToken":7}"#,
        r#"{"refreshToken":["x"]}"#,
        r#"{"token":"x"}"#,
        &twice,
        &aliased,
    ] {
        let request = app.anonymous().post("/auth/refresh-token");
        request.text("application/json", body).send().await.assert_refused(400, "invalid_request");
    }
    ada.assert_lives().await;
}

#[tokio::test]
async fn two_different_refresh_tokens_are_400_and_the_same_one_twice_is_fine() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let elsewhere = ada.on_another_device().await;
    let request = app.anonymous().post("/auth/refresh-token").refresh(&ada.tokens.refresh);
    let answer = request.json(&json!({"refreshToken": elsewhere.tokens.refresh})).send().await;
    answer.assert_refused(400, "invalid_request");
    let request = app.anonymous().post("/auth/refresh-token").refresh(&ada.tokens.refresh);
    request.json(&json!({"refreshToken": ada.tokens.refresh})).send().await.json(200);
}

#[tokio::test]
async fn no_refresh_token_is_401() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let nothing = app.anonymous().post("/auth/refresh-token").send().await;
    nothing.assert_refused(401, "authentication_required");
    // An access token buys no refresh token.
    let access_alone = ada.post("/auth/refresh-token").send().await;
    access_alone.assert_refused(401, "authentication_required");
}

#[tokio::test]
async fn a_dead_refresh_token_is_401() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let elsewhere = ada.on_another_device().await;
    app.log_out(&elsewhere.tokens.access).await.json(200);
    let reset_token = app.reset_token("ada@example.com").await;
    let mangled = ada.tokens.refresh.replace("hp_rt_A", "hp_rt_B");
    for dead in [&elsewhere.tokens.refresh, &mangled, &ada.tokens.access, &reset_token, "hp_rt_", "junk"] {
        app.refresh(dead).await.assert_refused(401, "invalid_refresh_token");
        let request = app.anonymous().post("/auth/refresh-token");
        let answer = request.json(&json!({"refreshToken": dead})).send().await;
        answer.assert_refused(401, "invalid_refresh_token");
    }
    ada.assert_lives().await;
}

#[tokio::test]
async fn an_access_token_that_comes_along_must_be_right_and_a_refusal_uses_nothing_up() {
    let app = TestApp::spawn().await;
    let (mut ada, eve) = (app.member("ada").await, app.member("eve").await);
    let elsewhere = ada.on_another_device().await;
    app.log_out(&elsewhere.tokens.access).await.json(200);
    let tampered = jwt::with_another_signature(&ada.tokens.access);
    for (access, code) in [
        (&eve.tokens.access, "invalid_refresh_token"),
        (&tampered, "invalid_token"),
        (&elsewhere.tokens.access, "token_revoked"),
    ] {
        let request = app.anonymous().post("/auth/refresh-token").access(access);
        request.refresh(&ada.tokens.refresh).send().await.assert_refused(401, code);
    }
    // Had one of them rotated the token, this would be a replay.
    app.advance(MINUTE);
    ada.refresh().await;
    ada.assert_lives().await;
}
