//! Why an operation came to no answer, and for how long it may go without.

use std::time::Duration;

use crate::store::error::StoreError;
use crate::store::patience;
use crate::store::patience::Line;
use crate::store::vouching::BackendError;

/// How long no operation may be answered. A disk that is slower than this answers
/// [`StoreError::Unavailable`] instead of piling up requests.
pub(super) const OPERATION_TIMEOUT: Duration = Duration::from_secs(2);

/// How long one operation may take while others are answered, waiting for its turn included.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Why an operation came to no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Driver(#[from] sqlx::Error),
    #[error("no answer within {} ms", OPERATION_TIMEOUT.as_millis())]
    TooSlow,
    #[error("{problem}")]
    Corrupt { place: &'static str, key: String, problem: String },
    #[error("the data is not what was vouched for")]
    Unvouched,
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Corrupt { place, key, problem } => Self::Corrupt { place, key, problem },
            Fault::Driver(_) | Fault::TooSlow | Fault::Unvouched => {
                Self::Unavailable { store: "token store", source: Box::new(fault) }
            }
        }
    }
}

impl From<Fault> for BackendError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unvouched => Self::Unvouched,
            fault => Self::Store(fault.into()),
        }
    }
}

/// Runs an operation, for as long as operations are answered at all: a busy machine makes long lines,
/// and only a line that stands still has something that holds it up. One that is given up is rolled
/// back, unless its commit was under way.
pub(super) async fn bounded<T>(operation: impl Future<Output = Result<T, Fault>> + Send) -> Result<T, Fault> {
    /// A process has one such store.
    static LINE: Line = Line::new();
    let answer = patience::while_it_moves(&LINE, OPERATION_TIMEOUT, LONGEST_WAIT, operation).await;
    if matches!(answer, Ok(Ok(_) | Err(Fault::Corrupt { .. } | Fault::Unvouched))) {
        LINE.moves();
    }
    answer.unwrap_or(Err(Fault::TooSlow))
}
