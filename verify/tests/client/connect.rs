//! Finding the issuer and what it has.

use std::time::Duration;

use hallpass_verify::client::{
    BuildError, CannotTell, ConnectError, RequestError, StalePolicy, ValidationError, Validator,
};
use hallpass_verify::{Rejection, TokenType};
use serde_json::{Value, json};

use crate::issuer::*;
use crate::support::*;
use crate::tokens::*;

async fn failure(issuer: &Issuer) -> ConnectError {
    builder(issuer).connect().await.expect_err("it cannot connect")
}

#[tokio::test]
async fn a_right_token_is_accepted_and_its_claims_are_told() {
    let issuer = Issuer::start(&[es256(), ed_dsa()]);
    let validator = patient(&issuer).await;
    for key in [es256(), ed_dsa()] {
        let token = token(&issuer, key);
        let claims = validator.validate(&token).await.expect("accepted");
        assert_eq!((claims.sub.as_str(), claims.roles), ("42", vec!["member".to_owned()]));
        assert_eq!(validator.check(&token).expect("accepted").sub, "42");
    }
    let status = validator.status();
    assert_eq!((status.keys, status.revocations, status.is_fresh), (2, 0, true));
}

#[tokio::test]
async fn a_wrong_token_is_refused_by_the_same_rules_as_at_the_issuer() {
    let issuer = Issuer::start(&[es256()]);
    let validator = patient(&issuer).await;
    let es = es256();
    let expired = token_with(&issuer, es, "exp", NOW - 1_000);
    for (token, rejection) in [
        ("not a token".to_owned(), Rejection::Malformed),
        (es.token(), Rejection::WrongIssuer),
        (token_with(&issuer, es, "aud", "another"), Rejection::WrongAudience),
        (token_with(&issuer, es, "nbf", NOW + 1_000), Rejection::NotYetValid),
        (token(&issuer, &TestKey::es256("es")), Rejection::BadSignature),
        ("a".repeat(9_000), Rejection::TooLong),
    ] {
        let refused = validator.validate(&token).await.expect_err("refused");
        assert!(matches!(&refused, ValidationError::Rejected(why) if *why == rejection), "{refused:?}");
        assert!(refused.is_verdict());
    }
    let refused = validator.validate(&expired).await.expect_err("refused");
    assert_eq!((refused.status(), refused.code()), (401, "token_expired"));
}

/// The cache remembers signatures, not verdicts: a token ends while it is in there.
#[tokio::test]
async fn a_token_that_was_right_ends_all_the_same() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    let issuer = Issuer::start(&[es256()]);
    let now = Arc::new(AtomicI64::new(NOW));
    let clock = now.clone();
    let validator = builder(&issuer)
        .max_staleness(Duration::from_secs(600))
        .clock(move || at(clock.load(Ordering::Relaxed)))
        .connect()
        .await
        .expect("connected");
    let token = token(&issuer, es256());
    for (time, accepted) in
        [(NOW, true), (NOW + LIFETIME + 4, true), (NOW + LIFETIME + 5, false), (NOW - 6, false)]
    {
        now.store(time, Ordering::Relaxed);
        for _ in 0..2 {
            assert_eq!(validator.check(&token).is_ok(), accepted, "{}", time - NOW);
        }
    }
}

/// Clocks that differ by less than the leeway do no harm, in either direction.
#[tokio::test]
async fn a_clock_that_is_off_by_no_more_than_the_leeway_does_no_harm() {
    let issuer = Issuer::start(&[es256()]);
    let token = token(&issuer, es256());
    issuer.revoke(session(7));
    for (skew, accepted) in [(-6, false), (-5, true), (0, true), (5, true)] {
        let validator =
            builder(&issuer).clock(move || at(NOW + skew)).max_staleness(Duration::from_secs(600));
        let validator = validator.connect().await.expect("connected");
        assert_eq!(validator.check(&token).is_ok(), accepted, "{skew}");
        let revoked = validator.check(&token_of_session(&issuer, es256(), 7));
        assert!(revoked.is_err(), "{skew}");
    }
}

#[tokio::test]
async fn the_type_the_leeway_and_the_audience_are_as_set() {
    let issuer = Issuer::start(&[es256()]);
    let es = es256();
    let settings = || builder(&issuer).max_staleness(Duration::from_secs(600));
    let plain = settings().token_type(TokenType::Jwt).connect().await.expect("connected");
    let typed = token(&issuer, es);
    let untyped = es.token_of(&with(es.header(), "typ", "JWT"), &with(claims(), "iss", issuer.url()));
    assert!(plain.check(&untyped).is_ok());
    assert!(plain.check(&typed).is_err());
    let patient = settings().leeway(Duration::from_secs(60)).connect().await.expect("connected");
    assert!(patient.check(&token_with(&issuer, es, "exp", NOW - 59)).is_ok());
    assert!(patient.check(&token_with(&issuer, es, "exp", NOW - 60)).is_err());
}

/// RFC 8414 3.3: to the letter.
#[tokio::test]
async fn metadata_of_another_issuer_is_refused() {
    let issuer = Issuer::start(&[es256()]);
    for other in [format!("{}/", issuer.url()), "https://id.example.com".to_owned(), String::new()] {
        issuer.set_metadata("issuer", json!(other));
        let error = failure(&issuer).await;
        assert!(matches!(&error, ConnectError::OtherIssuer { found } if *found == other), "{error:?}");
    }
}

#[tokio::test]
async fn an_endpoint_elsewhere_gets_neither_secret_nor_trust_unless_it_is_allowed() {
    for member in [
        "jwks_uri",
        "token_endpoint",
        "introspection_endpoint",
        "hallpass_revocations_endpoint",
        "hallpass_revocations_stream_endpoint",
    ] {
        let (issuer, elsewhere) = (Issuer::start(&[es256()]), Issuer::start(&[es256()]));
        issuer.set_metadata(member, json!(format!("{}{JWKS}", elsewhere.url())));
        let error = failure(&issuer).await;
        assert!(matches!(error, ConnectError::ForeignEndpoint { name } if name == member), "{error:?}");
        let asked: usize =
            [JWKS, TOKEN, REVOCATIONS, STREAM].iter().map(|path| elsewhere.requests(path)).sum();
        assert_eq!(asked, 0, "{member}");
    }
    let (issuer, elsewhere) = (Issuer::start(&[]), Issuer::start(&[es256()]));
    issuer.set_metadata("jwks_uri", json!(format!("{}{JWKS}", elsewhere.url())));
    let trusting = builder(&issuer).trust_origin(elsewhere.url()).max_staleness(Duration::from_secs(600));
    let validator = trusting.connect().await.expect("connected");
    assert!(validator.check(&token(&issuer, es256())).is_ok());
}

/// The name in tokens and the address in the cluster are two things.
#[tokio::test]
async fn an_issuer_is_reached_another_way_under_its_own_name() {
    let issuer = Issuer::start(&[es256()]);
    let name = "https://id.example.com";
    for (member, path) in [
        ("issuer", ""),
        ("jwks_uri", JWKS),
        ("token_endpoint", TOKEN),
        ("introspection_endpoint", INTROSPECT),
        ("hallpass_revocations_endpoint", REVOCATIONS),
        ("hallpass_revocations_stream_endpoint", STREAM),
    ] {
        issuer.set_metadata(member, json!(format!("{name}{path}")));
    }
    let validator = Validator::builder(name, AUDIENCE)
        .credentials(CLIENT, SECRET)
        .clock(|| at(NOW))
        .max_staleness(Duration::from_secs(600))
        .reach_at(issuer.url())
        .connect()
        .await
        .expect("connected");
    assert!(validator.check(&es256().token()).is_ok());
    eventually("the stream is open", || issuer.open_streams() == 1).await;
}

#[tokio::test]
async fn what_a_policy_needs_must_be_there() {
    let issuer = Issuer::start(&[es256()]);
    issuer.set_metadata("introspection_endpoint", Value::Null);
    let introspecting = builder(&issuer).stale_policy(StalePolicy::Introspect).connect().await;
    assert!(matches!(introspecting, Err(ConnectError::MissingEndpoint { name: "introspection_endpoint" })));
    issuer.set_metadata("hallpass_revocations_endpoint", Value::Null);
    let error = failure(&issuer).await;
    assert!(
        matches!(error, ConnectError::MissingEndpoint { name: "hallpass_revocations_endpoint" }),
        "{error:?}"
    );
    let allowing = builder(&issuer).stale_policy(StalePolicy::Allow).connect().await.expect("connected");
    assert!(allowing.check(&token(&issuer, es256())).is_ok());
}

#[tokio::test]
async fn a_validator_without_credentials_checks_signatures_alone_and_only_if_that_was_wanted() {
    let issuer = Issuer::start(&[es256()]);
    let anonymous = || Validator::builder(issuer.url(), AUDIENCE).clock(|| at(NOW));
    for policy in [StalePolicy::Reject, StalePolicy::Introspect] {
        let refused = anonymous().stale_policy(policy).connect().await;
        assert!(matches!(refused, Err(ConnectError::Build(BuildError::NoCredentials))));
    }
    let allowing = anonymous().stale_policy(StalePolicy::Allow).connect().await.expect("connected");
    assert!(allowing.check(&token(&issuer, es256())).is_ok());
    assert_eq!(issuer.requests(TOKEN) + issuer.requests(REVOCATIONS), 0);
}

#[tokio::test]
async fn secrets_go_to_this_machine_or_over_tls() {
    let build = |url: &str| {
        let builder = Validator::builder(url, AUDIENCE).credentials(CLIENT, SECRET);
        (builder.clone().connect_lazy().map(|_| ()), builder.danger_allow_http().connect_lazy().map(|_| ()))
    };
    for url in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "https://id.invalid"] {
        assert!(build(url).0.is_ok(), "{url}");
    }
    for url in ["http://id.invalid", "http://localhost.id.invalid", "http://10.0.0.1"] {
        let (strict, lenient) = build(url);
        assert!(matches!(strict, Err(BuildError::PlainHttp(_))), "{url}");
        assert!(lenient.is_ok(), "{url}");
    }
    for url in ["", "id.example.com", "ftp://id.example.com", "file:///etc/passwd"] {
        assert!(matches!(build(url).1, Err(BuildError::NotAnUrl(_))), "{url:?}");
    }
    let broken = Validator::builder("https://id.invalid", AUDIENCE)
        .credentials(CLIENT, SECRET)
        .root_certificates("no certificate")
        .connect_lazy();
    assert!(matches!(broken, Err(BuildError::RootCertificate(_))));
}

#[test]
fn outside_a_runtime_nothing_can_be_followed_and_nothing_panics() {
    let built = Validator::builder("https://id.invalid", AUDIENCE).credentials(CLIENT, SECRET).connect_lazy();
    assert!(matches!(built, Err(BuildError::NoRuntime)));
}

#[tokio::test]
async fn connecting_fails_for_whatever_cannot_be_had() {
    for path in [METADATA, JWKS, TOKEN, REVOCATIONS] {
        for status in [503, 404, 401, 302] {
            let issuer = Issuer::start(&[es256()]);
            issuer.set_status(path, status);
            let error = failure(&issuer).await;
            let (ConnectError::Metadata(cause)
            | ConnectError::Keys(cause)
            | ConnectError::Revocations(cause)) = &error
            else {
                panic!("{path}: {error:?}")
            };
            assert!(
                matches!(cause, RequestError::Status { status: told, .. } if *told == status),
                "{path}: {cause:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_issuer_that_is_silent_keeps_nobody_waiting_for_ever() {
    let _clock = StoppedClock::new();
    let issuer = Issuer::start(&[es256()]);
    issuer.set_hanging(true);
    let connecting = tokio::spawn(builder(&issuer).request_timeout(REQUEST_TIMEOUT).connect());
    eventually("it is asked", || issuer.requests(METADATA) == 1).await;
    tokio::time::advance(Duration::from_millis(1_990)).await;
    assert!(!connecting.is_finished());
    in_time("it gives up", || connecting.is_finished()).await;
    let error = connecting.await.expect("no panic").expect_err("given up");
    assert!(matches!(error, ConnectError::Metadata(RequestError::TimedOut)), "{error:?}");
}

#[tokio::test]
async fn a_lazy_validator_waits_for_its_issuer_and_then_knows_all() {
    let mut issuer = Issuer::start(&[es256()]);
    issuer.revoke(session(1));
    issuer.die();
    let lazy = builder(&issuer).max_staleness(Duration::from_secs(600)).connect_lazy().expect("built");
    let (right, revoked) = (token(&issuer, es256()), token_of_session(&issuer, es256(), 1));
    let error = lazy.validate(&right).await.expect_err("nothing is known");
    assert!(matches!(error, ValidationError::CannotTell(CannotTell::NoKeys)), "{error:?}");
    issuer.come_back();
    eventually("the issuer is found", || lazy.check(&right).is_ok()).await;
    assert!(matches!(lazy.check(&revoked), Err(ValidationError::Revoked)));
}

#[tokio::test]
async fn with_the_last_clone_the_fetching_ends() {
    let issuer = Issuer::start(&[es256()]);
    let validator = patient(&issuer).await;
    let clone = validator.clone();
    eventually("the stream is open", || issuer.open_streams() == 1).await;
    drop(validator);
    assert!(clone.check(&token(&issuer, es256())).is_ok());
    assert_eq!(issuer.open_streams(), 1);
    drop(clone);
    eventually("the stream is closed", || issuer.open_streams() == 0).await;
}
