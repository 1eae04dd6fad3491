use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Where the time of day comes from, which the times of tokens are compared with.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    pub(crate) fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.0)()
    }
}

impl Default for Clock {
    /// The machine's.
    fn default() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Where the time comes from that ages are counted by: since some moment, with the time in which the
/// machine slept. Setting the time of day does not move it.
#[derive(Clone)]
pub(crate) struct Monotonic(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Monotonic {
    pub(crate) fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> Duration {
        (self.0)()
    }
}

impl Default for Monotonic {
    /// The machine's.
    fn default() -> Self {
        Self::new(since_boot)
    }
}

impl fmt::Debug for Monotonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Monotonic")
    }
}

/// The standard library's clock stops on these systems while the machine sleeps.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn since_boot() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    // On Apple's systems this one does not stop.
    #[cfg(target_vendor = "apple")]
    let clock = ClockId::Monotonic;
    #[cfg(not(target_vendor = "apple"))]
    let clock = ClockId::Boottime;
    let now = clock_gettime(clock);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u32::try_from(now.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

/// On Windows it goes on while the machine sleeps.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn since_boot() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;
    #[allow(clippy::disallowed_methods)]
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_clock_goes_on() {
        let clock = Monotonic::default();
        let before = clock.now();
        assert!(before > Duration::ZERO);
        while clock.now() == before {
            std::hint::spin_loop();
        }
        assert!(clock.now() > before);
    }

    /// The one that does not stop while the machine sleeps.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_machines_clock_is_that_since_it_was_started() {
        let uptime = std::fs::read_to_string("/proc/uptime").expect("the uptime");
        let uptime: f64 = uptime.split(' ').next().and_then(|text| text.parse().ok()).expect("seconds");
        let since_boot = Monotonic::default().now().as_secs_f64();
        assert!((since_boot - uptime).abs() < 60.0, "{since_boot} {uptime}");
    }
}
