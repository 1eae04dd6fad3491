//! Which replicas run, in memory: the store is for one process, and what it said of itself ends with it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::store::EmbeddedTokenStore;
use crate::domain::clock::Timestamp;
use crate::domain::secret_mark::Presence;
use crate::store::error::StoreResult;
use crate::store::presence::{PRESENCE_TTL, PresenceStore};

/// What was said, by whom, and until when it holds.
#[derive(Debug, Default)]
pub(super) struct Presences(Mutex<BTreeMap<String, (Presence, Timestamp)>>);

impl Presences {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (Presence, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PresenceStore for EmbeddedTokenStore {
    async fn announce_presence(&self, presence: &Presence) -> StoreResult<()> {
        let until = self.time.shown().after(PRESENCE_TTL);
        self.presences.lock().insert(presence.replica.clone(), (presence.clone(), until));
        Ok(())
    }

    async fn withdraw_presence(&self, replica: &str) -> StoreResult<()> {
        self.presences.lock().remove(replica);
        Ok(())
    }

    async fn list_presences(&self) -> StoreResult<Vec<Presence>> {
        let now = self.time.shown();
        let mut presences = self.presences.lock();
        presences.retain(|_, (_, until)| now < *until);
        Ok(presences.values().map(|(presence, _)| presence.clone()).collect())
    }
}
