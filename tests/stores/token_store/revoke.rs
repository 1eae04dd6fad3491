//! The end of one session: `revoke_session`.

use std::sync::Arc;

use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::domain::session::Session;

use super::support::*;

pub async fn a_revoked_session_is_gone_and_others_live_on(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let lost_phone = ada.log_in(store, clock).await;
    let laptop = ada.log_in(store, clock).await;
    let strangers = Person::new().log_in(store, clock).await;
    assert!(revoke(store, clock, &lost_phone).await);
    assert_dead(store, clock, &lost_phone).await;
    assert_live(store, clock, &laptop, 0).await;
    assert_live(store, clock, &strangers, 0).await;
    clock.advance(denial());
    assert_dead(store, clock, &lost_phone).await;
}

pub async fn a_session_is_revoked_once(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    assert!(revoke(store, clock, &session).await);
    assert!(!revoke(store, clock, &session).await);
    assert!(!revoke(store, clock, &Person::new().session(clock)).await, "there never was one");
}

pub async fn fifty_revocations_of_one_session_end_it_once(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    let (user, id, now) = (session.subject.user, session.id, clock.now());
    let answers = race((0..RACERS).map(|_| {
        let store = Arc::clone(store);
        async move { store.revoke_session(user, id, OnUnknown::Ignore, now, denial()).await }
    }))
    .await;
    assert_eq!(answers.into_iter().filter(|was_live| *was_live).count(), 1);
    assert_dead(store, clock, &session).await;
}

pub async fn a_session_that_ended_by_itself_was_not_live(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    clock.advance(LIFETIMES.idle);
    assert!(!revoke(store, clock, &session).await);
}

pub async fn a_session_is_revoked_by_its_own_user_only(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    let answer =
        store.revoke_session(fresh_user(), session.id, OnUnknown::Ignore, clock.now(), denial()).await;
    assert!(!answer.expect("revoke_session"));
    assert_live(store, clock, &session, 0).await;
}

pub async fn fifty_rotations_racing_a_revocation_leave_nothing_alive(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let session = Person::new().log_in(store, clock).await;
    let (token, now) = (session.token(0), clock.now());
    let rotations = tokio::spawn(race((0..RACERS).map(move |_| token).map({
        let store = Arc::clone(store);
        move |token| {
            let store = Arc::clone(&store);
            async move { store.rotate(&token, now, &LIFETIMES).await }
        }
    })));
    assert!(revoke(store, clock, &session).await);
    rotations.await.expect("the race");
    assert_dead(store, clock, &session).await;
}

async fn revoke(store: &SharedStore, clock: &ManualClock, session: &Session) -> bool {
    store
        .revoke_session(session.subject.user, session.id, OnUnknown::Ignore, clock.now(), denial())
        .await
        .expect("revoke_session")
}
