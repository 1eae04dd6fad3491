//! The issuer's revocations, followed as they happen.

mod follower;
mod intake;
mod issuer_clock;
mod snapshot;
mod sse;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

pub(crate) use follower::Follower;
pub(crate) use intake::{Intake, Interruption, Progress, Stream};

use super::clock::Monotonic;
use crate::denylist::Denylist;

/// What is known of the issuer's revocations, and how long ago it was complete.
pub(crate) struct Feed {
    denylist: ArcSwap<Denylist>,
    clock: Monotonic,
    /// The [`Moment`] up to which nothing is missing.
    complete_at: AtomicI64,
}

/// Whole milliseconds of the local clock that ages are counted by, rounded down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i64);

impl Moment {
    pub(crate) const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    const fn millis(self) -> i64 {
        self.0
    }
}

/// No moment.
const NEVER: i64 = i64::MIN;

impl Feed {
    pub(crate) fn new(clock: Monotonic) -> Self {
        Self { denylist: ArcSwap::from_pointee(Denylist::new()), clock, complete_at: AtomicI64::new(NEVER) }
    }

    pub(crate) fn now(&self) -> Moment {
        Moment(i64::try_from(self.clock.now().as_millis()).unwrap_or(i64::MAX))
    }

    /// How old the knowledge is; `None` when there never was any.
    ///
    /// Ask this before the list: a list that was looked at first could be an older one.
    pub(crate) fn age(&self) -> Option<Duration> {
        let complete_at = Some(self.complete_at.load(Ordering::Acquire)).filter(|at| *at != NEVER)?;
        let millis = self.now().millis().saturating_sub(complete_at);
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or_default()))
    }

    /// Whether the knowledge is no older than that.
    pub(crate) fn is_fresh(&self, max_staleness: Duration) -> bool {
        self.age().is_some_and(|age| age <= max_staleness)
    }

    pub(crate) fn denylist(&self) -> arc_swap::Guard<Arc<Denylist>> {
        self.denylist.load()
    }

    /// Everything up to that moment is in the list.
    fn completed(&self, at: Moment) {
        self.complete_at.fetch_max(at.millis(), Ordering::Release);
    }

    /// Puts another list in the place of the one that is there, in one step.
    fn replace(&self, denylist: Denylist) {
        self.denylist.store(Arc::new(denylist));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A feed whose clock stands where it is set, in milliseconds.
    fn feed() -> (Feed, Arc<AtomicI64>) {
        let now = Arc::new(AtomicI64::new(0));
        let clock = now.clone();
        let millis = move || clock.load(Ordering::Relaxed).try_into().unwrap_or_default();
        (Feed::new(Monotonic::new(move || Duration::from_millis(millis()))), now)
    }

    fn age_ms(feed: &Feed) -> Option<u128> {
        feed.age().map(|age| age.as_millis())
    }

    #[test]
    fn knowledge_grows_old_until_it_is_complete_again() {
        let (feed, now) = feed();
        assert_eq!(age_ms(&feed), None);
        feed.completed(feed.now());
        assert_eq!(age_ms(&feed), Some(0));
        now.store(1_500, Ordering::Relaxed);
        assert_eq!(age_ms(&feed), Some(1_500));
        feed.completed(Moment(1_000));
        assert_eq!(age_ms(&feed), Some(500));
    }

    #[test]
    fn what_was_complete_earlier_makes_nothing_younger_or_older() {
        let (feed, now) = feed();
        now.store(9_000, Ordering::Relaxed);
        feed.completed(feed.now());
        feed.completed(Moment(0));
        assert_eq!(age_ms(&feed), Some(0));
    }

    /// A machine that was started a moment ago hears of what was true before.
    #[test]
    fn knowledge_can_be_older_than_the_clock() {
        let (feed, _) = feed();
        feed.completed(Moment(-15_000));
        assert_eq!(age_ms(&feed), Some(15_000));
    }
}
