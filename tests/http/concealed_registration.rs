//! `POST /auth/register` where it does not say which addresses have an account.

use std::time::Duration;

use hallpass::domain::user::AccountChange;
use hallpass::service::mail::Notice;
use poem::http::HeaderMap;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{ADMIN_EMAIL, ADMIN_PASSWORD, Actor, Answer, PASSWORD, TestApp, on_both_flavours};

on_both_flavours! {
    a_new_and_a_known_address_get_the_same_answer,
    the_owner_of_a_known_address_gets_a_mail_and_keeps_the_account,
    compat_sign_ups_conceal_as_well,
    whoever_lost_the_link_gets_another_by_registering_again,
}

/// What an answer shows, but what differs from request to request in any case.
fn shown(answer: &Answer) -> (u16, HeaderMap, String) {
    let mut headers = answer.headers.clone();
    headers.remove("x-request-id");
    // Counts what came from this address, new or known.
    headers.remove("ratelimit");
    (answer.status, headers, answer.text())
}

async fn a_new_and_a_known_address_get_the_same_answer(app: TestApp) {
    let app = app.concealing().await;
    let new = app.register("ada@example.com", PASSWORD).await;
    let token = app.outbox().verification_token("ada@example.com");
    let message = "a mail was sent to the address; follow it to log in";
    assert_eq!(new.json(202), json!({"message": message}));
    let unproven = app.register("ada@example.com", PASSWORD).await;
    app.verify_email(&token).await.json(200);
    let proven = app.register("ada@example.com", PASSWORD).await;
    for known in [unproven, proven] {
        assert_eq!(shown(&known), shown(&new));
    }
    for weak in ["short", "password"] {
        for email in ["ada@example.com", "eve@example.com"] {
            app.register(email, weak).await.assert_refused(400, "weak_password");
        }
    }
}

async fn the_owner_of_a_known_address_gets_a_mail_and_keeps_the_account(app: TestApp) {
    let app = app.concealing().await;
    app.register(ADMIN_EMAIL, "not the password of old").await.json(202);
    assert_eq!(app.outbox().only(ADMIN_EMAIL).notice, Notice::AlreadyRegistered);
    app.log_in(ADMIN_EMAIL, "not the password of old").await.assert_refused(401, "invalid_credentials");
    app.log_in(ADMIN_EMAIL, ADMIN_PASSWORD).await.json(200);
}

async fn compat_sign_ups_conceal_as_well(app: TestApp) {
    let app = app.concealing().await;
    let sign_up = async |path: &'static str, body: Value| app.anonymous().post(path).json(&body).send().await;
    let nest = |email| json!({"email": email, "password": PASSWORD});
    let boom = |email| json!({"email": email, "name": "Ada", "password": "Engines weave 1843 patterns"});
    for (path, new, known) in [
        ("/auth/signup", nest("ada@example.com"), nest(ADMIN_EMAIL)),
        ("/users", boom("eve@example.com"), boom(ADMIN_EMAIL)),
    ] {
        let new = sign_up(path, new).await;
        assert_eq!(new.status, 403, "{new:?}");
        assert!(matches!(app.outbox().take()[..], [ref mail] if mail.notice.kind() == "verify_email"));
        let known = sign_up(path, known).await;
        assert_eq!(shown(&known), shown(&new));
        assert!(matches!(app.outbox().take()[..], [ref mail] if mail.notice.kind() == "already_registered"));
    }
}

async fn whoever_lost_the_link_gets_another_by_registering_again(app: TestApp) {
    let app = app.concealing().await;
    let first = app.register("ada@example.com", PASSWORD).await;
    let lost = app.outbox().verification_token("ada@example.com");
    let again = app.register("Ada@Example.com", "not the password of old").await;
    assert_eq!(shown(&again), shown(&first));
    let mail = app.outbox().only("ada@example.com");
    // Words of whoever registered are not sent to an address that is perhaps not theirs.
    assert_eq!(mail.name, None);
    let Notice::RegisteredAgain(token) = mail.notice else { panic!("{mail:?}") };
    app.verify_email(token.expose()).await.json(200);
    app.verify_email(&lost).await.json(200);
    // The account is that of the first time: a stranger's second try sets no password.
    app.log_in("ada@example.com", "not the password of old").await.assert_refused(401, "invalid_credentials");
    app.log_in("ada@example.com", PASSWORD).await.json(200);
    app.register("ada@example.com", PASSWORD).await.json(202);
    assert_eq!(app.outbox().only("ada@example.com").notice, Notice::AlreadyRegistered);
}

/// A link would prove the address of an account that nobody can log in to.
#[tokio::test]
async fn a_disabled_account_gets_no_link_by_registering_again() {
    let app = TestApp::spawn().await.concealing().await;
    let first = app.register("ada@example.com", PASSWORD).await;
    app.outbox().take();
    let ada = app.stored_user("ada@example.com").await.expect("an account");
    let change = AccountChange { disabled: Some(true), ..AccountChange::default() };
    app.users().change_account(ada.id, &change, app.journal_entry()).await.expect("a change");
    let again = app.register("ada@example.com", PASSWORD).await;
    assert_eq!(shown(&again), shown(&first));
    assert_eq!(app.outbox().only("ada@example.com").notice, Notice::AlreadyRegistered);
}

/// A write to the database and a look into it differ in time; both are within the same wait.
#[tokio::test]
async fn both_answers_wait_for_the_same_moment() {
    let app = TestApp::spawn().await.concealing().await;
    for email in ["ada@example.com", ADMIN_EMAIL] {
        let began = Instant::now();
        app.register(email, PASSWORD).await.json(202);
        assert!(began.elapsed() >= Duration::from_millis(50), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn without_concealment_a_taken_address_is_said_to_be_taken() {
    let app = TestApp::spawn().await.verifying().await;
    app.register(ADMIN_EMAIL, PASSWORD).await.assert_refused(409, "email_taken");
    assert_eq!(app.outbox().take(), []);
}

/// Else anybody could fill somebody's mailbox. What is left must not tell either: a registration
/// counts for a new address as for a known one, and its own answer says nothing of it.
#[tokio::test]
async fn no_more_mails_go_to_an_address_than_may_be_requested() {
    let app = TestApp::set(&["rate_limits.reset_request.per_account=9/1h"]).await.concealing().await;
    app.register("ada@example.com", PASSWORD).await.json(202);
    app.outbox().take();
    for email in ["ada@example.com", ADMIN_EMAIL] {
        let first = app.register(email, PASSWORD).await;
        for _ in 0..4 {
            let again = app.register(email, PASSWORD).await;
            assert_eq!(shown(&again), shown(&first));
            let policy = again.header("ratelimit-policy").unwrap_or_default();
            assert!(!policy.contains("reset_request"), "{policy}");
        }
        app.request_reset(email).await.assert_refused(429, "rate_limited");
    }
    assert_eq!(app.outbox().take().len(), 2 + 3, "one of the new account's three is its own");
}

#[tokio::test]
async fn what_is_left_of_requests_is_alike_for_new_and_known_addresses() {
    let app = TestApp::set(&["rate_limits.reset_request.per_account=9/1h"]).await.concealing().await;
    for email in ["ada@example.com", ADMIN_EMAIL] {
        app.register(email, PASSWORD).await.json(202);
        for _ in 0..2 {
            app.request_reset(email).await.json(200);
        }
        app.request_reset(email).await.assert_refused(429, "rate_limited");
    }
}
