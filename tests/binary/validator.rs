//! A microservice's validator and the real service, with nothing in between.

use std::time::Duration;

use hallpass_verify::client::{CannotTell, ValidationError, Validator};
use serde_json::Value;
use tokio::time::{interval, timeout};

use crate::client::get;
use crate::process::{PATIENCE, Program, Service, dev, eventually};

/// Knows the service as the sample client of `hallpass dev`.
async fn validator_of(service: &Service) -> Validator {
    let issuer = format!("http://{}", service.address());
    let builder = Validator::builder(issuer.clone(), issuer).credentials("books", "books-dev-secret");
    eventually("it tells of revocations", async || service.client().tells_of_revocations().await).await;
    builder.max_staleness(PATIENCE).connect().await.expect("connected")
}

/// Looks at a token until the verdict is that it was revoked.
async fn revoked(validator: &Validator, token: &str) {
    let mut look = interval(Duration::from_millis(5));
    let looking = async {
        while !matches!(validator.check(token), Err(ValidationError::Revoked)) {
            look.tick().await;
        }
    };
    timeout(PATIENCE, looking).await.expect("the revocation arrives");
}

#[tokio::test]
async fn a_validator_elsewhere_accepts_the_services_tokens_and_learns_of_a_log_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let client = service.client();
    let validator = validator_of(&service).await;
    let (ended, kept) = (client.logged_in("ada@example.com").await, client.log_in("ada@example.com").await);
    for tokens in [&ended, &kept] {
        let claims = validator.validate(&tokens.access).await.expect("accepted");
        assert!(claims.has_role("member") && claims.sid.is_some(), "{claims:?}");
    }
    assert_eq!(client.log_out(&ended.access).await.status, 200);
    revoked(&validator, &ended.access).await;
    assert!(validator.check(&kept.access).is_ok(), "the other session lives on");
    // Whoever comes later has it from the list instead of the stream.
    let late = validator_of(&service).await;
    assert!(matches!(late.check(&ended.access), Err(ValidationError::Revoked)));
    assert!(late.check(&kept.access).is_ok());
}

/// By a command that has no token store of its own: the service owns the embedded one.
#[tokio::test]
async fn a_validator_elsewhere_learns_of_a_key_that_an_operator_revokes() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let validator = validator_of(&service).await;
    let tokens = service.client().logged_in("ada@example.com").await;
    assert!(validator.check(&tokens.access).is_ok());
    let keys: Value = service.client().send(get("/.well-known/jwks.json")).await.json();
    for key in keys["keys"].as_array().expect("keys") {
        let kid = key["kid"].as_str().expect("kid");
        let outcome = Program::new(folder.path(), &["keys", "revoke", kid]).run().await;
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
    let mut look = interval(Duration::from_millis(5));
    let looking = async {
        while validator.check(&tokens.access).is_ok() {
            look.tick().await;
        }
    };
    timeout(PATIENCE, looking).await.expect("it is refused");
    // Those that the next key signs are taken.
    let tokens = service.client().log_in("ada@example.com").await;
    assert!(validator.validate(&tokens.access).await.is_ok());
}

#[tokio::test]
async fn a_validator_whose_service_is_gone_says_that_it_cannot_tell() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let issuer = format!("http://{}", service.address());
    let builder = Validator::builder(issuer.clone(), issuer).credentials("books", "books-dev-secret");
    eventually("it tells of revocations", async || service.client().tells_of_revocations().await).await;
    let validator = builder.connect().await.expect("connected");
    let tokens = service.client().logged_in("ada@example.com").await;
    service.stop().await;
    let mut look = interval(Duration::from_millis(20));
    let looking = async {
        while validator.check(&tokens.access).is_ok() {
            look.tick().await;
        }
    };
    timeout(PATIENCE, looking).await.expect("it is noticed");
    let error = validator.validate(&tokens.access).await.expect_err("nobody knows");
    assert!(matches!(error, ValidationError::CannotTell(CannotTell::Stale { .. })), "{error:?}");
    assert_eq!(error.status(), 503);
}
