//! The clock of Redis, where it shows what it cannot.

use std::sync::Arc;

use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::domain::journal::EntryId;
use hallpass::domain::partition::Partition;
use hallpass::domain::timekeeper::Timekeeper;
use hallpass::store::TokenStore;
use hallpass::store::redis::StoreTime;
use hallpass::store::sessions::SessionBackend;
use hallpass::store::vouching::BackendError;

use super::replicas::vouched_at;
use super::{RedisOptions, RedisServer, RedisTokenStore, TestStore};
use crate::journaled::Journal;
use crate::token_store::support::*;

/// Data that comes from another server may have gone back, also where its clock is ahead.
#[tokio::test]
async fn a_clock_that_is_ahead_vouches_for_no_data_of_another_server() {
    let (server, clock) = (RedisServer::start(), Arc::new(ManualClock::at(START)));
    let backend = super::backend(&server, &mark(), &clock).await;
    let store = Arc::new(TestStore::new(backend.clone(), clock.clone()).await);
    let session = Person::new().log_in(&store, &clock).await;
    let mut redis = super::client(&server).await;
    for partition in Partition::all() {
        let state = super::keys().partition(partition).state();
        let _: () = redis::cmd("HSET")
            .arg(state)
            .arg("seal")
            .arg("another")
            .query_async(&mut redis)
            .await
            .expect("HSET");
    }
    // A database that knows nothing of it: both may have been restored.
    let other = Arc::new(TestStore::over(backend, Journal::new().await, clock.clone()));
    other.keeper.note_store_jump();
    other.keep().await.expect("both stores answer");
    assert_dead(&other, &session).await;
}

#[tokio::test]
async fn a_script_does_nothing_at_a_time_that_cannot_be() {
    let server = RedisServer::start();
    let (own, theirs) = (Arc::new(ManualClock::at(START)), Arc::new(ManualClock::at(START)));
    let keeper = Arc::new(Timekeeper::new(own.clone(), LIFETIMES.leeway));
    keeper.observe_token_store(keeper.reading(keeper.monotonic(), START));
    let url = server.url();
    let store = RedisTokenStore::connect(&url, &mark(), RedisOptions::default()).await.expect("a store");
    let time = StoreTime { keeper: Some(keeper.clone()), laid_over: Some(theirs.clone()) };
    let backend = Arc::new(store.with_time(time));
    let store = Arc::new(TestStore::new(backend.clone(), own.clone()).await);
    let session = Person::new().log_in(&store, &own).await;
    let by = vouched_at(&server).await;
    let rotate = async || backend.rotate(&by, &session.token(0), EntryId::NONE, &LIFETIMES).await;

    theirs.set(START.after(SECOND * 6));
    assert!(matches!(rotate().await, Err(BackendError::Unvouched)));
    assert!(keeper.has_store_jumped(), "until it is looked into");
    theirs.set(START);
    let refreshed = check_only(&store, session.token(0)).await;
    assert!(matches!(refreshed, hallpass::store::RefreshOutcome::Current(_)), "{refreshed:?}");
    own.advance(SECOND * 6);
    theirs.set(START.after(SECOND * 6));
    rotate().await.expect("the time has come");
    store.ping().await.expect("a store");
}
