//! The clock that decides in Redis: its own.

use std::fmt;
use std::sync::Arc;

use crate::domain::clock::{Clock, Timestamp};
use crate::domain::timekeeper::Timekeeper;
use crate::store::vouching::{BackendError, BackendResult};

/// What is to be known of the clock of Redis before something is decided by it.
#[derive(Clone, Default)]
pub struct StoreTime {
    /// Knows which time is plausible. Without one, any is: nothing was observed yet.
    pub keeper: Option<Arc<Timekeeper>>,
    /// Counts in place of the clock of Redis: for tests, which move it.
    pub laid_over: Option<Arc<dyn Clock>>,
}

/// What `TIME` answers: seconds and microseconds.
pub(super) type Time = (i64, i64);

impl StoreTime {
    /// The moment as scripts take it, see `moment` in prelude.lua.
    pub(super) fn argument(&self) -> String {
        let latest = self.keeper.as_ref().and_then(|keeper| keeper.latest_store_time());
        format!("{}:{}", digits(latest), self.laid_over())
    }

    /// The same where any time is right: what the store has forgotten is made good, or attempts are counted.
    pub(super) fn argument_of_any_time(&self) -> String {
        format!(":{}", self.laid_over())
    }

    fn laid_over(&self) -> String {
        digits(self.laid_over.as_ref().map(|clock| clock.now()))
    }

    /// The moment that an answer of `TIME` tells.
    pub(super) fn shown(&self, (seconds, micros): Time) -> Timestamp {
        match &self.laid_over {
            Some(clock) => clock.now(),
            None => Timestamp::from_millis(seconds.saturating_mul(1_000).saturating_add(micros / 1_000)),
        }
    }

    /// The same, if it can be.
    /// (model: StoresClockDecides)
    pub(super) fn decisive(&self, time: Time) -> BackendResult<Timestamp> {
        let now = self.shown(time);
        match self.keeper.as_ref().is_none_or(|keeper| keeper.is_plausible(now)) {
            true => Ok(now),
            false => Err(BackendError::Unvouched),
        }
    }

    /// A script has found the time implausible.
    pub(super) fn has_jumped(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.note_store_jump();
        }
    }
}

fn digits(moment: Option<Timestamp>) -> String {
    moment.map(|moment| super::time(moment).max(0).to_string()).unwrap_or_default()
}

impl fmt::Debug for StoreTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreTime")
    }
}
