//! The repository on Postgres: for several replicas, or a database that is there already.

mod audit;
mod clients;
mod repository;
mod signing_keys;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{Migrate, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};

use super::{
    CALL_MARGIN, DatabaseError, Failure, MIGRATION_TIMEOUT, STATEMENT_TIMEOUT, migrations, text_of, within,
};
use crate::store::StoreResult;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a connection at start may take: name lookup, TLS and a server that is far away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How the repository uses Postgres.
#[derive(Clone, Copy, Debug)]
pub struct PostgresOptions {
    /// The most connections at once; default 10.
    pub max_connections: u32,
    /// How long a call waits for a connection, making a new one included; default 1 s.
    pub acquire_timeout: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { max_connections: 10, acquire_timeout: Duration::from_secs(1) }
    }
}

/// Accounts and signing keys in a Postgres database.
#[derive(Clone)]
pub struct PostgresRepository {
    place: String,
    pool: PgPool,
    call_timeout: Duration,
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
        Ok(Self {
            place,
            pool: pool(connect, options),
            call_timeout: options.acquire_timeout + STATEMENT_TIMEOUT + CALL_MARGIN,
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
        tokio::time::timeout(MIGRATION_TIMEOUT, migrating)
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
        tokio::time::timeout(CONNECT_TIMEOUT, asking)
            .await
            .unwrap_or_else(|elapsed| Err(unreachable_at(&self.place, &elapsed)))
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

    async fn within<T, E: Into<Failure>>(&self, call: impl Future<Output = Result<T, E>>) -> StoreResult<T> {
        within(self.call_timeout, call).await
    }
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

fn pool(connect: PgConnectOptions, options: PostgresOptions) -> PgPool {
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
        // A call that was cut off leaves its connection waiting for the answer. sqlx waits with it,
        // and a host that vanished without a word would keep the whole pool for a quarter of an
        // hour (TCP retransmission), long after its successor has taken over.
        .after_release(|connection, _| {
            Box::pin(async move {
                match tokio::time::timeout(STATEMENT_TIMEOUT, connection.ping()).await {
                    Ok(answer) => answer.map(|()| true),
                    Err(_) => Err(sqlx::Error::PoolTimedOut),
                }
            })
        })
        .connect_lazy_with(connect)
}

async fn open(options: &PgConnectOptions, place: &str) -> Result<PgConnection, DatabaseError> {
    match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(answer) => answer.map_err(|error| unreachable_at(place, &error)),
        Err(elapsed) => Err(unreachable_at(place, &elapsed)),
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

fn unreachable_at(place: &str, error: &(impl std::error::Error + ?Sized)) -> DatabaseError {
    DatabaseError::Unreachable { place: place.to_owned(), source: text_of(error) }
}
