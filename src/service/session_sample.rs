//! How many sessions are alive, by a sample of accounts: no store keeps such a number, and to search one for it would
//! cost more than the number is worth.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::domain::causes::with_causes;
use crate::domain::clock::Clock;
use crate::domain::ids::UserId;
use crate::domain::random::Random;
use crate::domain::user_filter::{UserFilter, UserOrder};
use crate::store::error::StoreResult;
use crate::store::{TokenStore, UserStore};

/// Of how many accounts the sessions are counted at most.
pub const SAMPLE: i64 = 1_000;

/// How long a number is told before the next is made, however often somebody asks.
pub const EVERY: Duration = Duration::from_secs(60);

/// Reckons how many sessions are alive. Cheap to clone.
#[derive(Clone)]
pub struct SessionSample {
    pub(super) users: Arc<dyn UserStore>,
    pub(super) token_store: Arc<dyn TokenStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) last: Arc<Mutex<Option<Estimate>>>,
}

/// A number that was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimate {
    /// When, by [`Clock::monotonic`].
    made: Duration,
    /// `None` where the stores could not tell.
    sessions: Option<u64>,
}

impl SessionSample {
    /// How many sessions are alive, as of the last [`EVERY`]: exact where no more than [`SAMPLE`] accounts were ever made,
    /// else reckoned from as many, drawn by chance. `None` where the stores cannot tell.
    pub async fn estimate(&self) -> Option<u64> {
        let mut last = self.last.lock().await;
        let now = self.clock.monotonic();
        if let Some(Estimate { made, sessions }) = *last
            && now.saturating_sub(made) < EVERY
        {
            return sessions;
        }
        let sessions = match self.count().await {
            Ok(sessions) => Some(sessions),
            Err(error) => {
                tracing::debug!(error = %with_causes(&error), "sessions cannot be counted just now");
                None
            }
        };
        *last = Some(Estimate { made: now, sessions });
        sessions
    }

    async fn count(&self) -> StoreResult<u64> {
        let newest = self.users.list_users(&UserFilter::default(), UserOrder::Newest, None, 1).await?;
        let Some(newest) = newest.first().map(|user| user.id.get()) else { return Ok(0) };
        let (ids, of) = match newest <= SAMPLE {
            true => ((1..=newest).collect(), newest),
            false => ((0..SAMPLE).map(|_| self.any_up_to(newest)).collect::<Vec<_>>(), SAMPLE),
        };
        // Ids of accounts that are gone are drawn like others: nobody has a session there.
        let users: Vec<UserId> = ids.into_iter().filter_map(|id| UserId::try_from(id).ok()).collect();
        let sessions = self.token_store.count_sessions(&users, self.clock.now()).await?;
        let all = u128::from(sessions) * u128::from(newest.unsigned_abs()) / u128::from(of.unsigned_abs());
        Ok(u64::try_from(all).unwrap_or(u64::MAX))
    }

    /// An id from 1 to `newest`, each as likely as any other: 64 bits of chance are far more than ids have.
    fn any_up_to(&self, newest: i64) -> i64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        let drawn = u64::from_le_bytes(bytes) % newest.unsigned_abs();
        1 + i64::try_from(drawn).unwrap_or_default()
    }
}
