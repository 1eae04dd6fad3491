//! The issuer's keys: when they are fetched, and what is done without.

use std::time::Duration;

use hallpass_verify::Rejection;
use hallpass_verify::client::{CannotTell, ValidationError, Validator};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::issuer::*;
use crate::support::*;
use crate::tokens::*;

fn is_unknown(verdict: &Result<impl Sized, ValidationError>) -> bool {
    matches!(verdict, Err(ValidationError::Rejected(Rejection::UnknownKey)))
}

fn is_out_of_date(verdict: &Result<impl Sized, ValidationError>) -> bool {
    matches!(verdict, Err(ValidationError::CannotTell(CannotTell::KeysOutOfDate)))
}

/// A token whose header names a key that nobody has.
fn stray(issuer: &Issuer, number: usize) -> String {
    let header = with(es256().header(), "kid", format!("stray-{number}"));
    es256().token_of(&header, &with(claims(), "iss", issuer.url()))
}

#[tokio::test]
async fn a_new_key_is_known_with_its_first_token() {
    let issuer = Issuer::start(&[es256()]);
    let validator = patient(&issuer).await;
    let new = TestKey::es256("new");
    issuer.publish(&[es256(), &new], 3_600);
    assert!(validator.validate(&token(&issuer, &new)).await.is_ok());
    assert!(validator.validate(&token(&issuer, es256())).await.is_ok());
    assert_eq!(issuer.requests(JWKS), 2);
}

#[tokio::test]
async fn without_waiting_a_new_key_is_known_by_the_next_try() {
    let issuer = Issuer::start(&[es256()]);
    let validator = patient(&issuer).await;
    let new = TestKey::es256("new");
    issuer.publish(&[es256(), &new], 3_600);
    let token = token(&issuer, &new);
    assert!(is_out_of_date(&validator.check(&token)));
    eventually("the key is fetched", || validator.check(&token).is_ok()).await;
}

#[tokio::test]
async fn keys_are_fetched_again_when_they_are_out_of_date_and_not_before() {
    let _clock = StoppedClock::new();
    let issuer = Issuer::start(&[es256()]);
    issuer.publish(&[es256()], 60);
    let validator = patient(&issuer).await;
    let old = token(&issuer, es256());
    assert!(validator.check(&old).is_ok());
    let new = TestKey::es256("new");
    issuer.publish(&[&new], 60);
    tokio::time::advance(Duration::from_millis(59_900)).await;
    eventually("a heartbeat has passed", || validator.status().is_fresh).await;
    assert_eq!(issuer.requests(JWKS), 1);
    in_time("the keys are fetched", || issuer.requests(JWKS) == 2).await;
    let new = token(&issuer, &new);
    eventually("the new key is known", || validator.check(&new).is_ok()).await;
    // Withdrawn, and its tokens with it: even those that were found right before.
    assert!(validator.check(&old).is_err());
}

#[tokio::test]
async fn keys_that_have_not_changed_are_not_sent_again() {
    let _clock = StoppedClock::new();
    let issuer = Issuer::start(&[es256()]);
    issuer.publish(&[es256()], 30);
    let validator = patient(&issuer).await;
    for round in 1..=2 {
        // An answer of 304 without a max-age is good for five minutes.
        tokio::time::advance(Duration::from_secs(301)).await;
        in_time("the keys are asked for", || issuer.not_modified() >= round).await;
        assert!(validator.check(&token(&issuer, es256())).is_ok());
    }
}

#[tokio::test]
async fn the_last_good_keys_are_used_while_there_are_no_others() {
    let _clock = StoppedClock::new();
    let issuer = Issuer::start(&[es256()]);
    issuer.publish(&[es256()], 60);
    let validator = patient(&issuer).await;
    let right = token(&issuer, es256());
    let broken = [
        vec![],
        vec![json!({"kid": "es", "kty": "oct", "alg": "HS256", "k": "c2VjcmV0"})],
        vec![with(es256().jwk(), "x", "AQAB")],
    ];
    for keys in broken {
        let asked = issuer.requests(JWKS);
        issuer.publish_text(&keys);
        tokio::time::advance(Duration::from_secs(61)).await;
        in_time("useless keys are fetched", || issuer.requests(JWKS) > asked).await;
        assert!(validator.validate(&right).await.is_ok(), "{keys:?}");
    }
    issuer.set_status(JWKS, 503);
    let asked = issuer.requests(JWKS);
    tokio::time::advance(Duration::from_secs(61)).await;
    in_time("the keys are asked for in vain", || issuer.requests(JWKS) > asked).await;
    assert!(validator.validate(&right).await.is_ok());
    // Whether the issuer has a key of that name cannot be told meanwhile.
    in_time("that is noticed", || is_out_of_date(&validator.check(&stray(&issuer, 1)))).await;
    issuer.set_status(JWKS, 200);
    let new = TestKey::es256("new");
    issuer.publish(&[&new], 60);
    let new = token(&issuer, &new);
    in_time("the issuer is back", || validator.check(&new).is_ok()).await;
}

/// Whoever invents key ids must not make the issuer work.
#[tokio::test]
async fn a_flood_of_unknown_key_ids_causes_one_fetch_a_cool_down() {
    let _clock = StoppedClock::new();
    let issuer = Issuer::start(&[es256()]);
    let validator = builder(&issuer)
        .max_staleness(Duration::from_secs(600))
        .key_cool_down(Duration::from_secs(10))
        .connect()
        .await
        .expect("connected");
    for round in 1..=3 {
        let flood: Vec<_> = (0..200)
            .map(|number| {
                let (validator, token) = (validator.clone(), stray(&issuer, number));
                tokio::spawn(async move { is_unknown(&validator.validate(&token).await) })
            })
            .collect();
        eventually("all are answered", || flood.iter().all(JoinHandle::is_finished)).await;
        for refused in flood {
            assert!(refused.await.expect("no panic"));
        }
        assert_eq!(issuer.requests(JWKS), 1 + round);
        tokio::time::advance(Duration::from_millis(9_900)).await;
        for number in 0..20 {
            assert!(is_unknown(&validator.check(&stray(&issuer, number))));
        }
        assert_eq!(issuer.requests(JWKS), 1 + round);
        assert!(validator.validate(&token(&issuer, es256())).await.is_ok());
        tokio::time::advance(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn an_issuer_that_does_not_send_its_keys_holds_nobody_up_for_long() {
    let _clock = StoppedClock::new();
    let issuer = Issuer::start(&[es256()]);
    let validator = builder(&issuer).request_timeout(REQUEST_TIMEOUT).max_staleness(Duration::from_secs(600));
    let validator = validator.connect().await.expect("connected");
    issuer.set_hanging(true);
    let waiting = {
        let (validator, token) = (validator.clone(), stray(&issuer, 1));
        tokio::spawn(async move { is_out_of_date(&validator.validate(&token).await) })
    };
    eventually("the keys are asked for", || issuer.requests(JWKS) == 2).await;
    // A known key is not held up at all.
    assert!(validator.check(&token(&issuer, es256())).is_ok());
    in_time("it gives up", || waiting.is_finished()).await;
    assert!(waiting.await.expect("no panic"), "it cannot be told");
    assert!(is_out_of_date(&validator.check(&stray(&issuer, 2))));
}

#[tokio::test]
async fn a_revoked_key_is_refused_before_anything_is_fetched() {
    let issuer = Issuer::start(&[es256(), ed_dsa()]);
    let validator = patient(&issuer).await;
    let (lost, kept) = (token(&issuer, es256()), token(&issuer, ed_dsa()));
    assert!(validator.check(&lost).is_ok());
    issuer.set_status(JWKS, 503);
    issuer.revoke(json!({"kid": "es", "exp": NOW + LIFETIME}));
    let is_revoked = |validator: &Validator| matches!(validator.check(&lost), Err(ValidationError::Revoked));
    eventually("the revocation arrives", || is_revoked(&validator)).await;
    assert!(validator.check(&kept).is_ok());
    // The keys are asked for all the same: there will be a new one.
    eventually("the keys are asked for", || issuer.requests(JWKS) >= 2).await;
}

/// Nor must an issuer that revokes one key after another be asked for each of them.
#[tokio::test]
async fn revoked_keys_cause_one_fetch_a_cool_down() {
    let _clock = StoppedClock::new();
    let issuer = Issuer::start(&[es256()]);
    let validator = patient(&issuer).await;
    eventually("the stream is open", || issuer.open_streams() == 1).await;
    for number in 1..=5 {
        issuer.revoke(json!({"kid": format!("lost-{number}"), "exp": NOW + LIFETIME}));
        eventually("the revocation arrives", || validator.status().revocations == number).await;
        eventually("the keys are asked for", || issuer.requests(JWKS) >= 2).await;
    }
    elapse(Duration::from_secs(9)).await;
    assert_eq!(issuer.requests(JWKS), 2);
    in_time("the keys are asked for again", || issuer.requests(JWKS) == 3).await;
}
