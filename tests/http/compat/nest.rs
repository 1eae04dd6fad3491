//! The Nest token API.

use poem::http::Method;
use serde_json::{Value, json};

use super::{PASSWORD, names, request, text};
use crate::support::{Actor, Answer, MINUTE, TestApp, jwt};

async fn send(app: &TestApp, path: &str, body: &Value) -> Answer {
    request(app, Method::POST, path).json(body).send().await
}

async fn bearing(app: &TestApp, path: &str, token: &str) -> Answer {
    request(app, Method::POST, path).access(token).send().await
}

async fn sign_up(app: &TestApp, email: &str) -> Value {
    send(app, "/auth/signup", &json!({"email": email, "password": PASSWORD})).await.tokens(201)
}

#[tokio::test]
async fn signing_up_makes_a_member_and_a_session() {
    let app = TestApp::spawn().await;
    let answer = sign_up(&app, "Ada@Example.com").await;
    assert_eq!(names(&answer), ["id", "email", "accessToken", "refreshToken"]);
    assert_eq!(answer["email"], "ada@example.com");
    let claims = jwt::claims(text(&answer, "accessToken"));
    assert_eq!(claims["sub"], answer["id"].as_i64().expect("a number").to_string());
    assert_eq!(claims["roles"], json!(["member"]));
    app.me(text(&answer, "accessToken")).await.json(200);
    app.refresh(text(&answer, "refreshToken")).await.json(200);
}

#[tokio::test]
async fn signing_in_opens_another_session_of_the_account() {
    let app = TestApp::spawn().await;
    let first = sign_up(&app, "ada@example.com").await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let second = send(&app, "/auth/signin", &body).await.tokens(200);
    assert_eq!(names(&second), ["id", "email", "accessToken", "refreshToken"]);
    assert_eq!(first["id"], second["id"]);
    let session = |answer: &Value| jwt::claims(text(answer, "accessToken"))["sid"].clone();
    assert_ne!(session(&first), session(&second));
}

#[tokio::test]
async fn signing_out_ends_the_session_and_no_other() {
    let app = TestApp::spawn().await;
    let here = sign_up(&app, "ada@example.com").await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let elsewhere = send(&app, "/auth/signin", &body).await.tokens(200);
    let answer = bearing(&app, "/auth/signout", text(&here, "accessToken")).await.json(200);
    assert!(!text(&answer, "message").is_empty());
    app.me(text(&here, "accessToken")).await.assert_refused(401, "token_revoked");
    let refresh = bearing(&app, "/auth/refresh", text(&here, "refreshToken")).await;
    refresh.assert_refused(401, "invalid_refresh_token");
    bearing(&app, "/auth/signout", text(&here, "accessToken")).await.assert_refused(401, "token_revoked");
    app.me(text(&elsewhere, "accessToken")).await.json(200);
}

#[tokio::test]
async fn refreshing_rotates_and_reuse_ends_the_session() {
    let app = TestApp::spawn().await;
    let first = sign_up(&app, "ada@example.com").await;
    let second = bearing(&app, "/auth/refresh", text(&first, "refreshToken")).await.tokens(200);
    assert_eq!(names(&second), ["accessToken", "refresh_token"]);
    assert_ne!(second["refresh_token"], first["refreshToken"]);
    app.me(text(&second, "accessToken")).await.json(200);

    let again = bearing(&app, "/auth/refresh", text(&first, "refreshToken")).await.tokens(200);
    assert_eq!(again["refresh_token"], second["refresh_token"], "a lost answer is answered again");

    app.advance(MINUTE);
    let reused = bearing(&app, "/auth/refresh", text(&first, "refreshToken")).await;
    reused.assert_refused(401, "refresh_token_reused");
    let ended = bearing(&app, "/auth/refresh", text(&second, "refresh_token")).await;
    ended.assert_refused(401, "invalid_refresh_token");
}

#[tokio::test]
async fn claims_of_the_caller_and_of_all_users_are_numbers() {
    let app = TestApp::spawn().await;
    let ada = sign_up(&app, "ada@example.com").await;
    let me = app.me(text(&ada, "accessToken")).await.json(200);
    let (iat, exp) = (app.now(), app.now() + 900);
    assert_eq!((&me["sub"], &me["email"]), (&ada["id"], &json!("ada@example.com")));
    assert_eq!((&me["iat"], &me["exp"]), (&json!(iat), &json!(exp)));

    let list = app.admin().await.get("/users").send().await.json(200);
    let listed = list.as_array().expect("an array").iter().find(|user| user["sub"] == ada["id"]);
    let listed = listed.expect("ada in the list");
    assert_eq!((&listed["iat"], &listed["exp"]), (&json!(iat), &json!(exp)));
    let by_member = request(&app, Method::GET, "/users").access(text(&ada, "accessToken")).send().await;
    by_member.assert_refused(403, "forbidden");
}

#[tokio::test]
async fn short_sample_passwords_work_with_the_minimum_length_set_to_6() {
    let app = TestApp::set(&["passwords.min_length=6"]).await;
    let body = json!({"email": "ada@example.com", "password": "secret"});
    send(&app, "/auth/signup", &body).await.tokens(201);
    send(&app, "/auth/signin", &body).await.tokens(200);
    let default = TestApp::spawn().await;
    send(&default, "/auth/signup", &body).await.assert_refused(400, "weak_password");
}

#[tokio::test]
async fn what_is_malformed_is_400_and_makes_nothing() {
    let app = TestApp::spawn().await;
    sign_up(&app, "ada@example.com").await;
    for path in ["/auth/signup", "/auth/signin"] {
        for body in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"email":"eve@example.com"}"#,
            r#"{"password":"Engines weave 1843 patterns"}"#,
            r#"{"email":"eve@example.com","password":7}"#,
            r#"{"email":"eve@example.com","password":"Engines weave 1843 patterns","email":"x@example.com"}"#,
        ] {
            let answer = request(&app, Method::POST, path).text("application/json", body).send().await;
            answer.assert_refused(400, "invalid_request");
        }
        let form = "email=eve@example.com&password=Engines+weave+1843+patterns";
        let answer = request(&app, Method::POST, path).text(super::FORM, form).send().await;
        answer.assert_refused(415, "unsupported_media_type");
    }
    let no_address = json!({"email": "eve", "password": PASSWORD});
    send(&app, "/auth/signup", &no_address).await.assert_refused(400, "invalid_request");
    assert!(app.stored_user("eve@example.com").await.is_none());
}

#[tokio::test]
async fn a_taken_address_is_409_and_wrong_credentials_are_401() {
    let app = TestApp::spawn().await;
    sign_up(&app, "ada@example.com").await;
    let body = json!({"email": "ADA@example.com", "password": PASSWORD});
    send(&app, "/auth/signup", &body).await.assert_refused(409, "email_taken");
    for (email, password) in [("ada@example.com", "not the password"), ("eve@example.com", PASSWORD)] {
        let body = json!({"email": email, "password": password});
        send(&app, "/auth/signin", &body).await.assert_refused(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn each_token_is_good_for_its_own_operation_only() {
    let app = TestApp::spawn().await;
    let ada = sign_up(&app, "ada@example.com").await;
    let (access, refresh) = (text(&ada, "accessToken"), text(&ada, "refreshToken"));
    for path in ["/auth/signout", "/auth/refresh"] {
        let none = request(&app, Method::POST, path).send().await;
        none.assert_refused(401, "authentication_required");
    }
    bearing(&app, "/auth/signout", refresh).await.assert_refused(401, "invalid_token");
    bearing(&app, "/auth/refresh", access).await.assert_refused(401, "invalid_refresh_token");
    let forged = jwt::with_another_signature(access);
    bearing(&app, "/auth/signout", &forged).await.assert_refused(401, "invalid_token");
    app.me(access).await.json(200);
}
