//! Which replicas run, and which secrets each knows.

use std::time::Duration;

use super::error::StoreResult;
use super::unreachable::engine_trait;
use crate::domain::secret_mark::Presence;

/// How long what a replica said of itself holds.
pub const PRESENCE_TTL: Duration = Duration::from_secs(60);

engine_trait! {
    /// What replicas say of themselves, beside the token store. No answer to a client depends on it.
    pub trait PresenceStore {
        /// Notes what a replica says, in the place of what one of that name said before. It holds for
        /// [`PRESENCE_TTL`].
        async fn announce_presence(&self, presence: &Presence) -> StoreResult<()>;

        /// Forgets the replica of that name, which ends.
        async fn withdraw_presence(&self, replica: &str) -> StoreResult<()>;

        /// What the replicas that run have said, by name. What a later version has left and this one cannot
        /// read is left out.
        async fn list_presences(&self) -> StoreResult<Vec<Presence>>;
    }
}
