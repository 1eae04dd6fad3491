//! Revocations that are asked for once more: what is known of them already, and what was left unfinished.

use std::sync::{Arc, PoisonError};

use super::owed::pending;
use super::shared::Shared;
use super::store::JournaledTokenStore;
use crate::domain::clock::Timestamp;
use crate::domain::journal::{Journaled, NewEntry};
use crate::domain::partition::Partition;
use crate::store::error::StoreResult;
use crate::store::revocations::Known;
use crate::store::vouching::Vouched;

/// How many revocations that could not be acknowledged are remembered.
const UNFINISHED_MAX: usize = 10_000;

impl JournaledTokenStore {
    /// What the store knows of a revocation; nothing when it does not answer: it is written down then.
    pub(super) async fn known(&self, revoked: &Journaled, until: Timestamp) -> Known {
        let ask =
            |by: Arc<Vouched>| async move { self.0.backend.known_revocation(&by, revoked, until).await };
        self.on_vouched(revoked.partition(), ask).await.unwrap_or(Known::Nothing)
    }

    /// Returns once no replica, and none of the store's own, can be without what was announced in a partition before
    /// this call.
    /// (model: RevocationWaitsForMirrors, VouchingIsWaitedOut)
    pub(super) async fn announced_is_known(&self, partition: Partition) -> StoreResult<()> {
        let pass_on = |by: Arc<Vouched>| async move { Ok(self.0.pass_on(&by, partition).await?) };
        self.on_vouched(partition, pass_on).await?;
        self.replicated(partition).await.map_err(pending)?;
        self.0.quiet().await;
        Ok(())
    }
}

impl Shared {
    /// The entry that an earlier call could not finish, should that matter for as long: however often somebody
    /// asks while a store is away, it is one entry.
    pub(super) fn take_unfinished(&self, revoked: &Journaled, until: Timestamp) -> Option<NewEntry> {
        let mut unfinished = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        unfinished.remove(revoked).filter(|entry| until <= entry.until)
    }

    pub(super) fn note_unfinished(&self, entry: NewEntry) {
        let mut unfinished = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        if unfinished.len() >= UNFINISHED_MAX {
            // They stand in the journal, or are owed to it: at worst one is written once more.
            unfinished.clear();
        }
        unfinished.insert(entry.revoked.clone(), entry);
    }
}

/// The end of the minute: who asks again soon asks for the same.
pub(super) fn whole_minute(moment: Timestamp) -> Timestamp {
    const MINUTE: i64 = 60_000;
    Timestamp::from_millis(
        moment.as_millis().saturating_add(MINUTE - 1).div_euclid(MINUTE).saturating_mul(MINUTE),
    )
}
