//! `/users/me` and `/users/{id}`.

use serde_json::{Value, json};

use crate::support::{Actor, LoggedIn, PASSWORD, TestApp, jwt};

async fn ada_lovelace(app: &TestApp) -> LoggedIn {
    let body = json!({
        "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com", "password": PASSWORD
    });
    app.anonymous().post("/auth/register").json(&body).send().await.json(201);
    LoggedIn::log_in(app, "ada@example.com", PASSWORD).await
}

#[tokio::test]
async fn me_is_the_account_and_the_claims_of_the_token() {
    let app = TestApp::spawn().await;
    let ada = ada_lovelace(&app).await;
    let claims = jwt::claims(&ada.tokens.access);
    let me = ada.get("/users/me").send().await.json(200);
    let expected = json!({
        "id": ada.id, "sub": ada.id, "email": "ada@example.com",
        "email_verified": false, "first_name": "Ada", "last_name": "Lovelace", "role": "member",
        "iat": claims["iat"], "exp": claims["exp"]
    });
    assert_eq!(me, expected);
    assert_eq!(me["iat"], app.now());
    assert_eq!(app.admin().await.get("/users/me").send().await.json(200)["role"], "admin");
}

#[tokio::test]
async fn names_are_changed_kept_and_cleared() {
    let app = TestApp::spawn().await;
    let ada = ada_lovelace(&app).await;
    for (body, first, last) in [
        (json!({"first_name": "Augusta Ada", "last_name": "King"}), json!("Augusta Ada"), json!("King")),
        (json!({"last_name": "Lovelace"}), json!("Augusta Ada"), json!("Lovelace")),
        (json!({}), json!("Augusta Ada"), json!("Lovelace")),
        (json!({"first_name": null}), json!("Augusta Ada"), json!("Lovelace")),
        (json!({"first_name": ""}), Value::Null, json!("Lovelace")),
    ] {
        let answer = ada.patch("/users/me").json(&body).send().await.json(200);
        let stored = ada.get("/users/me").send().await.json(200);
        assert_eq!(answer, stored, "{body}");
        assert_eq!((&stored["first_name"], &stored["last_name"]), (&first, &last), "{body}");
    }
}

#[tokio::test]
async fn nothing_but_names_can_be_changed() {
    let app = TestApp::spawn().await;
    let ada = ada_lovelace(&app).await;
    let before = ada.get("/users/me").send().await.json(200);
    for (name, value) in [
        ("id", json!(1)),
        ("sub", json!(1)),
        ("email", json!("johndoe@example.com")),
        ("role", json!("admin")),
        ("roles", json!(["admin"])),
        ("password", json!("a better one this time")),
    ] {
        let body = json!({"first_name": "Augusta", name: value});
        ada.patch("/users/me").json(&body).send().await.assert_refused(400, "invalid_request");
    }
    assert_eq!(ada.get("/users/me").send().await.json(200), before);
    let again = ada.on_another_device().await;
    assert_eq!(jwt::claims(&again.tokens.access)["roles"], json!(["member"]));
}

#[tokio::test]
async fn names_that_cannot_be_taken_are_400_and_change_nothing() {
    let app = TestApp::spawn().await;
    let ada = ada_lovelace(&app).await;
    for (body, field) in [
        (json!({"first_name": "a".repeat(101), "last_name": "King"}), Some("first_name")),
        (json!({"first_name": "Augusta", "last_name": "Ki\u{0}ng"}), Some("last_name")),
        (json!({"first_name": 7}), Some("first_name")),
        (json!([]), None),
    ] {
        let answer = ada.patch("/users/me").json(&body).send().await;
        let problem = answer.assert_refused(400, "invalid_request");
        assert_eq!(problem["errors"][0]["field"].as_str(), field, "{body}");
    }
    let stored = ada.get("/users/me").send().await.json(200);
    assert_eq!((&stored["first_name"], &stored["last_name"]), (&json!("Ada"), &json!("Lovelace")));
}

#[tokio::test]
async fn an_account_is_for_its_owner_and_for_administrators() {
    let app = TestApp::spawn().await;
    let (ada, admin) = (ada_lovelace(&app).await, app.admin().await);
    let path = format!("/users/{}", ada.id);
    let expected = json!({
        "id": ada.id, "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com",
        "email_verified": false, "role": "member", "disabled": false, "external_id": null,
        "created_at": app.now()
    });
    assert_eq!(ada.get(&path).send().await.json(200), expected);
    assert_eq!(ada.get(&path).refresh(&ada.tokens.refresh).send().await.json(200), expected);
    assert_eq!(admin.get(&path).send().await.json(200), expected);
}

#[tokio::test]
async fn anybody_else_gets_what_a_missing_account_gets() {
    let app = TestApp::spawn().await;
    let (ada, eve) = (app.member("ada").await, app.member("eve").await);
    let other = eve.get(&format!("/users/{}", ada.id)).send().await;
    let missing = eve.get("/users/4711").send().await;
    other.assert_refused(404, "not_found");
    missing.assert_refused(404, "not_found");
    assert_eq!(other.text(), missing.text());
    app.admin().await.get("/users/4711").send().await.assert_refused(404, "not_found");
}

#[tokio::test]
async fn an_id_is_digits_only() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let too_large = "9".repeat(30);
    for id in ["+1", "-1", "01", "0", "1.0", "1e0", "1%20", "%2B1", "0x1", "ada", "me%20", &too_large] {
        admin.get(&format!("/users/{id}")).send().await.assert_refused(404, "not_found");
    }
    admin.get("/users/1").send().await.json(200);
}

#[tokio::test]
async fn whoever_is_not_logged_in_learns_nothing() {
    let app = TestApp::spawn().await;
    for path in ["/users/1", "/users/4711", "/users/ada", "/users/me", "/users"] {
        app.anonymous().get(path).send().await.assert_refused(401, "authentication_required");
    }
}
