//! Slots that move while nobody asks, and while somebody does.

use std::sync::Arc;
use std::time::Duration;

use hallpass::domain::clock::ManualClock;
use hallpass::domain::partition::Partition;
use hallpass::domain::rate_limit::{AccountMark, PlaceMark};
use hallpass::store::{AccessStatus, DenylistStore, RateLimitStore, SessionStore, StoreError, TokenStore};
use tokio::time::timeout;

use super::{PATIENCE, home_of, keys, lazy, people_of, recovered, slot_of, store_at};
use crate::support::cluster::RedisCluster;
use crate::token_store::support::*;

/// The longest that anybody waits for an answer.
const BOUND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_slot_that_was_moved_is_found_again_and_lacks_nothing() {
    let cluster = RedisCluster::start().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&cluster.url(), &clock).await;
    let [ada, eve] = people_of(0).await;
    let (kept, ended) = (ada.log_in(&store, &clock).await, ada.log_in(&store, &clock).await);
    let beside = eve.log_in(&store, &clock).await;
    store.revoke_session(ada.user, ended.id, OnUnknown::Deny).await.expect("an end");
    let slot = slot_of(Partition::of(ada.user)).await;
    cluster.move_slot(slot, 0, 1).await;
    // The first question is sent on, and answered as the one before.
    assert_eq!(status(&store, &kept.access_token()).await, AccessStatus::Live);
    assert_eq!(status(&store, &beside.access_token()).await, AccessStatus::Live);
    assert_dead(&store, &ended).await;
    let again = ada.log_in(&store, &clock).await;
    store.revoke_session(ada.user, again.id, OnUnknown::Deny).await.expect("an end");
    assert_dead(&store, &again).await;
    // And back, where it was vouched for before.
    cluster.move_slot(slot, 1, 0).await;
    assert_eq!(status(&store, &kept.access_token()).await, AccessStatus::Live);
    assert_dead(&store, &again).await;
}

/// What is on its way is on neither of the two for certain: nobody judges by a half.
#[tokio::test]
async fn a_slot_that_is_being_moved_is_answered_for_when_it_is_there() {
    let cluster = RedisCluster::start().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&cluster.url(), &clock).await;
    let [ada, eve] = people_of(0).await;
    let session = ada.log_in(&store, &clock).await;
    let beside = eve.log_in(&store, &clock).await;
    let partition = Partition::of(ada.user);
    let slot = slot_of(partition).await;
    cluster.begin_move(slot, 0, 1).await;
    // By this it could be taken for whole, and the session for gone.
    cluster.move_key(&keys().partition(partition).state(), 0, 1).await;
    let asked =
        timeout(BOUND, store.access_status(&session.access_token())).await.expect("an answer in time");
    assert!(matches!(asked, Err(StoreError::Unavailable { .. })), "{asked:?}");
    assert_eq!(status(&store, &beside.access_token()).await, AccessStatus::Live, "the others go on");
    store.ping().await.expect("it serves");
    cluster.move_keys(slot, 0, 1).await;
    cluster.end_move(slot, 0, 1).await;
    recovered(&store, &session.access_token(), PATIENCE).await;
    assert_eq!(status(&store, &session.access_token()).await, AccessStatus::Live);
}

/// Places are known by one key each, for which the new node is asked while the slot is on its way.
#[tokio::test]
async fn what_needs_no_vouching_is_asked_of_the_node_that_is_being_given_the_slot() {
    let cluster = RedisCluster::start().await;
    let clock = Arc::new(ManualClock::at(START));
    let backend = lazy(&cluster.url(), &mark(), &clock);
    let place = PlaceMark::new([1; 16]);
    let account = (0..).map(|byte| AccountMark::new([byte; 16]));
    let mut accounts = account.map(|account| (account, keys().places(account)));
    let (account, key) = loop {
        let (account, key) = accounts.next().expect("one on the first node");
        if home_of(&key).await.1 == 0 {
            break (account, key);
        }
    };
    backend.remember_place(account, place).await.expect("an answer");
    let (slot, _) = home_of(&key).await;
    cluster.begin_move(slot, 0, 1).await;
    cluster.move_keys(slot, 0, 1).await;
    assert!(backend.is_known_place(account, place).await.expect("an answer"));
    let other = PlaceMark::new([2; 16]);
    backend.remember_place(account, other).await.expect("an answer");
    assert!(backend.is_known_place(account, other).await.expect("an answer"));
    cluster.end_move(slot, 0, 1).await;
    assert!(backend.is_known_place(account, other).await.expect("an answer"));
}
