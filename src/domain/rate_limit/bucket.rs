//! How often something may be done.
//!
//! The rule is GCRA in its form of a leaky bucket (ITU-T I.371, Annex A: the continuous-state leaky
//! bucket). It counts in whole units, so that it turns to the millisecond and two stores that follow
//! it cannot disagree: with a rate of `burst` in `period`, a take fills `period` in ms, each
//! millisecond leaks `burst`, and there is room for `burst` takes.

use std::time::Duration;

use crate::domain::clock::{Timestamp, millis_of};

/// The greatest burst. With [`PERIOD_MAX`] it keeps all units of a bucket exact in a double, in
/// which Redis' scripts count.
pub const BURST_MAX: u32 = 1_000_000;

/// The longest period.
pub const PERIOD_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// So many at once, refilled evenly over a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    burst: u32,
    period: Duration,
}

/// Why there is no such rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// A count of 0 would refuse everything, and one beyond [`BURST_MAX`] limits nothing.
    #[error("has a count that is not within 1 and {BURST_MAX}")]
    Burst,
    /// Not a whole number of seconds within 1 second and [`PERIOD_MAX`].
    #[error("has a duration that is not in whole seconds from 1s to 24h")]
    Period,
}

impl Rate {
    /// `burst` at once, refilled evenly over `period`.
    ///
    /// # Errors
    /// [`RateError`].
    pub fn new(burst: u32, period: Duration) -> Result<Self, RateError> {
        if !(1..=BURST_MAX).contains(&burst) {
            return Err(RateError::Burst);
        }
        if period.subsec_nanos() != 0 || !(Duration::from_secs(1)..=PERIOD_MAX).contains(&period) {
            return Err(RateError::Period);
        }
        Ok(Self { burst, period })
    }

    /// How many at once.
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// How long until all of them are there again.
    pub const fn period(self) -> Duration {
        self.period
    }

    /// What one place may take of an account's rate: a third of it, and one at least.
    pub const fn share_of_a_place(self) -> Self {
        let third = self.burst / 3;
        Self { burst: if third == 0 { 1 } else { third }, period: self.period }
    }

    /// What one take fills.
    fn units_per_take(self) -> i64 {
        millis_of(self.period)
    }

    /// What leaks in one millisecond.
    fn units_per_milli(self) -> i64 {
        i64::from(self.burst)
    }

    fn room(self) -> i64 {
        self.units_per_take().saturating_mul(self.units_per_milli())
    }

    /// How long until `units` have leaked.
    fn time_to_leak(self, units: i64) -> Duration {
        Duration::from_millis(units.max(0).unsigned_abs().div_ceil(u64::from(self.burst)))
    }
}

/// How full a bucket is. What the units mean depends on the bucket's [`Rate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// What is in it.
    pub units: i64,
    /// As of when.
    pub at: Timestamp,
}

impl Fill {
    /// Nothing is in it.
    pub const fn empty(at: Timestamp) -> Self {
        Self { units: 0, at }
    }

    /// One more, if there is room; else the bucket stays as it is. Answers whether there was.
    pub fn take(self, rate: Rate, now: Timestamp) -> (Self, bool) {
        let leaked = self.leaked(rate, now);
        let units = leaked.units + rate.units_per_take();
        match units <= rate.room() {
            true => (Self { units, ..leaked }, true),
            false => (leaked, false),
        }
    }

    /// One less, of what has not leaked yet.
    pub fn give_back(self, rate: Rate, now: Timestamp) -> Self {
        let leaked = self.leaked(rate, now);
        Self { units: (leaked.units - rate.units_per_take()).max(0), ..leaked }
    }

    /// What is left of it at `now`. Nothing has leaked where `now` lies before (the clock was put back), and
    /// from now on it does.
    /// (model: StoresClockDecides)
    fn leaked(self, rate: Rate, now: Timestamp) -> Self {
        let elapsed = now.since(self.at);
        let units = match elapsed >= rate.period {
            true => 0,
            false => self.units.min(rate.room()) - millis_of(elapsed) * rate.units_per_milli(),
        };
        Self { units: units.max(0), at: now }
    }

    /// When nothing is in it any more: it need not be kept longer.
    pub fn empty_at(self, rate: Rate) -> Timestamp {
        self.at.after(rate.time_to_leak(self.units))
    }

    /// What can still be taken.
    pub fn level(self, rate: Rate) -> Level {
        let left = rate.room() - self.units;
        let remaining = left.div_euclid(rate.units_per_take());
        let missing = (remaining + 1) * rate.units_per_take() - left;
        let is_full = self.units == 0;
        Level {
            remaining: u32::try_from(remaining).unwrap_or(0),
            more_in: if is_full { Duration::ZERO } else { rate.time_to_leak(missing) },
        }
    }
}

/// What can be taken of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// How many at once.
    pub remaining: u32,
    /// How long until it is one more; zero when there are no more than these.
    pub more_in: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_796_169_600_123);

    fn rate(burst: u32, seconds: u64) -> Rate {
        Rate::new(burst, Duration::from_secs(seconds)).expect("a rate")
    }

    fn at(ms: u64) -> Timestamp {
        START.after(Duration::from_millis(ms))
    }

    /// A bucket of which `burst` were taken at the start.
    fn exhausted(rate: Rate) -> Fill {
        (0..rate.burst()).fold(Fill::empty(START), |fill, _| {
            let (fill, admitted) = fill.take(rate, START);
            assert!(admitted);
            fill
        })
    }

    #[test]
    fn a_rate_keeps_within_its_bounds() {
        let second = Duration::from_secs(1);
        assert!(Rate::new(1, second).is_ok() && Rate::new(BURST_MAX, PERIOD_MAX).is_ok());
        assert_eq!(Rate::new(0, second), Err(RateError::Burst));
        assert_eq!(Rate::new(BURST_MAX + 1, second), Err(RateError::Burst));
        for bad in [Duration::ZERO, Duration::from_millis(1500), PERIOD_MAX + second] {
            assert_eq!(Rate::new(1, bad), Err(RateError::Period), "{bad:?}");
        }
        assert!(rate(BURST_MAX, 86_400).room() < 1 << 53, "exact in a double");
    }

    #[test]
    fn a_place_has_a_third_of_an_accounts_rate_and_one_at_least() {
        for (whole, share) in [(1, 1), (2, 1), (3, 1), (5, 1), (6, 2), (20, 6), (60, 20)] {
            assert_eq!(rate(whole, 900).share_of_a_place(), rate(share, 900), "{whole}");
        }
    }

    #[test]
    fn a_bucket_admits_its_burst_and_not_one_more() {
        for rate in [rate(1, 1), rate(7, 1), rate(60, 900), rate(BURST_MAX, 86_400)] {
            let full = match rate.burst() {
                BURST_MAX => Fill { units: rate.room(), at: START },
                _ => exhausted(rate),
            };
            assert_eq!(full.take(rate, START), (full, false), "{rate:?}");
        }
    }

    /// 7 in a second: one in 142.857 ms, so it is back after 143.
    #[test]
    fn a_place_is_free_again_to_the_millisecond() {
        for (rate, ms) in
            [(rate(7, 1), 143), (rate(60, 900), 15_000), (rate(300, 60), 200), (rate(1, 1), 1000)]
        {
            let full = exhausted(rate);
            assert!(!full.take(rate, at(ms - 1)).1, "{rate:?}");
            let (again, admitted) = full.take(rate, at(ms));
            assert!(admitted, "{rate:?}");
            assert!(!again.take(rate, at(ms)).1, "{rate:?}: one place, not two");
            assert_eq!(full.level(rate), Level { remaining: 0, more_in: Duration::from_millis(ms) });
        }
    }

    /// Asking at every millisecond gets no more than the rate says.
    #[test]
    fn thirds_of_a_millisecond_do_not_add_up() {
        let rate = rate(7, 1);
        let (mut fill, mut admitted) = (exhausted(rate), 0);
        for ms in 1..=10_000 {
            let (next, is_admitted) = fill.take(rate, at(ms));
            fill = next;
            admitted += u32::from(is_admitted);
        }
        assert_eq!(admitted, 70, "ten periods' worth");
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let rate = rate(3, 60);
        let full = exhausted(rate);
        let less = full.give_back(rate, START);
        assert_eq!(less.level(rate).remaining, 1);
        let (full_again, admitted) = less.take(rate, START);
        assert!(admitted);
        assert_eq!(full_again, full);
        assert_eq!(Fill::empty(START).give_back(rate, START), Fill::empty(START), "never more than there is");
        let late = full.give_back(rate, at(50_000));
        assert_eq!(late.units, 0, "it has leaked meanwhile");
    }

    #[test]
    fn an_untouched_bucket_is_empty_after_its_period() {
        let rate = rate(60, 900);
        let full = exhausted(rate);
        assert_eq!(full.empty_at(rate), at(900_000));
        assert_eq!(full.give_back(rate, at(900_000)), Fill::empty(at(900_000)));
        let (one, _) = Fill::empty(START).take(rate, START);
        assert_eq!(one.empty_at(rate), at(15_000));
    }

    #[test]
    fn a_level_says_when_one_more_is_there() {
        let rate = rate(4, 8);
        assert_eq!(Fill::empty(START).level(rate), Level { remaining: 4, more_in: Duration::ZERO });
        let (one, _) = Fill::empty(START).take(rate, START);
        assert_eq!(one.level(rate), Level { remaining: 3, more_in: Duration::from_secs(2) });
        let (later, _) = one.take(rate, at(500));
        assert_eq!(later.level(rate), Level { remaining: 2, more_in: Duration::from_millis(1500) });
    }

    #[test]
    fn a_bucket_leaks_on_from_when_the_clock_was_put_back() {
        let rate = rate(2, 60);
        let full = exhausted(rate);
        let before = Timestamp::from_millis(START.as_millis() - 3_600_000);
        assert_eq!(full.take(rate, before), (Fill { at: before, ..full }, false));
        let (fill, admitted) = full.give_back(rate, before).take(rate, before);
        assert!(admitted);
        assert_eq!(fill, Fill { at: before, ..full });
        assert!(fill.take(rate, before.after(Duration::from_secs(30))).1);
    }

    #[test]
    fn the_end_of_time_is_no_error() {
        let rate = rate(BURST_MAX, 86_400);
        let end = Timestamp::from_millis(i64::MAX);
        let (fill, admitted) = Fill::empty(Timestamp::from_millis(i64::MIN)).take(rate, end);
        assert!(admitted);
        assert_eq!(fill.empty_at(rate), end);
    }
}
