//! What administrators do to other people's accounts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::caller::Administrator;
use super::cut_off::CutOff;
use super::error::{Error, Field, FieldProblem, Result};
use super::fields::Person;
use super::password_reset::PasswordResets;
use super::password_workers::Requester;
use super::passwords::Passwords;
use super::sessions::SessionPage;
use super::token_size::TokenSize;
use super::trail::AuditTrail;
use crate::config::{ResetDelivery, ResetSettings};
use crate::domain::audit::{AuditAction, AuditEntry, Reason};
use crate::domain::clock::Clock;
use crate::domain::email::Email;
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::mapped_claims::WatchedFields;
use crate::domain::metadata::Metadata;
use crate::domain::name::Name;
use crate::domain::password::PasswordHash;
use crate::domain::roles::{KnownRoles, NoRoleError, RoleName, Roles};
use crate::domain::session_cap::SessionCursor;
use crate::domain::tokens::ResetToken;
use crate::domain::user::{AccountChange, NewUser, Role, User};
use crate::domain::user_filter::{UserFilter, UserOrder};
use crate::store::{
    ChangeOutcome, DeleteOutcome, InsertUserOutcome, OnUnknown, StoreError, TokenStore, UserStore,
};

/// An account as an administrator makes it.
#[derive(Clone)]
pub struct NewAccount {
    /// The address; it counts as verified.
    pub email: Email,
    /// The first password, which must satisfy the policy; without one the owner chooses it, by the token of a
    /// password reset.
    pub password: Option<String>,
    /// The first name, if given.
    pub first_name: Option<Name>,
    /// The last name, if given.
    pub last_name: Option<Name>,
    /// What the account may do.
    pub role: Role,
    /// What is noted down about its owner.
    pub metadata: Metadata,
}

/// The fields of an account to be made, as they came.
#[derive(Clone)]
pub struct GivenAccount {
    /// The address.
    pub email: String,
    /// The first password, if it is to have one from the start.
    pub password: Option<String>,
    /// The first name, if given.
    pub first_name: Option<String>,
    /// The last name, if given.
    pub last_name: Option<String>,
    /// What the account may do.
    pub role: Role,
    /// What is noted down about its owner.
    pub metadata: Metadata,
}

/// An account that was just made.
#[derive(Clone, Debug)]
pub struct CreatedAccount {
    /// The account.
    pub user: User,
    /// The token to choose a password with, where there is none yet and the delivery is
    /// [`ResetDelivery::Response`]. Otherwise it is in the mail.
    pub reset: Option<ResetToken>,
}

/// Administration of accounts and their sessions. Cheap to clone.
#[derive(Clone)]
pub struct Administration {
    pub(super) users: Arc<dyn UserStore>,
    pub(super) token_store: Arc<dyn TokenStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) trail: AuditTrail,
    pub(super) passwords: Passwords,
    pub(super) cut_off: CutOff,
    pub(super) password_resets: PasswordResets,
    pub(super) reset: ResetSettings,
    pub(super) roles: KnownRoles,
    pub(super) watched: WatchedFields,
    pub(super) size: TokenSize,
}

impl Administration {
    /// The fields of a new account as they are meant.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that cannot be taken.
    pub fn read(&self, given: GivenAccount) -> Result<NewAccount> {
        let GivenAccount { email, password, first_name, last_name, role, metadata } = given;
        let Person { email, first_name, last_name } =
            Person::read(&email, first_name, last_name, password.as_deref(), &self.passwords)?;
        Ok(NewAccount { email, password, first_name, last_name, role, metadata })
    }

    /// Makes an account of any role.
    ///
    /// # Errors
    /// [`Error::WeakPassword`], [`Error::EmailTaken`]; without a password [`Error::ResetOff`] when no reset
    /// tokens are made, and [`Error::Store`] also when the account was made and the token was not:
    /// [`request_password_reset`](Self::request_password_reset) makes another.
    pub async fn create(&self, by: Administrator, account: NewAccount) -> Result<CreatedAccount> {
        let (password, must_reset) = match account.password {
            Some(password) => (self.hash(by, password, &account.email, Field::Password).await?, false),
            None if self.reset.delivery == ResetDelivery::Off => return Err(Error::ResetOff),
            None => (PasswordHash::unusable(), true),
        };
        let user = NewUser {
            email: account.email,
            first_name: account.first_name,
            last_name: account.last_name,
            role: account.role,
            password,
            email_verified: true,
            metadata: account.metadata,
            created_at: self.clock.now(),
        };
        self.size.admit_new(&user)?;
        match self.users.insert_user(&user).await? {
            InsertUserOutcome::Inserted(user) => {
                self.cut_off.begin_account(&user).await?;
                tracing::info!(user = %user.id, role = %user.role(), by = %by.actor(), "account created");
                self.record(self.event(by, AuditAction::AccountCreated, user.id));
                let reset = if must_reset { self.request_password_reset(by, user.id).await? } else { None };
                Ok(CreatedAccount { user: *user, reset })
            }
            InsertUserOutcome::EmailTaken => Err(Error::EmailTaken),
        }
    }

    /// An account.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, _by: Administrator, id: UserId) -> Result<User> {
        self.users.find_user(id).await?.ok_or(Error::NotFound)
    }

    /// The account of an address.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn find(&self, _by: Administrator, email: &Email) -> Result<User> {
        self.users.find_user_by_email(email).await?.ok_or(Error::NotFound)
    }

    /// At most `limit` accounts in the order of their ids, from the one after `after` on.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(&self, _by: Administrator, after: Option<UserId>, limit: u32) -> Result<Vec<User>> {
        Ok(self.users.list_users(&UserFilter::default(), UserOrder::Oldest, after, limit).await?)
    }

    /// The roles of these names.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is none, or one that the settings do not know.
    pub fn roles(&self, names: &[String]) -> Result<Roles> {
        let refused = |problem: String| Error::Invalid(vec![FieldProblem { field: Field::Roles, problem }]);
        if names.iter().any(|name| !self.roles.contains(name)) {
            let known: Vec<&str> = self.roles.iter().map(RoleName::as_str).collect();
            return Err(refused(format!("has one that is none of {}", known.join(", "))));
        }
        let names: BTreeSet<RoleName> = names.iter().filter_map(|name| name.parse().ok()).collect();
        names.try_into().map_err(|error: NoRoleError| refused(error.to_string()))
    }

    /// Changes roles, state, address, external id or metadata. Whatever changes ends all sessions of the
    /// account, but for the last two unless a claim of tokens says so; what is so already ends none.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::LastAdmin`], [`Error::EmailTaken`], [`Error::ExternalIdTaken`], [`Error::TokenTooLarge`], and
    /// [`Error::RevocationPending`]: the change stands, the end of the sessions is not confirmed yet.
    pub async fn change(&self, by: Administrator, id: UserId, change: &AccountChange) -> Result<User> {
        self.admit(id, change).await?;
        let change = &AccountChange { watched: self.watched.clone(), ..change.clone() };
        match self.users.change_account(id, change, self.cut_off.journal_entry()).await? {
            ChangeOutcome::Changed { before, after: event } => {
                let user = &event.user;
                let by_whom = by.actor();
                tracing::info!(user = %id, roles = %user.roles, disabled = user.disabled, by = %by_whom, "account changed");
                self.cut_off.end_noted(&*event, self.events_of_change(by, &before, user)).await?;
                Ok(event.user)
            }
            ChangeOutcome::SessionsStay(user) => {
                tracing::info!(user = %id, by = %by.actor(), "account changed, and its sessions live on");
                Ok(user)
            }
            ChangeOutcome::Unchanged(user) => Ok(user),
            ChangeOutcome::NotFound => Err(Error::NotFound),
            ChangeOutcome::LastAdmin => Err(Error::LastAdmin),
            ChangeOutcome::EmailTaken => Err(Error::EmailTaken),
            ChangeOutcome::ExternalIdTaken => Err(Error::ExternalIdTaken),
        }
    }

    /// Lets a change pass after which the account's tokens are short enough.
    async fn admit(&self, id: UserId, change: &AccountChange) -> Result<()> {
        let AccountChange { role, roles, email, external_id, metadata, disabled: _, profile: _, watched: _ } =
            change;
        let lengthens = role.is_some()
            || roles.is_some()
            || email.is_some()
            || external_id.is_some()
            || metadata.is_some();
        if !lengthens {
            return Ok(());
        }
        match self.users.find_user(id).await? {
            Some(user) => self.size.admit(Some(&user), &change.applied_to(&user)),
            None => Err(Error::NotFound),
        }
    }

    /// Deletes an account and ends all its sessions. Its id is never given again.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::LastAdmin`], and [`Error::RevocationPending`]: the account
    /// is gone, the end of the sessions is not confirmed yet.
    pub async fn delete(&self, by: Administrator, id: UserId) -> Result<()> {
        match self.users.delete_user(id, self.cut_off.journal_entry()).await? {
            DeleteOutcome::Deleted(order) => {
                tracing::info!(user = %id, by = %by.actor(), "account deleted");
                self.cut_off.end_noted(order, [self.event(by, AuditAction::AccountDeleted, id)]).await?;
                Ok(())
            }
            DeleteOutcome::NotFound => Err(Error::NotFound),
            DeleteOutcome::LastAdmin => Err(Error::LastAdmin),
        }
    }

    /// Sets a password and ends all sessions of the account.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::WeakPassword`], [`Error::RevocationPending`].
    pub async fn set_password(&self, by: Administrator, id: UserId, password: String) -> Result<User> {
        let user = self.get(by, id).await?;
        let hash = self.hash(by, password, &user.email, Field::NewPassword).await?;
        let entry = self.cut_off.journal_entry();
        let event = self.users.set_password(id, &hash, entry).await?.ok_or(Error::NotFound)?;
        tracing::info!(user = %id, by = %by.actor(), "password set");
        self.cut_off.end_noted(&event, [self.event(by, AuditAction::PasswordChanged, id)]).await?;
        Ok(event.user)
    }

    /// Sends the account's owner a reset token, as if they had asked for one. Their sessions live on.
    /// Answers the token where the delivery is [`ResetDelivery::Response`].
    ///
    /// # Errors
    /// [`Error::NotFound`], also for an account that is disabled; [`Error::ResetOff`] when no
    /// reset tokens are made.
    pub async fn request_password_reset(&self, by: Administrator, id: UserId) -> Result<Option<ResetToken>> {
        if self.reset.delivery == ResetDelivery::Off {
            return Err(Error::ResetOff);
        }
        let user = self.get(by, id).await?;
        if user.disabled {
            return Err(Error::NotFound);
        }
        let issued = self.password_resets.issue_for_administrator(&user).await?;
        self.record(self.event(by, AuditAction::PasswordResetRequested, id));
        Ok(issued)
    }

    /// At most `limit` of the account's live sessions, newest first, from the one behind `after` on.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn sessions(
        &self,
        by: Administrator,
        id: UserId,
        after: Option<SessionCursor>,
        limit: u32,
    ) -> Result<SessionPage> {
        self.get(by, id).await?;
        Ok(SessionPage::read(&*self.token_store, id, after, limit).await?)
    }

    /// Ends all sessions of the account, those that are just being opened included; answers how many.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::RevocationPending`].
    pub async fn end_sessions(&self, by: Administrator, id: UserId) -> Result<usize> {
        let entry = self.event(by, AuditAction::SessionsEnded, id).because(by.reason());
        let ended = self.cut_off.end_all(id, entry).await?.ok_or(Error::NotFound)?;
        tracing::info!(user = %id, by = %by.actor(), "sessions ended by an administrator");
        Ok(ended)
    }

    /// Ends one session of the account.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it has ended already, or is not the account's.
    pub async fn end_session(&self, by: Administrator, id: UserId, session: SessionId) -> Result<()> {
        let store = &self.token_store;
        let ended = store.revoke_session(id, session, OnUnknown::Ignore).await;
        if matches!(ended, Ok(true) | Err(StoreError::RevocationPending(_))) {
            tracing::info!(user = %id, %session, by = %by.actor(), "session ended by an administrator");
            self.record(self.event(by, AuditAction::SessionEnded, id).session(session).because(by.reason()));
        }
        ended?.then_some(()).ok_or(Error::NotFound)
    }

    /// Takes one access token back, which has to be denied for `denial`; its session lives on.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn revoke_access_token(
        &self,
        by: Administrator,
        id: UserId,
        session: SessionId,
        token: Jti,
        denial: Duration,
    ) -> Result<()> {
        let revoked = self.token_store.revoke_access_token(id, token, denial).await;
        if matches!(revoked, Ok(()) | Err(StoreError::RevocationPending(_))) {
            tracing::info!(user = %id, %session, jti = %token, by = %by.actor(), "access token revoked");
            let entry = self.event(by, AuditAction::TokenRevoked, id).session(session).token(token);
            self.record(entry.because(by.reason()));
        }
        Ok(revoked?)
    }

    /// An entry for the audit log about what an administrator does to an account.
    fn event(&self, by: Administrator, action: AuditAction, id: UserId) -> AuditEntry {
        self.trail.event_by(by, action).on(id)
    }

    fn record(&self, entry: AuditEntry) {
        self.trail.record(entry);
    }

    /// One entry for each thing that was changed.
    fn events_of_change(&self, by: Administrator, before: &User, after: &User) -> Vec<AuditEntry> {
        let state = if after.disabled { AuditAction::AccountDisabled } else { AuditAction::AccountEnabled };
        let actions = [
            (before.roles != after.roles).then_some(AuditAction::RoleChanged),
            (before.disabled != after.disabled).then_some(state),
            (before.email != after.email).then_some(AuditAction::EmailChanged),
        ];
        let events: Vec<_> =
            actions.into_iter().flatten().map(|action| self.event(by, action, after.id)).collect();
        if !events.is_empty() {
            return events;
        }
        vec![self.event(by, AuditAction::SessionsEnded, after.id).because(Reason::ClaimsChanged)]
    }

    async fn hash(
        &self,
        by: Administrator,
        password: String,
        email: &Email,
        field: Field,
    ) -> Result<PasswordHash> {
        let password = self.passwords.choose(password, email.as_str(), field)?;
        // Whoever holds the account up by guessing does not hold this up.
        let requester = Requester { place: by.place(), account: None };
        self.passwords.hash(requester, password).await
    }
}
