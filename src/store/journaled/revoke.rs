//! Writing a revocation down, carrying it out, and owing it while the journal is away.

use std::sync::Arc;

use tokio::time::Instant;

use super::owed::pending;
use super::store::JournaledTokenStore;
use crate::domain::causes::with_causes;
use crate::domain::clock::Timestamp;
use crate::domain::journal::{EntryId, Journaled, Link, NewEntry};
use crate::domain::partition::Partition;
use crate::metrics::{self, Revocation};
use crate::store::error::StoreResult;
use crate::store::revocations::{CarriedOut, Known, Placed, Placement};
use crate::store::vouching::Vouched;

impl JournaledTokenStore {
    /// Writes a revocation down, carries it out, and returns once no replica can be without it.
    /// While the journal is away it is owed, and said to be pending (model: OwedUntilJournaled).
    ///
    /// One that is nothing new, since what is revoked is denied until `known_until` already, is written down
    /// and announced no second time. It is acknowledged like the first: when its entry stands, and no replica
    /// can be without it.
    pub(super) async fn revoke(
        &self,
        revoked: Journaled,
        until: Timestamp,
        known_until: Option<Timestamp>,
    ) -> StoreResult<CarriedOut> {
        let began = Instant::now();
        let kind = counted_as(&revoked);
        let done = self.revoke_unless_known(revoked, until, known_until).await?;
        metrics::revoked(kind, began.elapsed());
        Ok(done)
    }

    async fn revoke_unless_known(
        &self,
        revoked: Journaled,
        until: Timestamp,
        known_until: Option<Timestamp>,
    ) -> StoreResult<CarriedOut> {
        let known = match known_until {
            Some(known_until) => self.known(&revoked, known_until).await,
            None => Known::Nothing,
        };
        if known == Known::Journaled {
            self.announced_is_known(revoked.partition()).await.map_err(pending)?;
            return Ok(CarriedOut { ended: Vec::new(), placed: Placed::Counted });
        }
        let unfinished = self.0.take_unfinished(&revoked, until);
        let new = || NewEntry { id: EntryId::generate(&*self.0.random), revoked, until };
        let entry = unfinished.unwrap_or_else(new);
        let done = self.write_and_carry_out(&entry, known).await;
        if done.is_err() {
            self.0.note_unfinished(entry);
        }
        done
    }

    async fn write_and_carry_out(&self, entry: &NewEntry, known: Known) -> StoreResult<CarriedOut> {
        let unwritten = match self.0.journal.append_entry(entry).await {
            Ok(link) => return self.carry_out_written(entry, link).await.map_err(pending),
            Err(unwritten) => unwritten,
        };
        tracing::warn!(error = %with_causes(&unwritten), "a revocation is owed to the journal");
        if known == Known::CarriedOut {
            // Its entry is owed, by whoever has carried it out.
            return Err(pending(unwritten));
        }
        let denial = self.0.spans.denial;
        let partition = entry.revoked.partition();
        let carry_out = |by: Arc<Vouched>| async move {
            self.0.backend.carry_out(&by, entry, Placement::Owed, denial).await?;
            Ok(by)
        };
        let by = self.on_vouched(partition, carry_out).await?;
        // Only now is it decided: with both stores away nothing is.
        self.0.remember(entry.clone());
        if let Err(untold) = self.0.pass_on(&by, partition).await {
            tracing::debug!(error = %with_causes(&untold), "the replicas hear of it when it is written down");
        }
        Err(pending(unwritten))
    }

    /// Carries out what stands in the journal.
    /// It is told after any wait that a new vouching asks for (model: VouchingIsWaitedOut).
    pub(super) async fn carry_out_written(&self, entry: &NewEntry, link: Link) -> StoreResult<CarriedOut> {
        let carried_out = self.0.carry_out_at(entry, link).await?;
        self.replicated(entry.revoked.partition()).await?;
        self.0.quiet().await;
        Ok(carried_out)
    }

    /// Returns once the store's own replicas have what was carried out in a partition. Should another server have taken
    /// the place of the one that did so, it was found whole since, with all that stands in the journal.
    pub(super) async fn replicated(&self, partition: Partition) -> StoreResult<()> {
        self.on_vouched(partition, |by| async move { self.0.backend.replicated(&by, partition).await }).await
    }
}

/// What is taken back, for whoever counts.
pub(super) fn counted_as(revoked: &Journaled) -> Revocation {
    match revoked {
        Journaled::Session { .. } => Revocation::Session,
        Journaled::Token { .. } => Revocation::AccessToken,
        Journaled::MachineToken(_) => Revocation::MachineToken,
        Journaled::User { .. } => Revocation::User,
        Journaled::Client(_) => Revocation::Client,
    }
}
