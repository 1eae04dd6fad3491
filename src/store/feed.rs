//! The revocation feed: every revocation in the order in which the token store has them.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreResult;
use crate::domain::clock::Timestamp;
use crate::domain::revocation::Revocation;

/// Where revocations are read and announced. Whoever has read all of it knows every revocation that
/// still matters.
#[async_trait]
pub trait RevocationFeed: Send + Sync + 'static {
    /// A reader that begins with all that still matters.
    fn reader(&self) -> Box<dyn RevocationReader>;

    /// Announces a revocation that concerns no user: of a client's own token, of a key, or of
    /// everything. Those of users are announced by the operations that make them.
    async fn announce(&self, revocation: &Revocation, now: Timestamp) -> StoreResult<()>;
}

/// Follows the feed.
#[async_trait]
pub trait RevocationReader: Send {
    /// What was announced since the last call; the first call answers all that still matters. Waits
    /// up to `wait` for something to come. After an error the same reader goes on where it was.
    async fn read(&mut self, now: Timestamp, wait: Duration) -> StoreResult<FeedBatch>;
}

/// Some of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedBatch {
    /// What was announced, in order.
    pub announced: Vec<Announced>,
    /// Since when the store has kept its data: what was announced before that may be lost, and every
    /// token that was issued before it is to be refused. When this changes, the reader has begun
    /// anew.
    pub remembers_since: Timestamp,
    /// Whether this was all there is. If not, the next call answers at once.
    pub is_complete: bool,
}

/// Something that replicas tell each other through the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announced {
    /// A revocation.
    Revocation(Revocation),
}
