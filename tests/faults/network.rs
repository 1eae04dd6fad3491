//! The way to a store is slow, silent, cut, or loses answers: what was asked was done, or was not.

use std::time::Duration;

use crate::ledger::Loss;
use crate::load::Load;
use crate::process::{Service, serve};
use crate::support::faulty_link::{FaultyLink, Store, Weather};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

/// Enough that everything is done, and every state of a session is among them.
const SOME: u64 = 60;

/// A service with links to its stores, and a load that runs.
struct Stage {
    link: FaultyLink,
    service: Service,
    load: Load,
    _redis: RedisServer,
    _folder: tempfile::TempDir,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    Redis,
    Postgres,
}

impl Stage {
    async fn with(behind: Behind) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let redis = RedisServer::start();
        let postgres = PostgresServer::shared();
        let database = postgres.create_database().await;
        let store = match behind {
            Behind::Redis => Store::Port(redis.port()),
            Behind::Postgres => Store::Socket(postgres.socket()),
        };
        let link = FaultyLink::to(store).await;
        let name = database.rsplit('/').next().expect("a name");
        let (redis_url, database_url) = match behind {
            Behind::Redis => (format!("redis://{}", link.address()), database),
            Behind::Postgres => (redis.url(), format!("postgres://postgres@{}/{name}", link.address())),
        };
        let service = serve(folder.path(), &redis_url, &database_url)
            .variable("HALLPASS_RATE_LIMITS__ENABLED", "false")
            .start();
        let load = Load::begin(vec![service.client()]).await;
        load.acknowledges(SOME).await;
        Self { link, service, load, _redis: redis, _folder: folder }
    }

    /// The link has that weather until so many were refused, or acknowledged where nobody need be.
    async fn until_refused(&self, weather: Weather) {
        self.link.turns(weather);
        self.load.refuses(SOME / 2).await;
        self.link.turns(Weather::Clear);
        self.load.is_back();
    }

    async fn settle(self, fault: &str) {
        self.load.acknowledges(2 * SOME).await;
        self.load.settle(fault, Loss::Nothing).await;
        self.service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow() {
    for (behind, fault) in [(Behind::Redis, "Redis 50 ms away"), (Behind::Postgres, "Postgres 50 ms away")] {
        let stage = Stage::with(behind).await;
        stage.link.turns(Weather::Slow(Duration::from_millis(50)));
        stage.load.acknowledges(SOME).await;
        stage.link.turns(Weather::Clear);
        stage.settle(fault).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_behind_a_black_hole() {
    let stage = Stage::with(Behind::Redis).await;
    stage.until_refused(Weather::Silent).await;
    stage.settle("a black hole before Redis").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_behind_a_black_hole() {
    let stage = Stage::with(Behind::Postgres).await;
    stage.until_refused(Weather::Silent).await;
    stage.settle("a black hole before Postgres").await;
}

/// A rotation or a logout that was carried out, and whose answer never came: the client tries again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_answers_and_nobody_hears_it() {
    let stage = Stage::with(Behind::Redis).await;
    stage.until_refused(Weather::AnswersLost).await;
    stage.settle("Redis' answers lost").await;
}

/// A commit whose answer never came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_answers_and_nobody_hears_it() {
    let stage = Stage::with(Behind::Postgres).await;
    stage.until_refused(Weather::AnswersLost).await;
    stage.settle("Postgres' answers lost").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_again_and_again() {
    let faults =
        [(Behind::Redis, "connections to Redis cut"), (Behind::Postgres, "connections to Postgres cut")];
    for (behind, fault) in faults {
        let stage = Stage::with(behind).await;
        for _ in 0..10 {
            stage.link.cut();
            stage.load.acknowledges(SOME / 10).await;
        }
        stage.settle(fault).await;
    }
}
