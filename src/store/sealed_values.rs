//! Values that all replicas share and nobody else may know, in SQL.

use async_trait::async_trait;

use super::error::StoreResult;
use crate::domain::sealed_value::{SealedBytes, SealedValue};

/// What keeps them, encrypted.
#[async_trait]
pub trait SealedValueStore: Send + Sync + 'static {
    /// All of them, by name.
    async fn list_sealed_values(&self) -> StoreResult<Vec<SealedValue>>;

    /// The value of that name, which is `candidate` where there was none: replicas that ask at once are all
    /// answered the same.
    async fn sealed_value(&self, candidate: &SealedValue) -> StoreResult<SealedValue>;

    /// Puts `new` in the place of the value of that name; `false`, and nothing is done, where that is not
    /// `before` any more.
    async fn replace_sealed_value(&self, before: &SealedBytes, new: &SealedValue) -> StoreResult<bool>;
}
