//! Checks of access tokens that come together share a round trip, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hallpass::domain::clock::ManualClock;
use hallpass::store::redis::{RedisOptions, RedisTokenStore};
use hallpass::store::{AccessStatus, DenylistStore, SessionStore, StoreError};
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;

use super::layout::{alone, assert_corrupt};
use super::{client, keys, store};
use crate::journaled::TestStore;
use crate::support::faulty_link::{FaultyLink, Store, Weather};
use crate::support::redis::RedisServer;
use crate::token_store::SharedStore;
use crate::token_store::support::*;

/// How often Redis was asked that so far.
async fn calls(redis: &mut MultiplexedConnection, command: &str) -> u64 {
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(redis).await.expect("INFO");
    let prefix = format!("cmdstat_{command}:calls=");
    let of = |line: &str| line.strip_prefix(&prefix)?.split(',').next()?.parse().ok();
    info.lines().find_map(of).unwrap_or_default()
}

#[tokio::test]
async fn checks_that_come_together_share_a_round_trip() {
    let (_server, store, mut redis, clock) = alone().await;
    let mut sessions = Vec::new();
    for _ in 0..60 {
        sessions.push(Person::new().log_in(&store, &clock).await);
    }
    // The script is known from now on.
    status(&store, &sessions[0].access_token()).await;
    let before = (calls(&mut redis, "role").await, calls(&mut redis, "zmscore").await);
    // Two about each.
    let tokens: Vec<_> = sessions.iter().map(|session| session.access_token()).collect();
    let answers = join_all(tokens.iter().chain(&tokens).map(|token| status(&store, token))).await;
    assert_eq!(answers, vec![AccessStatus::Live; 120]);
    let after = (calls(&mut redis, "role").await, calls(&mut redis, "zmscore").await);
    assert_eq!(
        (after.0 - before.0, after.1 - before.1),
        (1, 60),
        "round trips, and tokens that were asked about"
    );
    // And alone none costs more.
    status(&store, &sessions[0].access_token()).await;
    assert_eq!(calls(&mut redis, "role").await - after.0, 1);
}

#[tokio::test]
async fn a_script_that_redis_forgot_costs_no_answer() {
    let (_server, store, mut redis, clock) = alone().await;
    let ada = Person::new();
    let (session, ended) = (ada.log_in(&store, &clock).await, ada.log_in(&store, &clock).await);
    store.revoke_session(ada.user, ended.id, OnUnknown::Ignore).await.expect("revoke_session");
    for _ in 0..3 {
        redis::cmd("SCRIPT").arg("FLUSH").query_async::<()>(&mut redis).await.expect("SCRIPT FLUSH");
        for _ in 0..2 {
            assert_eq!(status(&store, &session.access_token()).await, AccessStatus::Live);
            assert_eq!(status(&store, &ended.access_token()).await, AccessStatus::Revoked);
        }
    }
    let before = calls(&mut redis, "evalsha").await;
    status(&store, &session.access_token()).await;
    assert_eq!(calls(&mut redis, "evalsha").await - before, 1);
    // Nor one that it takes no more.
    let mut forbid = redis::cmd("ACL");
    forbid.arg("SETUSER").arg("default").arg("-eval").arg("-evalsha").arg("-script");
    forbid.query_async::<()>(&mut redis).await.expect("ACL SETUSER");
    assert_eq!(status(&store, &session.access_token()).await, AccessStatus::Live);
    assert_eq!(status(&store, &ended.access_token()).await, AccessStatus::Revoked);
}

/// Whatever the script says there.
#[tokio::test]
async fn a_server_that_was_demoted_is_certain_of_nothing() {
    let (_server, store, mut redis, clock) = alone().await;
    let session = Person::new().log_in(&store, &clock).await;
    let token = session.access_token();
    for _ in 0..2 {
        for _ in 0..2 {
            assert_eq!(status(&store, &token).await, AccessStatus::Live);
        }
        let mut demote = redis::cmd("REPLICAOF");
        demote.arg("127.0.0.1").arg(1).query_async::<()>(&mut redis).await.expect("REPLICAOF");
        for _ in 0..2 {
            let refused = store.access_status(&token).await.expect_err("no judge");
            assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
        }
        let mut promote = redis::cmd("REPLICAOF");
        promote.arg("NO").arg("ONE").query_async::<()>(&mut redis).await.expect("REPLICAOF");
    }
}

/// What means nothing is of one user, and the others are answered.
#[tokio::test]
async fn a_key_that_means_nothing_is_a_fault_of_one_alone() {
    let (_server, store, mut redis, clock) = alone().await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(Person::new().log_in(&store, &clock).await);
    }
    let key = keys().of_user(sessions[1].user).session(sessions[1].id);
    let kept: Vec<(String, String)> =
        redis::cmd("HGETALL").arg(&key).query_async(&mut redis).await.expect("HGETALL");
    for broken in ["type", "field"] {
        redis::cmd("DEL").arg(&key).query_async::<()>(&mut redis).await.expect("DEL");
        let command = match broken {
            "type" => redis::cmd("SET").arg(&key).arg("x").to_owned(),
            _ => redis::cmd("HSET").arg(&key).arg(&kept).arg("i").arg("soon").to_owned(),
        };
        command.query_async::<()>(&mut redis).await.expect("an answer");
        let asked = sessions.iter().chain(&sessions).map(|session| session.access_token());
        let answers = join_all(asked.map(|token| {
            let store = store.clone();
            async move { store.access_status(&token).await }
        }));
        for (index, answer) in answers.await.into_iter().enumerate() {
            match (index % 3, answer) {
                (1, Err(error)) => assert_corrupt(&error, &key),
                (1, Ok(status)) => panic!("{broken}: {status:?}"),
                (_, answer) => assert_eq!(answer.expect("an answer"), AccessStatus::Live, "{broken}"),
            }
        }
    }
}

/// While an answer is under way the session is ended: whoever asks after that hears of it.
#[tokio::test]
async fn nobody_is_answered_by_what_was_read_before_they_asked() {
    let server = RedisServer::start();
    let clock = Arc::new(ManualClock::at(START));
    let direct = store(&server, &clock).await;
    let mut redis = client(&server).await;
    let link = FaultyLink::to(Store::Port(server.port())).await;
    let options = RedisOptions { operation_timeout: Duration::from_secs(20), ..RedisOptions::default() };
    let url = format!("redis://{}", link.address());
    let through = RedisTokenStore::connect(&url, &mark(), options).await.expect("a store");
    let through = Arc::new(through.with_time(laid_over(&clock)));
    let through: SharedStore = Arc::new(TestStore::new(through, clock.clone()).await);
    let ada = Person::new();
    let session = ada.log_in(&direct, &clock).await;
    let token = session.access_token();
    assert_eq!(status(&through, &token).await, AccessStatus::Live);

    link.turns(Weather::AnswersHeld);
    let before = calls(&mut redis, "zmscore").await;
    let ask = || {
        let through = through.clone();
        tokio::spawn(async move { through.access_status(&token).await.expect("an answer") })
    };
    let first = ask();
    let is_asked = async {
        while calls(&mut redis, "zmscore").await == before {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), is_asked).await.expect("it is asked");
    direct.revoke_session(ada.user, session.id, OnUnknown::Ignore).await.expect("revoke_session");
    let second = ask();
    tokio::task::yield_now().await;
    link.turns(Weather::Clear);
    assert_eq!(first.await.expect("an answer"), AccessStatus::Live, "it was when that was read");
    assert_eq!(second.await.expect("an answer"), AccessStatus::Revoked);
}
