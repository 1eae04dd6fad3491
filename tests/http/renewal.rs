//! `X-Refresh-Token` on protected operations: an expired access token is served, and the new one
//! travels in `X-Access-Token`.

use poem::http::Method;
use serde_json::json;

use crate::support::{Actor, Answer, LoggedIn, MINUTE, PASSWORD, TestApp, Tokens, jwt};

/// Every protected operation that a session outlives, with a body where it takes one.
fn operations(id: i64) -> Vec<(Method, String, Option<serde_json::Value>)> {
    vec![
        (Method::GET, "/users/me".to_owned(), None),
        (Method::PATCH, "/users/me".to_owned(), Some(json!({"first_name": "Ada"}))),
        (Method::GET, format!("/users/{id}"), None),
        (Method::GET, "/users".to_owned(), None),
        (Method::GET, "/auth/auth-me".to_owned(), None),
        (Method::POST, "/auth/auth-me".to_owned(), None),
    ]
}

/// Asserts that the answer carries a new access token of the session, and that it works.
async fn assert_carries_a_new_token(caller: &LoggedIn, answer: &Answer) {
    answer.json(200);
    let access = answer.header("x-access-token").unwrap_or_else(|| panic!("no token in {answer:?}"));
    assert_ne!(access, caller.tokens.access);
    let session = |token: &str| jwt::claims(token)["sid"].clone();
    assert_eq!(session(access), session(&caller.tokens.access));
    caller.app.me(access).await.json(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn an_expired_access_token_with_a_live_refresh_token_is_served() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await.0;
    app.advance(MINUTE * 16);
    for (method, path, body) in operations(admin.id) {
        let mut request = admin.request_with_both(method.clone(), &path);
        let mut by_refresh_token_alone =
            app.anonymous().request(method, &path).refresh(&admin.tokens.refresh);
        if let Some(body) = &body {
            (request, by_refresh_token_alone) = (request.json(body), by_refresh_token_alone.json(body));
        }
        assert_carries_a_new_token(&admin, &request.send().await).await;
        assert_carries_a_new_token(&admin, &by_refresh_token_alone.send().await).await;
    }
    // None of these used the refresh token up.
    app.advance(MINUTE);
    app.refresh(&admin.tokens.refresh).await.json(200);
}

#[tokio::test]
async fn a_live_access_token_is_served_without_a_new_one() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await.0;
    for (method, path, body) in operations(admin.id) {
        for refresh in [&admin.tokens.refresh, "whatever it is"] {
            let mut request = admin.request(method.clone(), &path).refresh(refresh);
            if let Some(body) = &body {
                request = request.json(body);
            }
            let answer = request.send().await;
            answer.json(200);
            assert_eq!(answer.header("x-access-token"), None);
        }
    }
}

#[tokio::test]
async fn an_expired_access_token_without_a_live_refresh_token_of_the_same_user_is_401() {
    let app = TestApp::spawn().await;
    let (admin, eve) = (app.admin().await.0, app.member("eve").await);
    app.advance(MINUTE * 16);
    for (method, path, body) in operations(admin.id) {
        for (refresh, code) in [
            (None, "token_expired"),
            (Some("hp_rt_"), "invalid_refresh_token"),
            (Some(eve.tokens.refresh.as_str()), "invalid_refresh_token"),
        ] {
            let mut request = admin.request(method.clone(), &path);
            if let Some(refresh) = refresh {
                request = request.refresh(refresh);
            }
            if let Some(body) = &body {
                request = request.json(body);
            }
            request.send().await.assert_refused(401, code);
        }
    }
}

#[tokio::test]
async fn me_tells_the_times_of_the_token_that_the_answer_carries() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    app.advance(MINUTE * 16);
    let me = ada.request_with_both(Method::GET, "/users/me").send().await.json(200);
    assert_eq!(me["iat"], app.now());
    assert_eq!(me["exp"], app.now() + 900);
}

/// The session that bought the caller in is over when the answer is written.
#[tokio::test]
async fn a_password_change_carries_a_token_of_the_new_session() {
    let app = TestApp::spawn().await;
    let mut ada = app.member("ada").await;
    app.advance(MINUTE * 16);
    let body = json!({"currentPassword": PASSWORD, "newPassword": "a better one this time"});
    let answer = ada.request_with_both(Method::POST, "/auth/change-password").json(&body).send().await;
    ada.tokens = Tokens::of(&answer.tokens(200));
    assert_eq!(answer.header("x-access-token"), Some(ada.tokens.access.as_str()));
    ada.assert_lives().await;
}
