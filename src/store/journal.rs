//! The revocation journal, in SQL.

use std::time::Duration;

use async_trait::async_trait;

use super::error::StoreResult;
use crate::domain::clock::Timestamp;
use crate::domain::journal::{EntryId, JournalEntry, JournalHead, Link, Mark, NewEntry};
use crate::domain::partition::Partition;

/// What is written down of every revocation before it is acknowledged.
///
/// Positions are given in the order of commits, and every number is given: the statement that gives
/// one commits together with the entry, so no entry can come later at a smaller position. Entries of
/// security events are written by [`UserStore`](super::users::UserStore), together with the change of the
/// account.
#[async_trait]
pub trait RevocationJournal: Send + Sync + 'static {
    /// What is known about each partition, in the order of [`Partition::all`].
    async fn journal_heads(&self) -> StoreResult<Vec<JournalHead>>;

    /// Writes an entry down and answers where it stands. One that stands there already, by its id,
    /// is left as it is: after a lost answer the same call is made again.
    async fn append_entry(&self, entry: &NewEntry) -> StoreResult<Link>;

    /// At most `limit` entries of a partition behind the position `after`, up to `last`, in order.
    async fn list_entries(
        &self,
        partition: Partition,
        after: i64,
        last: i64,
        limit: u32,
    ) -> StoreResult<Vec<JournalEntry>>;

    /// The entry at each of these positions, in their order; `None` where it was pruned, or never stood.
    async fn find_entries(&self, positions: &[(Partition, i64)]) -> StoreResult<Vec<Option<EntryId>>>;

    /// The entry at a position; `None` when it was pruned, or never stood there.
    async fn find_entry(&self, partition: Partition, position: i64) -> StoreResult<Option<EntryId>> {
        Ok(self.find_entries(&[(partition, position)]).await?.pop().flatten())
    }

    /// Whether the history of a position behind `after`, up to `last`, is not known any more.
    async fn has_hole(&self, partition: Partition, after: i64, last: i64) -> StoreResult<bool>;

    /// Joins the history of this database, which was restored, to that of a token store which has carried
    /// out what it does not know any more: `join` takes the first position behind both that and `position`,
    /// and the history of all before it counts as not known. Answers where `join` stands; no entry is
    /// written there.
    async fn join_history(&self, partition: Partition, position: i64, join: EntryId) -> StoreResult<Mark>;

    /// The token store knows a later incarnation than this database: it counts from now on.
    async fn adopt_incarnation(&self, partition: Partition, incarnation: i64) -> StoreResult<()>;

    /// Begins the incarnation `number` in each of these partitions whose present one is still the
    /// number given here. Answers the partitions where it did: of several replicas that find a store
    /// without data, one begins.
    async fn begin_incarnation(
        &self,
        partitions: &[(Partition, i64)],
        number: i64,
    ) -> StoreResult<Vec<Partition>>;

    /// Deletes at most `limit` entries that have not mattered since `before`; answers how many. Fewer
    /// than `limit` means that none is left.
    async fn prune_journal(&self, before: Timestamp, limit: u32) -> StoreResult<u64>;

    /// Notes for how long at most a replica answers from a copy of the feed, if that is longer than
    /// any before it.
    async fn note_mirror_staleness(&self, staleness: Duration) -> StoreResult<()>;

    /// For how long at most any replica has ever answered from a copy of the feed.
    async fn mirror_staleness(&self) -> StoreResult<Duration>;
}
