use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The pause before the first new attempt.
const FIRST: Duration = Duration::from_millis(100);
/// No pause is longer: a feed that is back is to be found within seconds.
const LONGEST: Duration = Duration::from_secs(5);
/// No server's `Retry-After` makes us wait longer.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(30);

/// Pauses between attempts: twice as long each time, and shortened by chance, so that the clients of
/// an issuer that comes back do not all come at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    attempts: u32,
    chance: RandomState,
}

impl Backoff {
    /// The next pause, between half and all of its length.
    pub(crate) fn next(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.attempts.min(16)).min(LONGEST);
        self.attempts = self.attempts.saturating_add(1);
        let half = full / 2;
        half + half.mul_f64(self.fraction())
    }

    /// The next pause, at least as long as the other side asked for.
    pub(crate) fn next_after(&mut self, asked_for: Option<Duration>) -> Duration {
        self.next().max(asked_for.unwrap_or_default().min(LONGEST_ASKED_FOR))
    }

    /// A pause of chance, up to the first one's length, that counts as no attempt: nothing went wrong, and not
    /// everybody is to come at once.
    pub(crate) fn soon(&self) -> Duration {
        FIRST.mul_f64(self.fraction())
    }

    /// All went well: begin with the short pauses again.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }

    /// A number from 0 to 1. Hash maps are seeded differently in each process, which is all that is
    /// wanted here; nobody gains by guessing it.
    fn fraction(&self) -> f64 {
        let bits = self.chance.hash_one(self.attempts) >> 32;
        f64::from(u32::try_from(bits).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_a_bound_and_never_vanish() {
        for _ in 0..50 {
            let mut backoff = Backoff::default();
            for full in [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000].map(Duration::from_millis) {
                let pause = backoff.next();
                assert!(pause >= full / 2 && pause <= full, "{pause:?} of {full:?}");
            }
            backoff.reset();
            assert!(backoff.next() <= FIRST);
        }
    }

    #[test]
    fn who_comes_again_soon_has_failed_at_nothing() {
        let mut backoff = Backoff::default();
        for _ in 0..50 {
            assert!(backoff.soon() <= FIRST);
        }
        assert!(backoff.next() <= FIRST);
    }

    #[test]
    fn two_clients_do_not_pause_alike() {
        let pauses = |mut backoff: Backoff| [backoff.next(), backoff.next(), backoff.next()];
        assert_ne!(pauses(Backoff::default()), pauses(Backoff::default()));
    }

    #[test]
    fn a_wish_of_the_server_is_honoured_within_reason() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next_after(Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(backoff.next_after(Some(Duration::from_secs(86_400))), LONGEST_ASKED_FOR);
        assert!(backoff.next_after(Some(Duration::ZERO)) > Duration::ZERO);
        for _ in 0..100 {
            assert!(backoff.next_after(None) <= LONGEST);
        }
    }
}
