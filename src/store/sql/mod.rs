//! What lasts, in SQL: a folder per engine, with a file for each noun, and here what both need.
//!
//! The SQL sits in the method that runs it. A guarded write repeats its condition and answers with
//! `RETURNING`, and its rows are always fetched to the end: sqlx's `fetch_optional` hands out the
//! first row before the statement is over, so before the commit whose failure it would then hide.

mod audit_rows;
mod calls;
mod journal_rows;
mod migrations;
pub mod postgres;
mod rows;
pub mod sqlite;

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::error::StoreError;

/// How long an engine may take over a statement, its waiting for locks included. Every statement
/// touches one row or one page of rows by key, so this is some hundred times the usual.
const STATEMENT_TIMEOUT: Duration = Duration::from_millis(400);

/// What a call waits on top of the limits of the pool and of the engine. The engine gives up first,
/// so that the answer is known: cut off by us, a write may still happen.
const CALL_MARGIN: Duration = Duration::from_millis(150);

/// How long bringing the schema up to date may take, waiting for another replica that is at it
/// included. Rewriting a large table takes its time.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(300);

/// Why the database cannot be used. For the operator who starts hallpass: no text holds the URL or
/// a password.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL names no database that hallpass can use.
    #[error("the database URL is unusable: {0}")]
    Url(String),
    /// The file or its folder cannot be made.
    #[error("cannot create {}", path.display())]
    Create {
        /// The file or the folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Nothing answers, or it answers that we may not come in.
    #[error("cannot open the database at {place}")]
    Unreachable {
        /// File, or host, port and database.
        place: String,
        /// Whether that may be otherwise in a moment: the server is away, starting or full, and has not
        /// refused us.
        may_pass: bool,
        /// What the driver said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The schema is of a later hallpass than this one, which might not keep its rules.
    #[error("the database is newer than this hallpass: it has had step {0}, which is not known here")]
    Newer(i64),
    /// The role may not bring the schema up to date.
    #[error(
        "the database lacks {} and the role {role} may not take them: run `hallpass migrate` with the URL of a role \
         that owns the tables in `database.migrate_url` (or in `database.url`)", steps.join(", ")
    )]
    MayNotMigrate {
        /// The role.
        role: String,
        /// The names of the steps that are to be taken.
        steps: Vec<String>,
        /// What the server said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The role may not even see how the schema is.
    #[error("the role {role} may not read which steps the database has had (see `hallpass doctor`)")]
    MayNotLook {
        /// The role.
        role: String,
        /// What the server said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A step could not be taken. None is ever half taken.
    #[error("the database's schema cannot be brought up to date")]
    Migration(#[source] Box<dyn Error + Send + Sync>),
}

impl DatabaseError {
    /// Whether the database may be there in a moment.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { may_pass: true, .. })
    }
}

/// What the driver said, as text alone: the `Debug` output of a database's error can quote the row
/// that it is about, password hash included.
fn text_of(error: &(impl Error + ?Sized)) -> Box<dyn Error + Send + Sync> {
    error.to_string().into()
}

/// The same of the driver's own error; where that carries ours, as ours alone.
fn text_of_driver(error: &sqlx::Error) -> Box<dyn Error + Send + Sync> {
    if let sqlx::Error::Io(carrier) = error
        && let Some(own) = carrier.get_ref().and_then(|inner| inner.downcast_ref::<postgres::NoConnection>())
    {
        return text_of(own);
    }
    text_of(error)
}

/// The server answers, and takes no writes: a standby.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the server takes no writes")]
struct ReadOnly;

/// The database could not answer.
fn unavailable(error: &(impl Error + ?Sized)) -> StoreError {
    StoreError::Unavailable { store: "database", source: text_of(error) }
}

/// Why a call failed: the driver, or what it found.
enum Failure {
    Driver(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
