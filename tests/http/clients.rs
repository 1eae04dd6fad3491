//! `/clients`: OAuth clients, for administrators.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hallpass::domain::clock::Clock;
use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{Actor, Admin, Answer, MINUTE, SECOND, TestApp, jwt, on_both_flavours};

on_both_flavours! {
    a_client_is_made_and_its_secret_works,
    what_cannot_be_a_client_is_refused_and_makes_none,
    a_client_is_changed_in_what_is_sent_and_in_nothing_else,
    secrets_are_rolled_over_two_at_a_time,
    a_deleted_client_is_gone_with_its_tokens,
    the_id_of_a_deleted_client_is_free_when_its_tokens_are_over,
    only_administrators_see_and_change_clients,
    what_administrators_do_to_clients_is_written_down,
    no_client_takes_the_name_of_the_service_itself,
}

async fn create(admin: &Admin, body: Value) -> Answer {
    admin.post("/clients").json(&body).send().await
}

/// Makes a client, which must work, and answers its secret.
async fn created(admin: &Admin, id: &str) -> String {
    secret(&create(admin, json!({"id": id, "scopes": ["orders:read"]})).await.tokens(201))
}

fn secret(answer: &Value) -> String {
    let secret = answer["secret"].as_str().expect("a secret");
    assert!(secret.starts_with("hp_cs_") && secret.len() > 40, "{secret}");
    secret.to_owned()
}

/// What `/oauth2/token` says to a client.
async fn ask(app: &TestApp, id: &str, secret: &str) -> Answer {
    let credentials = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let request = app.anonymous().post("/oauth2/token").header("authorization", credentials);
    request.text("application/x-www-form-urlencoded", "grant_type=client_credentials").send().await
}

async fn token_of(app: &TestApp, id: &str, secret: &str) -> String {
    let answer = ask(app, id, secret).await.tokens(200);
    answer["access_token"].as_str().expect("a token").to_owned()
}

async fn a_client_is_made_and_its_secret_works(app: TestApp) {
    let admin = app.admin().await;
    let body = json!({
        "id": "orders",
        "scopes": ["orders:write", "orders:read"],
        "audience": "https://api.example.com",
        "metadata": {"tier": 2, "org": {"id": "north"}},
    });
    let answer = create(&admin, body).await.tokens(201);
    let orders = json!({
        "id": "orders",
        "scopes": ["orders:read", "orders:write"],
        "audience": "https://api.example.com",
        "audiences": [],
        "exchange": false,
        "metadata": {"tier": 2, "org": {"id": "north"}},
        "secrets": 1,
        "createdAt": app.now(),
    });
    assert_eq!(answer["client"], orders);
    let claims = jwt::claims(&token_of(&app, "orders", &secret(&answer)).await);
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("orders"), &json!("https://api.example.com")));
    assert_eq!(claims["scope"], "orders:read orders:write");

    // The id is all that it takes.
    let plain = create(&admin, json!({"id": "plain"})).await.tokens(201)["client"].clone();
    assert_eq!((&plain["scopes"], &plain["audience"]), (&json!([]), &Value::Null));
    assert_eq!(plain["metadata"], json!({}));

    assert_eq!(admin.get("/clients/orders").send().await.json(200), orders);
    let listed = admin.get("/clients").send().await.json(200);
    let ids: Vec<_> = listed.as_array().expect("a list").iter().map(|client| client["id"].clone()).collect();
    assert_eq!(ids, ["books", "orders", "plain"]);
    assert_eq!((&listed[1], &listed[2]), (&orders, &plain));
}

async fn what_cannot_be_a_client_is_refused_and_makes_none(app: TestApp) {
    let admin = app.admin().await;
    for (body, field) in [
        (json!({}), "id"),
        (json!({"id": "7"}), "id"),
        (json!({"id": "Orders"}), "id"),
        (json!({"id": "a/b"}), "id"),
        (json!({"id": ""}), "id"),
        (json!({"id": 7}), "id"),
        (json!({"id": "a".repeat(65)}), "id"),
        (json!({"id": "orders", "scopes": "orders:read"}), "scopes"),
        (json!({"id": "orders", "scopes": ["orders:read orders:write"]}), "scopes"),
        (json!({"id": "orders", "scopes": [""]}), "scopes"),
        (json!({"id": "orders", "scopes": ["a\"b"]}), "scopes"),
        (json!({"id": "orders", "scopes": ["a".repeat(1_001)]}), "scopes"),
        (json!({"id": "orders", "audience": ""}), "audience"),
        (json!({"id": "orders", "metadata": []}), "metadata"),
        (json!({"id": "orders", "metadata": {"a": "x".repeat(2_048)}}), "metadata"),
        (json!({"id": "orders", "metadata": {"a": {"b": {"c": {"d": {}}}}}}), "metadata"),
        (json!({"id": "orders", "audience": "a".repeat(256)}), "audience"),
        (json!({"id": "orders", "audience": "a\u{85}b"}), "audience"),
        (json!({"id": "orders", "audiences": "https://a"}), "audiences"),
        (json!({"id": "orders", "audiences": [""]}), "audiences"),
        (json!({"id": "orders", "audiences": ["a".repeat(257)]}), "audiences"),
        (json!({"id": "orders", "audiences": ["a\nb"]}), "audiences"),
        (
            json!({"id": "orders", "audiences": (0..65).map(|n| n.to_string()).collect::<Vec<_>>()}),
            "audiences",
        ),
        (json!({"id": "orders", "exchange": "yes"}), "exchange"),
    ] {
        let problem = create(&admin, body.clone()).await.assert_refused(400, "invalid_request");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    for taken in ["orders", "books"] {
        if taken == "orders" {
            created(&admin, taken).await;
        }
        create(&admin, json!({"id": taken})).await.assert_refused(409, "client_taken");
    }
    let text = admin.post("/clients").text("text/plain", "id=x").send().await;
    text.assert_refused(415, "unsupported_media_type");
    let listed = admin.get("/clients").send().await.json(200);
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    // The sample client's secret works as before.
    ask(&app, "books", "books-dev-secret").await.tokens(200);
}

async fn a_client_is_changed_in_what_is_sent_and_in_nothing_else(app: TestApp) {
    let admin = app.admin().await;
    let body = json!({
        "id": "orders",
        "scopes": ["orders:read"],
        "audience": "https://orders",
        "audiences": ["https://b", "https://a", "https://b"],
        "exchange": true,
    });
    let mut client = create(&admin, body).await.tokens(201)["client"].clone();
    assert_eq!(client["audiences"], json!(["https://b", "https://a"]), "in their order, each once");
    for (change, name, value) in [
        (json!({"exchange": false}), "exchange", json!(false)),
        (json!({"audiences": ["urn:x"]}), "audiences", json!(["urn:x"])),
        (json!({"audience": "https://elsewhere"}), "audience", json!("https://elsewhere")),
        (json!({"audience": ""}), "audience", Value::Null),
        (json!({"audiences": []}), "audiences", json!([])),
        (json!({}), "audiences", json!([])),
        (json!({"audience": null, "exchange": null, "audiences": null}), "audiences", json!([])),
        (json!({"metadata": {"tier": 2}}), "metadata", json!({"tier": 2})),
        (json!({"exchange": true}), "exchange", json!(true)),
        (json!({"metadata": {"plan": {"id": "a"}}}), "metadata", json!({"plan": {"id": "a"}})),
        (json!({"metadata": null}), "metadata", json!({})),
    ] {
        client[name] = value;
        let answer = admin.patch("/clients/orders").json(&change).send().await.json(200);
        assert_eq!(answer, client, "{change}");
        assert_eq!(admin.get("/clients/orders").send().await.json(200), client, "{change}");
    }
    for (change, field) in [
        (json!({"audiences": [""]}), "audiences"),
        (json!({"audiences": "urn:x"}), "audiences"),
        (json!({"audience": "a".repeat(256)}), "audience"),
        (json!({"exchange": 1}), "exchange"),
        (json!({"metadata": "tier"}), "metadata"),
        (json!({"metadata": {"a": {"b": {"c": {"d": {}}}}}}), "metadata"),
    ] {
        let refused = admin.patch("/clients/orders").json(&change).send().await;
        assert_eq!(refused.assert_refused(400, "invalid_request")["errors"][0]["field"], field, "{change}");
    }
    assert_eq!(admin.get("/clients/orders").send().await.json(200), client);
    let missing = admin.patch("/clients/nobody").json(&json!({"exchange": true})).send().await;
    missing.assert_refused(404, "not_found");
}

/// The tokens of all logins say `client_id` `hallpass`: they would be that client's own.
async fn no_client_takes_the_name_of_the_service_itself(app: TestApp) {
    let admin = app.admin().await;
    let answer = create(&admin, json!({"id": "hallpass", "scopes": ["orders:read"]})).await;
    answer.assert_refused(409, "client_taken");
    admin.get("/clients/hallpass").send().await.assert_refused(404, "not_found");
    created(&admin, "hallpass-gateway").await;
}

async fn secrets_are_rolled_over_two_at_a_time(app: TestApp) {
    let admin = app.admin().await;
    let first = created(&admin, "orders").await;
    let rotate = async |query: &str| {
        app.advance(SECOND);
        let answer = admin.post(&format!("/clients/orders/secrets{query}")).send().await;
        secret(&answer.tokens(201))
    };
    let works = async |secret: &str| match ask(&app, "orders", secret).await {
        answer if answer.status == 200 => true,
        answer => {
            assert_eq!(answer.json(401)["error"], "invalid_client");
            false
        }
    };
    let secrets = async || admin.get("/clients/orders").send().await.json(200)["secrets"].clone();

    let second = rotate("").await;
    assert_eq!((works(&first).await, works(&second).await, secrets().await), (true, true, json!(2)));
    let third = rotate("?dropOthers=false").await;
    assert_eq!((works(&first).await, works(&second).await, works(&third).await), (false, true, true));
    assert_eq!(secrets().await, 2);
    let fourth = rotate("?dropOthers=true").await;
    assert_eq!((works(&third).await, works(&fourth).await, secrets().await), (false, true, json!(1)));

    let unclear = admin.post("/clients/orders/secrets?dropOthers=perhaps").send().await;
    unclear.assert_refused(400, "invalid_request");
    assert_eq!((works(&fourth).await, secrets().await), (true, json!(1)), "nothing was done");
}

async fn a_deleted_client_is_gone_with_its_tokens(app: TestApp) {
    let admin = app.admin().await;
    let body = json!({"id": "reader", "scopes": ["revocations:read"]});
    let secret = secret(&create(&admin, body).await.tokens(201));
    let token = token_of(&app, "reader", &secret).await;
    let feed = async || app.anonymous().get("/revocations").access(&token).send().await;
    let mut bell = app.services().revocations.listen();
    bell.changed().await.expect("a service that runs");
    feed().await.json(200);

    let answer = admin.delete("/clients/reader").send().await.json(200);
    assert_eq!(answer["message"], "client deleted");
    feed().await.assert_refused(401, "token_revoked");
    assert_eq!(ask(&app, "reader", &secret).await.json(401)["error"], "invalid_client");
    for (method, path) in [
        (Method::GET, "/clients/reader"),
        (Method::DELETE, "/clients/reader"),
        (Method::POST, "/clients/reader/secrets"),
        // What can be no id names nobody.
        (Method::GET, "/clients/7"),
        (Method::DELETE, "/clients/%00"),
        (Method::POST, "/clients/Reader/secrets"),
    ] {
        admin.request(method, path).send().await.assert_refused(404, "not_found");
    }
}

/// Services go on refusing tokens of that id, which would be those of another client.
async fn the_id_of_a_deleted_client_is_free_when_its_tokens_are_over(app: TestApp) {
    let admin = app.admin().await;
    create(&admin, json!({"id": "reader"})).await.tokens(201);
    admin.delete("/clients/reader").send().await.json(200);
    let refused = create(&admin, json!({"id": "reader"})).await.assert_refused(409, "client_taken");
    let detail = refused["detail"].as_str().expect("text");
    let until = detail.split("Until ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a moment");
    let until = humantime::parse_rfc3339(until).expect("a moment");
    let left = until.duration_since(app.clock().now().to_system_time()).expect("ahead");
    assert!(left > 15 * MINUTE && left < 18 * MINUTE, "{left:?}");
    create(&admin, json!({"id": "readers"})).await.tokens(201);

    app.advance(left - SECOND);
    create(&app.admin().await, json!({"id": "reader"})).await.assert_refused(409, "client_taken");
    app.advance(2 * SECOND);
    create(&app.admin().await, json!({"id": "reader"})).await.tokens(201);
}

async fn only_administrators_see_and_change_clients(app: TestApp) {
    let (ada, machine) = (app.member("ada").await, token_of(&app, "books", "books-dev-secret").await);
    for (method, path) in [
        (Method::GET, "/clients"),
        (Method::POST, "/clients"),
        (Method::GET, "/clients/books"),
        (Method::DELETE, "/clients/books"),
        (Method::POST, "/clients/books/secrets"),
        // Not even that there is none.
        (Method::GET, "/clients/nobody"),
    ] {
        let body = json!({"id": "mine", "scopes": ["revocations:read"]});
        let request = ada.request(method.clone(), path).json(&body);
        request.send().await.assert_refused(403, "forbidden");
        let request = app.anonymous().request(method, path).access(&machine).json(&body);
        request.send().await.assert_refused(401, "invalid_token");
    }
    for path in ["/clients/books", "/clients/nobody"] {
        let change = json!({"exchange": true});
        ada.patch(path).json(&change).send().await.assert_refused(403, "forbidden");
        let by_machine = app.anonymous().patch(path).access(&machine).json(&change).send().await;
        by_machine.assert_refused(401, "invalid_token");
    }
    ask(&app, "books", "books-dev-secret").await.tokens(200);
    let listed = app.admin().await.get("/clients").send().await.json(200);
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
}

async fn what_administrators_do_to_clients_is_written_down(app: TestApp) {
    let admin = app.admin().await;
    let from_home = |method, path: &str| admin.request(method, path).sent_from("192.0.2.7");
    from_home(Method::POST, "/clients").json(&json!({"id": "orders"})).send().await.tokens(201);
    from_home(Method::POST, "/clients/orders/secrets").send().await.tokens(201);
    let change = json!({"audiences": ["https://a"]});
    from_home(Method::PATCH, "/clients/orders").json(&change).send().await.json(200);
    // What changes nothing leaves nothing.
    from_home(Method::PATCH, "/clients/orders").json(&json!({})).send().await.json(200);
    from_home(Method::DELETE, "/clients/orders").send().await.json(200);
    // What is refused leaves nothing.
    from_home(Method::DELETE, "/clients/orders").send().await.assert_refused(404, "not_found");
    create(&admin, json!({"id": "books"})).await.assert_refused(409, "client_taken");

    let by_admin = format!("user:{}", admin.0.id);
    let sid = jwt::claims(&admin.0.tokens.access)["sid"].clone();
    let entries = admin.get(&format!("/audit?actor={by_admin}")).send().await.json(200);
    let mut told = Vec::new();
    for entry in entries.as_array().expect("entries").iter().rev() {
        let action = entry["action"].as_str().expect("text");
        if action.starts_with("client_") {
            assert_eq!((&entry["object"], &entry["session"]), (&json!("orders"), &sid), "{entry}");
            assert_eq!((&entry["address"], &entry["user"]), (&json!("192.0.2.7"), &Value::Null), "{entry}");
            told.push(action);
        }
    }
    assert_eq!(told, ["client_created", "client_secret_rotated", "client_changed", "client_deleted"]);
}

/// No secret is in the log, nor in any later answer.
#[tokio::test]
async fn a_secret_is_shown_once() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let first = created(&admin, "orders").await;
    let second = secret(&admin.post("/clients/orders/secrets").send().await.tokens(201));
    for path in ["/clients", "/clients/orders", "/audit?limit=200"] {
        let text = admin.get(path).send().await.text();
        assert!(
            !text.contains("hp_cs_") && !text.contains(&first[6..]) && !text.contains(&second[6..]),
            "{text}"
        );
    }
}

#[tokio::test]
async fn an_outage_is_503_and_makes_no_client() {
    let app = TestApp::on_servers_of_its_own().await;
    let admin = app.admin().await;
    app.stop_postgres();
    admin.get("/clients").send().await.assert_refused(503, "dependency_unavailable");
    create(&admin, json!({"id": "orders"})).await.assert_refused(503, "dependency_unavailable");
    let secret = admin.post("/clients/books/secrets").send().await;
    secret.assert_refused(503, "dependency_unavailable");
}
