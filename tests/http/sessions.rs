//! `/auth/sessions`, and `POST /auth/logout` of more than one session.

use serde_json::{Value, json};

use crate::support::{Actor, LoggedIn, MINUTE, PASSWORD, TestApp, Tokens, on_both_flavours};

/// Longer than an access token lives, leeway included.
const LATER: std::time::Duration = MINUTE.saturating_mul(16);
const DAY_SECONDS: i64 = 24 * 60 * 60;

on_both_flavours! {
    a_person_sees_their_sessions_newest_first_and_which_one_asks,
    a_session_is_ended_by_its_id_at_once_and_no_other,
    all_other_sessions_end_at_once_and_are_counted,
    a_logout_of_the_others_leaves_this_session,
    a_global_logout_leaves_no_session,
}

async fn a_person_sees_their_sessions_newest_first_and_which_one_asks(app: TestApp) {
    let ada = app.member("ada").await;
    app.member("eve").await;
    let opened = app.now();
    app.advance(MINUTE);
    let mut phone = log_in_with(&ada, "Phone/1.0").await;
    app.advance(MINUTE);
    phone.refresh().await;

    let sessions = listed(&ada).await;
    let ids: Vec<_> = sessions.iter().map(|session| session["id"].as_str().expect("an id")).collect();
    assert_eq!(sessions.len(), 2, "{sessions:?}");
    assert_eq!(
        sessions[0],
        json!({
            "id": ids[0],
            "current": false,
            "createdAt": opened + 60,
            "lastUsedAt": opened + 120,
            "idleExpiresAt": opened + 120 + 7 * DAY_SECONDS,
            "absoluteExpiresAt": opened + 60 + 30 * DAY_SECONDS,
            "address": null,
            "userAgent": "Phone/1.0",
            "client": "hallpass",
        })
    );
    assert_eq!(
        sessions[1],
        json!({
            "id": ids[1],
            "current": true,
            "createdAt": opened,
            "lastUsedAt": opened,
            "idleExpiresAt": opened + 7 * DAY_SECONDS,
            "absoluteExpiresAt": opened + 30 * DAY_SECONDS,
            "address": null,
            "userAgent": null,
            "client": "hallpass",
        })
    );
    assert_eq!(current(&phone).await, ids[0]);
}

async fn a_session_is_ended_by_its_id_at_once_and_no_other(app: TestApp) {
    let ada = app.member("ada").await;
    let (lost, laptop) = (ada.on_another_device().await, ada.on_another_device().await);
    let path = format!("/auth/sessions/{}", current(&lost).await);
    assert_eq!(ada.delete(&path).send().await.json(200), json!({"message": "session ended"}));
    lost.assert_is_over().await;
    ada.assert_lives().await;
    laptop.assert_lives().await;
    assert_eq!(listed(&ada).await.len(), 2);
    ada.delete(&path).send().await.assert_refused(404, "not_found");
}

async fn all_other_sessions_end_at_once_and_are_counted(app: TestApp) {
    let ada = app.member("ada").await;
    let others = [ada.on_another_device().await, ada.on_another_device().await];
    let eve = app.member("eve").await;
    assert_eq!(ada.delete("/auth/sessions").send().await.json(200), json!({"ended": 2}));
    for other in &others {
        other.assert_is_over().await;
    }
    ada.assert_lives().await;
    eve.assert_lives().await;
    assert_eq!(listed(&ada).await.len(), 1);
    assert_eq!(ada.delete("/auth/sessions").send().await.json(200), json!({"ended": 0}));
}

async fn a_logout_of_the_others_leaves_this_session(app: TestApp) {
    let ada = app.member("ada").await;
    let other = ada.on_another_device().await;
    let eve = app.member("eve").await;
    ada.post("/auth/logout?scope=others").send().await.json(200);
    other.assert_is_over().await;
    ada.assert_lives().await;
    eve.assert_lives().await;
}

async fn a_global_logout_leaves_no_session(app: TestApp) {
    let ada = app.member("ada").await;
    let other = ada.on_another_device().await;
    let eve = app.member("eve").await;
    let answer = ada.post("/auth/logout?scope=global").send().await;
    assert_eq!(answer.json(200), json!({"message": "logged out successfully"}));
    ada.assert_is_over().await;
    other.assert_is_over().await;
    eve.assert_lives().await;
    assert_eq!(listed(&ada.on_another_device().await).await.len(), 1);
}

#[tokio::test]
async fn a_refresh_token_alone_logs_out_everywhere() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let other = ada.on_another_device().await;
    let request = app.anonymous().post("/auth/logout?scope=global").refresh(&ada.tokens.refresh);
    request.send().await.json(200);
    ada.assert_is_over().await;
    other.assert_is_over().await;
}

#[tokio::test]
async fn a_local_logout_is_a_logout_without_a_scope() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let other = ada.on_another_device().await;
    ada.post("/auth/logout?scope=local").send().await.json(200);
    ada.assert_is_over().await;
    other.assert_lives().await;
}

#[tokio::test]
async fn an_unknown_scope_is_400_and_ends_nothing() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    for scope in ["", "all", "Global", "local,global"] {
        let answer = ada.post(&format!("/auth/logout?scope={scope}")).send().await;
        let problem = answer.assert_refused(400, "invalid_request");
        assert_eq!(problem["errors"][0]["field"], "scope", "{answer:?}");
    }
    ada.assert_lives().await;
}

#[tokio::test]
async fn a_session_that_is_gone_logs_nobody_else_out() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let other = ada.on_another_device().await;
    app.log_out(&ada.tokens.access).await.json(200);
    for scope in ["others", "global"] {
        let path = format!("/auth/logout?scope={scope}");
        ada.post(&path).send().await.assert_refused(401, "token_revoked");
        let by_refresh_token = app.anonymous().post(&path).refresh(&ada.tokens.refresh);
        by_refresh_token.send().await.assert_refused(401, "invalid_refresh_token");
    }
    other.assert_lives().await;
}

#[tokio::test]
async fn what_is_not_ones_own_session_is_404_and_lives_on() {
    let app = TestApp::spawn().await;
    let (ada, eve) = (app.member("ada").await, app.member("eve").await);
    let adas = current(&ada).await;
    for id in [adas.as_str(), "00000000-0000-4000-8000-000000000000", "1", "me", "%00"] {
        let answer = eve.delete(&format!("/auth/sessions/{id}")).send().await;
        answer.assert_refused(404, "not_found");
    }
    ada.assert_lives().await;
    eve.assert_lives().await;
}

/// The renewed access token of a session that has just ended would be a dead one.
#[tokio::test]
async fn whoever_ends_the_session_they_call_from_gets_no_new_token() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let path = format!("/auth/sessions/{}", current(&ada).await);
    app.advance(LATER);
    let answer = app.anonymous().delete(&path).refresh(&ada.tokens.refresh).send().await;
    answer.json(200);
    assert_eq!(answer.header("x-access-token"), None);
    app.refresh(&ada.tokens.refresh).await.assert_refused(401, "invalid_refresh_token");
}

#[tokio::test]
async fn a_session_that_ended_by_itself_is_not_listed() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    app.advance(MINUTE * 60 * 24 * 7);
    let back = ada.on_another_device().await;
    let sessions = listed(&back).await;
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    assert_eq!(sessions[0]["current"], true);
}

#[tokio::test]
async fn a_new_password_ends_the_listed_sessions_and_notes_where_the_new_one_was_opened() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    ada.on_another_device().await;
    let body = json!({"currentPassword": PASSWORD, "newPassword": "a better one this time"});
    let request = ada.post("/auth/change-password").header("user-agent", "Laptop/2.0").json(&body);
    let changed = request.send().await.tokens(200);
    let access = changed["accessToken"].as_str().expect("a token");
    let sessions = app.anonymous().get("/auth/sessions").access(access).send().await.json(200);
    assert_eq!(sessions.as_array().map(Vec::len), Some(1), "{sessions}");
    assert_eq!(sessions[0]["userAgent"], "Laptop/2.0");
}

#[tokio::test]
async fn a_user_agent_of_any_bytes_is_listed_as_harmless_text() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    for (sent, listed_as) in [
        (b"a\tb".to_vec(), json!("ab")),
        (b"\xff<script>".to_vec(), json!("\u{fffd}<script>")),
        (vec![b'x'; 1000], json!(format!("{}…", "x".repeat(61)))),
        (CHROME.as_bytes().to_vec(), json!("(X11; Linux x86_64) Chrome/138.0.0.0")),
        (Vec::new(), Value::Null),
    ] {
        app.advance(MINUTE);
        log_in_with(&ada, sent).await;
        assert_eq!(listed(&ada).await[0]["userAgent"], listed_as);
    }
}

const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36";

/// The same person, with that `User-Agent`.
async fn log_in_with(person: &LoggedIn, user_agent: impl AsRef<[u8]>) -> LoggedIn {
    let body = json!({"email": person.email, "password": person.password});
    let request = person.app.anonymous().post("/auth/login").header("user-agent", user_agent);
    let answer = request.json(&body).send().await.tokens(200);
    LoggedIn { tokens: Tokens::of(&answer), ..person.clone() }
}

async fn listed(person: &LoggedIn) -> Vec<Value> {
    let answer = person.get("/auth/sessions").send().await.json(200);
    answer.as_array().expect("a list").clone()
}

/// The id of the session that asks: one is marked, and no other.
async fn current(person: &LoggedIn) -> String {
    let sessions = listed(person).await;
    let marked: Vec<_> = sessions.iter().filter(|session| session["current"] == true).collect();
    assert_eq!(marked.len(), 1, "{sessions:?}");
    marked[0]["id"].as_str().expect("an id").to_owned()
}
