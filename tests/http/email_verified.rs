//! Who is shown or told an e-mail address is told whether its owner has proven it.

use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{Actor, LoggedIn, PASSWORD, TestApp, jwt, on_both_flavours};

on_both_flavours! {
    a_proven_address_is_told_from_the_next_access_token_on,
    every_way_to_a_new_access_token_knows_of_the_proof,
    the_proof_of_an_address_is_not_that_of_the_next_one,
}

/// What an access token says of its address.
fn told(access: &str) -> Value {
    jwt::claims(access)["email_verified"].clone()
}

/// Follows the link that proves the address of an account.
async fn prove(app: &TestApp, email: &str) {
    app.request_verification(email).await.json(200);
    let token = app.outbox().verification_token(email);
    app.verify_email(&token).await.json(200);
}

async fn a_proven_address_is_told_from_the_next_access_token_on(app: TestApp) {
    let mut ada = app.member("ada").await;
    let shown = async |ada: &LoggedIn| {
        let login = app.log_in(&ada.email, PASSWORD).await.tokens(200);
        let me = ada.get("/users/me").send().await.json(200);
        let auth_me = ada.get("/auth/auth-me").send().await.tokens(200);
        let list = app.admin().await.get("/users").send().await.json(200);
        assert_eq!(list[0]["email_verified"], true, "the administrator of the settings");
        [&login["user"], &me, &auth_me["user"], &list[1]].map(|user| user["email_verified"].clone())
    };
    assert_eq!(told(&ada.tokens.access), false);
    assert_eq!(shown(&ada).await, [(); 4].map(|()| json!(false)));

    let of_before = ada.tokens.access.clone();
    prove(&app, &ada.email).await;
    // What shows the account shows it as it is; the session lives on, and so does its token.
    assert_eq!(shown(&ada).await, [(); 4].map(|()| json!(true)));
    app.me(&of_before).await.json(200);
    ada.refresh().await;
    assert_eq!(told(&ada.tokens.access), true);
    ada.refresh().await;
    assert_eq!(told(&ada.tokens.access), true);
    assert_eq!(told(&ada.on_another_device().await.tokens.access), true);
}

async fn every_way_to_a_new_access_token_knows_of_the_proof(app: TestApp) {
    let ada = app.member("ada").await;
    prove(&app, &ada.email).await;
    let by_refresh_token = app.auth_me_by_refresh_token(&ada.tokens.refresh).await.tokens(200);
    let of_proxies = app.anonymous().get("/forward-auth").refresh(&ada.tokens.refresh).send().await;
    let fields = json!({"refresh_token": ada.tokens.refresh});
    let never_rotated = app.anonymous().post("/access-tokens/refresh").json(&fields);
    let never_rotated = never_rotated.header("x-access-token", &ada.tokens.access).send().await.tokens(200);
    let grant = json!({"grant_type": "refresh_token", "refresh_token": ada.tokens.refresh});
    let of_oauth = app.anonymous().post("/oauth2/token").json(&grant).send().await.tokens(200);
    for access in [
        by_refresh_token["accessToken"].as_str(),
        of_proxies.header("x-access-token"),
        never_rotated["jwt"].as_str(),
        of_oauth["access_token"].as_str(),
    ] {
        assert_eq!(told(access.expect("an access token")), true);
    }
}

async fn the_proof_of_an_address_is_not_that_of_the_next_one(app: TestApp) {
    let (admin, ada) = (app.admin().await, app.member("ada").await);
    prove(&app, &ada.email).await;
    let path = format!("/users/{}", ada.id);
    admin.request(Method::PATCH, &path).json(&json!({"email": "ada@example.org"})).send().await.json(200);
    ada.assert_is_over().await;
    let mut ada = LoggedIn::log_in(&app, "ada@example.org", PASSWORD).await;
    assert_eq!(told(&ada.tokens.access), false);
    ada.refresh().await;
    assert_eq!(told(&ada.tokens.access), false);
}

/// A machine has no address, so nothing is said of one.
#[tokio::test]
async fn a_machines_token_says_nothing_of_an_address() {
    let app = TestApp::spawn().await;
    let grant = json!({
        "grant_type": "client_credentials", "client_id": "books", "client_secret": "books-dev-secret"
    });
    let answer = app.anonymous().post("/oauth2/token").json(&grant).send().await.tokens(200);
    let claims = jwt::claims(answer["access_token"].as_str().expect("an access token"));
    assert_eq!((claims.get("email"), claims.get("email_verified")), (None, None));
}

/// Where nobody can tell, an address is not vouched for, and that keeps nobody from refreshing. A
/// session that was opened with a proven one asks nobody.
#[tokio::test]
async fn without_the_database_only_what_was_proven_at_login_is_told() {
    let app = TestApp::on_servers_of_its_own().await;
    let (mut ada, mut grace) = (app.member("ada").await, app.member("grace").await);
    prove(&app, &ada.email).await;
    prove(&app, &grace.email).await;
    ada = ada.on_another_device().await;
    app.stop_postgres();
    for _ in 0..8 {
        ada.refresh().await;
        grace.refresh().await;
        assert_eq!([told(&ada.tokens.access), told(&grace.tokens.access)], [json!(true), json!(false)]);
    }
}
