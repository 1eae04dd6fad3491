//! The end of one session: `revoke_session`.

use std::sync::Arc;

use hallpass::domain::clock::ManualClock;
use hallpass::store::SessionStore;

use super::support::*;

pub async fn a_revoked_session_is_gone_and_others_live_on(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let lost_phone = ada.log_in(store, clock).await;
    let laptop = ada.log_in(store, clock).await;
    let strangers = Person::new().log_in(store, clock).await;
    assert!(revoke(store, &lost_phone).await);
    assert_dead(store, &lost_phone).await;
    assert_live(store, &laptop, 0).await;
    assert_live(store, &strangers, 0).await;
    clock.advance(denial());
    assert_dead(store, &lost_phone).await;
}

pub async fn a_session_is_revoked_once(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    assert!(revoke(store, &session).await);
    assert!(!revoke(store, &session).await);
    assert!(!revoke(store, &Person::new().session()).await, "there never was one");
}

pub async fn fifty_revocations_of_one_session_end_it_once(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    let (user, id) = (session.user, session.id);
    let answers = race((0..RACERS).map(|_| {
        let store = Arc::clone(store);
        async move { store.revoke_session(user, id, OnUnknown::Ignore).await }
    }))
    .await;
    assert_eq!(answers.into_iter().filter(|was_live| *was_live).count(), 1);
    assert_dead(store, &session).await;
}

pub async fn a_session_that_ended_by_itself_was_not_live(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    clock.advance(LIFETIMES.idle);
    assert!(!revoke(store, &session).await);
}

pub async fn a_session_is_revoked_by_its_own_user_only(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    let answer = store.revoke_session(fresh_user(), session.id, OnUnknown::Ignore).await;
    assert!(!answer.expect("revoke_session"));
    assert_live(store, &session, 0).await;
}

pub async fn fifty_rotations_racing_a_revocation_leave_nothing_alive(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let session = Person::new().log_in(store, clock).await;
    let token = session.token(0);
    let rotations = tokio::spawn(race((0..RACERS).map(move |_| token).map({
        let store = Arc::clone(store);
        move |token| {
            let store = Arc::clone(&store);
            async move { store.rotate(&token, &LIFETIMES).await }
        }
    })));
    assert!(revoke(store, &session).await);
    rotations.await.expect("the race");
    assert_dead(store, &session).await;
}

async fn revoke(store: &SharedStore, session: &impl SessionExt) -> bool {
    store
        .revoke_session(session.user(), session.session_id(), OnUnknown::Ignore)
        .await
        .expect("revoke_session")
}
