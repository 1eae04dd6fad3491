//! Claims of one's own: what is noted down about accounts and clients, and what tokens say of it.

use hallpass::config::ClaimsCutOff;
use hallpass::domain::mapped_claims::{ClaimSource, MappedClaim, MappedClaims};
use hallpass::domain::tokens::AccessToken;
use poem::http::Method;
use serde_json::{Value, json};

use crate::compat::{PASSWORD as COMPAT_PASSWORD, request, text};
use crate::support::{
    Actor, Admin, Answer, LoggedIn, MINUTE, PASSWORD, SECOND, TestApp, jwt, on_both_flavours,
};

on_both_flavours! {
    what_is_noted_down_is_for_administrators_alone,
    what_cannot_be_noted_down_is_refused,
    tokens_say_what_is_mapped,
    another_value_is_in_tokens_from_the_next_refresh_on,
    a_claim_that_cuts_off_ends_the_sessions_and_no_other_does,
    a_name_that_cuts_off_ends_ones_own_sessions,
    nothing_is_written_that_makes_tokens_too_long,
    nothing_is_written_that_makes_a_clients_tokens_too_long,
    a_login_never_fails_of_claims_that_do_not_fit,
}

const AUDIENCE: &str = "http://127.0.0.1:8080";

fn mapped<const N: usize>(claims: [(&str, &str); N]) -> MappedClaims {
    let claim = |(name, path): (&str, &str)| {
        let source = path.parse().expect("a path");
        (name.parse().expect("a name"), MappedClaim { source, audiences: None })
    };
    claims.map(claim).into_iter().collect()
}

async fn mapping<const N: usize>(app: &TestApp, claims: [(&str, &str); N], cut_off: &[&str]) -> TestApp {
    let cut_off = cut_off.iter().map(|name| name.parse().expect("a name")).collect();
    app.another_instance(|settings| {
        settings.tokens.claims = mapped(claims);
        settings.tokens.claims_cut_off = ClaimsCutOff::Named(cut_off);
    })
    .await
}

async fn administrator(app: &TestApp) -> Admin {
    Admin(LoggedIn::log_in(app, "johndoe@example.com", "password").await)
}

async fn update(admin: &Admin, id: i64, body: Value) -> Answer {
    admin.patch(&format!("/users/{id}")).json(&body).send().await
}

fn claim(somebody: &LoggedIn, name: &str) -> Option<Value> {
    jwt::claims(&somebody.tokens.access).get(name).cloned()
}

async fn what_is_noted_down_is_for_administrators_alone(app: TestApp) {
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    let path = format!("/users/{}", ada.id);
    let noted = json!({"plan": "pro", "org": {"id": 7, "teams": ["a", "b"]}, "none": null});
    let before = admin.get(&path).send().await.json(200);
    assert_eq!((before.get("metadata"), before.get("roles")), (None, None), "as ever");
    let answer = update(&admin, ada.id, json!({"metadata": noted})).await.json(200);
    assert_eq!(answer["metadata"], noted);
    assert_eq!(admin.get(&path).send().await.json(200)["metadata"], noted);
    ada.assert_lives().await;
    for own in [ada.get(&path), ada.get("/users/me")] {
        let answer = own.send().await;
        assert!(!answer.text().contains("metadata") && !answer.text().contains("pro"), "{answer:?}");
    }
    let listed = admin.get("/users").send().await;
    assert!(!listed.text().contains("metadata"), "{listed:?}");
    ada.patch("/users/me").json(&json!({"metadata": {}})).send().await.assert_refused(400, "invalid_request");
    ada.patch(&path).json(&json!({"metadata": {}})).send().await.assert_refused(403, "forbidden");

    // The whole is replaced, and what is left out stays.
    update(&admin, ada.id, json!({"external_id": "4711"})).await.json(200);
    assert_eq!(admin.get(&path).send().await.json(200)["metadata"], noted);
    let answer = update(&admin, ada.id, json!({"metadata": {"tenant": "north"}})).await.json(200);
    assert_eq!(answer["metadata"], json!({"tenant": "north"}));
    assert_eq!(answer["external_id"], "4711");
    for empty in [json!(null), json!({})] {
        update(&admin, ada.id, json!({"metadata": {"a": 1}})).await.json(200);
        let answer = update(&admin, ada.id, json!({"metadata": empty})).await.json(200);
        assert_eq!(answer["metadata"], json!({}));
    }
    ada.assert_lives().await;
    let body = json!({"email": "bob@example.com", "password": PASSWORD, "metadata": {"plan": "free"}});
    let made = admin.post("/users").json(&body).send().await.json(201);
    assert_eq!(made["user"]["metadata"], json!({"plan": "free"}));
}

async fn what_cannot_be_noted_down_is_refused(app: TestApp) {
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    for wrong in [
        json!("plan"),
        json!(7),
        json!(["plan"]),
        json!({"a": "x".repeat(2_041)}),
        json!({"a": {"b": {"c": {"d": {}}}}}),
        json!({"a": [[[[]]]]}),
    ] {
        let answer = update(&admin, ada.id, json!({"metadata": wrong})).await;
        assert_eq!(
            answer.assert_refused(400, "invalid_request")["errors"][0]["field"],
            "metadata",
            "{wrong}"
        );
    }
    let twice = r#"{"metadata": {"plan": "a", "plan": "b"}}"#;
    let twice = admin.patch(&format!("/users/{}", ada.id)).text("application/json", twice).send().await;
    twice.assert_refused(400, "invalid_request");
    for right in [json!({"a": "x".repeat(2_040)}), json!({"a": {"b": {"c": {"d": 1}}}})] {
        update(&admin, ada.id, json!({"metadata": right})).await.json(200);
    }
}

async fn tokens_say_what_is_mapped(app: TestApp) {
    let claims = [
        ("tenant", "account.metadata.tenant"),
        ("https://example.com/org", "account.metadata.org"),
        ("nowhere", "account.metadata.tenant.deeper"),
        ("number", "account.external_id"),
        ("app", "client.id"),
        ("tier", "client.metadata.tier"),
    ];
    let literal = |audience: &str| MappedClaim {
        source: ClaimSource::Value(json!({"prod": [true, 1]})),
        audiences: Some([audience.to_owned()].into()),
    };
    let own = [("env", literal(AUDIENCE)), ("elsewhere", literal("https://elsewhere"))];
    let own = own.map(|(name, claim)| (name.parse().expect("a name"), claim));
    let claims: MappedClaims = claims
        .map(|(name, path)| {
            let source = path.parse().expect("a path");
            (name.parse().expect("a name"), MappedClaim { source, audiences: None })
        })
        .into_iter()
        .chain(own)
        .collect();
    let app = app
        .another_instance(|settings| {
            settings.tokens.claims = claims;
            settings.tokens.audience = Some(AUDIENCE.to_owned());
        })
        .await;
    let (ada, admin) = (app.member("ada").await, administrator(&app).await);
    assert_eq!(claim(&ada, "tenant"), None);
    let noted = json!({"tenant": "north", "org": {"id": 7}});
    update(&admin, ada.id, json!({"metadata": noted, "external_id": "4711"})).await.json(200);
    let mut ada = LoggedIn::log_in(&app, &ada.email, PASSWORD).await;
    let assert_says = |access: &str| {
        let said = jwt::claims(access);
        assert_eq!((&said["tenant"], &said["number"]), (&json!("north"), &json!("4711")), "{said}");
        assert_eq!((&said["https://example.com/org"], &said["app"]), (&json!({"id": 7}), &json!("hallpass")));
        assert_eq!(said["env"], json!({"prod": [true, 1]}));
        for left_out in ["nowhere", "tier", "elsewhere", "metadata"] {
            assert_eq!(said.get(left_out), None, "{said}");
        }
    };
    assert_says(&ada.tokens.access);
    ada.refresh().await;
    assert_says(&ada.tokens.access);
    let renewed = app.auth_me_by_refresh_token(&ada.tokens.refresh).await.tokens(200);
    assert_says(text(&renewed, "accessToken"));
    ada.assert_lives().await;
    // What is read of a token has it too.
    let access = AccessToken::new(ada.tokens.access.clone());
    let read = app.services().access_tokens.authentic_claims(&access, app.timestamp()).await;
    assert_eq!(read.expect("claims").claim("tenant"), Some(&json!("north")));
    // The compat APIs' logins as well.
    let body = json!({"email": "eve@example.com", "password": COMPAT_PASSWORD});
    let signed_up = request(&app, Method::POST, "/auth/signup").json(&body).send().await.tokens(201);
    assert_eq!(jwt::claims(text(&signed_up, "accessToken"))["app"], "hallpass");

    let client = json!({"id": "orders", "metadata": {"tier": 2, "tenant": "south"}});
    let client = admin.post("/clients").json(&client).send().await.tokens(201);
    let body = json!({
        "grant_type": "client_credentials", "client_id": "orders", "client_secret": text(&client, "secret"),
    });
    let machine = app.anonymous().post("/oauth2/token").json(&body).send().await.tokens(200);
    let said = jwt::claims(text(&machine, "access_token"));
    assert_eq!(
        (&said["tier"], &said["app"], &said["env"]["prod"][1]),
        (&json!(2), &json!("orders"), &json!(1))
    );
    for left_out in ["tenant", "number", "elsewhere"] {
        assert_eq!(said.get(left_out), None, "{said}");
    }
}

async fn another_value_is_in_tokens_from_the_next_refresh_on(app: TestApp) {
    let app = mapping(&app, [("plan", "account.metadata.plan")], &[]).await;
    let (mut ada, admin) = (app.member("ada").await, administrator(&app).await);
    for plan in [json!("free"), json!("pro"), json!(["pro", 7])] {
        update(&admin, ada.id, json!({"metadata": {"plan": plan}})).await.json(200);
        ada.assert_lives().await;
        ada.refresh().await;
        assert_eq!(claim(&ada, "plan"), Some(plan));
    }
    update(&admin, ada.id, json!({"metadata": null})).await.json(200);
    ada.refresh().await;
    assert_eq!(claim(&ada, "plan"), None);
}

async fn a_claim_that_cuts_off_ends_the_sessions_and_no_other_does(app: TestApp) {
    let claims = [("plan", "account.metadata.plan"), ("theme", "account.metadata.theme")];
    let app = mapping(&app, claims, &["plan"]).await;
    let (ada, admin) = (app.member("ada").await, administrator(&app).await);
    for same in [json!({"theme": "dark"}), json!({"theme": "light", "note": 1}), json!({"plan": null})] {
        update(&admin, ada.id, json!({"metadata": same})).await.json(200);
        ada.assert_lives().await;
    }
    update(&admin, ada.id, json!({"metadata": {"plan": "pro"}})).await.json(200);
    ada.assert_is_over().await;
    let ada = LoggedIn::log_in(&app, &ada.email, PASSWORD).await;
    assert_eq!(claim(&ada, "plan"), Some(json!("pro")));
    update(&admin, ada.id, json!({"metadata": {"plan": "pro", "theme": "dark"}})).await.json(200);
    ada.assert_lives().await;
    update(&admin, ada.id, json!({"metadata": {}})).await.json(200);
    ada.assert_is_over().await;
    let entries = admin.get(&format!("/audit?user={}&action=sessions_ended", ada.id)).send().await.json(200);
    let reasons: Vec<_> = entries.as_array().expect("entries").iter().map(|entry| &entry["reason"]).collect();
    assert_eq!(reasons, ["claims_changed", "claims_changed"], "{entries}");
}

async fn a_name_that_cuts_off_ends_ones_own_sessions(app: TestApp) {
    let app = app
        .another_instance(|settings| {
            settings.tokens.claims = mapped([("name", "account.first_name")]);
            settings.tokens.claims_cut_off = ClaimsCutOff::All;
        })
        .await;
    let ada = app.member("ada").await;
    ada.patch("/users/me").json(&json!({"last_name": "King"})).send().await.json(200);
    ada.assert_lives().await;
    ada.patch("/users/me").json(&json!({"first_name": "Countess"})).send().await.json(200);
    ada.assert_is_over().await;
    let ada = LoggedIn::log_in(&app, &ada.email, PASSWORD).await;
    assert_eq!(claim(&ada, "name"), Some(json!("Countess")));
}

async fn nothing_is_written_that_makes_tokens_too_long(app: TestApp) {
    // Each byte is in the token twice.
    let claims = [("all", "account.metadata"), ("a", "account.metadata.a"), ("name", "account.first_name")];
    let app = mapping(&app, claims, &[]).await;
    let (ada, admin) = (app.member("ada").await, administrator(&app).await);
    let noted = |length: usize| json!({"metadata": {"a": "x".repeat(length)}});
    let fits = async |length: usize| update(&admin, ada.id, noted(length)).await.status == 200;
    let (mut least, mut most) = (500, 1_500);
    assert!(fits(least).await && !fits(most).await);
    while most - least > 1 {
        let middle = least.midpoint(most);
        if fits(middle).await { least = middle } else { most = middle }
    }
    update(&admin, ada.id, noted(most)).await.assert_refused(400, "token_too_large");
    update(&admin, ada.id, noted(least)).await.json(200);
    let ada = LoggedIn::log_in(&app, &ada.email, PASSWORD).await;
    let length = ada.tokens.access.len();
    assert!((3_900..=4_096).contains(&length), "{length}");
    assert_eq!(claim(&ada, "a"), Some(json!("x".repeat(least))));

    // By other ways to the same.
    let long = json!({"first_name": "n".repeat(100)});
    ada.patch("/users/me").json(&long).send().await.assert_refused(400, "token_too_large");
    let named = app.stored_user(&ada.email).await.expect("an account").first_name;
    assert!(named.is_none_or(|name| name.as_str().len() < 100));
    let mut body = noted(most);
    body["email"] = "bob@example.com".into();
    body["password"] = PASSWORD.into();
    admin.post("/users").json(&body).send().await.assert_refused(400, "token_too_large");
    assert!(app.stored_user("bob@example.com").await.is_none());
    // What lengthens nothing is always possible.
    update(&admin, ada.id, json!({"disabled": true})).await.json(200);
    update(&admin, ada.id, noted(least - 1)).await.json(200);
}

async fn nothing_is_written_that_makes_a_clients_tokens_too_long(app: TestApp) {
    // Each byte is in the token twice.
    let app = mapping(&app, [("a", "client.metadata.a"), ("b", "client.metadata.a")], &[]).await;
    let admin = administrator(&app).await;
    let noted = |length: usize| json!({"id": "orders", "metadata": {"a": "x".repeat(length)}});
    admin.post("/clients").json(&noted(1_500)).send().await.assert_refused(400, "token_too_large");
    let made = admin.post("/clients").json(&noted(600)).send().await.tokens(201)["client"].clone();
    // A request may ask for eight of them.
    let audiences: Vec<String> = (0..8).map(|n| format!("https://{n}.{}", "a".repeat(240))).collect();
    for change in [json!({"metadata": {"a": "x".repeat(1_500)}}), json!({"audiences": audiences})] {
        let refused = admin.patch("/clients/orders").json(&change).send().await;
        refused.assert_refused(400, "token_too_large");
        assert_eq!(admin.get("/clients/orders").send().await.json(200), made);
    }
    admin.patch("/clients/orders").json(&json!({"audiences": audiences[..2]})).send().await.json(200);
    admin.patch("/clients/orders").json(&json!({"metadata": null})).send().await.json(200);
    admin.patch("/clients/orders").json(&json!({"audiences": audiences})).send().await.json(200);
}

/// Settings that came after what was noted down.
async fn a_login_never_fails_of_claims_that_do_not_fit(app: TestApp) {
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    let noted = json!({"long": "x".repeat(1_500), "short": "y"});
    update(&admin, ada.id, json!({"metadata": noted})).await.json(200);
    let claims = [
        ("a", "account.metadata.short"),
        ("b", "account.metadata.long"),
        ("c", "account.metadata.long"),
        ("d", "account.metadata.short"),
    ];
    let app = mapping(&app, claims, &[]).await;
    let mut ada = LoggedIn::log_in(&app, &ada.email, PASSWORD).await;
    for _ in 0..2 {
        assert!(ada.tokens.access.len() <= 4_096, "{}", ada.tokens.access.len());
        let long = Some(json!("x".repeat(1_500)));
        assert_eq!((claim(&ada, "a"), claim(&ada, "b")), (Some(json!("y")), long));
        assert_eq!((claim(&ada, "c"), claim(&ada, "d")), (None, None));
        ada.assert_lives().await;
        ada.refresh().await;
    }
    // Such an account can be mended, step by step.
    let admin = administrator(&app).await;
    let shorter = json!({"long": "x".repeat(1_490), "short": "y"});
    update(&admin, ada.id, json!({"metadata": shorter})).await.json(200);
    update(&admin, ada.id, json!({"metadata": noted})).await.assert_refused(400, "token_too_large");
}

/// What tokens are to say is not known then, and no refresh token is used up for it.
#[tokio::test]
async fn while_the_database_is_away_a_refresh_with_mapped_claims_uses_nothing_up() {
    let app = TestApp::on_servers_of_its_own().await;
    let app = mapping(&app, [("plan", "account.metadata.plan")], &[]).await;
    let mut ada = app.member("ada").await;
    app.take_postgres_down();
    app.refresh(&ada.tokens.refresh).await.assert_refused(503, "dependency_unavailable");
    app.bring_postgres_back();
    app.has_its_database().await;
    // Longer than a token that was used still gets the same successor.
    app.advance(MINUTE + SECOND);
    ada.refresh().await;
    ada.assert_lives().await;
}
