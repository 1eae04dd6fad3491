//! The clock that decides in the embedded store: the process's own.

use std::fmt;
use std::sync::Arc;

use super::fault::Fault;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::timekeeper::Timekeeper;

/// The process's clock, and what is known of it.
#[derive(Clone)]
pub struct EmbeddedTime {
    /// The machine's own, whether or not it is odd.
    pub clock: Arc<dyn Clock>,
    /// Knows which time is plausible. Without one, any is.
    pub keeper: Option<Arc<Timekeeper>>,
}

impl EmbeddedTime {
    /// The present moment, whatever it is.
    pub(super) fn shown(&self) -> Timestamp {
        self.clock.now()
    }

    /// The present moment, if it can be: otherwise somebody has set the clock ahead, and what ends by it
    /// may have ended too early.
    /// (model: StoresClockDecides)
    pub(super) fn now(&self) -> Result<Timestamp, Fault> {
        let now = self.shown();
        match self.keeper.as_ref().is_none_or(|keeper| keeper.is_plausible(now)) {
            true => Ok(now),
            false => Err(Fault::Unvouched),
        }
    }
}

impl fmt::Debug for EmbeddedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmbeddedTime")
    }
}
