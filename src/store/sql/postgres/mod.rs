//! The repository on Postgres: for several replicas, or a database that is there already.

mod audit;
mod clients;
mod deployment;
mod journal;
mod repository;
mod signing_keys;

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::migrate::{Migrate, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};

use tokio::time::{Instant, timeout};

use super::calls::{Calls, Heard, Limit, Work};
use super::{CALL_MARGIN, DatabaseError, Failure, MIGRATION_TIMEOUT, STATEMENT_TIMEOUT, migrations, text_of};
use crate::store::StoreResult;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a connection of the pool may take to give a sign of life before it is used.
const PING_TIMEOUT: Duration = Duration::from_millis(150);

/// How long a connection at start may take: name lookup, TLS and a server that is far away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How the repository uses Postgres.
#[derive(Clone, Copy, Debug)]
pub struct PostgresOptions {
    /// The most connections at once; default 10.
    pub max_connections: u32,
    /// How long a call waits for a connection, making a new one included; default 400 ms. With what the
    /// statement may take, a call is over within a second.
    pub acquire_timeout: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { max_connections: 10, acquire_timeout: Duration::from_millis(400) }
    }
}

/// Accounts and signing keys in a Postgres database.
#[derive(Clone)]
pub struct PostgresRepository {
    place: String,
    pool: PgPool,
    retired: Retired,
    calls: Arc<Calls>,
    limit: Limit,
}

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

/// Not derived: the driver's options print the password.
impl fmt::Debug for PostgresRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresRepository").field("place", &self.place).finish_non_exhaustive()
    }
}

impl PostgresRepository {
    /// Connects to the database that `url` names (`postgres://user:password@host:port/database`,
    /// with libpq's `sslmode` and `sslrootcert` as parameters). The schema is for
    /// [`migrate`](Self::migrate) to bring up to date.
    ///
    /// # Errors
    /// [`DatabaseError::Url`], or [`DatabaseError::Unreachable`] when the database does not answer
    /// within 5 s or refuses the user.
    pub async fn connect(url: &str, options: PostgresOptions) -> Result<Self, DatabaseError> {
        let connect = parse(url)?;
        let place = place_of(&connect);
        // Not through the pool, which would say of every cause that it timed out.
        open(&connect, &place).await?.close().await.map_err(|error| unreachable_at(&place, &error))?;
        let retired = Retired::default();
        Ok(Self {
            place,
            pool: pool(connect, options, &retired),
            retired,
            calls: Arc::new(Calls::new()),
            limit: Limit::Fixed(options.acquire_timeout + STATEMENT_TIMEOUT + CALL_MARGIN),
        })
    }

    /// Brings the schema up to date and answers the names of the steps taken. Replicas that start
    /// at once take each step once.
    ///
    /// # Errors
    /// [`DatabaseError::Newer`], [`DatabaseError::Migration`] or [`DatabaseError::Unreachable`].
    /// The steps before the one that failed stay; that one and those after it are not taken.
    pub async fn migrate(&self) -> Result<Vec<String>, DatabaseError> {
        let migrating = async {
            // A connection of its own: the pool's are held to the statement timeout, and closing
            // it gives the lock back whatever happened.
            let mut connection = self.connection_of_its_own().await?;
            // An advisory lock, which sqlx takes again inside; a session may.
            connection.lock().await.map_err(migrations::failed)?;
            let taken = migrations::run(&MIGRATOR, &mut connection).await?;
            connection.close().await.map_err(|error| unreachable_at(&self.place, &error))?;
            Ok(taken)
        };
        timeout(MIGRATION_TIMEOUT, migrating)
            .await
            .unwrap_or_else(|elapsed| Err(DatabaseError::Migration(text_of(&elapsed))))
    }

    /// The names of the steps that [`migrate`](Self::migrate) would take. Changes nothing.
    ///
    /// # Errors
    /// [`DatabaseError::Newer`], and others when the database does not answer.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, DatabaseError> {
        let asking = async {
            let mut connection = self.connection_of_its_own().await?;
            let noted: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
                .fetch_one(&mut connection)
                .await
                .map_err(|error| unreachable_at(&self.place, &error))?;
            if noted {
                migrations::pending(&MIGRATOR, &mut connection).await
            } else {
                Ok(migrations::all(&MIGRATOR))
            }
        };
        timeout(CONNECT_TIMEOUT, asking).await.unwrap_or_else(|elapsed| Err(silent_at(&self.place, &elapsed)))
    }

    /// Closes the connections. Calls after this answer unavailable.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn connection_of_its_own(&self) -> Result<PgConnection, DatabaseError> {
        let mut connection = open(&self.pool.connect_options(), &self.place).await?;
        // Otherwise every start logs that the table of steps exists already.
        connection
            .execute("SET client_min_messages = warning")
            .await
            .map_err(|error| unreachable_at(&self.place, &error))?;
        Ok(connection)
    }

    /// A change of accounts; [`on`](Self::on) is for everything else.
    async fn within<T, E: Into<Failure>>(&self, call: impl Future<Output = Result<T, E>>) -> StoreResult<T> {
        self.on(Work::AccountWrites, call).await
    }

    /// A look at accounts.
    async fn reading<T, E: Into<Failure>>(&self, call: impl Future<Output = Result<T, E>>) -> StoreResult<T> {
        self.on(Work::AccountReads, call).await
    }

    async fn on<T, E: Into<Failure>>(
        &self,
        work: Work,
        call: impl Future<Output = Result<T, E>>,
    ) -> StoreResult<T> {
        self.calls.make(work, self.limit, |error| self.judge(error), call).await
    }

    /// What an error, or no answer at all, says about the server; connections that lead to one that is
    /// of no use are not used again.
    fn judge(&self, error: Option<&sqlx::Error>) -> Heard {
        match error.map_or(Verdict::Gone, verdict) {
            Verdict::Answer => Heard::Answer,
            Verdict::Hindered => Heard::Nothing,
            Verdict::Gone => {
                self.retired.all();
                Heard::Nothing
            }
        }
    }
}

/// What an error says about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is there and has answered.
    Answer,
    /// It is there, and cannot do this just now.
    Hindered,
    /// The connections that we have lead nowhere, or to the wrong server.
    Gone,
}

fn verdict(error: &sqlx::Error) -> Verdict {
    match error {
        sqlx::Error::Database(error) => verdict_of_code(&error.code().unwrap_or_default()),
        // All connections are in use, no new one could be made, or one has broken. Those that are there are
        // asked for a sign of life before they are used, and may be good: a name that cannot be resolved
        // just now is no reason to give them up.
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_) => Verdict::Hindered,
        _ => Verdict::Answer,
    }
}

/// By SQLSTATE (Postgres' manual, appendix A).
fn verdict_of_code(code: &str) -> Verdict {
    match code {
        // read_only_sql_transaction: the server is a standby, or was demoted; the primary is elsewhere.
        // It would say so on every connection for as long as that lives.
        "25006" => Verdict::Gone,
        // query_canceled, which is the statement timeout, and lock_not_available.
        "57014" | "55P03" => Verdict::Hindered,
        _ => match code.get(..2) {
            // Operator intervention: shut down (57P01), crashed (57P02), starting up (57P03), dropped (57P04).
            Some("57") => Verdict::Gone,
            // Connection exceptions (08); not let in any more (28, 3D), which says nothing of those who are
            // in; out of connections, memory or disk (53); an error of the system or the server's own (58,
            // XX).
            Some("08" | "28" | "3D" | "53" | "58" | "XX") => Verdict::Hindered,
            _ => Verdict::Answer,
        },
    }
}

/// Whether an error on the way in is one that passes: the server is away, starting up, stopping or full.
/// A refusal (wrong password, no such database, TLS that fails) stays until somebody mends it.
fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => code_may_pass(&error.code().unwrap_or_default()),
        _ => false,
    }
}

fn code_may_pass(code: &str) -> bool {
    matches!(code.get(..2), Some("53" | "57" | "08"))
}

/// Reads the URL strictly. The driver takes almost any text, and would make what stands behind an
/// unescaped `/` in a password the name of a database, which messages show.
fn parse(url: &str) -> Result<PgConnectOptions, DatabaseError> {
    let refused = |problem: &str| DatabaseError::Url(problem.to_owned());
    let rest = ["postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme))
        .ok_or_else(|| refused("it does not begin with postgres://"))?;
    let after_the_host = rest.find(['/', '?', '#']).map_or("", |end| &rest[end..]);
    if after_the_host.contains('@') {
        return Err(refused("an @ stands behind the host; write / ? # @ in a password as %2F %3F %23 %40"));
    }
    let options = PgConnectOptions::from_str(url).map_err(|error| refused(&error.to_string()))?;
    match options.get_application_name() {
        Some(_) => Ok(options),
        None => Ok(options.application_name("hallpass")),
    }
}

fn pool(connect: PgConnectOptions, options: PostgresOptions, retired: &Retired) -> PgPool {
    let (before, after) = (retired.clone(), retired.clone());
    PgPoolOptions::new()
        .max_connections(options.max_connections.max(1))
        .acquire_timeout(options.acquire_timeout)
        // A statement and not a start-up parameter, which PgBouncer refuses.
        .after_connect(|connection, _| {
            Box::pin(async move {
                let millis = STATEMENT_TIMEOUT.as_millis().to_string();
                sqlx::query("SELECT set_config('statement_timeout', $1, false)")
                    .bind(millis)
                    .execute(connection)
                    .await
                    .map(drop)
            })
        })
        // The driver's own test does not know of a limit, and a retired connection needs none.
        .test_before_acquire(false)
        .before_acquire(move |connection, at| {
            let retired = before.clone();
            Box::pin(async move {
                if retired.is(at.age) {
                    return Ok(false);
                }
                match timeout(PING_TIMEOUT, connection.ping()).await {
                    Ok(Ok(())) => Ok(true),
                    // Closed while it was idle: the others find out for themselves.
                    Ok(Err(_)) => Ok(false),
                    // A host that has vanished: each of them would be waited for.
                    Err(_) => {
                        retired.all();
                        Ok(false)
                    }
                }
            })
        })
        // A call that was cut off leaves its connection waiting for the answer. sqlx waits with it,
        // and a host that vanished without a word would keep the whole pool for a quarter of an
        // hour (TCP retransmission), long after its successor has taken over.
        .after_release(move |connection, at| {
            let retired = after.clone();
            Box::pin(async move {
                if retired.is(at.age) {
                    return Ok(false);
                }
                match timeout(STATEMENT_TIMEOUT, connection.ping()).await {
                    Ok(answer) => answer.map(|()| true),
                    Err(_) => Err(sqlx::Error::PoolTimedOut),
                }
            })
        })
        .connect_lazy_with(connect)
}

async fn open(options: &PgConnectOptions, place: &str) -> Result<PgConnection, DatabaseError> {
    match timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(answer) => answer.map_err(|error| unreachable_at(place, &error)),
        Err(elapsed) => Err(silent_at(place, &elapsed)),
    }
}

/// Where the database is, as far as an operator needs it: without user and password.
fn place_of(options: &PgConnectOptions) -> String {
    let host = match options.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    format!("{host}/{}", options.get_database().unwrap_or_else(|| options.get_username()))
}

fn unreachable_at(place: &str, error: &sqlx::Error) -> DatabaseError {
    let may_pass = may_pass(error);
    DatabaseError::Unreachable { place: place.to_owned(), may_pass, source: text_of(error) }
}

fn silent_at(place: &str, elapsed: &tokio::time::error::Elapsed) -> DatabaseError {
    DatabaseError::Unreachable { place: place.to_owned(), may_pass: true, source: text_of(elapsed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_says_whether_the_server_is_of_use() {
        for code in ["25006", "57P01", "57P02", "57P03", "57P04"] {
            assert_eq!(verdict_of_code(code), Verdict::Gone, "{code}");
        }
        for code in ["57014", "55P03", "53300", "53100", "08006", "28P01", "XX000"] {
            assert_eq!(verdict_of_code(code), Verdict::Hindered, "{code}");
        }
        for code in ["23505", "42703", "40001", "40P01", "22003", ""] {
            assert_eq!(verdict_of_code(code), Verdict::Answer, "{code}");
        }
    }

    #[test]
    fn a_server_that_starts_or_is_full_is_waited_for_and_one_that_refuses_us_is_not() {
        for code in ["57P03", "57P01", "53300", "08006"] {
            assert!(code_may_pass(code), "{code}");
        }
        for code in ["28P01", "28000", "3D000", "42501", ""] {
            assert!(!code_may_pass(code), "{code}");
        }
    }

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
