//! Token exchange (RFC 8693): a service calls the next one on behalf of whoever called it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hallpass::crypto::jwt as minting;
use hallpass::domain::ids::KeyId;
use hallpass::domain::mapped_claims::{MappedClaim, MappedClaims};
use hallpass_verify::{AccessClaims, MayAct, TokenType};
use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{
    Actor, Admin, Answer, ISSUER, LoggedIn, MINUTE, PASSWORD, SECOND, TestApp, jwt, on_both_flavours,
};

on_both_flavours! {
    what_is_exchanged_is_the_subjects_but_for_whom_it_is_and_who_acts,
    whoever_asks_for_more_than_there_is_gets_nothing,
    a_client_exchanges_what_it_was_called_with_and_nothing_else,
    only_clients_that_may_exchange_do,
    what_does_not_go_together_is_refused,
    an_exchanged_token_ends_no_later_than_the_one_that_it_was_got_for,
    four_act_one_for_the_other_and_no_fifth,
    who_may_act_is_honoured,
    who_may_act_can_be_noted_down,
    what_is_mapped_is_as_it_is_for_whom_the_token_is_for,
    an_actor_token_names_who_acts,
    a_machines_token_is_exchanged_as_well,
    whoever_acts_for_somebody_changes_and_administers_nothing,
    what_is_taken_back_alone_ends_nothing_else,
    a_client_that_is_deleted_ends_what_it_acts_by,
}

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ORDERS: &str = "https://orders.example.com";
const BILLING: &str = "https://billing.example.com";

/// A client, as it proves who it is.
#[derive(Clone)]
struct Client {
    app: TestApp,
    id: String,
    secret: String,
}

impl Client {
    async fn make(app: &TestApp, body: Value) -> Self {
        let answer = app.admin().await.post("/clients").json(&body).send().await.tokens(201);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Self { app: app.clone(), id: text(&answer["client"]["id"]), secret: text(&answer["secret"]) }
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", self.id, self.secret)));
        let request = self.app.anonymous().post(path).header("authorization", basic);
        request.text("application/x-www-form-urlencoded", form.join("&")).send().await
    }

    async fn exchange(&self, subject: &str, more: &[(&str, &str)]) -> Answer {
        let given = [("grant_type", GRANT), ("subject_token", subject), ("subject_token_type", ACCESS_TOKEN)];
        self.post("/oauth2/token", &[&given[..], more].concat()).await
    }

    /// What it gets for `resource`, which must work.
    async fn exchanged(&self, subject: &str, resource: &str) -> String {
        token(&self.exchange(subject, &[("resource", resource)]).await)
    }

    async fn introspect(&self, token: &str) -> Value {
        self.post("/oauth2/introspect", &[("token", token)]).await.tokens(200)
    }

    /// A token of its own.
    async fn own_token(&self, more: &[(&str, &str)]) -> String {
        token(
            &self.post("/oauth2/token", &[&[("grant_type", "client_credentials")][..], more].concat()).await,
        )
    }
}

#[track_caller]
fn token(answer: &Answer) -> String {
    answer.tokens(200)["access_token"].as_str().expect("a token").to_owned()
}

#[track_caller]
fn assert_error(answer: &Answer, status: u16, error: &str) {
    assert_eq!(answer.json(status)["error"], error, "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

/// Three services in a chain: whom people log in for, and who is called by it, and by that.
struct Chain {
    gateway: Client,
    orders: Client,
    billing: Client,
}

impl Chain {
    async fn of(app: &TestApp) -> Self {
        let scopes = ["orders:read", "orders:write"];
        Self {
            gateway: Client::make(
                app,
                json!({"id": "gateway", "audiences": [ORDERS, BILLING], "exchange": true, "scopes": scopes}),
            )
            .await,
            orders: Client::make(
                app,
                json!({"id": "orders", "audience": ORDERS, "audiences": [BILLING], "exchange": true,
                    "scopes": ["orders:read"]}),
            )
            .await,
            billing: Client::make(
                app,
                json!({"id": "billing", "audience": BILLING, "audiences": [BILLING, ISSUER], "exchange": true}),
            )
            .await,
        }
    }

    /// The tokens that each is called with, when `first` comes to the first.
    async fn tokens(&self, first: &str) -> [String; 3] {
        let second = self.gateway.exchanged(first, ORDERS).await;
        let third = self.orders.exchanged(&second, BILLING).await;
        [first.to_owned(), second, third]
    }
}

fn mapped(claims: &[(&str, &str, Option<&str>)]) -> MappedClaims {
    let claim = |(name, path, audience): &(&str, &str, Option<&str>)| {
        let source = path.parse().expect("a path");
        let audiences = audience.map(|audience| [audience.to_owned()].into());
        (name.parse().expect("a name"), MappedClaim { source, audiences })
    };
    claims.iter().map(claim).collect()
}

/// A token with other claims, rightly signed.
fn signed(app: &TestApp, token: &str, change: impl FnOnce(&mut AccessClaims)) -> String {
    let mut claims: AccessClaims = serde_json::from_value(jwt::claims(token)).expect("claims");
    change(&mut claims);
    let ring = app.services().key_ring.current();
    minting::mint(ring.signing_key(), TokenType::AtJwt, &claims).expect("a token").expose().to_owned()
}

async fn what_is_exchanged_is_the_subjects_but_for_whom_it_is_and_who_acts(app: TestApp) {
    let chain = Chain::of(&app).await;
    let ada = app.member("ada").await;
    app.advance(SECOND);
    let answer = chain.gateway.exchange(&ada.tokens.access, &[("resource", ORDERS)]).await.tokens(200);
    assert_eq!(answer["issued_token_type"], ACCESS_TOKEN);
    assert_eq!((&answer["token_type"], &answer["scope"]), (&json!("Bearer"), &json!("")));
    assert_eq!(answer.get("refresh_token"), None);
    let second = answer["access_token"].as_str().expect("a token").to_owned();
    let (first, claims) = (jwt::claims(&ada.tokens.access), jwt::claims(&second));
    for kept in ["iss", "sub", "sid", "sv", "inc", "roles", "email", "email_verified"] {
        assert_eq!(claims[kept], first[kept], "{kept}");
    }
    assert_ne!(claims["jti"], first["jti"]);
    assert_eq!((&claims["aud"], &claims["client_id"]), (&json!(ORDERS), &json!("gateway")));
    assert_eq!(claims["act"], json!({"sub": "gateway"}));
    assert_eq!(claims["iat"], app.now());
    assert_eq!(answer["expires_in"], json!(claims["exp"].as_i64().expect("a time") - app.now()));
    let header = jwt::header(&second);
    assert_eq!((&header["typ"], &header["kid"]), (&json!("at+jwt"), &jwt::header(&ada.tokens.access)["kid"]));

    let third = chain.orders.exchanged(&second, BILLING).await;
    let claims = jwt::claims(&third);
    assert_eq!(claims["act"], json!({"sub": "orders", "act": {"sub": "gateway"}}));
    assert_eq!((&claims["sub"], &claims["sid"]), (&first["sub"], &first["sid"]));
    let said = chain.billing.introspect(&third).await;
    assert_eq!(
        (&said["active"], &said["aud"], &said["act"]),
        (&json!(true), &json!([BILLING]), &claims["act"])
    );

    // By the id of a client, several at once, under the other name of its type.
    for (asked, aud) in [
        (&[("audience", "orders")][..], json!(ORDERS)),
        (&[("audience", "orders"), ("resource", BILLING)], json!([BILLING, ORDERS])),
        (&[("resource", ORDERS), ("requested_token_type", JWT)], json!(ORDERS)),
        (&[("audience", ORDERS), ("requested_token_type", ACCESS_TOKEN)], json!(ORDERS)),
    ] {
        let answer = chain.gateway.exchange(&ada.tokens.access, asked).await;
        assert_eq!(jwt::claims(&token(&answer))["aud"], aud, "{asked:?}");
        let named = asked.iter().find(|(name, _)| *name == "requested_token_type");
        assert_eq!(answer.json(200)["issued_token_type"], named.map_or(ACCESS_TOKEN, |(_, kind)| kind));
    }
}

/// A person's token has what scopes it has; here some are signed into one.
async fn whoever_asks_for_more_than_there_is_gets_nothing(app: TestApp) {
    let chain = Chain::of(&app).await;
    let ada = app.member("ada").await;
    let subject = signed(&app, &ada.tokens.access, |claims| {
        claims.scope = Some("billing:read orders:read orders:write".to_owned());
    });
    let ask =
        async |scope: &str| chain.gateway.exchange(&subject, &[("resource", ORDERS), ("scope", scope)]).await;
    for (asked, given) in [("", "orders:read orders:write"), ("orders:read", "orders:read")] {
        let answer = ask(asked).await;
        assert_eq!(answer.tokens(200)["scope"], given);
        assert_eq!(jwt::claims(&token(&answer))["scope"], given);
    }
    for other in ["billing:read", "orders:read%20billing:read", "admin", "a%22b"] {
        assert_error(&ask(other).await, 400, "invalid_scope");
    }
    // Cut by each who acts.
    let second = token(&ask("").await);
    let third = chain.orders.exchange(&second, &[("resource", BILLING)]).await;
    assert_eq!(third.tokens(200)["scope"], "orders:read");
    let fourth = chain.billing.exchange(&token(&third), &[("resource", BILLING)]).await;
    assert_eq!(fourth.tokens(200)["scope"], "");

    for target in [
        ("resource", "https://elsewhere"),
        ("resource", "https://orders.example.com/"),
        ("resource", ISSUER),
        ("resource", ""),
        ("resource", "orders"),
        ("audience", "nobody"),
        ("audience", "gateway"),
        ("audience", "https://elsewhere"),
        ("audience", ""),
    ] {
        let answer = chain.gateway.exchange(&subject, &[target]).await;
        assert_error(&answer, 400, "invalid_target");
        let answer = chain.gateway.exchange(&subject, &[("resource", ORDERS), target]).await;
        assert_error(&answer, 400, "invalid_target");
    }
    // Its own audience is among them only where it is listed.
    let own = Client::make(&app, json!({"id": "own", "exchange": true})).await;
    assert_error(&own.exchange(&subject, &[("resource", ISSUER)]).await, 400, "invalid_target");
}

async fn a_client_exchanges_what_it_was_called_with_and_nothing_else(app: TestApp) {
    let chain = Chain::of(&app).await;
    let ada = app.member("ada").await;
    let [first, second, third] = chain.tokens(&ada.tokens.access).await;
    // What another service was called with is no more than what stands in a log.
    for (client, subject) in [
        (&chain.orders, &first),
        (&chain.billing, &first),
        (&chain.billing, &second),
        (&chain.gateway, &third),
    ] {
        let answer = client.exchange(subject, &[("resource", BILLING)]).await;
        assert_error(&answer, 400, "invalid_request");
    }
    // What was issued to the client itself is its own.
    chain.gateway.exchanged(&second, BILLING).await;
    let altered = jwt::with_claim(&second, "aud", BILLING);
    let forged = jwt::with_another_signature(&second);
    for bad in ["", "junk", &altered, &forged, &ada.tokens.refresh, &"a".repeat(9_000)] {
        assert_error(&chain.orders.exchange(bad, &[("resource", BILLING)]).await, 400, "invalid_request");
    }
    app.log_out(&first).await.json(200);
    assert_error(&chain.orders.exchange(&second, &[("resource", BILLING)]).await, 400, "invalid_request");
    let eve = app.member("eve").await;
    let late = chain.gateway.exchanged(&eve.tokens.access, ORDERS).await;
    app.advance(MINUTE * 15);
    assert_error(&chain.orders.exchange(&late, &[("resource", BILLING)]).await, 400, "invalid_request");
}

async fn only_clients_that_may_exchange_do(app: TestApp) {
    let chain = Chain::of(&app).await;
    let ada = app.member("ada").await;
    let plain = Client::make(&app, json!({"id": "plain", "audiences": [ORDERS]})).await;
    // Before anything else is looked at.
    for subject in [&*ada.tokens.access, "junk"] {
        let answer = plain.exchange(subject, &[("resource", ORDERS)]).await;
        assert_error(&answer, 400, "unauthorized_client");
        assert_error(&plain.exchange(subject, &[]).await, 400, "unauthorized_client");
    }
    let change = json!({"exchange": true});
    app.admin().await.patch("/clients/plain").json(&change).send().await.json(200);
    plain.exchanged(&ada.tokens.access, ORDERS).await;

    // A public client has nothing to prove itself by.
    let fields = format!(
        "grant_type={GRANT}&subject_token={}&subject_token_type={ACCESS_TOKEN}&resource={ORDERS}",
        ada.tokens.access
    );
    let post = async |more: &str| {
        let request = app.anonymous().post("/oauth2/token");
        request.text("application/x-www-form-urlencoded", format!("{fields}{more}")).send().await
    };
    for public in ["&client_id=hallpass", "&client_id=hallpass&client_secret="] {
        assert_error(&post(public).await, 400, "unauthorized_client");
    }
    for nobody in ["", "&client_id=gateway", "&client_id=nobody&client_secret=x"] {
        assert_error(&post(nobody).await, 401, "invalid_client");
    }
    let wrong = Client { secret: "wrong".to_owned(), ..chain.gateway.clone() };
    let answer = wrong.exchange(&ada.tokens.access, &[("resource", ORDERS)]).await;
    assert_error(&answer, 401, "invalid_client");
    post(&format!("&client_id=gateway&client_secret={}", chain.gateway.secret)).await.tokens(200);
}

async fn what_does_not_go_together_is_refused(app: TestApp) {
    let chain = Chain::of(&app).await;
    let ada = app.member("ada").await;
    let access = &*ada.tokens.access;
    let refresh_type = "urn:ietf:params:oauth:token-type:refresh_token";
    let kind = |kind| ("subject_token_type", kind);
    let target = ("resource", ORDERS);
    let subject = ("subject_token", access);
    for fields in [
        &[target, kind(ACCESS_TOKEN)][..],
        &[target, subject],
        &[subject, kind(ACCESS_TOKEN)],
        &[target, subject, kind(refresh_type)],
        &[target, subject, kind("urn:ietf:params:oauth:token-type:id_token")],
        &[target, subject, kind("")],
        &[target, kind(refresh_type), ("subject_token", &ada.tokens.refresh)],
        &[target, kind(ACCESS_TOKEN), ("subject_token", &ada.tokens.refresh)],
        &[target, subject, kind(JWT), ("requested_token_type", refresh_type)],
        &[target, subject, kind(JWT), ("requested_token_type", "urn:ietf:params:oauth:token-type:saml2")],
        &[target, subject, kind(JWT), ("actor_token", access)],
        &[target, subject, kind(JWT), ("actor_token_type", ACCESS_TOKEN)],
        &[target, subject, kind(JWT), ("actor_token", access), ("actor_token_type", refresh_type)],
        &[target, subject, kind(JWT), ("actor_token", "junk"), ("actor_token_type", JWT)],
        &[target, subject, subject, kind(JWT)],
        &[target, subject, kind(JWT), ("scope", "a"), ("scope", "b")],
    ] {
        let answer = chain.gateway.post("/oauth2/token", &[&[("grant_type", GRANT)], fields].concat()).await;
        assert_error(&answer, 400, "invalid_request");
    }
    let fields = [("grant_type", GRANT), target, subject, kind(JWT)];
    chain.gateway.post("/oauth2/token", &fields).await.tokens(200);
    // As JSON.
    let body = json!({
        "grant_type": GRANT, "subject_token": access, "subject_token_type": JWT, "resource": [ORDERS],
        "client_id": "gateway", "client_secret": chain.gateway.secret,
    });
    app.anonymous().post("/oauth2/token").json(&body).send().await.tokens(200);
}

async fn an_exchanged_token_ends_no_later_than_the_one_that_it_was_got_for(app: TestApp) {
    let chain = Chain::of(&app).await;
    let ada = app.member("ada").await;
    let end = jwt::claims(&ada.tokens.access)["exp"].as_i64().expect("a time");
    app.advance(MINUTE * 10);
    let answer = chain.gateway.exchange(&ada.tokens.access, &[("resource", ORDERS)]).await;
    assert_eq!(answer.tokens(200)["expires_in"], 300);
    assert_eq!(jwt::claims(&token(&answer))["exp"], end);
    // One that lives longer than tokens do by now gets what these do.
    let long = signed(&app, &ada.tokens.access, |claims| claims.exp += 10_000);
    let answer = chain.gateway.exchange(&long, &[("resource", ORDERS)]).await;
    assert_eq!(answer.tokens(200)["expires_in"], 900);
    // Within the leeway there is nothing left.
    app.advance(MINUTE * 5);
    let answer = chain.gateway.exchange(&ada.tokens.access, &[("resource", ORDERS)]).await;
    assert_error(&answer, 400, "invalid_request");
}

async fn four_act_one_for_the_other_and_no_fifth(app: TestApp) {
    let ada = app.member("ada").await;
    let round = json!({"id": "round", "audiences": [ORDERS], "audience": ORDERS, "exchange": true});
    let round = Client::make(&app, round).await;
    let chain = Chain::of(&app).await;
    let mut token = chain.gateway.exchanged(&ada.tokens.access, ORDERS).await;
    for actors in 2..=4 {
        token = round.exchanged(&token, ORDERS).await;
        let mut act = &jwt::claims(&token)["act"];
        let mut nested = 0;
        while act.is_object() {
            (act, nested) = (&act["act"], nested + 1);
        }
        assert_eq!(nested, actors);
    }
    assert_error(&round.exchange(&token, &[("resource", ORDERS)]).await, 400, "invalid_request");
    assert_eq!(round.introspect(&token).await["active"], true, "the fourth stands all the same");
}

async fn who_may_act_is_honoured(app: TestApp) {
    let chain = Chain::of(&app).await;
    let ada = app.member("ada").await;
    let named = |sub: &str| {
        signed(&app, &ada.tokens.access, |claims| claims.may_act = Some(MayAct { sub: sub.to_owned() }))
    };
    let exchanged = chain.gateway.exchanged(&named("gateway"), ORDERS).await;
    assert_eq!(jwt::claims(&exchanged).get("may_act"), None, "it was for the first who acts");
    let answer = chain.gateway.exchange(&named("orders"), &[("resource", ORDERS)]).await;
    assert_error(&answer, 400, "invalid_request");
    // Whoever is named by their own token may act through the client.
    let eve = app.member("eve").await;
    let by_eve = [("resource", ORDERS), ("actor_token", &*eve.tokens.access), ("actor_token_type", JWT)];
    chain.gateway.exchange(&named(&eve.id.to_string()), &by_eve).await.tokens(200);
    assert_error(&chain.gateway.exchange(&named("7777"), &by_eve).await, 400, "invalid_request");
}

async fn note_down(app: &TestApp, account: i64, metadata: Value) {
    let path = format!("/users/{account}");
    app.admin().await.patch(&path).json(&json!({ "metadata": metadata })).send().await.json(200);
}

async fn who_may_act_can_be_noted_down(app: TestApp) {
    let app = app
        .another_instance(|settings| {
            settings.tokens.claims = mapped(&[("may_act", "account.metadata.delegate", None)]);
        })
        .await;
    let chain = Chain::of(&app).await;
    let ada = app.member("ada").await;
    let said = |token: &str| jwt::claims(token).get("may_act").cloned();
    for (delegate, named, status) in [
        (Value::Null, None, 200),
        (json!({"sub": "gateway"}), Some("gateway"), 200),
        (json!({"sub": "orders"}), Some("orders"), 400),
        // Whoever wrote that meant to let somebody, and not all: it lets nobody.
        (json!("gateway"), Some(""), 400),
        (json!({"client": "gateway"}), Some(""), 400),
    ] {
        note_down(&app, ada.id, json!({ "delegate": delegate })).await;
        let again = LoggedIn::log_in(&app, &ada.email, PASSWORD).await;
        assert_eq!(said(&again.tokens.access), named.map(|sub| json!({ "sub": sub })));
        again.assert_lives().await;
        let answer = chain.gateway.exchange(&again.tokens.access, &[("resource", ORDERS)]).await;
        assert_eq!(answer.status, status, "{delegate}");
    }
}

async fn what_is_mapped_is_as_it_is_for_whom_the_token_is_for(app: TestApp) {
    let app = app
        .another_instance(|settings| {
            settings.tokens.claims = mapped(&[
                ("plan", "account.metadata.plan", Some(ORDERS)),
                ("theme", "account.metadata.theme", Some(ISSUER)),
                ("tier", "client.metadata.tier", None),
                ("app", "client.id", None),
            ]);
        })
        .await;
    let chain = Chain::of(&app).await;
    let ada = app.member("ada").await;
    note_down(&app, ada.id, json!({"plan": "free", "theme": "dark"})).await;
    let ada = LoggedIn::log_in(&app, &ada.email, PASSWORD).await;
    let mapped = |token: &str| {
        let claims = jwt::claims(token);
        ["plan", "theme", "tier", "app"].map(|name| claims.get(name).cloned().unwrap_or_default())
    };
    assert_eq!(mapped(&ada.tokens.access), [json!(null), json!("dark"), json!(null), json!("hallpass")]);
    for plan in ["free", "pro"] {
        note_down(&app, ada.id, json!({"plan": plan, "theme": "light"})).await;
        let second = chain.gateway.exchanged(&ada.tokens.access, ORDERS).await;
        assert_eq!(mapped(&second), [json!(plan), json!(null), json!(null), json!("gateway")]);
        let third = chain.orders.exchanged(&second, BILLING).await;
        assert_eq!(mapped(&third), [json!(null), json!(null), json!(null), json!("orders")]);
    }
    let job = Client::make(&app, json!({"id": "job", "metadata": {"tier": 2}})).await;
    let subject = job.own_token(&[]).await;
    assert_eq!(mapped(&subject), [json!(null), json!(null), json!(2), json!("job")]);
    let second = chain.gateway.exchanged(&subject, ORDERS).await;
    assert_eq!(jwt::claims(&second)["client_id"], "gateway");
    assert_eq!(mapped(&second)[..3], [json!(null), json!(null), json!(2)]);
}

async fn an_actor_token_names_who_acts(app: TestApp) {
    let chain = Chain::of(&app).await;
    let (ada, eve) = (app.member("ada").await, app.member("eve").await);
    let by_eve = [("resource", ORDERS), ("actor_token", &*eve.tokens.access), ("actor_token_type", JWT)];
    let answer = chain.gateway.exchange(&ada.tokens.access, &by_eve).await;
    let claims = jwt::claims(&token(&answer));
    assert_eq!(claims["act"], json!({"sub": eve.id.to_string()}));
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!(ada.id.to_string()), &json!("gateway")));
    // It has to stand, and to be the client's to present.
    let elsewhere = chain.orders.own_token(&[("resource", BILLING)]).await;
    app.log_out(&eve.tokens.access).await.json(200);
    for actor in [&*eve.tokens.access, &elsewhere, &jwt::with_claim(&ada.tokens.access, "sub", "1")] {
        let fields = [("resource", ORDERS), ("actor_token", actor), ("actor_token_type", ACCESS_TOKEN)];
        assert_error(&chain.gateway.exchange(&ada.tokens.access, &fields).await, 400, "invalid_request");
    }
}

async fn a_machines_token_is_exchanged_as_well(app: TestApp) {
    let chain = Chain::of(&app).await;
    let job = Client::make(&app, json!({"id": "job", "scopes": ["orders:read", "x"]})).await;
    let subject = job.own_token(&[]).await;
    let answer = chain.gateway.exchange(&subject, &[("resource", ORDERS)]).await;
    assert_eq!(answer.tokens(200)["scope"], "orders:read");
    let exchanged = token(&answer);
    let claims = jwt::claims(&exchanged);
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("job"), &json!("gateway")));
    assert_eq!((claims.get("sid"), claims.get("sv")), (None, None));
    assert_eq!(chain.orders.introspect(&exchanged).await["active"], true);
    // Nothing of the service is open to it.
    let back = chain.orders.exchanged(&exchanged, BILLING).await;
    let here = chain.billing.exchanged(&back, ISSUER).await;
    let feed = app.anonymous().get("/revocations").access(&here).send().await;
    feed.assert_refused(403, "insufficient_scope");
    app.anonymous().get("/users/me").access(&here).send().await.assert_refused(401, "invalid_token");
    app.admin().await.delete("/clients/job").send().await.json(200);
    assert_eq!(chain.orders.introspect(&exchanged).await, json!({"active": false}));
    assert_error(&chain.orders.exchange(&exchanged, &[("resource", BILLING)]).await, 400, "invalid_request");
}

/// A token of an administrator's that somebody acts by, and that is for this service itself.
async fn acting_for_an_administrator(app: &TestApp) -> (Admin, String) {
    let chain = Chain::of(app).await;
    let admin = app.admin().await;
    let [_, _, third] = chain.tokens(&admin.0.tokens.access).await;
    let here = chain.billing.exchanged(&third, ISSUER).await;
    assert_eq!(jwt::claims(&here)["roles"], json!(["admin"]));
    (admin, here)
}

async fn whoever_acts_for_somebody_changes_and_administers_nothing(app: TestApp) {
    let (admin, here) = acting_for_an_administrator(&app).await;
    let me = app.anonymous().get("/users/me").access(&here).send().await.json(200);
    assert_eq!(me["id"], admin.0.id);
    let through = app.anonymous().get("/forward-auth").access(&here).send().await;
    assert_eq!(through.header("remote-user"), Some(&*admin.0.id.to_string()));
    let nothing = json!({});
    let change = json!({"currentPassword": "password", "newPassword": "another good password"});
    for (method, path, body) in [
        (Method::PATCH, "/users/me", &nothing),
        (Method::GET, "/users", &nothing),
        (Method::POST, "/users", &json!({"email": "mallory@example.com"})),
        (Method::GET, "/users/1", &nothing),
        (Method::PATCH, "/users/2", &nothing),
        (Method::DELETE, "/users/2", &nothing),
        (Method::POST, "/users/2/password-reset", &nothing),
        (Method::GET, "/users/2/sessions", &nothing),
        (Method::DELETE, "/users/2/sessions", &nothing),
        (Method::DELETE, "/users/2/sessions/00000000-0000-0000-0000-000000000001", &nothing),
        (Method::GET, "/auth/sessions", &nothing),
        (Method::DELETE, "/auth/sessions", &nothing),
        (Method::DELETE, "/auth/sessions/00000000-0000-0000-0000-000000000001", &nothing),
        (Method::POST, "/auth/change-password", &change),
        (Method::POST, "/auth/logout", &nothing),
        (Method::POST, "/auth/logout?scope=global", &nothing),
        (Method::POST, "/auth/signout", &nothing),
        (Method::GET, "/clients", &nothing),
        (Method::POST, "/clients", &json!({"id": "mallory"})),
        (Method::GET, "/clients/gateway", &nothing),
        (Method::PATCH, "/clients/gateway", &nothing),
        (Method::DELETE, "/clients/gateway", &nothing),
        (Method::POST, "/clients/gateway/secrets", &nothing),
        (Method::GET, "/audit", &nothing),
    ] {
        let request = app.anonymous().request(method.clone(), path).access(&here).json(body);
        request.send().await.assert_refused(403, "insufficient_scope");
    }
    // Nor does it renew anything beside the refresh token that it came from.
    let refresh = &admin.0.tokens.refresh;
    let both = app.anonymous().post("/auth/refresh-token").access(&here).refresh(refresh).send().await;
    both.assert_refused(403, "insufficient_scope");
    for (method, path) in [(Method::POST, "/access-tokens/refresh"), (Method::DELETE, "/access-tokens")] {
        let request = app.anonymous().request(method, path).header("x-access-token", &here);
        let form = format!("refresh_token={refresh}");
        let answer = request.text("application/x-www-form-urlencoded", form).send().await;
        assert_eq!(answer.json(403)["statusCode"], 403);
    }
    admin.0.assert_lives().await;
    app.advance(MINUTE * 16);
    let expired = app.anonymous().get("/users/me").access(&here).refresh(refresh).send().await;
    expired.assert_refused(401, "token_expired");
}

/// A token that somebody acts by ends nothing of the session, wherever it is for.
#[tokio::test]
async fn whoever_acts_for_somebody_logs_nobody_out_by_a_token_for_others() {
    let app = TestApp::spawn().await;
    let chain = Chain::of(&app).await;
    let ada = app.member("ada").await;
    let [first, second, third] = chain.tokens(&ada.tokens.access).await;
    for token in [&second, &third] {
        app.log_out(token).await.assert_refused(403, "insufficient_scope");
        app.me(token).await.assert_refused(401, "invalid_token");
        let both = app.anonymous().post("/auth/refresh-token").access(token).refresh(&ada.tokens.refresh);
        both.send().await.assert_refused(403, "insufficient_scope");
    }
    app.me(&first).await.json(200);
}

async fn what_is_taken_back_alone_ends_nothing_else(app: TestApp) {
    let chain = Chain::of(&app).await;
    let ada = app.member("ada").await;
    let [first, second, third] = chain.tokens(&ada.tokens.access).await;
    chain.gateway.post("/oauth2/revoke", &[("token", &first)]).await.json(200);
    app.me(&first).await.assert_refused(401, "token_revoked");
    assert_eq!(chain.orders.introspect(&second).await["active"], true);
    // It ends by itself as well.
    app.anonymous()
        .post("/oauth2/revoke")
        .text("application/x-www-form-urlencoded", format!("token={second}"))
        .send()
        .await
        .json(200);
    assert_eq!(chain.orders.introspect(&second).await, json!({"active": false}));
    assert_eq!(chain.billing.introspect(&third).await["active"], true);
    app.auth_me_by_refresh_token(&ada.tokens.refresh).await.json(200);
}

async fn a_client_that_is_deleted_ends_what_it_acts_by(app: TestApp) {
    for gone in ["gateway", "orders"] {
        let chain = Chain::of(&app).await;
        let ada = app.member(&format!("ada-{gone}")).await;
        let [first, second, third] = chain.tokens(&ada.tokens.access).await;
        let ask = async |token: &str, audience: &str| {
            app.anonymous().get(&format!("/forward-auth?audience={audience}")).access(token).send().await
        };
        assert_eq!(ask(&third, BILLING).await.status, 200);
        app.admin().await.delete(&format!("/clients/{gone}")).send().await.json(200);
        assert_eq!(chain.billing.introspect(&third).await, json!({"active": false}), "{gone}");
        ask(&third, BILLING).await.assert_refused(401, "token_revoked");
        let exchange = chain.billing.exchange(&third, &[("resource", BILLING)]).await;
        assert_error(&exchange, 400, "invalid_request");
        let second = ask(&second, ORDERS).await.status;
        assert_eq!(second, if gone == "gateway" { 401 } else { 200 });
        app.me(&first).await.json(200);
        for id in ["gateway", "orders", "billing"] {
            app.admin().await.delete(&format!("/clients/{id}")).send().await;
        }
        // Until then nobody else has their ids.
        app.advance(20 * MINUTE);
    }
}

/// What ends a session, and whether its tokens are then of no key.
async fn end(app: &TestApp, event: &str, ada: &LoggedIn) {
    let admin = app.admin().await;
    let user = format!("/users/{}", ada.id);
    match event {
        "logout" => app.log_out(&ada.tokens.access).await,
        "kick" => admin.delete(&format!("{user}/sessions")).send().await,
        "password change" => ada.change_password("another good password").await,
        "disable" => admin.patch(&user).json(&json!({"disabled": true})).send().await,
        "role change" => admin.patch(&user).json(&json!({"role": "admin"})).send().await,
        "key revoked" => {
            let kid = jwt::header(&ada.tokens.access)["kid"].as_str().expect("kid").to_owned();
            app.services().signing_keys.revoke(&KeyId::new(kid)).await.expect("revoked");
            return;
        }
        other => unreachable!("{other}"),
    }
    .json(200);
}

mod chains {
    use super::whatever_ends_a_session_ends_the_whole_chain;
    use crate::support::on_all_flavours;

    on_all_flavours! { whatever_ends_a_session_ends_the_whole_chain }
}

async fn whatever_ends_a_session_ends_the_whole_chain(app: TestApp) {
    let chain = Chain::of(&app).await;
    for event in ["logout", "kick", "password change", "disable", "role change", "key revoked"] {
        let ada = app.member(&format!("ada-{}", event.replace(' ', "-"))).await;
        let tokens = chain.tokens(&ada.tokens.access).await;
        let places = [(&chain.gateway, ISSUER), (&chain.orders, ORDERS), (&chain.billing, BILLING)];
        for is_over in [false, true] {
            for (token, (service, audience)) in tokens.iter().zip(places) {
                let forward = format!("/forward-auth?audience={audience}");
                let answer = app.anonymous().get(&forward).access(token).send().await;
                assert_eq!(answer.status, if is_over { 401 } else { 200 }, "{event}: {answer:?}");
                assert_eq!(service.introspect(token).await["active"], !is_over, "{event} at {audience}");
                if is_over {
                    let again = service.exchange(token, &[("resource", BILLING)]).await;
                    assert_error(&again, 400, "invalid_request");
                }
            }
            if !is_over {
                end(&app, event, &ada).await;
            }
        }
    }
}

#[tokio::test]
async fn an_outage_is_503_and_no_verdict() {
    let app = TestApp::on_servers_of_its_own().await;
    let chain = Chain::of(&app).await;
    let ada = app.member("ada").await;
    app.redis().pause();
    let answer = chain.gateway.exchange(&ada.tokens.access, &[("resource", ORDERS)]).await;
    assert_error(&answer, 503, "temporarily_unavailable");
    assert!(answer.header("retry-after").is_some());
    app.redis().resume();
    app.recovered().await;
    chain.gateway.exchanged(&ada.tokens.access, ORDERS).await;
    app.stop_postgres();
    let answer = chain.gateway.exchange(&ada.tokens.access, &[("resource", ORDERS)]).await;
    assert_error(&answer, 503, "temporarily_unavailable");
}
