//! The revocation feed: every revocation in the order in which the token store has them.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreResult;
use crate::domain::clock::Timestamp;
use crate::domain::ids::KeyId;
use crate::domain::journal::VouchingId;
use crate::domain::revocation::Revocation;

/// Where revocations are read and announced. Whoever has read all of it knows every revocation that
/// still matters.
#[async_trait]
pub trait RevocationFeed: Send + Sync + 'static {
    /// A reader that begins with all that still matters.
    fn reader(&self, role: ReaderRole) -> Box<dyn RevocationReader>;

    /// Announces that a signing key was revoked, which matters for as long as `remembered`. Other revocations are announced by the operations
    /// that make them.
    async fn announce_key(&self, key: &KeyId, remembered: Duration) -> StoreResult<()>;
}

/// What a reader's copy of the feed is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReaderRole {
    /// To look at: nobody waits for it.
    Observer,
    /// To answer in place of the store. No revocation is confirmed to whoever makes it before this
    /// copy has it, or can no longer be in use.
    Mirror {
        /// What others know it by; no two readers ever have the same.
        name: Uuid,
        /// How long after the beginning of a confirmed read the copy is used at most.
        max_staleness: Duration,
    },
}

/// Whether a copy may answer in place of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may, until its `max_staleness` after the moment at which the last read began.
    Mirror,
    /// Not on the strength of the last read: that was not all there is. What was confirmed before
    /// holds as long as it did.
    CatchingUp,
    /// It may not, not even on the strength of earlier reads: nobody waits for it.
    Observer,
}

/// Follows the feed.
#[async_trait]
pub trait RevocationReader: Send {
    /// What was announced since the last call; the first call answers all that still matters. Waits
    /// up to `wait` for something to come. After an error the same reader goes on where it was.
    async fn read(&mut self, wait: Duration) -> StoreResult<FeedBatch>;

    /// Says that all that was read has been taken in, and hears what the copy is good for.
    async fn confirm(&mut self) -> StoreResult<Standing>;

    /// Goes on as an observer: the copy is used in place of the store no more.
    async fn step_back(&mut self) -> StoreResult<()>;
}

/// Some of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedBatch {
    /// What was announced, in order.
    pub announced: Vec<Revocation>,
    /// Which vouching the entries are of. When this changes, the reader has begun anew, and what it
    /// was told before can be told again.
    pub vouching: VouchingId,
    /// The incarnation of each partition, in the order of [`Partition::all`](crate::domain::partition::Partition::all):
    /// every token of an earlier one is to be refused.
    pub incarnations: Vec<i64>,
    /// The token store's clock before anything of this was read: all that was announced until then is in
    /// what was read so far.
    pub as_of: Timestamp,
    /// Whether this was all there is. If not, the next call answers at once.
    pub is_complete: bool,
}
