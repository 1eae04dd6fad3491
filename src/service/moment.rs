//! How things are just now, for whoever watches the service.

use super::Operations;
use crate::metrics::Moment;

impl Operations {
    /// Looks at everything, within the stores' own limits.
    pub async fn moment(&self) -> Moment {
        let readiness = self.readiness.check().await;
        let clocks = ["token_store", "database"].into_iter().zip(self.clocks.keeper().offsets());
        let now = self.clock.now();
        let key_change = self.key_ring.current().next_change();
        Moment {
            ready: readiness.of_operations(),
            checks: readiness.of_things(),
            feed_age: self.revocations.age(),
            feed_streams: self.feed_readers.count(),
            hash_queue: self.workers.waiting(),
            clock_offsets: clocks.filter_map(|(name, ahead)| Some((name, ahead?))).collect(),
            signing_key_change: key_change.map(|change| (change.as_millis() - now.as_millis()) / 1_000),
        }
    }
}
