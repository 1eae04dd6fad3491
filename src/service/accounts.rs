//! Registration, profiles, password change.

use std::sync::Arc;

use super::access_tokens::Caller;
use super::cut_off::CutOff;
use super::limits::{Limits, Visitor};
use super::password_workers::PasswordWorkers;
use super::sessions::{Sessions, TokenPair};
use super::{AuthError, AuthResult, Context, Field, FieldProblem};
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::name::Name;
use crate::domain::password::{NewPassword, Password, PasswordHash};
use crate::domain::rate_limit::Action;
use crate::domain::session_origin::SessionOrigin;
use crate::domain::user::{NewUser, ProfileChange, Role, User};
use crate::store::InsertUserOutcome;

/// What somebody registers with, as it came.
#[derive(Clone)]
pub struct Registration {
    /// The address.
    pub email: String,
    /// The chosen password.
    pub password: String,
    /// The first name, if given.
    pub first_name: Option<String>,
    /// The last name, if given.
    pub last_name: Option<String>,
}

/// New names, as they came: `None` leaves a field, empty text clears it.
#[derive(Clone, Debug, Default)]
pub struct ProfileRequest {
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
}

/// When an access token was issued and when it ends, seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenTimes {
    /// Claim `iat`.
    pub issued_at: i64,
    /// Claim `exp`.
    pub expires_at: i64,
}

/// An account as an administrator's list shows it.
#[derive(Clone, Debug)]
pub struct ListedUser {
    /// The account.
    pub user: User,
    /// The newest access token that is live.
    pub newest_token: Option<TokenTimes>,
}

/// A page of accounts.
#[derive(Clone, Debug)]
pub struct UserPage {
    /// The accounts, in the order of their ids.
    pub users: Vec<ListedUser>,
    /// Behind which id the next page begins, if there is one.
    pub next: Option<UserId>,
}

/// Accounts. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    context: Arc<Context>,
    sessions: Sessions,
    workers: PasswordWorkers,
    cut_off: CutOff,
    limits: Limits,
}

impl Accounts {
    pub(super) fn new(
        context: Arc<Context>,
        sessions: Sessions,
        workers: PasswordWorkers,
        cut_off: CutOff,
        limits: Limits,
    ) -> Self {
        Self { context, sessions, workers, cut_off, limits }
    }

    /// Makes an account. Its role is `member`, whoever asks.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] with every field that cannot be taken, [`AuthError::WeakPassword`],
    /// [`AuthError::RateLimited`], [`AuthError::EmailTaken`].
    pub async fn register(&self, registration: Registration, visitor: &Visitor) -> AuthResult<User> {
        let mut problems = Vec::new();
        let email = Email::parse(&registration.email).map_err(|error| (Field::Email, error.to_string()));
        let email = keep(email, &mut problems);
        let first_name = keep(name(Field::FirstName, registration.first_name), &mut problems);
        let last_name = keep(name(Field::LastName, registration.last_name), &mut problems);
        let (Some(email), Some(first_name), Some(last_name)) = (email, first_name, last_name) else {
            return Err(AuthError::Invalid(problems));
        };
        let password = self
            .context
            .rules
            .passwords
            .choose(registration.password, email.as_str())
            .map_err(|reason| AuthError::WeakPassword { field: Field::Password, reason })?;
        let insertion = async {
            let password = self.hash(password).await?;
            self.insert(NewUser {
                email: email.clone(),
                first_name: first_name.flatten(),
                last_name: last_name.flatten(),
                role: Role::Member,
                password,
                email_verified: false,
                created_at: self.context.clock.now(),
            })
            .await
        };
        self.limits.attempt(Action::Register, visitor, &email, insertion).await
    }

    async fn insert(&self, user: NewUser) -> AuthResult<User> {
        match self.context.repository.insert_user(&user).await? {
            InsertUserOutcome::Inserted(user) => {
                tracing::info!(user = %user.id, "registered");
                Ok(user)
            }
            InsertUserOutcome::EmailTaken => Err(AuthError::EmailTaken),
        }
    }

    /// Makes an account and opens its first session; a password that was just chosen needs no
    /// check.
    ///
    /// # Errors
    /// Those of [`Self::register`].
    pub async fn sign_up(
        &self,
        registration: Registration,
        visitor: &Visitor,
        origin: SessionOrigin,
    ) -> AuthResult<(User, TokenPair)> {
        // An account whose owner got no answer would be in the way of their next try.
        self.context.token_store.ping().await?;
        let user = self.register(registration, visitor).await?;
        let pair = self.sessions.open(&user, origin).await?;
        Ok((user, pair))
    }

    /// Makes an administrator, unless an account has the address; answers whether it was made. The
    /// password is the operator's choice: no policy judges it.
    ///
    /// # Errors
    /// [`AuthError::Store`].
    pub async fn ensure_admin(&self, email: Email, password: Password) -> AuthResult<bool> {
        if self.context.repository.find_user_by_email(&email).await?.is_some() {
            return Ok(false);
        }
        let user = NewUser {
            email,
            first_name: None,
            last_name: None,
            role: Role::Admin,
            password: self.hash(NewPassword::exempt(password)).await?,
            email_verified: true,
            created_at: self.context.clock.now(),
        };
        let outcome = self.context.repository.insert_user(&user).await?;
        Ok(matches!(outcome, InsertUserOutcome::Inserted(_)))
    }

    /// The caller's own account.
    ///
    /// # Errors
    /// [`AuthError::TokenRevoked`] when the account is gone.
    pub async fn me(&self, caller: &Caller) -> AuthResult<User> {
        self.context.repository.find_user(caller.user).await?.ok_or(AuthError::TokenRevoked)
    }

    /// An account, for its owner and for administrators; anybody else learns no more than of one
    /// that does not exist.
    ///
    /// # Errors
    /// [`AuthError::NotFound`].
    pub async fn get(&self, caller: &Caller, id: UserId) -> AuthResult<User> {
        if caller.user != id && caller.role != Role::Admin {
            return Err(AuthError::NotFound);
        }
        self.context.repository.find_user(id).await?.ok_or(AuthError::NotFound)
    }

    /// A page of accounts in the order of their ids, for administrators.
    ///
    /// # Errors
    /// [`AuthError::Forbidden`].
    pub async fn list(&self, caller: &Caller, after: Option<UserId>, limit: u32) -> AuthResult<UserPage> {
        caller.require_admin()?;
        let mut users = self.context.repository.list_users(after, limit.saturating_add(1)).await?;
        let page_size = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = users.len() > page_size;
        users.truncate(page_size);
        let next = users.last().map(|user| user.id).filter(|_| more);
        let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
        let now = self.context.clock.now();
        let issued = self.context.token_store.newest_access_tokens(&ids, now).await?;
        let lifetime = self.context.rules.lifetimes.access_token;
        let users = users
            .into_iter()
            .zip(issued)
            .map(|(user, issued)| ListedUser {
                user,
                newest_token: issued
                    .map(|at| TokenTimes {
                        issued_at: at.as_secs(),
                        expires_at: at.after(lifetime).as_secs(),
                    })
                    .filter(|token| now.as_secs() < token.expires_at),
            })
            .collect();
        Ok(UserPage { users, next })
    }

    /// Changes the caller's own names.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] with every field that cannot be taken.
    pub async fn update_profile(&self, caller: &Caller, request: ProfileRequest) -> AuthResult<User> {
        let mut problems = Vec::new();
        let first_name = keep(name(Field::FirstName, request.first_name), &mut problems);
        let last_name = keep(name(Field::LastName, request.last_name), &mut problems);
        let (Some(first_name), Some(last_name)) = (first_name, last_name) else {
            return Err(AuthError::Invalid(problems));
        };
        let change = ProfileChange { first_name, last_name };
        self.context.repository.update_profile(caller.user, &change).await?.ok_or(AuthError::TokenRevoked)
    }

    /// Changes the caller's password and ends all their sessions; the answer is a new session.
    ///
    /// # Errors
    /// [`AuthError::InvalidCredentials`] when the current password is wrong or was changed
    /// meanwhile, [`AuthError::RateLimited`] when it was wrong too often, here or at logins,
    /// [`AuthError::WeakPassword`] for the new one.
    pub async fn change_password(
        &self,
        caller: &Caller,
        current: &str,
        new: &str,
        visitor: &Visitor,
        origin: SessionOrigin,
    ) -> AuthResult<(User, TokenPair)> {
        let current = Password::parse(current).map_err(|_| AuthError::InvalidCredentials)?;
        let user = self.me(caller).await?;
        let new = self
            .context
            .rules
            .passwords
            .choose(new, user.email.as_str())
            .map_err(|reason| AuthError::WeakPassword { field: Field::NewPassword, reason })?;
        let email = user.email.clone();
        let check = self.sessions.verify_password(Some(user), current);
        let user = self.limits.password_attempt(visitor, &email, check).await?;
        let hash = self.hash(new).await?;
        let user = self
            .context
            .repository
            .change_password(user.id, user.security_version, &hash)
            .await?
            .ok_or(AuthError::InvalidCredentials)?;
        self.cut_off.end_sessions(&user).await?;
        tracing::info!(user = %user.id, "password changed");
        let pair = self.sessions.open(&user, origin).await?;
        Ok((user, pair))
    }

    async fn hash(&self, password: NewPassword) -> AuthResult<PasswordHash> {
        let random = self.context.random.clone();
        Ok(self.workers.run(move |hasher| hasher.hash(&password, &*random)).await??)
    }
}

/// A name as it came: absent stays absent, blank text means none.
fn name(field: Field, text: Option<String>) -> Result<Option<Option<Name>>, (Field, String)> {
    text.map(|text| Name::parse(&text)).transpose().map_err(|error| (field, error.to_string()))
}

/// Keeps a parsed field, or notes what is wrong with it.
fn keep<T>(parsed: Result<T, (Field, String)>, problems: &mut Vec<FieldProblem>) -> Option<T> {
    parsed.map_err(|(field, problem)| problems.push(FieldProblem { field, problem })).ok()
}
