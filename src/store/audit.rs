//! The audit log as a trait.

use async_trait::async_trait;

use super::error::StoreResult;
use crate::domain::audit::{AuditEntry, AuditFilter, AuditId, RecordedEntry};
use crate::domain::clock::Timestamp;

/// What happened, in SQL: entries are added, read, and pruned when their time is over. Nothing else
/// can be done to them; the database sees to that.
#[async_trait]
pub trait AuditStore: Send + Sync + 'static {
    /// Adds entries, all or none, in their order. One that is there already, by its
    /// [`event`](AuditEntry::event), is left alone: after a lost answer the same call is made again.
    async fn append_audit(&self, entries: &[AuditEntry]) -> StoreResult<()>;

    /// At most `limit` entries that satisfy the filter, newest first, from the one before `before` on.
    async fn list_audit(
        &self,
        filter: &AuditFilter,
        before: Option<AuditId>,
        limit: u32,
    ) -> StoreResult<Vec<RecordedEntry>>;

    /// Deletes at most `limit` entries of before `before`, oldest first; answers how many. Fewer than
    /// `limit` means that none is left.
    async fn prune_audit(&self, before: Timestamp, limit: u32) -> StoreResult<u64>;

    /// Since when the log is whole: entries of before may have been pruned.
    async fn audit_horizon(&self) -> StoreResult<Timestamp>;
}
