//! Redis broken on purpose: gone, hung, full, empty, or not a Redis at all.

use std::sync::Arc;
use std::time::Duration;

use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::store::redis::{ConnectError, EvictionPolicy, RedisInspection, RedisOptions, RedisTokenStore};
use hallpass::store::{AccessStatus, RefreshOutcome, StoreError, StoreResult, TokenStore};
use redis::aio::MultiplexedConnection;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::{all_keys, client, store};
use crate::support::redis::RedisServer;
use crate::token_store::SharedStore;
use crate::token_store::support::*;

/// The longest that a caller waits for any answer.
const BOUND: Duration = Duration::from_secs(1);

/// How soon the store works again after Redis does.
const RECOVERY: Duration = Duration::from_secs(10);

/// Asserts that the answer comes within the bound, and is that the token store is unavailable.
async fn assert_unavailable<T: std::fmt::Debug>(call: impl Future<Output = StoreResult<T>>) {
    match timeout(BOUND, call).await.expect("an answer within the bound") {
        Err(StoreError::Unavailable { store: "token store", .. }) => {}
        other => panic!("{other:?}"),
    }
}

/// Asks until the store answers; the store itself spaces the attempts that reach Redis.
async fn recovered(store: &SharedStore) {
    let asking = async {
        while store.ping().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(RECOVERY, asking).await.expect("recovery");
}

async fn run(redis: &mut MultiplexedConnection, command: &[&str]) {
    let mut words = command.iter();
    let mut cmd = redis::cmd(words.next().expect("a command"));
    words.for_each(|word| {
        cmd.arg(*word);
    });
    cmd.query_async::<()>(redis).await.expect("an answer");
}

#[tokio::test]
async fn a_redis_that_is_killed_is_unavailable_and_comes_back_with_its_data() {
    let mut server = RedisServer::start();
    let store: SharedStore = Arc::new(store(&server).await);
    let clock = ManualClock::at(START);
    let ada = Person::new();
    let (session, revoked) = (ada.log_in(&store, &clock).await, ada.log_in(&store, &clock).await);
    let now = clock.now();
    store.revoke_session(ada.user, revoked.id, now, denial()).await.expect("revoke_session");
    for _ in 0..2 {
        server.kill();
        for _ in 0..10 {
            assert_unavailable(store.access_status(&session.access_token(&clock), now)).await;
            assert_unavailable(store.rotate(&session.token(0), now, &LIFETIMES)).await;
        }
        server.restart();
        recovered(&store).await;
        assert_live(&store, &clock, &session, 0).await;
        assert_eq!(status(&store, &clock, &revoked.access_token(&clock)).await, AccessStatus::Revoked);
    }
    assert!(matches!(rotate(&store, &clock, session.token(0)).await, RefreshOutcome::Current(_)));
}

#[tokio::test]
async fn a_hundred_callers_of_a_hung_redis_are_answered_within_the_bound() {
    let server = RedisServer::start();
    let store: SharedStore = Arc::new(store(&server).await);
    let clock = ManualClock::at(START);
    let session = Person::new().log_in(&store, &clock).await;
    server.pause();
    for _ in 0..2 {
        let calls: Vec<_> = (0..100)
            .map(|_| {
                let (store, token, now) = (Arc::clone(&store), session.token(0), clock.now());
                tokio::spawn(async move { assert_unavailable(store.rotate(&token, now, &LIFETIMES)).await })
            })
            .collect();
        for call in calls {
            call.await.expect("a caller that got its answer");
        }
    }
    // The breaker is open by now: nobody waits at all.
    let at_once = timeout(MILLISECOND * 50, store.ping()).await.expect("an answer at once");
    assert!(at_once.is_err());
    server.resume();
    recovered(&store).await;
    // The rotations may or may not have been made; the token is the current or the previous one.
    let outcome = rotate(&store, &clock, session.token(0)).await;
    assert!(matches!(outcome, RefreshOutcome::Current(_) | RefreshOutcome::Previous(_)), "{outcome:?}");
}

#[tokio::test]
async fn scripts_that_redis_forgot_are_loaded_again() {
    let server = RedisServer::start();
    let store: SharedStore = Arc::new(store(&server).await);
    let (mut redis, clock) = (client(&server).await, ManualClock::at(START));
    let session = Person::new().log_in(&store, &clock).await;
    for generation in 0..5 {
        run(&mut redis, &["SCRIPT", "FLUSH"]).await;
        let outcome = rotate(&store, &clock, session.token(generation)).await;
        assert!(matches!(outcome, RefreshOutcome::Current(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn connections_that_are_cut_are_replaced() {
    let server = RedisServer::start();
    let store: SharedStore = Arc::new(store(&server).await);
    let (mut redis, clock) = (client(&server).await, ManualClock::at(START));
    let session = Person::new().log_in(&store, &clock).await;
    for _ in 0..25 {
        run(&mut redis, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        recovered(&store).await;
    }
    assert_live(&store, &clock, &session, 0).await;
}

#[tokio::test]
async fn an_emptied_redis_accepts_no_token_from_before() {
    let server = RedisServer::start();
    let store: SharedStore = Arc::new(store(&server).await);
    let (mut redis, clock) = (client(&server).await, ManualClock::at(START));
    let ada = Person::new();
    let session = ada.log_in(&store, &clock).await;
    let (token, reset) = (session.access_token(&clock), ada.reset_token());
    store
        .insert_reset_token(&reset, ada.reset_grant(&clock, SECOND * 600), clock.now())
        .await
        .expect("insert_reset_token");
    run(&mut redis, &["FLUSHALL"]).await;
    assert_eq!(status(&store, &clock, &token).await, AccessStatus::StoreLost);
    assert_eq!(rotate(&store, &clock, session.token(0)).await, RefreshOutcome::Unknown);
    assert_eq!(store.find_reset_token(&reset, clock.now()).await.expect("find_reset_token"), None);
    assert_eq!(all_keys(&mut redis).await.len(), 0, "nothing was written by asking");

    clock.advance(SECOND);
    let new = ada.log_in(&store, &clock).await;
    assert_eq!(status(&store, &clock, &token).await, AccessStatus::StoreLost, "older than the new data");
    assert_eq!(status(&store, &clock, &new.access_token(&clock)).await, AccessStatus::Live);
    assert_eq!(rotate(&store, &clock, session.token(0)).await, RefreshOutcome::Unknown);
}

#[tokio::test]
async fn a_lost_incarnation_is_set_anew_when_a_session_is_refreshed() {
    let server = RedisServer::start();
    let store: SharedStore = Arc::new(store(&server).await);
    let (mut redis, clock) = (client(&server).await, ManualClock::at(START));
    let session = Person::new().log_in(&store, &clock).await;
    let before = session.access_token(&clock);
    let incarnations = all_keys(&mut redis).await.into_iter().filter(|key| key.ends_with(":incarnation"));
    for key in incarnations {
        run(&mut redis, &["DEL", &key]).await;
    }
    clock.advance(SECOND);
    rotate(&store, &clock, session.token(0)).await;
    assert_eq!(status(&store, &clock, &before).await, AccessStatus::StoreLost);
    assert_eq!(status(&store, &clock, &session.access_token(&clock)).await, AccessStatus::Live);
}

#[tokio::test]
async fn a_full_redis_refuses_logins_and_still_revokes() {
    let server = RedisServer::start();
    let store: SharedStore = Arc::new(store(&server).await);
    let (mut redis, clock) = (client(&server).await, ManualClock::at(START));
    let ada = Person::new();
    let (session, other) = (ada.log_in(&store, &clock).await, ada.log_in(&store, &clock).await);
    let (token, now) = (session.access_token(&clock), clock.now());
    run(&mut redis, &["CONFIG", "SET", "maxmemory", "1"]).await;
    for _ in 0..10 {
        assert_unavailable(store.open_session(&ada.session(&clock), now)).await;
        assert_unavailable(store.rotate(&session.token(0), now, &LIFETIMES)).await;
    }
    assert_live(&store, &clock, &session, 0).await;
    assert!(store.revoke_session(ada.user, session.id, now, denial()).await.expect("revoke_session"));
    assert_eq!(status(&store, &clock, &token).await, AccessStatus::Revoked);
    let denied = other.access_token(&clock);
    store.revoke_access_token(ada.user, denied.token, now, denial()).await.expect("revoke_access_token");
    assert_eq!(status(&store, &clock, &denied).await, AccessStatus::Revoked);
    assert_eq!(ada.after_a_security_event().cut_off(&store, &clock).await, vec![other.id]);
    run(&mut redis, &["CONFIG", "SET", "maxmemory", "0"]).await;
    ada.after_a_security_event().log_in(&store, &clock).await;
}

#[tokio::test]
async fn a_replica_that_refuses_writes_is_unavailable_until_it_is_the_master() {
    let server = RedisServer::start();
    let store: SharedStore = Arc::new(store(&server).await);
    let (mut redis, clock) = (client(&server).await, ManualClock::at(START));
    let ada = Person::new();
    ada.log_in(&store, &clock).await;
    run(&mut redis, &["REPLICAOF", "127.0.0.1", "1"]).await;
    assert_unavailable(store.open_session(&ada.session(&clock), clock.now())).await;
    run(&mut redis, &["REPLICAOF", "NO", "ONE"]).await;
    ada.log_in(&store, &clock).await;
}

#[tokio::test]
async fn a_store_starts_without_redis_and_works_when_redis_comes() {
    let mut server = RedisServer::start();
    server.kill();
    let (url, options) = (server.url(), RedisOptions::default());
    let refused = timeout(BOUND, RedisTokenStore::connect(&url, options)).await.expect("an answer");
    assert!(matches!(refused, Err(ConnectError::Unreachable(_))), "{refused:?}");
    let store: SharedStore = Arc::new(RedisTokenStore::connect_lazy(&url, options).expect("a store"));
    assert_unavailable(store.ping()).await;
    server.restart();
    recovered(&store).await;
}

#[tokio::test]
async fn a_server_that_never_answers_a_connection_is_unavailable() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("its address").port();
    for scheme in ["redis", "rediss"] {
        let url = format!("{scheme}://127.0.0.1:{port}");
        let store = RedisTokenStore::connect_lazy(&url, RedisOptions::default()).expect("a store");
        for _ in 0..2 {
            assert_unavailable(store.ping()).await;
        }
    }
}

#[tokio::test]
async fn tls_to_a_server_that_speaks_none_is_unavailable() {
    let server = RedisServer::start();
    let url = server.url().replace("redis:", "rediss:");
    let store = RedisTokenStore::connect_lazy(&url, RedisOptions::default()).expect("a store");
    assert_unavailable(store.ping()).await;
}

#[tokio::test]
async fn the_password_of_the_address_is_used_and_shown_nowhere() {
    let server = RedisServer::start();
    let mut redis = client(&server).await;
    run(&mut redis, &["CONFIG", "SET", "requirepass", "hunter2"]).await;
    let address = |password: &str| format!("redis://:{password}@127.0.0.1:{}", server.port());
    let options = RedisOptions::default();
    let store = RedisTokenStore::connect(&address("hunter2"), options).await.expect("a store");
    assert!(!format!("{store:?}").contains("hunter2"));

    let wrong = RedisTokenStore::connect(&address("hunter3"), options).await.expect_err("a refusal");
    let mut shown = format!("{wrong:?}");
    let mut cause: Option<&dyn std::error::Error> = Some(&wrong);
    while let Some(error) = cause {
        shown.push_str(&error.to_string());
        cause = error.source();
    }
    assert!(!shown.contains("hunter"), "{shown}");

    // A wrong password is not for ever: the next attempt counts.
    let early = RedisTokenStore::connect_lazy(&address("hunter3"), options).expect("a store");
    assert_unavailable(early.ping()).await;
    run(&mut redis, &["CONFIG", "SET", "requirepass", "hunter3"]).await;
    early.ping().await.expect("ping");
}

#[tokio::test]
async fn redis_tells_whether_it_may_forget() {
    let server = RedisServer::start();
    let mut redis = client(&server).await;
    let careful = store(&server).await.inspect().await.expect("inspect");
    assert_eq!((careful.eviction.clone(), careful.append_only), (EvictionPolicy::NoEviction, Some(true)));
    assert!(!careful.is_too_old(), "{careful:?}");
    run(&mut redis, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    let forgetful = store(&server).await.inspect().await.expect("inspect");
    assert_eq!(forgetful.eviction, EvictionPolicy::Evicts("allkeys-lru".to_owned()));

    run(&mut redis, &["ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-info"]).await;
    let url = format!("redis://app:pw@127.0.0.1:{}", server.port());
    let restricted = RedisTokenStore::connect(&url, RedisOptions::default()).await.expect("a store");
    let RedisInspection { version, eviction, append_only } = restricted.inspect().await.expect("inspect");
    assert_eq!((version, eviction, append_only), (None, EvictionPolicy::Unknown, None));
}
