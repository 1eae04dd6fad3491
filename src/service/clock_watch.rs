//! Comparing the clocks of this replica, of the token store and of the database, all the time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::error::{Error, Result};
use crate::domain::causes::with_causes;
use crate::domain::clock::Clock;
use crate::domain::timekeeper::{Odd, Timekeeper};
use crate::store::UserStore;

/// How often the clocks are compared.
const COMPARE_EVERY: Duration = Duration::from_secs(1);

/// What is known of the clocks, and the task that keeps it so. Cheap to clone.
///
/// The token store's clock is read wherever its data is looked at, see
/// [`JournaledTokenStore::keep`](crate::store::journaled::JournaledTokenStore::keep).
#[derive(Clone)]
pub struct ClockWatch {
    keeper: Arc<Timekeeper>,
    users: Arc<dyn UserStore>,
    /// Counts in place of the database's clock.
    laid_over: Option<Arc<dyn Clock>>,
    said: Arc<Mutex<Odd>>,
}

impl ClockWatch {
    /// Nothing is known before the first comparison.
    pub fn new(
        keeper: Arc<Timekeeper>,
        users: Arc<dyn UserStore>,
        laid_over: Option<Arc<dyn Clock>>,
    ) -> Self {
        Self { keeper, users, laid_over, said: Arc::default() }
    }

    /// Whose clock is odd.
    pub fn odd(&self) -> Odd {
        self.keeper.odd()
    }

    /// What knows it.
    pub(super) fn keeper(&self) -> Arc<Timekeeper> {
        self.keeper.clone()
    }

    /// Nothing begins here while this replica's clock is the odd one: tokens would be too old or not good
    /// yet elsewhere.
    /// (model: OddReplicaKeepsOut)
    ///
    /// # Errors
    /// [`Error::ClockSkew`].
    pub fn may_mint(&self) -> Result<()> {
        self.keeper.may_mint().map_err(Error::ClockSkew)
    }

    /// Reads the database's clock, and says who is odd when that has changed.
    pub async fn compare(&self) {
        let asked_at = self.keeper.monotonic();
        let time = match &self.laid_over {
            Some(clock) => Ok(Some(clock.now())),
            None => self.users.time().await,
        };
        match time {
            Ok(Some(time)) => self.keeper.observe_database(self.keeper.reading(asked_at, time)),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(error = %with_causes(&error), "the database's clock cannot be read just now");
            }
        }
        self.say(self.odd());
    }

    /// Does that for as long as it is polled.
    pub async fn keep_comparing(self) {
        loop {
            self.compare().await;
            tokio::time::sleep(COMPARE_EVERY).await;
        }
    }

    fn say(&self, odd: Odd) {
        let said = std::mem::replace(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner), odd);
        say_of("this replica", said.own, odd.own);
        say_of("the token store", said.token_store, odd.token_store);
        say_of("the database", said.database, odd.database);
    }
}

/// Once when it becomes odd, and once when it is no more.
fn say_of(whose: &'static str, before: Option<i64>, now: Option<i64>) {
    match (before, now) {
        (None, Some(ahead_ms)) => {
            tracing::error!(whose, ahead_ms, "a clock is wrong: look at its machine's time synchronisation")
        }
        (Some(_), None) => tracing::info!(whose, "the clock is right again"),
        (None, None) | (Some(_), Some(_)) => {}
    }
}
