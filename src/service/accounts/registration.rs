//! How accounts come to be.

use std::net::IpAddr;
use std::time::Duration;

use super::Accounts;
use crate::domain::audit::{AuditAction, AuditActor};
use crate::domain::email::Email;
use crate::domain::metadata::Metadata;
use crate::domain::password::{NewPassword, Password};
use crate::domain::place::Place;
use crate::domain::rate_limit::Action;
use crate::domain::session_origin::SessionOrigin;
use crate::domain::user::{NewUser, Role, User};
use crate::service::error::{Error, Field, Result};
use crate::service::fields::Person;
use crate::service::mail::{Mail, Notice};
use crate::service::password_workers::Requester;
use crate::service::sessions::TokenPair;
use crate::service::visitor::Visitor;
use crate::store::InsertUserOutcome;

/// What an account is registered with, as it came.
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
    Account(Box<User>),
    /// It exists; the caller does not learn whether it did before.
    Concealed,
}

/// What a concealed registration waits for at least, once the password is hashed: many times what
/// it takes to add an account, or to find that there is one and write to its owner.
const CONCEALED_WORK: Duration = Duration::from_millis(50);

/// For whom the service itself hashes.
const NOBODY: Requester = Requester { place: Place::Unknown, account: None };

impl Accounts {
    /// Makes an account. Its role is always `member`. Where addresses must be proven, the link
    /// for that is mailed.
    ///
    /// Where existing accounts are concealed, the caller does not learn whether there was one: the same password
    /// is hashed, the answer comes at the same time, and the owner of an existing account gets a mail.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that cannot be taken, [`Error::WeakPassword`],
    /// [`Error::RateLimited`], [`Error::EmailTaken`]; [`Error::RegistrationDisabled`].
    pub async fn register(&self, registration: Registration, visitor: &Visitor) -> Result<Registered> {
        if !self.registration.enabled {
            return Err(Error::RegistrationDisabled);
        }
        let Registration { email, password, first_name, last_name } = registration;
        let Person { email, first_name, last_name } =
            Person::read(&email, first_name, last_name, Some(&password), &self.passwords)?;
        let registering = async {
            let password = self.passwords.choose(password, email.as_str(), Field::Password)?;
            let requester = self.limits.requester(visitor, &email);
            let user = NewUser {
                email: email.clone(),
                first_name,
                last_name,
                role: Role::Member,
                password: self.passwords.hash(requester, password).await?,
                email_verified: false,
                metadata: Metadata::default(),
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
    async fn add(&self, user: &NewUser, visitor: &Visitor) -> Result<Option<Box<User>>> {
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

    /// Whoever lost the link of an address that is not proven gets another one.
    fn tell_owner(&self, owner: User) {
        if !owner.email_verified && !owner.disabled {
            self.verifications.invite_again(&owner);
            return;
        }
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
                Ok((*user, pair))
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
            if user.role() == Role::Admin && !user.email_verified {
                self.users.verify_email(user.id, &email).await?;
                self.profiles.settle().await;
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
            metadata: Metadata::default(),
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
}
