//! Login, refresh, logout, and one's sessions.

mod ending;
mod page;
mod refresh;
mod without_rotation;

use std::net::IpAddr;
use std::sync::Arc;

pub use self::ending::LogoutScope;
pub use self::page::SessionPage;
use super::access_tokens::AccessTokens;
use super::clock_watch::ClockWatch;
use super::cut_off::CutOff;
use super::error::{Error, Result};
use super::limits::Limits;
use super::named_in_log;
use super::password_workers::Requester;
use super::passwords::Passwords;
use super::session_cap::SessionCap;
use super::trail::AuditTrail;
use super::visitor::Visitor;
use crate::config::RegistrationSettings;
use crate::crypto::refresh_token;
use crate::crypto::secret::DerivedKeys;
use crate::domain::audiences::{Asked, Audiences};
use crate::domain::audit::{AuditAction, AuditActor, AuditEntry, Reason};
use crate::domain::causes::with_causes;
use crate::domain::clock::Clock;
use crate::domain::email::Email;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::password::{NewPassword, Password};
use crate::domain::random::Random;
use crate::domain::session::{NewSession, Session, SessionLifetimes};
use crate::domain::session_origin::SessionOrigin;
use crate::domain::tokens::{AccessToken, RefreshClaims, RefreshToken};
use crate::domain::user::{SecurityVersion, User};
use crate::store::{OpenOutcome, TokenStore, UserStore};

/// What a login or a refresh hands out.
#[derive(Clone, Debug)]
pub struct TokenPair {
    /// The signed access token.
    pub access: AccessToken,
    /// How long the access token lives, seconds.
    pub access_expires_in: i64,
    /// The refresh token.
    pub refresh: RefreshToken,
    /// The session that both belong to.
    pub session: Session,
}

/// Login, refresh, logout. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    pub(super) users: Arc<dyn UserStore>,
    pub(super) token_store: Arc<dyn TokenStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) clocks: ClockWatch,
    pub(super) random: Arc<dyn Random>,
    pub(super) secrets: DerivedKeys,
    pub(super) trail: AuditTrail,
    pub(super) passwords: Passwords,
    pub(super) access_tokens: AccessTokens,
    pub(super) cut_off: CutOff,
    pub(super) limits: Limits,
    pub(super) cap: SessionCap,
    pub(super) registration: RegistrationSettings,
    pub(super) lifetimes: SessionLifetimes,
}

impl Sessions {
    /// Checks an address and a password and opens a new session.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for an unknown address, a wrong password, and for text
    /// that is no address or no password at all; [`Error::RateLimited`];
    /// [`Error::AccountDisabled`], [`Error::EmailNotVerified`] and [`Error::InvalidTarget`] only for whoever knows
    /// the password.
    pub async fn log_in(
        &self,
        email: &str,
        password: &str,
        visitor: &Visitor,
        origin: SessionOrigin,
        asked: &Asked,
    ) -> Result<(User, TokenPair)> {
        self.clocks.may_mint()?;
        let email = Email::parse(email).map_err(|_| Error::InvalidCredentials)?;
        let password = Password::parse(password).map_err(|_| Error::InvalidCredentials)?;
        let failed = |user: Option<UserId>, reason| {
            self.trail.record(self.failed_login(user, visitor.address(), reason));
        };
        let requester = self.limits.requester(visitor, &email);
        let check = async {
            let user = self.users.find_user_by_email(&email).await?;
            let id = user.as_ref().map(|user| user.id);
            let verified = self.passwords.verify(user, password.clone(), requester).await;
            if let Err(Error::InvalidCredentials) = verified {
                failed(id, id.map_or(Reason::UnknownAccount, |_| Reason::WrongPassword));
            }
            verified
        };
        let attempt = self.limits.password_attempt(visitor, &email, check).await;
        if let Err(Error::RateLimited { .. }) = attempt {
            let entry = self.failed_login(None, visitor.address(), Reason::RateLimited);
            self.trail.record_seldom(entry, requester.account);
        }
        let user = attempt?;
        if user.disabled {
            failed(Some(user.id), Reason::AccountDisabled);
            return Err(Error::AccountDisabled);
        }
        if self.registration.verify_email && !user.email_verified {
            failed(Some(user.id), Reason::EmailNotVerified);
            return Err(Error::EmailNotVerified);
        }
        let grant = self.access_tokens.grant_for_login(asked)?;
        let new = self.new_session(&user, origin).granted(grant);
        let pair = self.open_as(&user, new, None).await?;
        self.rehash_if_outdated(&user, password, requester).await;
        Ok((user, pair))
    }

    fn failed_login(&self, user: Option<UserId>, address: Option<IpAddr>, reason: Reason) -> AuditEntry {
        let entry = self.trail.event(AuditAction::LoginFailed, AuditActor::Anonymous);
        AuditEntry { user, ..entry.from(address).because(reason) }
    }

    /// Opens a session for an account whose credentials were checked; `because` of what, where it was
    /// no login.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] when a security event came between check and session.
    pub(super) async fn open(
        &self,
        user: &User,
        origin: SessionOrigin,
        because: Option<Reason>,
    ) -> Result<TokenPair> {
        let new = self.new_session(user, origin);
        self.open_as(user, new, because).await
    }

    /// One that its owner has just proven to be theirs.
    fn new_session(&self, user: &User, origin: SessionOrigin) -> NewSession {
        NewSession::of(user, SessionId::generate(&*self.random), self.clock.now(), origin)
    }

    async fn open_as(&self, user: &User, new: NewSession, because: Option<Reason>) -> Result<TokenPair> {
        let address = new.carried.origin.address;
        match self.open_at(user, new).await? {
            Some(session) => {
                self.cap.make_room_for(&session).await;
                let entry = self.trail.event(AuditAction::LoginSucceeded, AuditActor::User(user.id));
                let entry = entry.on(user.id).session(session.id).from(address);
                self.trail.record(AuditEntry { reason: because, ..entry });
                self.pair(session, None, Some(user))
            }
            None => {
                self.trail.record(self.failed_login(Some(user.id), address, Reason::Superseded));
                Err(Error::InvalidCredentials)
            }
        }
    }

    /// Opens the session, unless a security event came between the check of the credentials and this.
    ///
    /// Where the token store knows a later version than the database, either somebody has ended the
    /// account's sessions while the database was away, which it takes over now, or the database was
    /// restored from a backup: then it advances past what the token store knows, so that the person can
    /// log in and nothing of before revives.
    /// (model: LoginOutrunsRestoredSql)
    async fn open_at(&self, user: &User, new: NewSession) -> Result<Option<Session>> {
        let store = &self.token_store;
        let lifetimes = &self.lifetimes;
        let first = match store.open_session(&new, lifetimes).await? {
            OpenOutcome::Opened(session) => return Ok(Some(session)),
            OpenOutcome::Superseded { first } => first,
        };
        let users = &self.users;
        let is_behind = |standing: &User| standing.security_version < first;
        if !users.find_user(user.id).await?.as_ref().is_some_and(is_behind) {
            return Ok(None);
        }
        store.settle_owed(user.id).await?;
        let standing = users.find_user(user.id).await?;
        let Some(standing) = standing.filter(|standing| is_same_account(standing, user)) else {
            return Ok(None);
        };
        let security_version = if is_behind(&standing) {
            match self.advance_past(user.id, first).await? {
                Some(version) => version,
                None => return Ok(None),
            }
        } else {
            standing.security_version
        };
        Ok(match store.open_session(&NewSession { security_version, ..new }, lifetimes).await? {
            OpenOutcome::Opened(session) => Some(session),
            OpenOutcome::Superseded { .. } => None,
        })
    }

    /// The database was restored, and knows less than the token store: the account goes on behind it.
    /// (model: LoginOutrunsRestoredSql)
    async fn advance_past(&self, user: UserId, first: SecurityVersion) -> Result<Option<SecurityVersion>> {
        let entry = self.cut_off.journal_entry();
        let users = &self.users;
        let Some(event) = users.raise_security_version(user, first.next(entry.at), entry).await? else {
            return Ok(None);
        };
        tracing::warn!(
            %user,
            "the database knows an older state of the account than the token store: it was restored; all sessions of the account end"
        );
        let entry = self.trail.event(AuditAction::SessionsEnded, AuditActor::Service).on(user);
        self.cut_off.end_noted(&event, [entry.because(Reason::DatabaseRestored)]).await?;
        Ok(Some(event.user.security_version))
    }

    fn read(&self, refresh: &RefreshToken) -> Result<RefreshClaims> {
        let claims = refresh_token::verify(&self.secrets, refresh).map_err(|_| Error::InvalidRefreshToken)?;
        named_in_log::account(claims.user);
        Ok(claims)
    }

    fn pair(
        &self,
        session: Session,
        narrowed: Option<&Audiences>,
        account: Option<&User>,
    ) -> Result<TokenPair> {
        let (access, claims) = self.access_tokens.mint(&session, narrowed, account)?;
        let refresh =
            RefreshClaims { user: session.user, session: session.id, generation: session.generation };
        Ok(TokenPair {
            access,
            access_expires_in: claims.exp - claims.iat,
            refresh: refresh_token::mint(&self.secrets, &refresh),
            session,
        })
    }

    /// Brings the stored hash up to the present cost. A failure costs no login: the next
    /// one tries again.
    async fn rehash_if_outdated(&self, user: &User, password: Password, requester: Requester) {
        if !self.passwords.is_outdated(&user.password) {
            return;
        }
        let replaced = match self.passwords.hash(requester, NewPassword::exempt(password)).await {
            Ok(hash) => {
                let users = &self.users;
                users.rehash_password(user.id, &user.password, &hash).await.map_err(Error::from)
            }
            Err(error) => Err(error),
        };
        match replaced {
            Ok(replaced) => tracing::info!(user = %user.id, replaced, "password rehashed"),
            Err(error) => {
                tracing::warn!(user = %user.id, error = %with_causes(&error), "password not rehashed");
            }
        }
    }
}

/// Whether the account is, but for its version, as it was when its credentials were checked.
fn is_same_account(standing: &User, checked: &User) -> bool {
    standing.password == checked.password
        && standing.roles == checked.roles
        && standing.email == checked.email
        && standing.metadata == checked.metadata
        && standing.disabled == checked.disabled
}
