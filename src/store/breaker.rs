//! A circuit breaker: when a store is away, callers learn it at once instead of waiting in line.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::{self, Store};

/// Counts failures in a row; after so many of them lets nobody through for a while, then one
/// caller at a time until one succeeds.
///
/// Its timer is a task's own and decides nothing about tokens, hence tokio's clock.
#[derive(Debug)]
pub(super) struct Breaker {
    /// Before what it stands.
    store: Store,
    threshold: u32,
    pause: Duration,
    chance: RandomState,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    Probing,
}

impl State {
    fn is_closed(self) -> bool {
        matches!(self, Self::Closed { .. })
    }
}

/// The breaker is open: the call was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not asked: the last calls failed")]
pub(super) struct Open;

/// Leave to make one call. Dropped without a verdict (the caller went away), it counts as none.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

impl Breaker {
    /// A breaker before that store, which opens after `threshold` failures in a row, for `pause` at most.
    pub(super) fn new(store: Store, threshold: u32, pause: Duration) -> Self {
        let state = Mutex::new(State::Closed { failures: 0 });
        Self { store, threshold, pause, chance: RandomState::new(), state }
    }

    /// The next pause, from three quarters to all of its length: replicas that have lost a store together do not
    /// all ask it at once when it comes back. Hash maps are seeded differently in each process, which is all
    /// the chance that this needs.
    fn next_pause(&self, now: Instant) -> Duration {
        let bits = self.chance.hash_one(now) >> 32;
        let fraction = f64::from(u32::try_from(bits).unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        self.pause - (self.pause / 4).mul_f64(fraction)
    }

    /// Leave to make one call, unless the breaker is open.
    pub(super) fn acquire(&self) -> Result<Permit<'_>, Open> {
        let mut state = self.state();
        let is_probe = match *state {
            State::Closed { .. } => false,
            State::Open { until } if Instant::now() >= until => true,
            State::Open { .. } | State::Probing => {
                metrics::store_failed(self.store);
                return Err(Open);
            }
        };
        if is_probe {
            *state = State::Probing;
        }
        Ok(Permit { breaker: self, is_probe })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Breaker {
    /// What is not there any more does not stand open.
    fn drop(&mut self) {
        if !self.state().is_closed() {
            metrics::breaker_stands(self.store, false);
        }
    }
}

impl Permit<'_> {
    /// The store answered: everybody may pass.
    pub(super) fn succeeded(mut self) {
        self.is_probe = false;
        let before = std::mem::replace(&mut *self.breaker.state(), State::Closed { failures: 0 });
        if !before.is_closed() {
            metrics::breaker_stands(self.breaker.store, false);
        }
    }

    /// No answer came.
    pub(super) fn failed(mut self) {
        metrics::store_failed(self.breaker.store);
        let mut state = self.breaker.state();
        let now = Instant::now();
        let open = State::Open { until: now + self.breaker.next_pause(now) };
        let was_closed = state.is_closed();
        *state = match *state {
            State::Closed { failures } if failures + 1 < self.breaker.threshold => {
                State::Closed { failures: failures + 1 }
            }
            State::Closed { .. } => open,
            State::Probing if self.is_probe => open,
            // A call from before the breaker opened: nothing new.
            unchanged => unchanged,
        };
        let has_opened = matches!(*state, State::Open { .. });
        drop(state);
        if has_opened {
            metrics::breaker_opened(self.breaker.store);
        }
        if has_opened && was_closed {
            metrics::breaker_stands(self.breaker.store, true);
        }
        self.is_probe = false;
    }
}

impl Drop for Permit<'_> {
    /// A probe that was given up lets the next caller try.
    fn drop(&mut self) {
        if self.is_probe {
            let mut state = self.breaker.state();
            if matches!(*state, State::Probing) {
                *state = State::Open { until: Instant::now() };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(500);

    fn breaker() -> Breaker {
        Breaker::new(Store::Database, 3, PAUSE)
    }

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.acquire().expect("a permit").failed();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_so_many_failures_in_a_row() {
        let breaker = breaker();
        fail(&breaker, 2);
        breaker.acquire().expect("still closed").succeeded();
        fail(&breaker, 3);
        assert_eq!(breaker.acquire().err(), Some(Open));
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_pause_one_caller_at_a_time_may_try() {
        let breaker = breaker();
        fail(&breaker, 3);
        tokio::time::advance(PAUSE * 3 / 4 - Duration::from_millis(1)).await;
        assert!(breaker.acquire().is_err());
        tokio::time::advance(PAUSE / 4 + Duration::from_millis(1)).await;
        let probe = breaker.acquire().expect("a probe");
        assert!(breaker.acquire().is_err(), "one at a time");
        probe.failed();
        assert!(breaker.acquire().is_err(), "open again");
        tokio::time::advance(PAUSE).await;
        breaker.acquire().expect("the next probe").succeeded();
        let (first, second) = (breaker.acquire(), breaker.acquire());
        assert!(first.is_ok() && second.is_ok(), "closed again");
    }

    /// Of replicas that have lost a store together, and of one replica's attempts.
    #[tokio::test(start_paused = true)]
    async fn no_two_pauses_are_alike() {
        let now = Instant::now();
        let pauses: std::collections::BTreeSet<_> = (0..20).map(|_| breaker().next_pause(now)).collect();
        assert!(pauses.len() > 10, "{pauses:?}");
        assert!(pauses.iter().all(|pause| (PAUSE * 3 / 4..=PAUSE).contains(pause)), "{pauses:?}");
        let one = breaker();
        assert_ne!(one.next_pause(now), one.next_pause(now + PAUSE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_given_up_lets_the_next_caller_try() {
        let breaker = breaker();
        fail(&breaker, 3);
        tokio::time::advance(PAUSE).await;
        drop(breaker.acquire().expect("a probe"));
        assert!(breaker.acquire().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_calls_that_began_before_do_not_prolong_the_pause() {
        let breaker = breaker();
        let (early, earlier) = (breaker.acquire().expect("a permit"), breaker.acquire().expect("a permit"));
        fail(&breaker, 3);
        tokio::time::advance(PAUSE).await;
        early.failed();
        let probe = breaker.acquire().expect("a probe");
        earlier.failed();
        probe.succeeded();
        assert!(breaker.acquire().is_ok());
    }
}
