//! The access-tokens service: how it says no, whoever finds out.

use poem::http::Method;
use serde_json::json;

use super::{FORM, PASSWORD, request, send_form, text};
use crate::support::{Answer, MINUTE, TestApp, jwt};

const INVALID: &str = "Invalid request payload input";

impl Answer {
    /// Asserts that this is Boom's error of that status, and answers its message.
    #[track_caller]
    fn boom(&self, status: u16) -> String {
        let body = self.json(status);
        assert_eq!(super::names(&body), ["statusCode", "error", "message"], "{self:?}");
        assert_eq!(body["statusCode"], status, "{self:?}");
        let reason = poem::http::StatusCode::from_u16(status).expect("a status").canonical_reason();
        assert_eq!(body["error"].as_str(), reason, "{self:?}");
        assert_eq!(self.header("www-authenticate").is_some(), status == 401, "{self:?}");
        text(&body, "message").to_owned()
    }
}

async fn ada(app: &TestApp) -> (String, String) {
    let fields = [("email", "ada@example.com"), ("name", "Ada"), ("password", PASSWORD)];
    let answer = send_form(app, Method::POST, "/users", None, &fields).await.tokens(201);
    (text(&answer, "jwt").to_owned(), text(&answer, "refresh_token").to_owned())
}

#[tokio::test]
async fn a_missing_or_malformed_field_is_400_in_forms_and_in_json() {
    let app = TestApp::spawn().await;
    let long = "a".repeat(101);
    for (email, name, password) in [
        (None, Some("Eve"), Some(PASSWORD)),
        (Some("eve@example.com"), None, Some(PASSWORD)),
        (Some("eve@example.com"), Some("Eve"), None),
        (Some("eve"), Some("Eve"), Some(PASSWORD)),
        (Some(""), Some("Eve"), Some(PASSWORD)),
        (Some("eve@example.com"), Some(" "), Some(PASSWORD)),
        (Some("eve@example.com"), Some(long.as_str()), Some(PASSWORD)),
        (Some("eve@example.com"), Some("E\u{0}ve"), Some(PASSWORD)),
        (Some("eve@example.com"), Some("Eve"), Some("")),
        (Some("Passw0rd@example.com"), Some("Eve"), Some("Passw0rd@example.com")),
    ] {
        let fields = [("email", email), ("name", name), ("password", password)];
        let fields: Vec<(&str, &str)> =
            fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let form = send_form(&app, Method::POST, "/users", None, &fields).await;
        assert_eq!(form.boom(400), INVALID, "{fields:?}");
        let body = fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let json = request(&app, Method::POST, "/users").json(&serde_json::Value::Object(body));
        assert_eq!(json.send().await.boom(400), INVALID, "{fields:?}");
    }
    assert!(app.stored_user("eve@example.com").await.is_none());
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_400_on_every_path() {
    let app = TestApp::spawn().await;
    let (access, _) = ada(&app).await;
    for (method, path) in [
        (Method::POST, "/users"),
        (Method::POST, "/access-tokens"),
        (Method::DELETE, "/access-tokens"),
        (Method::POST, "/access-tokens/refresh"),
    ] {
        for (content_type, body) in [
            ("application/json", "{"),
            ("application/json", ""),
            ("application/json", "[]"),
            ("application/json", r#"{"email":1,"name":1,"password":1,"refresh_token":1}"#),
            (FORM, ""),
            (FORM, "email=a&email=a&password=a&name=a"),
            (FORM, "refresh_token=a&refresh_token=a"),
            (FORM, "email=%ff&name=%ff&password=%ff&refresh_token=%ff"),
        ] {
            let request = request(&app, method.clone(), path).header("x-access-token", &access);
            let answer = request.text(content_type, body).send().await;
            assert_eq!(answer.boom(400), INVALID, "{method} {path} {content_type} {body}");
        }
        let none = request(&app, method.clone(), path).header("x-access-token", &access).send().await;
        assert_eq!(none.boom(400), INVALID, "{method} {path}");
    }
}

#[tokio::test]
async fn what_the_framework_finds_has_the_same_shape() {
    let app = TestApp::spawn().await;
    let (access, _) = ada(&app).await;
    let large = format!("email={}", "a".repeat(64 * 1024));
    for (method, path) in [
        (Method::POST, "/users"),
        (Method::POST, "/access-tokens"),
        (Method::DELETE, "/access-tokens"),
        (Method::POST, "/access-tokens/refresh"),
    ] {
        let send = |content_type, body: &str| {
            let request = request(&app, method.clone(), path).header("x-access-token", &access);
            request.text(content_type, body).send()
        };
        send("text/plain", "email=a").await.boom(415);
        send("multipart/form-data; boundary=x", "--x--").await.boom(415);
        send(FORM, &large).await.boom(413);
    }
    for path in ["/access-tokens/", "/access-tokens/x", "/access-tokens/refresh/x"] {
        request(&app, Method::POST, path).send().await.boom(404);
    }
    for (method, path, allowed) in [
        (Method::GET, "/access-tokens", "DELETE, POST"),
        (Method::PUT, "/access-tokens", "DELETE, POST"),
        (Method::GET, "/access-tokens/refresh", "POST"),
        (Method::POST, "/me", "GET, HEAD"),
    ] {
        let answer = request(&app, method, path).send().await;
        answer.boom(405);
        assert_eq!(answer.header("allow"), Some(allowed), "{answer:?}");
    }
}

#[tokio::test]
async fn users_is_shared_with_the_main_api() {
    let app = TestApp::spawn().await;
    request(&app, Method::GET, "/users").send().await.assert_refused(401, "authentication_required");
    let neither = request(&app, Method::DELETE, "/users").send().await;
    neither.assert_refused(405, "method_not_allowed");
    assert_eq!(neither.header("allow"), Some("GET, HEAD, POST"), "{neither:?}");
    request(&app, Method::POST, "/users").send().await.boom(400);
    request(&app, Method::POST, "/users/me").send().await.assert_refused(405, "method_not_allowed");
    request(&app, Method::GET, "/me/x").send().await.assert_refused(404, "not_found");
}

#[tokio::test]
async fn a_taken_address_is_400_and_says_so() {
    let app = TestApp::spawn().await;
    ada(&app).await;
    let fields = [("email", "ADA@example.com"), ("name", "Eve"), ("password", PASSWORD)];
    let message = send_form(&app, Method::POST, "/users", None, &fields).await.boom(400);
    assert_ne!(message, INVALID);
}

#[tokio::test]
async fn wrong_credentials_are_told_apart_by_nothing() {
    let app = TestApp::spawn().await;
    ada(&app).await;
    let log_in = |email, password| {
        let app = app.clone();
        async move {
            let fields = [("email", email), ("password", password)];
            send_form(&app, Method::POST, "/access-tokens", None, &fields).await
        }
    };
    let wrong = log_in("ada@example.com", "not the password").await;
    let unknown = log_in("eve@example.com", PASSWORD).await;
    assert_eq!(wrong.boom(401), unknown.boom(401));
}

#[tokio::test]
async fn a_bad_access_token_is_401_wherever_one_is_needed() {
    let app = TestApp::spawn().await;
    let (access, refresh) = ada(&app).await;
    let (revoked, revoked_refresh) = {
        let fields = [("email", "ada@example.com"), ("password", PASSWORD)];
        let answer = send_form(&app, Method::POST, "/access-tokens", None, &fields).await.tokens(200);
        app.log_out(text(&answer, "jwt")).await.json(200);
        (text(&answer, "jwt").to_owned(), text(&answer, "refresh_token").to_owned())
    };
    for (method, path) in
        [(Method::DELETE, "/access-tokens"), (Method::POST, "/access-tokens/refresh"), (Method::GET, "/me")]
    {
        for bad in [
            jwt::with_another_signature(&access),
            jwt::with_claim(&access, "exp", app.now() + 99_999),
            refresh.clone(),
            "Bearer ".to_owned(),
            "x".to_owned(),
            revoked.clone(),
        ] {
            for token in [&refresh, &revoked_refresh] {
                let fields = [("refresh_token", token.as_str())];
                send_form(&app, method.clone(), path, Some(&bad), &fields).await.boom(401);
            }
        }
        let fields = [("refresh_token", refresh.as_str())];
        send_form(&app, method.clone(), path, None, &fields).await.boom(401);
        let twice = request(&app, method, path).header("x-access-token", &access);
        let twice = twice.header("x-access-token", &access).text(FORM, super::form(&fields));
        twice.send().await.boom(401);
    }
    let fields = [("refresh_token", refresh.as_str())];
    send_form(&app, Method::POST, "/access-tokens/refresh", Some(&access), &fields).await.json(200);
}

#[tokio::test]
async fn a_bad_refresh_token_is_401_and_ends_nothing() {
    let app = TestApp::spawn().await;
    let (access, refresh) = ada(&app).await;
    for bad in ["", "x", &format!("{refresh}x"), &access] {
        for (method, path) in [(Method::DELETE, "/access-tokens"), (Method::POST, "/access-tokens/refresh")] {
            let fields = [("refresh_token", bad)];
            send_form(&app, method, path, Some(&access), &fields).await.boom(401);
        }
    }
    let fields = [("refresh_token", refresh.as_str())];
    send_form(&app, Method::POST, "/access-tokens/refresh", Some(&access), &fields).await.json(200);
}

#[tokio::test]
async fn an_ended_session_is_401() {
    let app = TestApp::spawn().await;
    let (access, refresh) = ada(&app).await;
    app.advance(8 * 24 * 60 * MINUTE);
    let fields = [("refresh_token", refresh.as_str())];
    let answer = send_form(&app, Method::POST, "/access-tokens/refresh", Some(&access), &fields).await;
    answer.boom(401);
}

#[tokio::test]
async fn a_store_that_is_away_is_503_and_makes_no_account() {
    let app = TestApp::on_redis_and_postgres().await;
    let (access, refresh) = ada(&app).await;
    app.redis().kill();
    let fields = [("email", "eve@example.com"), ("name", "Eve"), ("password", PASSWORD)];
    let answer = send_form(&app, Method::POST, "/users", None, &fields).await;
    answer.boom(503);
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert!(app.stored_user("eve@example.com").await.is_none());
    let fields = [("refresh_token", refresh.as_str())];
    let answer = send_form(&app, Method::POST, "/access-tokens/refresh", Some(&access), &fields).await;
    answer.boom(503);
}
