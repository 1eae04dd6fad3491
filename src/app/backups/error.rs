//! Why there is no backup, or nothing was restored.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::app::StartError;
use crate::store::StoreError;
use crate::store::sql::DatabaseError;

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Postgres is copied by its own programs.
    #[error(
        "the database is Postgres, which has its own backups: run `pg_dump --format=custom --file={} \"$DATABASE_URL\"` \
         (without what is hallpass' own in that URL, such as `schema`)", file.display()
    )]
    MakeByPostgres {
        /// Where the backup was to be.
        file: PathBuf,
    },
    /// The same the other way.
    #[error(
        "the database is Postgres, which has its own backups: stop the service, run `pg_restore --clean --if-exists \
         --dbname=\"$DATABASE_URL\" {}`, and then `hallpass restore --in-place`", file.display()
    )]
    RestoreByPostgres {
        /// The backup.
        file: PathBuf,
    },
    /// A file is there already, and was not to be replaced.
    #[error("{} is there already: --force replaces it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing to make a backup of, or that was restored.
    #[error("there is no {}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The secret is in no file of ours.
    #[error("there is no {}: the secret is in the settings, which are in no backup", path.display())]
    NoSecretFile {
        /// The file.
        path: PathBuf,
    },
    /// The service runs.
    #[error("{} is in use by another process: stop the service first", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else, or not all of it is there.
    #[error("{} is no backup of hallpass, or not all of one", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was found.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The backup is of a later version than this one, which might not keep its rules.
    #[error(
        "the backup was made by hallpass {version}, and this is {}: {what} is not known here", env!("CARGO_PKG_VERSION")
    )]
    Later {
        /// Which version made it.
        version: String,
        /// What is not known.
        what: String,
    },
    /// A file cannot be read, written or moved.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The token store cannot be used.
    #[error(transparent)]
    TokenStore(#[from] StartError),
    /// What was restored is in its place, but not everybody has to log in again yet.
    #[error("it was cut off, and not everybody has to log in again: run the same command once more")]
    Unfinished(#[source] StoreError),
}
