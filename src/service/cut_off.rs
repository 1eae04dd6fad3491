//! The one cut-off that all security events share.
//!
//! A security event is decided in the database: the account's security version moves on there, and an
//! entry of the revocation journal is written in the same commit. The token store then ends everything
//! of an earlier version. Should that not be confirmed, whoever finds the entry carries it out.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::{Error, Result};
use super::trail::AuditTrail;
use crate::domain::audit::{AuditAction, AuditActor, AuditEntry, Reason};
use crate::domain::causes::with_causes;
use crate::domain::ids::UserId;
use crate::domain::journal::{EntryId, EventEntry};
use crate::domain::user::User;
use crate::store::journaled::{JournaledTokenStore, Pruned};
use crate::store::{CutOffOrder, StoreError, StoreResult, TokenStore, UserStore};

/// How often it is looked whether the token store is whole: what a replica that crashed left behind, or
/// a command that has no token store of its own, is carried out by another within two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often entries of the journal that matter no more are looked for. While some are left, they are at
/// every look.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);

/// How soon that is tried again when it fails.
const PRUNE_AGAIN: Duration = Duration::from_secs(60);

/// Ends everything that was issued to a user under an earlier security version. Cheap to clone.
#[derive(Clone)]
pub struct CutOff {
    pub(super) users: Arc<dyn UserStore>,
    pub(super) token_store: Arc<dyn TokenStore>,
    pub(super) trail: AuditTrail,
    /// How long a session lives at most.
    pub(super) absolute_lifetime: Duration,
}

impl CutOff {
    /// The entry of the journal for a security event that happens now. It matters for as long as a session
    /// of before could live.
    pub(super) fn journal_entry(&self) -> EventEntry {
        let at = self.trail.clock.now();
        let id = EntryId::generate(&*self.trail.random);
        EventEntry { id, at, until: at.after(self.absolute_lifetime) }
    }

    /// Ends all sessions that were opened before the ordered security version, with their access
    /// tokens and outstanding reset tokens.
    ///
    /// Answers how many sessions ended.
    ///
    /// # Errors
    /// [`RevocationPending`](super::error::Error::RevocationPending): it is carried out as soon as the
    /// token store answers, and nobody is told meanwhile that it is done.
    pub(super) async fn end_sessions(&self, order: impl Into<CutOffOrder>) -> Result<usize> {
        let order = order.into();
        let ended = self.token_store.cut_off(&order).await?;
        tracing::info!(user = %order.user, sessions = ended.len(), "sessions ended by a security event");
        Ok(ended.len())
    }

    /// The same, noted in the audit log whether it is confirmed or not: the event stands. The first of the
    /// entries says how many sessions ended.
    ///
    /// # Errors
    /// Those of [`Self::end_sessions`].
    pub(super) async fn end_noted(
        &self,
        order: impl Into<CutOffOrder>,
        entries: impl IntoIterator<Item = AuditEntry>,
    ) -> Result<usize> {
        let ended = self.end_sessions(order).await;
        let mut sessions = ended.as_ref().ok().copied();
        for entry in entries {
            self.trail.record(entry.ending(sessions.take()));
        }
        ended
    }

    /// Sees that a new account has nothing of an earlier holder of its id. To be done before anybody hears of
    /// the account. Where that cannot be told just now it stands in the journal, and whoever has the token
    /// store carries it out.
    ///
    /// # Errors
    /// [`Error::Store`](super::error::Error::Store): a store does not answer.
    pub(super) async fn begin_account(&self, user: &User) -> Result<()> {
        let ended = match self.token_store.begin_account(user.id, user.security_version).await {
            Ok(ended) => ended,
            Err(StoreError::RevocationPending(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if !ended.is_empty() {
            tracing::warn!(
                user = %user.id,
                sessions = ended.len(),
                "the database was restored, and has given this id again: the sessions of its earlier holder end"
            );
            let entry = self.trail.event(AuditAction::SessionsEnded, AuditActor::Service).on(user.id);
            self.trail.record(entry.because(Reason::DatabaseRestored).ending(Some(ended.len())));
        }
        Ok(())
    }

    /// Ends all sessions of a user, whose security version moves on: a kick, or a log-out everywhere.
    /// Answers how many ended, which `entry` notes in the audit log; `None` when there is no such account.
    /// While the database is away they end ahead of it, as pending (model: OwedUntilJournaled).
    ///
    /// # Errors
    /// [`RevocationPending`](super::error::Error::RevocationPending), also while the database is away: the
    /// sessions have ended all the same then.
    pub(super) async fn end_all(&self, user: UserId, entry: AuditEntry) -> Result<Option<usize>> {
        let ended = self.end_all_unnoted(user).await;
        if matches!(ended, Ok(Some(_)) | Err(Error::RevocationPending(_))) {
            self.trail.record(entry.ending(ended.as_ref().ok().copied().flatten()));
        }
        ended
    }

    async fn end_all_unnoted(&self, user: UserId) -> Result<Option<usize>> {
        let entry = self.journal_entry();
        match self.users.advance_security_version(user, entry).await {
            Ok(Some(event)) => self.end_sessions(&event).await.map(Some),
            Ok(None) => Ok(None),
            Err(StoreError::Unavailable { .. }) => match self.token_store.cut_off_ahead(user).await? {},
            Err(error) => Err(error.into()),
        }
    }

    /// Looks whether the token store is whole, and carries out what was left behind.
    ///
    /// # Errors
    /// A store does not answer.
    pub async fn carry_out_left_behind(&self, journaled: &JournaledTokenStore) -> StoreResult<()> {
        for (user, sessions) in journaled.keep().await? {
            let entry = self.trail.event(AuditAction::SessionsEnded, AuditActor::Service).on(user);
            self.trail.record(entry.because(Reason::CutOffSettled).ending(Some(sessions)));
        }
        Ok(())
    }

    /// Does that for as long as it is polled, and prunes the journal: for the first time as soon as the
    /// token store was found whole.
    pub async fn keep_carrying_out(self, journaled: JournaledTokenStore) {
        let mut prune_at = Instant::now();
        loop {
            match self.carry_out_left_behind(&journaled).await {
                Ok(()) if prune_at <= Instant::now() => {
                    prune_at = Instant::now() + prune(&journaled).await;
                }
                Ok(()) => {}
                Err(error) => {
                    tracing::debug!(error = %with_causes(&error), "the token store cannot be looked at just now");
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Deletes some of what matters no more in the journal; answers how long there is nothing to delete.
async fn prune(journaled: &JournaledTokenStore) -> Duration {
    match journaled.prune_journal().await {
        Ok(Pruned { is_all: true, .. }) => PRUNE_EVERY,
        Ok(Pruned { is_all: false, .. }) => Duration::ZERO,
        Err(error) => {
            tracing::warn!(error = %with_causes(&error), "the revocation journal cannot be pruned");
            PRUNE_AGAIN
        }
    }
}
