//! Registration, profiles, password change.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::caller::Caller;
use super::clock_watch::ClockWatch;
use super::cut_off::CutOff;
use super::error::{Error, Field, FieldProblem, Result};
use super::limits::{Limits, Visitor};
use super::mail::{Mail, Notice, Outbox};
use super::password_workers::Requester;
use super::passwords::Passwords;
use super::sessions::{Sessions, TokenPair};
use super::trail::AuditTrail;
use super::verification::Verifications;
use crate::config::{RegistrationSettings, VerificationSettings};
use crate::domain::audit::{AuditAction, AuditActor, AuditEntry, Reason};
use crate::domain::clock::Clock;
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::name::Name;
use crate::domain::password::{NewPassword, Password};
use crate::domain::place::Place;
use crate::domain::rate_limit::Action;
use crate::domain::session::SessionLifetimes;
use crate::domain::session_origin::SessionOrigin;
use crate::domain::user::{NewUser, ProfileChange, Role, User};
use crate::store::{InsertUserOutcome, TokenStore, UserStore};

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
    pub(super) users: Arc<dyn UserStore>,
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
}

impl Accounts {
    /// Makes an account. Its role is `member`, whoever asks. Where addresses must be proven, the link
    /// for that is mailed.
    ///
    /// Where existing accounts are concealed, nobody learns whether there was one: the same password
    /// is hashed, the answer comes at the same time, and the owner of an existing account gets a mail.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that cannot be taken, [`Error::WeakPassword`],
    /// [`Error::RateLimited`], [`Error::EmailTaken`].
    pub async fn register(&self, registration: Registration, visitor: &Visitor) -> Result<Registered> {
        let mut problems = Vec::new();
        let email = Email::parse(&registration.email).map_err(|error| (Field::Email, error.to_string()));
        let email = keep(email, &mut problems);
        let first_name = keep(name(Field::FirstName, registration.first_name), &mut problems);
        let last_name = keep(name(Field::LastName, registration.last_name), &mut problems);
        let (Some(email), Some(first_name), Some(last_name)) = (email, first_name, last_name) else {
            return Err(Error::Invalid(problems));
        };
        let registering = async {
            let password = self.passwords.choose(registration.password, &email, Field::Password)?;
            let requester = self.limits.requester(visitor, &email);
            let user = NewUser {
                email: email.clone(),
                first_name: first_name.flatten(),
                last_name: last_name.flatten(),
                role: Role::Member,
                password: self.passwords.hash(requester, password).await?,
                email_verified: false,
                created_at: self.clock.now(),
            };
            if self.registration.conceal_existing {
                self.add_concealed(&user, visitor).await
            } else {
                self.add(&user, visitor).await?.map(Registered::Account).ok_or(Error::EmailTaken)
            }
        };
        self.limits.attempt(Action::Register, visitor, &email, registering).await
    }

    /// Adds an account; `None` when the address is taken.
    async fn add(&self, user: &NewUser, visitor: &Visitor) -> Result<Option<User>> {
        match self.users.insert_user(user).await? {
            InsertUserOutcome::Inserted(user) => {
                self.cut_off.begin_account(&user).await?;
                tracing::info!(user = %user.id, "registered");
                self.record_creation(&user, AuditActor::Anonymous, visitor.address());
                if self.registration.verify_email {
                    self.verifications.invite(&user);
                }
                Ok(Some(user))
            }
            InsertUserOutcome::EmailTaken => Ok(None),
        }
    }

    fn record_creation(&self, user: &User, by: AuditActor, address: Option<IpAddr>) {
        let entry = self.trail.event(AuditAction::AccountCreated, by);
        self.trail.record(entry.on(user.id).from(address));
    }

    /// Adds an account, or writes to the owner of the one that has the address. Neither the answer,
    /// nor its time, nor what is left of any limit tells which.
    async fn add_concealed(&self, user: &NewUser, visitor: &Visitor) -> Result<Registered> {
        let work = async {
            let may_write = self.verifications.may_be_asked(&user.email, visitor).await;
            if self.add(user, visitor).await?.is_none()
                && let Some(owner) = self.users.find_user_by_email(&user.email).await?
                && may_write
            {
                self.tell_owner(owner);
            }
            Ok(Registered::Concealed)
        };
        tokio::join!(work, tokio::time::sleep(CONCEALED_WORK)).0
    }

    fn tell_owner(&self, owner: User) {
        let valid_for = self.verification.ttl;
        self.outbox.post(Mail {
            user: owner.id,
            to: owner.email,
            name: owner.first_name.filter(|_| owner.email_verified),
            notice: Notice::AlreadyRegistered,
            valid_for,
            deadline: self.clock.now().after(valid_for),
        });
    }

    /// Makes an account and opens its first session; a password that was just chosen needs no
    /// check.
    ///
    /// # Errors
    /// Those of [`Self::register`]; and [`Error::EmailNotVerified`] where addresses must be
    /// proven: the account is made then, and its owner gets the mail for that. Where existing
    /// accounts are concealed, that is the answer for them as well.
    pub async fn sign_up(
        &self,
        registration: Registration,
        visitor: &Visitor,
        origin: SessionOrigin,
    ) -> Result<(User, TokenPair)> {
        // An account whose owner got no answer would be in the way of their next try.
        self.token_store.ping().await?;
        self.clocks.may_mint()?;
        match self.register(registration, visitor).await? {
            Registered::Account(user) if !self.registration.verify_email => {
                let pair = self.sessions.open(&user, origin, None).await?;
                Ok((user, pair))
            }
            Registered::Account(_) | Registered::Concealed => Err(Error::EmailNotVerified),
        }
    }

    /// Makes an administrator, unless an account has the address; answers whether it was made. The
    /// password is the operator's choice: no policy judges it. So is the address, which needs no
    /// other proof.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn ensure_admin(&self, email: Email, password: Password) -> Result<bool> {
        if let Some(user) = self.users.find_user_by_email(&email).await? {
            if user.role == Role::Admin && !user.email_verified {
                self.users.verify_email(user.id, &email).await?;
            }
            return Ok(false);
        }
        let user = NewUser {
            email,
            first_name: None,
            last_name: None,
            role: Role::Admin,
            password: self.passwords.hash(NOBODY, NewPassword::exempt(password)).await?,
            email_verified: true,
            created_at: self.clock.now(),
        };
        Ok(match self.users.insert_user(&user).await? {
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
    /// [`Error::TokenRevoked`] when the account is gone.
    pub async fn me(&self, caller: &Caller) -> Result<User> {
        self.users.find_user(caller.user).await?.ok_or(Error::TokenRevoked)
    }

    /// An account, for its owner and for administrators; anybody else learns no more than of one
    /// that does not exist.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, caller: &Caller, id: UserId) -> Result<User> {
        if caller.user != id && caller.role != Role::Admin {
            return Err(Error::NotFound);
        }
        self.users.find_user(id).await?.ok_or(Error::NotFound)
    }

    /// A page of accounts in the order of their ids, for administrators.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn list(&self, caller: &Caller, after: Option<UserId>, limit: u32) -> Result<UserPage> {
        caller.require_admin()?;
        let mut users = self.users.list_users(after, limit.saturating_add(1)).await?;
        let page_size = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = users.len() > page_size;
        users.truncate(page_size);
        let next = users.last().map(|user| user.id).filter(|_| more);
        let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
        let now = self.clock.now();
        let issued = self.token_store.newest_access_tokens(&ids).await?;
        let lifetime = self.lifetimes.access_token;
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
    /// [`Error::Invalid`] with every field that cannot be taken.
    pub async fn update_profile(&self, caller: &Caller, request: ProfileRequest) -> Result<User> {
        let mut problems = Vec::new();
        let first_name = keep(name(Field::FirstName, request.first_name), &mut problems);
        let last_name = keep(name(Field::LastName, request.last_name), &mut problems);
        let (Some(first_name), Some(last_name)) = (first_name, last_name) else {
            return Err(Error::Invalid(problems));
        };
        let change = ProfileChange { first_name, last_name };
        self.users.update_profile(caller.user, &change).await?.ok_or(Error::TokenRevoked)
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
            let new = self.passwords.choose(new, &email, Field::NewPassword)?;
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

    /// An entry for the audit log about what somebody does to their own account.
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

/// A name as it came: absent stays absent, blank text means none.
fn name(field: Field, text: Option<String>) -> Result<Option<Option<Name>>, (Field, String)> {
    text.map(|text| Name::parse(&text)).transpose().map_err(|error| (field, error.to_string()))
}

/// Keeps a parsed field, or notes what is wrong with it.
fn keep<T>(parsed: Result<T, (Field, String)>, problems: &mut Vec<FieldProblem>) -> Option<T> {
    parsed.map_err(|(field, problem)| problems.push(FieldProblem { field, problem })).ok()
}
