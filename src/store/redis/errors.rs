//! What went wrong with Redis, as the callers hear it.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::codec::Entry;
use crate::store::error::StoreError;
use crate::store::vouching::BackendError;

/// Why an operation has no result.
#[derive(Debug)]
pub(super) enum CallError {
    /// Redis is away, too slow, full, or refuses to serve.
    Unavailable(StoreError),
    /// One of the keys is of another type than ours are.
    WrongType,
    /// Another server answers than was asked, or one with another history.
    Unvouched,
}

impl CallError {
    /// What the driver's error is to the caller.
    pub(super) fn of(error: RedisError) -> Self {
        if is_wrong_type(&error) { Self::WrongType } else { unavailable(error) }
    }
}

/// What a failed call is to the caller: never a verdict about a token.
pub(super) fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> CallError {
    CallError::Unavailable(StoreError::Unavailable { store: "token store", source: Box::new(error) })
}

/// Redis 6 wraps what a script ran into, and a pipeline's error has no code: only the text tells.
fn is_wrong_type(error: &RedisError) -> bool {
    error.to_string().contains("WRONGTYPE")
}

/// What a failed call is to the caller; `entry` is what it was about.
pub(super) fn backend_error(entry: Entry<'_>, error: CallError) -> BackendError {
    match error {
        CallError::Unvouched => BackendError::Unvouched,
        error => store_error(entry, error).into(),
    }
}

/// The same where it does not matter which server answers.
pub(super) fn store_error(entry: Entry<'_>, error: CallError) -> StoreError {
    match error {
        CallError::Unavailable(error) => error,
        CallError::Unvouched => entry.corrupt("another server answers than was asked"),
        CallError::WrongType => entry.corrupt("it or a key beside it is of another type than ours"),
    }
}

/// Whether a command failed because this client or this service may not use it.
pub(super) fn is_forbidden(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError))
}
