//! `POST /auth/verify-email-request`, `POST /auth/verify-email`, and what an address that is not
//! proven keeps its owner from.

use std::time::Duration;

use hallpass::domain::user::AccountChange;
use hallpass::service::mail::Notice;
use serde_json::{Value, json};

use crate::support::{
    ADMIN_EMAIL, ADMIN_PASSWORD, Actor, DAY, LoggedIn, MILLISECOND, PASSWORD, TestApp, on_both_flavours,
};

const NEW: &str = "a better one this time";

on_both_flavours! {
    one_logs_in_once_the_link_was_followed,
    a_link_works_again_and_until_its_end_to_the_millisecond,
    a_link_is_void_once_the_account_has_another_address,
    a_reset_by_mail_proves_the_address,
    an_address_that_is_proven_gets_no_mail,
    every_door_that_is_closed_names_the_way_to_another_link,
}

async fn one_logs_in_once_the_link_was_followed(app: TestApp) {
    let app = app.verifying().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    let mail = app.outbox().only("ada@example.com");
    assert_eq!(mail.valid_for, DAY);
    let Notice::VerifyEmail(token) = mail.notice else { panic!("{mail:?}") };

    app.log_in("ada@example.com", PASSWORD).await.assert_refused(403, "email_not_verified");
    app.log_in("ada@example.com", "not the password").await.assert_refused(401, "invalid_credentials");

    let answer = app.verify_email(token.expose()).await.json(200);
    assert_eq!(answer, json!({"message": "e-mail address verified"}));
    LoggedIn::log_in(&app, "ada@example.com", PASSWORD).await.assert_lives().await;
}

async fn a_link_works_again_and_until_its_end_to_the_millisecond(app: TestApp) {
    let app = app.verifying().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    let token = app.outbox().verification_token("ada@example.com");
    app.verify_email(&token).await.json(200);
    app.advance(DAY - MILLISECOND);
    app.verify_email(&token).await.json(200);
    app.advance(MILLISECOND);
    app.verify_email(&token).await.assert_refused(400, "invalid_verification_token");
    app.log_in("ada@example.com", PASSWORD).await.json(200);
}

async fn a_link_is_void_once_the_account_has_another_address(app: TestApp) {
    let app = app.verifying().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    let old = app.outbox().verification_token("ada@example.com");
    let ada = app.stored_user("ada@example.com").await.expect("an account");
    app.verify_email(&old).await.json(200);

    let email = hallpass::domain::email::Email::parse("ada@example.org").expect("an address");
    let change = AccountChange { email: Some(email), ..AccountChange::default() };
    app.users().change_account(ada.id, &change, app.journal_entry()).await.expect("a change");
    app.log_in("ada@example.org", PASSWORD).await.assert_refused(403, "email_not_verified");
    app.verify_email(&old).await.assert_refused(400, "invalid_verification_token");
    app.log_in("ada@example.org", PASSWORD).await.assert_refused(403, "email_not_verified");

    app.request_verification("ada@example.org").await.json(200);
    let new = app.outbox().verification_token("ada@example.org");
    app.verify_email(&new).await.json(200);
    app.log_in("ada@example.org", PASSWORD).await.json(200);
}

async fn a_reset_by_mail_proves_the_address(app: TestApp) {
    let app = app.verifying().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    app.outbox().take();
    app.request_reset("ada@example.com").await.json(200);
    let token = app.outbox().reset_token("ada@example.com");
    app.reset_password(&token, NEW).await.json(200);
    app.log_in("ada@example.com", NEW).await.json(200);
}

async fn an_address_that_is_proven_gets_no_mail(app: TestApp) {
    let app = app.verifying().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    let first = app.outbox().verification_token("ada@example.com");
    app.request_verification("Ada@Example.com").await.json(200);
    let second = app.outbox().verification_token("ada@example.com");
    for token in [&first, &second] {
        app.verify_email(token).await.json(200);
    }
    app.request_verification("ada@example.com").await.json(200);
    assert_eq!(app.outbox().take(), []);
}

async fn every_door_that_is_closed_names_the_way_to_another_link(app: TestApp) {
    const WAY: &str = "/auth/verify-email-request";
    let app = app.verifying().await;
    let password = "Engines weave 1843 patterns";
    app.register("ada@example.com", password).await.json(201);
    app.outbox().take();
    let send = async |path: &'static str, body| app.anonymous().post(path).json(&body).send().await;
    let credentials = |email: &str| json!({"email": email, "password": password});
    let boom = json!({"email": "bob@example.com", "name": "Bob", "password": password});
    for (path, body, told) in [
        ("/auth/login", credentials("ada@example.com"), "detail"),
        ("/auth/signin", credentials("ada@example.com"), "detail"),
        ("/access-tokens", credentials("ada@example.com"), "message"),
        // Accounts are made, and nobody is logged in to them.
        ("/auth/signup", credentials("eve@example.com"), "detail"),
        ("/users", boom, "message"),
    ] {
        let answer = send(path, body).await;
        assert_eq!(answer.status, 403, "{answer:?}");
        let said: Value = serde_json::from_str(&answer.text()).expect("JSON");
        let text = said[told].as_str().unwrap_or_default();
        assert!(text.contains(&format!("POST {WAY}")), "{path}: {said}");
    }
    app.outbox().take();
    // Known or not, whoever goes that way is answered alike.
    let answers =
        [app.request_verification("ada@example.com").await, app.request_verification("x@example.com").await];
    let [known, unknown] = answers.map(|answer| (answer.status, answer.text()));
    assert_eq!(known, unknown);
    let token = app.outbox().verification_token("ada@example.com");
    app.verify_email(&token).await.json(200);
    app.log_in("ada@example.com", password).await.json(200);
}

/// Somebody who gets the token another way, in an answer, has proven nothing.
#[tokio::test]
async fn a_reset_that_was_not_mailed_proves_nothing() {
    let app = TestApp::spawn().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    let token = app.reset_token("ada@example.com").await;
    app.reset_password(&token, NEW).await.json(200);
    assert!(!app.stored_user("ada@example.com").await.expect("an account").email_verified);
}

#[tokio::test]
async fn the_administrator_of_the_settings_needs_no_other_proof() {
    let app = TestApp::spawn().await.verifying().await;
    app.log_in(ADMIN_EMAIL, ADMIN_PASSWORD).await.json(200);
}

#[tokio::test]
async fn where_nobody_asks_for_proof_no_mail_is_sent_and_one_logs_in_at_once() {
    let app = TestApp::spawn().await;
    app.member("ada").await;
    assert_eq!(app.outbox().take(), []);
    // Who wants to prove it before it is asked for may.
    app.request_verification("ada@example.com").await.json(200);
    let token = app.outbox().verification_token("ada@example.com");
    app.verify_email(&token).await.json(200);
    assert!(app.stored_user("ada@example.com").await.expect("an account").email_verified);
}

/// A stranger who registers somebody else's address must not choose words that we send there.
#[tokio::test]
async fn a_mail_greets_by_name_only_where_the_address_is_proven() {
    let app = TestApp::spawn().await.verifying().await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "first_name": "Win at evil.example"});
    app.anonymous().post("/auth/register").json(&body).send().await.json(201);
    let mail = app.outbox().only("ada@example.com");
    app.request_reset("ada@example.com").await.json(200);
    assert_eq!([mail.name.clone(), app.outbox().only("ada@example.com").name], [None, None]);
    let Notice::VerifyEmail(token) = mail.notice else { panic!("{mail:?}") };
    app.verify_email(token.expose()).await.json(200);
    app.request_reset("ada@example.com").await.json(200);
    let name = app.outbox().only("ada@example.com").name;
    assert_eq!(name.as_ref().map(|name| name.as_str()), Some("Win at evil.example"));
}

#[tokio::test]
async fn tokens_of_other_kinds_and_mangled_ones_are_400() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    app.request_verification("ada@example.com").await.json(200);
    let token = app.outbox().verification_token("ada@example.com");
    let reset = app.reset_token("ada@example.com").await;
    for bad in ["", "hp_ev_", &token[..token.len() - 1], &reset, &ada.tokens.access, &ada.tokens.refresh] {
        app.verify_email(bad).await.assert_refused(400, "invalid_verification_token");
    }
    app.reset_password(&token, NEW).await.assert_refused(400, "invalid_reset_token");
    assert!(!app.stored_user("ada@example.com").await.expect("an account").email_verified);
}

#[tokio::test]
async fn malformed_requests_are_400() {
    let app = TestApp::spawn().await;
    for (path, body) in [
        ("/auth/verify-email-request", "{}"),
        ("/auth/verify-email-request", r#"{"email":"ada"}"#),
        ("/auth/verify-email-request", r#"{"email":7}"#),
        ("/auth/verify-email", "{"),
        ("/auth/verify-email", "{}"),
        ("/auth/verify-email", r#"{"verificationToken":null}"#),
    ] {
        let request = app.anonymous().post(path).text("application/json", body);
        request.send().await.assert_refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_link_lives_as_long_as_the_setting_says() {
    let app = TestApp::set(&["verification.ttl=1h"]).await;
    app.member("ada").await;
    app.request_verification("ada@example.com").await.json(200);
    let mail = app.outbox().only("ada@example.com");
    assert_eq!(mail.valid_for, Duration::from_secs(3600));
    let Notice::VerifyEmail(token) = mail.notice else { panic!("{mail:?}") };
    app.advance(Duration::from_secs(3600));
    app.verify_email(token.expose()).await.assert_refused(400, "invalid_verification_token");
}

/// Clients of the compat APIs cannot be told to wait for a mail; they are refused in a way that says
/// so, and log in when the address is proven.
#[tokio::test]
async fn compat_sign_ups_open_no_session_before_the_address_is_proven() {
    let app = TestApp::spawn().await.verifying().await;
    let (sign_up, sign_in) = ("/auth/signup", "/auth/signin");
    let credentials = json!({"email": "ada@example.com", "password": PASSWORD});
    let post = |path| app.anonymous().post(path).json(&credentials).send();
    post(sign_up).await.assert_refused(403, "email_not_verified");
    let token = app.outbox().verification_token("ada@example.com");
    post(sign_in).await.assert_refused(403, "email_not_verified");
    app.verify_email(&token).await.json(200);
    post(sign_in).await.json(200);

    let user = json!({"email": "eve@example.com", "name": "Eve", "password": "Engines weave 1843 patterns"});
    let answer = app.anonymous().post("/users").json(&user).send().await.json(403);
    assert_eq!(answer["statusCode"], 403);
    let token = app.outbox().verification_token("eve@example.com");
    app.anonymous().post("/access-tokens").json(&user).send().await.json(403);
    app.verify_email(&token).await.json(200);
    app.anonymous().post("/access-tokens").json(&user).send().await.json(200);
}
