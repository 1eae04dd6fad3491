//! The one cut-off that all security events share.

use std::sync::Arc;
use std::time::Duration;

use super::{AuthResult, Context};
use crate::domain::user::User;
use crate::store::StoreError;

/// How often an owed cut-off is tried again, and how many times: about five minutes in all.
const RETRY_EVERY: Duration = Duration::from_millis(500);
const RETRIES: u32 = 600;

/// Ends everything that was issued to a user under an earlier security version. Cheap to clone.
#[derive(Clone)]
pub struct CutOff {
    context: Arc<Context>,
}

impl CutOff {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Ends all sessions that were opened before `user`'s present security version, with their
    /// access tokens and an outstanding reset token.
    ///
    /// The event itself stands in the database already. When the token store cannot answer now,
    /// the cut-off is owed: it is tried again in the background, and nobody is told that it is
    /// done.
    ///
    /// # Errors
    /// [`super::AuthError::Store`]: the cut-off is owed.
    pub async fn end_sessions(&self, user: &User) -> AuthResult<()> {
        match self.attempt(user).await {
            Ok(()) => Ok(()),
            Err(error) => {
                tokio::spawn(self.clone().retry(user.clone()));
                Err(error.into())
            }
        }
    }

    async fn attempt(&self, user: &User) -> Result<(), StoreError> {
        let denial = self.context.rules.lifetimes.revocation();
        let now = self.context.clock.now();
        let ended = self.context.token_store.cut_off(user.id, user.security_version, now, denial).await?;
        tracing::info!(user = %user.id, sessions = ended.len(), "sessions ended by a security event");
        Ok(())
    }

    async fn retry(self, user: User) {
        for _ in 0..RETRIES {
            tokio::time::sleep(RETRY_EVERY).await;
            if self.attempt(&user).await.is_ok() {
                return;
            }
        }
        tracing::error!(user = %user.id, "a cut-off is still owed; repeat the security event");
    }
}
