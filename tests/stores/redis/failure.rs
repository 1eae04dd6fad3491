//! Redis broken on purpose: gone, hung, full, empty, or not a Redis at all.

use std::sync::Arc;
use std::time::Duration;

use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::domain::journal::VouchingId;
use hallpass::domain::partition::Partition;
use hallpass::store::backend::TokenBackend;
use hallpass::store::redis::{
    ConnectError, EvictionPolicy, Persistence, RedisInspection, RedisOptions, RedisTokenStore,
};
use hallpass::store::sessions::SessionBackend;
use hallpass::store::vouching::{BackendError, Vouched, VouchedPartition};
use hallpass::store::{
    AccessStatus, CutOffStore, DenylistStore, OnReuse, RefreshOutcome, ResetTokenStore, SessionStore,
    StoreError, StoreResult, TokenStore,
};
use redis::aio::MultiplexedConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::{backend, client, keys, store};
use crate::journaled::TestStore;
use crate::support::redis::RedisServer;
use crate::support::switchboard::Switchboard;
use crate::token_store::SharedStore;
use crate::token_store::support::*;

/// The longest that a caller waits for any answer.
const BOUND: Duration = Duration::from_secs(1);

/// How soon the store works again after Redis does.
const RECOVERY: Duration = Duration::from_secs(10);

/// How soon the store has found the server that a failover has put in the place of another.
const FAILOVER: Duration = Duration::from_secs(2);

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
    let clock = Arc::new(ManualClock::at(START));
    let store = store(&server, &clock).await;
    let ada = Person::new();
    let (session, revoked) = (ada.log_in(&store, &clock).await, ada.log_in(&store, &clock).await);
    store.revoke_session(ada.user, revoked.id, OnUnknown::Ignore).await.expect("revoke_session");
    for _ in 0..2 {
        server.kill();
        for _ in 0..10 {
            assert_unavailable(store.access_status(&session.access_token())).await;
            assert_unavailable(store.rotate(&session.token(0), &LIFETIMES)).await;
        }
        server.restart();
        recovered(&store).await;
        assert_live(&store, &session, 0).await;
        assert_eq!(status(&store, &revoked.access_token()).await, AccessStatus::Revoked);
    }
    assert!(matches!(rotate(&store, session.token(0)).await, RefreshOutcome::Current(_)));
}

#[tokio::test]
async fn a_hundred_callers_of_a_hung_redis_are_answered_within_the_bound() {
    let server = RedisServer::start();
    let clock = Arc::new(ManualClock::at(START));
    let store = store(&server, &clock).await;
    let session = Person::new().log_in(&store, &clock).await;
    server.pause();
    for _ in 0..2 {
        let calls: Vec<_> = (0..100)
            .map(|_| {
                let (store, token) = (Arc::clone(&store), session.token(0));
                tokio::spawn(async move { assert_unavailable(store.rotate(&token, &LIFETIMES)).await })
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
    let outcome = rotate(&store, session.token(0)).await;
    assert!(matches!(outcome, RefreshOutcome::Current(_) | RefreshOutcome::Previous(_)), "{outcome:?}");
}

#[tokio::test]
async fn scripts_that_redis_forgot_are_loaded_again() {
    let server = RedisServer::start();
    let (mut redis, clock) = (client(&server).await, Arc::new(ManualClock::at(START)));
    let store = store(&server, &clock).await;
    let session = Person::new().log_in(&store, &clock).await;
    for generation in 0..5 {
        run(&mut redis, &["SCRIPT", "FLUSH"]).await;
        let outcome = rotate(&store, session.token(generation)).await;
        assert!(matches!(outcome, RefreshOutcome::Current(_)), "{outcome:?}");
    }
}

/// Between the two commands of which loading consists as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_redis_forgets_all_the_time_are_sent_whole() {
    let server = RedisServer::start();
    let (mut redis, clock) = (client(&server).await, Arc::new(ManualClock::at(START)));
    let store = store(&server, &clock).await;
    let session = Person::new().log_in(&store, &clock).await;
    let forgetting = tokio::spawn(async move {
        loop {
            run(&mut redis, &["SCRIPT", "FLUSH"]).await;
        }
    });
    for generation in 0..500 {
        let outcome = rotate(&store, session.token(generation)).await;
        assert!(matches!(outcome, RefreshOutcome::Current(_)), "{outcome:?}");
    }
    forgetting.abort();
}

#[tokio::test]
async fn connections_that_are_cut_while_they_are_idle_cost_no_answer() {
    let server = RedisServer::start();
    let (mut redis, clock) = (client(&server).await, Arc::new(ManualClock::at(START)));
    let store = store(&server, &clock).await;
    let session = Person::new().log_in(&store, &clock).await;
    for generation in 0..25 {
        run(&mut redis, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        let outcome = rotate(&store, session.token(generation)).await;
        assert!(matches!(outcome, RefreshOutcome::Current(_)), "{outcome:?}");
        assert_live(&store, &session, generation + 1).await;
    }
}

#[tokio::test]
async fn connections_that_redis_closes_by_itself_cost_no_answer() {
    let server = RedisServer::start();
    let store = backend(&server, &mark(), &Arc::new(ManualClock::at(START))).await;
    store.ping().await.expect("ping");
    let mut redis = client(&server).await;
    run(&mut redis, &["CONFIG", "SET", "timeout", "1"]).await;
    let mine: i64 = redis::cmd("CLIENT").arg("ID").query_async(&mut redis).await.expect("an id");
    for _ in 0..2 {
        store.ping().await.expect("ping");
        let closed = async {
            loop {
                let list: String =
                    redis::cmd("CLIENT").arg("LIST").query_async(&mut redis).await.expect("CLIENT LIST");
                if list.lines().all(|client| client.starts_with(&format!("id={mine} "))) {
                    break;
                }
            }
        };
        timeout(RECOVERY, closed).await.expect("Redis closes what is idle");
        store.ping().await.expect("ping");
    }
}

/// A server that takes a command and goes away instead of answering: it may have done it.
#[tokio::test]
async fn what_may_have_been_sent_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("redis://{}", listener.local_addr().expect("its address"));
    let (taken, mut rotations) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(length @ 1..) = client.read(&mut buffer).await {
                let text = String::from_utf8_lossy(&buffer[..length]);
                if text.contains("EVALSHA") {
                    taken.send(()).expect("a test that counts");
                    break;
                }
                let greetings = text.matches("SETINFO").count();
                client.write_all("+OK\r\n".repeat(greetings).as_bytes()).await.expect("an answer");
                // Who it is, asked in two commands.
                let info = "$27\r\nrun_id:a\r\nmaster_replid:b\r\n\r\n"
                    .repeat(text.matches("INFO").count() - greetings);
                client.write_all(info.as_bytes()).await.expect("an answer");
            }
        }
    });
    let store = RedisTokenStore::connect_lazy(&url, &mark(), RedisOptions::default()).expect("a store");
    let session = Person::new().session();
    let partition = VouchedPartition { incarnation: 1, vouching: VouchingId::new(1) };
    let by = Vouched::new("a:b".to_owned(), vec![partition; Partition::COUNT]).expect("all partitions");
    let opening = async {
        match store.open_session(&by, &session, &LIFETIMES).await {
            Err(BackendError::Store(error)) => Err(error),
            other => panic!("{other:?}"),
        }
    };
    assert_unavailable::<()>(opening).await;
    rotations.recv().await.expect("one");
    assert!(rotations.try_recv().is_err(), "one alone");
}

#[tokio::test]
async fn an_emptied_redis_accepts_no_token_from_before() {
    let server = RedisServer::start();
    let (mut redis, clock) = (client(&server).await, Arc::new(ManualClock::at(START)));
    let store = store(&server, &clock).await;
    let ada = Person::new();
    let session = ada.log_in(&store, &clock).await;
    let (token, reset) = (session.access_token(), ada.reset_token());
    store
        .insert_reset_token(&reset, reset_place(1), ada.version, SECOND * 600)
        .await
        .expect("insert_reset_token");
    run(&mut redis, &["FLUSHALL"]).await;
    assert_eq!(status(&store, &token).await, AccessStatus::StoreLost);
    assert_eq!(rotate(&store, session.token(0)).await, RefreshOutcome::Unknown);
    assert_eq!(store.find_reset_token(&reset).await.expect("find_reset_token"), None);
    clock.advance(SECOND);
    let new = ada.log_in(&store, &clock).await;
    assert_eq!(status(&store, &token).await, AccessStatus::StoreLost, "older than the new data");
    assert_eq!(status(&store, &new.access_token()).await, AccessStatus::Live);
    assert_eq!(rotate(&store, session.token(0)).await, RefreshOutcome::Unknown);
}

#[tokio::test]
async fn a_partition_that_lost_its_state_begins_anew_and_no_other_does() {
    let server = RedisServer::start();
    let (mut redis, clock) = (client(&server).await, Arc::new(ManualClock::at(START)));
    let store = store(&server, &clock).await;
    let ada = Person::new();
    let grace = ada.elsewhere();
    let (session, other) = (ada.log_in(&store, &clock).await, grace.log_in(&store, &clock).await);
    run(&mut redis, &["DEL", &keys().of_user(ada.user).partition().state()]).await;
    let before = session.access_token();
    assert_eq!(status(&store, &before).await, AccessStatus::StoreLost);
    assert_eq!(rotate(&store, session.token(0)).await, RefreshOutcome::Unknown);
    assert_live(&store, &other, 0).await;
    let again = ada.log_in(&store, &clock).await;
    assert_live(&store, &again, 0).await;
}

#[tokio::test]
async fn a_full_redis_refuses_logins_and_still_revokes() {
    let server = RedisServer::start();
    let (mut redis, clock) = (client(&server).await, Arc::new(ManualClock::at(START)));
    let store = store(&server, &clock).await;
    let ada = Person::new();
    let (session, other) = (ada.log_in(&store, &clock).await, ada.log_in(&store, &clock).await);
    let token = session.access_token();
    run(&mut redis, &["CONFIG", "SET", "maxmemory", "1"]).await;
    for _ in 0..10 {
        assert_unavailable(store.open_session(&ada.session(), &LIFETIMES)).await;
        assert_unavailable(store.rotate(&session.token(0), &LIFETIMES)).await;
    }
    assert_live(&store, &session, 0).await;
    assert!(store.revoke_session(ada.user, session.id, OnUnknown::Ignore).await.expect("revoke_session"));
    assert_eq!(status(&store, &token).await, AccessStatus::Revoked);
    let denied = other.access_token();
    store.revoke_access_token(ada.user, denied.token, denial()).await.expect("revoke_access_token");
    assert_eq!(status(&store, &denied).await, AccessStatus::Revoked);
    assert_eq!(ada.after_a_security_event().cut_off(&store, &clock).await, vec![other.id]);
    let end = deleted_client(&store, clock.now().after(denial())).await;
    store.end_client(&end).await.expect("end_client");
    run(&mut redis, &["CONFIG", "SET", "maxmemory", "0"]).await;
    ada.after_a_security_event().log_in(&store, &clock).await;
}

#[tokio::test]
async fn a_replica_that_refuses_writes_is_unavailable_until_it_is_the_master() {
    let server = RedisServer::start();
    let (mut redis, clock) = (client(&server).await, Arc::new(ManualClock::at(START)));
    let store = store(&server, &clock).await;
    let ada = Person::new();
    ada.log_in(&store, &clock).await;
    run(&mut redis, &["REPLICAOF", "127.0.0.1", "1"]).await;
    assert_unavailable(store.open_session(&ada.session(), &LIFETIMES)).await;
    run(&mut redis, &["REPLICAOF", "NO", "ONE"]).await;
    ada.log_in(&store, &clock).await;
}

/// What the new master has taken since comes to it late: a session may be unknown here that lives, and live here that
/// was ended.
#[tokio::test]
async fn a_demoted_server_is_no_judge_of_tokens() {
    let server = RedisServer::start();
    let (mut redis, clock) = (client(&server).await, Arc::new(ManualClock::at(START)));
    let store = store(&server, &clock).await;
    let ada = Person::new();
    let (session, unheard_of) = (ada.log_in(&store, &clock).await, ada.log_in(&store, &clock).await);
    store.revoke_session(ada.user, unheard_of.id, OnUnknown::Ignore).await.expect("revoke_session");
    run(&mut redis, &["REPLICAOF", "127.0.0.1", "1"]).await;
    for session in [&session, &unheard_of] {
        let token = session.access_token();
        assert_unavailable(store.access_status(&token)).await;
        assert_unavailable(store.check_refresh(&session.token(0), &LIFETIMES, OnReuse::Refuse)).await;
        assert_unavailable(store.rotate(&session.token(0), &LIFETIMES)).await;
        assert_unavailable(store.find_session(ada.user, session.id)).await;
    }
    let pending = store.revoke_session(ada.user, unheard_of.id, OnUnknown::Ignore).await;
    assert!(matches!(pending, Err(StoreError::RevocationPending(_))), "{pending:?}");
    assert_unavailable(store.find_reset_token(&ada.reset_token())).await;
    assert_unavailable(store.machine_status(session.access_token().token, 1)).await;
    assert_unavailable(store.list_sessions(ada.user, None, 10)).await;
    assert_unavailable(store.session_uses(ada.user)).await;
    run(&mut redis, &["REPLICAOF", "NO", "ONE"]).await;
    assert_live(&store, &session, 0).await;
}

/// The address leads to the new master, and an open connection to the one that was demoted.
#[tokio::test]
async fn a_connection_to_a_server_that_takes_no_writes_any_more_is_given_up() {
    for demoted in [&["REPLICAOF", "127.0.0.1", "1"][..], &["CONFIG", "SET", "min-replicas-to-write", "1"]] {
        let (old, new) = (RedisServer::start(), RedisServer::start());
        let address = Switchboard::to(old.port()).await;
        let url = format!("redis://{}", address.address());
        let (mut redis, clock) = (client(&old).await, Arc::new(ManualClock::at(START)));
        let store = RedisTokenStore::connect(&url, &mark(), RedisOptions::default()).await.expect("a store");
        let store = store.with_time(laid_over(&clock));
        let store = Arc::new(TestStore::new(Arc::new(store), clock.clone()).await);
        let ada = Person::new();
        ada.log_in(&store, &clock).await;
        run(&mut redis, demoted).await;
        address.lead_to(new.port());
        let failed_over = Instant::now();
        while store.open_session(&ada.session(), &LIFETIMES).await.is_err() {
            assert!(failed_over.elapsed() < FAILOVER, "{demoted:?}");
        }
        ada.log_in(&store, &clock).await;
    }
}

#[tokio::test]
async fn a_store_starts_without_redis_and_works_when_redis_comes() {
    let mut server = RedisServer::start();
    server.kill();
    let (url, options) = (server.url(), RedisOptions::default());
    let refused =
        timeout(BOUND, RedisTokenStore::connect(&url, &mark(), options.clone())).await.expect("an answer");
    assert!(matches!(refused, Err(ConnectError::Unreachable(_))), "{refused:?}");
    let backend = RedisTokenStore::connect_lazy(&url, &mark(), options).expect("a store");
    let clock = Arc::new(ManualClock::at(START));
    let backend = backend.with_time(laid_over(&clock));
    let store = Arc::new(TestStore::new(Arc::new(backend), clock).await);
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
        let store = RedisTokenStore::connect_lazy(&url, &mark(), RedisOptions::default()).expect("a store");
        for _ in 0..2 {
            assert_unavailable(store.ping()).await;
        }
    }
}

#[tokio::test]
async fn tls_to_a_server_that_speaks_none_is_unavailable() {
    let server = RedisServer::start();
    let url = server.url().replace("redis:", "rediss:");
    let store = RedisTokenStore::connect_lazy(&url, &mark(), RedisOptions::default()).expect("a store");
    assert_unavailable(store.ping()).await;
}

#[tokio::test]
async fn the_password_of_the_address_is_used_and_shown_nowhere() {
    let server = RedisServer::start();
    let mut redis = client(&server).await;
    run(&mut redis, &["CONFIG", "SET", "requirepass", "hunter2"]).await;
    let address = |password: &str| format!("redis://:{password}@127.0.0.1:{}", server.port());
    let options = RedisOptions::default();
    let store =
        RedisTokenStore::connect(&address("hunter2"), &mark(), options.clone()).await.expect("a store");
    assert!(!format!("{store:?}").contains("hunter2"));

    let wrong =
        RedisTokenStore::connect(&address("hunter3"), &mark(), options.clone()).await.expect_err("a refusal");
    let mut shown = format!("{wrong:?}");
    let mut cause: Option<&dyn std::error::Error> = Some(&wrong);
    while let Some(error) = cause {
        shown.push_str(&error.to_string());
        cause = error.source();
    }
    assert!(!shown.contains("hunter"), "{shown}");

    // A wrong password is not for ever: the next attempt counts.
    let early = RedisTokenStore::connect_lazy(&address("hunter3"), &mark(), options).expect("a store");
    assert_unavailable(early.ping()).await;
    run(&mut redis, &["CONFIG", "SET", "requirepass", "hunter3"]).await;
    early.ping().await.expect("ping");
}

#[tokio::test]
async fn redis_tells_whether_it_may_forget() {
    let server = RedisServer::start();
    let mut redis = client(&server).await;
    let clock = Arc::new(ManualClock::at(START));
    let careful = backend(&server, &mark(), &clock).await.inspect().await.expect("inspect");
    assert_eq!(
        (careful.eviction.clone(), careful.persistence),
        (EvictionPolicy::NoEviction, Persistence::Log)
    );
    assert!(!careful.is_too_old(), "{careful:?}");
    run(&mut redis, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    let forgetful = backend(&server, &mark(), &clock).await.inspect().await.expect("inspect");
    assert_eq!(forgetful.eviction, EvictionPolicy::Evicts("allkeys-lru".to_owned()));

    let persistence =
        async || backend(&server, &mark(), &clock).await.inspect().await.expect("inspect").persistence;
    run(&mut redis, &["CONFIG", "SET", "appendonly", "no"]).await;
    assert_eq!(persistence().await, Persistence::Nothing);
    run(&mut redis, &["CONFIG", "SET", "save", "3600 1"]).await;
    assert_eq!(persistence().await, Persistence::Snapshots);

    let url = format!("redis://app:pw@127.0.0.1:{}", server.port());
    run(&mut redis, &["ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-config"]).await;
    let restricted = RedisTokenStore::connect(&url, &mark(), RedisOptions::default()).await.expect("a store");
    let RedisInspection { version, eviction, persistence, .. } = restricted.inspect().await.expect("inspect");
    assert!(version.is_some(), "INFO says so");
    assert_eq!(eviction, EvictionPolicy::Evicts("allkeys-lru".to_owned()));
    assert_eq!(persistence, Persistence::NoLog);

    run(&mut redis, &["ACL", "SETUSER", "app", "-info"]).await;
    let RedisInspection { version, eviction, persistence, .. } = restricted.inspect().await.expect("inspect");
    assert_eq!((version, eviction, persistence), (None, EvictionPolicy::Unknown, Persistence::Unknown));
}
