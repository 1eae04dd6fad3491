//! Reset tokens: what is done to their table, in which transaction.

use std::time::Duration;

use async_trait::async_trait;

use super::fault::bounded;
use super::reset_row;
use super::store::EmbeddedTokenStore;
use crate::domain::partition::Partition;
use crate::domain::tokens::ResetClaims;
use crate::domain::user::SecurityVersion;
use crate::store::reset_tokens::{ResetGrant, ResetInsertion, ResetPlace, ResetTokenBackend};
use crate::store::vouching::{BackendResult, Vouched};

#[async_trait]
impl ResetTokenBackend for EmbeddedTokenStore {
    async fn insert_reset_token(
        &self,
        by: &Vouched,
        token: &ResetClaims,
        place: ResetPlace,
        version: SecurityVersion,
        ttl: Duration,
    ) -> BackendResult<ResetInsertion> {
        let now = self.time.now()?;
        let grant = ResetGrant { version, deadline: now.after(ttl), place: place.mark };
        let partition = Partition::of(token.user);
        let insertion = bounded(async {
            let mut tx = self.begin_on(by, partition).await?;
            let vouching = by.of(partition).vouching;
            let insertion = reset_row::insert(&mut tx, token, grant, place.room, vouching, now).await?;
            tx.commit().await?;
            Ok(insertion)
        })
        .await?;
        self.purge.expect(grant.deadline);
        Ok(insertion)
    }

    async fn find_reset_token(&self, by: &Vouched, token: &ResetClaims) -> BackendResult<Option<ResetGrant>> {
        let partition = Partition::of(token.user);
        Ok(bounded(async {
            let mut reader = self.begin_reading(by, partition).await?;
            let now = self.time.now()?;
            reset_row::find(&mut reader, token, by.of(partition).vouching, now).await
        })
        .await?)
    }

    async fn take_reset_token(&self, by: &Vouched, token: &ResetClaims) -> BackendResult<Option<ResetGrant>> {
        let partition = Partition::of(token.user);
        Ok(bounded(async {
            let mut tx = self.begin_on(by, partition).await?;
            let now = self.time.now()?;
            let taken = reset_row::take(&mut tx, token, by.of(partition).vouching, now).await?;
            tx.commit().await?;
            Ok(taken)
        })
        .await?)
    }

    async fn restore_reset_token(
        &self,
        by: &Vouched,
        token: &ResetClaims,
        grant: ResetGrant,
    ) -> BackendResult<()> {
        let partition = Partition::of(token.user);
        bounded(async {
            let mut tx = self.begin_on(by, partition).await?;
            let now = self.time.now()?;
            reset_row::restore(&mut tx, token, grant, by.of(partition).vouching, now).await?;
            tx.commit().await?;
            Ok(())
        })
        .await?;
        self.purge.expect(grant.deadline);
        Ok(())
    }
}
