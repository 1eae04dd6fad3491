//! What people and administrators do.

use hallpass::domain::email::Email;
use hallpass::domain::user::Role;
use hallpass::service::administration::NewAccount;
use hallpass::service::caller::Administrator;
use poem::http::Method;
use serde_json::{Value, json};

use super::{HOME, line, page, session_of, story, text};
use crate::support::{Actor, Answer, DAY, LoggedIn, MINUTE, PASSWORD, TestApp, on_both_flavours};

on_both_flavours! {
    accounts_and_logins_are_written_down,
    every_way_to_end_sessions_is_written_down,
    a_stolen_refresh_token_is_written_down,
    sessions_that_end_by_themselves_are_written_down_when_somebody_comes_for_them,
    passwords_are_written_down_by_what_happens_to_them,
    what_administrators_do_is_written_down,
}

async fn accounts_and_logins_are_written_down(app: TestApp) {
    let ada = app.member("ada").await;
    let before = page(&app.admin().await, "").await.len();
    log_in_from(&app, HOME, "ada@example.com", "wrong").await.assert_refused(401, "invalid_credentials");
    log_in_from(&app, HOME, "nobody@example.com", "wrong").await.assert_refused(401, "invalid_credentials");
    log_in_from(&app, HOME, "no address", "wrong").await.assert_refused(401, "invalid_credentials");
    let admin = app.admin().await;
    let disabling = admin.patch(&format!("/users/{}", ada.id)).json(&json!({"disabled": true}));
    disabling.send().await.json(200);
    log_in_from(&app, HOME, "ada@example.com", PASSWORD).await.assert_refused(403, "account_disabled");

    let by_ada = format!("user:{}", ada.id);
    assert_eq!(
        story(&admin, ada.id).await,
        [
            "account_created anonymous".to_owned(),
            format!("login_succeeded {by_ada}"),
            "login_failed anonymous wrong_password".to_owned(),
            format!("account_disabled user:{} (1)", admin.0.id),
            "login_failed anonymous account_disabled".to_owned(),
        ]
    );
    let all = page(&admin, "").await;
    assert_eq!(all.len(), before + 5, "what is no address at all is nobody's login: {all:?}");
    let login = page(&admin, &format!("user={}&action=login_succeeded", ada.id)).await.remove(0);
    assert_eq!(text(&login, "session"), session_of(&ada));
    assert_eq!(login["at"], app.now());
    let wrong = page(&admin, "reason=wrong_password").await.remove(0);
    assert_eq!((text(&wrong, "address"), &wrong["session"]), (HOME, &Value::Null));
    let unknown = page(&admin, "reason=unknown_account").await.remove(0);
    assert_eq!((text(&unknown, "address"), &unknown["user"]), (HOME, &Value::Null));
}

async fn log_in_from(app: &TestApp, address: &str, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    app.anonymous().post("/auth/login").json(&body).sent_from(address).send().await
}

async fn every_way_to_end_sessions_is_written_down(app: TestApp) {
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    let phone = ada.on_another_device().await;
    let laptop = ada.on_another_device().await;
    let tablet = ada.on_another_device().await;
    let logins = story(&admin, ada.id).await.len();

    phone.post("/auth/logout").sent_from(HOME).send().await.json(200);
    let one = format!("/auth/sessions/{}", session_of(&laptop));
    ada.delete(&one).sent_from(HOME).send().await.json(200);
    ada.delete("/auth/sessions").send().await.json(200);
    let phone = ada.on_another_device().await;
    ada.post("/auth/logout?scope=others").send().await.json(200);
    ada.post("/auth/logout?scope=global").sent_from(HOME).send().await.json(200);
    app.log_out(&ada.tokens.access).await.assert_refused(401, "token_revoked");
    let back = ada.on_another_device().await;
    admin.delete(&format!("/users/{}/sessions/{}", ada.id, session_of(&back))).send().await.json(200);
    ada.on_another_device().await;
    admin.delete(&format!("/users/{}/sessions", ada.id)).sent_from(HOME).send().await.json(200);

    let (by_ada, by_admin) = (format!("user:{}", ada.id), format!("user:{}", admin.0.id));
    assert_eq!(
        story(&admin, ada.id).await[logins..],
        [
            format!("session_ended {by_ada} logged_out"),
            format!("session_ended {by_ada} revoked_by_user"),
            format!("session_ended {by_ada} revoked_by_user"),
            format!("login_succeeded {by_ada}"),
            format!("session_ended {by_ada} logged_out"),
            format!("sessions_ended {by_ada} logged_out (1)"),
            format!("login_succeeded {by_ada}"),
            format!("session_ended {by_admin} revoked_by_admin"),
            format!("login_succeeded {by_ada}"),
            format!("sessions_ended {by_admin} revoked_by_admin (1)"),
        ]
    );
    for (person, count) in [(&laptop, 2), (&tablet, 2), (&phone, 2)] {
        assert_eq!(page(&admin, &format!("session={}", session_of(person))).await.len(), count);
    }
    assert_eq!(page(&admin, "action=session_ended&reason=logged_out").await.len(), 2);
    let kick = page(&admin, "action=sessions_ended").await.remove(0);
    assert_eq!((text(&kick, "address"), text(&kick, "session")), (HOME, &*session_of(&admin.0)));
    let everywhere = page(&admin, "action=sessions_ended&reason=logged_out").await.remove(0);
    assert_eq!((text(&everywhere, "address"), text(&everywhere, "session")), (HOME, &*session_of(&ada)));
}

async fn a_stolen_refresh_token_is_written_down(app: TestApp) {
    let mut ada = app.member("ada").await;
    let mut eve = app.member("eve").await;
    let (stolen, stolen_too) = (ada.tokens.refresh.clone(), eve.tokens.refresh.clone());
    ada.refresh().await;
    eve.refresh().await;
    app.advance(MINUTE);
    let theft = app.anonymous().post("/auth/refresh-token").refresh(&stolen).sent_from(HOME);
    theft.send().await.assert_refused(401, "refresh_token_reused");
    let theft = app.anonymous().get("/users/me").refresh(&stolen_too).sent_from(HOME);
    theft.send().await.assert_refused(401, "refresh_token_reused");
    app.refresh(&ada.tokens.refresh).await.assert_refused(401, "invalid_refresh_token");

    let admin = app.admin().await;
    for person in [&ada, &eve] {
        let reuse = page(&admin, &format!("reason=reuse_detected&user={}", person.id)).await;
        assert_eq!(reuse.len(), 1, "{reuse:?}");
        assert_eq!(line(&reuse[0]), "refresh_token_reused anonymous reuse_detected");
        assert_eq!((text(&reuse[0], "session"), text(&reuse[0], "address")), (&*session_of(person), HOME));
    }
}

async fn sessions_that_end_by_themselves_are_written_down_when_somebody_comes_for_them(app: TestApp) {
    let mut eve = app.member("eve").await;
    for _ in 0..4 {
        app.advance(DAY * 6);
        eve.refresh().await;
    }
    app.advance(DAY * 6);
    app.refresh(&eve.tokens.refresh).await.assert_refused(401, "session_expired");
    let admin = app.admin().await;
    let absolute = page(&admin, &format!("user={}&action=session_expired", eve.id)).await;
    assert_eq!(line(&absolute[0]), "session_expired anonymous absolute_timeout");
    assert_eq!(absolute[0]["session"], session_of(&eve));

    let bob = app.member("bob").await;
    app.advance(DAY * 7);
    app.auth_me_by_refresh_token(&bob.tokens.refresh).await.assert_refused(401, "session_expired");
    let admin = app.admin().await;
    let idle = page(&admin, &format!("user={}&action=session_expired", bob.id)).await;
    assert_eq!(line(&idle[0]), "session_expired anonymous idle_timeout");
}

async fn passwords_are_written_down_by_what_happens_to_them(app: TestApp) {
    let ada = app.member("ada").await;
    let mistaken = LoggedIn { password: "wrong".to_owned(), ..ada.clone() };
    mistaken.change_password("a better one this time").await.assert_refused(401, "invalid_credentials");
    ada.change_password("a better one this time").await.json(200);
    app.request_reset("nobody@example.com").await.json(200);
    let superseded = app.reset_token("ada@example.com").await;
    let token = app.reset_token("ada@example.com").await;
    app.reset_password("hp_pr_forged", "another good password")
        .await
        .assert_refused(400, "invalid_reset_token");
    for _ in 0..2 {
        let refused = app.reset_password(&superseded, "another good password").await;
        refused.assert_refused(400, "invalid_reset_token");
    }
    app.reset_password(&token, "another good password").await.json(200);

    let by_ada = format!("user:{}", ada.id);
    let admin = app.admin().await;
    assert_eq!(
        story(&admin, ada.id).await[2..],
        [
            format!("password_change_failed {by_ada} wrong_password"),
            format!("password_changed {by_ada} (1)"),
            format!("login_succeeded {by_ada} password_changed"),
            "password_reset_requested anonymous".to_owned(),
            "password_reset_requested anonymous".to_owned(),
            "password_reset_failed anonymous invalid_reset_token".to_owned(),
            format!("password_reset {by_ada} (1)"),
        ]
    );
    let requests = page(&admin, "action=password_reset_requested").await;
    assert_eq!(requests.len(), 3);
    assert_eq!((&requests[2]["user"], text(&requests[2], "reason")), (&Value::Null, "unknown_account"));
}

async fn what_administrators_do_is_written_down(app: TestApp) {
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    let path = format!("/users/{}", ada.id);
    let update = async |body: Value| admin.patch(&path).json(&body).sent_from(HOME).send().await.json(200);
    update(json!({"disabled": false, "role": "member"})).await;
    update(json!({"disabled": true, "role": "admin"})).await;
    update(json!({"disabled": false})).await;
    update(json!({"email": "countess@example.com"})).await;
    admin.post(&format!("{path}/password-reset")).send().await.json(200);
    admin.delete(&path).send().await.json(200);
    admin.delete(&path).send().await.assert_refused(404, "not_found");
    let account = NewAccount {
        email: Email::parse("bob@example.com").expect("an address"),
        password: Some(PASSWORD.to_owned()),
        first_name: None,
        last_name: None,
        role: Role::Member,
        metadata: Default::default(),
    };
    let administration = &app.services().administration;
    let bob = administration.create(Administrator::Operator, account).await.expect("an account").user;
    let password = "a better one this time".to_owned();
    administration.set_password(Administrator::Operator, bob.id, password).await.expect("done");

    let by_admin = format!("user:{}", admin.0.id);
    assert_eq!(
        story(&admin, ada.id).await[2..],
        [
            format!("role_changed {by_admin} (1)"),
            format!("account_disabled {by_admin}"),
            format!("account_enabled {by_admin} (0)"),
            format!("email_changed {by_admin} (0)"),
            format!("password_reset_requested {by_admin}"),
            format!("account_deleted {by_admin} (0)"),
        ],
        "what was so already is no news"
    );
    let disabling = page(&admin, "action=account_disabled").await.remove(0);
    assert_eq!((text(&disabling, "session"), text(&disabling, "address")), (&*session_of(&admin.0), HOME));
    assert_eq!(
        story(&admin, bob.id.get()).await,
        ["account_created operator", "password_changed operator (0)"]
    );
}

#[tokio::test]
async fn a_login_through_another_dialect_is_written_down_as_well() {
    let app = TestApp::spawn().await;
    let body = json!({"email": "ada@example.com", "name": "Ada", "password": "Engines weave 1843 patterns"});
    let created = app.anonymous().request(Method::POST, "/users").json(&body).send().await;
    assert_eq!(created.status, 201, "{created:?}");
    let admin = app.admin().await;
    let id = app.stored_user("ada@example.com").await.expect("an account").id.get();
    let expected = ["account_created anonymous".to_owned(), format!("login_succeeded user:{id}")];
    assert_eq!(story(&admin, id).await, expected);
}
