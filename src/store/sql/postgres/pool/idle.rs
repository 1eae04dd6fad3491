//! The connections that are open and not in use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnection;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

/// How long a connection is kept that is not needed.
const IDLE_MAX: Duration = Duration::from_secs(600);

/// How long a connection is used at most, so that servers which were added later get their share.
const LIFETIME_MAX: Duration = Duration::from_secs(1800);

/// Since when the connections of the pool are not to be used any more: those that were opened before
/// lead to a server that is going, gone, or takes no writes, and would do so for as long as they live.
#[derive(Clone, Debug, Default)]
pub(super) struct Retired(Arc<Mutex<Option<Instant>>>);

impl Retired {
    /// All connections that are open now are of no use.
    pub(super) fn all(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection of that age is one of them.
    pub(super) fn is(&self, age: Duration) -> bool {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| age > since.elapsed())
    }
}

/// A connection.
pub(super) struct Open {
    pub(super) connection: PgConnection,
    pub(super) since: Instant,
    used: Instant,
}

impl Open {
    /// One that was opened just now.
    pub(super) fn new(connection: PgConnection) -> Self {
        let now = Instant::now();
        Self { connection, since: now, used: now }
    }
}

/// The places of a pool, and the connections that are in none.
pub(super) struct Idle {
    pub(super) places: Arc<Semaphore>,
    pub(super) came_free: Notify,
    pub(super) retired: Retired,
    open: Mutex<Vec<Open>>,
}

impl Idle {
    /// No connection yet, and as many places.
    pub(super) fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            came_free: Notify::new(),
            retired: Retired::default(),
            open: Mutex::default(),
        }
    }

    /// Takes what is of use.
    pub(super) fn take(&self) -> Option<Open> {
        let mut open = self.lock();
        while let Some(last) = open.pop() {
            if self.is_of_use(&last) {
                return Some(last);
            }
        }
        None
    }

    /// Takes all, whatever they are good for.
    pub(super) fn take_all(&self) -> Vec<Open> {
        std::mem::take(&mut *self.lock())
    }

    /// How many there are, of use or not.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Keeps a connection for the next who needs one, if it is of use.
    pub(super) fn keep(&self, mut open: Open) {
        if self.places.is_closed() || !self.is_of_use(&open) {
            return;
        }
        open.used = Instant::now();
        let mut kept = self.lock();
        kept.retain(|open| self.is_of_use(open));
        kept.push(open);
    }

    fn is_of_use(&self, open: &Open) -> bool {
        let age = open.since.elapsed();
        !self.retired.is(age) && age < LIFETIME_MAX && open.used.elapsed() < IDLE_MAX
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_opened_before_is_retired_and_what_comes_after_is_not() {
        let retired = Retired::default();
        let second = Duration::from_secs(1);
        assert!(!retired.is(second));
        tokio::time::advance(second).await;
        retired.all();
        tokio::time::advance(second).await;
        assert!(retired.is(second * 2) && retired.is(second + Duration::from_millis(1)));
        assert!(!retired.is(second / 2));
    }
}
