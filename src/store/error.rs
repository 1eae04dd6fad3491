//! Why a store gives no answer.

use std::error::Error;

/// The store could not answer. Never a verdict about a token or a password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Out of reach, too slow, or full: the same call may succeed later.
    #[error("{store} is unavailable")]
    Unavailable {
        /// Which store: `database` or `token store`.
        store: &'static str,
        /// What the driver said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A revocation is decided and will be complete by itself, but is not yet: the token store has
    /// carried it out and the journal lacks its entry, or the other way round.
    #[error("the revocation is not complete yet")]
    RevocationPending(#[source] Box<StoreError>),
    /// Something is stored that means nothing.
    #[error("corrupt entry in {place} for {key}: {problem}")]
    Corrupt {
        /// Table and column, or kind of key.
        place: &'static str,
        /// Which entry; never a secret.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The result of asking a store.
pub type StoreResult<T> = Result<T, StoreError>;
