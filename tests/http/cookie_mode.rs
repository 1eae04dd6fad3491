//! A refresh token that no script of a page can read, by `Hallpass-Mode: cookie` (RFC 10017).

use hallpass::config::{CorsOrigins, Profile};
use hallpass::domain::web_origin::WebOrigin;
use poem::http::Method;
use serde_json::{Value, json};

use crate::servers::redis::RedisServer;
use crate::support::{Actor, Answer, MINUTE, PASSWORD, Request, TestApp, on_both_flavours};

on_both_flavours! {
    a_page_logs_in_refreshes_and_logs_out_by_the_cookie_alone,
    a_dead_cookie_is_cleared,
    a_new_password_comes_with_a_new_cookie,
}

const APP: &str = "https://app.example.com";

/// What the tests' public URL is at.
const OWN: &str = "http://127.0.0.1:8080";

const ATTRIBUTES: &str = "Path=/; HttpOnly; SameSite=Strict";

/// The same service in production, for the pages of one other origin.
async fn of(app: &TestApp) -> TestApp {
    let change = |settings: &mut hallpass::config::Settings| {
        settings.profile = Profile::Serve;
        settings.cors.origins = CorsOrigins::Listed(vec![WebOrigin::parse(APP).expect("an origin")]);
    };
    app.another_instance(change).await
}

fn from(app: &TestApp, origin: &str, path: &str) -> Request {
    let request = app.anonymous().request(Method::POST, path);
    request.header("hallpass-mode", "cookie").header("origin", origin)
}

fn login() -> Value {
    json!({ "email": "ada@example.com", "password": PASSWORD })
}

/// Logs in at a page, and answers what came with the value of the cookie.
async fn logged_in(app: &TestApp) -> (Value, String) {
    app.register("ada@example.com", PASSWORD).await;
    let answer = from(app, APP, "/auth/login").json(&login()).send().await;
    let (cookie, _) = cookie_of("hallpass", &answer);
    (answer.tokens(200), cookie)
}

/// The value of the cookie that an answer sets, and what stands behind it.
#[track_caller]
fn cookie_of(name: &str, answer: &Answer) -> (String, String) {
    let set = answer.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {answer:?}"));
    let (pair, attributes) = set.split_once("; ").expect("attributes");
    let value = pair.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
    (value.unwrap_or_else(|| panic!("another name: {set}")).to_owned(), attributes.to_owned())
}

#[track_caller]
fn assert_cleared(answer: &Answer) {
    let (value, attributes) = cookie_of("hallpass", answer);
    assert_eq!((&*value, attributes), ("", format!("Max-Age=0; {ATTRIBUTES}")));
}

fn with(request: Request, cookie: &str) -> Request {
    request.header("cookie", format!("theme=dark; hallpass={cookie}"))
}

async fn a_page_logs_in_refreshes_and_logs_out_by_the_cookie_alone(app: TestApp) {
    let app = of(&app).await;
    let (body, first) = logged_in(&app).await;
    assert_eq!(body["refreshToken"], "", "no script reads it");
    assert!(body["accessToken"].as_str().is_some_and(|token| !token.is_empty()));

    let refreshed = with(from(&app, APP, "/auth/refresh-token"), &first).send().await;
    let (second, attributes) = cookie_of("hallpass", &refreshed);
    assert_eq!(refreshed.tokens(200)["refreshToken"], "");
    assert_ne!(first, second);
    let idle = app.lifetimes().idle.as_secs();
    assert_eq!(attributes, format!("Max-Age={idle}; {ATTRIBUTES}"), "as long as the session");
    // Another tab has the one before, and gets the same.
    let tab = with(from(&app, APP, "/auth/refresh-token"), &first).send().await;
    assert_eq!(cookie_of("hallpass", &tab).0, second);

    // A body that names no token is as good as none.
    let empty = with(from(&app, APP, "/auth/refresh-token"), &second).json(&json!({})).send().await;
    let (third, _) = cookie_of("hallpass", &empty);
    let tokens = empty.tokens(200);

    // A page of the service itself may use it as well.
    let own = with(from(&app, OWN, "/auth/logout"), &third).send().await;
    own.json(200);
    assert_cleared(&own);
    app.me(tokens["accessToken"].as_str().expect("a token")).await.assert_refused(401, "token_revoked");
    app.refresh(&third).await.assert_refused(401, "invalid_refresh_token");
}

async fn a_dead_cookie_is_cleared(app: TestApp) {
    let app = of(&app).await;
    let (_, cookie) = logged_in(&app).await;
    with(from(&app, APP, "/auth/logout"), &cookie).send().await.json(200);

    let refreshed = with(from(&app, APP, "/auth/refresh-token"), &cookie).send().await;
    refreshed.assert_refused(401, "invalid_refresh_token");
    assert_cleared(&refreshed);
    for dead in [&*cookie, "nonsense"] {
        let again = with(from(&app, APP, "/auth/logout"), dead).send().await;
        again.json(200);
        assert_cleared(&again);
        // Nothing says that the others have ended.
        let others = with(from(&app, APP, "/auth/logout?scope=global"), dead).send().await;
        others.assert_refused(401, "invalid_refresh_token");
        assert_cleared(&others);
    }
    let without = from(&app, APP, "/auth/refresh-token").send().await;
    without.assert_refused(401, "authentication_required");
    assert_eq!(without.header("set-cookie"), None);

    let (_, idle) = logged_in(&app).await;
    app.advance(app.lifetimes().idle + MINUTE);
    let expired = with(from(&app, APP, "/auth/refresh-token"), &idle).send().await;
    expired.assert_refused(401, "session_expired");
    assert_cleared(&expired);
}

async fn a_new_password_comes_with_a_new_cookie(app: TestApp) {
    let app = of(&app).await;
    let (body, cookie) = logged_in(&app).await;
    let change = json!({ "currentPassword": PASSWORD, "newPassword": "another engine weaves" });
    let changing = with(from(&app, APP, "/auth/change-password"), &cookie);
    let changed = changing.access(body["accessToken"].as_str().expect("a token")).json(&change).send().await;
    let (new, _) = cookie_of("hallpass", &changed);
    assert_eq!(changed.tokens(200)["refreshToken"], "");
    app.refresh(&cookie).await.assert_refused(401, "invalid_refresh_token");
    app.refresh(&new).await.tokens(200);
}

/// Without the header nothing is as it would be with it: the cookie is not even looked at.
#[tokio::test]
async fn nobody_gets_a_cookie_who_does_not_ask_for_it() {
    let app = of(&TestApp::spawn().await).await;
    let (_, cookie) = logged_in(&app).await;
    let asked = app.anonymous().request(Method::POST, "/auth/login").header("origin", APP);
    let answer = asked.json(&login()).send().await;
    assert_eq!(answer.header("set-cookie"), None);
    assert!(answer.tokens(200)["refreshToken"].as_str().is_some_and(|token| token.starts_with("hp_rt_")));
    for path in ["/auth/refresh-token", "/auth/logout", "/auth/auth-me"] {
        let request = app.anonymous().request(Method::POST, path).header("origin", APP);
        let answer = with(request, &cookie).send().await;
        answer.assert_refused(401, "authentication_required");
        assert_eq!(answer.header("set-cookie"), None, "{path}");
    }
    // Nor does auth-me take it from those who ask: after a reload a page refreshes.
    with(from(&app, APP, "/auth/auth-me"), &cookie)
        .send()
        .await
        .assert_refused(401, "authentication_required");
    app.refresh(&cookie).await.tokens(200);
}

#[tokio::test]
async fn pages_of_strangers_are_refused_before_anything_is_done() {
    let app = of(&TestApp::spawn().await).await;
    let (body, cookie) = logged_in(&app).await;
    let access = body["accessToken"].as_str().expect("a token");
    for origin in
        ["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com"]
    {
        for path in ["/auth/login", "/auth/refresh-token", "/auth/logout", "/auth/change-password"] {
            let answer = with(from(&app, origin, path), &cookie).access(access).json(&login()).send().await;
            answer.assert_refused(403, "csrf_check_failed");
            assert_eq!(answer.header("set-cookie"), None, "{path} {origin}");
        }
    }
    // One that says nothing, or two things, is no page.
    let request =
        app.anonymous().request(Method::POST, "/auth/refresh-token").header("hallpass-mode", "cookie");
    with(request, &cookie).send().await.assert_refused(403, "csrf_check_failed");
    let twice = from(&app, APP, "/auth/refresh-token").header("origin", APP);
    with(twice, &cookie).send().await.assert_refused(403, "csrf_check_failed");
    app.me(access).await.json(200);
    app.refresh(&cookie).await.tokens(200);
}

/// A browser would not keep the cookie: the login would seem to work, and be over with its access token.
#[tokio::test]
async fn a_page_of_another_site_is_told_so() {
    let app = of(&TestApp::spawn().await).await;
    let (_, cookie) = logged_in(&app).await;
    for path in ["/auth/login", "/auth/refresh-token", "/auth/logout"] {
        let answer = with(from(&app, APP, path).header("sec-fetch-site", "cross-site"), &cookie);
        let answer = answer.json(&login()).send().await;
        let problem = answer.assert_refused(403, "csrf_check_failed");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains("of another site")), "{problem}");
        assert_eq!(answer.header("set-cookie"), None, "{path}");
    }
    for site in ["same-site", "same-origin"] {
        let near = with(from(&app, APP, "/auth/refresh-token").header("sec-fetch-site", site), &cookie);
        near.send().await.tokens(200);
    }
}

/// Where every page may read answers none may send credentials.
#[tokio::test]
async fn the_pages_of_any_origin_get_no_cookie() {
    let app = TestApp::set(&["cors.origins=*"]).await;
    app.register("ada@example.com", PASSWORD).await;
    let answer = from(&app, APP, "/auth/login").json(&login()).send().await;
    answer.assert_refused(403, "csrf_check_failed");
}

#[tokio::test]
async fn one_token_at_a_time() {
    let app = of(&TestApp::spawn().await).await;
    let (_, cookie) = logged_in(&app).await;
    for path in ["/auth/refresh-token", "/auth/logout"] {
        let beside = |request: Request| with(request, &cookie);
        let answers = [
            beside(from(&app, APP, path).refresh(&cookie)).send().await,
            beside(from(&app, APP, path).json(&json!({ "refreshToken": cookie }))).send().await,
            with(beside(from(&app, APP, path)), &cookie).send().await,
        ];
        for answer in answers {
            answer.assert_refused(400, "ambiguous_token");
            assert_eq!(answer.header("set-cookie"), None);
        }
        let mode = app.anonymous().request(Method::POST, path).header("hallpass-mode", "header");
        mode.header("origin", APP).send().await.assert_refused(400, "invalid_request");
    }
    app.refresh(&cookie).await.tokens(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_clears_no_cookie() {
    let app = of(&TestApp::on_redis(RedisServer::start()).await).await;
    let (_, cookie) = logged_in(&app).await;
    app.redis().kill();
    for path in ["/auth/refresh-token", "/auth/logout"] {
        let answer = with(from(&app, APP, path), &cookie).send().await;
        assert_eq!((answer.status, answer.header("set-cookie")), (503, None), "{answer:?}");
    }
}

/// The prefixes have browsers keep the cookie to this host, or to this path, with TLS.
#[tokio::test]
async fn its_name_tells_browsers_where_it_belongs() {
    for (url, origin, name, attributes) in [
        (
            "https://auth.example.com",
            "https://auth.example.com",
            "__Host-staging",
            "Path=/; HttpOnly; SameSite=Strict; Secure",
        ),
        (
            "https://example.com/auth",
            "https://example.com",
            "__Secure-staging",
            "Path=/auth; HttpOnly; SameSite=Strict; Secure",
        ),
        ("http://localhost:8080", "http://localhost:8080", "staging", "Path=/; HttpOnly; SameSite=Strict"),
    ] {
        let app = TestApp::set(&[&format!("public_url={url}"), "cookie.name=staging"]).await;
        app.register("ada@example.com", PASSWORD).await;
        let answer = from(&app, origin, "/auth/login").json(&login()).send().await;
        answer.tokens(200);
        let (_, set) = cookie_of(name, &answer);
        assert!(set.ends_with(attributes), "{set}");
    }
}
