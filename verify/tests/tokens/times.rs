//! The second at which a token begins and the second at which it ends.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hallpass_verify::{AccessClaims, Rejection};

use crate::support::*;

const ENDS: i64 = NOW + LIFETIME;

fn verdict_at(token: &str, leeway: u64, now: SystemTime) -> Result<AccessClaims, Rejection> {
    verifier().with_leeway(Duration::from_secs(leeway)).verify(token, now)
}

fn is_expired(verdict: &Result<AccessClaims, Rejection>) -> bool {
    matches!(verdict, Err(Rejection::Expired(_)))
}

/// RFC 7519 4.1.4: not on or after `exp`.
#[test]
fn a_token_ends_at_the_second_of_exp_and_the_leeway() {
    let token = es256().token();
    for (leeway, last) in [(0, ENDS - 1), (5, ENDS + 4)] {
        assert!(verdict_at(&token, leeway, at(last)).is_ok(), "leeway {leeway}");
        let late_in_its_last_second = at(last) + Duration::from_millis(999);
        assert!(verdict_at(&token, leeway, late_in_its_last_second).is_ok(), "leeway {leeway}");
        assert!(is_expired(&verdict_at(&token, leeway, at(last + 1))), "leeway {leeway}");
        assert!(is_expired(&verdict_at(&token, leeway, at(last + 2))), "leeway {leeway}");
    }
}

/// RFC 7519 4.1.5: not before `nbf`; the same holds for `iat`, which cannot lie ahead.
#[test]
fn a_token_begins_at_the_second_of_nbf_and_iat_less_the_leeway() {
    for claim in ["nbf", "iat"] {
        let token = es256().token_of(&es256().header(), &with(claims(), claim, NOW + 100));
        for (leeway, first) in [(0, NOW + 100), (5, NOW + 95)] {
            let verdict = |now| verdict_at(&token, leeway, at(now));
            assert_eq!(verdict(first - 1), Err(Rejection::NotYetValid), "{claim}, leeway {leeway}");
            assert!(verdict(first).is_ok(), "{claim}, leeway {leeway}");
            assert!(verdict(first + 1).is_ok(), "{claim}, leeway {leeway}");
        }
    }
}

#[test]
fn the_leeway_is_five_seconds_unless_set() {
    let token = es256().token();
    assert!(verifier().verify(&token, at(NOW - 5)).is_ok());
    assert_eq!(verifier().verify(&token, at(NOW - 6)), Err(Rejection::NotYetValid));
    assert!(verifier().verify(&token, at(ENDS + 4)).is_ok());
    assert!(is_expired(&verifier().verify(&token, at(ENDS + 5))));
}

#[test]
fn a_leeway_without_bounds_does_not_wrap() {
    let token = es256().token();
    let patient = verifier().with_leeway(Duration::MAX);
    assert!(patient.verify(&token, at(0)).is_ok());
    assert!(patient.verify(&token, at(ENDS + 1_000_000)).is_ok());
}

#[test]
fn a_clock_before_1970_accepts_nothing() {
    let early = UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(verdict_at(&es256().token(), 5, early), Err(Rejection::NotYetValid));
}

#[test]
fn an_expired_token_says_what_it_claimed() {
    let token = es256().token();
    let claims = verdict(&token).expect("live");
    assert_eq!(verifier().verify(&token, at(ENDS + 5)), Err(Rejection::Expired(Box::new(claims))));
}

/// Whoever gets claims out of `Expired` relies on them being authentic.
#[test]
fn only_what_is_right_but_for_its_time_counts_as_expired() {
    let long_over = with(claims(), "exp", NOW - 1_000);
    let es = es256();
    let verdict_on = |token: &str| verdict(token);
    assert!(is_expired(&verdict_on(&es.token_of(&es.header(), &long_over))));

    let stranger = TestKey::es256("es");
    assert_eq!(verdict_on(&stranger.token_of(&es.header(), &long_over)), Err(Rejection::BadSignature));
    let untyped = without(es.header(), "typ");
    assert_eq!(verdict_on(&es.token_of(&untyped, &long_over)), Err(Rejection::WrongType));
    for (claim, rejection) in [("iss", Rejection::WrongIssuer), ("aud", Rejection::WrongAudience)] {
        let token = es.token_of(&es.header(), &with(long_over.clone(), claim, "another"));
        assert_eq!(verdict_on(&token), Err(rejection), "{claim}");
    }
    let never = with(long_over, "nbf", NOW + 1_000);
    assert_eq!(verdict_on(&es.token_of(&es.header(), &never)), Err(Rejection::NotYetValid));
}
