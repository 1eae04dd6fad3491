//! Registration, profiles, password change.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::caller::Caller;
use super::cut_off::CutOff;
use super::limits::{Limits, Visitor};
use super::mail::{Mail, Notice};
use super::password_workers::{PasswordWorkers, Requester};
use super::sessions::{Sessions, TokenPair};
use super::verification::Verifications;
use super::{AuthError, AuthResult, Context, Field, FieldProblem};
use crate::domain::audit::{AuditAction, AuditActor, AuditEntry, Reason};
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::name::Name;
use crate::domain::password::{NewPassword, Password, PasswordHash};
use crate::domain::place::Place;
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

/// What became of a registration.
#[derive(Clone, Debug)]
pub enum Registered {
    /// The account exists now.
    Account(User),
    /// It exists, and whether it did before is not for whoever asked to know.
    Concealed,
}

/// What a concealed registration waits for at least, once the password is hashed: many times what
/// it takes to add an account, or to find that there is one and write to its owner.
const CONCEALED_WORK: Duration = Duration::from_millis(50);

/// For whom the service itself hashes.
const NOBODY: Requester = Requester { place: Place::Unknown, account: None };

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
    verifications: Verifications,
    limits: Limits,
}

impl Accounts {
    pub(super) fn new(
        context: Arc<Context>,
        sessions: Sessions,
        workers: PasswordWorkers,
        cut_off: CutOff,
        verifications: Verifications,
        limits: Limits,
    ) -> Self {
        Self { context, sessions, workers, cut_off, verifications, limits }
    }

    /// Makes an account. Its role is `member`, whoever asks. Where addresses must be proven, the link
    /// for that is mailed.
    ///
    /// Where existing accounts are concealed, nobody learns whether there was one: the same password
    /// is hashed, the answer comes at the same time, and the owner of an existing account gets a mail.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] with every field that cannot be taken, [`AuthError::WeakPassword`],
    /// [`AuthError::RateLimited`], [`AuthError::EmailTaken`].
    pub async fn register(&self, registration: Registration, visitor: &Visitor) -> AuthResult<Registered> {
        let mut problems = Vec::new();
        let email = Email::parse(&registration.email).map_err(|error| (Field::Email, error.to_string()));
        let email = keep(email, &mut problems);
        let first_name = keep(name(Field::FirstName, registration.first_name), &mut problems);
        let last_name = keep(name(Field::LastName, registration.last_name), &mut problems);
        let (Some(email), Some(first_name), Some(last_name)) = (email, first_name, last_name) else {
            return Err(AuthError::Invalid(problems));
        };
        let registering = async {
            let password = self.choose(registration.password, &email, Field::Password)?;
            let requester = self.limits.requester(visitor, &email);
            let user = NewUser {
                email: email.clone(),
                first_name: first_name.flatten(),
                last_name: last_name.flatten(),
                role: Role::Member,
                password: self.hash(requester, password).await?,
                email_verified: false,
                created_at: self.context.clock.now(),
            };
            if self.context.rules.registration.conceal_existing {
                self.add_concealed(&user, visitor).await
            } else {
                self.add(&user, visitor).await?.map(Registered::Account).ok_or(AuthError::EmailTaken)
            }
        };
        self.limits.attempt(Action::Register, visitor, &email, registering).await
    }

    /// Adds an account; `None` when the address is taken.
    async fn add(&self, user: &NewUser, visitor: &Visitor) -> AuthResult<Option<User>> {
        match self.context.repository.insert_user(user).await? {
            InsertUserOutcome::Inserted(user) => {
                self.cut_off.begin_account(&user).await?;
                tracing::info!(user = %user.id, "registered");
                self.record_creation(&user, AuditActor::Anonymous, visitor.address());
                if self.context.rules.registration.verify_email {
                    self.verifications.invite(&user);
                }
                Ok(Some(user))
            }
            InsertUserOutcome::EmailTaken => Ok(None),
        }
    }

    fn record_creation(&self, user: &User, by: AuditActor, address: Option<IpAddr>) {
        let entry = self.context.event(AuditAction::AccountCreated, by);
        self.context.audit.record(entry.on(user.id).from(address));
    }

    /// Adds an account, or writes to the owner of the one that has the address. Neither the answer,
    /// nor its time, nor what is left of any limit tells which.
    async fn add_concealed(&self, user: &NewUser, visitor: &Visitor) -> AuthResult<Registered> {
        let work = async {
            let may_write = self.verifications.may_be_asked(&user.email, visitor).await;
            if self.add(user, visitor).await?.is_none()
                && let Some(owner) = self.context.repository.find_user_by_email(&user.email).await?
                && may_write
            {
                self.tell_owner(owner);
            }
            Ok(Registered::Concealed)
        };
        tokio::join!(work, tokio::time::sleep(CONCEALED_WORK)).0
    }

    fn tell_owner(&self, owner: User) {
        let valid_for = self.context.rules.verification.ttl;
        self.context.post(Mail {
            user: owner.id,
            to: owner.email,
            name: owner.first_name.filter(|_| owner.email_verified),
            notice: Notice::AlreadyRegistered,
            valid_for,
            deadline: self.context.clock.now().after(valid_for),
        });
    }

    /// Makes an account and opens its first session; a password that was just chosen needs no
    /// check.
    ///
    /// # Errors
    /// Those of [`Self::register`]; and [`AuthError::EmailNotVerified`] where addresses must be
    /// proven: the account is made then, and its owner gets the mail for that. Where existing
    /// accounts are concealed, that is the answer for them as well.
    pub async fn sign_up(
        &self,
        registration: Registration,
        visitor: &Visitor,
        origin: SessionOrigin,
    ) -> AuthResult<(User, TokenPair)> {
        // An account whose owner got no answer would be in the way of their next try.
        self.context.token_store.ping().await?;
        self.context.clocks.may_mint()?;
        match self.register(registration, visitor).await? {
            Registered::Account(user) if !self.context.rules.registration.verify_email => {
                let pair = self.sessions.open(&user, origin, None).await?;
                Ok((user, pair))
            }
            Registered::Account(_) | Registered::Concealed => Err(AuthError::EmailNotVerified),
        }
    }

    /// Makes an administrator, unless an account has the address; answers whether it was made. The
    /// password is the operator's choice: no policy judges it. So is the address, which needs no
    /// other proof.
    ///
    /// # Errors
    /// [`AuthError::Store`].
    pub async fn ensure_admin(&self, email: Email, password: Password) -> AuthResult<bool> {
        if let Some(user) = self.context.repository.find_user_by_email(&email).await? {
            if user.role == Role::Admin && !user.email_verified {
                self.context.repository.verify_email(user.id, &email).await?;
            }
            return Ok(false);
        }
        let user = NewUser {
            email,
            first_name: None,
            last_name: None,
            role: Role::Admin,
            password: self.hash(NOBODY, NewPassword::exempt(password)).await?,
            email_verified: true,
            created_at: self.context.clock.now(),
        };
        Ok(match self.context.repository.insert_user(&user).await? {
            InsertUserOutcome::Inserted(user) => {
                self.cut_off.begin_account(&user).await?;
                self.record_creation(&user, AuditActor::Service, None);
                true
            }
            InsertUserOutcome::EmailTaken => false,
        })
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
        let issued = self.context.token_store.newest_access_tokens(&ids).await?;
        let lifetime = self.context.rules.tokens.lifetimes.access_token;
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
        self.context.clocks.may_mint()?;
        let current = Password::parse(current).map_err(|_| AuthError::InvalidCredentials)?;
        let user = self.me(caller).await?;
        let email = user.email.clone();
        let requester = self.limits.requester(visitor, &email);
        let check = async {
            let new = self.choose(new, &email, Field::NewPassword)?;
            Ok((self.sessions.verify_password(Some(user), current, requester).await?, new))
        };
        let attempt = self.limits.password_attempt(visitor, &email, check).await;
        let (user, new) = attempt.inspect_err(|error| self.record_refused_change(caller, error))?;
        let hash = self.hash(requester, new).await?;
        let entry = self.context.journal_entry();
        let event = self
            .context
            .repository
            .change_password(user.id, user.security_version, &hash, entry)
            .await?
            .ok_or(AuthError::InvalidCredentials)?;
        let ended = self.cut_off.end_sessions(&event).await;
        let user = event.user;
        let entry = self.event_of(caller, AuditAction::PasswordChanged);
        self.context.audit.record(entry.ending(ended.as_ref().ok().copied()));
        ended?;
        tracing::info!(user = %user.id, "password changed");
        let pair = self.sessions.open(&user, origin, Some(Reason::PasswordChanged)).await?;
        Ok((user, pair))
    }

    /// An entry for the audit log about what somebody does to their own account.
    fn event_of(&self, caller: &Caller, action: AuditAction) -> AuditEntry {
        let entry = self.context.event(action, AuditActor::User(caller.user));
        entry.on(caller.user).session(caller.session).from(caller.address)
    }

    fn record_refused_change(&self, caller: &Caller, error: &AuthError) {
        let entry = self.event_of(caller, AuditAction::PasswordChangeFailed);
        match error {
            AuthError::InvalidCredentials => self.context.audit.record(entry.because(Reason::WrongPassword)),
            AuthError::RateLimited { .. } => {
                self.context.audit.record_seldom(entry.because(Reason::RateLimited), None);
            }
            _ => {}
        }
    }

    /// A password that may be chosen, as the policy has it.
    fn choose(&self, text: impl Into<String>, email: &Email, field: Field) -> AuthResult<NewPassword> {
        let chosen = self.context.rules.passwords.choose(text, email.as_str());
        chosen.map_err(|reason| AuthError::WeakPassword { field, reason })
    }

    async fn hash(&self, requester: Requester, password: NewPassword) -> AuthResult<PasswordHash> {
        let random = self.context.random.clone();
        Ok(self.workers.run(requester, move |hasher| hasher.hash(&password, &*random)).await??)
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
