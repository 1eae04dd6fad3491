//! hallpass itself is killed or restarted, under load.

use std::path::Path;

use tokio::time::Instant;

use crate::deployment::{Deployment, Setup, earlier_release};
use crate::ledger::Loss;
use crate::load::{Load, WORKERS};
use crate::process::dev;
use crate::support::redis::RedisServer;

/// Enough that everything is done, and every state of a session is among them.
const SOME: u64 = 60;

/// Nobody tells those who ask it: some of them hear nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_killed_one_after_the_other() {
    let redis = RedisServer::start();
    let mut replicas = Deployment::start(Setup::on(redis.url())).await;
    let load = replicas.load(WORKERS).await;
    load.acknowledges(SOME).await;
    for place in 0..3 {
        replicas.kill(place, &load).await;
        load.acknowledges(SOME / 2).await;
        replicas.put(place, &load).await;
    }
    load.is_back();
    load.acknowledges(2 * SOME).await;
    load.settle("kill -9 of each replica in turn", Loss::Nothing).await;
    replicas.stop().await;
}

/// A balancer sends nothing more to one that is not ready: nobody is refused, and nobody hears nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_restarted_one_after_the_other() {
    let redis = RedisServer::start();
    let mut replicas = Deployment::start(Setup::on(redis.url())).await;
    let load = replicas.load(WORKERS).await;
    load.acknowledges(SOME).await;
    load.is_back();
    for place in 0..3 {
        replicas.replace(place, &load).await;
    }
    load.acknowledges(2 * SOME).await;
    load.settle("a rolling restart", Loss::Nothing).await;
    replicas.stop().await;
}

/// Two versions side by side, the schema brought up to date by the first of the new ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the program of an earlier release: ./scripts/faults builds it"]
async fn an_earlier_release_is_replaced_one_by_one() {
    let redis = RedisServer::start();
    let setup = Setup { build: Some(earlier_release()), ..Setup::on(redis.url()) };
    let mut replicas = Deployment::start(setup).await;
    let load = replicas.load(WORKERS).await;
    load.acknowledges(SOME).await;
    load.is_back();
    replicas.setup.build = None;
    for place in 0..3 {
        replicas.replace_by_hand(place, &load).await;
        load.acknowledges(SOME).await;
    }
    load.ledger().earlier_are_gone();
    load.acknowledges(2 * SOME).await;
    load.settle("a rolling upgrade, with a migration", Loss::Nothing).await;
    replicas.stop().await;
}

/// One process with its stores in files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_with_the_embedded_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = |folder: &Path| {
        let program = dev(folder).variable("HALLPASS_PUBLIC_URL", "http://localhost:8080");
        program.variable("HALLPASS_RATE_LIMITS__ENABLED", "false").start()
    };
    let mut service = start(folder.path());
    let load = Load::begin(vec![service.client()]).await;
    for _ in 0..3 {
        load.acknowledges(SOME).await;
        load.ledger().replicas.is_killed(0);
        let killed_at = Instant::now();
        service.kill().await;
        service = start(folder.path());
        load.ledger().replicas.put(0, service.client());
        eprintln!("away for {:?}", killed_at.elapsed());
    }
    load.is_back();
    load.acknowledges(2 * SOME).await;
    load.settle("kill -9 with the embedded store", Loss::Nothing).await;
    service.stop().await;
}
