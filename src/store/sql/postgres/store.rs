//! The store in one Postgres database, and how it is asked.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;

use super::options::PostgresOptions;
use super::pool::{Host, Pool, Servers, Transaction, may_pass};
use super::verdict::{Verdict, verdict};
use crate::domain::postgres_url::PostgresUrl;
use crate::metrics::PoolUse;
use crate::store::error::StoreResult;
use crate::store::pools::Pooled;
use crate::store::sql::calls::{CALL_MARGIN, Calls, Heard, Limit, Work};
use crate::store::sql::error::DatabaseError;
use crate::store::sql::failure::{Failure, text_of_driver};
use crate::store::sql::migrations::MIGRATION_TIMEOUT;

/// What changes of accounts that need the whole table in view lock: "hpuser" in ASCII.
const ACCOUNTS_LOCK: i64 = 0x6870_7573_6572;

/// What changes of the ring that need all of it in view lock: "hpkeys" in ASCII.
const RING_LOCK: i64 = 0x6870_6b65_7973;

/// Accounts and signing keys in a Postgres database.
#[derive(Clone)]
pub struct PostgresStore {
    pub(super) place: String,
    /// The role of the URL.
    pub(super) role: String,
    pub(super) schema: Option<String>,
    pub(super) pool: Pool,
    pub(super) calls: Arc<Calls>,
    pub(super) limit: Limit,
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
    pub(in crate::store::sql) async fn within<T, E: Into<Failure>>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> StoreResult<T> {
        self.on(Work::AccountWrites, call).await
    }

    /// A look at accounts.
    pub(in crate::store::sql) async fn reading<T, E: Into<Failure>>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> StoreResult<T> {
        self.on(Work::AccountReads, call).await
    }

    pub(in crate::store::sql) async fn on<T, E: Into<Failure>>(
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

    /// Begins a change that is decided by what is there: changes of this kind come one after the
    /// other, or two administrators could demote each other at once. The last statement of the change gives a
    /// position in the journal, and others of the partition wait for its commit: a replica that is paused
    /// before that is not waited for long (`idle_in_transaction_session_timeout`).
    pub(in crate::store::sql) async fn begin_change(&self) -> sqlx::Result<Transaction> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(ACCOUNTS_LOCK).execute(&mut transaction).await?;
        Ok(transaction)
    }

    /// Begins a change that is decided by what is there: changes of this kind come one after the other.
    pub(in crate::store::sql) async fn begin_ring_change(&self) -> sqlx::Result<Transaction> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(RING_LOCK).execute(&mut transaction).await?;
        Ok(transaction)
    }

    /// Begins a change that nothing has to be looked at for.
    pub(in crate::store::sql) async fn begin_write(&self) -> sqlx::Result<Transaction> {
        self.pool.begin().await
    }

    /// What reads.
    pub(in crate::store::sql) fn reader(&self) -> &Pool {
        &self.pool
    }

    /// What writes.
    pub(in crate::store::sql) fn writer(&self) -> &Pool {
        &self.pool
    }
}

impl Pooled for PostgresStore {
    fn pools(&self) -> Vec<PoolUse> {
        vec![self.pool.use_of()]
    }
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

pub(super) fn unreachable_at(place: &str, error: &sqlx::Error) -> DatabaseError {
    let may_pass = may_pass(error);
    DatabaseError::Unreachable { place: place.to_owned(), may_pass, source: text_of_driver(error) }
}
