//! `POST /auth/register`.

use serde_json::{Value, json};

use crate::support::{Actor, Answer, LoggedIn, PASSWORD, TestApp, jwt};

async fn register(app: &TestApp, body: &Value) -> Answer {
    app.anonymous().post("/auth/register").json(body).send().await
}

#[tokio::test]
async fn an_account_is_made_with_names_and_without() {
    let app = TestApp::spawn().await;
    let body = json!({
        "first_name": "Ada", "last_name": "Lovelace", "email": "Ada@Example.com", "password": PASSWORD
    });
    let answer = register(&app, &body).await.json(201);
    let id = answer["id"].as_i64().expect("a number");
    let expected = json!({
        "id": id, "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com",
        "email_verified": false,
        "message": "user created successfully"
    });
    assert_eq!(answer, expected);

    let answer = app.register("grace@example.com", PASSWORD).await.json(201);
    let expected = json!({
        "id": id + 1, "first_name": null, "last_name": null, "email": "grace@example.com",
        "email_verified": false,
        "message": "user created successfully"
    });
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn the_contracts_samples_work_as_printed_with_the_minimum_length_set_to_6() {
    let app = TestApp::set(&["passwords.min_length=6"]).await;
    app.register("johndoe2@example.com", "secret").await.json(201);
    app.log_in("johndoe2@example.com", "secret").await.json(200);
}

#[tokio::test]
async fn an_address_is_taken_in_any_case() {
    let app = TestApp::spawn().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    for email in ["ada@example.com", "Ada@Example.COM", "ADA@EXAMPLE.COM"] {
        let body = json!({"email": email, "password": "another one altogether", "first_name": "Eve"});
        register(&app, &body).await.assert_refused(409, "email_taken");
    }
    let ada = LoggedIn::log_in(&app, "ada@example.com", PASSWORD).await;
    assert_eq!(ada.get("/users/me").send().await.json(200)["first_name"], Value::Null);
    app.log_in("ada@example.com", "another one altogether").await.assert_refused(401, "invalid_credentials");
}

#[tokio::test]
async fn a_role_or_an_id_in_the_body_changes_nothing() {
    let app = TestApp::spawn().await;
    let body = json!({
        "email": "eve@example.com", "password": PASSWORD,
        "role": "admin", "roles": ["admin"], "is_admin": true, "id": 1, "sub": 1, "security_version": 9
    });
    let id = register(&app, &body).await.json(201)["id"].as_i64().expect("a number");
    assert_ne!(id, 1, "the administrator's");
    let eve = LoggedIn::log_in(&app, "eve@example.com", PASSWORD).await;
    assert_eq!(eve.id, id);
    assert_eq!(jwt::claims(&eve.tokens.access)["roles"], json!(["member"]));
    assert_eq!(eve.get("/users/me").send().await.json(200)["role"], "member");
    eve.get("/users").send().await.assert_refused(403, "forbidden");
}

#[tokio::test]
async fn a_malformed_registration_is_400_and_names_the_field() {
    let app = TestApp::spawn().await;
    let long_address = format!("{}@example.com", "a".repeat(250));
    let long_name = "a".repeat(101);
    for (body, code, fields) in [
        (json!({}), "invalid_request", &["email"][..]),
        (json!({"email": "ada@example.com"}), "invalid_request", &["password"]),
        (json!({"password": PASSWORD}), "invalid_request", &["email"]),
        (json!({"email": null, "password": PASSWORD}), "invalid_request", &["email"]),
        (json!({"email": 7, "password": PASSWORD}), "invalid_request", &["email"]),
        (json!({"email": ["ada@example.com"], "password": PASSWORD}), "invalid_request", &["email"]),
        (json!({"email": "ada@example.com", "password": 12345678}), "invalid_request", &["password"]),
        (json!({"email": "ada", "password": PASSWORD}), "invalid_request", &["email"]),
        (json!({"email": "", "password": PASSWORD}), "invalid_request", &["email"]),
        (json!({"email": long_address, "password": PASSWORD}), "invalid_request", &["email"]),
        (json!({"email": "ada@example.com\u{0}", "password": PASSWORD}), "invalid_request", &["email"]),
        (
            json!({"email": "ada@example.com", "password": PASSWORD, "first_name": long_name}),
            "invalid_request",
            &["first_name"],
        ),
        (
            json!({"email": "ada", "password": PASSWORD, "first_name": "a\nb", "last_name": "\u{0}"}),
            "invalid_request",
            &["email", "first_name", "last_name"],
        ),
        (json!({"email": "x", "password": "short"}), "invalid_request", &["email", "password"]),
        (json!({"email": "ada@example.com", "password": "short"}), "weak_password", &["password"]),
        (json!({"email": "ada@example.com", "password": ""}), "weak_password", &["password"]),
    ] {
        let answer = register(&app, &body).await;
        let problem = answer.assert_refused(400, code);
        let named: Vec<&str> =
            problem["errors"].as_array().into_iter().flatten().filter_map(|e| e["field"].as_str()).collect();
        assert_eq!(named, fields, "{body}");
        assert!(!answer.text().contains(PASSWORD), "{answer:?}");
    }
    assert!(app.stored_user("ada@example.com").await.is_none());
}

#[tokio::test]
async fn what_is_no_json_object_is_400() {
    let app = TestApp::spawn().await;
    let twice = format!(r#"{{"email":"ada@example.com","password":"{PASSWORD}","password":"{PASSWORD}"}}"#);
    for body in ["", "{", "null", "[]", "7", r#""text""#, "{'email':'ada@example.com'}", &twice] {
        let answer = app.anonymous().post("/auth/register").text("application/json", body).send().await;
        answer.assert_refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_body_of_another_kind_or_size_has_its_own_status() {
    let app = TestApp::spawn().await;
    let form = "email=ada%40example.com&password=an+engine+weaves";
    let request = app.anonymous().post("/auth/register");
    let answer = request.text("application/x-www-form-urlencoded", form).send().await;
    answer.assert_refused(415, "unsupported_media_type");
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "x": "x".repeat(64 * 1024)});
    register(&app, &body).await.assert_refused(413, "payload_too_large");
}

/// By no door at all, and before anything of the request is looked at.
#[tokio::test]
async fn nobody_registers_where_registration_is_disabled() {
    let app = TestApp::set(&["registration.enabled=false"]).await;
    let anonymous = app.anonymous();
    for body in
        [json!({"email": "ada@example.com", "password": PASSWORD}), json!({"email": "x", "password": "y"})]
    {
        register(&app, &body).await.assert_refused(403, "registration_disabled");
    }
    let nest = json!({"email": "ada@example.com", "password": PASSWORD});
    anonymous.post("/auth/signup").json(&nest).send().await.assert_refused(403, "registration_disabled");
    let boom = json!({"email": "ada@example.com", "name": "Ada", "password": "Dilemma12"});
    let refused = anonymous.post("/users").json(&boom).send().await.json(403);
    assert_eq!((&refused["statusCode"], &refused["error"]), (&json!(403), &json!("Forbidden")));
    assert!(app.stored_user("ada@example.com").await.is_none());

    let made = json!({"email": "ada@example.com", "password": PASSWORD});
    app.admin().await.post("/users").json(&made).send().await.json(201);
    app.log_in("ada@example.com", PASSWORD).await.json(200);
}
