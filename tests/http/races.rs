//! Fifty at once, on both flavours; and what a thief gets.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use hallpass::domain::rate_limit::LimitRules;
use serde_json::json;

use crate::support::{Actor, Answer, LoggedIn, PASSWORD, Request, SECOND, TestApp, Tokens, on_both_flavours};

on_both_flavours! {
    fifty_refreshes_of_one_token_give_one_successor,
    a_replay_after_the_grace_period_ends_its_session_and_no_other,
    a_replay_where_nothing_is_rotated_ends_its_session_too,
    of_fifty_uses_of_one_reset_token_one_succeeds,
    of_fifty_registrations_of_one_address_one_succeeds,
    of_fifty_logouts_of_one_session_one_succeeds,
    of_fifty_password_changes_one_succeeds,
    refreshes_that_race_with_a_reset_save_no_session,
    logins_that_race_with_a_reset_save_no_session,
}

const CALLERS: usize = 50;

/// Sends them all at once, each from a task of its own.
async fn at_once(requests: impl IntoIterator<Item = Request>) -> Vec<Answer> {
    let sent = requests.into_iter().map(|request| tokio::spawn(request.send()));
    join_all(sent).await.into_iter().map(|answer| answer.expect("an answer")).collect()
}

/// Asserts that one answer has the one status and all others are refused with the code.
#[track_caller]
fn assert_one_succeeds(answers: &[Answer], status: u16, refusal: (u16, &str)) -> usize {
    let won: Vec<usize> = (0..answers.len()).filter(|i| answers[*i].status == status).collect();
    let [winner] = won[..] else { panic!("{} of {} succeeded", won.len(), answers.len()) };
    for (_, loser) in answers.iter().enumerate().filter(|(i, _)| *i != winner) {
        loser.assert_refused(refusal.0, refusal.1);
    }
    winner
}

async fn fifty_refreshes_of_one_token_give_one_successor(app: TestApp) {
    let mut ada = app.member("ada").await;
    let old = ada.tokens.refresh.clone();
    let requests = (0..CALLERS).map(|i| {
        let request = app.anonymous().post("/auth/refresh-token");
        // By either way of sending it.
        if i % 2 == 0 { request.refresh(&old) } else { request.json(&json!({"refreshToken": old})) }
    });
    let answers = at_once(requests).await;
    let pairs: Vec<Tokens> = answers.iter().map(|answer| Tokens::of(&answer.tokens(200))).collect();

    let successors: BTreeSet<&String> = pairs.iter().map(|pair| &pair.refresh).collect();
    assert_eq!(successors.len(), 1, "one successor for all");
    assert!(!successors.contains(&old));
    for pair in &pairs {
        app.me(&pair.access).await.json(200);
    }
    // It is the live one: it buys the next, and then there is no way back.
    ada.tokens = pairs[0].clone();
    ada.refresh().await;
    ada.assert_lives().await;
    app.refresh(&old).await.assert_refused(401, "refresh_token_reused");
    ada.assert_is_over().await;
}

async fn a_replay_after_the_grace_period_ends_its_session_and_no_other(app: TestApp) {
    let mut ada = app.member("ada").await;
    let (elsewhere, eve) = (ada.on_another_device().await, app.member("eve").await);
    let stolen = ada.tokens.clone();
    ada.refresh().await;
    app.advance(SECOND * 31);

    app.refresh(&stolen.refresh).await.assert_refused(401, "refresh_token_reused");

    ada.assert_is_over().await;
    app.me(&stolen.access).await.assert_refused(401, "token_revoked");
    app.refresh(&stolen.refresh).await.assert_refused(401, "invalid_refresh_token");
    elsewhere.assert_lives().await;
    eve.assert_lives().await;
}

async fn a_replay_where_nothing_is_rotated_ends_its_session_too(app: TestApp) {
    let mut ada = app.member("ada").await;
    let elsewhere = ada.on_another_device().await;
    let stolen = ada.tokens.clone();
    ada.refresh().await;
    app.advance(SECOND * 31);
    let answer = app.auth_me_by_refresh_token(&stolen.refresh).await;
    answer.assert_refused(401, "refresh_token_reused");
    ada.assert_is_over().await;
    elsewhere.assert_lives().await;
}

async fn of_fifty_uses_of_one_reset_token_one_succeeds(app: TestApp) {
    let app = app.hashing_all_at_once().await;
    let ada = app.member("ada").await;
    let token = app.reset_token("ada@example.com").await;
    let password = |i| format!("a better one, number {i}");
    let answers = at_once((0..CALLERS).map(|i| {
        let body = json!({"resetToken": token, "newPassword": password(i)});
        app.anonymous().post("/auth/reset-password").json(&body)
    }));
    let winner = assert_one_succeeds(&answers.await, 200, (400, "invalid_reset_token"));
    app.log_in("ada@example.com", &password(winner)).await.json(200);
    let loser = (winner + 1) % CALLERS;
    app.log_in("ada@example.com", &password(loser)).await.assert_refused(401, "invalid_credentials");
    ada.assert_is_over().await;
}

async fn of_fifty_registrations_of_one_address_one_succeeds(app: TestApp) {
    let app = app.hashing_all_at_once().await;
    const SPELLINGS: [&str; 5] =
        ["ada@example.com", "Ada@example.com", "ADA@EXAMPLE.COM", "ada@Example.Com", "aDA@example.com"];
    let password = |i| format!("an engine weaves pattern {i}");
    let answers = at_once((0..CALLERS).map(|i| {
        let body = json!({"email": SPELLINGS[i % SPELLINGS.len()], "password": password(i)});
        app.anonymous().post("/auth/register").json(&body)
    }));
    let winner = assert_one_succeeds(&answers.await, 201, (409, "email_taken"));
    app.log_in("ada@example.com", &password(winner)).await.json(200);
    let everybody = app.admin().await.get("/users").send().await.json(200);
    assert_eq!(everybody.as_array().map(Vec::len), Some(2), "the administrator and one more");
}

async fn of_fifty_logouts_of_one_session_one_succeeds(app: TestApp) {
    let ada = app.member("ada").await;
    let elsewhere = ada.on_another_device().await;
    let answers = at_once((0..CALLERS).map(|_| ada.post("/auth/logout"))).await;
    assert_one_succeeds(&answers, 200, (401, "token_revoked"));
    ada.assert_is_over().await;
    elsewhere.assert_lives().await;
}

async fn of_fifty_password_changes_one_succeeds(app: TestApp) {
    let app = app.hashing_all_at_once().await;
    // Else those that come late with the old password meet the limit of their place.
    let app = app.another_instance(|settings| settings.rate_limits = LimitRules::default()).await;
    let ada = app.member("ada").await;
    let password = |i| format!("a better one, number {i}");
    let answers = at_once((0..CALLERS).map(|i| {
        let body = json!({"currentPassword": PASSWORD, "newPassword": password(i)});
        ada.post("/auth/change-password").json(&body)
    }))
    .await;
    let won: Vec<usize> = (0..CALLERS).filter(|i| answers[*i].status == 200).collect();
    let [winner] = won[..] else { panic!("{} changes succeeded", won.len()) };
    for (i, answer) in answers.iter().enumerate().filter(|(i, _)| *i != winner) {
        // Too late with the old password, or with the old token.
        assert_eq!(answer.status, 401, "{i}: {answer:?}");
    }
    ada.assert_is_over().await;
    let mut renewed = LoggedIn::log_in(&app, "ada@example.com", &password(winner)).await;
    renewed.tokens = Tokens::of(&answers[winner].tokens(200));
    renewed.assert_lives().await;
}

async fn refreshes_that_race_with_a_reset_save_no_session(app: TestApp) {
    let app = app.hashing_all_at_once().await;
    let mut sessions = vec![app.member("ada").await];
    for _ in 0..9 {
        sessions.push(sessions[0].on_another_device().await);
    }
    let token = app.reset_token("ada@example.com").await;
    let refresh =
        |session: &LoggedIn| app.anonymous().post("/auth/refresh-token").refresh(&session.tokens.refresh);
    let mut requests: Vec<Request> = sessions.iter().map(refresh).collect();
    let body = json!({"resetToken": token, "newPassword": "a better one this time"});
    requests.insert(5, app.anonymous().post("/auth/reset-password").json(&body));
    let mut answers = at_once(requests).await;
    answers.remove(5).json(200);
    for (session, answer) in sessions.iter_mut().zip(&answers) {
        if answer.status == 200 {
            session.tokens = Tokens::of(&answer.tokens(200));
        }
        session.assert_is_over().await;
    }
}

async fn logins_that_race_with_a_reset_save_no_session(app: TestApp) {
    let app = app.hashing_all_at_once().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    let token = app.reset_token("ada@example.com").await;
    let credentials = json!({"email": "ada@example.com", "password": PASSWORD});
    let log_in = |_| app.anonymous().post("/auth/login").json(&credentials);
    let mut requests: Vec<Request> = (0..20).map(log_in).collect();
    let body = json!({"resetToken": token, "newPassword": "a better one this time"});
    requests.insert(0, app.anonymous().post("/auth/reset-password").json(&body));
    let mut answers = at_once(requests).await;
    answers.remove(0).json(200);
    for answer in &answers {
        if answer.status != 200 {
            answer.assert_refused(401, "invalid_credentials");
            continue;
        }
        let tokens = Tokens::of(&answer.tokens(200));
        app.me(&tokens.access).await.assert_refused(401, "token_revoked");
        app.refresh(&tokens.refresh).await.assert_refused(401, "invalid_refresh_token");
    }
}
