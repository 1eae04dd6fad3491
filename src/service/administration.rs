//! What administrators do to other people's accounts.

use std::sync::Arc;
use std::time::Duration;

use super::caller::Administrator;
use super::cut_off::CutOff;
use super::password_reset::PasswordResets;
use super::password_workers::{PasswordWorkers, Requester};
use super::sessions::SessionPage;
use super::{AuthError, AuthResult, Context, Field};
use crate::config::ResetDelivery;
use crate::domain::audit::{AuditAction, AuditEntry};
use crate::domain::email::Email;
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::name::Name;
use crate::domain::password::{NewPassword, PasswordHash};
use crate::domain::session_cap::SessionCursor;
use crate::domain::tokens::ResetToken;
use crate::domain::user::{AccountChange, NewUser, Role, User};
use crate::store::{ChangeOutcome, DeleteOutcome, InsertUserOutcome, OnUnknown, StoreError};

/// An account as an administrator makes it.
#[derive(Clone)]
pub struct NewAccount {
    /// The address; it counts as verified.
    pub email: Email,
    /// The first password, which must satisfy the policy.
    pub password: String,
    /// The first name, if given.
    pub first_name: Option<Name>,
    /// The last name, if given.
    pub last_name: Option<Name>,
    /// What the account may do.
    pub role: Role,
}

/// Administration of accounts and their sessions. Cheap to clone.
#[derive(Clone)]
pub struct Administration {
    context: Arc<Context>,
    workers: PasswordWorkers,
    cut_off: CutOff,
    password_resets: PasswordResets,
}

impl Administration {
    pub(super) fn new(
        context: Arc<Context>,
        workers: PasswordWorkers,
        cut_off: CutOff,
        password_resets: PasswordResets,
    ) -> Self {
        Self { context, workers, cut_off, password_resets }
    }

    /// Makes an account of any role.
    ///
    /// # Errors
    /// [`AuthError::WeakPassword`], [`AuthError::EmailTaken`].
    pub async fn create(&self, by: Administrator, account: NewAccount) -> AuthResult<User> {
        let password = self.hash(by, account.password, &account.email, Field::Password).await?;
        let user = NewUser {
            email: account.email,
            first_name: account.first_name,
            last_name: account.last_name,
            role: account.role,
            password,
            email_verified: true,
            created_at: self.context.clock.now(),
        };
        match self.context.repository.insert_user(&user).await? {
            InsertUserOutcome::Inserted(user) => {
                self.cut_off.begin_account(&user).await?;
                tracing::info!(user = %user.id, role = %user.role, by = %by.actor(), "account created");
                self.record(self.event(by, AuditAction::AccountCreated, user.id));
                Ok(user)
            }
            InsertUserOutcome::EmailTaken => Err(AuthError::EmailTaken),
        }
    }

    /// An account.
    ///
    /// # Errors
    /// [`AuthError::NotFound`].
    pub async fn get(&self, _by: Administrator, id: UserId) -> AuthResult<User> {
        self.context.repository.find_user(id).await?.ok_or(AuthError::NotFound)
    }

    /// The account of an address.
    ///
    /// # Errors
    /// [`AuthError::NotFound`].
    pub async fn find(&self, _by: Administrator, email: &Email) -> AuthResult<User> {
        self.context.repository.find_user_by_email(email).await?.ok_or(AuthError::NotFound)
    }

    /// At most `limit` accounts in the order of their ids, from the one after `after` on.
    ///
    /// # Errors
    /// [`AuthError::Store`].
    pub async fn list(&self, _by: Administrator, after: Option<UserId>, limit: u32) -> AuthResult<Vec<User>> {
        Ok(self.context.repository.list_users(after, limit).await?)
    }

    /// Changes role, state or address. Whatever changes ends all sessions of the account; what is
    /// so already ends none.
    ///
    /// # Errors
    /// [`AuthError::NotFound`], [`AuthError::LastAdmin`], [`AuthError::EmailTaken`], and
    /// [`AuthError::RevocationPending`]: the change stands, the end of the sessions is not confirmed yet.
    pub async fn change(&self, by: Administrator, id: UserId, change: &AccountChange) -> AuthResult<User> {
        match self.context.repository.change_account(id, change, self.context.journal_entry()).await? {
            ChangeOutcome::Changed { before, after: event } => {
                let user = &event.user;
                let by_whom = by.actor();
                tracing::info!(user = %id, role = %user.role, disabled = user.disabled, by = %by_whom, "account changed");
                let ended = self.cut_off.end_sessions(&*event).await;
                self.record_change(by, &before, user, &ended);
                ended?;
                Ok(event.user)
            }
            ChangeOutcome::Unchanged(user) => Ok(user),
            ChangeOutcome::NotFound => Err(AuthError::NotFound),
            ChangeOutcome::LastAdmin => Err(AuthError::LastAdmin),
            ChangeOutcome::EmailTaken => Err(AuthError::EmailTaken),
        }
    }

    /// Deletes an account and ends all its sessions. Its id is never given again.
    ///
    /// # Errors
    /// [`AuthError::NotFound`], [`AuthError::LastAdmin`], and [`AuthError::RevocationPending`]: the account
    /// is gone, the end of the sessions is not confirmed yet.
    pub async fn delete(&self, by: Administrator, id: UserId) -> AuthResult<()> {
        match self.context.repository.delete_user(id, self.context.journal_entry()).await? {
            DeleteOutcome::Deleted(order) => {
                tracing::info!(user = %id, by = %by.actor(), "account deleted");
                let ended = self.cut_off.end_sessions(order).await;
                self.record(
                    self.event(by, AuditAction::AccountDeleted, id).ending(ended.as_ref().ok().copied()),
                );
                ended?;
                Ok(())
            }
            DeleteOutcome::NotFound => Err(AuthError::NotFound),
            DeleteOutcome::LastAdmin => Err(AuthError::LastAdmin),
        }
    }

    /// Sets a password and ends all sessions of the account.
    ///
    /// # Errors
    /// [`AuthError::NotFound`], [`AuthError::WeakPassword`], [`AuthError::RevocationPending`].
    pub async fn set_password(&self, by: Administrator, id: UserId, password: String) -> AuthResult<User> {
        let user = self.get(by, id).await?;
        let hash = self.hash(by, password, &user.email, Field::NewPassword).await?;
        let entry = self.context.journal_entry();
        let event =
            self.context.repository.set_password(id, &hash, entry).await?.ok_or(AuthError::NotFound)?;
        tracing::info!(user = %id, by = %by.actor(), "password set");
        let ended = self.cut_off.end_sessions(&event).await;
        self.record(self.event(by, AuditAction::PasswordChanged, id).ending(ended.as_ref().ok().copied()));
        ended?;
        Ok(event.user)
    }

    /// Sends the account's owner a reset token, as if they had asked for one. Their sessions live on.
    /// Answers the token where the delivery is [`ResetDelivery::Response`].
    ///
    /// # Errors
    /// [`AuthError::NotFound`], also for an account that is disabled; [`AuthError::ResetOff`] when no
    /// reset tokens are made.
    pub async fn request_password_reset(
        &self,
        by: Administrator,
        id: UserId,
    ) -> AuthResult<Option<ResetToken>> {
        if self.context.rules.reset.delivery == ResetDelivery::Off {
            return Err(AuthError::ResetOff);
        }
        let user = self.get(by, id).await?;
        if user.disabled {
            return Err(AuthError::NotFound);
        }
        let issued = self.password_resets.issue_for_administrator(&user).await?;
        self.record(self.event(by, AuditAction::PasswordResetRequested, id));
        Ok(issued)
    }

    /// At most `limit` of the account's live sessions, newest first, from the one behind `after` on.
    ///
    /// # Errors
    /// [`AuthError::NotFound`].
    pub async fn sessions(
        &self,
        by: Administrator,
        id: UserId,
        after: Option<SessionCursor>,
        limit: u32,
    ) -> AuthResult<SessionPage> {
        self.get(by, id).await?;
        Ok(SessionPage::read(&*self.context.token_store, id, after, limit).await?)
    }

    /// Ends all sessions of the account, those that are just being opened included; answers how many.
    ///
    /// # Errors
    /// [`AuthError::NotFound`], [`AuthError::RevocationPending`].
    pub async fn end_sessions(&self, by: Administrator, id: UserId) -> AuthResult<usize> {
        let ended = self.cut_off.end_all(id).await.and_then(|ended| ended.ok_or(AuthError::NotFound));
        if matches!(ended, Ok(_) | Err(AuthError::RevocationPending(_))) {
            tracing::info!(user = %id, by = %by.actor(), "sessions ended by an administrator");
            let entry = self.event(by, AuditAction::SessionsEnded, id).because(by.reason());
            self.record(entry.ending(ended.as_ref().ok().copied()));
        }
        ended
    }

    /// Ends one session of the account.
    ///
    /// # Errors
    /// [`AuthError::NotFound`] when it has ended already, or is not the account's.
    pub async fn end_session(&self, by: Administrator, id: UserId, session: SessionId) -> AuthResult<()> {
        let store = &self.context.token_store;
        let ended = store.revoke_session(id, session, OnUnknown::Ignore).await;
        if matches!(ended, Ok(true) | Err(StoreError::RevocationPending(_))) {
            tracing::info!(user = %id, %session, by = %by.actor(), "session ended by an administrator");
            self.record(self.event(by, AuditAction::SessionEnded, id).session(session).because(by.reason()));
        }
        ended?.then_some(()).ok_or(AuthError::NotFound)
    }

    /// Takes one access token back, which has to be denied for `denial`; its session lives on.
    ///
    /// # Errors
    /// [`AuthError::Store`].
    pub async fn revoke_access_token(
        &self,
        by: Administrator,
        id: UserId,
        session: SessionId,
        token: Jti,
        denial: Duration,
    ) -> AuthResult<()> {
        let revoked = self.context.token_store.revoke_access_token(id, token, denial).await;
        if matches!(revoked, Ok(()) | Err(StoreError::RevocationPending(_))) {
            tracing::info!(user = %id, %session, jti = %token, by = %by.actor(), "access token revoked");
            let entry = self.event(by, AuditAction::TokenRevoked, id).session(session).token(token);
            self.record(entry.because(by.reason()));
        }
        Ok(revoked?)
    }

    /// An entry for the audit log about what an administrator does to an account.
    fn event(&self, by: Administrator, action: AuditAction, id: UserId) -> AuditEntry {
        by.event(&self.context, action).on(id)
    }

    fn record(&self, entry: AuditEntry) {
        self.context.audit.record(entry);
    }

    /// One entry for each thing that was changed; the first says how many sessions that ended.
    fn record_change(&self, by: Administrator, before: &User, after: &User, ended: &AuthResult<usize>) {
        let state = if after.disabled { AuditAction::AccountDisabled } else { AuditAction::AccountEnabled };
        let actions = [
            (before.role != after.role).then_some(AuditAction::RoleChanged),
            (before.disabled != after.disabled).then_some(state),
            (before.email != after.email).then_some(AuditAction::EmailChanged),
        ];
        let mut sessions = ended.as_ref().ok().copied();
        for action in actions.into_iter().flatten() {
            self.record(self.event(by, action, after.id).ending(sessions.take()));
        }
    }

    async fn hash(
        &self,
        by: Administrator,
        password: String,
        email: &Email,
        field: Field,
    ) -> AuthResult<PasswordHash> {
        let password: NewPassword = self
            .context
            .rules
            .passwords
            .choose(password, email.as_str())
            .map_err(|reason| AuthError::WeakPassword { field, reason })?;
        let random = self.context.random.clone();
        // Whoever holds the account up by guessing does not hold this up.
        let requester = Requester { place: by.place(), account: None };
        Ok(self.workers.run(requester, move |hasher| hasher.hash(&password, &*random)).await??)
    }
}
