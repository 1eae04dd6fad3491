//! The clock of one replica jumps, by libfaketime: it mints nothing meanwhile, and nobody is logged out.

use std::path::{Path, PathBuf};

use crate::ledger::Loss;
use crate::load::Load;
use crate::process::{Service, serve};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

/// Enough that everything is done, and every state of a session is among them.
const SOME: u64 = 60;

/// Where Debian puts it, by the machine's kind.
fn libfaketime() -> PathBuf {
    let libraries = std::fs::read_dir("/usr/lib").expect("the system's libraries");
    libraries
        .flatten()
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists())
        .expect("this test moves a clock: install libfaketime (Debian, Ubuntu: apt install faketime)")
}

/// A replica whose clock is as far off as the file says.
fn with_a_clock_of_its_own(folder: &Path, clock: &Path, redis: &str, database: &str) -> Service {
    serve(folder, redis, database)
        .variable("HALLPASS_RATE_LIMITS__ENABLED", "false")
        .variable("LD_PRELOAD", libfaketime())
        .variable("FAKETIME_TIMESTAMP_FILE", clock)
        .variable("FAKETIME_NO_CACHE", "1")
        .variable("DONT_FAKE_MONOTONIC", "1")
        .start()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_replicas_jumps_ahead_and_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = folder.path().join("clock");
    let set = |offset: &str| std::fs::write(&clock, offset).expect("a file");
    set("+0");
    let redis = RedisServer::start();
    let database = PostgresServer::shared().create_database().await;
    let plain = || {
        serve(folder.path(), &redis.url(), &database)
            .variable("HALLPASS_RATE_LIMITS__ENABLED", "false")
            .start()
    };
    let services =
        [plain(), plain(), with_a_clock_of_its_own(folder.path(), &clock, &redis.url(), &database)];
    let load = Load::begin(services.iter().map(Service::client).collect()).await;
    load.acknowledges(SOME).await;
    for offset in ["+3600", "-3600"] {
        set(offset);
        load.refuses(SOME / 4).await;
        set("+0");
        load.acknowledges(SOME).await;
    }
    load.is_back();
    load.acknowledges(2 * SOME).await;
    load.settle("a replica's clock jumps by an hour", Loss::Nothing).await;
    for service in services {
        service.stop().await;
    }
}
