//! Roles: those of the settings, several to an account, and the scopes that they give.

use hallpass::domain::roles::KnownRoles;
use serde_json::{Value, json};

use crate::support::{Actor, Admin, Answer, LoggedIn, PASSWORD, TestApp, jwt, on_both_flavours};

on_both_flavours! {
    roles_are_set_as_a_whole_and_end_the_sessions,
    what_no_account_can_have_is_refused,
    the_one_role_goes_on_as_before,
    a_proxy_asks_for_any_role,
    roles_give_scopes_to_tokens,
}

/// The same service, which knows three roles more.
async fn knowing(app: &TestApp) -> TestApp {
    let names = ["editor", "support", "billing:eu"].map(|name| name.parse().expect("a name"));
    app.another_instance(|settings| settings.roles = KnownRoles::with(names)).await
}

async fn update(admin: &Admin, id: i64, body: Value) -> Answer {
    admin.patch(&format!("/users/{id}")).json(&body).send().await
}

async fn administrator(app: &TestApp) -> Admin {
    Admin(LoggedIn::log_in(app, "johndoe@example.com", "password").await)
}

/// Somebody with these roles, newly logged in.
async fn with_roles(app: &TestApp, name: &str, roles: &[&str]) -> LoggedIn {
    let somebody = app.member(name).await;
    update(&administrator(app).await, somebody.id, json!({"roles": roles})).await.json(200);
    LoggedIn::log_in(app, &somebody.email, PASSWORD).await
}

async fn roles_are_set_as_a_whole_and_end_the_sessions(app: TestApp) {
    let app = knowing(&app).await;
    let (ada, admin) = (app.member("ada").await, administrator(&app).await);
    let account = update(&admin, ada.id, json!({"roles": ["support", "editor", "support"]})).await.json(200);
    assert_eq!((&account["roles"], &account["role"]), (&json!(["editor", "support"]), &json!("member")));
    ada.assert_is_over().await;
    let ada = LoggedIn::log_in(&app, &ada.email, PASSWORD).await;
    assert_eq!(jwt::claims(&ada.tokens.access)["roles"], json!(["editor", "support"]));
    let mut later = ada.clone();
    later.refresh().await;
    assert_eq!(jwt::claims(&later.tokens.access)["roles"], json!(["editor", "support"]));
    let said = app.auth_me_by_refresh_token(&later.tokens.refresh).await.tokens(200);
    let renewed = jwt::claims(said["accessToken"].as_str().expect("a token"));
    assert_eq!(renewed["roles"], json!(["editor", "support"]));

    // What is so already ends nothing.
    update(&admin, ada.id, json!({"roles": ["support", "editor"]})).await.json(200);
    later.assert_lives().await;
    update(&admin, ada.id, json!({"roles": ["editor", "admin"]})).await.json(200);
    later.assert_is_over().await;
    let ada = Admin(LoggedIn::log_in(&app, &ada.email, PASSWORD).await);
    let path = format!("/users/{}", ada.0.id);
    let seen = ada.get(&path).send().await.json(200);
    assert_eq!((&seen["roles"], &seen["role"]), (&json!(["admin", "editor"]), &json!("admin")));
    let entries = admin.get(&format!("/audit?user={}&action=role_changed", ada.0.id)).send().await.json(200);
    assert_eq!(entries.as_array().map(Vec::len), Some(2), "{entries}");
}

async fn what_no_account_can_have_is_refused(app: TestApp) {
    let app = knowing(&app).await;
    let (ada, admin) = (app.member("ada").await, administrator(&app).await);
    for body in [
        json!({"roles": ["root"]}),
        json!({"roles": ["editor", "Editor"]}),
        json!({"roles": ["editor "]}),
        json!({"roles": [""]}),
        json!({"roles": []}),
        json!({"roles": "editor"}),
        json!({"roles": [1]}),
        json!({"roles": {"editor": true}}),
        json!({"roles": ["editor"], "role": "member"}),
        json!({"roles": ["root"], "disabled": true}),
        json!({"role": "editor"}),
    ] {
        update(&admin, ada.id, body.clone()).await.assert_refused(400, "invalid_request");
    }
    ada.patch(&format!("/users/{}", ada.id))
        .json(&json!({"roles": ["admin"]}))
        .send()
        .await
        .assert_refused(403, "forbidden");
    let own = ada.patch("/users/me").json(&json!({"roles": ["admin"]})).send().await;
    own.assert_refused(400, "invalid_request");
    ada.assert_lives().await;
    let account = update(&admin, ada.id, json!({"external_id": "1"})).await.json(200);
    assert_eq!(account["roles"], json!(["member"]));
    // The last administrator stays one.
    let last = update(&admin, admin.0.id, json!({"roles": ["editor", "member"]})).await;
    last.assert_refused(409, "last_admin");
    update(&admin, admin.0.id, json!({"roles": ["editor", "admin"]})).await.json(200);
}

async fn the_one_role_goes_on_as_before(app: TestApp) {
    let app = knowing(&app).await;
    let admin = administrator(&app).await;
    let ada = with_roles(&app, "ada", &["editor", "member"]).await;
    let path = format!("/users/{}", ada.id);
    // Its owner is answered what always was.
    let own = ada.get(&path).send().await.json(200);
    let names: Vec<&str> = own.as_object().expect("an object").keys().map(String::as_str).collect();
    let before = [
        "id",
        "first_name",
        "last_name",
        "email",
        "email_verified",
        "role",
        "disabled",
        "external_id",
        "created_at",
    ];
    assert_eq!(names, before);
    assert_eq!(own["role"], "member");
    assert_eq!(ada.get("/users/me").send().await.json(200)["role"], "member");
    update(&admin, ada.id, json!({"role": "member"})).await.json(200);
    ada.assert_lives().await;
    let account = update(&admin, ada.id, json!({"role": "admin"})).await.json(200);
    assert_eq!((&account["role"], &account["roles"]), (&json!("admin"), &json!(["admin", "editor"])));
    ada.assert_is_over().await;
    let account = update(&admin, ada.id, json!({"role": "member"})).await.json(200);
    assert_eq!((&account["role"], &account["roles"]), (&json!("member"), &json!(["editor", "member"])));
}

async fn a_proxy_asks_for_any_role(app: TestApp) {
    let app = knowing(&app).await;
    let ada = with_roles(&app, "ada", &["editor", "billing:eu"]).await;
    let passed = ada.get("/forward-auth?role=editor").send().await;
    assert_eq!((passed.status, passed.header("remote-groups")), (200, Some("billing:eu,editor")));
    assert_eq!(ada.get("/forward-auth?role=billing%3Aeu").send().await.status, 200);
    for role in ["support", "admin", "member"] {
        ada.get(&format!("/forward-auth?role={role}")).send().await.assert_refused(403, "forbidden");
    }
    for role in ["root", "Editor", "editor,member", "editor%20", ""] {
        ada.get(&format!("/forward-auth?role={role}")).send().await.assert_refused(400, "invalid_request");
    }
    let admin = administrator(&app).await;
    assert_eq!(admin.get("/forward-auth?role=admin").send().await.status, 200);
    admin.get("/forward-auth?role=editor").send().await.assert_refused(403, "forbidden");
}

async fn roles_give_scopes_to_tokens(app: TestApp) {
    let app = knowing(&app).await;
    let scopes = [("editor", "articles:write articles:read"), ("support", "tickets articles:read")];
    let scopes = scopes.map(|(role, words)| (role.parse().expect("a name"), words.parse().expect("scopes")));
    let app = app.another_instance(|settings| settings.role_scopes = scopes.into_iter().collect()).await;
    let scope = |somebody: &LoggedIn| jwt::claims(&somebody.tokens.access).get("scope").cloned();
    assert_eq!(scope(&app.member("bob").await), None);
    let mut ada = with_roles(&app, "ada", &["editor", "support", "member"]).await;
    assert_eq!(scope(&ada), Some(json!("articles:read articles:write tickets")));
    ada.refresh().await;
    assert_eq!(scope(&ada), Some(json!("articles:read articles:write tickets")));
    let eve = with_roles(&app, "eve", &["support"]).await;
    assert_eq!(scope(&eve), Some(json!("articles:read tickets")));
    // It makes nobody a machine, nor gives what machines may here.
    eve.assert_lives().await;
    eve.get("/revocations").send().await.assert_refused(403, "insufficient_scope");
}
