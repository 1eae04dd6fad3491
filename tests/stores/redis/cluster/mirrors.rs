//! Whoever revokes while a master is away, and those who answer from a copy of the feed.

use std::sync::Arc;

use hallpass::domain::clock::ManualClock;
use hallpass::store::revocations::{ReaderRole, RevocationStore, Standing};
use hallpass::store::{SessionStore, TokenStore};
use tokio::time::{Instant, timeout};

use super::{PATIENCE, home_of, keys, people_of, store_at};
use crate::support::cluster::RedisCluster;
use crate::token_store::support::*;

/// Nobody can be told, and nobody needs to be: what lacks it is too old to be used.
#[tokio::test]
async fn while_the_register_is_away_copies_are_waited_out() {
    let mut cluster = RedisCluster::start().await;
    let (_, everybodys) = home_of(&keys().everybody().partition().state()).await;
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&cluster.url(), &clock).await;
    // Before there is a mirror: else every revocation would wait for as long as one may be silent.
    store.ping().await.expect("a store");
    let staleness = SECOND * 3;
    let name = uuid::Uuid::from_u128(1);
    let mut reader = store.reader(ReaderRole::Mirror { name, max_staleness: staleness });
    let joining = async {
        loop {
            reader.read(MILLISECOND).await.expect("the feed");
            if reader.confirm().await.expect("an answer") == Standing::Mirror {
                return;
            }
        }
    };
    timeout(PATIENCE, joining).await.expect("a mirror");
    let [eve, _] = people_of((everybodys + 1) % 3).await;
    let session = eve.log_in(&store, &clock).await;
    cluster.nodes[everybodys].kill();
    let began = Instant::now();
    let ending = store.revoke_session(eve.user, session.id, OnUnknown::Deny);
    assert!(timeout(PATIENCE, ending).await.expect("an answer").expect("an end"));
    assert!(began.elapsed() >= staleness, "its copy may be in use: {:?}", began.elapsed());
    assert_dead(&store, &session).await;
    // What could not be read confirms no copy.
    reader.read(MILLISECOND).await.expect_err("a part is unknown");
}

/// It reads all streams behind the barrier, whichever node has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_has_what_was_revoked_anywhere_before_that_is_acknowledged() {
    let cluster = RedisCluster::start().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&cluster.url(), &clock).await;
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (joined, has_joined) = tokio::sync::oneshot::channel();
    let reading = tokio::spawn({
        let name = uuid::Uuid::from_u128(2);
        let mut reader = store.reader(ReaderRole::Mirror { name, max_staleness: SECOND * 30 });
        let told = told.clone();
        let mut joined = Some(joined);
        async move {
            loop {
                let batch = reader.read(SECOND).await.expect("the feed");
                told.lock()
                    .expect("nobody panics")
                    .extend(batch.announced.into_iter().map(|one| one.revoked));
                let standing = reader.confirm().await.expect("an answer");
                if let Some(joined) = joined.take_if(|_| standing == Standing::Mirror) {
                    joined.send(()).expect("a test");
                }
            }
        }
    });
    timeout(PATIENCE, has_joined).await.expect("in time").expect("a mirror");
    for round in 0..30 {
        let [ada, _] = people_of(round % 3).await;
        let session = ada.log_in(&store, &clock).await;
        let ending = store.revoke_session(ada.user, session.id, OnUnknown::Deny);
        timeout(PATIENCE, ending).await.expect("an answer").expect("an end");
        let revoked = hallpass::domain::revocation::Revoked::Session(session.id);
        assert!(
            told.lock().expect("nobody panics").contains(&revoked),
            "acknowledged before the mirror had it"
        );
    }
    reading.abort();
}
