//! Access tokens: `access_status`, `revoke_access_token`.

use hallpass::domain::clock::ManualClock;
use hallpass::store::{AccessStatus, AccessSubject, DenylistStore, OnUnknown, RefreshOutcome, SessionStore};

use super::support::*;

pub async fn a_live_sessions_access_token_stands(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    let token = session.access_token();
    assert_eq!(status(store, &token).await, AccessStatus::Live);
    clock.advance(LIFETIMES.access_token);
    assert_eq!(status(store, &token).await, AccessStatus::Live);
}

pub async fn an_access_token_of_no_session_is_revoked(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let known = ada.log_in(store, clock).await;
    let unknown = AccessSubject { session: fresh_session_id(), ..known.access_token() };
    assert_eq!(status(store, &unknown).await, AccessStatus::Revoked);
}

pub async fn an_access_token_that_names_another_users_session_is_revoked(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let session = Person::new().log_in(store, clock).await;
    let token = AccessSubject { user: fresh_user(), ..session.access_token() };
    assert_eq!(status(store, &token).await, AccessStatus::Revoked);
}

pub async fn a_denied_access_token_is_revoked_and_no_other(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let session = ada.log_in(store, clock).await;
    let elsewhere = ada.log_in(store, clock).await;
    let (denied, sibling) = (session.access_token(), session.access_token());
    for _ in 0..2 {
        deny(store, clock, &denied).await;
    }
    assert_eq!(status(store, &denied).await, AccessStatus::Revoked);
    assert_eq!(status(store, &sibling).await, AccessStatus::Live);
    assert_live(store, &elsewhere, 0).await;
    let rotated = rotate(store, session.token(0)).await;
    assert!(matches!(rotated, RefreshOutcome::Current(_)), "{rotated:?}");
    assert_eq!(status(store, &denied).await, AccessStatus::Revoked);
}

pub async fn a_denial_ends_to_the_millisecond(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    let token = session.access_token();
    deny(store, clock, &token).await;
    clock.advance(denial() - MILLISECOND);
    assert_eq!(status(store, &token).await, AccessStatus::Revoked);
    clock.advance(MILLISECOND);
    assert_eq!(status(store, &token).await, AccessStatus::Live, "only its age refuses it now");
}

pub async fn a_repeated_denial_does_not_shorten_the_first(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    let token = session.access_token();
    deny(store, clock, &token).await;
    let shorter = store.revoke_access_token(token.user, token.token, denial()).await;
    shorter.expect("revoke_access_token");
    clock.advance(denial() - MILLISECOND);
    assert_eq!(status(store, &token).await, AccessStatus::Revoked);
}

/// Of many users in many partitions, and several about one token.
pub async fn checks_at_once_get_each_their_own_answer(store: &SharedStore, clock: &ManualClock) {
    let mut tokens = Vec::new();
    for number in 0..40 {
        let person = Person::new();
        let session = person.log_in(store, clock).await;
        let token = session.access_token();
        let expected = match number % 4 {
            0 => {
                deny(store, clock, &token).await;
                AccessStatus::Revoked
            }
            1 => {
                store
                    .revoke_session(person.user, session.id, OnUnknown::Ignore)
                    .await
                    .expect("revoke_session");
                AccessStatus::Revoked
            }
            2 => {
                tokens.push((AccessSubject { incarnation: -1, ..token }, AccessStatus::StoreLost));
                AccessStatus::Live
            }
            _ => AccessStatus::Live,
        };
        tokens.extend([(token, expected); 2]);
        tokens.push((AccessSubject { session: fresh_session_id(), ..token }, AccessStatus::Revoked));
    }
    let calls = tokens.into_iter().map(|(token, expected)| {
        let store = store.clone();
        async move { Ok((store.access_status(&token).await?, expected, token)) }
    });
    for (answer, expected, token) in race(calls.collect::<Vec<_>>()).await {
        assert_eq!(answer, expected, "{token:?}");
    }
}

pub async fn a_store_that_is_there_answers_a_ping(store: &SharedStore, _clock: &ManualClock) {
    store.ping().await.expect("ping");
}

async fn deny(store: &SharedStore, _: &ManualClock, token: &AccessSubject) {
    store.revoke_access_token(token.user, token.token, denial()).await.expect("revoke_access_token");
}
