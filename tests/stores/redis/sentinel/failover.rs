//! Failovers by real Sentinels under load, with a ledger.

use std::sync::Arc;

use hallpass::domain::clock::ManualClock;
use tokio::time::{Instant, timeout};

use super::super::ledger::Ledger;
use super::{PATIENCE, recovered, store_at};
use crate::support::sentinels::SentinelSet;
use crate::token_store::SharedStore;

/// How soon the service works once the Sentinels have switched, on a machine that is busy with other tests.
const RECOVERED: std::time::Duration = std::time::Duration::from_secs(4);

/// Enough to know that everything is done there.
const MANY: u64 = 300;

/// Of the moment at which the Sentinels have switched.
async fn works_again(store: &SharedStore) {
    let switched = Instant::now();
    recovered(store, RECOVERED).await;
    eprintln!("it works {:?} after the switch", switched.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_that_is_asked_for_undoes_nothing() {
    let set = SentinelSet::start().await;
    let clock = Arc::new(ManualClock::at(super::START));
    let store = store_at(&set.url(), &clock).await;
    let load = Ledger::begin(&store);
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load");
    let began = Instant::now();
    set.servers[0].passes_on_to(&set.servers[1]).await;
    set.fail_over().await;
    timeout(PATIENCE, set.names(1)).await.expect("a failover");
    works_again(&store).await;
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load that goes on");
    // The old master takes writes until it is told.
    let sum = load.settle(began).await;
    assert_eq!((sum.undone, sum.wrong), (0, 0), "{sum:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_killed_is_replaced_and_nothing_acknowledged_is_undone() {
    let mut set = SentinelSet::start().await;
    let clock = Arc::new(ManualClock::at(super::START));
    let store = store_at(&set.url(), &clock).await;
    let load = Ledger::begin(&store);
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load");
    // What the replica has by now is not lost.
    let had = Instant::now();
    set.servers[0].passes_on_to(&set.servers[1]).await;
    set.servers[0].kill();
    timeout(PATIENCE, set.names(1)).await.expect("a failover");
    works_again(&store).await;
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load that goes on");
    // The old one comes back, is told to follow, and leads nobody astray.
    set.servers[0].restart();
    let following = async {
        let asking = ["INFO", "replication"];
        let follows = |said: String| said.contains("master_link_status:up");
        while !set.servers[0].try_command::<String>(&asking).await.is_ok_and(follows) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, following).await.expect("it follows the new one");
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load that goes on");
    let sum = load.settle(had).await;
    assert_eq!((sum.undone, sum.wrong), (0, 0), "{sum:?}");
}

/// A replica that has nothing of what was done since becomes the master.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_to_a_replica_that_lags_brings_nothing_back() {
    let mut set = SentinelSet::start().await;
    let clock = Arc::new(ManualClock::at(super::START));
    let store = store_at(&set.url(), &clock).await;
    let load = Ledger::begin(&store);
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load");
    // By themselves they would have it follow again within seconds.
    set.slow_down().await;
    let had = Instant::now();
    set.servers[0].passes_on_to(&set.servers[1]).await;
    set.servers[1].fall_behind().await;
    timeout(PATIENCE, load.acknowledges(2 * MANY)).await.expect("a load that the replica does not get");
    set.servers[0].kill();
    timeout(PATIENCE, set.names(1)).await.expect("a failover");
    works_again(&store).await;
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load that goes on");
    let sum = load.settle(had).await;
    assert_eq!((sum.undone, sum.wrong), (0, 0), "{sum:?}");
    assert!(sum.lost > 0, "the replica had it: {sum:?}");
}

/// It takes itself for the master when it goes on, for as long as nobody tells it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_was_replaced_while_it_hung_is_not_gone_back_to() {
    let set = SentinelSet::start().await;
    let clock = Arc::new(ManualClock::at(super::START));
    let store = store_at(&set.url(), &clock).await;
    let load = Ledger::begin(&store);
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load");
    let had = Instant::now();
    set.servers[0].passes_on_to(&set.servers[1]).await;
    set.servers[0].pause();
    timeout(PATIENCE, set.names(1)).await.expect("a failover");
    works_again(&store).await;
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load that goes on");
    let back = Instant::now();
    set.servers[0].resume();
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load that goes on");
    let sum = load.settle(had).await;
    assert_eq!((sum.undone, sum.wrong), (0, 0), "{sum:?}");
    assert!(sum.newest_lost.is_none_or(|opened| opened < back), "it was gone back to: {sum:?}");
}
