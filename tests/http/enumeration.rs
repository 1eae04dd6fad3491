//! Nobody learns from an answer which addresses have an account. That its time does not tell either is
//! for `hallpass selftest enumeration` to measure; here it is the work that must be the same.

use hallpass::domain::password::PasswordHash;
use hallpass::domain::user::AccountChange;
use poem::http::HeaderMap;

use crate::support::{ADMIN_EMAIL, Answer, MINUTE, PASSWORD, TestApp, on_both_flavours};

const KNOWN: &str = "ada@example.com";
const UNKNOWN: &str = "eve@example.com";
const DISABLED: &str = "bob@example.com";
const WITHOUT_PASSWORD: &str = "carol@example.com";
const NEW: &str = "a better one this time";

on_both_flavours! {
    answers_to_a_wrong_login_are_alike,
    answers_to_a_reset_request_are_alike,
    answers_to_a_verification_request_are_alike,
    a_token_of_an_address_without_an_account_opens_nothing,
}

fn shown(answer: &Answer) -> (u16, HeaderMap, String) {
    let mut headers = answer.headers.clone();
    headers.remove("x-request-id");
    (answer.status, headers, answer.text())
}

/// With an account, with one that is disabled, with one that must reset its password, and with none.
async fn settled(app: &TestApp) {
    app.register(KNOWN, PASSWORD).await.json(201);
    app.register(DISABLED, PASSWORD).await.json(201);
    disable(app).await;
    app.import(WITHOUT_PASSWORD, PasswordHash::UNUSABLE).await;
}

async fn disable(app: &TestApp) {
    let bob = app.stored_user(DISABLED).await.expect("an account").id;
    let change = AccountChange { disabled: Some(true), ..AccountChange::default() };
    app.users().change_account(bob, &change, app.journal_entry()).await.expect("a change");
}

/// Waits until what the address has used up of its limits is back.
fn with_full_limits(app: &TestApp) {
    app.advance(MINUTE);
}

async fn answers_to_a_wrong_login_are_alike(app: TestApp) {
    settled(&app).await;
    let known = app.log_in(KNOWN, "not the password").await;
    known.assert_refused(401, "invalid_credentials");
    for other in [UNKNOWN, DISABLED, WITHOUT_PASSWORD] {
        with_full_limits(&app);
        assert_eq!(shown(&app.log_in(other, "not the password").await), shown(&known));
    }
    with_full_limits(&app);
    assert_eq!(shown(&app.log_in(WITHOUT_PASSWORD, PasswordHash::UNUSABLE).await), shown(&known));
    let verifying = app.verifying().await;
    let [known, unknown] = [KNOWN, UNKNOWN].map(|email| async {
        with_full_limits(&app);
        shown(&verifying.log_in(email, "not the password").await)
    });
    assert_eq!(known.await, unknown.await);
}

async fn answers_to_a_reset_request_are_alike(app: TestApp) {
    settled(&app).await;
    let mailing = app.verifying().await;
    app.outbox().take();
    let known = mailing.request_reset(KNOWN).await;
    known.json(200);
    for other in [UNKNOWN, DISABLED] {
        with_full_limits(&app);
        assert_eq!(shown(&mailing.request_reset(other).await), shown(&known));
    }
    app.outbox().reset_token(KNOWN);
}

async fn answers_to_a_verification_request_are_alike(app: TestApp) {
    settled(&app).await;
    let known = app.request_verification(KNOWN).await;
    known.json(200);
    for other in [UNKNOWN, DISABLED, ADMIN_EMAIL] {
        with_full_limits(&app);
        assert_eq!(shown(&app.request_verification(other).await), shown(&known));
    }
    app.outbox().verification_token(KNOWN);
}

async fn a_token_of_an_address_without_an_account_opens_nothing(app: TestApp) {
    settled(&app).await;
    for other in [UNKNOWN, DISABLED] {
        let decoy = app.reset_token(other).await;
        app.reset_password(&decoy, NEW).await.assert_refused(400, "invalid_reset_token");
        app.reset_password(&decoy, "short").await.assert_refused(400, "invalid_reset_token");
        app.log_in(other, NEW).await.assert_refused(401, "invalid_credentials");
    }
    let real = app.reset_token(KNOWN).await;
    app.reset_password(&real, NEW).await.json(200);
}

/// The write to the token store is the slowest part of a reset request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_request_writes_as_much_for_an_unknown_address_as_for_a_known_one() {
    let app = TestApp::on_redis_and_postgres().await;
    settled(&app).await;
    let mut writes = Vec::new();
    for email in [KNOWN, UNKNOWN, DISABLED] {
        // Once before, so that the script is loaded.
        app.request_reset(email).await.json(200);
        let before = app.redis_commands().await;
        app.request_reset(email).await.json(200);
        let after = app.redis_commands().await;
        writes.push(
            after
                .into_iter()
                .map(|(name, calls)| {
                    let calls_before = before.get(&name).copied().unwrap_or_default();
                    (name, calls - calls_before)
                })
                .filter(|(name, calls)| *calls > 0 && name != "info")
                .collect::<Vec<_>>(),
        );
    }
    assert!(writes[0].iter().any(|(name, _)| name == "hset"), "{writes:?}");
    assert_eq!(writes[1], writes[0]);
    assert_eq!(writes[2], writes[0]);
}
