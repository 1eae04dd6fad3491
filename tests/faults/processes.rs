//! hallpass itself is killed or restarted, under load.

use std::path::Path;

use tokio::time::Instant;

use crate::ledger::Loss;
use crate::load::Load;
use crate::process::{Program, Service, dev, eventually, serve};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

/// Enough that everything is done, and every state of a session is among them.
const SOME: u64 = 60;

/// Three replicas on one Redis and one Postgres.
struct Replicas {
    folder: tempfile::TempDir,
    redis: RedisServer,
    database: String,
    services: Vec<Option<Service>>,
}

impl Replicas {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let redis = RedisServer::start();
        let database = PostgresServer::shared().create_database().await;
        let mut replicas = Self { folder, redis, database, services: Vec::new() };
        for _ in 0..3 {
            let service = replicas.program().start();
            replicas.services.push(Some(service));
        }
        replicas
    }

    fn program(&self) -> Program {
        serve(self.folder.path(), &self.redis.url(), &self.database)
            .variable("HALLPASS_RATE_LIMITS__ENABLED", "false")
            // Until it accepts nothing more: time enough for the balancer to look.
            .variable("HALLPASS_SHUTDOWN_DELAY", "1s")
    }

    async fn load(&self) -> Load {
        let load = Load::begin(self.services.iter().flatten().map(Service::client).collect()).await;
        load.acknowledges(SOME).await;
        load
    }

    /// Another process in that place, which is sent requests once it is ready.
    async fn put(&mut self, place: usize, load: &Load) {
        let service = self.program().start();
        let client = service.client();
        eventually("it is ready", async || client.is_ready().await).await;
        load.ledger().replicas.put(place, client);
        self.services[place] = Some(service);
    }

    fn take(&mut self, place: usize) -> Service {
        self.services[place].take().expect("one that runs")
    }

    async fn stop(self) {
        for service in self.services.into_iter().flatten() {
            service.stop().await;
        }
    }
}

/// Nobody tells those who ask it: some of them hear nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_killed_one_after_the_other() {
    let mut replicas = Replicas::start().await;
    let load = replicas.load().await;
    for place in 0..3 {
        load.ledger().replicas.is_killed(place);
        replicas.take(place).kill().await;
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
    let mut replicas = Replicas::start().await;
    let load = replicas.load().await;
    load.is_back();
    for place in 0..3 {
        let service = replicas.take(place);
        service.terminate();
        let client = service.client();
        eventually("it says that it stops", async || !client.is_ready().await).await;
        load.ledger().replicas.leave_out(place);
        assert_eq!(service.ended().await.0, Some(0));
        replicas.put(place, &load).await;
    }
    load.acknowledges(2 * SOME).await;
    load.settle("a rolling restart", Loss::Nothing).await;
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
