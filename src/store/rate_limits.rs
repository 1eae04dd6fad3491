//! What counts attempts.

use super::error::StoreResult;
use super::unreachable::engine_trait;
use crate::domain::rate_limit::{AccountMark, Bucket, Level, PlaceMark};

/// How long a place is remembered that an account logged in from, in days: as long as a session can
/// live by default, so that who comes back when theirs has ended is known.
pub const PLACE_MEMORY_DAYS: u64 = 30;

/// How many places of an account are remembered, the newest: homes, offices and phones on the way.
pub const PLACES_MAX: u32 = 32;

/// What became of taking from a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Take {
    /// Whether there was room. A take that was refused leaves the bucket as it was.
    pub admitted: bool,
    /// What can still be taken.
    pub level: Level,
}

engine_trait! {
    /// Buckets and known places, shared by all replicas. Each method is atomic under any interleaving.
    ///
    /// The rule of a bucket is [`Fill`](crate::domain::rate_limit::Fill)'s. Nothing here outlives its
    /// use: a bucket goes when it is empty, a place after [`PLACE_MEMORY_DAYS`].
    pub trait RateLimitStore {
        /// Takes one from a bucket. Of concurrent calls exactly as many are admitted as there is room
        /// for.
        async fn take(&self, bucket: &Bucket) -> StoreResult<Take>;

        /// Gives one back to a bucket; answers what can be taken then. Never more than its burst.
        async fn give_back(&self, bucket: &Bucket) -> StoreResult<Level>;

        /// Whether the account has logged in from that place of late.
        async fn is_known_place(&self, account: AccountMark, place: PlaceMark) -> StoreResult<bool>;

        /// Remembers a place that the account logged in from, for [`PLACE_MEMORY_DAYS`] from now on; of
        /// more than [`PLACES_MAX`] the oldest are forgotten.
        async fn remember_place(&self, account: AccountMark, place: PlaceMark) -> StoreResult<()>;
    }
}
