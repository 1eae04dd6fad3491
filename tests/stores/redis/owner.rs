//! Deployments that share one Redis, and which keys are whose.

use std::sync::Arc;

use hallpass::domain::clock::ManualClock;
use hallpass::domain::deployment::{DeploymentMark, Owner};
use hallpass::store::redis::{RedisOptions, RedisTokenStore};
use hallpass::store::{AccessStatus, DenylistStore, ResetTokenStore, SessionStore, StoreError};

use super::{all_keys, client, ttl_ms};
use crate::journaled::TestStore;
use crate::support::redis::RedisServer;
use crate::token_store::support::*;

async fn store_of(mark: &str, server: &RedisServer) -> RedisTokenStore {
    let mark = DeploymentMark::parse(mark).expect("a mark");
    RedisTokenStore::connect(&server.url(), &mark, RedisOptions::default()).await.expect("a store")
}

fn owner(number: u128, public_url: &str) -> Owner {
    Owner { deployment: uuid::Uuid::from_u128(number).into(), public_url: public_url.to_owned() }
}

#[tokio::test]
async fn whoever_claims_the_keys_first_is_their_owner() {
    let server = RedisServer::start();
    let (first, copy) = (store_of("prod", &server).await, store_of("prod", &server).await);
    let (ours, theirs) = (owner(1, "https://a.example"), owner(1, "https://b.example"));
    assert_eq!(first.find_owner().await.expect("an answer"), None);
    assert_eq!(first.claim(&ours).await.expect("an answer"), ours);
    assert_eq!(copy.claim(&theirs).await.expect("an answer"), ours, "what stands there stays");
    assert_eq!(first.claim(&ours).await.expect("an answer"), ours);
    let key = first.owner_key();
    assert_eq!(key, "prod:{all}:owner");
    assert_eq!(ttl_ms(&mut client(&server).await, &key).await, None, "it lasts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_claim_at_once_all_are_told_the_same_owner() {
    let server = RedisServer::start();
    for round in 0..50 {
        let mut calls = Vec::new();
        for number in 0..8 {
            let store = store_of(&format!("round-{round}"), &server).await;
            calls.push(async move {
                // In step, all would write before any of them reads.
                for _ in 0..number * round {
                    tokio::task::yield_now().await;
                }
                store.claim(&owner(number, "https://a.example")).await
            });
        }
        let answers = race(calls).await;
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
}

#[tokio::test]
async fn a_full_redis_still_says_whose_the_keys_are() {
    let server = RedisServer::start();
    let store = store_of("prod", &server).await;
    let ours = owner(1, "https://a.example");
    store.claim(&ours).await.expect("an answer");
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory").arg("1");
    set.query_async::<()>(&mut client(&server).await).await.expect("CONFIG SET");
    assert_eq!(store.claim(&ours).await.expect("an answer"), ours);
}

#[tokio::test]
async fn an_owner_that_means_nothing_is_reported_and_stays() {
    let server = RedisServer::start();
    let store = store_of("prod", &server).await;
    let mut set = redis::cmd("SET");
    set.arg(store.owner_key()).arg("somebody");
    set.query_async::<()>(&mut client(&server).await).await.expect("SET");
    let error = store.claim(&owner(1, "https://a.example")).await.expect_err("corrupt");
    assert!(matches!(&error, StoreError::Corrupt { key, .. } if *key == store.owner_key()), "{error:?}");
}

#[tokio::test]
async fn other_deployments_are_found_among_many_keys_and_left_as_they_are() {
    let server = RedisServer::start();
    let (here, there) = (store_of("here", &server).await, store_of("there", &server).await);
    let mut redis = client(&server).await;
    let mut fill = redis::pipe();
    for number in 0..5_000 {
        fill.cmd("SET").arg(format!("cache:{number}")).arg("x").ignore();
    }
    fill.cmd("SET").arg("later:{all}:owner").arg("{}").ignore();
    fill.query_async::<()>(&mut redis).await.expect("SET");
    assert!(here.list_others().await.expect("an answer").owners.len() == 1, "nobody but the strange one");

    let theirs = owner(2, "https://there.example");
    here.claim(&owner(1, "https://here.example")).await.expect("an answer");
    there.claim(&theirs).await.expect("an answer");
    let others = here.list_others().await.expect("an answer");
    assert!(others.is_complete);
    let found: Vec<_> = others.owners.iter().map(|(mark, owner)| (mark.as_str(), owner.as_ref())).collect();
    assert_eq!(found, [("later", None), ("there", Some(&theirs))]);
    assert_eq!(there.find_owner().await.expect("an answer"), Some(theirs));
}

/// Users are known by their numbers, which begin at 1 everywhere.
#[tokio::test]
async fn two_deployments_on_one_redis_do_not_meet() {
    let server = RedisServer::start();
    let clock = Arc::new(ManualClock::at(START));
    let store = async |mark| {
        let backend = Arc::new(store_of(mark, &server).await.with_time(laid_over(&clock)));
        Arc::new(TestStore::new(backend, clock.clone()).await)
    };
    let (here, there) = (store("here").await, store("there").await);
    let ada = Person::new();
    let session = ada.log_in(&here, &clock).await;
    assert_eq!(there.list_sessions(ada.user, None, 1_000).await.expect("list_sessions"), []);
    let revoked = there.revoke_session(ada.user, session.id, OnUnknown::Ignore).await;
    assert!(!revoked.expect("revoke_session"));
    let denied = session.access_token().token;
    there.revoke_access_token(ada.user, denied, denial()).await.expect("revoke_access_token");
    assert_eq!(ada.after_a_security_event().cut_off(&there, &clock).await, []);
    there.insert_reset_token(&ada.reset_token(), reset_place(1), ada.version, DAY).await.expect("insert");

    assert_eq!(status(&here, &session.access_token()).await, AccessStatus::Live);
    assert_eq!(here.list_sessions(ada.user, None, 1_000).await.expect("list_sessions").len(), 1);
    ada.log_in(&here, &clock).await;
    let keys = all_keys(&mut client(&server).await).await;
    assert!(keys.iter().all(|key| key.starts_with("here:") || key.starts_with("there:")), "{keys:?}");
}
