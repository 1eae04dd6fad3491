//! A Postgres that is restarted, locked, closed, or replaced by its standby.

use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::time::Instant;

use crate::ledger::Loss;
use crate::load::Load;
use crate::process::{Service, serve};
use crate::support::pgbouncer::PgBouncer;
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

/// Enough that everything is done, and every state of a session is among them.
const SOME: u64 = 60;

/// A service in front of a Postgres, and a load that runs.
struct Stage {
    service: Service,
    load: Load,
    _redis: RedisServer,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn with(database: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let redis = RedisServer::start();
        let service = serve(folder.path(), &redis.url(), database)
            .variable("HALLPASS_RATE_LIMITS__ENABLED", "false")
            .start();
        let load = Load::begin(vec![service.client()]).await;
        load.acknowledges(SOME).await;
        Self { service, load, _redis: redis, _folder: folder }
    }

    async fn settle(self, fault: &str) {
        self.settle_with(fault, Loss::Nothing).await;
    }

    async fn settle_with(self, fault: &str, loss: Loss) {
        self.load.is_back();
        self.load.acknowledges(2 * SOME).await;
        self.load.settle(fault, loss).await;
        self.service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted() {
    let mut postgres = PostgresServer::start();
    let stage = Stage::with(&postgres.create_database().await).await;
    postgres.take_down();
    stage.load.refuses(SOME / 2).await;
    postgres.bring_back();
    stage.settle("Postgres restarted").await;
}

/// The pooler keeps its clients' connections meanwhile; unless it is told to, it tries again after 15 seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_behind_pgbouncer() {
    let mut postgres = PostgresServer::start();
    let database = postgres.create_database().await;
    let pooler = PgBouncer::before_with(&postgres, 5, "server_login_retry = 1\n");
    let stage = Stage::with(&pooler.url_of(&database, "postgres")).await;
    postgres.take_down();
    stage.load.refuses(SOME / 2).await;
    postgres.bring_back();
    stage.settle("Postgres restarted behind PgBouncer").await;
}

/// Somebody holds locks on what every login and every logout writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locked() {
    let postgres = PostgresServer::start();
    let database = postgres.create_database().await;
    let stage = Stage::with(&database).await;
    let mut holder = sqlx::PgConnection::connect(&database).await.expect("a connection");
    let mut lock = holder.begin().await.expect("a transaction");
    let statement = "LOCK TABLE users, journal, audit_log IN ACCESS EXCLUSIVE MODE";
    lock.execute(statement).await.expect("the locks");
    stage.load.refuses(SOME / 2).await;
    lock.rollback().await.expect("an end of it");
    stage.settle("Postgres' tables locked").await;
}

/// As it is when others have taken all of its connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_to_everybody() {
    let postgres = PostgresServer::start();
    let database = postgres.create_database().await;
    let stage = Stage::with(&database).await;
    let name = database.rsplit('/').next().expect("a name");
    let mut operator = postgres.connection().await;
    let close = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false");
    operator.execute(AssertSqlSafe(close)).await.expect("closed");
    let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    operator.execute(AssertSqlSafe(end)).await.expect("ended");
    stage.load.refuses(SOME / 2).await;
    let open = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true");
    operator.execute(AssertSqlSafe(open)).await.expect("opened");
    stage.settle("no connection to Postgres").await;
}

/// A primary and its standby, and an address that names both.
async fn pair() -> (PostgresServer, PostgresServer, String) {
    let primary = PostgresServer::on_loopback();
    let database = primary.create_database().await;
    let standby = primary.standby();
    let name = database.rsplit('/').next().expect("a name");
    let (one, other) = (primary.port(), standby.port());
    let url = format!("postgres://postgres@127.0.0.1:{one},127.0.0.1:{other}/{name}");
    (primary, standby, url)
}

/// The primary dies for good, and the standby that has all it had takes its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_by_its_standby() {
    let (mut primary, standby, url) = pair().await;
    let stage = Stage::with(&url).await;
    primary.crash();
    stage.load.refuses(SOME / 2).await;
    standby.promote().await;
    stage.settle("a Postgres standby promoted").await;
}

/// The standby lacks the last moments: accounts of that time are gone, and nothing that was ended comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_by_a_standby_that_lags() {
    let (mut primary, standby, url) = pair().await;
    let stage = Stage::with(&url).await;
    primary.passes_on_to(&standby).await;
    let since = Instant::now();
    standby.fall_behind().await;
    stage.load.acknowledges(2 * SOME).await;
    primary.crash();
    stage.load.refuses(SOME / 2).await;
    standby.promote().await;
    stage.settle_with("a Postgres standby promoted that lags", Loss::Since(since)).await;
}
