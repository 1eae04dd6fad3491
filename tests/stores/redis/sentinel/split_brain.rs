//! Two masters at once: one that is cut off with a replica of hallpass, and the one that the others have.

use std::sync::Arc;
use std::time::Duration;

use hallpass::domain::clock::ManualClock;
use hallpass::store::{AccessStatus, DenylistStore, SessionStore, StoreError};
use tokio::time::timeout;

use super::{PATIENCE, SaidSentinel, recovered, store_over, url_of};
use crate::journaled::Journal;
use crate::support::redis::RedisServer;
use crate::token_store::support::*;

#[tokio::test]
async fn a_master_that_was_left_behind_refuses_and_nothing_acknowledged_there_is_undone() {
    let (left, new) = (RedisServer::start(), RedisServer::start());
    new.follow(left.port()).await;
    let (its, others) = (SaidSentinel::of(left.port(), 1).await, SaidSentinel::of(left.port(), 1).await);
    let (clock, journal) = (Arc::new(ManualClock::at(START)), Journal::new().await);
    let cut_off = store_over(&url_of(&[&its]), journal.clone(), &clock);
    let elsewhere = store_over(&url_of(&[&others]), journal, &clock);
    let ada = Person::new();
    let [first, second, third] = [
        ada.log_in(&cut_off, &clock).await,
        ada.log_in(&cut_off, &clock).await,
        ada.log_in(&cut_off, &clock).await,
    ];
    left.passes_on_to(&new).await;

    // The others have a failover; one replica of hallpass, one Sentinel and the master do not hear of it.
    new.command::<()>(&["REPLICAOF", "NO", "ONE"]).await;
    others.says(new.port(), 2);
    let ending = |session| cut_off.revoke_session(ada.user, session, OnUnknown::Deny);
    assert!(ending(first.id).await.is_ok(), "acknowledged while it takes itself for the master");
    // As it does by itself when it has not heard of its replica for `min-replicas-max-lag`.
    left.command::<()>(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    for _ in 0..5 {
        match timeout(Duration::from_secs(1), cut_off.open_session(&ada.session(), &LIFETIMES)).await {
            Ok(Err(StoreError::Unavailable { .. })) => {}
            other => panic!("{other:?}"),
        }
    }
    // What is not acknowledged there is done all the same, by whoever can.
    let pending = ending(second.id).await;
    assert!(
        matches!(pending, Err(StoreError::Unavailable { .. } | StoreError::RevocationPending(_))),
        "{pending:?}"
    );

    recovered(&elsewhere, PATIENCE).await;
    elsewhere.keep().await.expect("a look");
    elsewhere.keep().await.expect("what the other has left behind");
    assert_eq!(status(&elsewhere, &first.access_token()).await, AccessStatus::Revoked);
    assert_live(&elsewhere, &third, 0).await;

    // The cut is over.
    its.says(new.port(), 2);
    left.command::<()>(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]).await;
    // Until its Sentinel is asked again it is as before.
    let following = async {
        let token = second.access_token();
        while !matches!(cut_off.access_status(&token).await, Ok(AccessStatus::Revoked)) {}
    };
    timeout(PATIENCE, following).await.expect("it follows");
    for store in [&cut_off, &elsewhere] {
        for session in [&first, &second] {
            assert_dead(store, session).await;
        }
        assert_live(store, &third, 0).await;
    }
    ada.log_in(&cut_off, &clock).await;
}
