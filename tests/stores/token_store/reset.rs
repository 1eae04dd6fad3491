//! Reset tokens, one for each place: `insert_`, `find_`, `take_` and `restore_reset_token`.

use std::sync::Arc;
use std::time::Duration;

use hallpass::domain::clock::ManualClock;
use hallpass::domain::tokens::ResetClaims;
use hallpass::store::{ResetGrant, ResetInsertion, ResetPlace, ResetTokenStore};

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

pub async fn only_the_newest_reset_token_of_a_place_counts(store: &SharedStore, clock: &ManualClock) {
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

pub async fn a_reset_token_voids_none_of_another_place(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let (owners, grant) = insert(store, clock, &ada).await;
    clock.advance(SECOND);
    let strangers = insert_at(store, &ada, reset_place(2)).await;
    let newest = insert_at(store, &ada, reset_place(2)).await;
    assert_eq!(find(store, clock, &owners).await, Some(grant));
    assert_eq!(find(store, clock, &strangers).await, None, "it had a newer one of its place");
    let found = find(store, clock, &newest).await.expect("the newest of its place");
    assert_eq!(found.place, reset_place(2).mark);
    assert_eq!(take(store, &owners).await, Some(grant));
}

pub async fn taking_a_reset_token_voids_those_of_all_places(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let (owners, grant) = insert(store, clock, &ada).await;
    let others = [insert_at(store, &ada, reset_place(2)).await, insert_at(store, &ada, reset_place(3)).await];
    assert_eq!(take(store, &owners).await, Some(grant));
    for other in &others {
        assert_eq!(find(store, clock, other).await, None);
        assert_eq!(take(store, other).await, None);
    }
}

pub async fn takes_of_four_places_reset_tokens_succeed_once(store: &SharedStore, _: &ManualClock) {
    let ada = Person::new();
    let mut tokens = Vec::new();
    for place in 1..=4 {
        tokens.push(insert_at(store, &ada, reset_place(place)).await);
    }
    let answers = race((0..RACERS).map(|racer| {
        let (store, token) = (Arc::clone(store), tokens[racer % tokens.len()]);
        async move { store.take_reset_token(&token).await }
    }))
    .await;
    assert_eq!(answers.into_iter().flatten().count(), 1);
}

pub async fn a_fifth_place_has_no_reset_token_while_four_have(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let mut tokens = Vec::new();
    for place in 1..=4 {
        tokens.push(insert_at(store, &ada, reset_place(place)).await);
        clock.advance(SECOND);
    }
    let fifth = ada.reset_token();
    let insert_fifth = async || {
        let insertion = store.insert_reset_token(&fifth, reset_place(5), ada.version, TTL).await;
        insertion.expect("insert_reset_token")
    };
    assert_eq!(insert_fifth().await, ResetInsertion::Full);
    assert_eq!(find(store, clock, &fifth).await, None);
    for token in &tokens {
        assert!(find(store, clock, token).await.is_some(), "none had to go");
    }
    // One of the four may have another, which makes no room.
    let renewed = insert_at(store, &ada, reset_place(2)).await;
    assert_eq!(insert_fifth().await, ResetInsertion::Full);
    // The first has ended, and its room is free.
    clock.advance(TTL - SECOND * 4 - MILLISECOND);
    assert_eq!(insert_fifth().await, ResetInsertion::Full);
    clock.advance(MILLISECOND);
    assert_eq!(insert_fifth().await, ResetInsertion::Kept);
    assert!(find(store, clock, &fifth).await.is_some());
    assert!(find(store, clock, &renewed).await.is_some());
    // Somebody else's places are their own.
    insert(store, clock, &Person::new()).await;
}

pub async fn whoever_has_more_room_gets_a_reset_token(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    for place in 1..=4 {
        insert_at(store, &ada, reset_place(place)).await;
    }
    let administrators = ResetPlace { room: u32::MAX, ..reset_place(5) };
    let older = insert_at(store, &ada, administrators).await;
    let newest = insert_at(store, &ada, administrators).await;
    assert_eq!(find(store, clock, &older).await, None);
    assert!(take(store, &newest).await.is_some());
}

pub async fn fifty_places_at_once_get_four_reset_tokens(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let tokens: Vec<_> = (0..RACERS).map(|_| ada.reset_token()).collect();
    let answers = race((0..).zip(tokens.clone()).map(|(place, token)| {
        let store = Arc::clone(store);
        async move { store.insert_reset_token(&token, reset_place(place), ada.version, TTL).await }
    }))
    .await;
    assert_eq!(answers.into_iter().filter(|answer| *answer == ResetInsertion::Kept).count(), 4);
    let mut live = 0;
    for token in &tokens {
        live += usize::from(find(store, clock, token).await.is_some());
    }
    assert_eq!(live, 4);
}

pub async fn a_restored_reset_token_stands_beside_those_of_other_places(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let ada = Person::new();
    let (taken, grant) = insert(store, clock, &ada).await;
    take(store, &taken).await;
    // Strangers take all the room meanwhile.
    let mut others = Vec::new();
    for place in 2..=5 {
        others.push(insert_at(store, &ada, reset_place(place)).await);
    }
    restore(store, clock, &taken, grant).await;
    for other in &others {
        assert!(find(store, clock, other).await.is_some());
    }
    assert_eq!(take(store, &taken).await, Some(grant));
}

async fn insert_at(store: &SharedStore, person: &Person, place: ResetPlace) -> ResetClaims {
    let token = person.reset_token();
    let insertion = store.insert_reset_token(&token, place, person.version, TTL).await;
    assert_eq!(insertion.expect("insert_reset_token"), ResetInsertion::Kept);
    token
}

async fn insert(store: &SharedStore, clock: &ManualClock, person: &Person) -> (ResetClaims, ResetGrant) {
    let (token, grant) = (person.reset_token(), person.reset_grant(clock, TTL));
    store.insert_reset_token(&token, reset_place(1), person.version, TTL).await.expect("insert_reset_token");
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
