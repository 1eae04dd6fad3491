//! This replica among the others: that it runs, and which secrets it knows.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::causes::with_causes;
use crate::domain::secret_mark::Presence;
use crate::store::presence::{PRESENCE_TTL, PresenceStore};

/// How often it says so: two of three may be lost.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(PRESENCE_TTL.as_secs() / 3);

/// How soon it says so again to a store that did not answer.
const ANNOUNCE_AGAIN: Duration = Duration::from_secs(5);

/// What this replica says of itself, and where. Cheap to clone.
#[derive(Clone)]
pub struct Announcement {
    /// Where.
    pub store: Arc<dyn PresenceStore>,
    /// What.
    pub presence: Presence,
}

impl Announcement {
    /// Says it again and again for as long as it is polled.
    pub async fn keep_announcing(self) {
        loop {
            let pause = match self.store.announce_presence(&self.presence).await {
                Ok(()) => ANNOUNCE_EVERY,
                Err(error) => {
                    tracing::debug!(error = %with_causes(&error), "the other replicas are not told of this one yet");
                    ANNOUNCE_AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Says that the replica ends. Where that fails, what it said ends by itself.
    pub async fn withdraw(&self) {
        if let Err(error) = self.store.withdraw_presence(&self.presence.replica).await {
            tracing::debug!(error = %with_causes(&error), "the other replicas are not told that this one ends");
        }
    }
}
