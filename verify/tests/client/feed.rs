//! Revocations: each arrives, whatever happens in between.

use std::time::Duration;

use hallpass_verify::client::{ValidationError, Validator};
use serde_json::{Value, json};

use crate::issuer::*;
use crate::support::*;
use crate::tokens::*;

fn is_revoked(validator: &Validator, token: &str) -> bool {
    matches!(validator.check(token), Err(ValidationError::Revoked))
}

#[tokio::test]
async fn every_kind_of_revocation_arrives_and_takes_its_tokens_and_no_others() {
    for (entry, claim, own, other) in [
        (json!({"jti": uuid(1)}), "jti", json!(uuid(1)), json!(uuid(2))),
        (json!({"sid": uuid(1)}), "sid", json!(uuid(1)), json!(uuid(2))),
        (json!({"sub": "7", "sv": 4}), "sub", json!("7"), json!("42")),
        (json!({"sub": "orders", "sv": 4}), "sub", json!("orders"), json!("42")),
        (json!({"sub": "42", "sv": 9}), "sv", json!(8), json!(9)),
        (json!({"all": true, "inc": 9}), "inc", json!(8), json!(9)),
        (json!({"all": true, "inc": 9, "partition": 42}), "inc", json!(8), json!(9)),
        (json!({"all": true, "inc": 9, "partition": 43}), "sub", json!("107"), json!("42")),
        (json!({"all": true, "inc": 9, "partition": 64}), "sub", json!("orders"), json!("42")),
    ] {
        let issuer = Issuer::start(&[es256()]);
        let validator = patient(&issuer).await;
        let own = token_with(&issuer, es256(), claim, own);
        let other = token_with(&issuer, es256(), claim, other);
        assert!(validator.check(&own).is_ok() && validator.check(&other).is_ok(), "{entry}");
        let entry = with(entry, "exp", NOW + LIFETIME);
        issuer.revoke(entry.clone());
        eventually(&entry.to_string(), || is_revoked(&validator, &own)).await;
        assert!(validator.check(&other).is_ok(), "{entry}");
        // By the snapshot as by the stream.
        let late = patient(&issuer).await;
        assert!(is_revoked(&late, &own) && late.check(&other).is_ok(), "{entry}");
    }
}

#[tokio::test]
async fn nothing_is_lost_while_the_stream_is_cut_again_and_again() {
    let issuer = Issuer::start(&[es256()]);
    let validator = patient(&issuer).await;
    for number in 0..200 {
        issuer.revoke(session(number));
        if number % 40 == 20 {
            eventually("the stream is open", || issuer.open_streams() == 1).await;
            issuer.drop_streams();
        }
    }
    eventually("all have arrived", || validator.status().revocations == 200).await;
    assert!((0..200).all(|number| is_revoked(&validator, &token_of_session(&issuer, es256(), number))));
    assert_eq!(issuer.requests(REVOCATIONS), 1, "the stream was resumed, not begun anew");
    assert!(issuer.requests(STREAM) > 1);
}

#[tokio::test]
async fn a_stream_goes_on_behind_the_last_entry_that_arrived() {
    let issuer = Issuer::start(&[es256()]);
    issuer.revoke(session(0));
    let validator = patient(&issuer).await;
    for number in 1..4 {
        eventually("the stream is open", || issuer.open_streams() == 1).await;
        assert_eq!(issuer.resumed_from(), Some(number));
        issuer.revoke(session(number.try_into().expect("a small number")));
        eventually("the entry arrives", || validator.status().revocations == number + 1).await;
        let streams = issuer.requests(STREAM);
        issuer.drop_streams();
        eventually("another stream is asked for", || issuer.requests(STREAM) > streams).await;
    }
}

#[tokio::test]
async fn who_is_led_elsewhere_comes_again_by_itself_and_misses_nothing() {
    let issuer = Issuer::start(&[es256()]);
    issuer.set_beating(true);
    let validator = patient(&issuer).await;
    for number in 0..5 {
        eventually("the stream is open", || issuer.open_streams() == 1).await;
        issuer.revoke(session(number));
        let known = usize::try_from(number).expect("a small number") + 1;
        eventually("the entry arrives", || validator.status().revocations == known).await;
        let streams = issuer.requests(STREAM);
        // Its connection stays open: nothing but the event says that another one is to be opened.
        issuer.lead_streams_away();
        eventually("another stream is asked for", || issuer.requests(STREAM) > streams).await;
        assert_eq!(issuer.resumed_from(), Some(known));
    }
    assert_eq!(issuer.requests(REVOCATIONS), 1, "the stream was resumed, not begun anew");
    assert!(issuer.requests(STREAM) < 20, "nobody is hammered");
}

#[tokio::test]
async fn what_was_revoked_while_the_issuer_was_gone_is_known_when_it_is_back() {
    let mut issuer = Issuer::start(&[es256()]);
    let validator = patient(&issuer).await;
    issuer.revoke(session(1));
    eventually("the first has arrived", || validator.status().revocations == 1).await;
    for round in 2..5 {
        issuer.die();
        issuer.revoke(session(round));
        assert!(!is_revoked(&validator, &token_of_session(&issuer, es256(), round)));
        issuer.come_back();
        let token = token_of_session(&issuer, es256(), round);
        eventually("it is known", || is_revoked(&validator, &token)).await;
        assert!(is_revoked(&validator, &token_of_session(&issuer, es256(), 1)));
    }
    assert_eq!(issuer.requests(REVOCATIONS), 1);
}

/// A feed that comes back after a failure is not complete before everything that was missed is in.
#[tokio::test]
async fn a_validator_is_fresh_again_only_with_everything_it_missed() {
    let _clock = StoppedClock::new();
    let issuer = Issuer::start(&[es256()]);
    issuer.set_beating(false);
    let validator = builder(&issuer).connect().await.expect("connected");
    eventually("the stream is open", || issuer.open_streams() == 1).await;
    issuer.drop_streams();
    for number in 0..500 {
        issuer.revoke(session(number));
    }
    tokio::time::advance(Duration::from_millis(2_001)).await;
    issuer.set_beating(true);
    in_time("it is fresh", || {
        let fresh = validator.status().is_fresh;
        // The other way round, the last entries could arrive in between.
        assert!(!fresh || validator.status().revocations == 500);
        fresh
    })
    .await;
}

#[tokio::test]
async fn a_cursor_that_is_too_old_brings_the_snapshot_again() {
    let issuer = Issuer::start(&[es256()]);
    let validator = patient(&issuer).await;
    issuer.revoke(session(1));
    eventually("the first has arrived", || validator.status().revocations == 1).await;
    issuer.set_status(STREAM, 503);
    issuer.drop_streams();
    eventually("the stream is cut", || issuer.open_streams() == 0).await;
    issuer.revoke(session(2));
    issuer.trim_journal();
    issuer.set_status(STREAM, 200);
    let (first, second) = (token_of_session(&issuer, es256(), 1), token_of_session(&issuer, es256(), 2));
    eventually("the second is known", || {
        assert!(is_revoked(&validator, &first), "there is no moment without it");
        is_revoked(&validator, &second)
    })
    .await;
    assert_eq!(issuer.requests(REVOCATIONS), 2);
}

/// The store has come back empty: the issuer refuses everything from before, and says so.
#[tokio::test]
async fn a_reset_replaces_what_was_known() {
    let issuer = Issuer::start(&[es256()]);
    let validator = patient(&issuer).await;
    issuer.revoke(session(1));
    eventually("the first has arrived", || validator.status().revocations == 1).await;
    issuer.lose_journal();
    issuer.revoke(json!({"all": true, "inc": 8, "exp": NOW + LIFETIME}));
    let any = token(&issuer, es256());
    eventually("all tokens are out", || is_revoked(&validator, &any)).await;
    assert_eq!(validator.status().revocations, 1);
    let later = token_with(&issuer, es256(), "inc", 8);
    assert!(validator.check(&later).is_ok());
}

#[tokio::test]
async fn a_client_token_that_is_no_longer_taken_is_replaced() {
    let issuer = Issuer::start(&[es256()]);
    let validator = patient(&issuer).await;
    eventually("the stream is open", || issuer.open_streams() == 1).await;
    assert_eq!(issuer.requests(TOKEN), 1);
    issuer.expire_client_tokens();
    issuer.drop_streams();
    issuer.revoke(session(1));
    let token = token_of_session(&issuer, es256(), 1);
    eventually("the revocation arrives", || is_revoked(&validator, &token)).await;
    assert_eq!(issuer.requests(TOKEN), 2);
    // With the new token another stream costs no other.
    issuer.drop_streams();
    issuer.revoke(session(2));
    let token = token_of_session(&issuer, es256(), 2);
    eventually("the revocation arrives", || is_revoked(&validator, &token)).await;
    assert_eq!(issuer.requests(TOKEN), 2);
}

#[tokio::test]
async fn an_issuer_that_refuses_is_not_asked_without_a_pause() {
    let _clock = StoppedClock::new();
    let issuer = Issuer::start(&[es256()]);
    let _validator = patient(&issuer).await;
    eventually("the stream is open", || issuer.open_streams() == 1).await;
    issuer.set_status(STREAM, 401);
    issuer.drop_streams();
    elapse(Duration::from_secs(30)).await;
    // 30 seconds: pauses of 0.1 seconds and twice as much each time, up to 5.
    let asked = issuer.requests(STREAM);
    assert!((2..=25).contains(&asked), "{asked}");
    assert!(issuer.requests(TOKEN) <= asked + 1);
}

#[tokio::test]
async fn without_a_stream_the_snapshot_is_fetched_again_and_again() {
    let _clock = StoppedClock::new();
    let issuer = Issuer::start(&[es256()]);
    issuer.set_metadata("hallpass_revocations_stream_endpoint", Value::Null);
    let validator = builder(&issuer).connect().await.expect("connected");
    let token = token_of_session(&issuer, es256(), 1);
    in_time("nothing new is not sent again", || issuer.not_modified() >= 3).await;
    assert!(validator.check(&token).is_ok());
    issuer.revoke(session(1));
    in_time("the revocation arrives", || is_revoked(&validator, &token)).await;
    issuer.set_status(REVOCATIONS, 503);
    in_time("it is stale", || !validator.status().is_fresh).await;
    issuer.set_status(REVOCATIONS, 200);
    in_time("it is back", || validator.status().is_fresh).await;
    assert_eq!(issuer.requests(STREAM), 0);
}

/// An entry is forgotten when it is over by both clocks: this machine's may jump.
#[tokio::test]
async fn entries_are_forgotten_when_no_token_can_need_them_by_either_clock() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    let _clock = StoppedClock::new();
    let issuer = Issuer::start(&[es256()]);
    let here = Arc::new(AtomicI64::new(NOW));
    let clock = here.clone();
    issuer.set_beating(false);
    let validator = builder(&issuer)
        .silence_timeout(Duration::from_secs(3_600))
        .clock(move || at(clock.load(Ordering::Relaxed)))
        .connect()
        .await
        .expect("connected");
    issuer.revoke(session(1));
    eventually("it has arrived", || validator.status().revocations == 1).await;
    let over = NOW + LIFETIME + 5;
    for (there, local, kept) in [(NOW, over, 1), (over, NOW, 1), (over - 1, over, 1), (over, over, 0)] {
        here.store(local, Ordering::Relaxed);
        issuer.set_server_time(there);
        tokio::time::advance(Duration::from_secs(31)).await;
        issuer.beat();
        eventually("the heartbeat arrives", || validator.status().is_fresh).await;
        assert_eq!(validator.status().revocations, kept, "{} {}", there - NOW, local - NOW);
    }
}
