//! Reset tokens: `insert_`, `find_`, `take_` and `restore_reset_token`.

use std::sync::Arc;
use std::time::Duration;

use hallpass::domain::clock::ManualClock;
use hallpass::domain::tokens::ResetClaims;
use hallpass::store::ResetGrant;

use super::support::*;

const TTL: Duration = Duration::from_secs(10 * 60);

pub async fn a_reset_token_is_found_without_being_consumed(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new().after_a_security_event();
    let (token, grant) = insert(store, clock, &ada).await;
    for _ in 0..3 {
        assert_eq!(find(store, clock, &token).await, Some(grant));
    }
    assert_eq!(take(store, &token).await, Some(grant));
}

pub async fn a_reset_token_is_taken_once(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let (token, grant) = insert(store, clock, &ada).await;
    assert_eq!(take(store, &token).await, Some(grant));
    assert_eq!(take(store, &token).await, None);
    assert_eq!(find(store, clock, &token).await, None);
}

pub async fn fifty_takes_of_one_reset_token_succeed_once(store: &SharedStore, clock: &ManualClock) {
    let (token, _) = insert(store, clock, &Person::new()).await;
    let answers = race((0..RACERS).map(|_| {
        let store = Arc::clone(store);
        async move { store.take_reset_token(&token).await }
    }))
    .await;
    assert_eq!(answers.into_iter().flatten().count(), 1);
}

pub async fn only_the_newest_reset_token_counts(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let (older, _) = insert(store, clock, &ada).await;
    clock.advance(SECOND);
    let (newest, grant) = insert(store, clock, &ada).await;
    assert_eq!(find(store, clock, &older).await, None);
    assert_eq!(find(store, clock, &newest).await, Some(grant));
}

pub async fn taking_an_older_reset_token_leaves_the_newest(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let (older, _) = insert(store, clock, &ada).await;
    clock.advance(SECOND);
    let (newest, grant) = insert(store, clock, &ada).await;
    assert_eq!(take(store, &older).await, None);
    assert_eq!(take(store, &newest).await, Some(grant));
}

pub async fn a_reset_token_ends_to_the_millisecond(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let (token, grant) = insert(store, clock, &ada).await;
    clock.advance(TTL - MILLISECOND);
    assert_eq!(find(store, clock, &token).await, Some(grant));
    clock.advance(MILLISECOND);
    assert_eq!(find(store, clock, &token).await, None);
    assert_eq!(take(store, &token).await, None);

    let (token, grant) = insert(store, clock, &ada).await;
    clock.advance(TTL - MILLISECOND);
    assert_eq!(take(store, &token).await, Some(grant));
}

pub async fn a_reset_token_belongs_to_its_user(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let (token, grant) = insert(store, clock, &ada).await;
    let misnamed = ResetClaims { user: fresh_user(), ..token };
    assert_eq!(find(store, clock, &misnamed).await, None);
    assert_eq!(take(store, &misnamed).await, None);
    assert_eq!(find(store, clock, &token).await, Some(grant));
}

pub async fn a_restored_reset_token_is_as_good_as_new(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new().after_a_security_event();
    let (token, grant) = insert(store, clock, &ada).await;
    take(store, &token).await;
    restore(store, clock, &token, grant).await;
    assert_eq!(find(store, clock, &token).await, Some(grant));
    assert_eq!(take(store, &token).await, Some(grant));
    assert_eq!(take(store, &token).await, None);
}

pub async fn a_restored_reset_token_keeps_its_deadline(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let (token, grant) = insert(store, clock, &ada).await;
    clock.advance(TTL / 2);
    assert_eq!(take(store, &token).await, Some(grant));
    restore(store, clock, &token, grant).await;
    clock.advance(TTL / 2 - MILLISECOND);
    assert_eq!(find(store, clock, &token).await, Some(grant));
    clock.advance(MILLISECOND);
    assert_eq!(find(store, clock, &token).await, None);
    assert_eq!(take(store, &token).await, None);
}

pub async fn a_reset_token_restored_after_its_deadline_stays_dead(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let (token, grant) = insert(store, clock, &ada).await;
    clock.advance(TTL - MILLISECOND);
    assert_eq!(take(store, &token).await, Some(grant));
    for _ in 0..2 {
        clock.advance(MILLISECOND);
        restore(store, clock, &token, grant).await;
        assert_eq!(find(store, clock, &token).await, None);
        assert_eq!(take(store, &token).await, None);
    }
}

pub async fn a_newer_reset_token_is_not_overwritten_by_a_restored_one(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let ada = Person::new();
    let (taken, older) = insert(store, clock, &ada).await;
    take(store, &taken).await;
    clock.advance(SECOND);
    let (newer, grant) = insert(store, clock, &ada).await;
    restore(store, clock, &taken, older).await;
    assert_eq!(find(store, clock, &taken).await, None);
    assert_eq!(find(store, clock, &newer).await, Some(grant));
}

async fn insert(store: &SharedStore, clock: &ManualClock, person: &Person) -> (ResetClaims, ResetGrant) {
    let (token, grant) = (person.reset_token(), person.reset_grant(clock, TTL));
    store.insert_reset_token(&token, person.version, TTL).await.expect("insert_reset_token");
    (token, grant)
}

async fn find(store: &SharedStore, _: &ManualClock, token: &ResetClaims) -> Option<ResetGrant> {
    store.find_reset_token(token).await.expect("find_reset_token")
}

async fn take(store: &SharedStore, token: &ResetClaims) -> Option<ResetGrant> {
    store.take_reset_token(token).await.expect("take_reset_token")
}

async fn restore(store: &SharedStore, _: &ManualClock, token: &ResetClaims, grant: ResetGrant) {
    store.restore_reset_token(token, grant).await.expect("restore_reset_token");
}
