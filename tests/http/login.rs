//! `POST /auth/login`.

use serde_json::json;

use crate::support::{ADMIN_EMAIL, ADMIN_PASSWORD, Actor, DAY, PASSWORD, TestApp, Tokens, jwt};

#[tokio::test]
async fn a_login_answers_the_user_and_a_pair_of_tokens() {
    let app = TestApp::spawn().await;
    let body = json!({
        "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com", "password": PASSWORD
    });
    let id = app.anonymous().post("/auth/register").json(&body).send().await.json(201)["id"].clone();
    let answer = app.log_in("ada@example.com", PASSWORD).await.tokens(200);
    let user = json!({
        "id": id, "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com", "email_verified": false
    });
    assert_eq!(answer["user"], user);
    assert_eq!(answer["tokenType"], "Bearer");
    assert_eq!(answer["expiresIn"], 900);
    assert_eq!(answer["sessionExpiresAt"], app.now() + 30 * DAY.as_secs().cast_signed());
    let tokens = Tokens::of(&answer);
    app.me(&tokens.access).await.json(200);
    app.refresh(&tokens.refresh).await.json(200);
}

#[tokio::test]
async fn the_sample_administrator_is_there_from_the_start() {
    let app = TestApp::spawn().await;
    let answer = app.log_in(ADMIN_EMAIL, ADMIN_PASSWORD).await.tokens(200);
    assert_eq!(jwt::claims(&Tokens::of(&answer).access)["roles"], json!(["admin"]));
}

#[tokio::test]
async fn an_address_logs_in_in_any_case() {
    let app = TestApp::spawn().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    let answer = app.log_in("Ada@EXAMPLE.com", PASSWORD).await.json(200);
    assert_eq!(answer["user"]["email"], "ada@example.com");
}

#[tokio::test]
async fn each_login_is_a_session_of_its_own() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let elsewhere = ada.on_another_device().await;
    assert_ne!(ada.tokens.refresh, elsewhere.tokens.refresh);
    let session = |tokens: &Tokens| jwt::claims(&tokens.access)["sid"].clone();
    assert_ne!(session(&ada.tokens), session(&elsewhere.tokens));
    ada.assert_lives().await;
    elsewhere.assert_lives().await;
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_are_told_apart_by_nothing() {
    let app = TestApp::spawn().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    let wrong = app.log_in("ada@example.com", "not the password").await;
    let unknown = app.log_in("eve@example.com", PASSWORD).await;
    wrong.assert_refused(401, "invalid_credentials");
    unknown.assert_refused(401, "invalid_credentials");
    assert_eq!(wrong.text(), unknown.text());
    let names = |answer: &crate::support::Answer| -> Vec<String> {
        answer.headers.keys().map(ToString::to_string).collect()
    };
    assert_eq!(names(&wrong), names(&unknown));
}

/// The contract says so: elsewhere a malformed body is 400.
#[tokio::test]
async fn a_malformed_login_is_401() {
    let app = TestApp::spawn().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    let twice = format!(r#"{{"email":"ada@example.com","password":"{PASSWORD}","email":"ada@example.com"}}"#);
    for body in [
        "",
        "{",
        "null",
        "[]",
        "{}",
        r#"{"email":"ada@example.com"}"#,
        r#"{"password":"an engine weaves patterns"}"#,
        r#"{"email":"ada@example.com","password":null}"#,
        r#"{"email":"ada@example.com","password":7}"#,
        r#"{"email":"ada@example.com","password":["an engine weaves patterns"]}"#,
        r#"{"email":"ada","password":"an engine weaves patterns"}"#,
        r#"{"email":"ada@example.com\u0000","password":"an engine weaves patterns"}"#,
        &twice,
    ] {
        let answer = app.anonymous().post("/auth/login").text("application/json", body).send().await;
        answer.assert_refused(401, "invalid_credentials");
    }
}

/// A slip of a shell's quotes must not look like a wrong password.
#[tokio::test]
async fn a_malformed_login_hears_what_is_malformed() {
    let app = TestApp::spawn().await;
    let wrong = app.log_in("ada@example.com", "wrong").await;
    let wrong = wrong.assert_refused(401, "invalid_credentials")["detail"].clone();
    for (body, said, field) in [
        ("{", "is not valid JSON", None),
        (r#"{"email":"ada@example.com"}"#, "password is missing", Some("password")),
        (r#"{"email":"ada@example.com","password":7}"#, "password must be a string", Some("password")),
        ("[]", "must be an object", None),
    ] {
        let answer = app.anonymous().post("/auth/login").text("application/json", body).send().await;
        let answer = answer.assert_refused(401, "invalid_credentials");
        let detail = answer["detail"].as_str().expect("words");
        assert!(detail.contains(said) && *detail != wrong, "{body}: {detail}");
        assert_eq!(answer["errors"][0]["field"].as_str(), field, "{body}");
    }
}

/// A body in another dress is no wrong password: nothing in it was looked at.
#[tokio::test]
async fn a_login_that_is_compressed_or_begins_with_a_byte_order_mark_is_415() {
    let app = TestApp::spawn().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    let body = format!(r#"{{"email":"ada@example.com","password":"{PASSWORD}"}}"#);
    let login = |body: &str| app.anonymous().post("/auth/login").text("application/json", body);
    let marked = login(&format!("\u{feff}{body}")).send().await;
    marked.assert_refused(415, "unsupported_media_type");
    assert!(marked.text().contains("byte order mark"), "{}", marked.text());
    for coding in ["gzip", "br", "identity, gzip"] {
        let encoded = login(&body).header("content-encoding", coding).send().await;
        encoded.assert_refused(415, "unsupported_media_type");
        assert!(encoded.text().contains("Content-Encoding"), "{coding}: {}", encoded.text());
    }
    login(&body).header("content-encoding", "Identity").send().await.json(200);
    let form =
        app.anonymous().post("/oauth2/token").text("application/x-www-form-urlencoded", "grant_type=x");
    assert_eq!(form.header("content-encoding", "gzip").send().await.json(415)["error"], "invalid_request");
}
