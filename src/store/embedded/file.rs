//! The file of the embedded store: made, locked, opened.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use sqlx::SqlitePool;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::fault::{LONGEST_WAIT, OPERATION_TIMEOUT};
use crate::store::sqlite_pool;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/embedded");

/// Enough to keep the cores busy; an access token is judged in some 0.02 ms.
const READERS: u32 = 4;

/// Why the embedded store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it. The embedded store is for one process: more than one share a Redis.
    #[error("the token store {} is in use by another process", path.display())]
    InUse {
        /// The store's file.
        path: PathBuf,
    },
    /// The folder, the file or its lock cannot be made.
    #[error("cannot make {}", path.display())]
    Create {
        /// What could not be made.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no database, or cannot be read or written.
    #[error("cannot open the token store {}", path.display())]
    Database {
        /// The store's file.
        path: PathBuf,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// The tables could not be brought up to date, or a newer hallpass has made them.
    #[error("cannot bring the tables of the token store {} up to date", path.display())]
    Migrate {
        /// The store's file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: MigrateError,
    },
}

/// The open file.
#[derive(Debug)]
pub(super) struct DataFile {
    /// The one connection that writes.
    pub(super) writer: SqlitePool,
    /// Connections that cannot write, so that reads do not queue behind the disk.
    pub(super) readers: SqlitePool,
    /// Keeps other processes out until it is dropped, or this process dies.
    _lock: File,
}

impl DataFile {
    pub(super) async fn open(path: &Path) -> Result<Self, OpenError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            create_folder(folder).map_err(|source| create_error(folder, source))?;
        }
        let lock = lock(path)?;
        // SQLite gives its side files the mode of the database.
        create_file(path).map_err(|source| create_error(path, source))?;

        let database_error = |source| OpenError::Database { path: path.to_owned(), source };
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(OPERATION_TIMEOUT);
        let writing = options
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            // NORMAL can lose the last commits in a power cut, and with them a revocation.
            .synchronous(SqliteSynchronous::Full);
        let writer = pool(1).connect_with(writing).await.map_err(database_error)?;
        MIGRATIONS
            .run(&writer)
            .await
            .map_err(|source| OpenError::Migrate { path: path.to_owned(), source })?;
        let readers = pool(READERS).connect_with(options.read_only(true)).await.map_err(database_error)?;
        Ok(Self { writer, readers, _lock: lock })
    }

    /// Closes all connections; the last one folds the write-ahead log into the file.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn pool(size: u32) -> SqlitePoolOptions {
    // Not the pool decides how long is too long.
    sqlite_pool::lasting().max_connections(size).acquire_timeout(LONGEST_WAIT * 2)
}

/// Holds the file of an embedded store without opening it, so that nobody else does.
#[derive(Debug)]
pub struct FileLock {
    _lock: File,
}

impl FileLock {
    /// Takes the file; it need not be there, and its folder is made.
    ///
    /// # Errors
    /// [`OpenError::InUse`], or [`OpenError::Create`].
    pub fn take(path: &Path) -> Result<Self, OpenError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            create_folder(folder).map_err(|source| create_error(folder, source))?;
        }
        Ok(Self { _lock: lock(path)? })
    }
}

/// The numbers of all steps of the schema that this version knows.
pub fn known_steps() -> Vec<i64> {
    MIGRATIONS.iter().map(|step| step.version).collect()
}

/// Takes the lock beside the file: a file of its own, because SQLite's locks are on the database.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut lock_path = OsString::from(path);
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let file = create_file(&lock_path).map_err(|source| create_error(&lock_path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(create_error(&lock_path, source)),
    }
}

fn create_error(path: &Path, source: io::Error) -> OpenError {
    OpenError::Create { path: path.to_owned(), source }
}

/// Makes the folder for its owner alone; one that is there stays as it is.
fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Opens the file for its owner alone, and makes it if it is not there.
fn create_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}
