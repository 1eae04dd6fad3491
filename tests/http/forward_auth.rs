//! `/forward-auth`: what a reverse proxy asks before it lets a request through.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use poem::http::Method;
use serde_json::json;

use crate::support::{Actor, Answer, MINUTE, Request, TestApp, jwt, on_both_flavours};

on_both_flavours! {
    a_live_access_token_passes_with_its_owners_name,
    what_is_no_live_token_of_a_person_does_not_pass,
    a_log_out_is_known_at_once,
    a_refresh_token_hands_a_new_access_token_back,
    a_refresh_token_hands_back_nothing_where_it_is_no_good,
    a_role_can_be_asked_for,
    an_address_that_nobody_has_proven_is_withheld,
}

/// Longer than an access token lives, leeway included.
const LATER: std::time::Duration = MINUTE.saturating_mul(16);

/// As nginx and Traefik ask, as Envoy does behind a prefix, and what clients may make of that.
const PATHS: [&str; 5] = [
    "/forward-auth",
    "/forward-auth/",
    "/forward-auth/books/7?q=1",
    "/forward-auth//a/../b",
    "/forward-auth/%00",
];

fn methods() -> [Method; 9] {
    let propfind = Method::from_bytes(b"PROPFIND").expect("a method");
    let [get, head, options] = [Method::GET, Method::HEAD, Method::OPTIONS];
    [get, head, options, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE, propfind]
}

#[track_caller]
fn assert_passes(answer: &Answer, user: i64, email: &str, groups: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (200, ""), "{answer:?}");
    assert_eq!(answer.header("remote-user"), Some(user.to_string().as_str()), "{answer:?}");
    assert_eq!(answer.header("remote-email"), Some(email), "{answer:?}");
    assert_eq!(answer.header("remote-groups"), Some(groups), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    assert_eq!(answer.header("www-authenticate"), None, "{answer:?}");
}

#[track_caller]
fn assert_stays_out(answer: &Answer, status: u16, code: &str) {
    answer.assert_refused(status, code);
    for name in ["remote-user", "remote-email", "remote-groups"] {
        assert_eq!(answer.header(name), None, "{answer:?}");
    }
}

fn ask(app: &TestApp) -> Request {
    app.anonymous().get("/forward-auth")
}

async fn a_live_access_token_passes_with_its_owners_name(app: TestApp) {
    let (admin, ada) = (app.admin().await.0, app.member("ada").await);
    for path in PATHS {
        for method in methods() {
            let answer = ada.request(method.clone(), path).send().await;
            assert_passes(&answer, ada.id, "", "member");
            assert_eq!(answer.header("x-access-token"), None);
            let nobody = app.anonymous().request(method, path).send().await;
            assert_stays_out(&nobody, 401, "authentication_required");
        }
    }
    let answer = admin.post("/forward-auth").send().await;
    assert_passes(&answer, admin.id, "johndoe@example.com", "admin");
    // A refresh token beside a live access token is not looked at.
    assert_passes(&ada.get("/forward-auth").refresh("any").send().await, ada.id, "", "member");
}

async fn what_is_no_live_token_of_a_person_does_not_pass(app: TestApp) {
    let ada = app.member("ada").await;
    let access = &ada.tokens.access;
    for token in [
        jwt::with_another_signature(access),
        jwt::with_claim(access, "roles", json!(["admin"])),
        jwt::with_claim(access, "email", "eve@example.com\r\nRemote-User: 1"),
        ada.tokens.refresh.clone(),
        client_token(&app).await,
        "junk".to_owned(),
    ] {
        assert_stays_out(&ask(&app).access(&token).send().await, 401, "invalid_token");
    }
    let twice = ada.get("/forward-auth").access(access).send().await;
    assert_stays_out(&twice, 401, "invalid_token");
    for elsewhere in [
        ask(&app).header("cookie", format!("access_token={access}")),
        ask(&app).header("x-access-token", access),
        app.anonymous().get(&format!("/forward-auth/?access_token={access}")),
        // Not a header of the proxy's but the client's own.
        ask(&app).header("remote-user", "1").header("x-forwarded-user", "1"),
    ] {
        assert_stays_out(&elsewhere.send().await, 401, "authentication_required");
    }
    app.advance(LATER);
    assert_stays_out(&ada.get("/forward-auth").send().await, 401, "token_expired");
}

/// A token that the sample client got for itself: nobody is logged in by it.
async fn client_token(app: &TestApp) -> String {
    let request = app
        .anonymous()
        .post("/oauth2/token")
        .header("authorization", format!("Basic {}", STANDARD.encode("books:books-dev-secret")));
    let form = "grant_type=client_credentials";
    let answer = request.text("application/x-www-form-urlencoded", form).send().await.tokens(200);
    answer["access_token"].as_str().expect("a token").to_owned()
}

async fn a_log_out_is_known_at_once(app: TestApp) {
    let ada = app.member("ada").await;
    let elsewhere = ada.on_another_device().await;
    app.log_out(&ada.tokens.access).await.json(200);
    assert_stays_out(&ada.get("/forward-auth").send().await, 401, "token_revoked");
    let both = ada.request_with_both(Method::GET, "/forward-auth");
    assert_stays_out(&both.send().await, 401, "token_revoked");
    let answer = elsewhere.get("/forward-auth").send().await;
    assert_passes(&answer, ada.id, "", "member");
}

async fn a_refresh_token_hands_a_new_access_token_back(app: TestApp) {
    let ada = app.member("ada").await;
    for expired in [false, true] {
        if expired {
            app.advance(LATER);
        }
        for method in [Method::GET, Method::HEAD, Method::POST] {
            let alone = app.anonymous().request(method.clone(), "/forward-auth/books");
            let mut asked = vec![alone.refresh(&ada.tokens.refresh)];
            if expired {
                asked.push(ada.request_with_both(method, "/forward-auth/books"));
            }
            for request in asked {
                let answer = request.send().await;
                assert_passes(&answer, ada.id, "", "member");
                let access = answer.header("x-access-token").expect("a new token");
                assert_passes(&ask(&app).access(access).send().await, ada.id, "", "member");
            }
        }
    }
    // None of these used the refresh token up.
    app.refresh(&ada.tokens.refresh).await.tokens(200);
}

async fn a_refresh_token_hands_back_nothing_where_it_is_no_good(app: TestApp) {
    let (ada, eve) = (app.member("ada").await, app.member("eve").await);
    let over = ada.on_another_device().await;
    app.log_out(&over.tokens.access).await.json(200);
    app.advance(LATER);
    for refresh in [&eve.tokens.refresh, &over.tokens.refresh, "hp_rt_", "junk"] {
        let answer = ada.get("/forward-auth").refresh(refresh).send().await;
        assert_stays_out(&answer, 401, "invalid_refresh_token");
    }
    let altered = jwt::with_another_signature(&ada.tokens.access);
    let answer = ask(&app).access(&altered).refresh(&ada.tokens.refresh).send().await;
    assert_stays_out(&answer, 401, "invalid_token");
}

async fn a_role_can_be_asked_for(app: TestApp) {
    let (admin, ada) = (app.admin().await.0, app.member("ada").await);
    let for_admins = "/forward-auth?role=admin";
    for method in [Method::GET, Method::POST] {
        let answer = admin.request(method.clone(), for_admins).send().await;
        assert_passes(&answer, admin.id, "johndoe@example.com", "admin");
        assert_stays_out(&ada.request(method.clone(), for_admins).send().await, 403, "forbidden");
        let nobody = app.anonymous().request(method, for_admins).send().await;
        assert_stays_out(&nobody, 401, "authentication_required");
    }
    // A mistake in the proxy's settings lets nobody in.
    for mistake in ["amdin", "members", "", "admin,member"] {
        let answer = admin.get(&format!("/forward-auth?role={mistake}")).send().await;
        assert_stays_out(&answer, 400, "invalid_request");
    }
    // Behind a longer path stands the client's own query, which says nothing here.
    for path in ["/forward-auth/?role=admin", "/forward-auth/books?role=editor"] {
        assert_passes(&ada.get(path).send().await, ada.id, "", "member");
    }
}

#[tokio::test]
async fn a_body_of_any_kind_and_length_is_not_looked_at() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    for (content_type, body) in [("application/json", "{".to_owned()), ("text/plain", "x".repeat(100_000))] {
        let request = ada.request(Method::POST, "/forward-auth/books").text(content_type, body);
        assert_passes(&request.send().await, ada.id, "", "member");
    }
}

/// Anybody registers with anybody's address. The header is there all the same: a proxy that copies it
/// writes it over what the client says of itself.
async fn an_address_that_nobody_has_proven_is_withheld(app: TestApp) {
    let mut eve = app.member("ceo").await;
    let answer = eve.get("/forward-auth").header("remote-email", "johndoe@example.com").send().await;
    assert_passes(&answer, eve.id, "", "member");
    let told = app.another_instance(|settings| settings.forward_auth.unverified_email = true).await;
    let answer = told.anonymous().get("/forward-auth").access(&eve.tokens.access).send().await;
    assert_passes(&answer, eve.id, "ceo@example.com", "member");

    app.request_verification(&eve.email).await.json(200);
    app.verify_email(&app.outbox().verification_token(&eve.email)).await.json(200);
    // By the token of before as long as that lives, by the next one at once.
    assert_passes(&eve.get("/forward-auth").send().await, eve.id, "", "member");
    eve.refresh().await;
    assert_passes(&eve.get("/forward-auth").send().await, eve.id, "ceo@example.com", "member");
}

/// What an address may hold beyond ASCII travels as it is, in UTF-8.
#[tokio::test]
async fn an_address_beyond_ascii_is_handed_on() {
    let app = TestApp::spawn().await;
    let email = "j\u{f6}rg@b\u{fc}cher.example";
    app.register(email, crate::support::PASSWORD).await.json(201);
    let user = app.stored_user(email).await.expect("an account");
    assert!(app.users().verify_email(user.id, &user.email).await.expect("an answer"));
    let joerg = crate::support::LoggedIn::log_in(&app, email, crate::support::PASSWORD).await;
    let answer = joerg.get("/forward-auth").send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers.get("remote-email").map(|value| value.as_bytes()), Some(email.as_bytes()));
}

#[tokio::test]
async fn who_cannot_tell_lets_nobody_in_and_says_so() {
    let app = TestApp::on_redis_and_postgres().await;
    let ada = app.member("ada").await;
    app.redis().kill();
    for request in [ada.get("/forward-auth"), ask(&app).refresh(&ada.tokens.refresh)] {
        assert_stays_out(&request.send().await, 503, "dependency_unavailable");
    }
    // What is forged is known to be without asking.
    let forged = jwt::with_another_signature(&ada.tokens.access);
    assert_stays_out(&ask(&app).access(&forged).send().await, 401, "invalid_token");
}

#[tokio::test]
async fn what_only_looks_like_it_is_no_such_operation() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    for path in ["/forward-authority", "/forward-auth%2Fbooks", "/x/forward-auth"] {
        ada.get(path).send().await.assert_refused(404, "not_found");
    }
}
