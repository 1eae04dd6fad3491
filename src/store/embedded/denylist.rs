//! Whether an access token still stands.

use async_trait::async_trait;

use super::fault::{Fault, bounded};
use super::revoke;
use super::store::EmbeddedTokenStore;
use crate::domain::ids::Jti;
use crate::domain::partition::Partition;
use crate::store::denylist::{AccessStatus, AccessSubject, DenylistBackend};
use crate::store::vouching::{BackendResult, Vouched};

#[async_trait]
impl DenylistBackend for EmbeddedTokenStore {
    async fn access_status(&self, by: &Vouched, token: &AccessSubject) -> BackendResult<AccessStatus> {
        let partition = Partition::of(token.user);
        let by = by.of(partition);
        Ok(bounded(async {
            let now = self.time.now()?;
            let (vouching, live, denied): (Option<i64>, bool, bool) = sqlx::query_as(
                "SELECT
                   (SELECT vouching FROM partitions WHERE partition = ?5),
                   EXISTS (SELECT 1 FROM sessions WHERE id = ?1 AND user_id = ?2 AND incarnation = ?6
                             AND idle_deadline > ?4 AND absolute_deadline > ?4),
                   EXISTS (SELECT 1 FROM denials WHERE user_id = ?2 AND jti = ?3 AND expires_at > ?4)",
            )
            .bind(token.session.to_string())
            .bind(token.user.get())
            .bind(token.token.to_string())
            .bind(now.as_millis())
            .bind(i64::from(partition.number()))
            .bind(by.incarnation)
            .fetch_one(self.reader())
            .await?;
            if vouching != Some(by.vouching.get()) {
                return Err(Fault::Unvouched);
            }
            Ok(if token.incarnation != by.incarnation {
                AccessStatus::StoreLost
            } else if !live || denied {
                AccessStatus::Revoked
            } else {
                AccessStatus::Live
            })
        })
        .await?)
    }

    async fn machine_status(
        &self,
        by: &Vouched,
        token: Jti,
        incarnation: i64,
    ) -> BackendResult<AccessStatus> {
        let by = by.of(Partition::EVERYBODY);
        Ok(bounded(async {
            let now = self.time.now()?;
            let (vouching, denied): (Option<i64>, bool) = sqlx::query_as(
                "SELECT
                   (SELECT vouching FROM partitions WHERE partition = ?1),
                   EXISTS (SELECT 1 FROM denials WHERE user_id = ?2 AND jti = ?3 AND expires_at > ?4)",
            )
            .bind(i64::from(Partition::EVERYBODY.number()))
            .bind(revoke::MACHINES)
            .bind(token.to_string())
            .bind(now.as_millis())
            .fetch_one(self.reader())
            .await?;
            if vouching != Some(by.vouching.get()) {
                return Err(Fault::Unvouched);
            }
            Ok(if incarnation != by.incarnation {
                AccessStatus::StoreLost
            } else if denied {
                AccessStatus::Revoked
            } else {
                AccessStatus::Live
            })
        })
        .await?)
    }
}
