//! Each partition is vouched for on the node that has it, and on that alone.

use std::sync::Arc;
use std::time::Duration;

use hallpass::domain::clock::ManualClock;
use hallpass::store::{AccessStatus, DenylistStore, SessionStore, StoreError, TokenStore};
use tokio::time::timeout;

use super::{PATIENCE, people_of, recovered, store_at};
use crate::support::cluster::RedisCluster;
use crate::token_store::support::*;

/// The longest that anybody waits for an answer.
const BOUND: Duration = Duration::from_secs(1);

/// It keeps nothing on disk.
#[tokio::test]
async fn a_master_that_lost_its_memory_logs_out_those_whom_it_kept_and_nobody_else() {
    let mut cluster = RedisCluster::start().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&cluster.url(), &clock).await;
    let ([ada, _], [eve, bob]) = (people_of(0).await, people_of(1).await);
    let lost = ada.log_in(&store, &clock).await.access_token();
    let kept = eve.log_in(&store, &clock).await.access_token();
    let ended = bob.log_in(&store, &clock).await;
    store.revoke_session(bob.user, ended.id, OnUnknown::Deny).await.expect("an end");
    cluster.nodes[0].kill();
    for _ in 0..20 {
        let asked = timeout(BOUND, store.access_status(&lost)).await.expect("an answer in time");
        assert!(matches!(asked, Err(StoreError::Unavailable { .. })), "{asked:?}");
        assert_eq!(status(&store, &kept).await, AccessStatus::Live);
        assert_dead(&store, &ended).await;
        store.keep().await.expect("a look at the others");
        store.ping().await.expect("the others serve");
    }
    cluster.nodes[0].restart();
    recovered(&store, &lost, PATIENCE).await;
    assert_eq!(status(&store, &lost).await, AccessStatus::StoreLost);
    assert_eq!(status(&store, &kept).await, AccessStatus::Live, "it is of its own incarnation still");
    assert_dead(&store, &ended).await;
    let again = ada.log_in(&store, &clock).await;
    assert_live(&store, &again, 0).await;
}

/// The connection stays open, and the process is the same.
#[tokio::test]
async fn a_master_that_was_emptied_logs_out_those_whom_it_kept_and_nobody_else() {
    let cluster = RedisCluster::start().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&cluster.url(), &clock).await;
    let ([ada, _], [eve, _]) = (people_of(2).await, people_of(1).await);
    let lost = ada.log_in(&store, &clock).await.access_token();
    let kept = eve.log_in(&store, &clock).await.access_token();
    cluster.nodes[2].command::<()>(&["FLUSHALL"]).await;
    assert_eq!(status(&store, &kept).await, AccessStatus::Live);
    recovered(&store, &lost, PATIENCE).await;
    assert_eq!(status(&store, &lost).await, AccessStatus::StoreLost);
    assert_eq!(status(&store, &kept).await, AccessStatus::Live);
}

/// It has another run, and an older mark: what was ended since is carried out there before anything is answered.
#[tokio::test]
async fn a_master_that_went_back_to_a_snapshot_revives_nothing() {
    let mut cluster = RedisCluster::start().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&cluster.url(), &clock).await;
    let ([ada, _], [eve, _]) = (people_of(0).await, people_of(1).await);
    let (kept, ended) = (ada.log_in(&store, &clock).await, ada.log_in(&store, &clock).await);
    let beside = eve.log_in(&store, &clock).await.access_token();
    cluster.nodes[0].command::<()>(&["SAVE"]).await;
    store.revoke_session(ada.user, ended.id, OnUnknown::Deny).await.expect("an end");
    let since = ada.log_in(&store, &clock).await;
    cluster.nodes[0].restart();
    recovered(&store, &kept.access_token(), PATIENCE).await;
    assert_live(&store, &kept, 0).await;
    assert_dead(&store, &ended).await;
    assert_eq!(status(&store, &since.access_token()).await, AccessStatus::Revoked, "the snapshot has it not");
    assert_eq!(status(&store, &beside).await, AccessStatus::Live);
}

/// A store that starts while a master is away serves what the others have.
#[tokio::test]
async fn who_starts_while_a_master_is_away_serves_the_rest() {
    let mut cluster = RedisCluster::start().await;
    let clock = Arc::new(ManualClock::at(START));
    let ([ada, _], [eve, _]) = (people_of(0).await, people_of(1).await);
    cluster.nodes[0].kill();
    let store = store_at(&cluster.url(), &clock).await;
    recovered(&store, &eve.session().access_token(), PATIENCE).await;
    let session = eve.log_in(&store, &clock).await;
    assert_live(&store, &session, 0).await;
    let token = ada.session().access_token();
    let asked = timeout(BOUND, store.access_status(&token)).await.expect("an answer in time");
    assert!(matches!(asked, Err(StoreError::Unavailable { .. })), "{asked:?}");
    cluster.nodes[0].restart();
    recovered(&store, &token, PATIENCE).await;
    let session = ada.log_in(&store, &clock).await;
    assert_live(&store, &session, 0).await;
}
