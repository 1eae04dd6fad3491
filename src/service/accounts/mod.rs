//! Accounts: how they come to be, profiles, password change.

mod listing;
mod registration;

use std::sync::Arc;

pub use self::listing::{ListedUser, TokenTimes, UserListRequest, UserPage};
pub use self::registration::{Registered, Registration};
use super::caller::Caller;
use super::clock_watch::ClockWatch;
use super::cut_off::CutOff;
use super::error::{Error, Field, Result};
use super::fields::{keep, name};
use super::limits::Limits;
use super::mail::Outbox;
use super::passwords::Passwords;
use super::profiles::Profiles;
use super::sessions::{Sessions, TokenPair};
use super::token_size::TokenSize;
use super::trail::AuditTrail;
use super::verification::Verifications;
use super::visitor::Visitor;
use crate::config::{RegistrationSettings, VerificationSettings};
use crate::domain::audit::{AuditAction, AuditActor, AuditEntry, Reason};
use crate::domain::clock::Clock;
use crate::domain::ids::UserId;
use crate::domain::mapped_claims::WatchedFields;
use crate::domain::password::Password;
use crate::domain::session::SessionLifetimes;
use crate::domain::session_origin::SessionOrigin;
use crate::domain::user::{AccountChange, ProfileChange, Role, User};
use crate::store::{ChangeOutcome, TokenStore, UserStore};

/// New names, as they came: `None` leaves a field, empty text clears it.
#[derive(Clone, Debug, Default)]
pub struct ProfileRequest {
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
}

/// Accounts. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    pub(super) users: Arc<dyn UserStore>,
    pub(super) profiles: Profiles,
    pub(super) token_store: Arc<dyn TokenStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) clocks: ClockWatch,
    pub(super) trail: AuditTrail,
    pub(super) outbox: Outbox,
    pub(super) passwords: Passwords,
    pub(super) sessions: Sessions,
    pub(super) cut_off: CutOff,
    pub(super) verifications: Verifications,
    pub(super) limits: Limits,
    pub(super) registration: RegistrationSettings,
    pub(super) verification: VerificationSettings,
    pub(super) lifetimes: SessionLifetimes,
    pub(super) watched: WatchedFields,
    pub(super) size: TokenSize,
}

impl Accounts {
    /// The caller's own account, to be shown.
    ///
    /// # Errors
    /// [`Error::TokenRevoked`] when the account is gone.
    pub async fn who(&self, caller: &Caller) -> Result<Arc<User>> {
        let found = self.profiles.find(caller.user, caller.security_version).await?;
        found.ok_or(Error::TokenRevoked)
    }

    /// The same, where that takes no look at the database.
    pub fn who_at_once(&self, caller: &Caller) -> Option<Arc<User>> {
        self.profiles.recall(caller.user, caller.security_version)
    }

    /// The caller's own account, to be changed.
    async fn me(&self, caller: &Caller) -> Result<User> {
        self.users.find_user(caller.user).await?.ok_or(Error::TokenRevoked)
    }

    /// An account, for its owner and for administrators; to others it is as one that does not
    /// exist.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, caller: &Caller, id: UserId) -> Result<User> {
        if caller.user != id && caller.role != Role::Admin {
            return Err(Error::NotFound);
        }
        self.users.find_user(id).await?.ok_or(Error::NotFound)
    }

    /// Changes the caller's own names. Where a claim of tokens that ends sessions comes from one, it ends them.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that cannot be taken; [`Error::TokenTooLarge`]; and
    /// [`Error::RevocationPending`]: the change stands, the end of the sessions is not confirmed yet.
    pub async fn update_profile(&self, caller: &Caller, request: ProfileRequest) -> Result<User> {
        let mut problems = Vec::new();
        let first_name = keep(name(Field::FirstName, request.first_name), &mut problems);
        let last_name = keep(name(Field::LastName, request.last_name), &mut problems);
        let (Some(first_name), Some(last_name)) = (first_name, last_name) else {
            return Err(Error::Invalid(problems));
        };
        let change = ProfileChange { first_name, last_name };
        if self.size.asks_for_the_account() {
            let before = self.users.find_user(caller.user).await?.ok_or(Error::TokenRevoked)?;
            self.size.admit(Some(&before), &change.applied_to(&before))?;
        }
        let user = match self.watched.is_empty() {
            true => self.users.update_profile(caller.user, &change).await?.ok_or(Error::TokenRevoked)?,
            false => self.update_watched(caller, change).await?,
        };
        self.profiles.settle().await;
        Ok(user)
    }

    /// The same where a name may stand in a claim that ends sessions: in one step, so that no name stands whose
    /// sessions nobody ends.
    async fn update_watched(&self, caller: &Caller, profile: ProfileChange) -> Result<User> {
        let change = AccountChange { profile, watched: self.watched.clone(), ..AccountChange::default() };
        match self.users.change_account(caller.user, &change, self.cut_off.journal_entry()).await? {
            ChangeOutcome::Changed { before: _, after: event } => {
                let entry = self.event_of(caller, AuditAction::SessionsEnded).because(Reason::ClaimsChanged);
                self.cut_off.end_noted(&*event, [entry]).await?;
                Ok(event.user)
            }
            ChangeOutcome::SessionsStay(user) | ChangeOutcome::Unchanged(user) => Ok(user),
            ChangeOutcome::NotFound => Err(Error::TokenRevoked),
            // No name is in the way of any of them.
            ChangeOutcome::LastAdmin => Err(Error::LastAdmin),
            ChangeOutcome::EmailTaken => Err(Error::EmailTaken),
            ChangeOutcome::ExternalIdTaken => Err(Error::ExternalIdTaken),
        }
    }

    /// Changes the caller's password and ends all their sessions; the answer is a new session.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] when the current password is wrong or was changed
    /// meanwhile, [`Error::RateLimited`] when it was wrong too often, here or at logins,
    /// [`Error::WeakPassword`] for the new one.
    pub async fn change_password(
        &self,
        caller: &Caller,
        current: &str,
        new: &str,
        visitor: &Visitor,
        origin: SessionOrigin,
    ) -> Result<(User, TokenPair)> {
        self.clocks.may_mint()?;
        let current = Password::parse(current).map_err(|_| Error::InvalidCredentials)?;
        let user = self.me(caller).await?;
        let email = user.email.clone();
        let requester = self.limits.requester(visitor, &email);
        let check = async {
            let new = self.passwords.choose(new, email.as_str(), Field::NewPassword)?;
            Ok((self.passwords.verify(Some(user), current, requester).await?, new))
        };
        let attempt = self.limits.password_attempt(visitor, &email, check).await;
        let (user, new) = attempt.inspect_err(|error| self.record_refused_change(caller, error))?;
        let hash = self.passwords.hash(requester, new).await?;
        let entry = self.cut_off.journal_entry();
        let event = self
            .users
            .change_password(user.id, user.security_version, &hash, entry)
            .await?
            .ok_or(Error::InvalidCredentials)?;
        self.cut_off.end_noted(&event, [self.event_of(caller, AuditAction::PasswordChanged)]).await?;
        let user = event.user;
        tracing::info!(user = %user.id, "password changed");
        let pair = self.sessions.open(&user, origin, Some(Reason::PasswordChanged)).await?;
        Ok((user, pair))
    }

    /// An entry for the audit log about what a user does to their own account.
    fn event_of(&self, caller: &Caller, action: AuditAction) -> AuditEntry {
        let entry = self.trail.event(action, AuditActor::User(caller.user));
        entry.on(caller.user).session(caller.session).from(caller.address)
    }

    fn record_refused_change(&self, caller: &Caller, error: &Error) {
        let entry = self.event_of(caller, AuditAction::PasswordChangeFailed);
        match error {
            Error::InvalidCredentials => self.trail.record(entry.because(Reason::WrongPassword)),
            Error::RateLimited { .. } => {
                self.trail.record_seldom(entry.because(Reason::RateLimited), None);
            }
            _ => {}
        }
    }
}
