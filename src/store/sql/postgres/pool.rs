//! The connections to Postgres, used so that it makes no difference whether a pooler stands in between which
//! hands each transaction to another connection of its own (PgBouncer with `pool_mode = transaction`).
//!
//! Such a pooler keeps nothing between two transactions: no setting, no lock, no prepared statement. The
//! driver prepares a statement in one exchange and runs it in the next, and a pooler that changed the
//! connection in between would run somebody else's. So every statement is in a transaction that is begun
//! before it is prepared, is prepared without a name, and what is set is set for the transaction alone.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::options::PostgresOptions;
use super::verdict::code_may_pass;
use crate::store::sql::failure::NoConnection;

/// How long a connection is kept that nobody needs.
const IDLE_MAX: Duration = Duration::from_secs(600);

/// How long a connection is used at most, so that servers which were added later get their share.
const LIFETIME_MAX: Duration = Duration::from_secs(1800);

/// How soon a full server is asked for a connection again, unless one of ours comes free.
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// Since when the connections of the pool are not to be used any more: those that were opened before
/// lead to a server that is going, gone, or takes no writes, and would do so for as long as they live.
#[derive(Clone, Debug, Default)]
struct Retired(Arc<Mutex<Option<Instant>>>);

impl Retired {
    /// All connections that are open now are of no use.
    fn all(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection of that age is one of them.
    fn is(&self, age: Duration) -> bool {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| age > since.elapsed())
    }
}

/// The servers, and what must be true of one to be used.
#[derive(Clone)]
pub(super) struct Servers {
    /// In the order in which they are tried.
    pub(super) hosts: Vec<Host>,
    /// Whether one that takes no writes is passed over.
    pub(super) needs_writes: bool,
}

/// A server.
#[derive(Clone)]
pub(super) struct Host {
    /// Where it is, without user and password.
    pub(super) place: String,
    /// How it is reached; holds the password.
    pub(super) options: PgConnectOptions,
}

/// The connections of a store. Clones share them.
#[derive(Clone)]
pub(in crate::store::sql) struct Pool(Arc<Inner>);

struct Inner {
    servers: Servers,
    /// The one that was of use last, tried first.
    newest: AtomicUsize,
    options: PostgresOptions,
    /// What begins a transaction of a request, and one of a migration.
    begin: String,
    begin_migration: String,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Open>>,
    came_free: Notify,
    retired: Retired,
}

/// A connection.
struct Open {
    connection: PgConnection,
    since: Instant,
    used: Instant,
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
            servers,
            newest: AtomicUsize::new(0),
            begin: format!(
                "BEGIN; SET LOCAL statement_timeout = {limit}; \
                 SET LOCAL idle_in_transaction_session_timeout = {limit}{path}"
            ),
            // A table that exists already is no news.
            begin_migration: format!(
                "BEGIN; SET LOCAL client_min_messages = warning; SET LOCAL statement_timeout = {migration}; \
                 SET LOCAL idle_in_transaction_session_timeout = {migration}{path}"
            ),
            places: Arc::new(Semaphore::new(options.max_connections.max(1) as usize)),
            options,
            idle: Mutex::default(),
            came_free: Notify::new(),
            retired: Retired::default(),
        }))
    }

    /// Opens the first connection, which tells whether the servers can be used at all.
    pub(super) async fn open_first(&self) -> sqlx::Result<()> {
        let open = self.0.connect(Instant::now() + self.0.options.connect_timeout).await?;
        self.0.keep(open);
        Ok(())
    }

    /// How long somebody waits who starts.
    pub(super) fn connect_timeout(&self) -> Duration {
        self.0.options.connect_timeout
    }

    /// The connections that are open now are not used again.
    pub(super) fn retire_all(&self) {
        self.0.retired.all();
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
            lease.is_inside = false;
            lease.give_back();
        }
        rows
    }

    /// Closes all connections; calls after this fail.
    pub(super) async fn close(&self) {
        self.0.places.close();
        let idle = std::mem::take(&mut *self.0.idle());
        for open in idle {
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
        let place = match timeout_at(until, pool.places.clone().acquire_owned()).await {
            Ok(place) => place.map_err(|_| sqlx::Error::PoolClosed)?,
            Err(_) => return Err(NoConnection::AllInUse { max: pool.options.max_connections, waited }.into()),
        };
        let mut place = Some(place);
        loop {
            if let Some(open) = pool.take_idle() {
                let mut lease = Lease::new(pool.clone(), open, place.take());
                match timeout_at((Instant::now() + silence).min(until), lease.begin(begin)).await {
                    Ok(Ok(())) => return Ok(lease),
                    // Closed while it was idle: the others find out for themselves.
                    Ok(Err(_)) => {}
                    // A host that has vanished: each of them would be waited for.
                    Err(_) => pool.retired.all(),
                }
                place = lease.discard();
                continue;
            }
            match pool.connect(until).await {
                Ok(open) => {
                    let server = open_place(pool);
                    let mut lease = Lease::new(pool.clone(), open, place.take());
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
                    let _ = timeout(FULL_PAUSE, pool.came_free.notified()).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn open_place(pool: &Inner) -> String {
    let newest = pool.newest.load(Ordering::Relaxed);
    pool.servers.hosts.get(newest).map_or_else(String::new, |host| host.place.clone())
}

/// Whether the server has no room for one more connection.
fn is_full(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code.starts_with("53"))
}

/// Whether an error on the way in is one that passes: the server is away, starting up, stopping or full.
/// A refusal (wrong password, no such database, TLS that fails) stays until somebody mends it.
pub(super) fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        // What TLS does not like of the other end comes as this kind.
        sqlx::Error::Io(error) => error.kind() != io::ErrorKind::InvalidData,
        sqlx::Error::Database(error) => code_may_pass(&error.code().unwrap_or_default()),
        _ => false,
    }
}

impl Inner {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Open>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_of_use(&self, open: &Open) -> bool {
        let age = open.since.elapsed();
        !self.retired.is(age) && age < LIFETIME_MAX && open.used.elapsed() < IDLE_MAX
    }

    fn take_idle(&self) -> Option<Open> {
        let mut idle = self.idle();
        while let Some(open) = idle.pop() {
            if self.is_of_use(&open) {
                return Some(open);
            }
        }
        None
    }

    fn keep(&self, mut open: Open) {
        if self.places.is_closed() || !self.is_of_use(&open) {
            return;
        }
        open.used = Instant::now();
        let mut idle = self.idle();
        idle.retain(|open| self.is_of_use(open));
        idle.push(open);
    }

    /// Connects to the first server that can be used, beginning with the one that could be last.
    async fn connect(&self, until: Instant) -> sqlx::Result<Open> {
        let hosts = &self.servers.hosts;
        let first = self.newest.load(Ordering::Relaxed);
        let mut failed: Option<sqlx::Error> = None;
        let mut only_read = Vec::new();
        for tried in 0..hosts.len() {
            let at = (first + tried) % hosts.len();
            let Some(host) = hosts.get(at) else { break };
            // What is left is shared by those that are left.
            let left = until.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(hosts.len() - tried).unwrap_or(1);
            match timeout(share, self.connect_to(host)).await {
                Ok(Ok(Some(connection))) => {
                    self.newest.store(at, Ordering::Relaxed);
                    let now = Instant::now();
                    return Ok(Open { connection, since: now, used: now });
                }
                Ok(Ok(None)) => only_read.push(host.place.clone()),
                // What may pass is worth waiting for, whatever another has said.
                Ok(Err(error)) if failed.as_ref().is_some_and(may_pass) => {
                    tracing::debug!(place = host.place, "another server cannot be used either: {error}");
                }
                Ok(Err(error)) => failed = Some(error),
                Err(_) => {
                    failed = Some(NoConnection::Silent { place: host.place.clone(), waited: share }.into())
                }
            }
        }
        Err(match failed {
            Some(error) => error,
            None => NoConnection::OnlyReads { places: only_read.join(", ") }.into(),
        })
    }

    /// A connection; `None` when the server does not take the writes that are needed.
    async fn connect_to(&self, host: &Host) -> sqlx::Result<Option<PgConnection>> {
        let mut connection = host.options.connect().await?;
        if self.servers.needs_writes {
            let row = sqlx::raw_sql("SHOW transaction_read_only").fetch_one(&mut connection).await?;
            if row.try_get::<String, _>(0)? == "on" {
                return Ok(None);
            }
        }
        Ok(Some(connection))
    }
}

/// A connection in use. Dropped in the middle of something, it is brought to an end beside the requests.
struct Lease {
    pool: Arc<Inner>,
    open: Option<Open>,
    place: Option<OwnedSemaphorePermit>,
    /// Whether a transaction may have begun that has not ended.
    is_inside: bool,
}

impl Lease {
    fn new(pool: Arc<Inner>, open: Open, place: Option<OwnedSemaphorePermit>) -> Self {
        Self { pool, open: Some(open), place, is_inside: false }
    }

    /// The connection, as long as it has not been given back.
    fn connection(&mut self) -> sqlx::Result<&mut PgConnection> {
        self.open.as_mut().map(|open| &mut open.connection).ok_or(sqlx::Error::PoolClosed)
    }

    async fn begin(&mut self, begin: &str) -> sqlx::Result<()> {
        self.is_inside = true;
        sqlx::raw_sql(AssertSqlSafe(begin)).execute(self.connection()?).await.map(drop)
    }

    async fn commit(mut self) -> sqlx::Result<()> {
        // Whatever becomes of it, the transaction is over.
        self.is_inside = false;
        sqlx::raw_sql("COMMIT").execute(self.connection()?).await?;
        self.give_back();
        Ok(())
    }

    fn give_back(mut self) {
        if let Some(open) = self.open.take() {
            self.pool.keep(open);
        }
        drop(self.place.take());
        self.pool.came_free.notify_one();
    }

    /// Closes the connection without a word; its place stays taken.
    fn discard(mut self) -> Option<OwnedSemaphorePermit> {
        self.open = None;
        self.place.take()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        let (pool, place, is_inside) = (self.pool.clone(), self.place.take(), self.is_inside);
        let Ok(runtime) = Handle::try_current() else { return };
        // The server may still be at a statement whose answer nobody waits for any more. A host that vanished
        // without a word would keep the place for a quarter of an hour (TCP retransmission).
        runtime.spawn(async move {
            if !pool.retired.is(open.since.elapsed()) {
                let end = async {
                    match is_inside {
                        true => sqlx::raw_sql("ROLLBACK").execute(&mut open.connection).await.map(drop),
                        false => open.connection.ping().await,
                    }
                };
                if let Ok(Ok(())) = timeout(pool.options.statement_timeout, end).await {
                    pool.keep(open);
                }
            }
            drop(place);
            pool.came_free.notify_one();
        });
    }
}

/// A transaction. Dropped before [`commit`](Self::commit), it is rolled back.
pub(in crate::store::sql) struct Transaction {
    lease: Lease,
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

/// What statements are run over, by the name that the driver's own transactions have for it.
impl AsMut<Self> for Transaction {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

impl Transaction {
    /// Makes what was done last.
    pub(in crate::store::sql) async fn commit(self) -> sqlx::Result<()> {
        self.lease.commit().await
    }

    /// The connection that it is on.
    pub(super) fn connection(&mut self) -> sqlx::Result<&mut PgConnection> {
        self.lease.connection()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_opened_before_is_retired_and_what_comes_after_is_not() {
        let retired = Retired::default();
        let second = Duration::from_secs(1);
        assert!(!retired.is(second));
        tokio::time::advance(second).await;
        retired.all();
        tokio::time::advance(second).await;
        assert!(retired.is(second * 2) && retired.is(second + Duration::from_millis(1)));
        assert!(!retired.is(second / 2));
    }
}
