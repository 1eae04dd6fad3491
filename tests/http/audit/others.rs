//! What is done beside people: by clients, by links in mails, by limits, by the service itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hallpass::domain::client::ClientId;
use hallpass::domain::rate_limit::{ActionLimits, LimitRules, Rate};
use hallpass::service::caller::Administrator;
use hallpass::service::clients::ClientTerms;
use hallpass::service::mail::Notice;
use serde_json::Value;

use super::{HOME, line, page, session_of, story, text};
use crate::support::{Actor, Answer, LoggedIn, MINUTE, PASSWORD, TestApp, jwt, on_both_flavours};

on_both_flavours! {
    clients_are_written_down_with_what_is_done_to_them,
    tokens_that_clients_take_back_are_written_down,
    an_address_is_proven_once_in_the_log,
    what_is_refused_by_a_limit_is_written_down_once_a_minute,
    attempts_from_one_network_hide_nobody_elses,
}

const OPERATOR: Administrator = Administrator::Operator;
const BOOKS: (&str, &str) = ("books", "books-dev-secret");

/// A client's request to `/oauth2`, from home.
async fn ask(app: &TestApp, path: &str, (id, secret): (&str, &str), form: &str) -> Answer {
    let credentials = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let request = app.anonymous().post(path).text("application/x-www-form-urlencoded", form);
    request.header("authorization", credentials).sent_from(HOME).send().await
}

async fn clients_are_written_down_with_what_is_done_to_them(app: TestApp) {
    let clients = &app.services().clients;
    let id: ClientId = "reports".parse().expect("an id");
    clients.create(OPERATOR, id.clone(), ClientTerms::default()).await.expect("a client");
    clients.rotate_secret(OPERATOR, &id, true).await.expect("a secret");
    clients.delete(OPERATOR, &id).await.expect("done");
    for wrong in [("books", "wrong"), ("books", "wrong again"), ("typed-by-mistake", "wrong")] {
        ask(&app, "/oauth2/token", wrong, "grant_type=client_credentials").await.json(401);
    }

    let admin = app.admin().await;
    let mut entries = page(&admin, "").await;
    entries.retain(|entry| text(entry, "action").starts_with("client_"));
    entries.reverse();
    let told: Vec<_> = entries.iter().map(|entry| (line(entry), entry["object"].as_str())).collect();
    let refused = "client_refused anonymous invalid_client".to_owned();
    assert_eq!(
        told,
        [
            ("client_created service".to_owned(), Some("books")),
            ("client_created operator".to_owned(), Some("reports")),
            ("client_secret_rotated operator".to_owned(), Some("reports")),
            ("client_deleted operator".to_owned(), Some("reports")),
            (refused.clone(), Some("books")),
            (refused, None),
        ]
    );
    assert_eq!(text(&entries[4], "address"), HOME);
}

async fn tokens_that_clients_take_back_are_written_down(app: TestApp) {
    let ada = app.member("ada").await;
    let other = ada.on_another_device().await;
    let revoke = async |token: &str| {
        ask(&app, "/oauth2/revoke", BOOKS, &format!("token={token}")).await.json(200);
    };
    for _ in 0..2 {
        revoke(&ada.tokens.access).await;
        revoke(&other.tokens.refresh).await;
    }
    let anonymous = app.anonymous().post("/oauth2/revoke");
    let form = format!("token={}", ada.tokens.refresh);
    anonymous.text("application/x-www-form-urlencoded", form).send().await.json(200);

    let admin = app.admin().await;
    let mut entries = page(&admin, &format!("user={}&reason=revoked_by_client", ada.id)).await;
    entries.reverse();
    let told: Vec<_> = entries.iter().map(line).collect();
    assert_eq!(
        told,
        [
            "token_revoked client:books revoked_by_client",
            "session_ended client:books revoked_by_client",
            "session_ended anonymous revoked_by_client",
        ]
    );
    let jti = jwt::claims(&ada.tokens.access)["jti"].clone();
    assert_eq!((&entries[0]["token"], text(&entries[0], "address")), (&jti, HOME));
    for (entry, person) in entries.iter().zip([&ada, &other, &ada]) {
        assert_eq!(text(entry, "session"), session_of(person));
    }
    assert_eq!(page(&admin, "actor=client:books").await.len(), 2);
}

async fn an_address_is_proven_once_in_the_log(app: TestApp) {
    let app = app.verifying().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    app.log_in("ada@example.com", PASSWORD).await.assert_refused(403, "email_not_verified");
    let Notice::VerifyEmail(token) = app.outbox().only("ada@example.com").notice else { panic!("no link") };
    for _ in 0..2 {
        app.verify_email(token.expose()).await.json(200);
    }
    let ada = LoggedIn::log_in(&app, "ada@example.com", PASSWORD).await;
    let by_ada = format!("user:{}", ada.id);
    assert_eq!(
        story(&app.admin().await, ada.id).await,
        [
            "account_created anonymous".to_owned(),
            "login_failed anonymous email_not_verified".to_owned(),
            format!("email_verified {by_ada}"),
            format!("login_succeeded {by_ada}"),
        ]
    );
}

async fn what_is_refused_by_a_limit_is_written_down_once_a_minute(app: TestApp) {
    let one_a_minute = Rate::new(1, MINUTE).expect("a rate");
    let limited = app
        .another_instance(|settings| {
            let login = ActionLimits { per_ip: Some(one_a_minute), per_account: None };
            settings.rate_limits = LimitRules { login, ..LimitRules::default() };
        })
        .await;
    let guess = async || {
        let body = serde_json::json!({"email": "nobody@example.com", "password": "wrong"});
        limited.anonymous().post("/auth/login").json(&body).sent_from(HOME).send().await
    };
    guess().await.assert_refused(401, "invalid_credentials");
    for _ in 0..5 {
        guess().await.assert_refused(429, "rate_limited");
    }
    let admin = app.admin().await;
    limited.services().audit.flush(MINUTE).await;
    let entries = page(&admin, "action=login_failed").await;
    let told: Vec<_> = entries.iter().map(line).collect();
    let refused = "login_failed anonymous rate_limited";
    assert_eq!(told, [refused, "login_failed anonymous unknown_account"]);
    assert!(entries.iter().all(|entry| text(entry, "address") == HOME && entry["user"] == Value::Null));
}

async fn attempts_from_one_network_hide_nobody_elses(app: TestApp) {
    let app = app.another_instance(|settings| settings.rate_limits = LimitRules::default()).await;
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    let guess = async |email: &str, from: &str| {
        let body = serde_json::json!({"email": email, "password": "wrong"});
        let answer = app.anonymous().post("/auth/login").json(&body).sent_from(from).send().await;
        answer.assert_refused(401, "invalid_credentials");
    };
    // 600 entries a minute are for strangers, and one place has no more of them than are left for others.
    for n in 0..320 {
        guess("nobody@example.com", &format!("2001:db8:1:2::{n:x}")).await;
    }
    guess("ada@example.com", HOME).await;
    app.services().audit.flush(MINUTE).await;
    let entries = page(&admin, "action=login_failed").await;
    assert_eq!(
        (line(&entries[0]), text(&entries[0], "address")),
        ("login_failed anonymous wrong_password".to_owned(), HOME)
    );
    assert_eq!(entries[0]["user"], ada.id);
    assert_eq!(text(&entries[1], "address"), "2001:db8:1:2::12b", "the three hundredth");

    app.advance(MINUTE);
    guess("nobody@example.com", HOME).await;
    app.services().audit.flush(MINUTE).await;
    let entries = page(&admin, "action=login_failed").await;
    assert_eq!(line(&entries[1]), "login_failed anonymous unknown_account (20)");
    assert_eq!(entries[1]["address"], Value::Null);
}

/// The token store is out of reach when an account's sessions are to end, and comes back.
#[tokio::test]
async fn an_end_of_sessions_that_was_owed_is_written_down_when_it_has_come() {
    let app = TestApp::on_servers_of_its_own().await;
    let app = app.another_instance(|settings| settings.rate_limits = LimitRules::default()).await;
    let ada = app.member("ada").await;
    ada.on_another_device().await;
    app.command_redis(&["ACL", "SETUSER", "default", "-eval", "-evalsha"]).await;
    ada.change_password("a better one this time").await.assert_refused(503, "revocation_pending");
    app.command_redis(&["ACL", "SETUSER", "default", "+eval", "+evalsha"]).await;
    // It is left behind when it stands there at two looks; nothing of it is at a third.
    for _ in 0..3 {
        app.keep_journal().await.expect("an answer");
    }
    let admin = app.admin().await;
    assert_eq!(
        story(&admin, ada.id).await[3..],
        [
            format!("password_changed user:{}", ada.id),
            "sessions_ended service cut_off_settled (2)".to_owned()
        ],
        "how many was not known at first"
    );
}
