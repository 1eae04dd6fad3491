//! When what the issuer says was true, by this machine's clock.
//!
//! A statement that arrives late is as old as it is late, so what counts is the moment that it names,
//! by the issuer's clock. Where that stands against the local one is bounded by a request of our own:
//! the issuer looks at its clock after the request was sent. Of all that is possible the bound takes
//! what makes statements oldest.

use hyper::header::{HeaderMap, HeaderName};

use super::Moment;

/// What the issuer's clock showed when it wrote the answer, milliseconds.
const CLOCK: HeaderName = HeaderName::from_static("hallpass-clock");

/// For how long the bound is good: two clocks drift apart by some milliseconds in this time.
const GOOD_FOR_MS: i64 = 5 * 60 * 1_000;

/// By how much a statement may lie ahead of its arrival: what clocks drift apart by meanwhile.
const DRIFT_MS: i64 = 250;

/// By how much statements may become younger while one bound holds. An issuer's statement is up to a
/// second old when it is made, so more than that looks as if its clock had been set forward.
const SETTLING_MS: i64 = 1_000;

/// How long after a measurement another one is of use where statements are too old: the issuer's clock
/// may have been set back.
const MEASURED_AGAIN_MS: i64 = 10 * 1_000;

/// The issuer's clock against the local one, as one answer bounds it.
#[derive(Debug)]
pub(crate) struct IssuerClock {
    /// What the issuer's clock showed.
    showed: i64,
    /// The earliest moment at which it can have shown that.
    asked_at: Moment,
    answered_at: Moment,
    /// The most that a statement was late by since.
    latest_ms: Option<i64>,
}

/// The bound does not hold for what the issuer says: its clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the issuer's clock seems to have been set")]
pub(crate) struct ClockWasSet;

impl IssuerClock {
    /// What an answer says about the clock, between the moments at which it was asked for and came.
    pub(super) fn of_answer(asked_at: Moment, answered_at: Moment, headers: &HeaderMap) -> Option<Self> {
        let showed = headers.get(CLOCK)?.to_str().ok()?.trim().parse().ok()?;
        Some(Self { showed, asked_at, answered_at, latest_ms: None })
    }

    /// The moment that the issuer's clock shows as `stated`, or an earlier one.
    /// Counted from when it was asked, not from when the answer came (model: FreshFromTheBeginning).
    fn earliest(&self, stated: i64) -> Moment {
        // The clock showed a part of a millisecond more.
        let before = self.showed.saturating_sub(stated).saturating_add(1);
        Moment::from_millis(self.asked_at.millis().saturating_sub(before))
    }

    /// When something was true that the very answer says; `None` where it cannot have been.
    pub(super) fn moment_in_answer(&self, stated: i64) -> Option<Moment> {
        (stated <= self.showed).then(|| self.earliest(stated))
    }

    /// When something was true that was heard later.
    ///
    /// # Errors
    /// [`ClockWasSet`]: nothing is known of that moment, nor of those of later statements.
    pub(super) fn moment_of(&mut self, stated: i64, heard_at: Moment) -> Result<Moment, ClockWasSet> {
        let moment = self.earliest(stated);
        let late_ms = heard_at.millis().saturating_sub(moment.millis());
        let latest_ms = self.latest_ms.map_or(late_ms, |latest| latest.max(late_ms));
        self.latest_ms = Some(latest_ms);
        if late_ms < -DRIFT_MS || latest_ms.saturating_sub(late_ms) > SETTLING_MS {
            return Err(ClockWasSet);
        }
        Ok(moment.min(heard_at))
    }

    /// Whether it should be measured again.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        now.millis().saturating_sub(self.asked_at.millis()) >= GOOD_FOR_MS
    }

    /// Whether measuring again may help where statements are too old to be of use.
    pub(super) fn may_be_wrong(&self, now: Moment) -> bool {
        now.millis().saturating_sub(self.answered_at.millis()) >= MEASURED_AGAIN_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The issuer's clock shows this much more than ours.
    const AHEAD: i64 = 2_000_000_000_000;

    fn at(millis: i64) -> Moment {
        Moment::from_millis(millis)
    }

    /// Asked at 1,000; the request took `there` until the issuer looked at its clock.
    fn measured(there: i64) -> IssuerClock {
        let mut headers = HeaderMap::new();
        headers.insert(CLOCK, (AHEAD + 1_000 + there).to_string().parse().expect("a number"));
        IssuerClock::of_answer(at(1_000), at(4_000), &headers).expect("a clock")
    }

    #[test]
    fn a_statement_is_as_old_as_it_is_late_and_never_thought_younger() {
        for there in [0, 1, 40, 15_000] {
            for late in [0, 700, 15_000] {
                let (stated, heard) = (20_000, 20_000 + late);
                let moment = measured(there).moment_of(AHEAD + stated, at(heard)).expect("a moment");
                assert_eq!(moment, at(stated - there - 1), "{there} {late}");
            }
        }
    }

    #[test]
    fn what_an_answer_says_of_itself_is_no_younger_than_the_question() {
        let clock = measured(40);
        assert_eq!(clock.moment_in_answer(AHEAD + 1_040), Some(at(999)));
        assert_eq!(clock.moment_in_answer(AHEAD + 790), Some(at(749)));
        assert_eq!(clock.moment_in_answer(AHEAD + 1_041), None, "the clock was set back in between");
    }

    #[test]
    fn a_clock_that_was_set_forward_makes_nothing_younger() {
        // By more than the feed is late: the statement lies ahead.
        assert_eq!(measured(0).moment_of(AHEAD + 20_000, at(19_700)), Err(ClockWasSet));
        assert_eq!(measured(0).moment_of(AHEAD + 3_600_000, at(19_700)), Err(ClockWasSet));
        // By less: it is younger than those before by more than it can be.
        let mut clock = measured(0);
        assert!(clock.moment_of(AHEAD + 20_000, at(35_000)).is_ok());
        assert!(clock.moment_of(AHEAD + 21_000, at(36_000)).is_ok());
        for later in [0, 1_000, 2_000] {
            let stepped = clock.moment_of(AHEAD + 22_000 + 14_000 + later, at(37_000 + later));
            assert_eq!(stepped, Err(ClockWasSet), "and stays so");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_makes_everything_older() {
        let mut clock = measured(0);
        assert_eq!(clock.moment_of(AHEAD + 20_000, at(20_000)), Ok(at(19_999)));
        assert_eq!(clock.moment_of(AHEAD + 11_000, at(21_000)), Ok(at(10_999)));
    }

    #[test]
    fn clocks_that_drift_and_statements_that_vary_are_nothing_to_wonder_at() {
        let mut clock = measured(0);
        assert_eq!(clock.moment_of(AHEAD + 20_000, at(20_900)), Ok(at(19_999)));
        assert_eq!(clock.moment_of(AHEAD + 21_900, at(21_901)), Ok(at(21_899)));
        assert_eq!(clock.moment_of(AHEAD + 23_000, at(22_900)), Ok(at(22_900)), "not in the future");
    }

    #[test]
    fn a_measurement_is_good_for_five_minutes() {
        let clock = measured(0);
        assert!(!clock.is_over(at(300_999)));
        assert!(clock.is_over(at(301_000)));
        // An answer that is late itself says all there is to say at first.
        assert!(!clock.may_be_wrong(at(13_999)));
        assert!(clock.may_be_wrong(at(14_000)));
    }

    #[test]
    fn an_answer_that_shows_no_clock_is_no_measurement() {
        let mut headers = HeaderMap::new();
        assert!(IssuerClock::of_answer(at(0), at(0), &headers).is_none());
        for text in ["", "soon", "1.5", "1e3"] {
            headers.insert(CLOCK, text.parse().expect("a value"));
            assert!(IssuerClock::of_answer(at(0), at(0), &headers).is_none(), "{text:?}");
        }
    }

    #[test]
    fn numbers_without_bounds_do_not_wrap() {
        for stated in [i64::MIN, i64::MAX] {
            let _ = measured(0).moment_of(stated, at(0));
            let _ = measured(0).moment_in_answer(stated);
        }
        assert_eq!(measured(0).moment_of(i64::MAX, at(0)), Err(ClockWasSet));
    }
}
