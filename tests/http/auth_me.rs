//! `GET` and `POST /auth/auth-me`.

use poem::http::Method;
use serde_json::json;

use crate::support::{Actor, Answer, LoggedIn, MINUTE, TestApp, Tokens, jwt};

const BOTH: [Method; 2] = [Method::GET, Method::POST];

/// Longer than an access token lives, leeway included.
const LATER: std::time::Duration = MINUTE.saturating_mul(16);

async fn auth_me(app: &TestApp, method: &Method, access: Option<&str>, refresh: Option<&str>) -> Answer {
    let mut request = app.anonymous().request(method.clone(), "/auth/auth-me");
    if let Some(access) = access {
        request = request.access(access);
    }
    if let Some(refresh) = refresh {
        request = request.refresh(refresh);
    }
    request.send().await
}

/// Asserts that the answer has a new access token, in both places, and that it works.
async fn assert_renewed(ada: &LoggedIn, answer: &Answer) {
    let body = answer.tokens(200);
    let access = body["accessToken"].as_str().expect("a token");
    assert_ne!(access, ada.tokens.access);
    assert_eq!(answer.header("x-access-token"), Some(access));
    assert_eq!(body["user"]["id"], ada.id);
    ada.app.me(access).await.json(200);
}

#[tokio::test]
async fn a_live_access_token_comes_back_as_it_is() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let Tokens { access, refresh } = &ada.tokens;
    let user = json!({
        "id": ada.id, "first_name": null, "last_name": null, "email": "ada@example.com", "email_verified": false
    });
    for method in &BOTH {
        for refresh in [Some(refresh.as_str()), None, Some("whatever it is")] {
            let answer = auth_me(&app, method, Some(access), refresh).await;
            assert_eq!(answer.tokens(200), json!({"user": user, "accessToken": access}));
            assert_eq!(answer.header("x-access-token"), None);
        }
    }
}

#[tokio::test]
async fn an_expired_access_token_with_a_live_refresh_token_buys_a_new_one() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    app.advance(LATER);
    for method in &BOTH {
        let answer = auth_me(&app, method, Some(&ada.tokens.access), Some(&ada.tokens.refresh)).await;
        assert_renewed(&ada, &answer).await;
    }
}

#[tokio::test]
async fn a_refresh_token_alone_is_enough() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    for method in &BOTH {
        let answer = auth_me(&app, method, None, Some(&ada.tokens.refresh)).await;
        assert_renewed(&ada, &answer).await;
    }
}

#[tokio::test]
async fn the_refresh_token_is_not_used_up() {
    let app = TestApp::spawn().await;
    let mut ada = app.member("ada").await;
    for _ in 0..3 {
        app.advance(LATER);
        app.auth_me(&ada.tokens.access, &ada.tokens.refresh).await.json(200);
    }
    let before = ada.tokens.clone();
    ada.refresh().await;
    assert_ne!(ada.tokens.refresh, before.refresh);
    ada.assert_lives().await;
}

#[tokio::test]
async fn a_refresh_token_comes_with_or_without_its_scheme_and_schemes_have_no_case() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    app.advance(LATER);
    let Tokens { access, refresh } = &ada.tokens;
    for scheme in ["", "Bearer ", "bearer ", "BEARER ", "bEaReR "] {
        let request = app.anonymous().get("/auth/auth-me").access(access);
        let answer = request.header("x-refresh-token", format!("{scheme}{refresh}")).send().await;
        assert_renewed(&ada, &answer).await;
    }
    let live = app.auth_me(access, refresh).await.json(200)["accessToken"].clone();
    let live = live.as_str().expect("a token");
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let request = app.anonymous().get("/auth/auth-me");
        request.header("authorization", format!("{scheme} {live}")).send().await.json(200);
    }
}

#[tokio::test]
async fn an_expired_access_token_alone_is_401() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    app.advance(LATER);
    for method in &BOTH {
        auth_me(&app, method, Some(&ada.tokens.access), None).await.assert_refused(401, "token_expired");
    }
}

#[tokio::test]
async fn a_tampered_access_token_is_401_whatever_else_is_sent() {
    let app = TestApp::spawn().await;
    let (ada, grace) = (app.member("ada").await, app.member("grace").await);
    let access = &ada.tokens.access;
    let tampered = [
        jwt::with_another_signature(access),
        jwt::with_claim(access, "sub", grace.id.to_string()),
        jwt::with_claim(access, "roles", json!(["admin"])),
        jwt::with_claim(access, "exp", app.now() + 1_000_000),
        jwt::assemble(&json!({"alg": "none", "typ": "at+jwt"}), &jwt::claims(access), ""),
        access[..access.len() - 1].to_owned(),
        format!("{access}.{access}"),
        "no token at all".to_owned(),
        ada.tokens.refresh.clone(),
    ];
    for expired in [false, true] {
        if expired {
            app.advance(LATER);
        }
        for token in &tampered {
            for method in &BOTH {
                for refresh in [Some(ada.tokens.refresh.as_str()), None] {
                    let answer = auth_me(&app, method, Some(token), refresh).await;
                    answer.assert_refused(401, "invalid_token");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_revoked_access_token_is_401_whatever_else_is_sent() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let elsewhere = ada.on_another_device().await;
    app.log_out(&ada.tokens.access).await.json(200);
    for refresh in [None, Some(ada.tokens.refresh.as_str()), Some(elsewhere.tokens.refresh.as_str())] {
        for method in &BOTH {
            let answer = auth_me(&app, method, Some(&ada.tokens.access), refresh).await;
            answer.assert_refused(401, "token_revoked");
        }
    }
    app.advance(LATER);
    for refresh in [&ada.tokens.refresh, &elsewhere.tokens.refresh] {
        let answer = app.auth_me(&ada.tokens.access, refresh).await;
        answer.assert_refused(401, "token_revoked");
    }
}

#[tokio::test]
async fn a_refresh_token_of_another_user_buys_nothing() {
    let app = TestApp::spawn().await;
    let (ada, eve) = (app.member("ada").await, app.member("eve").await);
    app.advance(LATER);
    for method in &BOTH {
        let answer = auth_me(&app, method, Some(&ada.tokens.access), Some(&eve.tokens.refresh)).await;
        answer.assert_refused(401, "invalid_refresh_token");
    }
}

#[tokio::test]
async fn a_dead_refresh_token_buys_nothing() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let elsewhere = ada.on_another_device().await;
    app.log_out(&elsewhere.tokens.access).await.json(200);
    app.advance(LATER);
    let mangled = format!("{}A", ada.tokens.refresh);
    for dead in [&elsewhere.tokens.refresh, &mangled, &ada.tokens.access, "hp_rt_", "no token"] {
        for method in &BOTH {
            for access in [Some(ada.tokens.access.as_str()), None] {
                let answer = auth_me(&app, method, access, Some(dead)).await;
                answer.assert_refused(401, "invalid_refresh_token");
            }
        }
    }
}

#[tokio::test]
async fn headers_that_hold_no_text_are_401() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    for name in ["authorization", "x-refresh-token"] {
        let request = app.anonymous().get("/auth/auth-me").header(name, b"Bearer \xff\xfe");
        request.send().await.assert_refused(401, "invalid_token");
    }
    let twice = ada.get("/auth/auth-me").access(&ada.tokens.access);
    twice.send().await.assert_refused(401, "invalid_token");
}
