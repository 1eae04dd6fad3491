//! The lease under which one replica makes the store whole, and those who wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use hallpass::app::SystemRandom;
use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::domain::ids::Jti;
use hallpass::domain::journal::{EntryId, Journaled, NewEntry};
use hallpass::store::backend::TokenBackend;
use hallpass::store::journal::RevocationJournal;
use hallpass::store::{CutOffStore, DenylistStore, SessionStore, TokenStore};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{backend, client, keys, store};
use crate::journaled::TestStore;
use crate::support::redis::RedisServer;
use crate::token_store::support::*;

const TERM: Duration = Duration::from_secs(60);

/// Much longer than a lease.
const LONGEST: Duration = Duration::from_secs(20);

/// Another replica makes the store whole, for much longer than it may take.
async fn taken(redis: &mut MultiplexedConnection) {
    let (key, term) = (keys().everybody().partition().lease(), TERM.as_millis() as u64);
    redis.pset_ex::<_, _, ()>(key, "another", term).await.expect("PSETEX");
}

async fn is_held(redis: &mut MultiplexedConnection) -> bool {
    redis.exists(keys().everybody().partition().lease()).await.expect("EXISTS")
}

#[tokio::test]
async fn a_lease_is_ended_by_its_holder_alone() {
    let (server, clock) = (RedisServer::start(), Arc::new(ManualClock::at(START)));
    let backend = backend(&server, &mark(), &clock).await;
    let mut examination = backend.examine().await.expect("a connection");
    let [first, second] = [EntryId::new(1), EntryId::new(2)];
    assert!(examination.lease(first, TERM).await.expect("an answer"));
    assert!(examination.lease(first, TERM).await.expect("an answer"), "it is kept");
    assert!(!examination.lease(second, TERM).await.expect("an answer"));
    let key = keys().everybody().partition().lease();
    let ttl = super::ttl_ms(&mut client(&server).await, &key).await.expect("it ends by itself");
    assert!((1..=60_000).contains(&ttl), "{ttl}");
    examination.end_lease(second).await.expect("an answer");
    assert!(!examination.lease(second, TERM).await.expect("an answer"), "it is another's");
    examination.end_lease(first).await.expect("an answer");
    assert!(examination.lease(second, TERM).await.expect("an answer"));
}

/// Nobody waits for the end of a lease whose holder is done.
#[tokio::test]
async fn who_has_made_the_store_whole_ends_the_lease() {
    let (server, clock) = (RedisServer::start(), Arc::new(ManualClock::at(START)));
    let store = store(&server, &clock).await;
    let mut redis = client(&server).await;
    store.keep().await.expect("a store without data begins anew");
    assert!(!is_held(&mut redis).await);
    store.keeper.note_store_jump();
    store.keep().await.expect("what matters is revoked again");
    assert!(!is_held(&mut redis).await);
}

#[tokio::test]
async fn a_replica_that_never_ends_holds_nobody_up_for_ever() {
    let (server, clock) = (RedisServer::start(), Arc::new(ManualClock::at(START)));
    let store = store(&server, &clock).await;
    let ada = Person::new();
    let session = ada.log_in(&store, &clock).await;
    store.revoke_session(ada.user, session.id, OnUnknown::Deny).await.expect("an end");
    let mut redis = client(&server).await;
    taken(&mut redis).await;
    store.keeper.note_store_jump();
    // Whoever asks meanwhile is not behind the one who waits.
    let looks = async { tokio::join!(store.keep(), store.settle_owed(ada.user)) };
    let (kept, settled) = timeout(LONGEST, looks).await.expect("an end");
    assert!(kept.is_err() && settled.is_err(), "{kept:?} {settled:?}");
    assert!(!store.is_vouched() && store.keeper.has_store_jumped(), "that is not forgotten");
    assert!(is_held(&mut redis).await, "it is another's");

    redis.del::<_, ()>(keys().everybody().partition().lease()).await.expect("DEL");
    store.keep().await.expect("it is made good");
    assert!(store.is_vouched() && !store.keeper.has_store_jumped());
    assert_dead(&store, &session).await;
}

/// Requests find the store in doubt one after another, and each waits for it to be made whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_wait_ask_no_oftener_than_one() {
    let (server, clock) = (RedisServer::start(), Arc::new(ManualClock::at(START)));
    let first = store(&server, &clock).await;
    first.keep().await.expect("a store without data begins anew");
    let mut redis = client(&server).await;
    taken(&mut redis).await;
    // Of the same data nothing is known: that is to be made whole.
    let backend = backend(&server, &mark(), &clock).await;
    let store = Arc::new(TestStore::over(backend, first.journal.clone(), clock.clone()));
    store.keeper.note_store_jump();
    let calls = async |redis: &mut MultiplexedConnection| -> usize {
        let info: String = redis::cmd("INFO").arg("commandstats").query_async(redis).await.expect("INFO");
        let of = |line: &str| line.strip_prefix("cmdstat_time:calls=")?.split(',').next()?.parse().ok();
        info.lines().find_map(of).unwrap_or_default()
    };
    let (before, began) = (calls(&mut redis).await, Instant::now());
    for answer in join_all((0..RACERS).map(|_| store.ping())).await {
        answer.expect_err("nobody knows whether it is whole");
    }
    // Looks are 20 ms apart.
    let (looks, most) = (calls(&mut redis).await - before, began.elapsed().as_millis() / 20 + 1);
    assert!(looks > 1 && looks as u128 <= most, "{looks} looks, at most {most}");
}

/// What other replicas revoke meanwhile moves the marks on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_ahead_is_made_good_while_others_go_on_revoking() {
    let (server, clock) = (RedisServer::start(), Arc::new(ManualClock::at(START)));
    let here = store(&server, &clock).await;
    let ada = Person::new();
    let session = ada.log_in(&here, &clock).await;
    here.revoke_session(ada.user, session.id, OnUnknown::Deny).await.expect("an end");
    for _ in 0..1_200 {
        let revoked = Journaled::Session { user: ada.user, session: fresh_session_id() };
        let until = clock.now().after(LIFETIMES.idle);
        let entry = NewEntry { id: EntryId::generate(&SystemRandom), revoked, until };
        here.journal.store.append_entry(&entry).await.expect("an entry");
    }
    let backend = backend(&server, &mark(), &clock).await;
    let there = Arc::new(TestStore::over(backend, here.journal.clone(), clock.clone()));
    there.keep().await.expect("a look");
    there.keep().await.expect("what is written is carried out");

    let stop = Arc::new(AtomicBool::new(false));
    let revoking = tokio::spawn({
        let stop = stop.clone();
        async move {
            let mut revoked = 0;
            while !stop.load(Ordering::Relaxed) {
                let token = Jti::from(Uuid::from_u128(revoked));
                // While it is made good there may be no answer.
                let _ = there.revoke_access_token(ada.user, token, denial()).await;
                revoked += 1;
            }
            revoked
        }
    });
    for _ in 0..3 {
        here.keeper.note_store_jump();
        let made_good = here.keep().await;
        assert!(made_good.is_ok(), "{made_good:?}");
    }
    stop.store(true, Ordering::Relaxed);
    assert!(revoking.await.expect("no panic") > 1);
    assert_dead(&here, &session).await;
}
