//! The one cut-off that all security events share.
//!
//! A security event is decided in the database: the account's security version moves on there. The
//! token store then ends everything of an earlier version. Between the two the cut-off is *owed*,
//! and the database knows it, so that neither an outage nor a crash in between loses one.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::{AuthResult, Context};
use crate::domain::user::User;
use crate::store::StoreResult;

/// How often the database is asked for owed cut-offs: what a replica that crashed left behind is
/// settled by another within this time.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// How long to wait after a failure: the token store is out of reach just now.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How many are settled at a time.
const BATCH: u32 = 100;

/// Ends everything that was issued to a user under an earlier security version. Cheap to clone.
#[derive(Clone)]
pub struct CutOff {
    context: Arc<Context>,
    owed: Arc<Notify>,
}

impl CutOff {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, owed: Arc::new(Notify::new()) }
    }

    /// Ends all sessions that were opened before `user`'s present security version, with their
    /// access tokens and an outstanding reset token.
    ///
    /// # Errors
    /// [`super::AuthError::Store`]: the cut-off is owed. It is settled in the background as soon as
    /// the token store answers, and nobody is told meanwhile that it is done.
    pub async fn end_sessions(&self, user: &User) -> AuthResult<()> {
        if let Err(error) = self.cut_off(user).await {
            self.owed.notify_one();
            return Err(error.into());
        }
        if let Err(error) = self.context.repository.settle_cut_off(user.id, user.security_version).await {
            // Done, only not noted: it will be done once more, which changes nothing.
            let error: &dyn Error = &error;
            tracing::warn!(user = %user.id, error, "a cut-off could not be noted as done");
        }
        Ok(())
    }

    async fn cut_off(&self, user: &User) -> StoreResult<()> {
        let denial = self.context.rules.lifetimes.revocation();
        let now = self.context.clock.now();
        let ended = self.context.token_store.cut_off(user.id, user.security_version, now, denial).await?;
        tracing::info!(user = %user.id, sessions = ended.len(), "sessions ended by a security event");
        Ok(())
    }

    /// Settles owed cut-offs, this replica's and those that others left behind. Answers how many.
    ///
    /// # Errors
    /// A store does not answer; what is still owed stays so.
    pub async fn settle_owed(&self) -> StoreResult<usize> {
        let owed = self.context.repository.list_owed_cut_offs(BATCH).await?;
        for user in &owed {
            self.cut_off(user).await?;
            self.context.repository.settle_cut_off(user.id, user.security_version).await?;
        }
        Ok(owed.len())
    }

    /// Settles owed cut-offs for as long as it is polled.
    pub async fn keep_settling(self) {
        loop {
            let pause = match self.settle_owed().await {
                Ok(_) => LOOK_EVERY,
                Err(error) => {
                    let error: &dyn Error = &error;
                    tracing::debug!(error, "owed cut-offs cannot be settled just now");
                    RETRY_AFTER
                }
            };
            // A failure is not shortened by a further one: each of them would fail as well.
            if pause == RETRY_AFTER {
                tokio::time::sleep(pause).await;
            } else {
                let _ = tokio::time::timeout(pause, self.owed.notified()).await;
            }
        }
    }
}
