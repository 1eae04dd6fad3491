//! Rate limits: the rule by which buckets fill and leak, what they are known by, and what is limited.

mod bucket;
mod marks;
mod rules;

pub use self::bucket::{BURST_MAX, Fill, Level, PERIOD_MAX, Rate, RateError};
pub use self::marks::{AccountMark, BucketId, NoMark, PlaceMark};
pub use self::rules::{Action, ActionLimits, LimitRules};

/// A bucket. Its id stands for its rate as well: another rate is another bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// What it is known by.
    pub id: BucketId,
    /// How fast it leaks.
    pub rate: Rate,
}
