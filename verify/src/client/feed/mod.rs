//! The issuer's revocations, followed as they happen.

mod follower;
mod snapshot;
mod sse;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

pub(crate) use follower::{Follower, Progress};

use crate::denylist::Denylist;

/// What is known of the issuer's revocations, and how long ago it was complete.
pub(crate) struct Feed {
    denylist: ArcSwap<Denylist>,
    started_at: Instant,
    /// Milliseconds from the start to the moment up to which nothing is missing, plus one; 0 for never.
    complete_at: AtomicU64,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self {
            denylist: ArcSwap::from_pointee(Denylist::new()),
            started_at: Instant::now(),
            complete_at: AtomicU64::new(0),
        }
    }

    /// How old the knowledge is; `None` when there never was any.
    ///
    /// Ask this before the list: a list that was looked at first could be an older one.
    pub(crate) fn age(&self) -> Option<Duration> {
        let millis = self.complete_at.load(Ordering::Acquire).checked_sub(1)?;
        Some(self.started_at.elapsed().saturating_sub(Duration::from_millis(millis)))
    }

    pub(crate) fn denylist(&self) -> arc_swap::Guard<Arc<Denylist>> {
        self.denylist.load()
    }

    /// Everything up to that moment is in the list.
    fn completed(&self, at: Instant) {
        let since_start = at.saturating_duration_since(self.started_at).as_millis();
        let millis = u64::try_from(since_start).unwrap_or(u64::MAX - 1);
        self.complete_at.fetch_max(millis + 1, Ordering::Release);
    }

    /// Puts another list in the place of the one that is there, in one step.
    fn replace(&self, denylist: Denylist) {
        self.denylist.store(Arc::new(denylist));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn knowledge_grows_old_until_it_is_complete_again() {
        let feed = Feed::new();
        assert_eq!(feed.age(), None);
        feed.completed(Instant::now());
        assert_eq!(feed.age(), Some(Duration::ZERO));
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert_eq!(feed.age(), Some(Duration::from_millis(1_500)));
        feed.completed(Instant::now() - Duration::from_millis(500));
        assert_eq!(feed.age(), Some(Duration::from_millis(500)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_complete_earlier_makes_nothing_younger_or_older() {
        let feed = Feed::new();
        let start = Instant::now();
        tokio::time::advance(Duration::from_secs(9)).await;
        feed.completed(Instant::now());
        feed.completed(start);
        assert_eq!(feed.age(), Some(Duration::ZERO));
    }
}
