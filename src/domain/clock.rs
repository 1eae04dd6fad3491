//! Time comes in from outside, so that every decision can be tested at the second it turns.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From whole seconds since the Unix epoch; beyond what milliseconds can count, the last of them.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down: a JWT's NumericDate (RFC 7519 2).
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The same moment as the standard library has it; never before 1970.
    pub fn to_system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }

    /// This moment and `span` more; stays at the end of time instead of wrapping.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(span)))
    }

    /// This moment and `span` less; stays at the beginning of time instead of wrapping.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(span)))
    }

    /// How long after `earlier` this moment lies; zero when it lies before it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(moment: SystemTime) -> Self {
        Self(millis_of(moment.duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// Milliseconds of a span as the stores keep them.
pub fn millis_of(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Where "now" comes from. One decision asks once.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// How long something has gone on, from some moment of its own: nobody sets this clock, and it goes
    /// on while the machine sleeps. Only differences mean anything.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn monotonic(&self) -> Duration {
        since_boot()
    }
}

/// The standard library's clock stops while the machine sleeps.
#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u32::try_from(now.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

/// On Windows it goes on while the machine sleeps; elsewhere it may stop, and a machine that slept is
/// found to be behind the stores.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

/// A clock that stands until it is moved: for tests, here and in programs that embed hallpass.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
    /// How far it was moved as time moves, and not set.
    passed: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn at(start: Timestamp) -> Self {
        Self { now: AtomicI64::new(start.as_millis()), passed: AtomicI64::new(0) }
    }

    /// Moves the clock forward, as time does.
    pub fn advance(&self, span: Duration) {
        self.now.fetch_add(millis_of(span), Ordering::SeqCst);
        self.passed.fetch_add(millis_of(span), Ordering::SeqCst);
    }

    /// Sets the clock to another moment, in which no time passes: somebody has corrected it, or got it
    /// wrong.
    pub fn set(&self, moment: Timestamp) {
        self.now.store(moment.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.passed.load(Ordering::SeqCst)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_lets_no_time_pass() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000));
        clock.advance(Duration::from_millis(5));
        clock.set(Timestamp::from_millis(500));
        assert_eq!((clock.now().as_millis(), clock.monotonic()), (500, Duration::from_millis(5)));
    }

    #[test]
    fn the_machines_monotonic_clock_goes_on() {
        let before = SystemClock.monotonic();
        while SystemClock.monotonic() == before {
            std::hint::spin_loop();
        }
        assert!(SystemClock.monotonic() > before);
    }

    #[test]
    fn seconds_round_down_also_before_the_epoch() {
        assert_eq!(Timestamp::from_millis(1_999).as_secs(), 1);
        assert_eq!(Timestamp::from_millis(-1).as_secs(), -1);
    }

    #[test]
    fn time_never_wraps() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.after(Duration::from_secs(1)), end);
        let beginning = Timestamp::from_millis(i64::MIN);
        assert_eq!(beginning.before(Duration::from_secs(1)), beginning);
        assert_eq!(Timestamp::from_millis(0).since(end), Duration::ZERO);
    }
}
