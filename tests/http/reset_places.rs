//! Reset tokens are kept for each place that one was asked for at: what strangers ask for takes nothing
//! from the owner.

use hallpass::config::ResetDelivery;
use poem::http::HeaderMap;
use serde_json::json;

use crate::support::{Actor, Answer, MILLISECOND, MINUTE, PASSWORD, TestApp, on_both_flavours};

const EMAIL: &str = "ada@example.com";
const NEW: &str = "a better one this time";
const HOME: &str = "192.0.2.1";
const NEW_PLACE: &str = "203.0.113.9";
const STRANGER: &str = "198.51.100.7";

on_both_flavours! {
    one_stranger_locks_no_owner_out_of_a_new_place,
    a_reset_is_the_way_in_where_nothing_is_left_for_the_right_password,
    a_request_voids_the_token_of_its_own_place_alone,
    a_used_token_and_a_security_event_void_those_of_all_places,
    a_fifth_place_is_answered_alike_and_gets_nothing,
    an_administrator_sends_a_token_whatever_strangers_have_asked_for,
}

async fn mailing(app: &TestApp) -> TestApp {
    app.another_instance(|settings| settings.reset.delivery = ResetDelivery::Smtp).await
}

async fn request(app: &TestApp, from: &str, email: &str) -> Answer {
    let request = app.anonymous().post("/auth/reset-password-request").json(&json!({"email": email}));
    request.sent_from(from).send().await
}

/// Requests a token, which comes in the answer.
async fn token(app: &TestApp, from: &str) -> String {
    let answer = request(app, from, EMAIL).await.tokens(200);
    answer["passwordResetToken"].as_str().expect("a token").to_owned()
}

async fn log_in(app: &TestApp, from: &str, password: &str) -> Answer {
    let body = json!({"email": EMAIL, "password": password});
    app.anonymous().post("/auth/login").json(&body).sent_from(from).send().await
}

async fn assert_void(app: &TestApp, token: &str) {
    app.reset_password(token, "from an old mail").await.assert_refused(400, "invalid_reset_token");
}

/// Eighty-one requests used to be enough, under the limits that hold by default.
async fn one_stranger_locks_no_owner_out_of_a_new_place(app: TestApp) {
    let app = mailing(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    request(&app, HOME, EMAIL).await.json(200);
    let in_the_mail = app.outbox().reset_token(EMAIL);
    let (mut guesses, mut mails) = (0, 0);
    for _ in 0..61 {
        guesses += u32::from(log_in(&app, STRANGER, "not the password").await.status == 401);
    }
    for _ in 0..20 {
        mails += u32::from(request(&app, STRANGER, EMAIL).await.status == 200);
    }
    assert_eq!((guesses, mails), (20, 6), "a third of what the account has");
    assert_eq!(app.outbox().take().len(), 6);

    log_in(&app, NEW_PLACE, PASSWORD).await.json(200);
    request(&app, NEW_PLACE, EMAIL).await.json(200);
    app.outbox().reset_token(EMAIL);
    app.reset_password(&in_the_mail, NEW).await.json(200);
    log_in(&app, NEW_PLACE, NEW).await.json(200);
}

/// To let it through would tell the guesser that it is right.
async fn a_reset_is_the_way_in_where_nothing_is_left_for_the_right_password(app: TestApp) {
    let app = mailing(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    for place in 1..=3 {
        for _ in 0..20 {
            let guess = log_in(&app, &format!("198.51.100.{place}"), "not the password").await;
            guess.assert_refused(401, "invalid_credentials");
        }
    }
    log_in(&app, NEW_PLACE, PASSWORD).await.assert_refused(429, "rate_limited");
    request(&app, NEW_PLACE, EMAIL).await.json(200);
    let body = json!({"resetToken": app.outbox().reset_token(EMAIL), "newPassword": NEW});
    let reset = app.anonymous().post("/auth/reset-password").json(&body).sent_from(NEW_PLACE);
    reset.send().await.json(200);
    log_in(&app, NEW_PLACE, NEW).await.json(200);
    log_in(&app, HOME, NEW).await.assert_refused(429, "rate_limited");
}

async fn a_request_voids_the_token_of_its_own_place_alone(app: TestApp) {
    app.register(EMAIL, PASSWORD).await.json(201);
    let owners = token(&app, HOME).await;
    // All addresses of an IPv6 network of 64 bits are one place.
    let first = token(&app, "2001:db8:1:2::1").await;
    let second = token(&app, "2001:db8:1:2:ffff::1").await;
    let other = token(&app, "2001:db8:1:3::1").await;
    assert_void(&app, &first).await;
    for live in [&second, &other, &owners] {
        app.reset_password(live, "short").await.assert_refused(400, "weak_password");
    }
    app.reset_password(&owners, NEW).await.json(200);
}

async fn a_used_token_and_a_security_event_void_those_of_all_places(app: TestApp) {
    let ada = app.member("ada").await;
    let [used, other] = [token(&app, HOME).await, token(&app, STRANGER).await];
    app.reset_password(&used, NEW).await.json(200);
    assert_void(&app, &other).await;
    ada.assert_is_over().await;

    let tokens = [token(&app, HOME).await, token(&app, STRANGER).await];
    let (ada, _) = (ada, app.advance(MINUTE));
    let body = json!({"currentPassword": NEW, "newPassword": "one more, and better"});
    let access = log_in(&app, HOME, NEW).await.tokens(200)["accessToken"].as_str().expect("one").to_owned();
    let change = app.anonymous().post("/auth/change-password").access(&access).json(&body);
    change.send().await.json(200);
    for token in &tokens {
        assert_void(&app, token).await;
    }
    ada.assert_is_over().await;
}

fn shown(answer: &Answer) -> (u16, HeaderMap, serde_json::Value) {
    let mut headers = answer.headers.clone();
    headers.remove("x-request-id");
    let mut body = answer.tokens(200);
    if let Some(token) = body.get_mut("passwordResetToken") {
        *token = json!(token.as_str().expect("a token").len());
    }
    (answer.status, headers, body)
}

async fn a_fifth_place_is_answered_alike_and_gets_nothing(app: TestApp) {
    app.register(EMAIL, PASSWORD).await.json(201);
    let mailing = mailing(&app).await;
    let mut tokens = Vec::new();
    for place in 1..=3 {
        tokens.push(token(&app, &format!("198.51.100.{place}")).await);
        request(&app, &format!("198.51.100.{place}"), "nobody@example.com").await;
    }
    let fourth = request(&app, STRANGER, EMAIL).await;
    let fourth_of_nobody = request(&app, STRANGER, "nobody@example.com").await;
    let fifth = request(&app, NEW_PLACE, EMAIL).await;
    let fifth_of_nobody = request(&app, NEW_PLACE, "nobody@example.com").await;
    assert_eq!(shown(&fifth), shown(&fourth));
    assert_eq!(shown(&fifth_of_nobody), shown(&fourth_of_nobody));
    assert_void(&app, fifth.tokens(200)["passwordResetToken"].as_str().expect("a token")).await;
    for live in &tokens {
        app.reset_password(live, "short").await.assert_refused(400, "weak_password");
    }
    request(&mailing, NEW_PLACE, EMAIL).await.json(200);
    assert_eq!(app.outbox().take(), []);
    // A place that has one gets its next.
    request(&mailing, STRANGER, EMAIL).await.json(200);
    app.outbox().reset_token(EMAIL);

    let admin = app.admin().await;
    for instance in [&app, &mailing] {
        instance.services().audit.flush(MINUTE).await;
    }
    let path = "/audit?action=password_reset_requested";
    let entries = admin.get(path).send().await.json(200);
    let reason =
        entries.as_array().expect("a list").iter().filter(|entry| entry["reason"] == "too_many_places");
    assert_eq!(reason.map(|entry| entry["address"].clone()).collect::<Vec<_>>(), [NEW_PLACE, NEW_PLACE]);

    app.advance(MINUTE * 10 - MILLISECOND);
    request(&mailing, NEW_PLACE, EMAIL).await.json(200);
    assert_eq!(app.outbox().take(), []);
    app.advance(MILLISECOND);
    request(&mailing, NEW_PLACE, EMAIL).await.json(200);
    app.reset_password(&app.outbox().reset_token(EMAIL), NEW).await.json(200);
}

async fn an_administrator_sends_a_token_whatever_strangers_have_asked_for(app: TestApp) {
    let (ada, admin, app) = (app.member("ada").await, app.admin().await, mailing(&app).await);
    for place in 1..=5 {
        request(&app, &format!("198.51.100.{place}"), EMAIL).await.json(200);
    }
    assert_eq!(app.outbox().take().len(), 4);
    let send = async || {
        let path = format!("/users/{}/password-reset", ada.id);
        let access = &admin.0.tokens.access;
        app.anonymous().post(&path).access(access).send().await.json(200);
        app.outbox().reset_token(EMAIL)
    };
    let (older, newest) = (send().await, send().await);
    assert_void(&app, &older).await;
    app.reset_password(&newest, NEW).await.json(200);
}
