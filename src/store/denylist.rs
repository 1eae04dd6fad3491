//! The denylist: whether an access token still stands.

use std::time::Duration;

use async_trait::async_trait;

use super::error::StoreResult;
use super::unreachable::engine_trait;
use super::vouching::{BackendResult, Vouched};
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::partition::Partition;

/// What an access token names that a revocation could concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessSubject {
    /// Claim `sub`.
    pub user: UserId,
    /// Claim `sid`.
    pub session: SessionId,
    /// Claim `jti`.
    pub token: Jti,
    /// Claim `inc`: in which incarnation of the user's partition it was minted.
    pub incarnation: i64,
}

/// Whether an access token still stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessStatus {
    /// Nothing speaks against it.
    Live,
    /// Revoked: by itself, with its session, or with all of the user's.
    Revoked,
    /// The store has lost its data since the token was issued, so a revocation may be lost too.
    StoreLost,
}

/// Access tokens that were revoked. Each method is atomic under any interleaving.
#[async_trait]
pub trait DenylistStore: Send + Sync + 'static {
    /// Denies one access token for `denial`, for as long as anybody could accept it; its session lives on.
    async fn revoke_access_token(&self, user: UserId, token: Jti, denial: Duration) -> StoreResult<()>;

    /// Denies a machine's access token, as above.
    async fn revoke_machine_token(&self, token: Jti, denial: Duration) -> StoreResult<()>;

    /// In which incarnation a partition is: what is minted in it names that.
    async fn incarnation(&self, partition: Partition) -> StoreResult<i64>;

    /// Whether an access token still stands.
    async fn access_status(&self, token: &AccessSubject) -> StoreResult<AccessStatus>;

    /// Whether a machine's access token that was minted in that incarnation still stands.
    async fn machine_status(&self, token: Jti, incarnation: i64) -> StoreResult<AccessStatus>;
}

engine_trait! {
    /// The denylist in one engine.
    pub trait DenylistBackend {
        /// As [`DenylistStore::access_status`].
        async fn access_status(&self, by: &Vouched, token: &AccessSubject) -> BackendResult<AccessStatus>;

        /// As [`DenylistStore::machine_status`].
        async fn machine_status(&self, by: &Vouched, token: Jti, incarnation: i64)
        -> BackendResult<AccessStatus>;
    }
}
