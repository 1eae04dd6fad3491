//! Waiting for the replicas that answer from a copy of the feed.

use std::sync::Arc;
use std::time::Duration;

use super::found::Scope;
use super::shared::{NotVouched, Shared};
use crate::domain::causes::with_causes;
use crate::domain::partition::Partition;
use crate::store::error::StoreResult;
use crate::store::vouching::{BackendError, Vouched};

/// How much longer than its `max_staleness` a mirror is waited for: clocks run equally fast but for drift.
pub(super) const DRIFT_ALLOWANCE: Duration = Duration::from_millis(50);

impl Shared {
    /// Returns once no replica that answers from a copy of the feed can be without what was announced in a partition
    /// before (model: RevocationWaitsForMirrors).
    ///
    /// Who they are is known where everybody's partition is. Where that server is gone, and the partition's own is not,
    /// nobody can be asked; but no copy is in use for longer than its `max_staleness` after the read that it is of, and
    /// a read is of all partitions.
    pub(super) async fn pass_on(
        self: &Arc<Self>,
        by: &Arc<Vouched>,
        partition: Partition,
    ) -> StoreResult<()> {
        let untold = match self.tell_mirrors(by).await {
            Ok(()) => return Ok(()),
            Err(BackendError::Store(error)) => error,
            Err(BackendError::Unvouched) => NotVouched.error(),
        };
        if by.server(partition) == by.server(Partition::EVERYBODY) {
            return Err(untold);
        }
        let staleness = self.journal.mirror_staleness().await?;
        if !staleness.is_zero() {
            tracing::warn!(error = %with_causes(&untold), "the replicas cannot be told: their copies are waited out");
            tokio::time::sleep(staleness + DRIFT_ALLOWANCE).await;
        }
        Ok(())
    }

    async fn tell_mirrors(self: &Arc<Self>, by: &Arc<Vouched>) -> Result<(), BackendError> {
        let by = match by.has(Partition::EVERYBODY) {
            true => by.clone(),
            false => self.vouched(Scope::Of(Partition::EVERYBODY)).await?,
        };
        let told = self.backend.passed_on(&by).await;
        if matches!(told, Err(BackendError::Unvouched)) {
            self.found.doubt(&by, Partition::EVERYBODY);
        }
        told
    }
}
