//! Why a call came to no answer: never the row that it is about, whose text may hold a password hash.

use std::error::Error;
use std::io;
use std::time::Duration;

use crate::store::error::StoreError;

/// Why a call failed: the driver, or what it found.
pub(super) enum Failure {
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

/// What the driver said, as text alone: the `Debug` output of a database's error can quote the row
/// that it is about, password hash included.
pub(super) fn text_of(error: &(impl Error + ?Sized)) -> Box<dyn Error + Send + Sync> {
    error.to_string().into()
}

/// The same of the driver's own error; where that carries ours, as ours alone.
pub(super) fn text_of_driver(error: &sqlx::Error) -> Box<dyn Error + Send + Sync> {
    if let sqlx::Error::Io(carrier) = error
        && let Some(own) = carrier.get_ref().and_then(|inner| inner.downcast_ref::<NoConnection>())
    {
        return text_of(own);
    }
    text_of(error)
}

/// Why there is no connection. It travels as an [`io::Error`] in the driver's type, and its text is all that
/// is shown of that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoConnection {
    /// All that we may have are in use.
    #[error(
        "all {max} connections are in use, and none came free within {waited:?} (database.max_connections)"
    )]
    AllInUse {
        /// The most there may be.
        max: u32,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The server did not answer in time.
    #[error("no answer from {place} within {waited:?}")]
    Silent {
        /// Which server.
        place: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// None of the servers takes writes.
    #[error("no server that takes writes: {places} only read")]
    OnlyReads {
        /// Which servers.
        places: String,
    },
}

impl From<NoConnection> for sqlx::Error {
    fn from(error: NoConnection) -> Self {
        let kind = match error {
            NoConnection::Silent { .. } => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        Self::Io(io::Error::new(kind, error))
    }
}

/// The server answers, and takes no writes: a standby.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the server takes no writes")]
pub(super) struct ReadOnly;

/// The database could not answer.
pub(super) fn unavailable(error: &(impl Error + ?Sized)) -> StoreError {
    StoreError::Unavailable { store: "database", source: text_of(error) }
}
