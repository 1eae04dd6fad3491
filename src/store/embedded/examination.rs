//! Looking at the file, and making it whole.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqlitePool;

use super::fault::{Fault, bounded};
use super::feed::Bell;
use super::time::EmbeddedTime;
use super::{partitions, revoke};
use crate::domain::journal::{EntryId, NewEntry, VouchingId};
use crate::domain::partition::Partition;
use crate::store::error::StoreResult;
use crate::store::examination::{Examination, NewPartition, PartitionState, ReplayStep, View};

/// One opening of the file: its only connection that writes.
pub(super) struct Opening {
    pub(super) file: SqlitePool,
    pub(super) opening: String,
    pub(super) bell: Bell,
    pub(super) time: EmbeddedTime,
}

#[async_trait]
impl Examination for Opening {
    async fn view(&mut self) -> StoreResult<View> {
        Ok(bounded(async {
            let states = partitions::states(&self.file).await?;
            let owes = partitions::owes(&self.file).await?;
            Ok(View::of_one(self.opening.as_str(), states, owes, self.time.shown()))
        })
        .await?)
    }

    /// The file belongs to this process.
    async fn lease(&mut self, _: EntryId, _: Duration) -> StoreResult<bool> {
        Ok(true)
    }

    async fn end_lease(&mut self, _: EntryId) -> StoreResult<()> {
        Ok(())
    }

    async fn condemn(&mut self, partitions: &[(Partition, PartitionState)]) -> StoreResult<()> {
        Ok(bounded(async {
            let mut tx = self.file.begin_with("BEGIN IMMEDIATE").await?;
            for (partition, state) in partitions {
                partitions::condemn(&mut tx, *partition, state).await?;
            }
            Ok(tx.commit().await?)
        })
        .await?)
    }

    async fn begin(&mut self, partitions: &[NewPartition], _: Duration) -> StoreResult<()> {
        Ok(bounded(async {
            let mut tx = self.file.begin_with("BEGIN IMMEDIATE").await?;
            for new in partitions {
                partitions::begin(&mut tx, new).await?;
            }
            Ok(tx.commit().await?)
        })
        .await?)
    }

    /// The entries of each step and its mark in one transaction (model: AppliedBeforeTheMark).
    async fn replay(&mut self, steps: &[ReplayStep], denial: Duration) -> StoreResult<Vec<bool>> {
        let mut moved = Vec::with_capacity(steps.len());
        for step in steps {
            let mark_moved = bounded(async {
                let mut tx = self.file.begin_with("BEGIN IMMEDIATE").await?;
                let now = self.time.shown();
                for entry in &step.entries {
                    revoke::carry_out(&mut tx, &entry.revoked, entry.until, now, denial).await?;
                    partitions::note_applied(&mut tx, step.partition, entry.link).await?;
                }
                let moved = partitions::move_mark(&mut tx, step.partition, step.from, step.to).await?;
                tx.commit().await?;
                Ok::<_, Fault>(moved)
            });
            moved.push(mark_moved.await?);
        }
        self.bell.ring();
        Ok(moved)
    }

    async fn seal(
        &mut self,
        partitions: &[(Partition, PartitionState)],
        vouching: VouchingId,
    ) -> StoreResult<()> {
        Ok(bounded(async {
            let mut tx = self.file.begin_with("BEGIN IMMEDIATE").await?;
            for (partition, state) in partitions {
                partitions::seal(&mut tx, *partition, state, vouching, &self.opening).await?;
            }
            Ok(tx.commit().await?)
        })
        .await?)
    }

    async fn owed(&mut self) -> StoreResult<Vec<NewEntry>> {
        Ok(bounded(partitions::owed(&self.file)).await?)
    }
}
