//! What a token says about its person's login: when it was, and by what.

use hallpass::crypto::refresh_token;
use hallpass::crypto::secret::DerivedKeys;
use hallpass::domain::email::Email;
use hallpass::domain::ids::{SessionId, UserId};
use hallpass::domain::session::NewSession;
use hallpass::domain::session_carried::Carried;
use hallpass::domain::session_origin::SessionOrigin;
use hallpass::domain::tokens::{Generation, RefreshClaims};
use hallpass::domain::user::Role;
use poem::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::compat::{FORM, PASSWORD, form, request, send_form, text};
use crate::support::{Actor, MINUTE, SECOND, SERVER_SECRET, TestApp, jwt, on_both_flavours};

on_both_flavours! {
    a_login_stays_the_same_at_every_refresh,
    a_new_password_is_a_new_login,
    introspection_says_it_of_both_tokens,
    a_session_of_a_build_before_counts_from_when_it_was_opened,
}

/// What a token says of the login; nothing of it is there, or all.
fn login_of(access: &str) -> Option<(i64, Value, Value)> {
    let claims = jwt::claims(access);
    let said = ["auth_time", "amr", "acr"].map(|claim| claims.get(claim).cloned());
    match said {
        [None, None, None] => None,
        [Some(time), Some(amr), Some(acr)] => Some((time.as_i64().expect("whole seconds"), amr, acr)),
        other => panic!("only a part: {other:?}"),
    }
}

#[track_caller]
fn assert_by_password_at(access: &str, moment: i64) {
    let by_password = (moment, json!(["pwd"]), json!("urn:hallpass:acr:1"));
    assert_eq!(login_of(access), Some(by_password));
}

async fn a_login_stays_the_same_at_every_refresh(app: TestApp) {
    let mut ada = app.member("ada").await;
    let login = app.now();
    assert_by_password_at(&ada.tokens.access, login);
    for _ in 0..2 {
        app.advance(MINUTE * 60);
        ada.refresh().await;
        assert_by_password_at(&ada.tokens.access, login);
    }
    // Renewed without a rotation, in the answer and in the header.
    app.advance(MINUTE * 60);
    let answer = app.auth_me_by_refresh_token(&ada.tokens.refresh).await.tokens(200);
    assert_by_password_at(text(&answer, "accessToken"), login);
    let answer = app.anonymous().get("/users/me").refresh(&ada.tokens.refresh).send().await;
    assert_by_password_at(answer.header("x-access-token").expect("a new token"), login);
    let fields = form(&[("grant_type", "refresh_token"), ("refresh_token", &ada.tokens.refresh)]);
    let answer = app.anonymous().post("/oauth2/token").text(FORM, fields).send().await.tokens(200);
    assert_by_password_at(text(&answer, "access_token"), login);
    // Another login of the same person is another one.
    assert_by_password_at(&ada.on_another_device().await.tokens.access, app.now());
}

async fn a_new_password_is_a_new_login(app: TestApp) {
    let ada = app.member("ada").await;
    app.advance(MINUTE);
    let answer = ada.change_password("another good password").await.tokens(200);
    assert_by_password_at(text(&answer, "accessToken"), app.now());
}

async fn introspection_says_it_of_both_tokens(app: TestApp) {
    let client = json!({"id": "gateway", "scopes": ["tokens:introspect"]});
    let client = app.admin().await.post("/clients").json(&client).send().await.tokens(201);
    let ada = app.member("ada").await;
    let login = app.now();
    app.advance(MINUTE);
    for token in [&ada.tokens.access, &ada.tokens.refresh] {
        let body = json!({"token": token, "client_id": "gateway", "client_secret": text(&client, "secret")});
        let said = app.anonymous().post("/oauth2/introspect").json(&body).send().await.tokens(200);
        assert_eq!(
            (&said["auth_time"], &said["amr"], &said["acr"]),
            (&json!(login), &json!(["pwd"]), &json!("urn:hallpass:acr:1")),
            "{said}"
        );
    }
}

/// Such a session carries no time of its login.
async fn a_session_of_a_build_before_counts_from_when_it_was_opened(app: TestApp) {
    let ada = app.member("ada").await;
    let user = app.stored_user(&ada.email).await.expect("an account");
    let email = Email::parse(&ada.email).expect("an address");
    let new = NewSession {
        id: SessionId::from(Uuid::from_u128(7)),
        user: UserId::try_from(ada.id).expect("a user id"),
        security_version: user.security_version,
        carried: Carried::new(email, Role::Member, SessionOrigin::new(None, None, "hallpass")),
    };
    app.token_store().open_session(&new, &app.lifetimes()).await.expect("a session");
    let opened = app.now();
    let secrets = DerivedKeys::derive(SERVER_SECRET.as_bytes()).expect("keys");
    let claims = RefreshClaims { user: new.user, session: new.id, generation: Generation::FIRST };
    let refresh = refresh_token::mint(&secrets, &claims);
    app.advance(MINUTE * 60);
    let answer = app.refresh(refresh.expose()).await.tokens(200);
    assert_by_password_at(text(&answer, "accessToken"), opened);
}

#[tokio::test]
async fn logins_of_the_compat_apis_say_it_too() {
    let app = TestApp::spawn().await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let post = async |path| request(&app, Method::POST, path).json(&body).send().await;
    let signed_up = post("/auth/signup").await.tokens(201);
    let login = app.now();
    assert_by_password_at(text(&signed_up, "accessToken"), login);
    assert_by_password_at(text(&post("/auth/signin").await.tokens(200), "accessToken"), login);
    app.advance(MINUTE * 60);
    let refresh = request(&app, Method::POST, "/auth/refresh").access(text(&signed_up, "refreshToken"));
    assert_by_password_at(text(&refresh.send().await.tokens(200), "accessToken"), login);

    let fields = [("email", "ada@example.com"), ("password", PASSWORD)];
    let tokens = send_form(&app, Method::POST, "/access-tokens", None, &fields).await.tokens(200);
    let login = app.now();
    assert_by_password_at(text(&tokens, "jwt"), login);
    app.advance(MINUTE + SECOND);
    let fields = [("refresh_token", text(&tokens, "refresh_token"))];
    let access = Some(text(&tokens, "jwt"));
    let renewed = send_form(&app, Method::POST, "/access-tokens/refresh", access, &fields).await.tokens(200);
    assert_by_password_at(text(&renewed, "jwt"), login);
}

#[tokio::test]
async fn a_machine_has_no_login() {
    let app = TestApp::spawn().await;
    let secret = "books-dev-secret";
    let body = json!({"grant_type": "client_credentials", "client_id": "books", "client_secret": secret});
    let answer = app.anonymous().post("/oauth2/token").json(&body).send().await.tokens(200);
    let access = text(&answer, "access_token");
    assert_eq!(login_of(access), None);
    let body = json!({"token": access, "client_id": "books", "client_secret": secret});
    let said = app.anonymous().post("/oauth2/introspect").json(&body).send().await.tokens(200);
    assert_eq!(said["active"], true);
    for claim in ["auth_time", "amr", "acr"] {
        assert_eq!(said.get(claim), None, "{claim}");
    }
}
