//! How long knowledge is trusted, and what happens then.

use std::time::Duration;

use hallpass_verify::client::{CannotTell, StalePolicy, ValidationError, Validator, ValidatorBuilder};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::issuer::*;
use crate::support::*;
use crate::tokens::*;

fn is_stale(verdict: &Result<impl Sized, ValidationError>) -> bool {
    matches!(verdict, Err(ValidationError::CannotTell(CannotTell::Stale { .. })))
}

/// An issuer whose heartbeat must be given by hand, and a validator that has just heard one.
async fn pair(policy: StalePolicy) -> (Issuer, Validator) {
    pair_with(|builder| builder.stale_policy(policy)).await
}

async fn pair_with(set: impl FnOnce(ValidatorBuilder) -> ValidatorBuilder) -> (Issuer, Validator) {
    let issuer = Issuer::start(&[es256()]);
    issuer.set_beating(false);
    issuer.revoke(session(1));
    let validator = set(builder(&issuer)).silence_timeout(Duration::from_secs(3_600));
    let validator = validator.connect().await.expect("connected");
    eventually("the stream is open", || issuer.open_streams() == 1).await;
    (issuer, validator)
}

async fn grow_stale(validator: &Validator) {
    tokio::time::advance(Duration::from_millis(2_001)).await;
    assert!(!validator.status().is_fresh);
}

#[tokio::test]
async fn knowledge_is_trusted_for_two_seconds_without_a_heartbeat_and_not_longer() {
    let _clock = StoppedClock::new();
    let (issuer, validator) = pair(StalePolicy::Reject).await;
    let right = token(&issuer, es256());
    // Of which one millisecond is what whole milliseconds cannot say.
    tokio::time::advance(Duration::from_millis(1_999)).await;
    assert!(validator.check(&right).is_ok());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(is_stale(&validator.check(&right)));
    assert!(is_stale(&validator.validate(&right).await));
    issuer.beat();
    eventually("the heartbeat arrives", || validator.check(&right).is_ok()).await;
    assert_eq!(validator.status().feed_age, Some(Duration::from_millis(1)));
}

/// What arrives first after a pause may be the oldest of many revocations that were missed.
#[tokio::test]
async fn a_revocation_is_taken_in_and_is_no_heartbeat() {
    let _clock = StoppedClock::new();
    let (issuer, validator) = pair(StalePolicy::Reject).await;
    grow_stale(&validator).await;
    issuer.revoke(session(2));
    eventually("the revocation arrives", || validator.status().revocations == 2).await;
    assert!(is_stale(&validator.check(&token(&issuer, es256()))));
}

#[tokio::test]
async fn rejecting_says_503_for_what_stands_and_401_for_what_is_known_to_be_revoked() {
    let _clock = StoppedClock::new();
    let (issuer, validator) = pair(StalePolicy::Reject).await;
    grow_stale(&validator).await;
    let error = validator.validate(&token(&issuer, es256())).await.expect_err("stale");
    assert_eq!((error.status(), error.www_authenticate()), (503, None));
    let revoked = validator.validate(&token_of_session(&issuer, es256(), 1)).await.expect_err("revoked");
    assert_eq!((revoked.status(), revoked.code()), (401, "token_revoked"));
    assert_eq!(issuer.requests(INTROSPECT), 0);
}

#[tokio::test]
async fn introspecting_asks_the_issuer_about_each_token_while_the_feed_is_stale() {
    let _clock = StoppedClock::new();
    let (issuer, validator) = pair(StalePolicy::Introspect).await;
    let right = token(&issuer, es256());
    assert!(validator.validate(&right).await.is_ok());
    assert_eq!(issuer.requests(INTROSPECT), 0, "the feed is fresh");
    grow_stale(&validator).await;
    assert!(validator.validate(&right).await.is_ok());
    issuer.set_active(false);
    assert!(matches!(validator.validate(&right).await, Err(ValidationError::Revoked)));
    assert_eq!(issuer.requests(INTROSPECT), 2);
    // Nobody need be asked about what is known to be revoked, nor about what is no token.
    issuer.set_active(true);
    let revoked = token_of_session(&issuer, es256(), 1);
    assert!(matches!(validator.validate(&revoked).await, Err(ValidationError::Revoked)));
    assert!(validator.validate("no token").await.is_err());
    assert_eq!(issuer.requests(INTROSPECT), 2);
    assert!(is_stale(&validator.check(&right)), "without waiting, nobody can be asked");
    issuer.beat();
    eventually("the feed is back", || validator.check(&right).is_ok()).await;
    assert_eq!(issuer.requests(INTROSPECT), 2);
}

#[tokio::test]
async fn introspection_that_fails_is_no_verdict() {
    let _clock = StoppedClock::new();
    let (issuer, validator) = pair(StalePolicy::Introspect).await;
    grow_stale(&validator).await;
    let right = token(&issuer, es256());
    for status in [503, 500, 401, 403, 404, 302] {
        issuer.set_status(INTROSPECT, status);
        let error = validator.validate(&right).await.expect_err("nobody knows");
        assert!(
            matches!(error, ValidationError::CannotTell(CannotTell::Introspection(_))),
            "{status}: {error:?}"
        );
        assert_eq!(error.status(), 503);
    }
}

#[tokio::test]
async fn an_issuer_that_hangs_does_not_hold_up_those_who_ask_it() {
    let _clock = StoppedClock::new();
    let (issuer, validator) =
        pair_with(|builder| builder.stale_policy(StalePolicy::Introspect).request_timeout(REQUEST_TIMEOUT))
            .await;
    grow_stale(&validator).await;
    issuer.set_hanging(true);
    // More than are asked about at once: those in the queue wait no longer than the others.
    let waiting: Vec<_> = (0..200)
        .map(|number| {
            let (validator, token) = (validator.clone(), token_of_session(&issuer, es256(), 1_000 + number));
            tokio::spawn(async move { validator.validate(&token).await.map_err(|error| error.status()) })
        })
        .collect();
    eventually("the issuer is asked", || issuer.requests(INTROSPECT) > 0).await;
    tokio::time::advance(Duration::from_millis(2_100)).await;
    in_time("all are answered", || waiting.iter().all(JoinHandle::is_finished)).await;
    for answer in waiting {
        assert_eq!(answer.await.expect("no panic").map(|claims| claims.sub), Err(503));
    }
    assert!(issuer.requests(INTROSPECT) <= 64);
}

#[tokio::test]
async fn allowing_lets_in_what_is_not_known_to_be_revoked() {
    let _clock = StoppedClock::new();
    let (issuer, validator) = pair(StalePolicy::Allow).await;
    grow_stale(&validator).await;
    assert!(validator.check(&token(&issuer, es256())).is_ok());
    let revoked = validator.check(&token_of_session(&issuer, es256(), 1));
    assert!(matches!(revoked, Err(ValidationError::Revoked)));
    assert_eq!(issuer.requests(INTROSPECT), 0);
}

/// A process that was stopped keeps its connections: only the silence tells.
#[tokio::test]
async fn an_issuer_that_falls_silent_is_noticed_with_every_policy_and_found_again() {
    let _clock = StoppedClock::new();
    for policy in [StalePolicy::Reject, StalePolicy::Introspect, StalePolicy::Allow] {
        let issuer = Issuer::start(&[es256()]);
        issuer.set_beating(false);
        let validator = builder(&issuer).stale_policy(policy).request_timeout(REQUEST_TIMEOUT);
        let validator = validator.connect().await.expect("connected");
        eventually("the stream is open", || issuer.open_streams() == 1).await;
        issuer.set_hanging(true);
        let right = token(&issuer, es256());
        tokio::time::advance(Duration::from_millis(2_001)).await;
        assert_eq!(validator.check(&right).is_ok(), policy == StalePolicy::Allow, "{policy:?}");
        let asked = issuer.requests(STREAM);
        in_time("another connection is tried", || issuer.requests(STREAM) > asked).await;
        issuer.revoke(session(7));
        issuer.set_beating(true);
        issuer.set_hanging(false);
        in_time("the feed is back", || validator.status().is_fresh).await;
        assert!(validator.check(&right).is_ok(), "{policy:?}");
        let revoked = validator.check(&token_of_session(&issuer, es256(), 7));
        assert!(matches!(revoked, Err(ValidationError::Revoked)), "{policy:?}");
    }
}

/// An issuer that cannot say whether it is up to date says nothing; an answer of 503 is no more.
#[tokio::test]
async fn an_issuer_that_is_not_up_to_date_itself_is_no_help() {
    let _clock = StoppedClock::new();
    let issuer = Issuer::start(&[es256()]);
    let validator = builder(&issuer).connect().await.expect("connected");
    eventually("the stream is open", || issuer.open_streams() == 1).await;
    for path in [REVOCATIONS, STREAM] {
        issuer.set_status(path, 503);
    }
    issuer.drop_streams();
    let right = token(&issuer, es256());
    in_time("it is noticed", || is_stale(&validator.check(&right))).await;
    for path in [REVOCATIONS, STREAM] {
        issuer.set_status(path, 200);
    }
    in_time("the feed is back", || validator.check(&right).is_ok()).await;
}

/// An entry of a kind that this version does not know revokes something all the same.
#[tokio::test]
async fn an_entry_that_is_not_understood_makes_the_feed_worthless() {
    let _clock = StoppedClock::new();
    let issuer = Issuer::start(&[es256()]);
    let validator = builder(&issuer).connect().await.expect("connected");
    eventually("the stream is open", || issuer.open_streams() == 1).await;
    let right = token(&issuer, es256());
    issuer.revoke(json!({"tenant": "acme", "exp": NOW + LIFETIME}));
    in_time("it is noticed", || is_stale(&validator.check(&right))).await;
    issuer.lose_journal();
    in_time("the feed is back", || validator.check(&right).is_ok()).await;
}
