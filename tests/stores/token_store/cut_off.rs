//! Security events: `cut_off`, and what it does to everything else.

use std::sync::Arc;

use hallpass::domain::clock::ManualClock;
use hallpass::store::{AccessStatus, OpenOutcome, ResetTokenStore, SessionStore};

use super::support::*;

pub async fn a_cut_off_ends_every_older_session_and_answers_them(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(ada.log_in(store, clock).await);
    }
    rotate(store, sessions[1].token(0)).await;
    let tokens: Vec<_> = sessions.iter().map(|session| session.access_token()).collect();
    let later = ada.after_a_security_event().after_a_security_event();
    assert_eq!(later.cut_off(store, clock).await, sorted_ids(&sessions));
    for (session, token) in sessions.iter().zip(&tokens) {
        assert_eq!(status(store, token).await, AccessStatus::Revoked);
        assert_dead(store, session).await;
    }
    clock.advance(denial());
    for session in &sessions {
        assert_dead(store, session).await;
    }
}

pub async fn a_cut_off_answers_no_session_that_ended_by_itself(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    ada.log_in(store, clock).await;
    clock.advance(LIFETIMES.idle);
    let live = ada.log_in(store, clock).await;
    assert_eq!(ada.after_a_security_event().cut_off(store, clock).await, vec![live.id]);
}

pub async fn a_cut_off_concerns_one_user(store: &SharedStore, clock: &ManualClock) {
    let (ada, grace) = (Person::new(), Person::new());
    ada.log_in(store, clock).await;
    let hers = grace.log_in(store, clock).await;
    let (reset, grant) = (grace.reset_token(), grace.reset_grant(clock, DAY));
    store.insert_reset_token(&reset, reset_place(1), grace.version, DAY).await.expect("insert_reset_token");
    ada.after_a_security_event().cut_off(store, clock).await;
    assert_live(store, &hers, 0).await;
    grace.log_in(store, clock).await;
    let found = store.find_reset_token(&reset).await.expect("find_reset_token");
    assert_eq!(found, Some(grant));
}

pub async fn a_cut_off_spares_sessions_of_its_own_version(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let old = ada.log_in(store, clock).await;
    let changed = ada.after_a_security_event();
    let new = changed.log_in(store, clock).await;
    assert_eq!(changed.cut_off(store, clock).await, vec![], "the login came first");
    assert_dead(store, &old).await;
    assert_live(store, &new, 0).await;
}

pub async fn a_cut_off_refuses_sessions_that_are_still_being_opened(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let ada = Person::new();
    let elsewhere = Person::new().log_in(store, clock).await;
    assert_eq!(ada.after_a_security_event().cut_off(store, clock).await, vec![], "nothing was open");
    clock.advance(SECOND);
    let late = ada.session();
    let outcome = store.open_session(&late, &LIFETIMES).await.expect("open_session");
    assert!(matches!(outcome, OpenOutcome::Superseded { .. }), "{outcome:?}");
    assert_dead(store, &late).await;
    assert_live(store, &elsewhere, 0).await;
}

pub async fn a_session_opened_in_the_second_of_the_cut_off_stands(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let old = ada.log_in(store, clock).await;
    let old_token = old.access_token();
    let changed = ada.after_a_security_event();
    changed.cut_off(store, clock).await;
    let new = changed.log_in(store, clock).await;
    let new_token = new.access_token();
    assert_eq!(status(store, &new_token).await, AccessStatus::Live);
    assert_eq!(status(store, &old_token).await, AccessStatus::Revoked);
    assert_live(store, &new, 0).await;
}

pub async fn a_repeated_cut_off_changes_nothing(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    ada.log_in(store, clock).await;
    let changed = ada.after_a_security_event();
    changed.cut_off(store, clock).await;
    let new = changed.log_in(store, clock).await;
    let token = new.access_token();
    clock.advance(SECOND * 10);
    assert_eq!(changed.cut_off(store, clock).await, vec![]);
    assert_eq!(status(store, &token).await, AccessStatus::Live);
    assert_live(store, &new, 0).await;
}

pub async fn a_late_cut_off_does_not_lower_the_version(store: &SharedStore, clock: &ManualClock) {
    let first = Person::new();
    let second = first.after_a_security_event();
    let third = second.after_a_security_event();
    third.cut_off(store, clock).await;
    let live = third.log_in(store, clock).await;
    assert_eq!(second.cut_off(store, clock).await, vec![]);
    let late = second.session();
    let outcome = store.open_session(&late, &LIFETIMES).await.expect("open_session");
    assert!(matches!(outcome, OpenOutcome::Superseded { .. }), "{outcome:?}");
    assert_live(store, &live, 0).await;
    third.log_in(store, clock).await;
}

pub async fn a_late_cut_off_spares_sessions_that_were_opened_under_its_version(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let ada = Person::new();
    let old = ada.log_in(store, clock).await;
    let changed = ada.after_a_security_event();
    let new = changed.log_in(store, clock).await;
    let (old_token, new_token) = (old.access_token(), new.access_token());
    clock.advance(SECOND * 2);
    assert_eq!(changed.cut_off(store, clock).await, vec![], "the login has ended the older one");
    assert_eq!(status(store, &old_token).await, AccessStatus::Revoked);
    assert_eq!(status(store, &new_token).await, AccessStatus::Live, "its version decides, not its age");
    assert_dead(store, &old).await;
    assert_live(store, &new, 0).await;
}

pub async fn a_cut_off_voids_the_reset_tokens_of_all_places(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let later = ada.after_a_security_event();
    let (tokens, of_later) = ([ada.reset_token(), ada.reset_token()], later.reset_token());
    for (token, place) in tokens.iter().zip(1..) {
        let inserted = store.insert_reset_token(token, reset_place(place), ada.version, DAY).await;
        inserted.expect("insert_reset_token");
    }
    let inserted = store.insert_reset_token(&of_later, reset_place(3), later.version, DAY).await;
    inserted.expect("insert_reset_token");
    later.cut_off(store, clock).await;
    for token in &tokens {
        assert_eq!(store.find_reset_token(token).await.expect("find_reset_token"), None);
        assert_eq!(store.take_reset_token(token).await.expect("take_reset_token"), None);
    }
    let taken = store.take_reset_token(&of_later).await.expect("take_reset_token");
    assert_eq!(taken.map(|grant| grant.version), Some(later.version), "of after the event");
}

pub async fn fifty_rotations_racing_a_cut_off_leave_nothing_alive(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let mut sessions = Vec::new();
    for _ in 0..RACERS {
        sessions.push(ada.log_in(store, clock).await);
    }
    let calls: Vec<_> = sessions
        .iter()
        .map(|session| {
            let (store, token) = (Arc::clone(store), session.token(0));
            async move { store.rotate(&token, &LIFETIMES).await }
        })
        .collect();
    let rotations = tokio::spawn(race(calls));
    let ended = ada.after_a_security_event().cut_off(store, clock).await;
    rotations.await.expect("the race");
    assert_eq!(ended, sorted_ids(&sessions));
    for session in &sessions {
        assert_dead(store, session).await;
    }
}

pub async fn fifty_logins_racing_a_cut_off_leave_nothing_alive(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let sessions: Vec<_> = (0..RACERS).map(|_| ada.session()).collect();
    // The store must have met one session, or access tokens have nothing to be judged by.
    Person::new().log_in(store, clock).await;
    let calls: Vec<_> = sessions
        .iter()
        .cloned()
        .map(|session| {
            let store = Arc::clone(store);
            async move { store.open_session(&session, &LIFETIMES).await }
        })
        .collect();
    let logins = tokio::spawn(race(calls));
    let ended = ada.after_a_security_event().cut_off(store, clock).await;
    let outcomes = logins.await.expect("the race");
    let opened = outcomes.iter().filter(|outcome| matches!(outcome, OpenOutcome::Opened(_))).count();
    assert_eq!(opened, ended.len(), "each login was ended by the cut-off or refused because of it");
    for session in &sessions {
        assert_dead(store, session).await;
    }
}
