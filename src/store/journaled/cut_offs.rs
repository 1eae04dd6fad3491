//! Cut-offs: carried out by their entries in the journal.

use std::convert::Infallible;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use super::owed::{is_of, pending};
use super::repeated::whole_minute;
use super::store::JournaledTokenStore;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::journal::{EntryId, Journaled, NewEntry};
use crate::domain::partition::Partition;
use crate::domain::user::SecurityVersion;
use crate::metrics::{self, Revocation};
use crate::store::cut_offs::{ClientEnd, CutOffOrder, CutOffStore};
use crate::store::error::{StoreError, StoreResult};
use crate::store::vouching::Vouched;

#[async_trait]
impl CutOffStore for JournaledTokenStore {
    async fn begin_account(&self, user: UserId, version: SecurityVersion) -> StoreResult<Vec<SessionId>> {
        let ask = |by: Arc<Vouched>| async move { self.0.backend.has_sessions(&by, user).await };
        match self.on_vouched(Partition::of(user), ask).await {
            Ok(false) => Ok(Vec::new()),
            // Where nobody knows, it stands in the journal before somebody does.
            Ok(true) | Err(_) => self.end_older(user, version).await,
        }
    }

    async fn cut_off(&self, order: &CutOffOrder) -> StoreResult<Vec<SessionId>> {
        let CutOffOrder { user, version, link, until } = *order;
        let revoked = Journaled::User { user, below: version };
        let entry = NewEntry { id: link.at.entry, revoked, until };
        let began = Instant::now();
        let ended = self.carry_out_written(&entry, link).await.map_err(pending)?.ended;
        metrics::revoked(Revocation::User, began.elapsed());
        Ok(ended)
    }

    async fn end_client(&self, ClientEnd { client, link, until }: &ClientEnd) -> StoreResult<()> {
        let entry = NewEntry { id: link.at.entry, revoked: Journaled::Client(client.clone()), until: *until };
        let began = Instant::now();
        self.carry_out_written(&entry, *link).await.map_err(pending)?;
        metrics::revoked(Revocation::Client, began.elapsed());
        Ok(())
    }

    async fn cut_off_ahead(&self, user: UserId) -> StoreResult<Infallible> {
        let id = EntryId::generate(&*self.0.random);
        let (until, denial) = (self.0.now().after(self.0.spans.absolute), self.0.spans.denial);
        let (below, _) = self
            .on_vouched(Partition::of(user), |by| async move {
                self.0.backend.cut_off_ahead(&by, user, id, until, denial).await
            })
            .await?;
        self.0.remember(NewEntry { id, revoked: Journaled::User { user, below }, until });
        Err(pending(StoreError::Unavailable { store: "database", source: Box::new(Owed) }))
    }

    async fn settle_owed(&self, user: UserId) -> StoreResult<()> {
        let (mut watch, view) = self.0.looked().await?;
        let mut owed = self.0.owed(&mut watch, view.owes).await?;
        drop(watch);
        owed.retain(|entry| is_of(entry, user));
        self.0.settle(owed).await
    }
}

impl JournaledTokenStore {
    /// Ends the sessions of a user that are of an earlier version.
    pub(super) async fn end_older(
        &self,
        user: UserId,
        below: SecurityVersion,
    ) -> StoreResult<Vec<SessionId>> {
        tracing::warn!(%user, "sessions of an earlier version of the account end, if there are any");
        let until = whole_minute(self.0.now().after(self.0.spans.absolute));
        Ok(self.revoke(Journaled::User { user, below }, until, None).await?.ended)
    }
}

/// The entry of a cut-off is owed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the cut-off is carried out, and the database has to take it over")]
struct Owed;
