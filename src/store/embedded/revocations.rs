//! Carrying revocations out, each in one transaction with the mark and what is owed.

use std::time::Duration;

use async_trait::async_trait;

use super::fault::bounded;
use super::store::EmbeddedTokenStore;
use super::{feed, partitions, revoke};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{KeyId, SessionId, UserId};
use crate::domain::journal::{EntryId, Journaled, NewEntry};
use crate::domain::partition::Partition;
use crate::domain::revocation::{Revocation, Revoked};
use crate::domain::user::SecurityVersion;
use crate::store::revocations::{CarriedOut, Known, Placed, Placement, RevocationBackend};
use crate::store::vouching::{BackendResult, Vouched};

#[async_trait]
impl RevocationBackend for EmbeddedTokenStore {
    async fn known_revocation(
        &self,
        by: &Vouched,
        revoked: &Journaled,
        until: Timestamp,
    ) -> BackendResult<Known> {
        let partition = revoked.partition();
        Ok(bounded(async {
            let mut reader = self.begin_reading(by, partition).await?;
            let is_denied = revoke::is_denied(&mut reader, revoked, until).await?;
            let owes = partitions::owes(&mut *reader).await?;
            Ok(match (is_denied, owes) {
                (false, _) => Known::Nothing,
                (true, true) => Known::CarriedOut,
                (true, false) => Known::Journaled,
            })
        })
        .await?)
    }

    /// What it does, the mark and what is owed go together (model: AppliedBeforeTheMark, OwedUntilJournaled).
    async fn carry_out(
        &self,
        by: &Vouched,
        entry: &NewEntry,
        placement: Placement,
        denial: Duration,
    ) -> BackendResult<CarriedOut> {
        let partition = entry.revoked.partition();
        let (now, carried_out) = bounded(async {
            let mut tx = self.begin_on(by, partition).await?;
            let now = self.time.now()?;
            let (was_owed, placed) = match placement {
                Placement::At(link) => {
                    let was_owed = partitions::settle(&mut tx, entry.id).await?;
                    (was_owed, partitions::pass(&mut tx, partition, link).await?)
                }
                Placement::Owed => {
                    partitions::owe(&mut tx, entry).await?;
                    (false, Placed::Counted)
                }
            };
            let ended = match was_owed {
                true => Vec::new(),
                false => revoke::carry_out(&mut tx, &entry.revoked, entry.until, now, denial).await?,
            };
            tx.commit().await?;
            Ok((now, CarriedOut { ended, placed }))
        })
        .await?;
        self.announced(now.after(denial));
        Ok(carried_out)
    }

    /// Carried out and owed in one transaction (model: OwedUntilJournaled).
    async fn cut_off_ahead(
        &self,
        by: &Vouched,
        user: UserId,
        id: EntryId,
        until: Timestamp,
        denial: Duration,
    ) -> BackendResult<(SecurityVersion, Vec<SessionId>)> {
        let (now, outcome) = bounded(async {
            let mut tx = self.begin_on(by, Partition::of(user)).await?;
            let now = self.time.now()?;
            let below = revoke::next_version(&mut tx, user, now).await?;
            let revoked = Journaled::User { user, below };
            let ended = revoke::carry_out(&mut tx, &revoked, until, now, denial).await?;
            partitions::owe(&mut tx, &NewEntry { id, revoked, until }).await?;
            tx.commit().await?;
            Ok((now, (below, ended)))
        })
        .await?;
        self.announced(now.after(denial));
        Ok(outcome)
    }

    /// No copy outside this process answers from this file.
    async fn passed_on(&self, _: &Vouched) -> BackendResult<()> {
        Ok(())
    }

    async fn replicated(&self, _: &Vouched, _: Partition) -> BackendResult<()> {
        Ok(())
    }

    async fn announce_key(&self, by: &Vouched, key: &KeyId, remembered: Duration) -> BackendResult<()> {
        let until = self.time.now()?.after(remembered);
        bounded(async {
            let mut tx = self.begin_on(by, Partition::EVERYBODY).await?;
            feed::insert(&mut tx, &Revocation { revoked: Revoked::Key(key.clone()), until }).await?;
            tx.commit().await?;
            Ok(())
        })
        .await?;
        self.announced(until);
        Ok(())
    }
}
