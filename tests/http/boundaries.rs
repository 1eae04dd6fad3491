//! The second, and the millisecond, at which things end.

use std::time::Duration;

use crate::support::{
    Actor, DAY, LoggedIn, MILLISECOND, MINUTE, SECOND, TestApp, Tokens, jwt, on_both_flavours,
};

on_both_flavours! {
    an_access_token_ends_after_its_leeway,
    a_session_ends_when_it_was_idle,
    using_a_session_without_rotating_it_does_not_prolong_it,
    a_session_ends_absolutely_however_often_it_is_refreshed,
    within_the_grace_period_the_old_token_gets_the_same_successor,
    at_the_end_of_the_grace_period_the_old_token_is_a_replay,
    the_grace_period_ends_when_the_successor_is_used,
}

const GRACE: Duration = Duration::from_secs(30);

async fn an_access_token_ends_after_its_leeway(app: TestApp) {
    let ada = app.member("ada").await;
    app.advance(MINUTE * 15 + SECOND * 4);
    app.me(&ada.tokens.access).await.json(200);
    app.advance(MILLISECOND * 999);
    app.me(&ada.tokens.access).await.json(200);
    app.advance(MILLISECOND);
    app.me(&ada.tokens.access).await.assert_refused(401, "token_expired");
    app.advance(SECOND);
    app.me(&ada.tokens.access).await.assert_refused(401, "token_expired");
    // Only its own time is over.
    app.refresh(&ada.tokens.refresh).await.json(200);
}

#[tokio::test]
async fn without_leeway_an_access_token_ends_at_exp() {
    let app = TestApp::set(&["tokens.leeway=0s", "tokens.access_ttl=60s"]).await;
    let ada = app.member("ada").await;
    assert_eq!(jwt::claims(&ada.tokens.access)["exp"], app.now() + 60);
    app.advance(SECOND * 59);
    app.me(&ada.tokens.access).await.json(200);
    app.advance(SECOND);
    app.me(&ada.tokens.access).await.assert_refused(401, "token_expired");
}

/// Asserts that the session has ended by itself, for every operation that takes its refresh token.
async fn assert_has_ended(ada: &LoggedIn) {
    let Tokens { access, refresh } = &ada.tokens;
    ada.app.refresh(refresh).await.assert_refused(401, "session_expired");
    // Its access tokens ended with it, whatever their own time says.
    ada.app.auth_me(access, refresh).await.assert_refused(401, "token_revoked");
    ada.app.auth_me_by_refresh_token(refresh).await.assert_refused(401, "session_expired");
    let log_out = ada.app.anonymous().post("/auth/logout").refresh(refresh);
    log_out.send().await.assert_refused(401, "session_expired");
}

async fn a_session_ends_when_it_was_idle(app: TestApp) {
    let (mut ada, grace) = (app.member("ada").await, app.member("grace").await);
    app.advance(DAY * 7 - MILLISECOND);
    ada.refresh().await;
    app.advance(MILLISECOND);
    assert_has_ended(&grace).await;
    // The refresh has set the other one's time back to seven days.
    app.advance(DAY * 7 - MILLISECOND * 2);
    ada.refresh().await;
    app.advance(DAY * 7);
    assert_has_ended(&ada).await;
}

async fn using_a_session_without_rotating_it_does_not_prolong_it(app: TestApp) {
    let ada = app.member("ada").await;
    app.advance(DAY * 6);
    app.auth_me_by_refresh_token(&ada.tokens.refresh).await.json(200);
    app.advance(DAY - MILLISECOND);
    app.auth_me_by_refresh_token(&ada.tokens.refresh).await.json(200);
    app.advance(MILLISECOND);
    assert_has_ended(&ada).await;
}

async fn a_session_ends_absolutely_however_often_it_is_refreshed(app: TestApp) {
    let mut ada = app.member("ada").await;
    let end = app.now() + 30 * 24 * 60 * 60;
    for _ in 0..4 {
        app.advance(DAY * 6);
        ada.refresh().await;
    }
    app.advance(DAY * 6 - SECOND * 10);
    let answer = app.refresh(&ada.tokens.refresh).await.tokens(200);
    ada.tokens = Tokens::of(&answer);
    // No token outlives its session.
    assert_eq!(jwt::claims(&ada.tokens.access)["exp"], end);
    assert_eq!(answer["expiresIn"], 10);
    assert_eq!(answer["sessionExpiresAt"], end);
    app.advance(SECOND * 10 - MILLISECOND);
    ada.assert_lives().await;
    app.advance(MILLISECOND);
    assert_has_ended(&ada).await;
    // Not even within the leeway.
    app.me(&ada.tokens.access).await.assert_refused(401, "token_revoked");
}

async fn within_the_grace_period_the_old_token_gets_the_same_successor(app: TestApp) {
    let mut ada = app.member("ada").await;
    let old = ada.tokens.refresh.clone();
    ada.refresh().await;
    for pause in [Duration::ZERO, SECOND, GRACE - SECOND - MILLISECOND] {
        app.advance(pause);
        let again = Tokens::of(&app.refresh(&old).await.tokens(200));
        assert_eq!(again.refresh, ada.tokens.refresh);
        app.me(&again.access).await.json(200);
    }
    ada.assert_lives().await;
}

async fn at_the_end_of_the_grace_period_the_old_token_is_a_replay(app: TestApp) {
    let mut ada = app.member("ada").await;
    let old = ada.tokens.refresh.clone();
    ada.refresh().await;
    app.advance(GRACE);
    app.refresh(&old).await.assert_refused(401, "refresh_token_reused");
    ada.assert_is_over().await;
}

async fn the_grace_period_ends_when_the_successor_is_used(app: TestApp) {
    let mut ada = app.member("ada").await;
    let old = ada.tokens.refresh.clone();
    ada.refresh().await;
    ada.refresh().await;
    app.refresh(&old).await.assert_refused(401, "refresh_token_reused");
    ada.assert_is_over().await;
}

#[tokio::test]
async fn a_grace_period_of_zero_makes_every_second_use_a_replay() {
    let app = TestApp::set(&["tokens.refresh.rotation_grace_period=0s"]).await;
    let mut ada = app.member("ada").await;
    let old = ada.tokens.refresh.clone();
    ada.refresh().await;
    app.refresh(&old).await.assert_refused(401, "refresh_token_reused");
    ada.assert_is_over().await;
}
