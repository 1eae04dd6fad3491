//! Three replicas of the service, behind three Sentinels, with a master that is gone.

use tokio::time::Instant;

use crate::ledger::Loss;
use crate::load::Load;
use crate::process::{Service, eventually, serve};
use crate::support::postgres::PostgresServer;
use crate::support::sentinels::SentinelSet;

/// Enough that everything is done, and every state of a session is among them.
const SOME: u64 = 90;

/// Two that answer from their own copy of the feed, and one that asks each time.
fn replicas(folder: &std::path::Path, redis: &str, database: &str) -> Vec<Service> {
    let start = |mode| {
        serve(folder, redis, database)
            .variable("HALLPASS_RATE_LIMITS__ENABLED", "false")
            .variable("HALLPASS_VALIDATION__MODE", mode)
            .start()
    };
    ["mirror", "mirror", "strict"].map(start).into()
}

/// Three replicas of the service, and a load on them.
struct Stage {
    set: SentinelSet,
    services: Vec<Service>,
    load: Load,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn begin() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = PostgresServer::shared().create_database().await;
        let set = SentinelSet::start().await;
        let services = replicas(folder.path(), &set.url(), &database);
        let load = Load::begin(services.iter().map(Service::client).collect()).await;
        load.acknowledges(SOME).await;
        Self { set, services, load, _folder: folder }
    }

    /// The master dies, and the other server takes its place.
    async fn kill_the_master(&mut self) {
        self.set.servers[0].kill();
        self.load.refuses(SOME / 3).await;
        self.set.names(1).await;
        self.load.is_back();
        for service in &self.services {
            let client = service.client();
            eventually("it works at the new master", async || client.is_ready().await).await;
        }
        self.load.acknowledges(2 * SOME).await;
    }

    async fn settle(self, fault: &str, loss: Loss) {
        self.load.settle(fault, loss).await;
        for service in self.services {
            service.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_is_killed_under_three_replicas() {
    let mut stage = Stage::begin().await;
    let had = Instant::now();
    stage.set.servers[0].passes_on_to(&stage.set.servers[1]).await;
    stage.load.acknowledges(SOME).await;
    stage.kill_the_master().await;
    stage.settle("kill -9 of a master behind Sentinels, three replicas", Loss::Since(had)).await;
}

/// The server that takes its place has nothing of what was done since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lags_takes_over_under_three_replicas() {
    let mut stage = Stage::begin().await;
    // By themselves they would have it follow again within seconds.
    stage.set.slow_down().await;
    let had = Instant::now();
    stage.set.servers[0].passes_on_to(&stage.set.servers[1]).await;
    stage.set.servers[1].fall_behind().await;
    stage.load.acknowledges(SOME).await;
    stage.kill_the_master().await;
    stage.settle("a replica that lags takes over behind Sentinels, three replicas", Loss::Since(had)).await;
}
