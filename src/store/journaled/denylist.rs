//! Access tokens: revoked by an entry of the journal, judged by a backend that was found whole.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::found::Scope;
use super::store::JournaledTokenStore;
use crate::domain::ids::{Jti, UserId};
use crate::domain::journal::Journaled;
use crate::domain::partition::Partition;
use crate::store::denylist::{AccessStatus, AccessSubject, DenylistStore};
use crate::store::error::StoreResult;
use crate::store::vouching::Vouched;

#[async_trait]
impl DenylistStore for JournaledTokenStore {
    async fn revoke_access_token(&self, user: UserId, token: Jti, denial: Duration) -> StoreResult<()> {
        let until = self.0.now().after(denial);
        self.revoke(Journaled::Token { user, token }, until, Some(until)).await.map(drop)
    }

    async fn revoke_machine_token(&self, token: Jti, denial: Duration) -> StoreResult<()> {
        let until = self.0.now().after(denial);
        self.revoke(Journaled::MachineToken(token), until, Some(until)).await.map(drop)
    }

    async fn incarnation(&self, partition: Partition) -> StoreResult<i64> {
        if let Some(last) = self.0.found.last_incarnation(partition) {
            return Ok(last);
        }
        Ok(self.0.vouched(Scope::Of(partition)).await?.of(partition).incarnation)
    }

    async fn access_status(&self, token: &AccessSubject) -> StoreResult<AccessStatus> {
        let partition = Partition::of(token.user);
        self.on_vouched(partition, |by| async move { self.0.backend.access_status(&by, token).await }).await
    }

    async fn machine_status(&self, token: Jti, incarnation: i64) -> StoreResult<AccessStatus> {
        let ask =
            |by: Arc<Vouched>| async move { self.0.backend.machine_status(&by, token, incarnation).await };
        self.on_vouched(Partition::EVERYBODY, ask).await
    }
}
