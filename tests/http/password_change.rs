//! `POST /auth/change-password`.

use hallpass::domain::rate_limit::LimitRules;
use serde_json::json;

use crate::support::{Actor, MINUTE, PASSWORD, TestApp, Tokens, on_both_flavours};

const NEW: &str = "a better one this time";

on_both_flavours! { a_change_ends_every_session_and_answers_a_new_one }

async fn a_change_ends_every_session_and_answers_a_new_one(app: TestApp) {
    let ada = app.member("ada").await;
    let (elsewhere, eve) = (ada.on_another_device().await, app.member("eve").await);

    let answer = ada.change_password(NEW).await.tokens(200);

    let user = json!({
        "id": ada.id, "first_name": null, "last_name": null, "email": "ada@example.com", "email_verified": false
    });
    assert_eq!(answer["user"], user);
    assert_eq!(answer["tokenType"], "Bearer");
    ada.assert_is_over().await;
    elsewhere.assert_is_over().await;
    eve.assert_lives().await;
    let mut renewed = ada.clone();
    renewed.tokens = Tokens::of(&answer);
    renewed.assert_lives().await;
    renewed.refresh().await;
    renewed.assert_lives().await;
    app.log_in("ada@example.com", PASSWORD).await.assert_refused(401, "invalid_credentials");
    app.log_in("ada@example.com", NEW).await.json(200);
}

#[tokio::test]
async fn a_wrong_current_password_is_401_and_changes_nothing() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    for wrong in ["not the password", "", &"x".repeat(1025)] {
        let body = json!({"currentPassword": wrong, "newPassword": NEW});
        let answer = ada.post("/auth/change-password").json(&body).send().await;
        answer.assert_refused(401, "invalid_credentials");
    }
    ada.assert_lives().await;
    app.log_in("ada@example.com", PASSWORD).await.json(200);
}

#[tokio::test]
async fn a_weak_new_password_is_400_and_changes_nothing() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    for weak in ["short", "password", "ada@example.com", &"x".repeat(1025)] {
        let problem = ada.change_password(weak).await.assert_refused(400, "weak_password");
        assert_eq!(problem["errors"][0]["field"], "newPassword");
    }
    ada.assert_lives().await;
    app.log_in("ada@example.com", PASSWORD).await.json(200);
}

#[tokio::test]
async fn a_malformed_body_is_400() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    for body in [
        json!({}),
        json!([]),
        json!({"newPassword": NEW}),
        json!({"currentPassword": PASSWORD}),
        json!({"currentPassword": PASSWORD, "newPassword": 7}),
    ] {
        let answer = ada.post("/auth/change-password").json(&body).send().await;
        answer.assert_refused(400, "invalid_request");
    }
    ada.assert_lives().await;
}

#[tokio::test]
async fn whoever_has_no_live_token_cannot_change_a_password() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let body = json!({"currentPassword": PASSWORD, "newPassword": NEW});
    let nobody = app.anonymous().post("/auth/change-password").json(&body).send().await;
    nobody.assert_refused(401, "authentication_required");
    app.advance(MINUTE * 16);
    ada.change_password(NEW).await.assert_refused(401, "token_expired");
    app.log_in("ada@example.com", PASSWORD).await.json(200);
}

/// Without scripts Redis still says whether a token stands, but ends no session.
#[tokio::test]
async fn a_cut_off_that_fails_is_owed_and_made_good_and_the_answer_says_so() {
    // It counts no attempts then either, so that none would be taken.
    let app = TestApp::on_servers_of_its_own().await;
    let app = app.another_instance(|settings| settings.rate_limits = LimitRules::default()).await;
    let ada = app.member("ada").await;
    let elsewhere = ada.on_another_device().await;
    app.command_redis(&["ACL", "SETUSER", "default", "-eval", "-evalsha"]).await;

    let answer = ada.change_password(NEW).await;

    answer.assert_refused(503, "revocation_pending");
    app.keep_journal().await.expect("nobody else's work was left behind before");
    assert!(app.keep_journal().await.is_err(), "Redis still takes no script");
    app.command_redis(&["ACL", "SETUSER", "default", "+eval", "+evalsha"]).await;
    app.keep_journal().await.expect("the stores answer");
    ada.assert_is_over().await;
    elsewhere.assert_is_over().await;
    app.log_in("ada@example.com", NEW).await.json(200);
}
