//! Whom tokens are for: `resource` (RFC 8707).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hallpass::domain::audiences::Audiences;
use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{
    Actor, Answer, ISSUER, LoggedIn, MINUTE, PASSWORD, SECOND, TestApp, Tokens, jwt, on_both_flavours,
};

on_both_flavours! {
    a_client_asks_for_those_that_it_may_have_tokens_for,
    a_client_that_asks_for_nobody_gets_what_it_always_got,
    a_login_is_for_whom_it_asks_for,
    what_a_login_may_not_ask_for_is_told_after_the_right_password_alone,
    a_refresh_narrows_one_access_token_and_never_widens,
    two_refreshes_in_the_grace_period_get_one_successor_and_each_its_own_audience,
    a_refresh_of_oauth_narrows_as_well,
    operations_take_tokens_for_this_service_alone,
    a_login_for_others_can_end_itself,
    a_session_for_others_buys_nothing_here,
    forward_auth_asks_for_another_audience,
    any_token_can_be_taken_back_and_its_own_service_hears_of_it,
}

const A: &str = "https://a.example.com";
const B: &str = "https://b.example.com/";
const URN: &str = "urn:example:c";

/// The same data in a service whose logins may ask for these.
async fn with_audiences(app: &TestApp) -> TestApp {
    let listed = Audiences::listed([A, B, URN].map(str::to_owned)).expect("audiences");
    app.another_instance(|settings| settings.tokens.audiences = listed).await
}

async fn client(app: &TestApp, body: Value) -> (String, String) {
    let answer = app.admin().await.post("/clients").json(&body).send().await.tokens(201);
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    (text(&answer["client"]["id"]), text(&answer["secret"]))
}

fn basic((id, secret): &(String, String)) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

async fn form(app: &TestApp, client: &(String, String), path: &str, form: &str) -> Answer {
    let request = app.anonymous().post(path).header("authorization", basic(client));
    request.text("application/x-www-form-urlencoded", form).send().await
}

async fn ask(app: &TestApp, client: &(String, String), more: &str) -> Answer {
    form(app, client, "/oauth2/token", &format!("grant_type=client_credentials{more}")).await
}

async fn ask_in_json(app: &TestApp, client: &(String, String), mut body: Value) -> Answer {
    body["grant_type"] = json!("client_credentials");
    app.anonymous().post("/oauth2/token").header("authorization", basic(client)).json(&body).send().await
}

#[track_caller]
fn aud(answer: &Answer, name: &str) -> Value {
    jwt::claims(answer.tokens(200)[name].as_str().expect("a token"))["aud"].clone()
}

#[track_caller]
fn assert_invalid_target(answer: &Answer) {
    assert_eq!(answer.json(400)["error"], "invalid_target", "{answer:?}");
}

async fn a_client_asks_for_those_that_it_may_have_tokens_for(app: TestApp) {
    let orders =
        client(&app, json!({"id": "orders", "audience": "https://own", "audiences": [A, B, URN]})).await;
    let aud_of = async |more: &str| aud(&ask(&app, &orders, more).await, "access_token");
    assert_eq!(aud_of("").await, "https://own");
    assert_eq!(aud_of(&format!("&resource={A}")).await, A, "one is a text");
    assert_eq!(aud_of("&resource=https%3A%2F%2Fa.example.com").await, A);
    assert_eq!(aud_of(&format!("&resource={B}&resource={A}")).await, json!([B, A]), "in their order");
    assert_eq!(aud_of(&format!("&resource={A}&resource={A}")).await, A, "the same counts once");
    assert_eq!(aud_of("&resource=https://own").await, "https://own");
    assert_eq!(aud_of(&format!("&audience={URN}")).await, URN);
    assert_eq!(aud_of(&format!("&audience={URN}&resource={A}&audience={B}")).await, json!([A, URN, B]));
    for body in [json!({"resource": A}), json!({"resource": [A]}), json!({"audience": [A], "resource": null})]
    {
        assert_eq!(aud(&ask_in_json(&app, &orders, body.clone()).await, "access_token"), A, "{body}");
    }

    let a = |count: usize| format!("&resource={A}").repeat(count);
    for bad in [
        "&resource=",
        "&audience=",
        "&resource=https://elsewhere",
        "&resource=https://a.example.com/",
        "&resource=https://b.example.com",
        "&resource=HTTPS://a.example.com",
        "&resource=https://a.example.com%23f",
        "&resource=/a",
        "&resource=own",
        &format!("&resource={A}&resource="),
        &format!("&resource={A}&audience=https://elsewhere"),
        &format!("{}&resource={}", a(1), "https://x".repeat(40)),
        &format!("&resource={ISSUER}"),
    ] {
        assert_invalid_target(&ask(&app, &orders, bad).await);
    }
    // The same one nine times is one.
    assert_eq!(aud_of(&a(9)).await, A);
    for body in [
        json!({"resource": []}),
        json!({"resource": ""}),
        json!({"resource": 7}),
        json!({"resource": {"a": A}}),
        json!({"resource": [A, 7]}),
        json!({"audience": false}),
    ] {
        assert_invalid_target(&ask_in_json(&app, &orders, body).await);
    }
    // Any other field twice is as bad as it was.
    for twice in ["&scope=a&scope=b", "&grant_type=client_credentials", "&resourceX=1&resourceX=1"] {
        assert_eq!(ask(&app, &orders, twice).await.json(400)["error"], "invalid_request", "{twice}");
    }
    let in_question = format!("token=x&resource={A}&resource={B}");
    let answer = form(&app, &orders, "/oauth2/introspect", &in_question).await;
    assert_eq!(answer.json(400)["error"], "invalid_request");
    // Who it is comes first.
    let wrong = (orders.0.clone(), "wrong".to_owned());
    assert_eq!(ask(&app, &wrong, "&resource=nowhere").await.json(401)["error"], "invalid_client");
}

async fn a_client_that_asks_for_nobody_gets_what_it_always_got(app: TestApp) {
    let reader = client(
        &app,
        json!({"id": "reader", "audience": A, "scopes": ["revocations:read", "x"], "audiences": [B]}),
    )
    .await;
    assert_eq!(aud(&ask(&app, &reader, "").await, "access_token"), json!([A, ISSUER]));
    assert_eq!(aud(&ask(&app, &reader, "&scope=x").await, "access_token"), A);
    // What it has without asking it may ask for by itself.
    assert_eq!(aud(&ask(&app, &reader, &format!("&resource={ISSUER}")).await, "access_token"), ISSUER);
    assert_invalid_target(&ask(&app, &reader, &format!("&scope=x&resource={ISSUER}")).await);
    // An allow-list that is empty allows the client's own alone.
    let plain = client(&app, json!({"id": "plain"})).await;
    assert_eq!(aud(&ask(&app, &plain, &format!("&resource={ISSUER}")).await, "access_token"), ISSUER);
    assert_invalid_target(&ask(&app, &plain, &format!("&resource={A}")).await);
    let change = json!({"audiences": [A]});
    app.admin().await.patch("/clients/plain").json(&change).send().await.json(200);
    assert_eq!(aud(&ask(&app, &plain, &format!("&resource={A}")).await, "access_token"), A);
}

async fn log_in(app: &TestApp, password: &str, resource: Value) -> Answer {
    let body = json!({"email": "ada@example.com", "password": password, "resource": resource});
    app.anonymous().post("/auth/login").json(&body).send().await
}

/// Ada's tokens of a login that asked for these.
async fn tokens_for(app: &TestApp, resource: Value) -> Tokens {
    Tokens::of(&log_in(app, PASSWORD, resource).await.tokens(200))
}

fn aud_of(tokens: &Tokens) -> Value {
    jwt::claims(&tokens.access)["aud"].clone()
}

async fn refresh(app: &TestApp, tokens: &Tokens, resource: Value) -> Answer {
    let body = json!({"refreshToken": tokens.refresh, "resource": resource});
    app.anonymous().post("/auth/refresh-token").json(&body).send().await
}

async fn refreshed(app: &TestApp, tokens: &Tokens, resource: Value) -> Tokens {
    Tokens::of(&refresh(app, tokens, resource).await.tokens(200))
}

async fn a_login_is_for_whom_it_asks_for(app: TestApp) {
    app.member("ada").await;
    let app = with_audiences(&app).await;
    for (resource, aud) in [
        (Value::Null, json!(ISSUER)),
        (json!([ISSUER]), json!(ISSUER)),
        (json!([A]), json!(A)),
        (json!([B, ISSUER, B]), json!([B, ISSUER])),
        (json!([A, B, URN, ISSUER]), json!([A, B, URN, ISSUER])),
    ] {
        let tokens = tokens_for(&app, resource.clone()).await;
        assert_eq!(aud_of(&tokens), aud, "{resource}");
        assert_eq!(aud_of(&refreshed(&app, &tokens, Value::Null).await), aud, "{resource}");
    }
    assert_eq!(aud_of(&app.member("eve").await.tokens), ISSUER);
}

async fn what_a_login_may_not_ask_for_is_told_after_the_right_password_alone(app: TestApp) {
    let ada = app.member("ada").await;
    let app = with_audiences(&app).await;
    let many: Vec<String> = (0..9).map(|n| format!("https://{n}")).collect();
    for bad in [
        json!([]),
        json!([""]),
        json!(A),
        json!([7]),
        json!({"a": A}),
        json!(7),
        json!(false),
        json!(["https://elsewhere"]),
        json!([A, "https://elsewhere"]),
        json!(["https://a.example.com/"]),
        json!(["https://a.example.com#x"]),
        json!(many),
    ] {
        log_in(&app, PASSWORD, bad.clone()).await.assert_refused(400, "invalid_target");
        log_in(&app, "wrong", bad.clone()).await.assert_refused(401, "invalid_credentials");
        let nobody = json!({"email": "nobody@example.com", "password": PASSWORD, "resource": bad});
        let answer = app.anonymous().post("/auth/login").json(&nobody).send().await;
        answer.assert_refused(401, "invalid_credentials");
        // The limit on wrong passwords is not what this is about.
        app.advance(MINUTE * 60);
    }
    let after = LoggedIn::log_in(&app, &ada.email, PASSWORD).await;
    let sessions = after.get("/auth/sessions").send().await.json(200);
    assert_eq!(sessions.as_array().map(Vec::len), Some(2), "no session was opened: {sessions}");
}

async fn a_refresh_narrows_one_access_token_and_never_widens(app: TestApp) {
    app.member("ada").await;
    let app = with_audiences(&app).await;
    let wide = tokens_for(&app, json!([A, B, ISSUER])).await;
    let narrow = refreshed(&app, &wide, json!([B])).await;
    assert_eq!(aud_of(&narrow), B);
    let two = refreshed(&app, &narrow, json!([B, A])).await;
    assert_eq!(aud_of(&two), json!([B, A]));
    let mut tokens = refreshed(&app, &two, Value::Null).await;
    assert_eq!(aud_of(&tokens), json!([A, B, ISSUER]), "the session has its whole grant");

    for bad in [json!([URN]), json!([A, URN]), json!([]), json!(A), json!([""]), json!([7]), json!("x")] {
        refresh(&app, &tokens, bad.clone()).await.assert_refused(400, "invalid_target");
        // Nothing was rotated: the same token is the current one still, long after the grace period.
        app.advance(MINUTE);
        tokens = refreshed(&app, &tokens, json!([A])).await;
        app.advance(MINUTE);
    }
    // One that asked for nothing has nothing to widen to either.
    let plain = tokens_for(&app, Value::Null).await;
    refresh(&app, &plain, json!([A])).await.assert_refused(400, "invalid_target");
    assert_eq!(aud_of(&refreshed(&app, &plain, json!([ISSUER])).await), ISSUER);
    // With both headers, as the contract prints it.
    let request = app.anonymous().post("/auth/refresh-token").access(&tokens.access).refresh(&tokens.refresh);
    let answer = request.json(&json!({"resource": [A]})).send().await.tokens(200);
    let last = Tokens::of(&answer);
    assert_eq!(aud_of(&last), A);
    // A dead token is dead whatever it asks for.
    app.log_out(&last.access).await.json(200);
    for resource in [json!([A]), json!(["nowhere"]), json!(7)] {
        refresh(&app, &last, resource).await.assert_refused(401, "invalid_refresh_token");
    }
}

async fn two_refreshes_in_the_grace_period_get_one_successor_and_each_its_own_audience(app: TestApp) {
    app.member("ada").await;
    let app = with_audiences(&app).await;
    let tokens = tokens_for(&app, json!([A, B])).await;
    let narrow = refreshed(&app, &tokens, json!([A])).await;
    app.advance(SECOND);
    let whole = refreshed(&app, &tokens, Value::Null).await;
    let other = refreshed(&app, &tokens, json!([B])).await;
    assert_eq!((&narrow.refresh, &narrow.refresh), (&whole.refresh, &other.refresh));
    assert_eq!((aud_of(&narrow), aud_of(&whole), aud_of(&other)), (json!(A), json!([A, B]), json!(B)));
}

async fn a_refresh_of_oauth_narrows_as_well(app: TestApp) {
    app.member("ada").await;
    let app = with_audiences(&app).await;
    let mut tokens = tokens_for(&app, json!([A, B])).await;
    let redeem = async |tokens: &Tokens, more: &str| {
        let form = format!("grant_type=refresh_token&refresh_token={}{more}", tokens.refresh);
        let request = app.anonymous().post("/oauth2/token");
        request.text("application/x-www-form-urlencoded", form).send().await
    };
    for (more, aud) in [
        (format!("&resource={A}"), json!(A)),
        (format!("&resource={B}&resource={A}"), json!([B, A])),
        (format!("&audience={B}"), json!(B)),
        (String::new(), json!([A, B])),
    ] {
        let answer = redeem(&tokens, &more).await.tokens(200);
        let text = |name: &str| answer[name].as_str().expect("a token").to_owned();
        tokens = Tokens { access: text("access_token"), refresh: text("refresh_token") };
        assert_eq!(aud_of(&tokens), aud, "{more}");
    }
    for bad in [format!("&resource={URN}"), "&resource=".to_owned(), format!("&audience={ISSUER}")] {
        assert_invalid_target(&redeem(&tokens, &bad).await);
        app.advance(MINUTE);
    }
    redeem(&tokens, "").await.tokens(200);
}

/// An operation of each kind, and that it is refused.
async fn assert_refused_everywhere(app: &TestApp, access: &str) {
    for (method, path) in [
        (Method::GET, "/auth/auth-me"),
        (Method::POST, "/auth/auth-me"),
        (Method::GET, "/users/me"),
        (Method::GET, "/users/2"),
        (Method::GET, "/users"),
        (Method::GET, "/auth/sessions"),
        (Method::DELETE, "/auth/sessions"),
        (Method::GET, "/clients"),
        (Method::GET, "/audit"),
        (Method::GET, "/forward-auth"),
    ] {
        let answer = app.anonymous().request(method.clone(), path).access(access).send().await;
        answer.assert_refused(401, "invalid_token");
    }
    let me = app.anonymous().get("/me").header("x-access-token", access).send().await;
    assert_eq!(me.status, 401, "{me:?}");
}

async fn operations_take_tokens_for_this_service_alone(app: TestApp) {
    app.member("ada").await;
    let app = with_audiences(&app).await;
    for resource in [json!([A]), json!([A, B, URN])] {
        assert_refused_everywhere(&app, &tokens_for(&app, resource).await.access).await;
    }
    let both = tokens_for(&app, json!([A, ISSUER])).await;
    app.me(&both.access).await.json(200);
    let narrow = refreshed(&app, &both, json!([A])).await;
    app.me(&narrow.access).await.assert_refused(401, "invalid_token");
    // What a refresh token buys has the whole grant.
    let answer = app.anonymous().get("/users/me").refresh(&narrow.refresh).send().await;
    answer.json(200);
    let renewed = jwt::claims(answer.header("x-access-token").expect("a token"));
    assert_eq!(renewed["aud"], json!([A, ISSUER]));
    let me = app.auth_me_by_refresh_token(&narrow.refresh).await;
    assert_eq!(aud(&me, "accessToken"), json!([A, ISSUER]));
}

async fn a_login_for_others_can_end_itself(app: TestApp) {
    app.member("ada").await;
    let app = with_audiences(&app).await;
    for scope in ["", "?scope=global"] {
        let tokens = tokens_for(&app, json!([A])).await;
        let ended = app.anonymous().post(&format!("/auth/logout{scope}")).access(&tokens.access);
        ended.send().await.json(200);
        refresh(&app, &tokens, Value::Null).await.assert_refused(401, "invalid_refresh_token");
    }
    // An altered one cannot.
    let tokens = tokens_for(&app, json!([A])).await;
    let altered = jwt::with_claim(&tokens.access, "aud", ISSUER);
    app.log_out(&altered).await.assert_refused(401, "invalid_token");
    // It can end itself also when it has expired, and beside its refresh token.
    app.advance(MINUTE * 16);
    let both = app.anonymous().post("/auth/logout").access(&tokens.access).refresh(&tokens.refresh);
    both.send().await.json(200);
    refresh(&app, &tokens, Value::Null).await.assert_refused(401, "invalid_refresh_token");
}

async fn a_session_for_others_buys_nothing_here(app: TestApp) {
    app.member("ada").await;
    let app = with_audiences(&app).await;
    let tokens = tokens_for(&app, json!([A])).await;
    for with_access in [true, false] {
        let request = app.anonymous().get("/users/me").refresh(&tokens.refresh);
        let request = if with_access { request.access(&tokens.access) } else { request };
        let answer = request.send().await;
        answer.assert_refused(401, "invalid_token");
        assert_eq!(answer.header("x-access-token"), None);
    }
    app.auth_me_by_refresh_token(&tokens.refresh).await.assert_refused(401, "invalid_token");
    // It refreshes with both headers, as the contract prints it, for whom it is.
    let answer = app.anonymous().post("/auth/refresh-token").access(&tokens.access).refresh(&tokens.refresh);
    assert_eq!(aud(&answer.send().await, "accessToken"), A);
}

async fn forward_auth_asks_for_another_audience(app: TestApp) {
    let ada = app.member("ada").await;
    let app = with_audiences(&app).await;
    let wide = tokens_for(&app, json!([A, B])).await;
    let ask = async |query: &str, access: &str| {
        app.anonymous().get(&format!("/forward-auth{query}")).access(access).send().await
    };
    let for_a = format!("?audience={A}");
    assert_eq!(ask(&for_a, &wide.access).await.header("remote-user"), Some(&*ada.id.to_string()));
    assert_eq!(ask(&format!("?role=admin&audience={A}"), &wide.access).await.status, 403);
    ask("", &wide.access).await.assert_refused(401, "invalid_token");
    ask(&format!("?audience={URN}"), &wide.access).await.assert_refused(401, "invalid_token");
    ask(&for_a, &ada.tokens.access).await.assert_refused(401, "invalid_token");
    // On the path itself alone.
    ask(&format!("/x?audience={A}"), &wide.access).await.assert_refused(401, "invalid_token");
    for bad in ["?audience=", "?audience=a%0ab", &format!("?audience={}", "a".repeat(257))] {
        ask(bad, &wide.access).await.assert_refused(400, "invalid_request");
    }
    ask(&format!("?audience={A}&audience={B}"), &wide.access).await.assert_refused(400, "unknown_parameter");
    // A refresh token passes where its session is for that one, and hands the whole grant back.
    let by_refresh = async |query: &str| {
        app.anonymous().get(&format!("/forward-auth{query}")).refresh(&wide.refresh).send().await
    };
    let answer = by_refresh(&for_a).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(jwt::claims(answer.header("x-access-token").expect("a token"))["aud"], json!([A, B]));
    by_refresh("").await.assert_refused(401, "invalid_token");
    app.log_out(&wide.access).await.json(200);
    ask(&for_a, &wide.access).await.assert_refused(401, "token_revoked");
}

async fn any_token_can_be_taken_back_and_its_own_service_hears_of_it(app: TestApp) {
    app.member("ada").await;
    let app = with_audiences(&app).await;
    let own = client(&app, json!({"id": "a", "audience": A})).await;
    let caller = client(&app, json!({"id": "caller", "audiences": [A]})).await;
    let other = client(&app, json!({"id": "other", "audience": B, "scopes": ["tokens:introspect"]})).await;
    let of_ada = tokens_for(&app, json!([A, URN])).await.access;
    let of_client = ask(&app, &caller, &format!("&resource={A}")).await.tokens(200)["access_token"].clone();
    let of_client = of_client.as_str().expect("a token").to_owned();
    let introspect = async |client: &(String, String), token: &str| {
        form(&app, client, "/oauth2/introspect", &format!("token={token}")).await.tokens(200)
    };
    assert_eq!(introspect(&own, &of_ada).await["aud"], json!([A, URN]));
    assert_eq!(introspect(&own, &of_client).await["aud"], json!([A]));
    // Whoever has got a token for itself may ask about it; for others there is none.
    assert_eq!(introspect(&caller, &of_client).await["active"], true);
    for (client, token) in [(&other, &of_ada), (&other, &of_client), (&caller, &of_ada)] {
        assert_eq!(introspect(client, token).await, json!({"active": false}));
    }
    for token in [&of_ada, &of_client] {
        let form = format!("token={token}");
        let taken = app.anonymous().post("/oauth2/revoke").text("application/x-www-form-urlencoded", form);
        taken.send().await.json(200);
        assert_eq!(introspect(&own, token).await, json!({"active": false}));
    }
}

#[tokio::test]
async fn an_outage_is_503_and_rotates_nothing() {
    let app = TestApp::on_servers_of_its_own().await;
    app.member("ada").await;
    let app = with_audiences(&app).await;
    let tokens = tokens_for(&app, json!([A])).await;
    app.redis().pause();
    refresh(&app, &tokens, json!([A])).await.assert_refused(503, "dependency_unavailable");
    app.redis().resume();
    app.recovered().await;
    assert_eq!(aud_of(&refreshed(&app, &tokens, json!([A])).await), A);
}
