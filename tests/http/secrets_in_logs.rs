//! No secret at any log level, whatever goes right or wrong.

use poem::http::Method;
use serde_json::json;

use crate::support::log::Log;
use crate::support::{Actor, LoggedIn, MINUTE, SERVER_SECRET, TestApp, Tokens, jwt};

/// None of them a word that a log would have anyway.
const PASSWORD: &str = "tqjzkvwm-first-one";
const SECOND_PASSWORD: &str = "tqjzkvwm-second-one";
const THIRD_PASSWORD: &str = "tqjzkvwm-third-one";
const WRONG_PASSWORD: &str = "tqjzkvwm-wrong-one";
const WEAK_PASSWORD: &str = "tqjzkvw";

#[tokio::test]
async fn no_secret_is_logged_with_sqlite_and_the_embedded_store() {
    let log = Log::keep();
    let app = TestApp::spawn().await;
    let secrets = live(&app).await;
    assert_kept_secret(&log, &secrets);
}

#[tokio::test]
async fn no_secret_is_logged_with_redis_and_postgres_nor_when_redis_goes_away() {
    let log = Log::keep();
    let app = TestApp::on_redis_and_postgres().await;
    let mut secrets = live(&app).await;
    let ada = LoggedIn::log_in(&app, "ada@example.com", THIRD_PASSWORD).await;
    secrets.extend([ada.tokens.access.clone(), ada.tokens.refresh.clone()]);
    let reset_token = app.reset_token("ada@example.com").await;
    app.redis().kill();
    app.log_in("ada@example.com", THIRD_PASSWORD).await.assert_refused(503, "dependency_unavailable");
    app.refresh(&ada.tokens.refresh).await.assert_refused(503, "dependency_unavailable");
    app.me(&ada.tokens.access).await.assert_refused(503, "dependency_unavailable");
    app.reset_password(&reset_token, PASSWORD).await.assert_refused(503, "dependency_unavailable");
    secrets.push(reset_token);
    assert_kept_secret(&log, &secrets);
}

/// A life with every operation in it, and every way to be refused. Answers the secrets of it.
pub async fn live(app: &TestApp) -> Vec<String> {
    let mut secrets =
        [PASSWORD, SECOND_PASSWORD, THIRD_PASSWORD, WRONG_PASSWORD, WEAK_PASSWORD, SERVER_SECRET]
            .map(str::to_owned)
            .to_vec();
    let mut note = |tokens: &Tokens| secrets.extend([tokens.access.clone(), tokens.refresh.clone()]);

    app.register("ada@example.com", PASSWORD).await.json(201);
    app.register("ada@example.com", PASSWORD).await.assert_refused(409, "email_taken");
    app.register("eve@example.com", WEAK_PASSWORD).await.assert_refused(400, "weak_password");
    app.register("eve", PASSWORD).await.assert_refused(400, "invalid_request");
    app.log_in("ada@example.com", WRONG_PASSWORD).await.assert_refused(401, "invalid_credentials");
    app.log_in("nobody@example.com", WRONG_PASSWORD).await.assert_refused(401, "invalid_credentials");
    let unfinished = format!(r#"{{"email":"ada@example.com","password":"{WRONG_PASSWORD}""#);
    let malformed = app.anonymous().post("/auth/login").text("application/json", unfinished);
    malformed.send().await.assert_refused(401, "invalid_credentials");
    let in_a_list = json!({"email": "ada@example.com", "password": [WRONG_PASSWORD]});
    app.anonymous()
        .post("/auth/register")
        .json(&in_a_list)
        .send()
        .await
        .assert_refused(400, "invalid_request");

    let mut ada = LoggedIn::log_in(app, "ada@example.com", PASSWORD).await;
    note(&ada.tokens);
    let first = ada.tokens.clone();
    ada.refresh().await;
    note(&ada.tokens);
    ada.get("/users/me").send().await.json(200);
    ada.get("/users").send().await.assert_refused(403, "forbidden");
    app.admin().await.get("/users").send().await.json(200);
    app.me(&jwt::with_another_signature(&ada.tokens.access)).await.assert_refused(401, "invalid_token");
    let in_the_query = format!("/users/me?access_token={}", ada.tokens.access);
    app.anonymous().get(&in_the_query).send().await.assert_refused(401, "authentication_required");
    // What a client has mistaken for a path, with a query behind it.
    for token in [&ada.tokens.access, &ada.tokens.refresh] {
        let in_the_path = format!("/sessions/{token}?refresh_token={}", ada.tokens.refresh);
        app.anonymous().delete(&in_the_path).send().await.assert_refused(404, "not_found");
    }
    app.advance(MINUTE * 16);
    app.me(&ada.tokens.access).await.assert_refused(401, "token_expired");
    let renewed = ada.request_with_both(Method::GET, "/auth/auth-me").send().await.tokens(200);
    note(&Tokens { access: renewed["accessToken"].as_str().expect("a token").to_owned(), ..first.clone() });
    app.refresh(&first.refresh).await.assert_refused(401, "refresh_token_reused");
    app.refresh(&ada.tokens.refresh).await.assert_refused(401, "invalid_refresh_token");

    let mut ada = LoggedIn::log_in(app, "ada@example.com", PASSWORD).await;
    note(&ada.tokens);
    ada.password = WRONG_PASSWORD.to_owned();
    ada.change_password(SECOND_PASSWORD).await.assert_refused(401, "invalid_credentials");
    ada.password = PASSWORD.to_owned();
    ada.change_password(WEAK_PASSWORD).await.assert_refused(400, "weak_password");
    let before = app.stored_user("ada@example.com").await.expect("an account").password;
    let changed = Tokens::of(&ada.change_password(SECOND_PASSWORD).await.tokens(200));
    note(&changed);
    app.log_out(&changed.access).await.json(200);

    let superseded = app.reset_token("ada@example.com").await;
    let reset_token = app.reset_token("ada@example.com").await;
    let decoy = app.reset_token("nobody@example.com").await;
    for wrong in [&superseded, &decoy] {
        app.reset_password(wrong, THIRD_PASSWORD).await.assert_refused(400, "invalid_reset_token");
    }
    app.reset_password(&reset_token, WEAK_PASSWORD).await.assert_refused(400, "weak_password");
    app.reset_password(&reset_token, THIRD_PASSWORD).await.json(200);
    let after = app.stored_user("ada@example.com").await.expect("an account").password;

    app.request_verification("ada@example.com").await.json(200);
    let verification_token = app.outbox().verification_token("ada@example.com");
    app.verify_email(&verification_token[..40]).await.assert_refused(400, "invalid_verification_token");
    app.verify_email(&verification_token).await.json(200);
    secrets.push(verification_token);

    let admin = app.admin().await;
    let made = admin.post("/clients").json(&json!({"id": "orders"})).send().await.tokens(201);
    let another = admin.post("/clients/orders/secrets").send().await.tokens(201);
    secrets.extend([made, another].map(|answer| answer["secret"].as_str().expect("a secret").to_owned()));
    let renewed = app.anonymous().post("/forward-auth/books").refresh(&admin.0.tokens.refresh).send().await;
    secrets.push(renewed.header("x-access-token").expect("a token").to_owned());

    secrets.extend([superseded, reset_token, decoy]);
    secrets.extend([before, after].map(|hash| hash.expose().to_owned()));
    secrets
}

#[track_caller]
fn assert_kept_secret(log: &Log, secrets: &[String]) {
    let text = log.text();
    for line in ["registered", "answered", "refresh token reused", "request refused"] {
        assert!(text.contains(line), "the log is not kept: {line:?} is not in it");
    }
    let show = |at: usize| {
        let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
        text[line..].lines().next().unwrap_or_default()
    };
    for secret in secrets {
        // A signature or a MAC would do without the rest.
        let tail = &secret[secret.len() - secret.len().min(32)..];
        for part in [secret, tail] {
            assert!(!text.contains(part), "{part:?} in {:?}", text.find(part).map(show));
        }
    }
    // Of any test that ran meanwhile: what every hash, token and key begins with.
    for beginning in
        ["$argon2", "hp_rt_A", "hp_pr_A", "hp_ev_A", "hp_cs_", "eyJ0eXAi", "eyJhbGci", "PRIVATE KEY"]
    {
        assert!(!text.contains(beginning), "{beginning:?} in {:?}", text.find(beginning).map(show));
    }
}
