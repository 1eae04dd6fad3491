//! A Postgres that is restarted, locked, closed, or replaced by its standby.

use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::ledger::Loss;
use crate::load::Load;
use crate::process::{Service, serve};
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
        self.load.is_back();
        self.load.acknowledges(2 * SOME).await;
        self.load.settle(fault, Loss::Nothing).await;
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

/// The primary dies for good, and the standby that has all it had takes its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_by_its_standby() {
    let mut primary = PostgresServer::on_loopback();
    let database = primary.create_database().await;
    let standby = primary.standby();
    let name = database.rsplit('/').next().expect("a name");
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", primary.port(), standby.port());
    let stage = Stage::with(&format!("postgres://postgres@{hosts}/{name}")).await;
    primary.crash();
    stage.load.refuses(SOME / 2).await;
    standby.promote().await;
    stage.settle("a Postgres standby promoted").await;
}
