//! Three replicas of the service on a Redis Cluster, one of whose masters is gone.

use std::path::Path;

use tokio::time::Instant;

use crate::ledger::Loss;
use crate::load::Load;
use crate::process::{Service, eventually, serve};
use crate::support::cluster::RedisCluster;
use crate::support::postgres::PostgresServer;

/// Enough that everything is done, and every state of a session is among them.
const SOME: u64 = 90;

/// Two that answer from their own copy of the feed, and one that asks each time.
fn replicas(folder: &Path, redis: &str, database: &str) -> Vec<Service> {
    let start = |mode| {
        serve(folder, redis, database)
            .variable("HALLPASS_RATE_LIMITS__ENABLED", "false")
            .variable("HALLPASS_VALIDATION__MODE", mode)
            .start()
    };
    ["mirror", "mirror", "strict"].map(start).into()
}

async fn slot_of(cluster: &RedisCluster, partition: u8) -> u16 {
    cluster.nodes[0].command(&["CLUSTER", "KEYSLOT", &format!("{{p{partition:02}}}")]).await
}

fn has_at_the_start(node: usize, slot: u16) -> bool {
    let (first, last) = RedisCluster::slots_of(node);
    (first..=last).contains(&u32::from(slot))
}

/// The master that has the first account, which is one of the load's.
async fn home_of_the_first(cluster: &RedisCluster) -> usize {
    let slot = slot_of(cluster, 1).await;
    (0..3).find(|node| has_at_the_start(*node, slot)).expect("a master")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_of_a_cluster_is_killed_under_three_replicas() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = PostgresServer::shared().create_database().await;
    let mut cluster = RedisCluster::with_replicas().await;
    let services = replicas(folder.path(), &cluster.url(), &database);
    let load = Load::begin(services.iter().map(Service::client).collect()).await;
    load.acknowledges(SOME).await;
    let victim = home_of_the_first(&cluster).await;
    let had = Instant::now();
    cluster.nodes[victim].passes_on_to(&cluster.nodes[victim + 3]).await;
    load.acknowledges(SOME).await;
    cluster.nodes[victim].kill();
    load.refuses(SOME / 3).await;
    cluster.is_promoted(victim + 3, victim).await;
    load.is_back();
    for service in &services {
        let client = service.client();
        eventually("it works at the new master", async || client.is_ready().await).await;
    }
    load.acknowledges(2 * SOME).await;
    load.settle("kill -9 of a master of a Cluster, three replicas", Loss::Since(had)).await;
    for service in services {
        service.stop().await;
    }
}

/// Nobody takes its place: it comes back with its log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_of_a_cluster_is_away_under_three_replicas() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = PostgresServer::shared().create_database().await;
    let mut cluster = RedisCluster::with_logs().await;
    let services = replicas(folder.path(), &cluster.url(), &database);
    let load = Load::begin(services.iter().map(Service::client).collect()).await;
    let victim = home_of_the_first(&cluster).await;
    let had = Instant::now();
    load.acknowledges(SOME).await;
    cluster.nodes[victim].kill();
    load.refuses(SOME / 3).await;
    for service in &services {
        assert!(service.client().is_ready().await, "a balancer goes on sending what the others serve");
    }
    load.acknowledges(SOME).await;
    cluster.nodes[victim].restart();
    cluster.serves_again(victim).await;
    load.is_back();
    load.acknowledges(2 * SOME).await;
    load.settle("a master of a Cluster is away, three replicas", Loss::Since(had)).await;
    for service in services {
        service.stop().await;
    }
}

/// As when a node is to be taken out, and is put in again: all that it has of ours goes, key by key, and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_of_a_cluster_move_under_three_replicas() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = PostgresServer::shared().create_database().await;
    let cluster = RedisCluster::start().await;
    let services = replicas(folder.path(), &cluster.url(), &database);
    let load = Load::begin(services.iter().map(Service::client).collect()).await;
    load.acknowledges(SOME).await;
    let home = home_of_the_first(&cluster).await;
    let other = (home + 1) % 3;
    let mut slots = Vec::new();
    for partition in 0..64 {
        slots.push(slot_of(&cluster, partition).await);
    }
    slots.retain(|slot| has_at_the_start(home, *slot));
    assert!(slots.len() > 10, "{slots:?}");
    for (from, to) in [(home, other), (other, home)] {
        for slot in &slots {
            cluster.move_slot(*slot, from, to).await;
        }
        load.acknowledges(SOME).await;
    }
    load.is_back();
    load.acknowledges(2 * SOME).await;
    load.settle("slots of a Cluster move and come back, three replicas", Loss::Nothing).await;
    for service in services {
        service.stop().await;
    }
}
