//! The connections to Postgres, used so that it makes no difference whether a pooler stands in between which
//! hands each transaction to another connection of its own (PgBouncer with `pool_mode = transaction`).
//!
//! Such a pooler keeps nothing between two transactions: no setting, no lock, no prepared statement. The
//! driver prepares a statement in one exchange and runs it in the next, and a pooler that changed the
//! connection in between would run another's. So every statement is in a transaction that is begun
//! before it is prepared, is prepared without a name, and what is set is set for the transaction alone.

mod idle;
mod lease;
mod servers;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection};
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};
use tokio::time::{Instant, timeout, timeout_at};

use self::idle::{Idle, Open};
use self::lease::Lease;
use self::servers::{Connector, is_full};
use super::options::PostgresOptions;
use crate::metrics::{self, PoolUse};
use crate::store::sql::failure::NoConnection;

pub(in crate::store::sql) use self::lease::Transaction;
pub(super) use self::servers::{Host, Servers, may_pass};

/// How soon a full server is asked for a connection again, unless one of ours comes free.
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// The connections of a store. Clones share them.
#[derive(Clone)]
pub(in crate::store::sql) struct Pool(Arc<Inner>);

struct Inner {
    connector: Connector,
    options: PostgresOptions,
    /// What begins a transaction of a request, and one of a migration.
    begin: String,
    begin_migration: String,
    idle: Arc<Idle>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool without a connection yet. `schema` is a plain name.
    pub(super) fn new(
        servers: Servers,
        schema: Option<&str>,
        options: PostgresOptions,
        migration: Duration,
    ) -> Self {
        let path = schema.map_or_else(String::new, |name| format!("; SET LOCAL search_path = \"{name}\""));
        let limit = options.statement_timeout.as_millis();
        let migration = migration.as_millis();
        Self(Arc::new(Inner {
            connector: Connector::new(servers),
            begin: format!(
                "BEGIN; SET LOCAL statement_timeout = {limit}; \
                 SET LOCAL idle_in_transaction_session_timeout = {limit}{path}"
            ),
            // A table that exists already is no news.
            begin_migration: format!(
                "BEGIN; SET LOCAL client_min_messages = warning; SET LOCAL statement_timeout = {migration}; \
                 SET LOCAL idle_in_transaction_session_timeout = {migration}{path}"
            ),
            idle: Arc::new(Idle::new(options.max_connections.max(1) as usize)),
            options,
        }))
    }

    /// Opens the first connection, which tells whether the servers can be used at all.
    pub(super) async fn open_first(&self) -> sqlx::Result<()> {
        let connection = self.0.connector.connect(Instant::now() + self.0.options.connect_timeout).await?;
        self.0.idle.keep(Open::new(connection));
        Ok(())
    }

    /// How long a start waits.
    pub(super) fn connect_timeout(&self) -> Duration {
        self.0.options.connect_timeout
    }

    /// How the connections are used just now.
    pub(super) fn use_of(&self) -> PoolUse {
        let (idle, max) = (&self.0.idle, self.0.places());
        let in_use = max.saturating_sub(idle.places.available_permits());
        PoolUse { pool: metrics::Pool::Database, in_use, idle: idle.count(), max }
    }

    /// The connections that are open now are not used again.
    pub(super) fn retire_all(&self) {
        self.0.idle.retired.all();
    }

    /// Begins the transaction of a request.
    pub(super) async fn begin(&self) -> sqlx::Result<Transaction> {
        self.begin_as(&self.0.begin, Instant::now() + self.0.options.acquire_timeout).await
    }

    /// Begins one that may take as long as a migration does.
    pub(super) async fn begin_migration(&self) -> sqlx::Result<Transaction> {
        self.begin_as(&self.0.begin_migration, Instant::now() + self.0.options.connect_timeout).await
    }

    /// Runs one statement without parameters, which commits by itself: it comes to its end on the server
    /// even if we are paused before the answer, and holds no lock for longer than that takes.
    pub(super) async fn run_by_itself(&self, statement: &str) -> sqlx::Result<Vec<PgRow>> {
        let mut lease = self.lease(&self.0.begin, Instant::now() + self.0.options.acquire_timeout).await?;
        // The same transaction, ended in the same exchange as the statement.
        let whole = format!("{statement}; COMMIT");
        let rows = sqlx::raw_sql(AssertSqlSafe(whole)).fetch_all(lease.connection()?).await;
        if rows.is_ok() {
            lease.give_back();
        }
        rows
    }

    /// Closes all connections; calls after this fail.
    pub(super) async fn close(&self) {
        self.0.idle.places.close();
        for open in self.0.idle.take_all() {
            // It is over either way.
            let _ = timeout(self.0.options.statement_timeout, open.connection.close()).await;
        }
    }

    async fn begin_as(&self, begin: &str, until: Instant) -> sqlx::Result<Transaction> {
        Ok(Transaction { lease: self.lease(begin, until).await? })
    }

    /// A connection in a transaction that has begun, which is its sign of life as well.
    async fn lease(&self, begin: &str, until: Instant) -> sqlx::Result<Lease> {
        let pool = &self.0;
        let asked = Instant::now();
        let waited = until.saturating_duration_since(asked);
        // A part of the time, so that another can be made if one that was idle turns out to be dead.
        let silence = waited.mul_f32(0.375);
        let mut place = Some(pool.place(asked, until).await?);
        loop {
            if let Some(open) = pool.idle.take() {
                let mut lease = pool.lease(open, place.take());
                match timeout_at((Instant::now() + silence).min(until), lease.begin(begin)).await {
                    Ok(Ok(())) => return Ok(lease),
                    // Closed while it was idle: the others find out for themselves.
                    Ok(Err(_)) => {}
                    // A host that has vanished: each of them would be waited for.
                    Err(_) => pool.idle.retired.all(),
                }
                place = lease.discard();
                continue;
            }
            match pool.connector.connect(until).await {
                Ok(connection) => {
                    let server = pool.connector.newest_place();
                    let mut lease = pool.lease(Open::new(connection), place.take());
                    return match timeout_at(until, lease.begin(begin)).await {
                        Ok(Ok(())) => Ok(lease),
                        Ok(Err(error)) => {
                            lease.discard();
                            Err(error)
                        }
                        Err(_) => Err(NoConnection::Silent { place: server, waited }.into()),
                    };
                }
                Err(error) if is_full(&error) && Instant::now() + FULL_PAUSE < until => {
                    // Others of ours may have what the server does not give us any more of.
                    let _ = timeout(FULL_PAUSE, pool.idle.came_free.notified()).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Inner {
    /// How many connections there may be.
    fn places(&self) -> usize {
        self.options.max_connections.max(1) as usize
    }

    /// A place for a connection. Only where it has to be waited for, that is measured.
    async fn place(&self, asked: Instant, until: Instant) -> sqlx::Result<OwnedSemaphorePermit> {
        let places = &self.idle.places;
        match places.clone().try_acquire_owned() {
            Ok(place) => return Ok(place),
            Err(TryAcquireError::Closed) => return Err(sqlx::Error::PoolClosed),
            Err(TryAcquireError::NoPermits) => {}
        }
        let place = timeout_at(until, places.clone().acquire_owned()).await;
        metrics::pool_waited(metrics::Pool::Database, asked.elapsed());
        match place {
            Ok(place) => place.map_err(|_| sqlx::Error::PoolClosed),
            Err(_) => {
                let waited = until.saturating_duration_since(asked);
                Err(NoConnection::AllInUse { max: self.options.max_connections, waited }.into())
            }
        }
    }

    fn lease(&self, open: Open, place: Option<OwnedSemaphorePermit>) -> Lease {
        Lease::new(self.idle.clone(), open, place, self.options.statement_timeout)
    }
}
