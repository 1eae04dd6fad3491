//! The whole check: who is asked, and what becomes of the answer.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use hallpass_verify::{
    AccessClaims, AccessTokenCheck, CheckError, Rejection, RevocationSource, RevocationStatus,
};

use crate::support::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store is gone")]
struct Gone;

/// Answers the same to everybody, and counts.
struct Source {
    answer: Result<RevocationStatus, Gone>,
    asked: AtomicUsize,
}

impl Source {
    fn answering(answer: Result<RevocationStatus, Gone>) -> Self {
        Self { answer, asked: AtomicUsize::new(0) }
    }

    fn check(&self) -> AccessTokenCheck<&Self> {
        AccessTokenCheck::new(verifier(), self)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl RevocationSource for &Source {
    type Error = Gone;

    async fn status(&self, claims: &AccessClaims, now: SystemTime) -> Result<RevocationStatus, Gone> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        assert_eq!(claims.sub, "42");
        assert_eq!(now, at(NOW));
        self.answer
    }
}

/// The sources here never wait, so neither does the check.
fn answer<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits for somebody"),
    }
}

#[test]
fn a_right_token_that_nobody_took_back_is_accepted() {
    let source = Source::answering(Ok(RevocationStatus::Live));
    let claims = answer(source.check().check(&es256().token(), at(NOW))).expect("accepted");
    assert_eq!(Ok(claims), verdict(&es256().token()));
    assert_eq!(source.asked(), 1);
}

#[test]
fn a_revoked_token_is_refused() {
    let source = Source::answering(Ok(RevocationStatus::Revoked));
    let refused = answer(source.check().check(&es256().token(), at(NOW)));
    assert!(matches!(refused, Err(CheckError::Revoked)), "{refused:?}");
}

#[test]
fn a_source_that_cannot_tell_is_no_reason_to_accept() {
    let source = Source::answering(Err(Gone));
    let refused = answer(source.check().check(&es256().token(), at(NOW)));
    assert!(matches!(refused, Err(CheckError::CannotTell(Gone))), "{refused:?}");
}

#[test]
fn the_source_is_asked_anew_each_time() {
    let source = Source::answering(Ok(RevocationStatus::Live));
    let (check, token) = (source.check(), es256().token());
    for times in 1..=3 {
        assert!(answer(check.check(&token, at(NOW))).is_ok());
        assert_eq!(source.asked(), times);
    }
}

#[test]
fn a_token_that_is_wrong_by_itself_is_refused_without_asking_the_source() {
    for answered in [Ok(RevocationStatus::Live), Ok(RevocationStatus::Revoked), Err(Gone)] {
        let source = Source::answering(answered);
        let expired = with(claims(), "exp", NOW - 1_000);
        let (es, check) = (es256(), source.check());
        for (token, rejection) in [
            ("not a token".to_owned(), Rejection::Malformed),
            (TestKey::es256("es").token(), Rejection::BadSignature),
            (es.token_of(&es.header(), &with(claims(), "aud", "another")), Rejection::WrongAudience),
        ] {
            let refused = answer(check.check(&token, at(NOW)));
            assert!(matches!(refused, Err(CheckError::Rejected(why)) if why == rejection));
        }
        let refused = answer(check.check(&es.token_of(&es.header(), &expired), at(NOW)));
        assert!(matches!(refused, Err(CheckError::Rejected(Rejection::Expired(_)))), "{refused:?}");
        assert_eq!(source.asked(), 0);
    }
}

#[test]
fn the_claims_of_an_expired_token_can_still_be_asked_about() {
    let expired = with(claims(), "exp", NOW - 1_000);
    let token = es256().token_of(&es256().header(), &expired);
    for (answered, accepted) in
        [(Ok(RevocationStatus::Live), true), (Ok(RevocationStatus::Revoked), false), (Err(Gone), false)]
    {
        let source = Source::answering(answered);
        let check = source.check();
        let Err(Rejection::Expired(claims)) = check.verifier().verify(&token, at(NOW)) else {
            panic!("expired")
        };
        let verdict = answer(check.check_revocation(&claims, at(NOW)));
        assert_eq!(verdict.is_ok(), accepted, "{verdict:?}");
        assert_eq!(source.asked(), 1);
    }
}
