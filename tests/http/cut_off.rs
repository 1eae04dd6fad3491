//! The one cut-off: whatever happens to an account's security, nothing of before is left.

use std::time::Duration;

use futures_util::future::join_all;
use hallpass::domain::ids::SessionId;
use hallpass::domain::rate_limit::LimitRules;
use hallpass::domain::session::NewSession;
use hallpass::domain::session_origin::SessionOrigin;
use hallpass::domain::user::User;
use hallpass::store::OpenOutcome;
use serde_json::json;
use uuid::Uuid;

use crate::support::{Actor, Admin, LoggedIn, MINUTE, PASSWORD, TestApp, Tokens, on_all_flavours};

/// What happens to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    PasswordChange,
    PasswordReset,
    Disable,
    Enable,
    Delete,
    RoleChange,
    EmailChange,
    Kick,
    LogoutEverywhere,
}

const EVENTS: [Event; 9] = [
    Event::PasswordChange,
    Event::PasswordReset,
    Event::Disable,
    Event::Enable,
    Event::Delete,
    Event::RoleChange,
    Event::EmailChange,
    Event::Kick,
    Event::LogoutEverywhere,
];

const NEW_PASSWORD: &str = "another good password";

/// Everything that somebody can hold.
struct Holdings {
    main: LoggedIn,
    nest: Tokens,
    access_tokens: Tokens,
    reset: String,
    /// The account as a login saw it that has checked the password and not opened its session yet.
    seen: User,
}

impl Holdings {
    async fn of_new_account(app: &TestApp, name: &str) -> Self {
        let main = app.member(name).await;
        let credentials = json!({"email": main.email, "password": PASSWORD});
        let nest = app.anonymous().post("/auth/signin").json(&credentials).send().await.tokens(200);
        let pair = app.anonymous().post("/access-tokens").json(&credentials).send().await.tokens(200);
        let text = |value: &serde_json::Value| value.as_str().expect("a token").to_owned();
        Self {
            reset: app.reset_token(&main.email).await,
            seen: app.stored_user(&main.email).await.expect("the account"),
            nest: Tokens::of(&nest),
            access_tokens: Tokens { access: text(&pair["jwt"]), refresh: text(&pair["refresh_token"]) },
            main,
        }
    }

    async fn assert_are_worth_nothing(&self, app: &TestApp, event: Event) {
        println!("after {event:?}");
        self.main.assert_is_over().await;
        app.auth_me(&self.main.tokens.access, &self.main.tokens.refresh)
            .await
            .assert_refused(401, "token_revoked");

        let anonymous = app.anonymous();
        let signed_in = anonymous.get("/users/me").access(&self.nest.access).send().await;
        signed_in.assert_refused(401, "token_revoked");
        let refresh = anonymous.post("/auth/refresh").access(&self.nest.refresh).send().await;
        refresh.assert_refused(401, "invalid_refresh_token");

        let Tokens { access, refresh } = &self.access_tokens;
        assert_eq!(anonymous.get("/me").header("x-access-token", access).send().await.status, 401);
        let renewal = anonymous.post("/access-tokens/refresh").header("x-access-token", access);
        let renewal = renewal.json(&json!({"refresh_token": refresh})).send().await;
        assert_eq!(renewal.status, 401, "{renewal:?}");

        let reset = app.reset_password(&self.reset, "a third good password").await;
        reset.assert_refused(400, "invalid_reset_token");
        let opened = open_as_seen(app, &self.seen).await;
        assert!(matches!(opened, OpenOutcome::Superseded { .. }), "{opened:?}");
    }
}

/// Opens a session as a login does that has checked the password of the account as it was then.
async fn open_as_seen(app: &TestApp, seen: &User) -> OpenOutcome {
    let origin = SessionOrigin::new(None, None, "hallpass");
    let session = NewSession::of(seen, SessionId::from(Uuid::from_u128(7)), app.timestamp(), origin);
    app.token_store().open_session(&session, &app.lifetimes()).await.expect("a token store that answers")
}

async fn bring_about(event: Event, app: &TestApp, admin: &Admin, ada: &LoggedIn) {
    let path = format!("/users/{}", ada.id);
    let update = |body| admin.patch(&path).json(&body).send();
    match event {
        Event::PasswordChange => {
            ada.change_password(NEW_PASSWORD).await.tokens(200);
        }
        Event::PasswordReset => {
            let token = app.reset_token(&ada.email).await;
            app.reset_password(&token, NEW_PASSWORD).await.json(200);
        }
        Event::Disable => {
            update(json!({"disabled": true})).await.json(200);
        }
        Event::Enable => {
            update(json!({"disabled": true})).await.json(200);
            update(json!({"disabled": false})).await.json(200);
        }
        Event::Delete => {
            admin.delete(&path).send().await.json(200);
        }
        Event::RoleChange => {
            update(json!({"role": "admin"})).await.json(200);
        }
        Event::EmailChange => {
            update(json!({"email": format!("new-{}", ada.email)})).await.json(200);
        }
        Event::Kick => {
            admin.delete(&format!("{path}/sessions")).send().await.json(200);
        }
        Event::LogoutEverywhere => {
            ada.post("/auth/logout?scope=global").send().await.json(200);
        }
    }
}

on_all_flavours! {
    nothing_of_before_outlives_an_event,
    nobody_elses_tokens_are_touched,
    a_hundred_refreshes_that_race_an_event_leave_none_alive,
    logins_that_race_a_log_out_everywhere_are_dead_or_newer,
}

async fn nothing_of_before_outlives_an_event(app: TestApp) {
    for (n, event) in EVENTS.into_iter().enumerate() {
        let admin = app.admin().await;
        let held = Holdings::of_new_account(&app, &format!("user{n}")).await;
        bring_about(event, &app, &admin, &held.main).await;
        held.assert_are_worth_nothing(&app, event).await;
        // Nor does it come back when time goes by and denials are forgotten.
        app.advance(Duration::from_secs(20 * 60));
        app.refresh(&held.main.tokens.refresh).await.assert_refused(401, "invalid_refresh_token");
        app.me(&held.main.tokens.access).await.assert_refused(401, "token_expired");
    }
}

async fn nobody_elses_tokens_are_touched(app: TestApp) {
    let (eve, admin) = (app.member("eve").await, app.admin().await);
    for (n, event) in EVENTS.into_iter().enumerate() {
        let ada = app.member(&format!("user{n}")).await;
        bring_about(event, &app, &admin, &ada).await;
        eve.assert_lives().await;
        admin.0.assert_lives().await;
    }
}

async fn a_hundred_refreshes_that_race_an_event_leave_none_alive(app: TestApp) {
    let admin = app.admin().await;
    for (n, event) in EVENTS.into_iter().enumerate() {
        let ada = app.member(&format!("user{n}")).await;
        let mut devices = vec![ada.clone()];
        for _ in 0..4 {
            devices.push(ada.on_another_device().await);
        }
        let racing: Vec<_> = (0..100)
            .map(|n| {
                let (app, token) = (app.clone(), devices[n % devices.len()].tokens.refresh.clone());
                tokio::spawn(async move { app.refresh(&token).await })
            })
            .collect();
        bring_about(event, &app, &admin, &ada).await;
        for answer in join_all(racing).await {
            let answer = answer.expect("an answer");
            if answer.status == 200 {
                let tokens = Tokens::of(&answer.tokens(200));
                app.me(&tokens.access).await.assert_refused(401, "token_revoked");
                app.refresh(&tokens.refresh).await.assert_refused(401, "invalid_refresh_token");
            } else {
                answer.assert_refused(401, "invalid_refresh_token");
            }
        }
        for device in &devices {
            device.assert_is_over().await;
        }
        // So many failing refreshes are what one address has in a minute.
        app.advance(MINUTE);
    }
}

async fn logins_that_race_a_log_out_everywhere_are_dead_or_newer(app: TestApp) {
    let app = app.hashing_all_at_once().await;
    // Else fifty at once meet the limit of their place, which each pays until its password proves right.
    let app = app.another_instance(|settings| settings.rate_limits = LimitRules::default()).await;
    let ada = app.member("ada").await;
    let racing: Vec<_> = (0..50)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move { app.log_in("ada@example.com", PASSWORD).await })
        })
        .collect();
    ada.post("/auth/logout?scope=global").send().await.json(200);
    let after = ada.on_another_device().await;
    for answer in join_all(racing).await {
        let answer = answer.expect("an answer");
        // Refused, since it was overtaken; or of before, hence dead; or of after, hence alive.
        if answer.status != 200 {
            answer.assert_refused(401, "invalid_credentials");
        }
    }
    ada.assert_is_over().await;
    after.assert_lives().await;
    let live = after.get("/auth/sessions").send().await.json(200);
    let seen = app.stored_user("ada@example.com").await.expect("the account");
    let listed = app.token_store().list_sessions(seen.id, None, 1_000).await.expect("an answer");
    assert_eq!(live.as_array().map(Vec::len), Some(listed.len()));
    assert!(listed.iter().all(|session| session.security_version == seen.security_version));
}
