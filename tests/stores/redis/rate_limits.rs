//! What rate limits keep in Redis, and for how long.

use std::sync::Arc;

use hallpass::domain::clock::ManualClock;
use hallpass::store::{RateLimitStore, StoreError};

use super::{SHARED, all_keys, backend, client, keys, ttl_ms};
use crate::rate_limits::{SharedLimits, fresh_account, fresh_bucket, fresh_place};
use crate::support::redis::RedisServer;
use crate::token_store::support::mark;
use crate::token_store::support::{START, race};

/// What a bucket may outlive its content by: Redis counts TTLs by its own clock.
const MARGIN_MS: i64 = 60_000;

crate::rate_limits::contract!(open_store);

async fn open_store(clock: Arc<ManualClock>) -> (SharedLimits, ()) {
    (backend(&SHARED, &mark(), &clock).await, ())
}

#[tokio::test]
async fn no_key_is_without_a_ttl_and_none_names_anybody() {
    let server = RedisServer::start();
    let clock = Arc::new(ManualClock::at(START));
    let (store, mut redis) = (backend(&server, &mark(), &clock).await, client(&server).await);
    let (bucket, account) = (fresh_bucket(60, 900), fresh_account());
    for _ in 0..3 {
        store.take(&bucket).await.expect("take");
    }
    store.give_back(&bucket).await.expect("give_back");
    store.remember_place(account, fresh_place()).await.expect("remember_place");
    let all = all_keys(&mut redis).await;
    assert_eq!(all, [keys().bucket(bucket.id), keys().places(account)].into());
    for key in &all {
        let mark = key.rsplit(':').next().expect("a mark");
        assert!(mark.len() == 32 && mark.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
        assert!(ttl_ms(&mut redis, key).await.is_some(), "{key}");
    }
    let ttl = ttl_ms(&mut redis, &keys().bucket(bucket.id)).await.expect("a TTL");
    let empty_in = 2 * 15_000 + MARGIN_MS;
    assert!((empty_in - 10_000..=empty_in).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn an_empty_bucket_is_no_key() {
    let server = RedisServer::start();
    let clock = Arc::new(ManualClock::at(START));
    let (store, mut redis) = (backend(&server, &mark(), &clock).await, client(&server).await);
    let bucket = fresh_bucket(60, 900);
    store.give_back(&bucket).await.expect("give_back");
    assert!(all_keys(&mut redis).await.is_empty());
    store.take(&bucket).await.expect("take");
    store.give_back(&bucket).await.expect("give_back");
    assert!(all_keys(&mut redis).await.is_empty());
}

#[tokio::test]
async fn a_hundred_takes_over_separate_connections_admit_exactly_the_burst() {
    let bucket = fresh_bucket(60, 900);
    let mut calls = Vec::new();
    for _ in 0..100 {
        let store = backend(&SHARED, &mark(), &Arc::new(ManualClock::at(START))).await;
        calls.push(async move { store.take(&bucket).await });
    }
    assert_eq!(race(calls).await.iter().filter(|take| take.admitted).count(), 60);
}

#[tokio::test]
async fn a_bucket_that_means_nothing_is_reported_with_its_key() {
    let clock = Arc::new(ManualClock::at(START));
    let (store, mut redis) = (backend(&SHARED, &mark(), &clock).await, client(&SHARED).await);
    let bucket = fresh_bucket(60, 900);
    let key = keys().bucket(bucket.id);
    for (units, at) in [("many", "1"), ("1", ""), ("1e3", "1")] {
        let mut command = redis::cmd("HSET");
        command.arg(&key).arg("u").arg(units).arg("t").arg(at);
        command.query_async::<()>(&mut redis).await.expect("HSET");
        let error = store.take(&bucket).await.expect_err("corrupt");
        assert!(matches!(&error, StoreError::Corrupt { key: named, .. } if *named == key), "{error:?}");
    }
}
