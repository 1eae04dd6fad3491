//! What stands in Redis after each operation, how long it stays, and what happens when it means
//! nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use hallpass::domain::clock::{ManualClock, Timestamp};
use hallpass::domain::partition::Partition;
use hallpass::domain::session::Session;
use hallpass::store::{
    AccessStatus, DenylistStore, OnReuse, OpenOutcome, RefreshOutcome, ResetTokenStore, SessionStore,
    StoreError,
};
use redis::aio::MultiplexedConnection;

use super::{all_keys, backend, client, keys, store, ttl_ms};
use crate::journaled::TestStore;
use crate::support::redis::RedisServer;
use crate::token_store::SharedStore;
use crate::token_store::support::*;

/// What a key may outlive its content by: Redis counts TTLs by its own clock.
const MARGIN_MS: i64 = 60_000;

/// A store on a server of its own, a plain connection to it, and a clock.
pub(super) async fn alone() -> (RedisServer, SharedStore, MultiplexedConnection, Arc<ManualClock>) {
    let server = RedisServer::start();
    let clock = Arc::new(ManualClock::at(START));
    let (store, redis) = (store(&server, &clock).await, client(&server).await);
    (server, store, redis, clock)
}

/// Does everything there is to do, once.
async fn do_everything(store: &SharedStore, clock: &ManualClock, person: &Person) {
    let (rotated, reused, revoked) = (
        person.log_in(store, clock).await,
        person.log_in(store, clock).await,
        person.log_in(store, clock).await,
    );
    rotate(store, rotated.token(0)).await;
    rotate(store, rotated.token(7)).await;
    store.check_refresh(&rotated.token(9), &LIFETIMES, OnReuse::Refuse).await.expect("check_refresh");
    rotate(store, reused.token(5)).await;
    assert_eq!(rotate(store, reused.token(1)).await, RefreshOutcome::Reused);
    assert!(store.revoke_session(person.user, revoked.id, OnUnknown::Ignore).await.expect("revoke_session"));
    let denied = rotated.access_token().token;
    store.revoke_access_token(person.user, denied, denial()).await.expect("revoke_access_token");
    let reset = person.reset_token();
    store.insert_reset_token(&reset, reset_place(1), person.version, DAY).await.expect("insert_reset_token");
    store.take_reset_token(&reset).await.expect("take_reset_token");
    store.restore_reset_token(&reset, person.reset_grant(clock, DAY)).await.expect("restore_reset_token");
}

#[tokio::test]
async fn every_key_but_the_states_has_a_ttl() {
    let (_server, store, mut redis, clock) = alone().await;
    let (ada, grace) = (Person::new(), Person::new());
    do_everything(&store, &clock, &ada).await;
    do_everything(&store, &clock, &grace).await;
    grace.after_a_security_event().cut_off(&store, &clock).await;
    let keys = all_keys(&mut redis).await;
    let kinds: BTreeSet<_> = keys.iter().filter_map(|key| key.split(':').nth(2)).collect();
    let expected = ["cut_off", "denied", "resets", "revocations", "opened", "sessions", "state"];
    assert_eq!(kinds, BTreeSet::from(expected));
    for key in &keys {
        let ttl = ttl_ms(&mut redis, key).await;
        assert_eq!(ttl.is_none(), key.ends_with(":state"), "{key}: {ttl:?}");
    }
}

#[tokio::test]
async fn a_key_lives_as_long_as_what_it_holds() {
    let (_server, store, mut redis, clock) = alone().await;
    let ada = Person::new();
    let keys = keys().of_user(ada.user);
    let session = ada.log_in(&store, &clock).await;
    let idle = LIFETIMES.idle.as_millis() as i64;
    assert_ttl(&mut redis, &keys.session(session.id), idle).await;
    assert_ttl(&mut redis, &keys.sessions(), idle).await;

    clock.advance(DAY);
    store.check_refresh(&session.token(0), &LIFETIMES, OnReuse::Revoke).await.expect("check");
    rotate(&store, session.token(0)).await;
    assert_ttl(&mut redis, &keys.session(session.id), idle).await;
    let revocation = LIFETIMES.revocation().as_millis() as i64;
    let token = session.access_token().token;
    store.revoke_access_token(ada.user, token, denial()).await.expect("revoke_access_token");
    assert_ttl(&mut redis, &keys.denied(), revocation).await;
    assert_ttl(&mut redis, &keys.revocations(), revocation + MARGIN_MS).await;

    let reset = ada.reset_token();
    store.insert_reset_token(&reset, reset_place(1), ada.version, SECOND * 600).await.expect("insert");
    assert_ttl(&mut redis, &keys.resets(), 600_000).await;
    // As long as the last of them, whichever came last.
    let brief = ada.reset_token();
    store.insert_reset_token(&brief, reset_place(2), ada.version, SECOND * 60).await.expect("insert");
    assert_ttl(&mut redis, &keys.resets(), 600_000).await;
}

#[tokio::test]
async fn a_cut_off_is_remembered_longer_than_any_session_it_ended() {
    let (_server, store, mut redis, clock) = alone().await;
    let ada = Person::new();
    let keys = keys().of_user(ada.user);
    let session = ada.log_in(&store, &clock).await;
    clock.advance(DAY);
    let later = ada.after_a_security_event();
    assert_eq!(later.cut_off(&store, &clock).await, vec![session.id]);
    let remaining = (LIFETIMES.idle - DAY).as_millis() as i64;
    assert_ttl(&mut redis, &keys.cutoff(), remaining + MARGIN_MS).await;
    // A later event that ends nothing does not make it shorter.
    later.after_a_security_event().cut_off(&store, &clock).await;
    assert_ttl(&mut redis, &keys.cutoff(), remaining + MARGIN_MS).await;
    let left = all_keys(&mut redis).await;
    assert!(!left.contains(&keys.session(session.id)) && !left.contains(&keys.sessions()), "{left:?}");
}

#[tokio::test]
async fn a_session_whose_hash_outlives_a_cut_off_is_dead() {
    let (_server, store, mut redis, clock) = alone().await;
    let ada = Person::new();
    let session = ada.log_in(&store, &clock).await;
    let key = keys().of_user(ada.user).session(session.id);
    let copy: Vec<u8> = redis::cmd("DUMP").arg(&key).query_async(&mut redis).await.expect("DUMP");
    ada.after_a_security_event().cut_off(&store, &clock).await;
    clock.advance(denial());
    let restore = async |redis: &mut MultiplexedConnection| {
        let mut command = redis::cmd("RESTORE");
        command.arg(&key).arg(1_000_000).arg(&copy).arg("REPLACE");
        command.query_async::<()>(redis).await.expect("RESTORE");
    };
    restore(&mut redis).await;
    assert_eq!(status(&store, &session.access_token()).await, AccessStatus::Revoked);
    assert_eq!(check_only(&store, session.token(0)).await, RefreshOutcome::Unknown);
    restore(&mut redis).await;
    assert_eq!(rotate(&store, session.token(0)).await, RefreshOutcome::Unknown);
    restore(&mut redis).await;
    let revoked = store.revoke_session(ada.user, session.id, OnUnknown::Ignore).await;
    assert!(!revoked.expect("revoke_session"));
}

/// As a reader meets it whose two round trips lie around the end of a session.
#[tokio::test]
async fn a_member_of_the_session_set_is_listed_only_while_its_session_stands() {
    let (_server, store, mut redis, clock) = alone().await;
    let ada = Person::new();
    let keys = keys().of_user(ada.user);
    let (session, left) = (ada.log_in(&store, &clock).await, ada.after_a_security_event());
    let (key, member) = (keys.session(session.id), format!("{}:{}", session.id, ada.version.get()));
    let copy: Vec<u8> = redis::cmd("DUMP").arg(&key).query_async(&mut redis).await.expect("DUMP");
    left.cut_off(&store, &clock).await;
    let left = left.log_in(&store, &clock).await;
    let mut command = redis::cmd("ZADD");
    command.arg(keys.sessions()).arg(session.idle_deadline.as_millis()).arg(&member);
    command.query_async::<()>(&mut redis).await.expect("ZADD");
    let listed = store.list_sessions(ada.user, None, 1_000).await.expect("list_sessions");
    assert_eq!(listed, std::slice::from_ref(&left), "its hash is gone");

    let mut command = redis::cmd("RESTORE");
    command.arg(&key).arg(1_000_000).arg(&copy);
    command.query_async::<()>(&mut redis).await.expect("RESTORE");
    let listed = store.list_sessions(ada.user, None, 1_000).await.expect("list_sessions");
    assert_eq!(listed, [left], "its version is cut off");
}

#[tokio::test]
async fn the_denylist_and_the_session_set_hold_nothing_that_has_ended() {
    let (_server, store, mut redis, clock) = alone().await;
    let ada = Person::new();
    let keys = keys().of_user(ada.user);
    for _ in 0..3 {
        let session = ada.log_in(&store, &clock).await;
        let token = session.access_token().token;
        store.revoke_access_token(ada.user, token, denial()).await.expect("revoke_access_token");
        clock.advance(LIFETIMES.idle);
    }
    for key in [keys.denied(), keys.sessions()] {
        let members: i64 = redis::cmd("ZCARD").arg(&key).query_async(&mut redis).await.expect("ZCARD");
        assert_eq!(members, 1, "{key}");
    }
}

#[tokio::test]
async fn every_revocation_is_in_the_feed_in_order() {
    let (_server, store, mut redis, clock) = alone().await;
    let ada = Person::new();
    do_everything(&store, &clock, &ada).await;
    let entries = feed(&mut redis, ada.user.get()).await;
    assert_eq!(shapes(&entries), ["sub sid until", "sub sid until", "sub jti until"]);
    // Their ids are the server's own, in the order in which they came.
    let ids: Vec<_> = entries.iter().map(|(id, _)| parts(id)).collect();
    assert!(ids.is_sorted(), "{ids:?}");

    // A replica whose clock is behind appends all the same, after what is there.
    let behind = ManualClock::at(Timestamp::from_millis(START.as_millis() - 5_000));
    ada.after_a_security_event().cut_off(&store, &behind).await;
    let entries = feed(&mut redis, ada.user.get()).await;
    assert_eq!(shapes(&entries).last().map(String::as_str), Some("sub sv sids until"));
    assert!(entries.last().is_some_and(|(id, _)| Some(&parts(id)) > ids.last()), "{entries:?}");
}

/// The two numbers of an entry's id.
fn parts(id: &str) -> (u64, u64) {
    let (ms, sequence) = id.split_once('-').expect("two numbers");
    (ms.parse().expect("a number"), sequence.parse().expect("a number"))
}

#[tokio::test]
async fn the_feed_forgets_what_no_reader_needs() {
    let (_server, store, mut redis, clock) = alone().await;
    let ada = Person::new();
    let session = ada.log_in(&store, &clock).await;
    // As if they had been made a day ago, by the server's clock. Redis trims whole nodes, of 100 entries
    // by default.
    let (seconds, _): (i64, i64) = redis::cmd("TIME").query_async(&mut redis).await.expect("TIME");
    let key = keys().partition(Partition::of(ada.user)).revocations();
    for number in 0..250 {
        let mut add = redis::cmd("XADD");
        add.arg(&key).arg(format!("{}-{}", (seconds - 86_400) * 1000 + number, 0));
        add.arg("sub").arg(ada.user.get()).arg("jti").arg("x").arg("until").arg(1);
        add.query_async::<()>(&mut redis).await.expect("XADD");
    }
    let token = session.access_token().token;
    store.revoke_access_token(ada.user, token, denial()).await.expect("revoke_access_token");
    let left = feed(&mut redis, ada.user.get()).await.len();
    assert!(left <= 100, "{left} entries");
}

#[tokio::test]
async fn all_keys_of_one_user_lie_in_one_slot() {
    let (_server, store, mut redis, clock) = alone().await;
    let ada = Person::new();
    do_everything(&store, &clock, &ada).await;
    ada.log_in(&store, &clock).await;
    let mut slots = BTreeSet::new();
    for key in all_keys(&mut redis).await.into_iter().filter(|key| !key.ends_with(":state")) {
        let tag =
            key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag.to_owned());
        slots.insert(tag.expect("a hash tag"));
    }
    assert_eq!(slots.len(), 1, "{slots:?}");
}

#[tokio::test]
async fn fifty_rotations_over_separate_connections_give_one_successor() {
    let server = RedisServer::start();
    let clock = Arc::new(ManualClock::at(START));
    let first = store(&server, &clock).await;
    let session = Person::new().log_in(&first, &clock).await;
    let token = session.token(0);
    let mut calls = Vec::new();
    for _ in 0..RACERS {
        let another = backend(&server, &mark(), &clock).await;
        let store = TestStore::over(another, first.journal.clone(), clock.clone());
        calls.push(async move { store.rotate(&token, &LIFETIMES).await });
    }
    let answers = race(calls).await;
    let (mut current, mut previous) = (0, 0);
    for answer in answers {
        let successor = match answer {
            RefreshOutcome::Current(session) => {
                current += 1;
                session
            }
            RefreshOutcome::Previous(session) => {
                previous += 1;
                session
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(successor.generation.get(), 1);
    }
    assert_eq!((current, previous), (1, RACERS - 1));
}

#[tokio::test]
async fn what_means_nothing_is_reported_with_its_key_and_changes_nothing() {
    let (_server, store, mut redis, clock) = alone().await;
    let ada = Person::new();
    let session = ada.log_in(&store, &clock).await;
    let key = keys().of_user(ada.user).session(session.id);
    for (field, value) in [("g", "many"), ("v", ""), ("a", "1e3"), ("i", "0x10")] {
        let kept: String =
            redis::cmd("HGET").arg(&key).arg(field).query_async(&mut redis).await.expect("HGET");
        set_field(&mut redis, &key, field, value).await;
        let error = store.rotate(&session.token(0), &LIFETIMES).await.expect_err("corrupt");
        assert_corrupt(&error, &key);
        set_field(&mut redis, &key, field, &kept).await;
    }
    let first: String = redis::cmd("HGET").arg(&key).arg("0").query_async(&mut redis).await.expect("HGET");
    redis::cmd("HDEL").arg(&key).arg("0").query_async::<()>(&mut redis).await.expect("HDEL");
    let error = store.rotate(&session.token(0), &LIFETIMES).await.expect_err("corrupt");
    assert_corrupt(&error, &key);
    set_field(&mut redis, &key, "0", &first).await;
    let outcome = rotate(&store, session.token(0)).await;
    assert!(matches!(outcome, RefreshOutcome::Current(_)), "nothing was consumed: {outcome:?}");

    set_field(&mut redis, &key, "0", &first.replace("\"e\"", "\"x\"")).await;
    let errors = [
        store.rotate(&session.token(1), &LIFETIMES).await.expect_err("rotate"),
        store.list_sessions(ada.user, None, 10).await.expect_err("list_sessions"),
        store.find_session(ada.user, session.id).await.expect_err("find_session"),
    ];
    for error in &errors {
        assert_corrupt(error, &key);
        assert!(!error.to_string().contains("ada"), "{error}");
    }
}

#[tokio::test]
async fn a_cut_off_that_cannot_be_read_lets_nobody_in() {
    let (_server, store, mut redis, clock) = alone().await;
    let ada = Person::new();
    let session = ada.log_in(&store, &clock).await;
    let key = keys().of_user(ada.user).cutoff();
    redis::cmd("SET").arg(&key).arg("new").query_async::<()>(&mut redis).await.expect("SET");
    let errors = [
        store.access_status(&session.access_token()).await.expect_err("access_status"),
        store.rotate(&session.token(0), &LIFETIMES).await.expect_err("rotate"),
        store.open_session(&ada.session(), &LIFETIMES).await.expect_err("open_session"),
    ];
    for error in &errors {
        assert_corrupt(error, &key);
    }
    // The next security event replaces it.
    assert_eq!(ada.after_a_security_event().cut_off(&store, &clock).await, vec![session.id]);
    let refused = store.open_session(&ada.session(), &LIFETIMES).await.expect("open_session");
    assert!(matches!(refused, OpenOutcome::Superseded { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_key_of_another_type_is_corrupt_not_unavailable() {
    let (_server, store, mut redis, clock) = alone().await;
    let ada = Person::new();
    let session: Session = ada.log_in(&store, &clock).await;
    let key = keys().of_user(ada.user).session(session.id);
    redis::cmd("SET").arg(&key).arg("x").query_async::<()>(&mut redis).await.expect("SET");
    assert_corrupt(&store.rotate(&session.token(0), &LIFETIMES).await.expect_err("rotate"), &key);
    let token = session.access_token();
    assert_corrupt(&store.access_status(&token).await.expect_err("access_status"), &key);
}

#[tokio::test]
async fn a_reset_token_that_cannot_be_read_hides_no_other_and_yields_to_the_next() {
    let (_server, store, mut redis, clock) = alone().await;
    let ada = Person::new();
    let (token, grant) = (ada.reset_token(), ada.reset_grant(&clock, DAY));
    store.insert_reset_token(&token, reset_place(1), ada.version, DAY).await.expect("insert");
    let key = keys().of_user(ada.user).resets();
    for broken in ["", "x", "ab:1:2", "ab:1:2:3:4", "ab:one:2:3"] {
        set_field(&mut redis, &key, &"2".repeat(32), broken).await;
        let unknown = ada.reset_token();
        assert_corrupt(&store.find_reset_token(&unknown).await.expect_err("find"), &key);
        assert_corrupt(&store.take_reset_token(&unknown).await.expect_err("take"), &key);
        assert_eq!(store.find_reset_token(&token).await.expect("find"), Some(grant), "{broken}");
    }
    let next = ada.reset_token();
    store.insert_reset_token(&next, reset_place(3), ada.version, DAY).await.expect("insert");
    assert_eq!(store.find_reset_token(&ada.reset_token()).await.expect("find"), None);
    assert_eq!(store.take_reset_token(&token).await.expect("take"), Some(grant));
}

pub(super) fn assert_corrupt(error: &StoreError, expected: &str) {
    match error {
        StoreError::Corrupt { key, .. } => assert_eq!(key, expected),
        other => panic!("{other:?}"),
    }
}

pub(super) async fn set_field(redis: &mut MultiplexedConnection, key: &str, field: &str, value: &str) {
    redis::cmd("HSET").arg(key).arg(field).arg(value).query_async::<()>(redis).await.expect("HSET");
}

/// Asserts that a TTL was set to that, a few seconds ago at most.
async fn assert_ttl(redis: &mut MultiplexedConnection, key: &str, expected_ms: i64) {
    let ttl = ttl_ms(redis, key).await.expect("a TTL");
    assert!((expected_ms - 10_000..=expected_ms).contains(&ttl), "{key}: {ttl}, not {expected_ms}");
}

type FeedEntry = (String, Vec<String>);

/// The entries of the feed of a user's partition: id, then names and values in turn.
async fn feed(redis: &mut MultiplexedConnection, user: i64) -> Vec<FeedEntry> {
    let user = user.try_into().expect("a user id");
    let key = keys().partition(Partition::of(user)).revocations();
    redis::cmd("XRANGE").arg(key).arg("-").arg("+").query_async(redis).await.expect("XRANGE")
}

/// The field names of each entry.
fn shapes(entries: &[FeedEntry]) -> Vec<String> {
    let names = |(_, fields): &FeedEntry| fields.iter().step_by(2).cloned().collect::<Vec<_>>().join(" ");
    entries.iter().map(names).collect()
}
