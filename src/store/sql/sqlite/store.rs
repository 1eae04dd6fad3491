//! The store in one SQLite file, and how it is asked.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Sqlite, Transaction};

use crate::metrics::{Pool, PoolUse};
use crate::store::error::StoreResult;
use crate::store::pools::Pooled;
use crate::store::sql::calls::{Calls, Heard, Limit, STATEMENT_TIMEOUT, Work};
use crate::store::sql::error::DatabaseError;
use crate::store::sql::failure::{Failure, text_of};
use crate::store::sqlite_pool;

/// How long opening waits for another process that is just creating the same file.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// How the store uses SQLite.
///
/// A file does not go away as a server does. Who waits for it waits for those before them in line, for
/// the processor and for the disk, and all of these take longer on a busy machine without anything
/// being wrong. So a call is given up when the line stands still, not when it is long.
#[derive(Clone, Copy, Debug)]
pub struct SqliteOptions {
    /// How many connections read at once; default 4.
    pub readers: u32,
    /// How long the line of readers may stand still; default 2 s. Nothing but the disk can hold it up.
    pub quiet_reads: Duration,
    /// How long the line of writers may stand still; default 900 ms. Another process that writes holds
    /// it up.
    pub quiet_writes: Duration,
    /// How long a call waits in a line that moves; default 5 s.
    pub longest_wait: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            readers: 4,
            quiet_reads: Duration::from_secs(2),
            quiet_writes: Duration::from_millis(900),
            longest_wait: Duration::from_secs(5),
        }
    }
}

/// Accounts and signing keys in a SQLite file.
///
/// One connection writes and a few read. SQLite has one writer at a time anyway: with a single
/// writing connection the writers of this process queue in the pool, first come first served,
/// where they would otherwise sleep and poll inside SQLite; and in WAL mode readers wait for none
/// of them. Only another process (the command line) can make the writer wait.
#[derive(Clone)]
pub struct SqliteStore {
    pub(super) path: PathBuf,
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
    pub(super) calls: Arc<Calls>,
    pub(super) options: SqliteOptions,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the file that `url` names (`sqlite://path`, or the path alone), and makes it and its
    /// folder where they are not there: open to the owner alone (0600 and 0700). The schema is for
    /// [`migrate`](Self::migrate) to bring up to date.
    ///
    /// Commits are on disk when they are acknowledged (WAL, `synchronous = FULL`).
    ///
    /// # Errors
    /// [`DatabaseError`] when the URL names no file, or the file cannot be made or opened or is no
    /// database.
    pub async fn connect(url: &str, options: SqliteOptions) -> Result<Self, DatabaseError> {
        let base = parse(url)?;
        let path = base.get_filename().to_owned();
        create_file(&path).await?;
        switch_to_wal(&base).await.map_err(|error| unreachable_file(&path, &error))?;

        let pool = |connections, connect: SqliteConnectOptions| {
            sqlite_pool::lasting()
                .max_connections(u32::max(connections, 1))
                // Not the pool decides how long is too long.
                .acquire_timeout(options.longest_wait * 2)
                .connect_lazy_with(connect)
        };
        Ok(Self {
            writer: pool(1, base.clone()),
            readers: pool(options.readers, base.pragma("query_only", "ON")),
            path,
            calls: Arc::new(Calls::new()),
            options,
        })
    }

    /// Closes the connections, and with the last one SQLite folds the WAL into the file. Calls
    /// after this answer unavailable.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
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

    /// Begins a change that is decided by what is there: nobody else writes until it is over.
    pub(in crate::store::sql) async fn begin_change(&self) -> sqlx::Result<Transaction<'_, Sqlite>> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// The same for the key ring.
    pub(in crate::store::sql) async fn begin_ring_change(&self) -> sqlx::Result<Transaction<'_, Sqlite>> {
        self.begin_change().await
    }

    /// The same where nothing has to be looked at.
    pub(in crate::store::sql) async fn begin_write(&self) -> sqlx::Result<Transaction<'_, Sqlite>> {
        self.begin_change().await
    }

    /// What reads.
    pub(in crate::store::sql) fn reader(&self) -> &SqlitePool {
        &self.readers
    }

    /// What writes.
    pub(in crate::store::sql) fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    pub(in crate::store::sql) async fn on<T, E: Into<Failure>>(
        &self,
        work: Work,
        call: impl Future<Output = Result<T, E>>,
    ) -> StoreResult<T> {
        let SqliteOptions { quiet_reads, quiet_writes, longest_wait: longest, .. } = self.options;
        let quiet = match work {
            Work::Probe
            | Work::AccountReads
            | Work::KeyReads
            | Work::ClientReads
            | Work::AuditReads
            | Work::JournalReads => quiet_reads,
            Work::AccountWrites
            | Work::KeyWrites
            | Work::ClientWrites
            | Work::AuditWrites
            | Work::JournalWrites => quiet_writes,
        };
        self.calls.make(work, Limit::WhileItMoves { quiet, longest }, judge, call).await
    }
}

impl Pooled for SqliteStore {
    fn pools(&self) -> Vec<PoolUse> {
        let of = sqlite_pool::use_of;
        vec![of(Pool::Database, &self.readers), of(Pool::DatabaseWriter, &self.writer)]
    }
}

/// What an error, or no answer at all, says about the file.
fn judge(error: Option<&sqlx::Error>) -> Heard {
    match error {
        Some(sqlx::Error::Database(_)) if error.is_none_or(|error| !is_busy(error)) => Heard::Answer,
        Some(sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. }) => Heard::Answer,
        _ => Heard::Nothing,
    }
}

/// The file that a URL names.
///
/// # Errors
/// [`DatabaseError::Url`] when it names none.
pub fn file_of(url: &str) -> Result<PathBuf, DatabaseError> {
    Ok(parse(url)?.get_filename().to_owned())
}

/// The settings that every connection has. An in-memory database is refused: each connection
/// would have one of its own, and nothing in it lasts.
fn parse(url: &str) -> Result<SqliteConnectOptions, DatabaseError> {
    let options =
        SqliteConnectOptions::from_str(url).map_err(|error| DatabaseError::Url(error.to_string()))?;
    let in_memory = url.contains(":memory:") || url.contains("mode=memory");
    if in_memory || options.get_filename().as_os_str().is_empty() {
        return Err(DatabaseError::Url("it names no file".to_owned()));
    }
    Ok(options
        .create_if_missing(true)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(STATEMENT_TIMEOUT))
}

/// Makes the file before SQLite does, which would make it readable to all; its `-wal` and `-shm`
/// take over the mode. A file that exists keeps its own.
async fn create_file(path: &Path) -> Result<(), DatabaseError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| DatabaseError::Create { path, source }
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut builder = tokio::fs::DirBuilder::new();
        #[cfg(unix)]
        builder.mode(0o700);
        builder.recursive(true).create(folder).await.map_err(failed(folder))?;
    }
    let mut file = tokio::fs::OpenOptions::new();
    #[cfg(unix)]
    file.mode(0o600);
    file.create(true).append(true).open(path).await.map(drop).map_err(failed(path))
}

/// Puts the file into WAL mode, where it stays.
///
/// On a fresh file this takes an exclusive lock that SQLite does not wait for, so of several
/// processes that start at once all but one get "busy" and try again.
async fn switch_to_wal(options: &SqliteConnectOptions) -> sqlx::Result<()> {
    let options = options.clone().journal_mode(SqliteJournalMode::Wal);
    let deadline = tokio::time::Instant::now() + OPEN_TIMEOUT;
    loop {
        match options.connect().await {
            Ok(connection) => return connection.close().await,
            Err(error) if is_busy(&error) && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether another connection has the lock: SQLITE_BUSY, the low byte of the extended code.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    const SQLITE_BUSY: i32 = 5;
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
    code.is_some_and(|code| code & 0xff == SQLITE_BUSY)
}

pub(super) fn unreachable_file(path: &Path, error: &sqlx::Error) -> DatabaseError {
    DatabaseError::Unreachable { place: path.display().to_string(), may_pass: false, source: text_of(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_connection_is_durable_and_bounded_and_readers_only_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("hallpass.db");
        let url = path.to_str().expect("a UTF-8 path");
        let users = SqliteStore::connect(url, SqliteOptions::default()).await.expect("a new file");
        const FULL: i64 = 2;
        for (pool, query_only) in [(&users.writer, 0), (&users.readers, 1)] {
            for (pragma, value) in [
                ("PRAGMA synchronous", FULL),
                ("PRAGMA foreign_keys", 1),
                ("PRAGMA busy_timeout", 400),
                ("PRAGMA query_only", query_only),
            ] {
                let set: i64 = sqlx::query_scalar(pragma).fetch_one(pool).await.expect("a value");
                assert_eq!(set, value, "{pragma}");
            }
            let mode: String =
                sqlx::query_scalar("PRAGMA journal_mode").fetch_one(pool).await.expect("a mode");
            assert_eq!(mode, "wal");
        }
    }
}
