//! The key ring as it is kept: every replica follows it, and any of them may take the step that is
//! due.

use async_trait::async_trait;

use super::error::StoreResult;
use crate::domain::clock::Timestamp;
use crate::domain::ids::KeyId;
use crate::domain::signing_key::{RingKey, SealedKey, StoredSigningKey};

/// What must hold for a next key to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddNext {
    /// There is no other next key of its algorithm: replicas that each make one add one.
    IfNone,
    /// Nothing: somebody asked for it.
    Anyway,
}

/// The key ring, in SQL.
///
/// Each change repeats its condition, and answers whether it was made: of replicas that take the
/// same step at once exactly one takes it. One key at the most is active.
#[async_trait]
pub trait SigningKeyStore: Send + Sync + 'static {
    /// All keys, oldest first, those that are retired or revoked included.
    async fn list_signing_keys(&self) -> StoreResult<Vec<RingKey>>;

    /// Adds a key that signs since it was made, unless there is one that signs or is to.
    async fn insert_first_signing_key(&self, key: &StoredSigningKey) -> StoreResult<bool>;

    /// Adds a next key, unless it is there already, whatever its state.
    async fn insert_next_signing_key(&self, key: &StoredSigningKey, condition: AddNext) -> StoreResult<bool>;

    /// Lets a next key sign from `now` on, if the key that signs is still `instead_of`; that one is
    /// retiring from then on.
    async fn promote_signing_key(
        &self,
        next: &KeyId,
        instead_of: Option<&KeyId>,
        now: Timestamp,
    ) -> StoreResult<bool>;

    /// Retires a next or a retiring key.
    async fn retire_signing_key(&self, key: &KeyId, now: Timestamp) -> StoreResult<bool>;

    /// Revokes a key in whatever state; `false` where it is revoked already, or is not there. The row
    /// stays for good, so that the key never comes back.
    async fn revoke_signing_key(&self, key: &KeyId, now: Timestamp) -> StoreResult<bool>;

    /// Notes that the revocation feed was told at `now` of the revocation of a key.
    async fn note_signing_key_announced(&self, key: &KeyId, now: Timestamp) -> StoreResult<()>;

    /// Keeps a key, whatever its state, as it is encrypted anew; `false`, and nothing is done, where it is not
    /// as `before` any more.
    async fn replace_sealed_key(&self, key: &KeyId, before: &SealedKey, new: &SealedKey)
    -> StoreResult<bool>;

    /// Deletes a retired key.
    async fn forget_signing_key(&self, key: &KeyId) -> StoreResult<bool>;
}
