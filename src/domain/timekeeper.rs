//! Who is odd: the clocks of this process, of the token store and of the database, compared all the
//! time.
//!
//! Verdicts go by numbers, not by clocks; where a moment decides, the token store's clock does. This
//! process's own clock still says when a token begins and ends, so it must not be the odd one: one that
//! differs from the majority (with two clocks: from the token store) by more than the tolerance. An odd
//! process mints and prunes nothing, and goes by the others' time until it is mended. A token store whose
//! clock has jumped ahead may have forgotten what it was to remember.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::clock::{Clock, Timestamp, millis_of};

/// Clocks that were read over a network are not told apart more finely than this.
const TOLERANCE_MIN: Duration = Duration::from_secs(1);

/// Compares clocks, and is the one that the process goes by.
pub struct Timekeeper {
    own: Arc<dyn Clock>,
    tolerance: i64,
    judgement: ArcSwap<Judgement>,
    /// Whether the token store was seen to show a time that it cannot have reached.
    store_jumped: AtomicBool,
}

/// What a clock showed that can only be asked: somewhere within these bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Least and greatest difference to the monotonic clock, ms.
    least: i64,
    greatest: i64,
}

impl Reading {
    /// By how much the two differ at least, ms; positive where this one is ahead.
    fn ahead_of(self, other: Self) -> i64 {
        if self.least > other.greatest {
            self.least - other.greatest
        } else if self.greatest < other.least {
            self.greatest - other.least
        } else {
            0
        }
    }

    fn middle(self) -> i64 {
        self.least + (self.greatest - self.least) / 2
    }
}

/// Who differs from whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Judgement {
    /// Each clock when it was last read; our own at the last of these times.
    own: Option<Reading>,
    store: Option<Reading>,
    database: Option<Reading>,
    odd: Odd,
}

/// Whose clock is odd, and by how much it is ahead of the others (negative: behind them), in
/// milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Odd {
    /// This process's.
    pub own: Option<i64>,
    /// The token store's.
    pub token_store: Option<i64>,
    /// The database's.
    pub database: Option<i64>,
}

/// This process's clock is the odd one: it mints nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this replica's clock differs from the stores' clocks by {} ms", self.0)]
pub struct ClockSkew(pub i64);

impl Judgement {
    /// Majority decides; without one, the token store's clock.
    fn judge(self, tolerance: i64) -> Odd {
        let Some(own) = self.own else { return Odd::default() };
        let differs = |ahead: i64| ahead.abs() > tolerance;
        let of_store = self.store.map(|store| own.ahead_of(store)).filter(|ahead| differs(*ahead));
        let of_database =
            self.database.map(|database| own.ahead_of(database)).filter(|ahead| differs(*ahead));
        match (of_store, of_database) {
            (None, None) => Odd::default(),
            // Two against one, where there are three.
            (None, Some(ahead)) => Odd { database: Some(-ahead), ..Odd::default() },
            (Some(ahead), None) if self.database.is_some() => {
                Odd { token_store: Some(-ahead), ..Odd::default() }
            }
            (Some(ahead), None) => Odd { own: Some(ahead), ..Odd::default() },
            (Some(ahead), Some(_)) => {
                let apart =
                    self.database.zip(self.store).map_or(0, |(database, store)| database.ahead_of(store));
                Odd {
                    own: Some(ahead),
                    database: Some(apart).filter(|apart| differs(*apart)),
                    ..Odd::default()
                }
            }
        }
    }
}

impl Timekeeper {
    /// Goes by `own` until it has heard of the others, and takes clocks for equal that differ by at most
    /// `tolerance` (at least a second).
    pub fn new(own: Arc<dyn Clock>, tolerance: Duration) -> Self {
        Self {
            own,
            tolerance: millis_of(tolerance.max(TOLERANCE_MIN)),
            judgement: ArcSwap::from_pointee(Judgement::default()),
            store_jumped: AtomicBool::new(false),
        }
    }

    fn elapsed(&self) -> i64 {
        millis_of(self.own.monotonic())
    }

    /// What a clock showed that was asked at `asked_at`, by [`Clock::monotonic`], and has just answered.
    pub fn reading(&self, asked_at: Duration, time: Timestamp) -> Reading {
        let time = time.as_millis();
        let (asked, heard) = (millis_of(asked_at), self.elapsed());
        Reading { least: time.saturating_sub(heard), greatest: time.saturating_sub(asked) }
    }

    fn own_reading(&self) -> Reading {
        let difference = self.own.now().as_millis().saturating_sub(self.elapsed());
        Reading { least: difference, greatest: difference }
    }

    fn learn(&self, learn: impl Fn(&mut Judgement)) {
        self.judgement.rcu(|known| {
            let mut judgement = **known;
            judgement.own = Some(self.own_reading());
            learn(&mut judgement);
            judgement.odd = judgement.judge(self.tolerance);
            judgement
        });
    }

    /// The token store's clock was read, and it is reckoned by that from now on.
    pub fn observe_token_store(&self, reading: Reading) {
        self.learn(|judgement| judgement.store = Some(reading));
        self.store_jumped.store(false, Ordering::Release);
    }

    /// The database's clock was read.
    pub fn observe_database(&self, reading: Reading) {
        self.learn(|judgement| judgement.database = Some(reading));
    }

    /// The latest moment that the token store's clock can show just now, unless it was set. `None` before
    /// it was first read.
    pub fn latest_store_time(&self) -> Option<Timestamp> {
        let store = self.judgement.load().store?;
        Some(Timestamp::from_millis(
            store.greatest.saturating_add(self.elapsed()).saturating_add(self.tolerance),
        ))
    }

    /// Whether the token store can show that moment now without having been set. If not, that is kept in
    /// mind until its clock is observed anew: what it has forgotten has to be made good before.
    /// (model: StoresClockDecides)
    pub fn is_plausible(&self, time: Timestamp) -> bool {
        let is_plausible = self.latest_store_time().is_none_or(|latest| time <= latest);
        if !is_plausible {
            self.note_store_jump();
        }
        is_plausible
    }

    /// The token store has found that its clock shows what it cannot.
    pub fn note_store_jump(&self) {
        self.store_jumped.store(true, Ordering::Release);
    }

    /// Whether the token store has shown a time that it can only have been set to.
    pub fn has_store_jumped(&self) -> bool {
        self.store_jumped.load(Ordering::Acquire)
    }

    /// What the token store's clock shows now, as far as is known; this process's own before it was
    /// first read.
    pub fn store_time(&self) -> Timestamp {
        match self.judgement.load().store {
            Some(store) => Timestamp::from_millis(store.middle().saturating_add(self.elapsed())),
            None => self.own.now(),
        }
    }

    /// By how much the clocks that were read are ahead of this process's, milliseconds: the token store's and the
    /// database's.
    pub fn offsets(&self) -> [Option<i64>; 2] {
        let judgement = self.judgement.load();
        let own = self.own_reading().middle();
        [judgement.store, judgement.database].map(|read| Some(read?.middle() - own))
    }

    /// Whose clock is odd.
    pub fn odd(&self) -> Odd {
        let judgement = self.judgement.load();
        let own = judgement.odd.own.or_else(|| self.own_jump(&judgement));
        Odd { own, ..judgement.odd }
    }

    /// Whether this process may say when something begins and ends.
    /// (model: OddReplicaKeepsOut)
    ///
    /// # Errors
    /// [`ClockSkew`] where its clock is the odd one.
    pub fn may_mint(&self) -> Result<(), ClockSkew> {
        self.odd().own.map_or(Ok(()), |ahead| Err(ClockSkew(ahead)))
    }

    /// By how much our own clock was set since it was last compared, where that is more than the
    /// tolerance.
    fn own_jump(&self, judgement: &Judgement) -> Option<i64> {
        let ahead = self.own_reading().ahead_of(judgement.own?);
        Some(ahead).filter(|ahead| ahead.abs() > self.tolerance)
    }
}

/// The time that the process goes by: its own clock's, and where that is the odd one the others'.
impl Clock for Timekeeper {
    fn now(&self) -> Timestamp {
        let judgement = self.judgement.load();
        let by_others = match (judgement.odd.own, judgement.own, judgement.store) {
            (Some(_), _, Some(store)) => Some(store.middle()),
            (None, Some(own), _) if self.own_jump(&judgement).is_some() => Some(own.middle()),
            _ => None,
        };
        by_others.map_or_else(
            || self.own.now(),
            |difference| Timestamp::from_millis(difference.saturating_add(self.elapsed())),
        )
    }

    fn monotonic(&self) -> Duration {
        self.own.monotonic()
    }
}

#[cfg(test)]
mod tests;
