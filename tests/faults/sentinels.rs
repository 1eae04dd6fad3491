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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_is_killed_under_three_replicas() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = PostgresServer::shared().create_database().await;
    let mut set = SentinelSet::start().await;
    let services = replicas(folder.path(), &set.url(), &database);
    let load = Load::begin(services.iter().map(Service::client).collect()).await;
    load.acknowledges(SOME).await;
    let had = Instant::now();
    set.servers[0].passes_on_to(&set.servers[1]).await;
    load.acknowledges(SOME).await;
    set.servers[0].kill();
    load.refuses(SOME / 3).await;
    set.names(1).await;
    load.is_back();
    for service in &services {
        let client = service.client();
        eventually("it works at the new master", async || client.is_ready().await).await;
    }
    load.acknowledges(2 * SOME).await;
    load.settle("kill -9 of a master behind Sentinels, three replicas", Loss::Since(had)).await;
    for service in services {
        service.stop().await;
    }
}
