//! The clock that decides in Redis: its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::clock::{Clock, Timestamp, millis_of};
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

/// The moment that it tells.
pub(super) fn moment((seconds, micros): Time) -> Timestamp {
    Timestamp::from_millis(seconds.saturating_mul(1_000).saturating_add(micros / 1_000))
}

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
    pub(super) fn shown(&self, time: Time) -> Timestamp {
        self.laid_over.as_ref().map_or_else(|| moment(time), |clock| clock.now())
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
    moment.map(|moment| millis(moment).max(0).to_string()).unwrap_or_default()
}

impl fmt::Debug for StoreTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreTime")
    }
}

/// Lua counts in doubles: beyond 2^53 they are not exact, and that is 285,000 years from now.
const LUA_INTEGER_MAX: i64 = (1 << 53) - 1;

/// A moment as the scripts take it.
pub(super) fn millis(moment: Timestamp) -> i64 {
    moment.as_millis().clamp(-LUA_INTEGER_MAX, LUA_INTEGER_MAX)
}

/// A duration as the scripts take it, in milliseconds. At most a tenth of the largest number, so
/// that a sum of a few is one as well.
pub(super) fn span(duration: Duration) -> i64 {
    millis_of(duration).min(LUA_INTEGER_MAX / 10)
}

/// Whether a sorted set's score, in milliseconds, is `moment` or later. Both are far below 2^53, up to
/// which a double is exact.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since the epoch are exact in a double")]
pub(super) fn reaches(score: f64, moment: Timestamp) -> bool {
    score >= millis(moment) as f64
}

/// Whether a score lies after `now`.
pub(super) fn lies_after(score: f64, now: Timestamp) -> bool {
    reaches(score, now.after(Duration::from_millis(1)))
}
