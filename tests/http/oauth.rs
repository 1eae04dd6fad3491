//! `/oauth2`: tokens for programs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hallpass::crypto::refresh_token;
use hallpass::crypto::secret::DerivedKeys;
use hallpass::domain::email::Email;
use hallpass::domain::ids::{SessionId, UserId};
use hallpass::domain::session::NewSession;
use hallpass::domain::session_carried::Carried;
use hallpass::domain::session_origin::SessionOrigin;
use hallpass::domain::tokens::{AccessToken, Generation, RefreshClaims};
use hallpass::domain::user::{Role, SecurityVersion};
use hallpass::service::caller::Caller;
use poem::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Actor, Answer, MINUTE, Request, SECOND, SERVER_SECRET, TestApp, on_both_flavours};

const BOOKS: (&str, &str) = ("books", "books-dev-secret");

on_both_flavours! {
    a_client_gets_a_token_for_itself_and_for_nobody_else,
    introspection_says_what_stands_this_moment,
    revocation_takes_back_what_it_is_given,
    a_refresh_token_is_redeemed_as_in_the_main_api,
    a_refresh_token_is_redeemed_by_no_client_but_its_own,
    a_refresh_token_is_active_for_its_own_client_and_for_who_may_ask_about_others,
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
    introspect_as(app, BOOKS, token).await
}

async fn introspect_as(app: &TestApp, client: (&str, &str), token: &str) -> Value {
    post(app, "/oauth2/introspect", Some(client), &[("token", token)]).await.tokens(200)
}

/// Makes a client with these scopes; answers its secret.
async fn client(app: &TestApp, id: &str, scopes: &[&str]) -> String {
    let request = app.admin().await.post("/clients").json(&json!({"id": id, "scopes": scopes}));
    request.send().await.tokens(201)["secret"].as_str().expect("a secret").to_owned()
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
}

/// Whether a browser would ask its user for a password.
#[track_caller]
fn assert_challenged(answer: &Answer, is_challenged: bool) {
    assert_oauth_error(answer, 401, "invalid_client");
    let challenge = is_challenged.then_some("Basic realm=\"hallpass\"");
    assert_eq!(answer.header("www-authenticate"), challenge, "{answer:?}");
}

/// RFC 6749 5.2: whoever tried `Authorization` is told of the scheme, and nobody else is.
#[tokio::test]
async fn only_who_tried_http_basic_is_asked_for_it() {
    let app = TestApp::spawn().await;
    let by_basic = [("books", "wrong"), ("nobody", "books-dev-secret")];
    let in_the_body = [("client_id", "books"), ("client_secret", "wrong")];
    for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"] {
        let fields = [("grant_type", "client_credentials"), ("token", "junk")];
        for client in by_basic {
            assert_challenged(&post(&app, path, Some(client), &fields).await, true);
        }
        for unreadable in ["Bearer token", "Basic !!", "Basic bm9jb2xvbg=="] {
            let request = app.anonymous().post(path).text("application/x-www-form-urlencoded", form(&fields));
            assert_challenged(&request.header("authorization", unreadable).send().await, true);
        }
        let all = [&fields[..], &in_the_body].concat();
        assert_challenged(&post(&app, path, None, &all).await, false);
        if path != "/oauth2/revoke" {
            assert_challenged(&post(&app, path, None, &fields).await, false);
        }
    }
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

    let spaced = [("grant_type", "client_credentials"), ("scope", "+revocations:read++")];
    assert_eq!(
        post(&app, "/oauth2/token", Some(BOOKS), &spaced).await.tokens(200)["scope"],
        "revocations:read"
    );
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
    let gateway = client(&app, "gateway", &["tokens:introspect"]).await;
    let introspect =
        async |app: &TestApp, token: &str| introspect_as(app, ("gateway", &gateway), token).await;
    let access = introspect(&app, &ada.tokens.access).await;
    assert_eq!((&access["active"], &access["token_type"]), (&json!(true), &json!("access_token")));
    assert_eq!((&access["sub"], &access["username"]), (&json!(ada.id.to_string()), &json!(ada.email)));
    assert_eq!((&access["email"], &access["email_verified"]), (&json!(ada.email), &json!(false)));
    assert_eq!((&access["roles"], &access["exp"]), (&json!(["member"]), &json!(app.now() + 900)));
    let refresh = introspect(&app, &ada.tokens.refresh).await;
    assert_eq!((&refresh["active"], &refresh["token_type"]), (&json!(true), &json!("refresh_token")));
    assert_eq!(refresh["sid"], access["sid"]);
    assert_eq!((&refresh["email"], &refresh["email_verified"]), (&json!(ada.email), &json!(false)));
    app.request_verification(&ada.email).await.json(200);
    app.verify_email(&app.outbox().verification_token(&ada.email)).await.json(200);
    let refresh = introspect(&app, &ada.tokens.refresh).await;
    assert_eq!((&refresh["email"], &refresh["email_verified"]), (&json!(ada.email), &json!(true)));

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

/// Some libraries send an empty secret for a client that has none (Go's x/oauth2 by HTTP Basic).
#[tokio::test]
async fn a_public_clients_empty_secret_counts_as_absent() {
    let app = TestApp::spawn().await;
    let mut refresh = app.member("ada").await.tokens.refresh;
    let in_the_body = [("client_id", "hallpass"), ("client_secret", "")];
    for (client, more) in [(Some(("hallpass", "")), &[][..]), (None, &in_the_body), (None, &in_the_body[..1])]
    {
        let fields = [&[("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())], more].concat();
        let pair = post(&app, "/oauth2/token", client, &fields).await.tokens(200);
        refresh = pair["refresh_token"].as_str().expect("a refresh token").to_owned();
    }
    let revoked = [("token", "junk")];
    post(&app, "/oauth2/revoke", Some(("hallpass", "")), &revoked).await.json(200);
    // It shows nothing: where a client must be known it is not, and a confidential one stays refused.
    let fields = [("grant_type", "client_credentials"), ("token", "junk")];
    for path in ["/oauth2/token", "/oauth2/introspect"] {
        assert_challenged(&post(&app, path, Some(("hallpass", "")), &fields).await, true);
    }
    for client in [("books", ""), ("nobody", ""), ("hallpass", "x"), ("", "")] {
        assert_challenged(&post(&app, "/oauth2/revoke", Some(client), &revoked).await, true);
    }
}

/// As `$(cat token)` of some shells and many an editor leave it.
#[tokio::test]
async fn a_blank_or_a_line_end_around_a_token_is_no_part_of_it() {
    let app = TestApp::spawn().await;
    caught_up(&app).await;
    let ada = app.member("ada").await;
    for around in ["%0D%0A", "+", "%20%09", "%0A"] {
        let access = format!("{around}{}{around}", ada.tokens.access);
        assert_eq!(introspect(&app, &access).await["active"], true, "{around}");
    }
    let refresh = format!("{}%0D%0A", ada.tokens.refresh);
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    let pair = post(&app, "/oauth2/token", None, &fields).await.tokens(200);
    let next = format!("{}%20", pair["refresh_token"].as_str().expect("a token"));
    post(&app, "/oauth2/revoke", None, &[("token", &next)]).await.json(200);
    ada.assert_is_over().await;
}

/// RFC 6749 5.2: a token that "was issued to another client" is no grant of this one's.
async fn a_refresh_token_is_redeemed_by_no_client_but_its_own(app: TestApp) {
    let ada = app.member("ada").await;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", ada.tokens.refresh.as_str())];
    let before =
        app.services().sessions.list(&caller(&app, &ada.tokens.access).await, None, 9).await.expect("a list");
    for _ in 0..2 {
        assert_oauth_error(&post(&app, "/oauth2/token", Some(BOOKS), &fields).await, 400, "invalid_grant");
    }
    let in_the_body = [fields[0], fields[1], ("client_id", "books"), ("client_secret", "books-dev-secret")];
    assert_oauth_error(&post(&app, "/oauth2/token", None, &in_the_body).await, 400, "invalid_grant");
    let wrong = post(&app, "/oauth2/token", Some(("books", "wrong")), &fields).await;
    assert_oauth_error(&wrong, 401, "invalid_client");
    // It was not used up: its session stands where it stood, and its own client redeems it.
    let after =
        app.services().sessions.list(&caller(&app, &ada.tokens.access).await, None, 9).await.expect("a list");
    assert_eq!(after.sessions, before.sessions);
    post(&app, "/oauth2/token", None, &fields).await.tokens(200);
    // One that is dead already is dead for everybody, with what follows from its being presented.
    app.advance(SECOND * 31);
    assert_oauth_error(&post(&app, "/oauth2/token", Some(BOOKS), &fields).await, 400, "invalid_grant");
    ada.assert_is_over().await;
}

async fn caller(app: &TestApp, access: &str) -> Caller {
    let access = AccessToken::new(access);
    app.services().access_tokens.authenticate(Some(&access), None, None).await.expect("a live token")
}

async fn a_refresh_token_is_active_for_its_own_client_and_for_who_may_ask_about_others(app: TestApp) {
    caught_up(&app).await;
    let ada = app.member("ada").await;
    let (dead, active) = (json!({"active": false}), json!(true));
    let gateway = client(&app, "gateway", &["tokens:introspect"]).await;
    let almost = client(&app, "almost", &["tokens:introspect:not", "introspect"]).await;
    let nothing = client(&app, "nothing", &[]).await;
    for other in [BOOKS, ("almost", &almost), ("nothing", &nothing)] {
        assert_eq!(introspect_as(&app, other, &ada.tokens.refresh).await, dead, "{}", other.0);
        // Access tokens are for services, and they ask.
        assert_eq!(introspect_as(&app, other, &ada.tokens.access).await["active"], active, "{}", other.0);
    }
    let said = introspect_as(&app, ("gateway", &gateway), &ada.tokens.refresh).await;
    assert_eq!((&said["active"], &said["client_id"]), (&active, &json!("hallpass")));

    // Its own client needs no scope. A login opens sessions of the service's own first party alone.
    let new = NewSession {
        id: SessionId::from(Uuid::from_u128(7)),
        user: UserId::try_from(ada.id).expect("a user id"),
        security_version: SecurityVersion::FIRST,
        carried: Carried::new(
            Email::parse(&ada.email).expect("an address"),
            Role::Member,
            SessionOrigin::new(None, None, "nothing"),
        ),
    };
    app.token_store().open_session(&new, &app.lifetimes()).await.expect("a session");
    let secrets = DerivedKeys::derive(SERVER_SECRET.as_bytes()).expect("keys");
    let claims = RefreshClaims { user: new.user, session: new.id, generation: Generation::FIRST };
    let token = refresh_token::mint(&secrets, &claims);
    assert_eq!(introspect_as(&app, ("nothing", &nothing), token.expose()).await["client_id"], "nothing");
    assert_eq!(introspect_as(&app, BOOKS, token.expose()).await, dead);
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token.expose())];
    assert_oauth_error(&post(&app, "/oauth2/token", Some(BOOKS), &fields).await, 400, "invalid_grant");
    post(&app, "/oauth2/token", Some(("nothing", &nothing)), &fields).await.tokens(200);
}

#[tokio::test]
async fn errors_of_the_framework_have_oauths_shape_too() {
    let app = TestApp::spawn().await;
    let anonymous = app.anonymous();
    let unreadable = anonymous.post("/oauth2/token").text("application/json", "{").send().await;
    assert_oauth_error(&unreadable, 400, "invalid_request");
    let text = anonymous.post("/oauth2/introspect").text("text/plain", "token=x").send().await;
    assert_oauth_error(&text, 415, "invalid_request");
    let untyped = anonymous.post("/oauth2/token").untyped("grant_type=client_credentials").send().await;
    for answer in [&text, &untyped] {
        let said = answer.json(415)["error_description"].as_str().expect("words").to_owned();
        assert!(said.contains("application/x-www-form-urlencoded"), "{said}");
    }
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
        let seconds: u32 = answer.header("retry-after").expect("when").parse().expect("a number");
        assert!((1..=3).contains(&seconds), "{seconds}");
    }
    let revocation = post(&app, "/oauth2/revoke", None, &[("token", &ada.tokens.refresh)]).await;
    assert_oauth_error(&revocation, 503, "temporarily_unavailable");
}
