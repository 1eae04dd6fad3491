//! The one cut-off that all security events share.
//!
//! A security event is decided in the database: the account's security version moves on there. The
//! token store then ends everything of an earlier version. Between the two the cut-off is *owed*,
//! and the database knows it, so that neither an outage nor a crash in between loses one.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::{AuthError, AuthResult, Context};
use crate::domain::audit::{AuditAction, AuditActor, Reason};
use crate::store::{CutOffOrder, StoreResult};

/// How often the database is asked for owed cut-offs: what a replica that crashed left behind, or a
/// command that has no token store of its own, is settled by another within this time. The question
/// costs a look at an index that is nearly always empty.
const LOOK_EVERY: Duration = Duration::from_secs(2);

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

    /// Ends all sessions that were opened before the ordered security version, with their access
    /// tokens and an outstanding reset token.
    ///
    /// Answers how many sessions ended.
    ///
    /// # Errors
    /// [`AuthError::CutOffOwed`]. It is settled in the background as soon as
    /// the token store answers, and nobody is told meanwhile that it is done.
    pub async fn end_sessions(&self, order: impl Into<CutOffOrder>) -> AuthResult<usize> {
        let order = order.into();
        let ended = self.cut_off(order).await.map_err(|error| {
            self.owed.notify_one();
            AuthError::CutOffOwed(error)
        })?;
        if let Err(error) = self.context.repository.settle_cut_off(order).await {
            // Done, only not noted: it will be done once more, which changes nothing.
            let error: &dyn Error = &error;
            tracing::warn!(user = %order.user, error, "a cut-off could not be noted as done");
        }
        Ok(ended)
    }

    async fn cut_off(&self, order: CutOffOrder) -> StoreResult<usize> {
        let CutOffOrder { user, version } = order;
        let denial = self.context.rules.lifetimes.revocation();
        let now = self.context.clock.now();
        let ended = self.context.token_store.cut_off(user, version, now, denial).await?;
        tracing::info!(%user, sessions = ended.len(), "sessions ended by a security event");
        Ok(ended.len())
    }

    /// Settles owed cut-offs, this replica's and those that others left behind. Answers how many.
    ///
    /// # Errors
    /// The first that a store could not settle; it is still owed, and the others were tried.
    pub async fn settle_owed(&self) -> StoreResult<usize> {
        let owed = self.context.repository.list_owed_cut_offs(BATCH).await?;
        let (mut settled, mut failure) = (0, None);
        for order in owed {
            match self.settle(order).await {
                Ok(()) => settled += 1,
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(settled), Err)
    }

    async fn settle(&self, order: CutOffOrder) -> StoreResult<()> {
        let ended = self.cut_off(order).await?;
        if ended > 0 {
            let entry = self.context.event(AuditAction::SessionsEnded, AuditActor::Service).on(order.user);
            self.context.audit.record(entry.because(Reason::CutOffSettled).ending(Some(ended)));
        }
        self.context.repository.settle_cut_off(order).await
    }

    /// Settles owed cut-offs for as long as it is polled.
    pub async fn keep_settling(self) {
        loop {
            match self.settle_owed().await {
                Ok(settled) if settled == BATCH as usize => {}
                Ok(_) => {
                    // Woken early, or not: either way it looks again.
                    let _ = tokio::time::timeout(LOOK_EVERY, self.owed.notified()).await;
                }
                Err(error) => {
                    tracing::debug!(error = &error as &dyn Error, "owed cut-offs cannot be settled just now");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    }
}
