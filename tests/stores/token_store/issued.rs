//! When access tokens were minted: `newest_access_tokens`, and what moves it.
//!
//! A store need not write a second mint within one whole second down, so the clock moves by a second
//! or more before each that counts.

use hallpass::domain::clock::{Clock, ManualClock, Timestamp};
use hallpass::store::{RefreshOutcome, SessionStore};

use super::support::*;

pub async fn newest_access_tokens_come_in_the_order_of_their_users(store: &SharedStore, clock: &ManualClock) {
    let (ada, grace, mary) = (Person::new(), Person::new(), Person::new());
    let hers = log_in_a_second_later(store, clock, &grace).await;
    let adas = log_in_a_second_later(store, clock, &ada).await;
    let marys = log_in_a_second_later(store, clock, &mary).await;
    for (people, minted) in
        [([ada, grace, mary], [adas, hers, marys]), ([mary, ada, grace], [marys, adas, hers])]
    {
        assert_eq!(newest_access_tokens(store, &people).await, minted.map(Some));
    }
}

pub async fn asking_for_no_user_answers_nothing(store: &SharedStore, clock: &ManualClock) {
    Person::new().log_in(store, clock).await;
    assert_eq!(newest_access_tokens(store, &[]).await, []);
}

pub async fn a_user_without_sessions_has_no_newest_access_token(store: &SharedStore, clock: &ManualClock) {
    let (ada, grace) = (Person::new(), Person::new());
    assert_eq!(newest_access_token(store, &ada).await, None);
    let minted = log_in_a_second_later(store, clock, &grace).await;
    let people = [ada, grace, Person::new()];
    assert_eq!(newest_access_tokens(store, &people).await, [None, Some(minted), None]);
}

pub async fn the_newest_access_token_may_be_of_any_session(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let phone = ada.log_in(store, clock).await;
    assert_eq!(newest_access_token(store, &ada).await, Some(phone.created_at));
    let laptops = log_in_a_second_later(store, clock, &ada).await;
    assert_eq!(newest_access_token(store, &ada).await, Some(laptops));
    clock.advance(SECOND);
    let minted = clock.now();
    rotate(store, phone.token(0)).await;
    clock.advance(SECOND);
    assert_eq!(newest_access_token(store, &ada).await, Some(minted), "the older session was used last");
}

pub async fn a_rotation_mints_an_access_token(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let session = ada.log_in(store, clock).await;
    clock.advance(SECOND);
    assert!(matches!(rotate(store, session.token(0)).await, RefreshOutcome::Current(_)));
    assert_minted_now(store, clock, &ada).await;
}

pub async fn a_replay_within_the_grace_period_mints_an_access_token(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let ada = Person::new();
    let session = ada.log_in(store, clock).await;
    rotate(store, session.token(0)).await;
    clock.advance(SECOND);
    assert!(matches!(rotate(store, session.token(0)).await, RefreshOutcome::Previous(_)));
    assert_minted_now(store, clock, &ada).await;
}

pub async fn a_rotation_that_moves_a_session_forward_mints_an_access_token(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let ada = Person::new();
    let session = ada.log_in(store, clock).await;
    clock.advance(SECOND);
    assert!(matches!(rotate(store, session.token(5)).await, RefreshOutcome::Recovered(_)));
    assert_minted_now(store, clock, &ada).await;
}

pub async fn a_check_mints_an_access_token(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let session = ada.log_in(store, clock).await;
    clock.advance(SECOND);
    assert!(matches!(check(store, session.token(0)).await, RefreshOutcome::Current(_)));
    assert_minted_now(store, clock, &ada).await;
    assert!(matches!(check_only(store, session.token(0)).await, RefreshOutcome::Current(_)));
    assert_minted_now(store, clock, &ada).await;
}

pub async fn a_check_within_the_grace_period_mints_an_access_token(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let session = ada.log_in(store, clock).await;
    rotate(store, session.token(0)).await;
    clock.advance(SECOND);
    assert!(matches!(check(store, session.token(0)).await, RefreshOutcome::Previous(_)));
    assert_minted_now(store, clock, &ada).await;
}

pub async fn a_check_that_moves_a_session_forward_mints_an_access_token(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let ada = Person::new();
    let session = ada.log_in(store, clock).await;
    clock.advance(SECOND);
    assert!(matches!(check(store, session.token(5)).await, RefreshOutcome::Recovered(_)));
    assert_minted_now(store, clock, &ada).await;
}

pub async fn a_refused_token_mints_nothing(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let session = ada.log_in(store, clock).await;
    clock.advance(SECOND);
    let minted = clock.now();
    rotate(store, session.token(0)).await;
    rotate(store, session.token(1)).await;
    clock.advance(SECOND);
    let mut misnamed = session.token(2);
    misnamed.user = fresh_user();
    assert_eq!(check_only(store, session.token(0)).await, RefreshOutcome::Reused);
    assert_eq!(check(store, misnamed).await, RefreshOutcome::Unknown);
    assert_eq!(rotate(store, misnamed).await, RefreshOutcome::Unknown);
    assert_eq!(newest_access_token(store, &ada).await, Some(minted));
}

pub async fn a_revoked_session_leaves_the_newest_of_the_others(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let older = ada.log_in(store, clock).await;
    clock.advance(SECOND);
    let newer = ada.log_in(store, clock).await;
    for (revoked, left) in [(newer, Some(older.created_at)), (older, None)] {
        let was_live = store.revoke_session(ada.user, revoked.id, OnUnknown::Ignore).await;
        assert!(was_live.expect("revoke_session"));
        assert_eq!(newest_access_token(store, &ada).await, left);
    }
}

pub async fn a_reused_token_leaves_the_newest_of_the_other_sessions(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let ada = Person::new();
    let elsewhere = ada.log_in(store, clock).await;
    clock.advance(SECOND);
    let stolen = ada.log_in(store, clock).await;
    rotate(store, stolen.token(0)).await;
    rotate(store, stolen.token(1)).await;
    assert_eq!(rotate(store, stolen.token(0)).await, RefreshOutcome::Reused);
    assert_eq!(newest_access_token(store, &ada).await, Some(elsewhere.created_at));
}

pub async fn an_ended_session_leaves_the_newest_of_the_others_to_the_millisecond(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let ada = Person::new();
    let (prolonged, checked) = (ada.log_in(store, clock).await, ada.log_in(store, clock).await);
    clock.advance(DAY);
    let rotated_at = clock.now();
    rotate(store, prolonged.token(0)).await;
    clock.advance(DAY);
    let checked_at = clock.now();
    check(store, checked.token(0)).await;

    clock.advance(LIFETIMES.idle - DAY * 2 - MILLISECOND);
    assert_eq!(newest_access_token(store, &ada).await, Some(checked_at));
    clock.advance(MILLISECOND);
    assert_eq!(newest_access_token(store, &ada).await, Some(rotated_at), "a check never prolongs");
    clock.advance(DAY - MILLISECOND);
    assert_eq!(newest_access_token(store, &ada).await, Some(rotated_at));
    clock.advance(MILLISECOND);
    assert_eq!(newest_access_token(store, &ada).await, None);
}

pub async fn a_cut_off_leaves_the_newest_of_the_sessions_it_spares(store: &SharedStore, clock: &ManualClock) {
    let (ada, grace) = (Person::new(), Person::new());
    let (changed, hers) = (ada.after_a_security_event(), grace.log_in(store, clock).await);
    let spared = changed.log_in(store, clock).await;
    log_in_a_second_later(store, clock, &ada).await;
    changed.cut_off(store, clock).await;
    let people = [ada, grace];
    let left = newest_access_tokens(store, &people).await;
    assert_eq!(left, [Some(spared.created_at), Some(hers.created_at)]);
    changed.after_a_security_event().cut_off(store, clock).await;
    let left = newest_access_tokens(store, &people).await;
    assert_eq!(left, [None, Some(hers.created_at)]);
}

/// Logs in a second from now; answers when that was.
async fn log_in_a_second_later(store: &SharedStore, clock: &ManualClock, person: &Person) -> Timestamp {
    clock.advance(SECOND);
    person.log_in(store, clock).await;
    clock.now()
}

/// Asserts that this very moment is noted, also when asked later.
async fn assert_minted_now(store: &SharedStore, clock: &ManualClock, person: &Person) {
    let now = clock.now();
    clock.advance(SECOND);
    assert_eq!(newest_access_token(store, person).await, Some(now));
}
