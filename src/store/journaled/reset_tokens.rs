//! Reset tokens, on a backend that was found whole.

use std::time::Duration;

use async_trait::async_trait;

use super::store::JournaledTokenStore;
use crate::domain::partition::Partition;
use crate::domain::tokens::ResetClaims;
use crate::domain::user::SecurityVersion;
use crate::store::error::StoreResult;
use crate::store::reset_tokens::{ResetGrant, ResetInsertion, ResetPlace, ResetTokenStore};

#[async_trait]
impl ResetTokenStore for JournaledTokenStore {
    async fn insert_reset_token(
        &self,
        token: &ResetClaims,
        place: ResetPlace,
        version: SecurityVersion,
        ttl: Duration,
    ) -> StoreResult<ResetInsertion> {
        self.on_vouched(Partition::of(token.user), |by| async move {
            self.0.backend.insert_reset_token(&by, token, place, version, ttl).await
        })
        .await
    }

    async fn find_reset_token(&self, token: &ResetClaims) -> StoreResult<Option<ResetGrant>> {
        self.on_vouched(Partition::of(token.user), |by| async move {
            self.0.backend.find_reset_token(&by, token).await
        })
        .await
    }

    async fn take_reset_token(&self, token: &ResetClaims) -> StoreResult<Option<ResetGrant>> {
        self.on_vouched(Partition::of(token.user), |by| async move {
            self.0.backend.take_reset_token(&by, token).await
        })
        .await
    }

    async fn restore_reset_token(&self, token: &ResetClaims, grant: ResetGrant) -> StoreResult<()> {
        self.on_vouched(Partition::of(token.user), |by| async move {
            self.0.backend.restore_reset_token(&by, token, grant).await
        })
        .await
    }
}
