//! A master that Sentinels name: the whole contract, and how it is found and followed.

mod entry;
mod failover;
mod split_brain;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures_util::future::join_all;
use hallpass::domain::clock::ManualClock;
use hallpass::domain::deployment::DeploymentMark;
use hallpass::domain::revocation::Revoked;
use hallpass::domain::session::Session;
use hallpass::store::backend::TokenBackend;
use hallpass::store::redis::{RedisOptions, RedisTokenStore};
use hallpass::store::revocations::{ReaderRole, RevocationStore};
use hallpass::store::token_store::Probe;
use hallpass::store::{AccessStatus, DenylistStore, SessionStore, StoreError, TokenStore};
use tokio::time::{Instant, timeout};

use super::keys;
use super::replicas::in_step;
use crate::journaled::{Journal, TestStore};
use crate::support::ports::free_address;
use crate::support::redis::RedisServer;
use crate::support::sentinels::{MASTER, SaidSentinel, SentinelSet};
use crate::token_store::SharedStore;
use crate::token_store::support::*;

/// The longest that anybody waits for an answer.
const BOUND: Duration = Duration::from_secs(1);

/// How soon a master is followed that is another by now.
const FOLLOWED: Duration = Duration::from_secs(2);

/// Long enough for anything that happens at all, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// The servers of all cases that break none.
static SHARED: LazyLock<SentinelSet> = LazyLock::new(|| {
    let starting = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(SentinelSet::that_replaces_nobody())
    });
    starting.join().expect("servers")
});

crate::token_store::contract!(open_store);

async fn open_store(clock: Arc<ManualClock>) -> (SharedStore, ()) {
    let backend = Arc::new(lazy(&SHARED.url(), &fresh_mark(), &clock));
    (Arc::new(TestStore::new(backend, clock).await.found_whole().await), ())
}

fn lazy(url: &str, mark: &DeploymentMark, clock: &Arc<ManualClock>) -> RedisTokenStore {
    let store = RedisTokenStore::connect_lazy(url, mark, RedisOptions::default()).expect("a store");
    store.with_time(laid_over(clock))
}

/// A store at that address, with a journal of its own.
async fn store_at(url: &str, clock: &Arc<ManualClock>) -> SharedStore {
    let backend = Arc::new(lazy(url, &mark(), clock));
    let store = TestStore::over(backend, Journal::new().await, clock.clone());
    Arc::new(store.found_whole().await)
}

fn store_over(url: &str, journal: Journal, clock: &Arc<ManualClock>) -> SharedStore {
    Arc::new(TestStore::over(Arc::new(lazy(url, &mark(), clock)), journal, clock.clone()))
}

/// The address of such Sentinels.
fn url_of(sentinels: &[&SaidSentinel]) -> String {
    let hosts: Vec<_> = sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
    format!("redis+sentinel://{}/{MASTER}", hosts.join(","))
}

/// Asks until the store answers.
async fn recovered(store: &SharedStore, within: Duration) {
    let asking = async {
        while store.ping().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(within, asking).await.expect("recovery");
}

#[tokio::test]
async fn one_that_is_silent_costs_no_answer_and_the_one_that_answered_is_asked_first() {
    let server = RedisServer::start();
    let answering = SaidSentinel::of(server.port(), 0).await;
    // One by one they would use up the time of an operation.
    let silent = [SaidSentinel::of(1, 0).await, SaidSentinel::of(1, 0).await, SaidSentinel::of(1, 0).await];
    silent.iter().for_each(SaidSentinel::falls_silent);
    let gone = free_address();
    let [first, second, third] = silent.each_ref().map(SaidSentinel::address);
    let url = format!("redis+sentinel://{first},{gone},{second},{third},{}/{MASTER}", answering.address());
    let clock = Arc::new(ManualClock::at(START));
    let backend = lazy(&url, &mark(), &clock);
    for _ in 0..3 {
        backend.ping().await.expect("an answer");
        // Each asks anew where the master is.
        server.command::<u32>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    }
    assert!(answering.asked() >= 3, "{}", answering.asked());
}

#[tokio::test]
async fn what_is_no_master_is_refused_and_looked_for_again() {
    let (master, replica) = (RedisServer::start(), RedisServer::start());
    replica.follow(master.port()).await;
    let sentinel = SaidSentinel::of(replica.port(), 1).await;
    let clock = Arc::new(ManualClock::at(START));
    let backend = Arc::new(lazy(&url_of(&[&sentinel]), &mark(), &clock));
    let store: SharedStore = Arc::new(TestStore::new(backend.clone(), clock.clone()).await);
    let refused = timeout(BOUND, backend.ping()).await.expect("an answer in time").expect_err("a replica");
    let StoreError::Unavailable { source, .. } = &refused else { panic!("{refused:?}") };
    assert!(source.to_string().contains("a replica answers"), "{source}");
    sentinel.says(master.port(), 1);
    recovered(&store, PATIENCE).await;
    let ada = Person::new();
    let session = ada.log_in(&store, &clock).await;
    assert_live(&store, &session, 0).await;
}

/// The old master serves on, and nobody tells this connection that it is the master no more.
#[tokio::test]
async fn a_master_that_moved_is_followed_though_the_old_one_serves_on() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let sentinel = SaidSentinel::of(old.port(), 1).await;
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&url_of(&[&sentinel]), &clock).await;
    let ada = Person::new();
    let session = ada.log_in(&store, &clock).await;
    store.revoke_access_token(ada.user, session.access_token().token, denial()).await.expect("revoked");
    sentinel.says(new.port(), 2);
    let switched = Instant::now();
    // What is found at another server is made whole there, and that may take longer than a call waits.
    while new.command::<u64>(&["DBSIZE"]).await == 0 {
        drop(store.access_status(&session.access_token()).await);
        assert!(switched.elapsed() < FOLLOWED, "it is not followed");
    }
    recovered(&store, PATIENCE).await;
    assert_eq!(status(&store, &session.access_token()).await, AccessStatus::StoreLost);
    let before = old.command::<u64>(&["DBSIZE"]).await;
    grown_by_login(&store, &clock, &new).await;
    assert_eq!(old.command::<u64>(&["DBSIZE"]).await, before, "nothing is written at the old one any more");
}

async fn grown_by_login(store: &SharedStore, clock: &ManualClock, server: &RedisServer) {
    let before = server.command::<u64>(&["DBSIZE"]).await;
    Person::new().log_in(store, clock).await;
    assert!(server.command::<u64>(&["DBSIZE"]).await > before);
}

/// It was cut off while the others had a failover, and answers first.
#[tokio::test]
async fn a_sentinel_that_missed_a_failover_leads_nobody_back() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let behind = SaidSentinel::of(old.port(), 1).await;
    let (second, third) = (SaidSentinel::of(new.port(), 2).await, SaidSentinel::of(new.port(), 2).await);
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&url_of(&[&behind, &second, &third]), &clock).await;
    // The first look may have found the old one; within a round of questions it is known better.
    let token = Person::new().session().access_token();
    let looking = async {
        while new.command::<u64>(&["DBSIZE"]).await == 0 {
            drop(store.access_status(&token).await);
        }
    };
    timeout(FOLLOWED, looking).await.expect("the new one is found");
    recovered(&store, PATIENCE).await;
    for _ in 0..3 {
        new.command::<u32>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        grown_by_login(&store, &clock, &new).await;
    }
}

/// What was refused since the master was demoted is done at the new one, by the same call.
#[tokio::test]
async fn what_a_demoted_master_refuses_is_repeated_at_the_new_one() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    new.follow(old.port()).await;
    let sentinel = SaidSentinel::of(old.port(), 1).await;
    let clock = Arc::new(ManualClock::at(START));
    let backend = Arc::new(lazy(&url_of(&[&sentinel]), &mark(), &clock));
    let store: SharedStore = Arc::new(TestStore::new(backend.clone(), clock.clone()).await);
    let ada = Person::new();
    let session = ada.log_in(&store, &clock).await;
    let older = Instant::now();
    while older.elapsed() < SECOND_LOOK {
        backend.ping().await.expect("an answer");
    }
    old.passes_on_to(&new).await;
    new.command::<()>(&["REPLICAOF", "NO", "ONE"]).await;
    sentinel.says(new.port(), 1);
    old.command::<()>(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]).await;
    // Of what matters nothing where it is done, and of what was found whole on one server.
    backend.probe(Probe::Write).await.expect("a write at the new one");
    assert!(store.revoke_session(ada.user, session.id, OnUnknown::Ignore).await.expect("an end"));
    assert_dead(&store, &session).await;
}

/// How old a connection is that is given up for a refusal.
const SECOND_LOOK: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_and_those_who_wait_for_mirrors_follow_as_well() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let sentinel = SaidSentinel::of(old.port(), 1).await;
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&url_of(&[&sentinel]), &clock).await;
    let ada = Person::new();
    let first = ada.log_in(&store, &clock).await;
    let name = uuid::Uuid::from_u128(1);
    let role = ReaderRole::Mirror { name, max_staleness: MILLISECOND * 500 };
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let reading = tokio::spawn({
        let mut reader = store.reader(role);
        async move {
            loop {
                let Ok(batch) = reader.read(MILLISECOND * 250).await else { continue };
                drop(reader.confirm().await);
                batch
                    .announced
                    .into_iter()
                    .for_each(|revocation| said.send(revocation.revoked).expect("a test"));
            }
        }
    });
    let mut end = async |session: &Session| {
        let ending = async {
            // A mirror that is being led on answers no barrier for a moment, and has to be waited for.
            while store.revoke_session(ada.user, session.id, OnUnknown::Deny).await.is_err() {}
        };
        timeout(PATIENCE, ending).await.expect("an end");
        let hearing = async { while heard.recv().await != Some(Revoked::Session(session.id)) {} };
        timeout(PATIENCE, hearing).await.expect("the end is announced");
    };
    end(&first).await;
    sentinel.says(new.port(), 2);
    let following = async {
        while new.command::<u64>(&["DBSIZE"]).await == 0 {
            drop(store.access_status(&first.access_token()).await);
        }
    };
    timeout(PATIENCE, following).await.expect("it is followed");
    recovered(&store, PATIENCE).await;
    let (mirrors, name) = (keys().everybody().mirrors(), format!("m:{name}"));
    let joining = async { while !new.command::<bool>(&["HEXISTS", &mirrors, &name]).await {} };
    timeout(PATIENCE, joining).await.expect("whoever revokes at the new one waits for it");
    end(&ada.log_in(&store, &clock).await).await;
    reading.abort();
}

/// Nobody has been put in its place yet: what it has is older from now on, and nothing is read there.
#[tokio::test]
async fn a_master_that_was_demoted_is_not_read_though_no_other_is_known() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let sentinel = SaidSentinel::of(old.port(), 1).await;
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&url_of(&[&sentinel]), &clock).await;
    let session = Person::new().log_in(&store, &clock).await;
    store.keep().await.expect("a look");
    assert_eq!(status(&store, &session.access_token()).await, AccessStatus::Live);
    // It follows nobody in fact: its history stays what it was.
    old.command::<()>(&["REPLICAOF", "127.0.0.1", "1"]).await;
    // As it is done once a second.
    store.keep().await.expect_err("a replica");
    let read = timeout(BOUND, store.access_status(&session.access_token())).await.expect("an answer in time");
    assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
    sentinel.says(new.port(), 2);
    recovered(&store, PATIENCE).await;
}

#[tokio::test]
async fn while_all_sentinels_are_silent_what_is_open_goes_on() {
    let server = RedisServer::start();
    let sentinels = [SaidSentinel::of(server.port(), 1).await, SaidSentinel::of(server.port(), 1).await];
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&url_of(&[&sentinels[0], &sentinels[1]]), &clock).await;
    let ada = Person::new();
    let session = ada.log_in(&store, &clock).await;
    store.keep().await.expect("a look");
    sentinels.iter().for_each(SaidSentinel::falls_silent);
    let began = Instant::now();
    while began.elapsed() < BOUND {
        assert_live(&store, &session, 0).await;
    }
    server.command::<u32>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    let asked = timeout(BOUND, store.ping()).await.expect("an answer in time");
    assert!(matches!(asked, Err(StoreError::Unavailable { .. })), "{asked:?}");
    // The last of them is enough.
    sentinels[1].says(server.port(), 1);
    recovered(&store, PATIENCE).await;
    assert_live(&store, &session, 0).await;
}

/// Those that wait for Redis' own replicas are many, kept open, and asked for a sign of life alone.
#[tokio::test]
async fn connections_to_the_old_master_do_not_come_out_of_the_pool() {
    let [old, new] = [in_step().await, in_step().await];
    let sentinel = SaidSentinel::of(old.0.port(), 1).await;
    let clock = Arc::new(ManualClock::at(START));
    let options = RedisOptions { wait_replicas: 1, ..RedisOptions::default() };
    let backend = RedisTokenStore::connect_lazy(&url_of(&[&sentinel]), &mark(), options).expect("a store");
    let backend = Arc::new(backend.with_time(laid_over(&clock)));
    let store: SharedStore = Arc::new(TestStore::new(backend, clock.clone()).await);
    let people: Vec<_> = (0..4).map(|_| Person::new()).collect();
    let mut ends = Vec::new();
    for person in &people {
        let (store, session) = (store.clone(), person.log_in(&store, &clock).await);
        let user = person.user;
        ends.push(async move { store.revoke_session(user, session.id, OnUnknown::Deny).await });
    }
    // All wait at once, each on a connection of its own.
    old.1.pause();
    for pending in join_all(ends).await {
        let said = format!("{pending:?}");
        assert!(said.contains("TooFewReplicas"), "its connection is given up: {said}");
    }
    old.1.resume();
    sentinel.says(new.0.port(), 2);
    let token = Person::new().session().access_token();
    let following = async {
        let state = keys().everybody().partition().state();
        while !new.0.command::<bool>(&["EXISTS", &state]).await {
            drop(store.access_status(&token).await);
        }
    };
    timeout(PATIENCE, following).await.expect("it is followed");
    recovered(&store, PATIENCE).await;
    // One after the other: each takes the connection that was given back last.
    for person in &people {
        let session = person.log_in(&store, &clock).await;
        let ending = store.revoke_session(person.user, session.id, OnUnknown::Deny);
        ending.await.expect("a replica of the new one has it");
    }
}

/// The task that follows ends with the store.
#[tokio::test]
async fn nobody_is_asked_any_more_when_the_store_is_gone() {
    let server = RedisServer::start();
    let sentinel = SaidSentinel::of(server.port(), 1).await;
    let clock = Arc::new(ManualClock::at(START));
    let backend = lazy(&url_of(&[&sentinel]), &mark(), &clock);
    backend.ping().await.expect("an answer");
    let asked = sentinel.asked();
    let following = async {
        while sentinel.asked() < asked + 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, following).await.expect("it is asked again and again");
    drop(backend);
    let ending = async {
        while sentinel.open_connections() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, ending).await.expect("nobody is connected any more");
}
