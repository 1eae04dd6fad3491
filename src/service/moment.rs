//! How things are just now, for whoever watches the service.

use super::Operations;
use crate::domain::clock::Timestamp;
use crate::metrics::Moment;

impl Operations {
    /// Looks at everything, within the stores' own limits.
    pub async fn moment(&self) -> Moment {
        let (readiness, sessions) = tokio::join!(self.readiness.check(), self.session_sample.estimate());
        let clocks = ["token_store", "database"].into_iter().zip(self.clocks.keeper().offsets());
        let now = self.clock.now();
        let ring = self.key_ring.current();
        let key_ages = ring.oldest_by_state();
        let seconds_from_now = |moment: Timestamp| (moment.as_millis() - now.as_millis()) / 1_000;
        Moment {
            ready: readiness.of_operations(),
            checks: readiness.of_things(),
            feed_age: self.revocations.age(),
            feed_streams: self.feed_readers.count(),
            hash_queue: self.workers.waiting(),
            clock_offsets: clocks.filter_map(|(name, ahead)| Some((name, ahead?))).collect(),
            signing_key_change: ring.next_change().map(seconds_from_now),
            signing_key_ages: key_ages
                .into_iter()
                .map(|(state, made)| (state, -seconds_from_now(made)))
                .collect(),
            sessions,
            ..Moment::default()
        }
    }
}
