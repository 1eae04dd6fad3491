//! What administrators do under `/users/{id}`.

use hallpass::config::ResetDelivery;
use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{Actor, Admin, Answer, LoggedIn, PASSWORD, SECOND, TestApp, on_both_flavours};

on_both_flavours! {
    an_administrator_makes_an_account,
    an_account_without_a_password_gets_one_by_a_reset,
    a_disabled_account_is_shut_until_it_is_enabled,
    a_change_of_role_holds_from_the_next_login,
    a_change_of_address_moves_the_login,
    an_external_id_is_told_to_administrators_and_ends_nothing,
    a_deleted_account_is_gone_with_all_it_had,
    an_administrator_lists_and_ends_sessions,
    a_reset_for_an_account_goes_to_its_owner,
}

async fn update(admin: &Admin, id: i64, body: Value) -> Answer {
    admin.patch(&format!("/users/{id}")).json(&body).send().await
}

async fn create(admin: &Admin, body: &Value) -> Answer {
    admin.post("/users").json(body).send().await
}

async fn an_administrator_makes_an_account(app: TestApp) {
    let admin = app.admin().await;
    let body = json!({
        "email": "Ada@Example.com", "password": PASSWORD, "first_name": "Ada", "last_name": "Lovelace", "role": "admin",
    });
    let made = create(&admin, &body).await.json(201);
    let user = &made["user"];
    assert_eq!((&user["email"], &user["role"]), (&json!("ada@example.com"), &json!("admin")));
    assert_eq!((&user["email_verified"], &user["disabled"]), (&json!(true), &json!(false)));
    assert_eq!(made.get("passwordResetToken"), None, "it has a password");
    let ada = Admin(LoggedIn::log_in(&app, "ada@example.com", PASSWORD).await);
    ada.get("/users").send().await.json(200);

    create(&admin, &body).await.assert_refused(409, "email_taken");
    create(&admin, &json!({"email": "bob@example.com", "password": "short"}))
        .await
        .assert_refused(400, "weak_password");
    let wrong = create(&admin, &json!({"email": "x", "first_name": "a\nb", "password": "short"})).await;
    let problem = wrong.assert_refused(400, "invalid_request");
    let named: Vec<_> =
        problem["errors"].as_array().expect("errors").iter().map(|error| &error["field"]).collect();
    assert_eq!(named, ["email", "first_name", "password"]);
    for unknown in [
        json!({"email": "bob@example.com", "disabled": true}),
        json!({"email": "bob@example.com", "role": null}),
    ] {
        create(&admin, &unknown).await.assert_refused(400, "invalid_request");
    }
    let bob = json!({"email": "bob@example.com", "password": PASSWORD});
    let eve = app.member("eve").await;
    eve.post("/users").json(&bob).send().await.assert_refused(403, "forbidden");
    assert!(app.stored_user("bob@example.com").await.is_none());
}

async fn an_account_without_a_password_gets_one_by_a_reset(app: TestApp) {
    let admin = app.admin().await;
    let made = create(&admin, &json!({"email": "ada@example.com"})).await.json(201);
    app.log_in("ada@example.com", "").await.assert_refused(401, "invalid_credentials");
    app.log_in("ada@example.com", "!").await.assert_refused(401, "invalid_credentials");
    let token = made["passwordResetToken"].as_str().expect("the tests' service answers it").to_owned();
    app.reset_password(&token, PASSWORD).await.json(200);
    app.log_in("ada@example.com", PASSWORD).await.json(200);

    let silent = app.another_instance(|settings| settings.reset.delivery = ResetDelivery::Off).await;
    let silent = Admin(LoggedIn::log_in(&silent, "johndoe@example.com", "password").await);
    create(&silent, &json!({"email": "bob@example.com"})).await.assert_refused(409, "reset_unavailable");
    assert!(app.stored_user("bob@example.com").await.is_none());
}

/// `POST /users` is a sign-up in the access-tokens dialect; who comes with `Authorization` is never one.
#[tokio::test]
async fn a_request_with_authorization_is_never_a_sign_up() {
    let sign_up = json!({"email": "ada@example.com", "name": "Ada", "password": "Dilemma12"});
    let app = TestApp::spawn().await;
    let with =
        |said: &'static str| app.anonymous().post("/users").json(&sign_up).header("authorization", said);
    for said in ["Bearer x", "Basic eDp5", "Bearer", ""] {
        let answer = with(said).send().await;
        assert_eq!(answer.status, 401, "{said}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    assert!(app.stored_user("ada@example.com").await.is_none());
    app.anonymous().post("/users").json(&sign_up).send().await.tokens(201);
    let alone = TestApp::set(&["compat="]).await;
    let nobody = alone.anonymous().post("/users").json(&sign_up).send().await;
    nobody.assert_refused(401, "authentication_required");
}

async fn a_disabled_account_is_shut_until_it_is_enabled(app: TestApp) {
    let (ada, eve, admin) = (app.member("ada").await, app.member("eve").await, app.admin().await);

    let account = update(&admin, ada.id, json!({"disabled": true})).await.json(200);

    assert_eq!((&account["disabled"], &account["role"]), (&json!(true), &json!("member")));
    assert_eq!(account["email"], "ada@example.com");
    ada.assert_is_over().await;
    eve.assert_lives().await;
    app.log_in("ada@example.com", PASSWORD).await.assert_refused(403, "account_disabled");
    app.log_in("ada@example.com", "wrong").await.assert_refused(401, "invalid_credentials");
    // The reset is a decoy: as for an address without an account.
    let token = app.reset_token("ada@example.com").await;
    app.reset_password(&token, "another good password").await.assert_refused(400, "invalid_reset_token");

    update(&admin, ada.id, json!({"disabled": false})).await.json(200);
    ada.assert_is_over().await;
    app.log_in("ada@example.com", PASSWORD).await.json(200);
}

async fn a_change_of_role_holds_from_the_next_login(app: TestApp) {
    let (ada, admin) = (app.member("ada").await, app.admin().await);

    let account = update(&admin, ada.id, json!({"role": "admin"})).await.json(200);

    assert_eq!(account["role"], "admin");
    ada.assert_is_over().await;
    let promoted = Admin(LoggedIn::log_in(&app, "ada@example.com", PASSWORD).await);
    promoted.get("/users").send().await.json(200);

    // The sample administrator goes; the new one is the last then.
    update(&promoted, admin.0.id, json!({"role": "member"})).await.json(200);
    admin.0.assert_is_over().await;
    for last in [json!({"role": "member"}), json!({"disabled": true})] {
        update(&promoted, ada.id, last).await.assert_refused(409, "last_admin");
    }
    let deletion = promoted.delete(&format!("/users/{}", ada.id)).send().await;
    deletion.assert_refused(409, "last_admin");
    promoted.0.assert_lives().await;
}

async fn an_external_id_is_told_to_administrators_and_ends_nothing(app: TestApp) {
    let (ada, eve, admin) = (app.member("ada").await, app.member("eve").await, app.admin().await);

    let account = update(&admin, ada.id, json!({"external_id": " auth0|5f7 "})).await.json(200);
    assert_eq!(account["external_id"], "auth0|5f7");
    ada.assert_lives().await;
    let path = format!("/users/{}", ada.id);
    assert_eq!(admin.get(&path).send().await.json(200)["external_id"], "auth0|5f7");
    let list = admin.get("/users").send().await.json(200);
    let listed = |id: i64| list.as_array().expect("a list").iter().find(|user| user["id"] == id).cloned();
    assert_eq!(listed(ada.id).expect("listed")["external_id"], "auth0|5f7");
    assert_eq!(listed(eve.id).expect("listed")["external_id"], Value::Null);

    let taken = json!({"external_id": "auth0|5f7"});
    update(&admin, eve.id, taken.clone()).await.assert_refused(409, "external_id_taken");
    update(&admin, ada.id, taken).await.json(200);
    for bad in ["x".repeat(129), "a\nb".to_owned()] {
        let problem = update(&admin, eve.id, json!({"external_id": bad})).await;
        assert_eq!(problem.assert_refused(400, "invalid_request")["errors"][0]["field"], "external_id");
    }
    let cleared = update(&admin, ada.id, json!({"external_id": ""})).await.json(200);
    assert_eq!(cleared["external_id"], Value::Null);
    ada.assert_lives().await;
    let own = json!({"external_id": "mine"});
    ada.patch(&path).json(&own).send().await.assert_refused(403, "forbidden");
}

async fn a_change_of_address_moves_the_login(app: TestApp) {
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    app.member("eve").await;

    update(&admin, ada.id, json!({"email": "eve@example.com"})).await.assert_refused(409, "email_taken");
    ada.assert_lives().await;
    let problem = update(&admin, ada.id, json!({"email": "nowhere"})).await;
    assert_eq!(problem.assert_refused(400, "invalid_request")["errors"][0]["field"], "email");

    let account = update(&admin, ada.id, json!({"email": "Countess@Example.com"})).await.json(200);
    assert_eq!(account["email"], "countess@example.com");
    ada.assert_is_over().await;
    app.log_in("ada@example.com", PASSWORD).await.assert_refused(401, "invalid_credentials");
    app.log_in("countess@example.com", PASSWORD).await.json(200);
}

async fn a_deleted_account_is_gone_with_all_it_had(app: TestApp) {
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    let path = format!("/users/{}", ada.id);
    let reset = app.reset_token("ada@example.com").await;

    admin.delete(&path).send().await.json(200);

    ada.assert_is_over().await;
    app.reset_password(&reset, "another good password").await.assert_refused(400, "invalid_reset_token");
    app.log_in("ada@example.com", PASSWORD).await.assert_refused(401, "invalid_credentials");
    for gone in [admin.get(&path), admin.delete(&path), admin.get(&format!("{path}/sessions"))] {
        gone.send().await.assert_refused(404, "not_found");
    }
    let successor = app.member("ada").await;
    assert!(successor.id > ada.id, "an id is never given twice");
    ada.assert_is_over().await;
}

async fn an_administrator_lists_and_ends_sessions(app: TestApp) {
    let (ada, eve, admin) = (app.member("ada").await, app.member("eve").await, app.admin().await);
    let phone = ada.on_another_device().await;
    app.advance(SECOND);
    let laptop = ada.on_another_device().await;
    let path = format!("/users/{}/sessions", ada.id);
    let list = async || admin.get(&path).send().await.json(200).as_array().expect("a list").clone();

    assert_eq!(list().await.len(), 3);
    assert!(list().await.iter().all(|session| session["current"] == json!(false)));
    let newest = format!("{path}/{}", list().await[0]["id"].as_str().expect("an id"));
    admin.delete(&newest).send().await.json(200);
    laptop.assert_is_over().await;
    phone.assert_lives().await;
    admin.delete(&newest).send().await.assert_refused(404, "not_found");
    // Somebody else's session is not this account's.
    let sid = eve.get("/auth/sessions").send().await.json(200)[0]["id"].as_str().expect("an id").to_owned();
    admin.delete(&format!("{path}/{sid}")).send().await.assert_refused(404, "not_found");
    eve.assert_lives().await;

    assert_eq!(admin.delete(&path).send().await.json(200)["ended"], 2);
    ada.assert_is_over().await;
    phone.assert_is_over().await;
    eve.assert_lives().await;
    assert!(list().await.is_empty());
    app.log_in("ada@example.com", PASSWORD).await.json(200);
}

async fn a_reset_for_an_account_goes_to_its_owner(app: TestApp) {
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    let path = format!("/users/{}/password-reset", ada.id);

    let answer = admin.post(&path).send().await.tokens(200);

    ada.assert_lives().await;
    let token = answer["passwordResetToken"].as_str().expect("a reset token");
    app.reset_password(token, "another good password").await.json(200);
    ada.assert_is_over().await;
    app.log_in("ada@example.com", "another good password").await.json(200);

    update(&admin, ada.id, json!({"disabled": true})).await.json(200);
    admin.post(&path).send().await.assert_refused(404, "not_found");
}

#[tokio::test]
async fn where_no_reset_tokens_are_made_an_administrator_is_told() {
    let app = TestApp::set(&["reset.delivery=off"]).await;
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    let path = format!("/users/{}/password-reset", ada.id);
    admin.post(&path).send().await.assert_refused(409, "reset_unavailable");
}

#[tokio::test]
async fn members_administer_nobody_not_even_themselves() {
    let app = TestApp::spawn().await;
    let (ada, eve) = (app.member("ada").await, app.member("eve").await);
    for id in [ada.id, eve.id, 999] {
        for (method, place) in [
            (Method::DELETE, ""),
            (Method::POST, "/password-reset"),
            (Method::GET, "/sessions"),
            (Method::DELETE, "/sessions"),
            (Method::DELETE, "/sessions/00000000-0000-0000-0000-000000000001"),
        ] {
            let answer = ada.request(method, &format!("/users/{id}{place}")).send().await;
            answer.assert_refused(403, "forbidden");
        }
        let promotion = ada.patch(&format!("/users/{id}")).json(&json!({"role": "admin"})).send().await;
        promotion.assert_refused(403, "forbidden");
    }
    ada.assert_lives().await;
    eve.assert_lives().await;
}

#[tokio::test]
async fn what_is_so_already_ends_no_session() {
    let app = TestApp::spawn().await;
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    for same in [
        json!({}),
        json!({"disabled": null, "email": null}),
        json!({"role": "member", "disabled": false, "email": "ADA@example.com"}),
    ] {
        update(&admin, ada.id, same).await.json(200);
    }
    ada.assert_lives().await;
}

#[tokio::test]
async fn a_change_that_cannot_be_read_changes_nothing() {
    let app = TestApp::spawn().await;
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    for body in [
        json!({"role": "root"}),
        json!({"disabled": "yes"}),
        json!({"role": 1}),
        json!({"role": null}),
        json!([]),
    ] {
        update(&admin, ada.id, body).await.assert_refused(400, "invalid_request");
    }
    ada.assert_lives().await;
}

#[tokio::test]
async fn the_answer_to_an_administrator_who_ended_themselves_renews_nothing() {
    let app = TestApp::spawn().await;
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    update(&admin, ada.id, json!({"role": "admin"})).await.json(200);
    let path = format!("/users/{}/sessions", admin.0.id);
    // By the refresh token alone, a new access token would travel in a header.
    let answer = app.anonymous().delete(&path).refresh(&admin.0.tokens.refresh).send().await;
    assert_eq!(answer.json(200)["ended"], 1);
    assert_eq!(answer.header("x-access-token"), None);
    admin.0.assert_is_over().await;
}
