//! Masters that are gone, with somebody to take their place and without, under load, with a ledger.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hallpass::domain::clock::ManualClock;
use hallpass::domain::partition::Partition;
use hallpass::store::redis::RedisOptions;
use hallpass::store::{DenylistStore, StoreError};
use tokio::time::{Instant, timeout};

use super::super::ledger::Ledger;
use super::{PATIENCE, home_of, keys, people_of, recovered, store_at, store_by};
use crate::support::cluster::RedisCluster;
use crate::token_store::SharedStore;
use crate::token_store::support::*;

/// The longest that anybody waits for an answer.
const BOUND: Duration = Duration::from_secs(1);

/// How soon everything works once a replica was promoted, on a machine that is busy with other tests.
const RECOVERED: Duration = Duration::from_secs(4);

/// Enough to know that everything is done there.
const MANY: u64 = 300;

/// The partitions that a node has.
async fn partitions_of(node: usize) -> BTreeSet<Partition> {
    let mut own = BTreeSet::new();
    for partition in Partition::users() {
        if home_of(&keys().partition(partition).state()).await.1 == node {
            own.insert(partition);
        }
    }
    own
}

/// Somebody of those partitions, or of all others.
fn whoever(of: &BTreeSet<Partition>, is_among: bool) -> impl Fn() -> Person + Send + Sync + use<> {
    let of = of.clone();
    move || {
        let mut people = std::iter::repeat_with(Person::new);
        people.find(|person| of.contains(&Partition::of(person.user)) == is_among).expect("somebody")
    }
}

async fn kill_without_a_replica(node_of_everybody: bool) {
    let mut cluster = RedisCluster::with_logs().await;
    let (_, everybodys) = home_of(&keys().everybody().partition().state()).await;
    let victim = if node_of_everybody { everybodys } else { (everybodys + 1) % 3 };
    let clock = Arc::new(ManualClock::at(START));
    // Nobody is refused for being slow, on a machine that is busy with other tests.
    let options = RedisOptions { operation_timeout: SECOND * 2, ..RedisOptions::default() };
    let store = store_by(&cluster.url(), options, &clock).await;
    let own = partitions_of(victim).await;
    let [hit, spared] = [true, false].map(|is_hit| Ledger::begin_of(&store, whoever(&own, is_hit)));
    let began = Instant::now();
    timeout(PATIENCE, hit.acknowledges(MANY)).await.expect("a load");
    timeout(PATIENCE, spared.acknowledges(MANY)).await.expect("a load");
    cluster.nodes[victim].kill();
    let killed = Instant::now();
    timeout(PATIENCE, hit.refuses(MANY)).await.expect("refusals");
    timeout(PATIENCE, spared.acknowledges(2 * MANY)).await.expect("a load that goes on");
    assert_eq!(spared.refused(), 0, "the others go on");
    let [ada, _] = people_of(victim).await;
    let token = ada.session().access_token();
    let asked = timeout(BOUND, store.access_status(&token)).await.expect("an answer in time");
    assert!(matches!(asked, Err(StoreError::Unavailable { .. })), "{asked:?}");
    cluster.nodes[victim].restart();
    let back = Instant::now();
    recovered(&store, &token, PATIENCE).await;
    eprintln!("away for {:?}, it works {:?} after it is back", back - killed, back.elapsed());
    timeout(PATIENCE, hit.acknowledges(MANY)).await.expect("a load that goes on");
    // Its log may lack what it was about to write.
    let sum = hit.settle(began).await;
    assert_eq!((sum.undone, sum.wrong), (0, 0), "of the master that was killed: {sum:?}");
    let sum = spared.settle(Instant::now()).await;
    assert_eq!((sum.undone, sum.wrong, sum.lost, sum.refused), (0, 0, 0, 0), "of the others: {sum:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_without_a_replica_costs_its_own_people_and_nobody_else() {
    kill_without_a_replica(false).await;
}

/// Nobody can be told of revocations meanwhile: it is waited until no copy is in use that lacks them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_that_has_what_is_everybodys_costs_its_own_people_and_nobody_else() {
    kill_without_a_replica(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_killed_is_replaced_and_nothing_acknowledged_is_undone() {
    let mut cluster = RedisCluster::with_replicas().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&cluster.url(), &clock).await;
    let load = Ledger::begin(&store);
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load");
    // What the replica has by now is not lost.
    let had = Instant::now();
    cluster.nodes[0].passes_on_to(&cluster.nodes[3]).await;
    cluster.nodes[0].kill();
    works_at_the_replica(&cluster, &store, had).await;
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load that goes on");
    // The old one comes back, is told to follow, and leads nobody astray.
    cluster.nodes[0].restart();
    let follows = async || {
        let said = cluster.nodes[0].try_command::<String>(&["INFO", "replication"]).await;
        said.is_ok_and(|said| said.contains("master_link_status:up"))
    };
    timeout(PATIENCE, crate::support::cluster::until(follows)).await.expect("it follows the new one");
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load that goes on");
    let sum = load.settle(had).await;
    assert_eq!((sum.undone, sum.wrong), (0, 0), "{sum:?}");
}

/// A replica that has nothing of what was done since becomes the master.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_to_a_replica_that_lags_brings_nothing_back() {
    let mut cluster = RedisCluster::with_replicas().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&cluster.url(), &clock).await;
    let load = Ledger::begin(&store);
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load");
    let had = Instant::now();
    cluster.nodes[0].passes_on_to(&cluster.nodes[3]).await;
    cluster.falls_behind(3, 0).await;
    timeout(PATIENCE, load.acknowledges(4 * MANY)).await.expect("a load that the replica does not get");
    cluster.nodes[0].kill();
    works_at_the_replica(&cluster, &store, had).await;
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load that goes on");
    let sum = load.settle(had).await;
    assert_eq!((sum.undone, sum.wrong), (0, 0), "{sum:?}");
    assert!(sum.lost > 0, "the replica had it: {sum:?}");
}

/// It takes itself for the master when it goes on, for as long as nobody tells it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_was_replaced_while_it_hung_is_not_gone_back_to() {
    let cluster = RedisCluster::with_replicas().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&cluster.url(), &clock).await;
    let load = Ledger::begin(&store);
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load");
    let had = Instant::now();
    cluster.nodes[0].passes_on_to(&cluster.nodes[3]).await;
    cluster.nodes[0].pause();
    works_at_the_replica(&cluster, &store, had).await;
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load that goes on");
    let back = Instant::now();
    cluster.nodes[0].resume();
    timeout(PATIENCE, load.acknowledges(MANY)).await.expect("a load that goes on");
    let sum = load.settle(had).await;
    assert_eq!((sum.undone, sum.wrong), (0, 0), "{sum:?}");
    assert!(sum.newest_lost.is_none_or(|opened| opened < back), "it was gone back to: {sum:?}");
}

async fn works_at_the_replica(cluster: &RedisCluster, store: &SharedStore, since: Instant) {
    timeout(PATIENCE, cluster.is_promoted(3, 0)).await.expect("a failover");
    let promoted = Instant::now();
    let [ada, _] = people_of(0).await;
    recovered(store, &ada.session().access_token(), RECOVERED).await;
    eprintln!("promoted after {:?}, it works {:?} after that", promoted - since, promoted.elapsed());
}

/// As Redis has it by itself (`cluster-require-full-coverage yes`): one slot that nobody has stops all of them.
#[tokio::test]
async fn a_cluster_that_serves_all_slots_or_none_is_503_for_everybody_and_comes_back() {
    let mut cluster = RedisCluster::all_or_nothing().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&cluster.url(), &clock).await;
    let [eve, _] = people_of(1).await;
    let session = eve.log_in(&store, &clock).await;
    let token = session.access_token();
    cluster.nodes[0].kill();
    let refusing = async {
        loop {
            let asked = timeout(BOUND, store.access_status(&token)).await.expect("an answer in time");
            match asked {
                Err(StoreError::Unavailable { .. }) => return,
                Ok(status) => assert_eq!(status, hallpass::store::AccessStatus::Live),
                other => panic!("{other:?}"),
            }
        }
    };
    timeout(PATIENCE, refusing).await.expect("it is down");
    cluster.nodes[0].restart();
    recovered(&store, &token, PATIENCE).await;
    assert_live(&store, &session, 0).await;
}
