//! One Redis that is killed, hung, emptied, full or demoted, with all that it may keep on disk.

use hyper::StatusCode;
use tokio::time::Instant;

use crate::client::get;
use crate::ledger::Loss;
use crate::load::Load;
use crate::process::{Service, serve};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

/// Enough that everything is done, and every state of a session is among them.
const SOME: u64 = 60;

/// A service in front of a Redis of its own, and a load that runs.
struct Stage {
    redis: RedisServer,
    service: Service,
    load: Load,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn with(redis: RedisServer) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = PostgresServer::shared().create_database().await;
        let service = serve(folder.path(), &redis.url(), &database)
            .variable("HALLPASS_RATE_LIMITS__ENABLED", "false")
            .start();
        let load = Load::begin(vec![service.client()]).await;
        load.acknowledges(SOME).await;
        Self { redis, service, load, _folder: folder }
    }

    /// Goes on for a while, and compares.
    async fn settle(self, fault: &str, loss: Loss) {
        self.load.is_back();
        self.load.acknowledges(2 * SOME).await;
        self.load.settle(fault, loss).await;
        self.service.stop().await;
    }

    /// Kills it and lets it be away until that was noticed, and starts it again with what it kept.
    async fn kill_and_restart(&mut self) {
        self.redis.kill();
        self.load.refuses(SOME).await;
        self.redis.restart();
    }

    async fn command(&self, words: &[&str]) {
        self.redis.command::<redis::Value>(words).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_with_every_write_in_its_log() {
    let mut stage = Stage::with(RedisServer::start()).await;
    stage.command(&["CONFIG", "SET", "appendfsync", "always"]).await;
    stage.load.acknowledges(SOME).await;
    stage.kill_and_restart().await;
    stage.settle("kill -9, appendfsync always", Loss::Nothing).await;
}

/// The end of the process loses nothing that was written to the file; with a busy disk that is up to two seconds late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_with_a_log_of_every_second() {
    let mut stage = Stage::with(RedisServer::start()).await;
    let since = Instant::now() - std::time::Duration::from_secs(2);
    stage.kill_and_restart().await;
    stage.settle("kill -9, appendfsync everysec", Loss::Since(since)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_with_an_older_snapshot() {
    let mut stage = Stage::with(RedisServer::with_snapshots()).await;
    let since = Instant::now();
    stage.command(&["SAVE"]).await;
    stage.load.acknowledges(SOME).await;
    stage.kill_and_restart().await;
    stage.settle("kill -9, an older snapshot", Loss::Since(since)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_with_nothing_on_disk() {
    let began = Instant::now();
    let mut stage = Stage::with(RedisServer::with_snapshots()).await;
    stage.kill_and_restart().await;
    stage.settle("kill -9, nothing kept", Loss::Since(began)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hung_for_a_while() {
    let stage = Stage::with(RedisServer::start()).await;
    stage.redis.pause();
    let client = stage.service.client();
    for path in ["/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/health/live"] {
        assert_eq!(client.send(get(path)).await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(client.send(get("/health/ready")).await.status, StatusCode::SERVICE_UNAVAILABLE);
    stage.load.refuses(SOME).await;
    stage.redis.resume();
    stage.settle("SIGSTOP", Loss::Nothing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emptied() {
    let began = Instant::now();
    let stage = Stage::with(RedisServer::start()).await;
    stage.command(&["FLUSHALL"]).await;
    stage.settle("FLUSHALL", Loss::Since(began)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_scripts_and_its_connections_again_and_again() {
    let stage = Stage::with(RedisServer::start()).await;
    for _ in 0..10 {
        stage.command(&["SCRIPT", "FLUSH"]).await;
        stage.load.acknowledges(SOME / 10).await;
        stage.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        stage.load.acknowledges(SOME / 10).await;
    }
    stage.settle("SCRIPT FLUSH and CLIENT KILL, ten times", Loss::Nothing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full() {
    let stage = Stage::with(RedisServer::start()).await;
    stage.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    stage.load.refuses(SOME).await;
    stage.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    stage.settle("maxmemory", Loss::Nothing).await;
}

/// It follows nobody in fact, refuses writes, and is the master again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn demoted_and_promoted_again() {
    let stage = Stage::with(RedisServer::start()).await;
    stage.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    stage.load.refuses(SOME).await;
    stage.command(&["REPLICAOF", "NO", "ONE"]).await;
    stage.settle("read-only", Loss::Nothing).await;
}
