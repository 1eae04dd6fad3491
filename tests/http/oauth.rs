//! `/oauth2`: tokens for programs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{Actor, Answer, MINUTE, Request, SECOND, TestApp, on_both_flavours};

const BOOKS: (&str, &str) = ("books", "books-dev-secret");

on_both_flavours! {
    a_client_gets_a_token_for_itself_and_for_nobody_else,
    introspection_says_what_stands_this_moment,
    revocation_takes_back_what_it_is_given,
    a_refresh_token_is_redeemed_as_in_the_main_api,
}

fn basic(request: Request, (id, secret): (&str, &str)) -> Request {
    request.header("authorization", format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
}

fn form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

async fn post(app: &TestApp, path: &str, client: Option<(&str, &str)>, fields: &[(&str, &str)]) -> Answer {
    let request = app.anonymous().post(path).text("application/x-www-form-urlencoded", form(fields));
    match client {
        Some(client) => basic(request, client).send().await,
        None => request.send().await,
    }
}

async fn client_token(app: &TestApp) -> String {
    let fields = [("grant_type", "client_credentials"), ("scope", "revocations:read")];
    let answer = post(app, "/oauth2/token", Some(BOOKS), &fields).await.tokens(200);
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 900);
    assert_eq!(answer["scope"], "revocations:read");
    assert_eq!(answer.get("refresh_token"), None);
    answer["access_token"].as_str().expect("a token").to_owned()
}

async fn introspect(app: &TestApp, token: &str) -> Value {
    post(app, "/oauth2/introspect", Some(BOOKS), &[("token", token)]).await.tokens(200)
}

/// This process's copy of the feed has caught up with all that was revoked so far.
async fn caught_up(app: &TestApp) {
    let mut bell = app.services().revocations.listen();
    // Two confirmations: the second began after this was asked.
    for _ in 0..2 {
        bell.changed().await.expect("a service that runs");
    }
}

#[track_caller]
fn assert_oauth_error(answer: &Answer, status: u16, error: &str) {
    assert_eq!(answer.json(status)["error"], error, "{answer:?}");
    assert!(answer.json(status)["error_description"].as_str().is_some_and(|text| !text.is_empty()));
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    let challenge = (status == 401).then_some("Basic realm=\"hallpass\"");
    assert_eq!(answer.header("www-authenticate"), challenge, "{answer:?}");
}

async fn a_client_gets_a_token_for_itself_and_for_nobody_else(app: TestApp) {
    caught_up(&app).await;
    let token = client_token(&app).await;
    let said = introspect(&app, &token).await;
    assert_eq!((&said["active"], &said["sub"]), (&json!(true), &json!("books")));
    assert_eq!((said.get("sid"), said.get("username")), (None, None));

    // Nobody is logged in by it.
    app.me(&token).await.assert_refused(401, "invalid_token");
    app.log_out(&token).await.assert_refused(401, "invalid_token");

    let more = [("grant_type", "client_credentials"), ("scope", "revocations:read users:write")];
    assert_oauth_error(&post(&app, "/oauth2/token", Some(BOOKS), &more).await, 400, "invalid_scope");
    let grant = [("grant_type", "client_credentials")];
    for wrong in [("books", "wrong"), ("nobody", "books-dev-secret"), ("", ""), ("1", "x")] {
        let answer = post(&app, "/oauth2/token", Some(wrong), &grant).await;
        assert_oauth_error(&answer, 401, "invalid_client");
    }
    assert_oauth_error(&post(&app, "/oauth2/token", None, &grant).await, 401, "invalid_client");
    let in_the_body = [grant[0], ("client_id", "books"), ("client_secret", "books-dev-secret")];
    post(&app, "/oauth2/token", None, &in_the_body).await.tokens(200);
    let twice = post(&app, "/oauth2/token", Some(BOOKS), &in_the_body).await;
    assert_oauth_error(&twice, 400, "invalid_request");
    let other = post(&app, "/oauth2/token", Some(BOOKS), &[("grant_type", "password")]).await;
    assert_oauth_error(&other, 400, "unsupported_grant_type");
}

async fn introspection_says_what_stands_this_moment(app: TestApp) {
    caught_up(&app).await;
    let mut ada = app.member("ada").await;
    let access = introspect(&app, &ada.tokens.access).await;
    assert_eq!((&access["active"], &access["token_type"]), (&json!(true), &json!("access_token")));
    assert_eq!((&access["sub"], &access["username"]), (&json!(ada.id.to_string()), &json!(ada.email)));
    assert_eq!((&access["roles"], &access["exp"]), (&json!(["member"]), &json!(app.now() + 900)));
    let refresh = introspect(&app, &ada.tokens.refresh).await;
    assert_eq!((&refresh["active"], &refresh["token_type"]), (&json!(true), &json!("refresh_token")));
    assert_eq!(refresh["sid"], access["sid"]);

    // A superseded token is dead, and asking about it raises no alarm.
    let first = ada.tokens.clone();
    ada.refresh().await;
    app.advance(SECOND * 31);
    let dead = json!({"active": false});
    assert_eq!(introspect(&app, &first.refresh).await, dead);
    ada.assert_lives().await;

    let reset = app.reset_token(&ada.email).await;
    for junk in ["junk", "", &"x".repeat(9_000), "hp_rt_x", "a.b.c", &reset] {
        assert_eq!(introspect(&app, junk).await, dead, "{junk}");
    }
    app.log_out(&ada.tokens.access).await.json(200);
    for gone in [&ada.tokens.access, &ada.tokens.refresh, &first.access] {
        assert_eq!(introspect(&app, gone).await, dead);
    }
    let eve = app.member("eve").await;
    app.advance(MINUTE * 16);
    assert_eq!(introspect(&app, &eve.tokens.access).await, dead, "expired");

    let nobody = post(&app, "/oauth2/introspect", None, &[("token", &eve.tokens.refresh)]).await;
    assert_oauth_error(&nobody, 401, "invalid_client");
}

async fn revocation_takes_back_what_it_is_given(app: TestApp) {
    caught_up(&app).await;
    let (ada, eve) = (app.member("ada").await, app.member("eve").await);
    let revoke = async |token: &str, client| post(&app, "/oauth2/revoke", client, &[("token", token)]).await;
    // By itself: the session goes on.
    revoke(&ada.tokens.access, None).await.json(200);
    app.me(&ada.tokens.access).await.assert_refused(401, "token_revoked");
    app.auth_me_by_refresh_token(&ada.tokens.refresh).await.json(200);
    // With all that its session has.
    revoke(&eve.tokens.refresh, Some(BOOKS)).await.json(200);
    eve.assert_is_over().await;
    for again in [eve.tokens.refresh.as_str(), "junk", "hp_rt_x"] {
        revoke(again, None).await.json(200);
    }
    assert_oauth_error(&revoke("junk", Some(("books", "wrong"))).await, 401, "invalid_client");

    let machine = client_token(&app).await;
    revoke(&machine, Some(BOOKS)).await.json(200);
    caught_up(&app).await;
    assert_eq!(introspect(&app, &machine).await, json!({"active": false}));
    let feed = app.anonymous().get("/revocations").access(&machine).send().await;
    feed.assert_refused(401, "token_revoked");
}

async fn a_refresh_token_is_redeemed_as_in_the_main_api(app: TestApp) {
    let ada = app.member("ada").await;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", ada.tokens.refresh.as_str())];
    let pair = post(&app, "/oauth2/token", None, &fields).await.tokens(200);
    let access = pair["access_token"].as_str().expect("an access token");
    app.me(access).await.json(200);
    // The same successor within the grace period, here as there.
    let again = app.refresh(&ada.tokens.refresh).await.tokens(200);
    assert_eq!(again["refreshToken"], pair["refresh_token"]);

    app.log_out(access).await.json(200);
    let dead = post(&app, "/oauth2/token", None, &fields).await;
    assert_oauth_error(&dead, 400, "invalid_grant");
    let missing = post(&app, "/oauth2/token", None, &[("grant_type", "refresh_token")]).await;
    assert_oauth_error(&missing, 400, "invalid_request");
}

#[tokio::test]
async fn errors_of_the_framework_have_oauths_shape_too() {
    let app = TestApp::spawn().await;
    let anonymous = app.anonymous();
    let unreadable = anonymous.post("/oauth2/token").text("application/json", "{").send().await;
    assert_oauth_error(&unreadable, 400, "invalid_request");
    let text = anonymous.post("/oauth2/introspect").text("text/plain", "token=x").send().await;
    assert_oauth_error(&text, 415, "invalid_request");
    let method = anonymous.request(Method::GET, "/oauth2/token").send().await;
    assert_oauth_error(&method, 405, "invalid_request");
    assert_oauth_error(&anonymous.get("/oauth2/nothing").send().await, 404, "invalid_request");
}

#[tokio::test]
async fn an_outage_is_503_and_never_inactive() {
    let app = TestApp::on_redis_and_postgres().await;
    let ada = app.member("ada").await;
    app.redis().kill();
    for token in [&ada.tokens.access, &ada.tokens.refresh] {
        let answer = post(&app, "/oauth2/introspect", Some(BOOKS), &[("token", token)]).await;
        assert_oauth_error(&answer, 503, "temporarily_unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    let revocation = post(&app, "/oauth2/revoke", None, &[("token", &ada.tokens.refresh)]).await;
    assert_oauth_error(&revocation, 503, "temporarily_unavailable");
}
