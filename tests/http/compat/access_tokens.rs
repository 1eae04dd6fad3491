//! The access-tokens service: what it does.

use poem::http::Method;
use serde_json::{Value, json};

use super::{PASSWORD, names, request, send_form, text};
use crate::support::{Answer, MINUTE, TestApp, jwt, on_both_flavours};

async fn create_user(app: &TestApp, email: &str, name: &str) -> Value {
    let fields = [("email", email), ("name", name), ("password", PASSWORD)];
    send_form(app, Method::POST, "/users", None, &fields).await.tokens(201)
}

async fn refresh(app: &TestApp, access: &str, refresh: &str) -> Answer {
    let fields = [("refresh_token", refresh)];
    send_form(app, Method::POST, "/access-tokens/refresh", Some(access), &fields).await
}

async fn delete(app: &TestApp, access: &str, refresh: &str) -> Answer {
    send_form(app, Method::DELETE, "/access-tokens", Some(access), &[("refresh_token", refresh)]).await
}

async fn me(app: &TestApp, access: &str) -> Answer {
    request(app, Method::GET, "/me").header("x-access-token", access).send().await
}

#[tokio::test]
async fn signing_up_makes_an_account_and_a_session() {
    let app = TestApp::spawn().await;
    let answer = create_user(&app, "Ada@Example.com", "Ada King Lovelace").await;
    assert_eq!(names(&answer), ["jwt", "refresh_token"]);
    assert_eq!(jwt::claims(text(&answer, "jwt"))["roles"], json!(["member"]));
    let me = me(&app, text(&answer, "jwt")).await.json(200);
    // sha256sum of "ada@example.com".
    let hash = "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72";
    let avatar_url = format!("https://www.gravatar.com/avatar/{hash}?d=mm&s=200");
    let expected = json!({"name": "Ada King Lovelace", "email": "ada@example.com", "avatar_url": avatar_url});
    assert_eq!(me, expected);
    let user = app.stored_user("ada@example.com").await.expect("an account");
    let names = [user.first_name, user.last_name].map(|name| name.map(|name| name.as_str().to_owned()));
    assert_eq!(names, [Some("Ada".to_owned()), Some("King Lovelace".to_owned())]);
}

#[tokio::test]
async fn a_name_may_be_one_word_or_missing_from_elsewhere() {
    let app = TestApp::spawn().await;
    let ada = create_user(&app, "ada@example.com", "Ada").await;
    assert_eq!(me(&app, text(&ada, "jwt")).await.json(200)["name"], "Ada");
    let grace = app.member("grace").await;
    assert_eq!(me(&app, &grace.tokens.access).await.json(200)["name"], "");
}

/// At sign-up and at login alike.
#[tokio::test]
async fn an_address_is_trimmed_and_in_lower_case() {
    let app = TestApp::spawn().await;
    create_user(&app, " \tAda@Example.com\r\n", "Ada").await;
    assert!(app.stored_user("ada@example.com").await.is_some());
    for email in
        ["ada@example.com", "ADA@Example.com", "  ada@example.com", "ada@example.com\n", " Ada@example.com\t"]
    {
        let fields = [("email", email), ("password", PASSWORD)];
        send_form(&app, Method::POST, "/access-tokens", None, &fields).await.tokens(200);
        let json = json!({"email": email, "password": PASSWORD});
        request(&app, Method::POST, "/access-tokens").json(&json).send().await.tokens(200);
    }
    let again = [("email", "ada@example.com "), ("name", "Ada"), ("password", PASSWORD)];
    send_form(&app, Method::POST, "/users", None, &again).await.json(400);
    // Around it, and not within.
    for email in ["ada @example.com", "ada@ example.com", " ", "\u{200b}ada@example.com"] {
        let fields = [("email", email), ("password", PASSWORD)];
        assert_ne!(
            send_form(&app, Method::POST, "/access-tokens", None, &fields).await.status,
            200,
            "{email:?}"
        );
    }
    // Passwords are taken as they are.
    let padded = format!(" {PASSWORD}");
    let fields = [("email", "ada@example.com"), ("password", padded.as_str())];
    send_form(&app, Method::POST, "/access-tokens", None, &fields).await.json(401);
}

#[tokio::test]
async fn forms_and_json_are_the_same() {
    let app = TestApp::spawn().await;
    let user = json!({"email": "ada@example.com", "name": "Ada", "password": PASSWORD});
    let created = request(&app, Method::POST, "/users").json(&user).send().await.tokens(201);
    let login = request(&app, Method::POST, "/access-tokens").json(&user).send().await.tokens(200);
    assert_eq!(names(&login), ["jwt", "refresh_token"]);
    let fields = [("email", "ada@example.com"), ("password", PASSWORD)];
    send_form(&app, Method::POST, "/access-tokens", None, &fields).await.tokens(200);
    let charset = "application/x-www-form-urlencoded; charset=UTF-8";
    let encoded = "email=ada%40example.com&password=Engines+weave%201843+patterns&more=x";
    request(&app, Method::POST, "/access-tokens").text(charset, encoded).send().await.tokens(200);

    let body = json!({"refresh_token": created["refresh_token"]});
    let refreshed = request(&app, Method::POST, "/access-tokens/refresh").json(&body);
    let refreshed = refreshed.header("x-access-token", text(&created, "jwt")).send().await.tokens(200);
    let deleted = request(&app, Method::DELETE, "/access-tokens").json(&body);
    let deleted = deleted.header("x-access-token", text(&refreshed, "jwt")).send().await;
    assert_eq!(deleted.status, 204, "{deleted:?}");
}

#[tokio::test]
async fn the_access_token_comes_with_and_without_the_scheme() {
    let app = TestApp::spawn().await;
    let ada = create_user(&app, "ada@example.com", "Ada").await;
    for prefix in ["", "Bearer ", "bearer ", "BEARER "] {
        me(&app, &format!("{prefix}{}", text(&ada, "jwt"))).await.json(200);
    }
}

on_both_flavours!(
    refreshing_takes_an_expired_access_token_and_never_rotates,
    a_logout_ends_the_session_and_no_other,
    a_logout_takes_no_expired_access_token,
    a_token_that_another_api_rotated_is_refused_and_ends_nothing,
    both_tokens_must_be_of_one_session,
);

async fn refreshing_takes_an_expired_access_token_and_never_rotates(app: TestApp) {
    let ada = create_user(&app, "ada@example.com", "Ada").await;
    let token = text(&ada, "refresh_token");
    let mut access = text(&ada, "jwt").to_owned();
    for _ in 0..3 {
        app.advance(16 * MINUTE);
        assert_eq!(me(&app, &access).await.json(401)["message"], "The access token has expired. Refresh it.");
        let answer = refresh(&app, &access, token).await.tokens(200);
        assert_eq!(names(&answer), ["jwt"]);
        access = text(&answer, "jwt").to_owned();
        me(&app, &access).await.json(200);
    }
    // Not used up: it still is the one that rotation begins with.
    app.refresh(token).await.json(200);
}

async fn a_logout_ends_the_session_and_no_other(app: TestApp) {
    let here = create_user(&app, "ada@example.com", "Ada").await;
    let fields = [("email", "ada@example.com"), ("password", PASSWORD)];
    let elsewhere = send_form(&app, Method::POST, "/access-tokens", None, &fields).await.tokens(200);
    let (access, token) = (text(&here, "jwt"), text(&here, "refresh_token"));
    let answer = delete(&app, access, token).await;
    assert_eq!((answer.status, answer.text().as_str()), (204, ""), "{answer:?}");
    me(&app, access).await.json(401);
    refresh(&app, access, token).await.json(401);
    delete(&app, access, token).await.json(401);
    app.refresh(token).await.assert_refused(401, "invalid_refresh_token");
    me(&app, text(&elsewhere, "jwt")).await.json(200);
}

/// The contract takes one at the refresh alone.
async fn a_logout_takes_no_expired_access_token(app: TestApp) {
    let ada = create_user(&app, "ada@example.com", "Ada").await;
    let (expired, token) = (text(&ada, "jwt"), text(&ada, "refresh_token"));
    app.advance(16 * MINUTE);
    let answer = delete(&app, expired, token).await.json(401);
    assert_eq!(answer["message"], "The access token has expired. Refresh it.");
    let access = refresh(&app, expired, token).await.tokens(200);
    let answer = delete(&app, text(&access, "jwt"), token).await;
    assert_eq!((answer.status, answer.text().as_str()), (204, ""), "{answer:?}");
    refresh(&app, expired, token).await.json(401);
}

/// Whoever rotates does so through another API; this one's clients cannot know of it.
async fn a_token_that_another_api_rotated_is_refused_and_ends_nothing(app: TestApp) {
    let ada = create_user(&app, "ada@example.com", "Ada").await;
    let (access, old) = (text(&ada, "jwt"), text(&ada, "refresh_token"));
    let rotated = app.refresh(old).await.tokens(200);
    let new = text(&rotated, "refreshToken");
    refresh(&app, access, old).await.json(200);
    app.advance(MINUTE);
    for _ in 0..2 {
        refresh(&app, access, old).await.json(401);
        delete(&app, access, old).await.json(401);
    }
    let answer = refresh(&app, access, new).await.tokens(200);
    me(&app, text(&answer, "jwt")).await.json(200);
    app.refresh(new).await.json(200);
}

async fn both_tokens_must_be_of_one_session(app: TestApp) {
    let ada = create_user(&app, "ada@example.com", "Ada").await;
    let eve = create_user(&app, "eve@example.com", "Eve").await;
    let fields = [("email", "ada@example.com"), ("password", PASSWORD)];
    let elsewhere = send_form(&app, Method::POST, "/access-tokens", None, &fields).await.tokens(200);
    for other in [&eve, &elsewhere] {
        let (access, token) = (text(&ada, "jwt"), text(other, "refresh_token"));
        refresh(&app, access, token).await.json(401);
        delete(&app, access, token).await.json(401);
    }
    for session in [&ada, &eve, &elsewhere] {
        refresh(&app, text(session, "jwt"), text(session, "refresh_token")).await.json(200);
    }
}

#[tokio::test]
async fn a_password_needs_three_kinds_of_characters_beside_the_policy() {
    for app in [TestApp::spawn().await, TestApp::set(&["passwords.min_length=6"]).await] {
        for password in ["secret", "Abcdef1", "abcdefg1", "ABCDEFG1", "Abcdefgh"] {
            let fields = [("email", "ada@example.com"), ("name", "Ada"), ("password", password)];
            let answer = send_form(&app, Method::POST, "/users", None, &fields).await.json(400);
            assert_eq!(answer["message"], "Invalid request payload input", "{password}");
        }
        let fields = [("email", "ada@example.com"), ("name", "Ada"), ("password", "the-Secret-123")];
        send_form(&app, Method::POST, "/users", None, &fields).await.tokens(201);
        send_form(&app, Method::POST, "/access-tokens", None, &fields).await.tokens(200);
    }
    let strict = TestApp::set(&["passwords.min_length=15"]).await;
    let fields = [("email", "ada@example.com"), ("name", "Ada"), ("password", "the-Secret-123")];
    send_form(&strict, Method::POST, "/users", None, &fields).await.json(400);
}
