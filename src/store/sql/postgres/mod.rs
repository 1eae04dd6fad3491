//! What lasts, on Postgres: for several replicas, or a database that is there already.

mod audit;
mod clients;
mod deployment;
mod executor;
mod journal;
mod migration;
mod pool;
mod rights;
mod signing_keys;
mod users;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

use self::pool::{Host, Pool, Servers, may_pass};
use super::calls::{Calls, Heard, Limit, Work};
use super::{CALL_MARGIN, DatabaseError, Failure, MIGRATION_TIMEOUT, STATEMENT_TIMEOUT, text_of_driver};
use crate::domain::postgres_url::PostgresUrl;
use crate::store::error::StoreResult;

pub(in crate::store::sql) use self::pool::NoConnection;
pub use self::rights::Lack;

/// How the store uses Postgres.
#[derive(Clone, Copy, Debug)]
pub struct PostgresOptions {
    /// The most connections at once; default 10.
    pub max_connections: u32,
    /// How long a call waits for a connection, making a new one included; default 400 ms. With what the
    /// statement may take, a call is over within a second.
    pub acquire_timeout: Duration,
    /// How long a statement may take, its waiting for locks included; default 400 ms.
    pub statement_timeout: Duration,
    /// How long a connection at start may take: name lookup, TLS and a server that is far away; default 5 s.
    pub connect_timeout: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            max_connections: 10,
            acquire_timeout: Duration::from_millis(400),
            statement_timeout: STATEMENT_TIMEOUT,
            connect_timeout: Duration::from_secs(5),
        }
    }
}

/// Accounts and signing keys in a Postgres database.
#[derive(Clone)]
pub struct PostgresStore {
    place: String,
    /// The role of the URL.
    role: String,
    schema: Option<String>,
    pool: Pool,
    calls: Arc<Calls>,
    limit: Limit,
}

/// Not derived: the driver's options print the password.
impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("place", &self.place).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Connects to the database that `url` names (`postgres://user:password@host:port/database`, with
    /// several hosts where there are commas between, libpq's `sslmode`, `sslrootcert` and
    /// `target_session_attrs`, and `schema` as parameters). The schema is for [`migrate`](Self::migrate) to
    /// bring up to date.
    ///
    /// # Errors
    /// [`DatabaseError::Url`], or [`DatabaseError::Unreachable`] when the database does not answer
    /// within `connect_timeout` or refuses the user.
    pub async fn connect(url: &str, options: PostgresOptions) -> Result<Self, DatabaseError> {
        let url = PostgresUrl::parse(url).map_err(|error| DatabaseError::Url(error.to_string()))?;
        let servers = servers(&url)?;
        let role =
            servers.hosts.first().map_or_else(String::new, |host| host.options.get_username().to_owned());
        let place = servers.hosts.iter().map(|host| &*host.place).collect::<Vec<_>>().join(", ");
        let pool = Pool::new(servers, url.schema(), options, MIGRATION_TIMEOUT);
        pool.open_first().await.map_err(|error| unreachable_at(&place, &error))?;
        Ok(Self {
            place,
            role,
            schema: url.schema().map(str::to_owned),
            pool,
            calls: Arc::new(Calls::new()),
            limit: Limit::Fixed(options.acquire_timeout + options.statement_timeout + CALL_MARGIN),
        })
    }

    /// Closes the connections. Calls after this answer unavailable.
    pub async fn close(&self) {
        self.pool.close().await;
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
                self.pool.retire_all();
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

fn code_may_pass(code: &str) -> bool {
    matches!(code.get(..2), Some("53" | "57" | "08"))
}

/// Reads the URL strictly. The driver takes almost any text, and would make what stands behind an
/// unescaped `/` in a password the name of a database, which messages show.
fn servers(url: &PostgresUrl) -> Result<Servers, DatabaseError> {
    let hosts = url.hosts().iter().map(|url| {
        let options =
            PgConnectOptions::from_str(url).map_err(|error| DatabaseError::Url(error.to_string()))?;
        // PgBouncer refuses a start-up parameter that it does not know, and nothing here is a float.
        let options = options.extra_float_digits(None);
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("hallpass"),
        };
        Ok(Host { place: place_of(&options), options })
    });
    Ok(Servers { hosts: hosts.collect::<Result<_, DatabaseError>>()?, needs_writes: url.needs_writes() })
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
    DatabaseError::Unreachable { place: place.to_owned(), may_pass, source: text_of_driver(error) }
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
}
