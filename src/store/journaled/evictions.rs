//! Ending sessions of accounts that have too many.

use std::sync::Arc;

use super::store::JournaledTokenStore;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::journal::{EntryId, Journaled, NewEntry};
use crate::domain::partition::Partition;
use crate::store::error::{StoreError, StoreResult};
use crate::store::sessions::Eviction;
use crate::store::vouching::Vouched;

impl JournaledTokenStore {
    /// Ends the session, and writes that down beside the answer: nobody waits for it. An account with very
    /// many sessions fills no memory with what is owed: its next eviction waits for one of those before it.
    /// (model: OwedUntilJournaled)
    pub(super) async fn evict(&self, user: UserId, session: SessionId, max: u32) -> StoreResult<bool> {
        let closed = |error| StoreError::Unavailable { store: "token store", source: Box::new(error) };
        let permit = self.0.unsettled_evictions.clone().acquire_owned().await.map_err(closed)?;
        let id = EntryId::generate(&*self.0.random);
        let (eviction, denial) = (Eviction { user, session, max }, self.0.spans.denial);
        let evict =
            |by: Arc<Vouched>| async move { self.0.backend.evict_session(&by, &eviction, id, denial).await };
        let Some(until) = self.on_vouched(Partition::of(user), evict).await? else { return Ok(false) };
        let entry = NewEntry { id, revoked: Journaled::Session { user, session }, until };
        self.0.remember(entry.clone());
        let shared = self.0.clone();
        tokio::spawn(async move {
            // Should that fail it stays owed, which is said there.
            let settled = shared.settle_one(&entry).await;
            drop((permit, settled));
        });
        Ok(true)
    }
}
