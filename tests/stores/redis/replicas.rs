//! Revocations that wait for Redis' own replicas (`redis.wait_replicas`).

mod log;

use std::sync::Arc;
use std::time::Duration;

use hallpass::domain::clock::ManualClock;
use hallpass::domain::ids::Jti;
use hallpass::domain::journal::VouchingId;
use hallpass::domain::partition::Partition;
use hallpass::store::redis::{RedisOptions, RedisTokenStore};
use hallpass::store::revocations::RevocationBackend;
use hallpass::store::vouching::{BackendError, Vouched, VouchedPartition};
use hallpass::store::{AccessStatus, DenylistStore, SessionStore, StoreError, StoreResult, TokenStore};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tokio::time::{Instant, timeout};

use super::{client, keys};
use crate::journaled::TestStore;
use crate::support::redis::RedisServer;
use crate::support::switchboard::Switchboard;
use crate::token_store::SharedStore;
use crate::token_store::support::*;

/// The longest that anybody waits for an answer.
const BOUND: Duration = Duration::from_secs(1);

fn options(wait_replicas: u32) -> RedisOptions {
    RedisOptions { wait_replicas, ..RedisOptions::default() }
}

async fn backend_at(url: &str, wait_replicas: u32, clock: &Arc<ManualClock>) -> Arc<RedisTokenStore> {
    let store = RedisTokenStore::connect(url, &mark(), options(wait_replicas)).await.expect("a store");
    Arc::new(store.with_time(laid_over(clock)))
}

/// A store whose revocations wait for so many replicas.
async fn waiting(server: &RedisServer, wait_replicas: u32, clock: &Arc<ManualClock>) -> SharedStore {
    let backend = backend_at(&server.url(), wait_replicas, clock).await;
    Arc::new(TestStore::new(backend, clock.clone()).await)
}

/// A master, and a replica that has all that it has.
pub(super) async fn in_step() -> (RedisServer, RedisServer) {
    let (master, replica) = (RedisServer::with_snapshots(), RedisServer::with_snapshots());
    replica.follow(master.port()).await;
    online(&master, 1).await;
    (master, replica)
}

/// Waits until so many replicas follow the master and have acknowledged what it wrote: one that has just
/// come does so once a second, and counts for nothing before.
async fn online(master: &RedisServer, replicas: u32) {
    let mut redis = client(master).await;
    loop {
        redis.set::<_, _, ()>("written", "").await.expect("SET");
        let have: u32 =
            redis::cmd("WAIT").arg(replicas).arg(100).query_async(&mut redis).await.expect("WAIT");
        if have >= replicas {
            return;
        }
    }
}

/// Whether the server was ever given that command.
async fn calls(server: &RedisServer, command: &str) -> bool {
    server.command::<String>(&["INFO", "commandstats"]).await.contains(&format!("cmdstat_{command}:"))
}

/// Asserts that the answer comes in time, and is that the revocation is decided and not confirmed.
async fn assert_pending<T: std::fmt::Debug>(call: impl Future<Output = StoreResult<T>>) {
    match timeout(BOUND, call).await.expect("an answer in time") {
        Err(StoreError::RevocationPending(cause)) => {
            let said = format!("{cause:?}");
            assert!(said.contains("TooFewReplicas"), "{said}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_acknowledged_a_replica_has() {
    let (master, replica) = in_step().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = waiting(&master, 1, &clock).await;
    let mut there = client(&replica).await;
    for _ in 0..20 {
        let ada = Person::new();
        let session = ada.log_in(&store, &clock).await;
        let ending = store.revoke_session(ada.user, session.id, OnUnknown::Deny);
        assert!(ending.await.expect("an end"));
        let denied: u32 = there.zcard(keys().of_user(ada.user).denied()).await.expect("ZCARD");
        assert_eq!(denied, 1);
    }
    assert!(calls(&master, "wait").await);
}

#[tokio::test]
async fn without_a_replica_in_time_a_revocation_is_made_and_not_acknowledged() {
    let (master, replica) = in_step().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = waiting(&master, 1, &clock).await;
    let (ada, grace) = (Person::new(), Person::new());
    let (session, other) = (ada.log_in(&store, &clock).await, ada.log_in(&store, &clock).await);
    let kicked = grace.log_in(&store, &clock).await;
    let (denied, machine) = (other.access_token(), Jti::from(*fresh_session_id().as_uuid()));
    let ending = |on_unknown| store.revoke_session(ada.user, session.id, on_unknown);
    let denying = || store.revoke_access_token(ada.user, denied.token, denial());
    let of_machine = || store.revoke_machine_token(machine, denial());

    replica.pause();
    assert_pending(ending(OnUnknown::Ignore)).await;
    assert_dead(&store, &session).await;
    // The same once more, whether the session is denied again or found to be gone.
    assert_pending(ending(OnUnknown::Deny)).await;
    assert_pending(ending(OnUnknown::Ignore)).await;
    assert_pending(denying()).await;
    assert_eq!(status(&store, &denied).await, AccessStatus::Revoked);
    assert_pending(of_machine()).await;
    let after = grace.after_a_security_event();
    assert_pending(store.end_below(after.user, after.version, &clock)).await;
    assert_dead(&store, &kicked).await;
    // It stands in the journal, and is carried out: nothing is left behind, and nothing waits for it there.
    let began = Instant::now();
    store.keep().await.expect("a look");
    store.keep().await.expect("a look");
    assert!(began.elapsed() < BOUND && store.is_vouched());
    assert_live(&store, &other, 0).await;

    replica.resume();
    assert!(!ending(OnUnknown::Ignore).await.expect("confirmed"));
    ending(OnUnknown::Deny).await.expect("confirmed");
    denying().await.expect("confirmed");
    of_machine().await.expect("confirmed");
    assert_dead(&store, &session).await;
}

#[tokio::test]
async fn replicas_that_come_later_and_more_than_one_are_waited_for() {
    let (master, first) = in_step().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = waiting(&master, 2, &clock).await;
    let revoke = async || {
        let ada = Person::new();
        let session = ada.log_in(&store, &clock).await;
        store.revoke_session(ada.user, session.id, OnUnknown::Deny).await
    };
    assert_pending(revoke()).await;
    let mut second = RedisServer::with_snapshots();
    second.follow(master.port()).await;
    online(&master, 2).await;
    assert!(revoke().await.expect("both have it"));
    second.kill();
    assert_pending(revoke()).await;
    drop(first);
}

#[tokio::test]
async fn where_no_replica_is_waited_for_none_is_asked() {
    let (master, replica) = in_step().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = waiting(&master, 0, &clock).await;
    let ada = Person::new();
    let session = ada.log_in(&store, &clock).await;
    replica.pause();
    master.command::<()>(&["CONFIG", "RESETSTAT"]).await;
    let ending = store.revoke_session(ada.user, session.id, OnUnknown::Deny);
    assert!(timeout(BOUND, ending).await.expect("an answer in time").expect("an end"));
    assert!(!calls(&master, "wait").await);
    replica.resume();
}

fn fence_of(person: &Person) -> String {
    keys().partition(Partition::of(person.user)).fence()
}

#[tokio::test]
async fn a_full_redis_takes_the_fence_as_it_takes_the_revocation() {
    let (master, _replica) = in_step().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = waiting(&master, 1, &clock).await;
    let ada = Person::new();
    let session = ada.log_in(&store, &clock).await;
    master.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    for _ in 0..2 {
        let ending = store.revoke_session(ada.user, session.id, OnUnknown::Deny);
        ending.await.expect("an end");
    }
    let ttl: i64 = master.command(&["PTTL", &fence_of(&ada)]).await;
    assert!((1..=60_000).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn password_and_database_of_the_address_hold_for_these_connections_as_well() {
    let (master, replica) = in_step().await;
    replica.command::<()>(&["CONFIG", "SET", "masterauth", "hunter2"]).await;
    master.command::<()>(&["CONFIG", "SET", "requirepass", "hunter2"]).await;
    let url = format!("redis://:hunter2@127.0.0.1:{}/3", master.port());
    let clock = Arc::new(ManualClock::at(START));
    let backend = backend_at(&url, 1, &clock).await;
    assert!(!format!("{backend:?}").contains("hunter2"));
    let store: SharedStore = Arc::new(TestStore::new(backend, clock.clone()).await);
    let ada = Person::new();
    let session = ada.log_in(&store, &clock).await;
    let ending = store.revoke_session(ada.user, session.id, OnUnknown::Deny);
    assert!(ending.await.expect("an end"));
    let mut there = redis::Client::open(url).expect("an address").get_multiplexed_async_connection().await;
    let there = there.as_mut().expect("a connection");
    assert!(there.exists::<_, bool>(fence_of(&ada)).await.expect("EXISTS"));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_was_idle_costs_nobody_an_answer() {
    let (master, _replica) = in_step().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = waiting(&master, 1, &clock).await;
    for _ in 0..5 {
        let ada = Person::new();
        let session = ada.log_in(&store, &clock).await;
        let ending = store.revoke_session(ada.user, session.id, OnUnknown::Deny);
        assert!(ending.await.expect("an end"));
        master.command::<u32>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    }
}

/// A wait that was given up goes on in Redis, and must not hold up who comes next.
#[tokio::test]
async fn a_connection_that_somebody_gave_up_is_not_used_again() {
    let (master, replica) = in_step().await;
    let clock = Arc::new(ManualClock::at(START));
    let backend = backend_at(&master.url(), 1, &clock).await;
    let store = TestStore::new(backend.clone(), clock).await;
    store.ping().await.expect("it is whole");
    let by = vouched_at(&master).await;
    let mut redis = client(&master).await;
    let waits = async |redis: &mut MultiplexedConnection| {
        let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(redis).await.expect("CLIENT LIST");
        let waiting = clients.lines().filter(|client| client.contains(" cmd=wait "));
        waiting.filter_map(|client| client.split(' ').next().map(str::to_owned)).collect::<Vec<_>>()
    };
    replica.pause();
    let mut given_up = Vec::new();
    for _ in 0..2 {
        let (waiter, by) = (backend.clone(), by.clone());
        let waiting = tokio::spawn(async move { waiter.replicated(&by, Partition::EVERYBODY).await });
        let mut found = waits(&mut redis).await;
        while found.iter().all(|id| given_up.contains(id)) {
            assert!(!waiting.is_finished(), "it was not seen to wait");
            found = waits(&mut redis).await;
        }
        waiting.abort();
        assert!(waiting.await.is_err_and(|error| error.is_cancelled()));
        given_up.extend(found);
    }
    replica.resume();
    backend.replicated(&by, Partition::EVERYBODY).await.expect("it has it");
}

/// What the store at `server` was found whole by.
pub(super) async fn vouched_at(server: &RedisServer) -> Vouched {
    let state = keys().everybody().partition().state();
    let (seal, vouching, incarnation): (String, i64, i64) =
        server.command(&["HMGET", &state, "seal", "vouching", "incarnation"]).await;
    let partition = VouchedPartition { incarnation, vouching: VouchingId::new(vouching) };
    Vouched::new(seal, vec![partition; Partition::COUNT]).expect("all partitions")
}

/// A promoted replica has all data, the vouching included, and a replica of its own: it confirms nothing
/// about what its master has carried out.
#[tokio::test]
async fn replicas_of_another_server_confirm_nothing() {
    let (master, promoted) = in_step().await;
    let behind = RedisServer::with_snapshots();
    behind.follow(promoted.port()).await;
    let address = Switchboard::to(master.port()).await;
    let clock = Arc::new(ManualClock::at(START));
    let backend = backend_at(&format!("redis://{}", address.address()), 1, &clock).await;
    let store = TestStore::new(backend.clone(), clock.clone()).await;
    store.ping().await.expect("it is whole");
    let by = vouched_at(&master).await;
    promoted.catch_up_with(master.port()).await;
    promoted.command::<()>(&["REPLICAOF", "NO", "ONE"]).await;
    online(&promoted, 1).await;
    address.lead_to(promoted.port());
    match backend.replicated(&by, Partition::EVERYBODY).await {
        Err(BackendError::Unvouched) => {}
        other => panic!("{other:?}"),
    }
    // Nor does one that has other data.
    let other = RedisServer::with_snapshots();
    behind.follow(other.port()).await;
    online(&other, 1).await;
    address.lead_to(other.port());
    let backend =
        backend_at(&format!("redis://{}", address.address()), 1, &Arc::new(ManualClock::at(START))).await;
    assert!(matches!(backend.replicated(&by, Partition::EVERYBODY).await, Err(BackendError::Unvouched)));
}
