//! How nodes are found, over what, and what is said when they are none.

use std::sync::Arc;

use hallpass::domain::clock::ManualClock;
use hallpass::domain::partition::Partition;
use hallpass::store::backend::TokenBackend;
use hallpass::store::redis::{RedisOptions, RedisTls, RedisTokenStore, is_unfit};
use hallpass::store::{SessionStore, StoreError};

use super::super::as_it_runs::all_text;
use super::{SHARED, fresh_mark, lazy, people_of, store_at, store_by};
use crate::support::certificates::Certificates;
use crate::support::cluster::RedisCluster;
use crate::support::redis::RedisServer;
use crate::token_store::SharedStore;
use crate::token_store::support::*;

#[tokio::test]
async fn one_node_that_answers_is_enough_to_find_all() {
    let port = SHARED.nodes[2].port();
    let clock = Arc::new(ManualClock::at(START));
    let backend =
        lazy(&format!("redis+cluster://127.0.0.1:1,127.0.0.1:{port},127.0.0.1:2"), &fresh_mark(), &clock);
    let store: SharedStore =
        Arc::new(crate::journaled::TestStore::new(Arc::new(backend), clock.clone()).await);
    for node in 0..3 {
        let [ada, _] = people_of(node).await;
        let session = ada.log_in(&store, &clock).await;
        assert_live(&store, &session, 0).await;
    }
}

#[tokio::test]
async fn what_is_no_cluster_is_named_and_is_no_matter_of_waiting() {
    let plain = RedisServer::start();
    plain.command::<()>(&["CONFIG", "SET", "requirepass", "hunter2"]).await;
    let clock = Arc::new(ManualClock::at(START));
    for (hosts, said, unfit) in [
        (format!("127.0.0.1:{}", plain.port()), "no node of a Cluster: write redis://", true),
        ("127.0.0.1:1".to_owned(), "127.0.0.1:1 Connection refused", false),
    ] {
        let store = lazy(&format!("redis+cluster://:hunter2@{hosts}"), &mark(), &clock);
        let error = store.inspect().await.expect_err(said);
        let text = all_text(&error);
        assert!(text.contains(said) && !text.contains("hunter2"), "{text}");
        assert_eq!(is_unfit(&error), unfit, "{text}");
    }
    let node = format!("redis://127.0.0.1:{}", SHARED.nodes[0].port());
    let error = lazy(&node, &mark(), &clock).inspect().await.expect_err("a node");
    assert!(is_unfit(&error) && all_text(&error).contains("write redis+cluster://"), "{}", all_text(&error));
}

#[tokio::test]
async fn tls_is_spoken_to_all_nodes() {
    let own = Certificates::shared();
    let (node, port) = RedisServer::node_of_a_cluster_with_tls(own);
    node.command::<()>(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    crate::support::cluster::until(async || {
        node.command::<String>(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok")
    })
    .await;
    let identity = Some((own.certificate(), own.key()));
    let connect = async |ca_file| {
        let tls = RedisTls { ca_file, identity: identity.clone() };
        let url = format!("rediss+cluster://127.0.0.1:{port}");
        RedisTokenStore::connect(&url, &mark(), RedisOptions { tls, ..RedisOptions::default() }).await
    };
    connect(Some(own.authority())).await.expect("a store").inspect().await.expect("an answer");
    connect(Some(Certificates::make().authority())).await.expect_err("another authority");
}

/// Each node forgets by itself.
#[tokio::test]
async fn a_node_that_does_not_know_a_script_is_sent_its_text() {
    let cluster = RedisCluster::start().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&cluster.url(), &clock).await;
    for node in 0..3 {
        let [ada, _] = people_of(node).await;
        let session = ada.log_in(&store, &clock).await;
        cluster.nodes[node].command::<()>(&["SCRIPT", "FLUSH"]).await;
        assert_live(&store, &session, 0).await;
        store.revoke_session(ada.user, session.id, OnUnknown::Deny).await.expect("an end");
        assert_dead(&store, &session).await;
    }
}

/// A revocation waits for the replicas of the master that has carried it out, and for no others.
#[tokio::test]
async fn replicas_of_the_accounts_own_master_are_waited_for() {
    let cluster = RedisCluster::with_replicas().await;
    let clock = Arc::new(ManualClock::at(START));
    let options = RedisOptions { wait_replicas: 1, ..RedisOptions::default() };
    let store = store_by(&cluster.url(), options, &clock).await;
    let ([ada, _], [eve, _]) = (people_of(0).await, people_of(1).await);
    let (hers, beside) = (ada.log_in(&store, &clock).await, eve.log_in(&store, &clock).await);
    cluster.nodes[3].pause();
    let pending = store.revoke_session(ada.user, hers.id, OnUnknown::Deny).await;
    assert!(matches!(pending, Err(StoreError::RevocationPending(_))), "{pending:?}");
    assert!(store.revoke_session(eve.user, beside.id, OnUnknown::Deny).await.expect("an end"));
    cluster.nodes[3].resume();
    let ending = async { while store.revoke_session(ada.user, hers.id, OnUnknown::Deny).await.is_err() {} };
    tokio::time::timeout(super::PATIENCE, ending).await.expect("it has it");
    let fence = super::keys().partition(Partition::of(ada.user)).fence();
    let ttl: i64 = cluster.nodes[0].command(&["PTTL", &fence]).await;
    assert!((1..=60_000).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn all_nodes_are_asked_whether_they_answer() {
    let cluster = RedisCluster::start().await;
    let clock = Arc::new(ManualClock::at(START));
    let backend = lazy(&cluster.url(), &mark(), &clock);
    backend.ping().await.expect("an answer");
    cluster.nodes[1].command::<()>(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    let worst = backend.inspect().await.expect("an answer").eviction;
    assert_eq!(worst, hallpass::store::redis::EvictionPolicy::Evicts("allkeys-lru".to_owned()));
    let view = backend.ask_cluster().await.expect("a Cluster").expect("an answer");
    assert_eq!((view.masters.len(), view.covered, view.failing.len()), (3, 16_384, 0), "{view:?}");
}
