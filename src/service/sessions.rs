//! Login, refresh, logout, and one's sessions.

use std::net::IpAddr;
use std::sync::Arc;

use hallpass_verify::AccessClaims;

use super::access_tokens::{AccessTokens, refresh_verdict, session_of};
use super::caller::Caller;
use super::clock_watch::ClockWatch;
use super::cut_off::CutOff;
use super::error::{Error, Result};
use super::limits::{Limits, Visitor};
use super::named_in_log;
use super::password_workers::Requester;
use super::passwords::Passwords;
use super::session_cap::SessionCap;
use super::trail::AuditTrail;
use crate::config::RegistrationSettings;
use crate::crypto::refresh_token;
use crate::crypto::secret::DerivedKeys;
use crate::domain::audit::{AuditAction, AuditActor, AuditEntry, Reason};
use crate::domain::causes::with_causes;
use crate::domain::client::ClientId;
use crate::domain::clock::Clock;
use crate::domain::email::Email;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::password::{NewPassword, Password};
use crate::domain::random::Random;
use crate::domain::rate_limit::Action;
use crate::domain::session::{NewSession, Session, SessionLifetimes};
use crate::domain::session_cap::SessionCursor;
use crate::domain::session_origin::SessionOrigin;
use crate::domain::tokens::{AccessToken, RefreshClaims, RefreshToken};
use crate::domain::user::{SecurityVersion, User};
use crate::store::{
    OnReuse, OnUnknown, OpenOutcome, RefreshOutcome, StoreError, StoreResult, TokenStore, UserStore,
};

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

/// Which of the account's sessions a logout ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutScope {
    /// That of the presented token.
    Local,
    /// All but that one.
    Others,
    /// All of them.
    Global,
}

/// Who ends sessions of their own, why, from where and when.
#[derive(Clone, Copy)]
struct Ending {
    user: UserId,
    reason: Reason,
    address: Option<IpAddr>,
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

/// A page of an account's live sessions, newest first.
#[derive(Clone, Debug)]
pub struct SessionPage {
    /// The sessions.
    pub sessions: Vec<Session>,
    /// Behind which the next page begins, if there is one.
    pub next: Option<SessionCursor>,
}

impl SessionPage {
    pub(super) async fn read(
        store: &dyn TokenStore,
        user: UserId,
        after: Option<SessionCursor>,
        limit: u32,
    ) -> StoreResult<Self> {
        let mut sessions = store.list_sessions(user, after, limit.saturating_add(1)).await?;
        let has_more = sessions.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        if has_more {
            sessions.pop();
        }
        let next = sessions.last().filter(|_| has_more).map(SessionCursor::from);
        Ok(Self { sessions, next })
    }
}

impl Sessions {
    /// Checks an address and a password and opens a new session.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for an unknown address, a wrong password, and for text
    /// that is no address or no password at all; [`Error::RateLimited`];
    /// [`Error::AccountDisabled`] and [`Error::EmailNotVerified`] only for whoever knows the
    /// password.
    pub async fn log_in(
        &self,
        email: &str,
        password: &str,
        visitor: &Visitor,
        origin: SessionOrigin,
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
        let pair = self.open(&user, origin, None).await?;
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
        let address = origin.address;
        let new = NewSession::of(user, SessionId::generate(&*self.random), origin);
        match self.open_at(user, new).await? {
            Some(session) => {
                self.cap.make_room_for(&session).await;
                let entry = self.trail.event(AuditAction::LoginSucceeded, AuditActor::User(user.id));
                let entry = entry.on(user.id).session(session.id).from(address);
                self.trail.record(AuditEntry { reason: because, ..entry });
                self.pair(session)
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

    /// Redeems a refresh token. All concurrent callers with one token, and a caller that comes
    /// back within the grace period, get the same successor. An access token that comes along
    /// must be authentic, of the same user, and not revoked; it may be expired, or of a key or an issuer
    /// that counts no more.
    ///
    /// # Errors
    /// [`Error::InvalidRefreshToken`], [`Error::RefreshTokenReused`],
    /// [`Error::SessionExpired`], [`Error::SessionEvicted`], or what is wrong with the access token;
    /// in their place [`Error::RateLimited`] after too many of them.
    pub async fn refresh(
        &self,
        refresh: &RefreshToken,
        access: Option<&AccessToken>,
        visitor: &Visitor,
    ) -> Result<TokenPair> {
        self.clocks.may_mint()?;
        let rotation = self.rotate(refresh, access, visitor.address());
        self.limits.failing_attempt(Action::Refresh, visitor, Error::is_verdict, rotation).await
    }

    /// The same for a client that has proven who it is. A token that was issued to another one is
    /// refused and not used up. Whoever comes without credentials is the first party, whose own all
    /// tokens are that a login here brought.
    ///
    /// # Errors
    /// Those of [`Self::refresh`].
    pub async fn refresh_for(
        &self,
        client: &ClientId,
        refresh: &RefreshToken,
        visitor: &Visitor,
    ) -> Result<TokenPair> {
        self.clocks.may_mint()?;
        let rotation = async {
            self.require_own(client, refresh).await?;
            self.rotate(refresh, None, visitor.address()).await
        };
        self.limits.failing_attempt(Action::Refresh, visitor, Error::is_verdict, rotation).await
    }

    async fn rotate(
        &self,
        refresh: &RefreshToken,
        access: Option<&AccessToken>,
        address: Option<IpAddr>,
    ) -> Result<TokenPair> {
        let now = self.clock.now();
        let claims = self.read(refresh)?;
        if let Some(access) = access
            && let Some(presented) = self.access_tokens.claims_beside_refresh(access, now).await?
            && presented.sub != claims.user.to_string()
        {
            return Err(Error::InvalidRefreshToken);
        }
        let lifetimes = &self.lifetimes;
        let outcome = self.token_store.rotate(&claims, lifetimes).await?;
        let session = refresh_verdict(&self.trail, &claims, outcome, address)?;
        self.pair(self.access_tokens.with_proof(session).await)
    }

    /// Lets a client pass whose own a refresh token is (RFC 6749 6). What is dead already is nobody's:
    /// what follows from that it was presented is for the rotation to say.
    async fn require_own(&self, client: &ClientId, refresh: &RefreshToken) -> Result<()> {
        let claims = self.read(refresh)?;
        let lifetimes = &self.lifetimes;
        let outcome = self.token_store.check_refresh(&claims, lifetimes, OnReuse::Refuse).await?;
        match outcome.session() {
            Some(session) if session.carried.origin.client != client.as_str() => {
                tracing::info!(%client, session = %session.id, "a client presented another one's refresh token");
                Err(Error::InvalidRefreshToken)
            }
            _ => Ok(()),
        }
    }

    /// Ends the session that the tokens belong to, or others of its account, at once and for all
    /// their tokens. The access token decides when one came, expired or not; else the refresh token, also
    /// beside an access token of a key or an issuer that counts no more.
    ///
    /// [`LogoutScope::Global`] is a security event: a session that is just being opened ends with the
    /// others. With [`LogoutScope::Others`] each session ends in an operation of its own: until all is
    /// done, the same call can be made again, and a session that is opened meanwhile may live on.
    ///
    /// # Errors
    /// [`Error::TokenRevoked`] or [`Error::InvalidRefreshToken`] when the session is gone
    /// already; [`Error::Unauthenticated`] when nothing came; [`Error::RevocationPending`] when the
    /// end of all sessions is decided and not confirmed yet.
    pub async fn log_out(
        &self,
        access: Option<&AccessToken>,
        refresh: Option<&RefreshToken>,
        scope: LogoutScope,
        visitor: &Visitor,
    ) -> Result<()> {
        let address = visitor.address();
        let now = self.clock.now();
        let access = match refresh {
            Some(_) => access.and_then(|access| self.access_tokens.beside_refresh(access, now)),
            None => access,
        };
        let (user, session, gone) = match (access, refresh) {
            (Some(access), _) => {
                let claims = match self.access_tokens.authentic_claims_to_revoke(access, now).await {
                    Err(Error::TokenRevoked) if scope == LogoutScope::Local => self
                        .access_tokens
                        .claims_unknown_to_followers(access, now)
                        .ok_or(Error::TokenRevoked)?,
                    claims => claims?,
                };
                let user = claims
                    .sub
                    .parse()
                    .map_err(|_| Error::InvalidToken(hallpass_verify::Rejection::Malformed))?;
                let session = session_of(&claims).map_err(Error::InvalidToken)?;
                (user, session, Error::TokenRevoked)
            }
            (None, Some(refresh)) => {
                let claims = self.read(refresh)?;
                let lifetimes = &self.lifetimes;
                let store = &self.token_store;
                match store.check_refresh(&claims, lifetimes, OnReuse::Revoke).await {
                    Ok(outcome) => {
                        refresh_verdict(&self.trail, &claims, outcome, address)?;
                    }
                    // Authentic it is; that it is to end can be written down.
                    Err(StoreError::Unavailable { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                (claims.user, claims.session, Error::InvalidRefreshToken)
            }
            (None, None) => return Err(Error::Unauthenticated),
        };
        match scope {
            LogoutScope::Local => {
                let ending = Ending { user, reason: Reason::LoggedOut, address };
                self.revoke(&ending, session, OnUnknown::Deny).await?.then_some(()).ok_or(gone)?;
            }
            LogoutScope::Others => {
                let ending = Ending { user, reason: Reason::LoggedOut, address };
                self.end_others(&ending, session).await?;
            }
            LogoutScope::Global => {
                let entry = self.trail.event(AuditAction::SessionsEnded, AuditActor::User(user));
                let entry = entry.on(user).session(session).from(address).because(Reason::LoggedOut);
                self.cut_off.end_all(user, entry).await?.ok_or(gone)?;
            }
        }
        Ok(())
    }

    /// At most `limit` of the caller's live sessions, newest first, from the one behind `after` on.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(
        &self,
        caller: &Caller,
        after: Option<SessionCursor>,
        limit: u32,
    ) -> Result<SessionPage> {
        Ok(SessionPage::read(&*self.token_store, caller.user, after, limit).await?)
    }

    /// Ends a session of the caller's, at once and for all its tokens.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it has ended already, or is not the caller's.
    pub async fn revoke_own(&self, caller: &Caller, session: SessionId) -> Result<()> {
        let was_live = self.revoke(&self.ending_by(caller), session, OnUnknown::Ignore).await?;
        was_live.then_some(()).ok_or(Error::NotFound)
    }

    /// Ends every session of the caller's but the one they call from, each in an operation of its
    /// own; answers how many. A session that is opened meanwhile may live on.
    ///
    /// # Errors
    /// [`Error::Store`]: some may have ended, and the same call ends the rest.
    pub async fn revoke_others(&self, caller: &Caller) -> Result<usize> {
        self.end_others(&self.ending_by(caller), caller.session).await
    }

    fn ending_by(&self, caller: &Caller) -> Ending {
        Ending { user: caller.user, reason: Reason::RevokedByUser, address: caller.address }
    }

    /// Ends the user's sessions but `kept`; answers how many.
    async fn end_others(&self, ending: &Ending, kept: SessionId) -> Result<usize> {
        let mut ended = 0;
        for session in self.token_store.session_uses(ending.user).await? {
            let id = session.at.id;
            if id != kept && self.revoke(ending, id, OnUnknown::Ignore).await? {
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Mints an access token for the session that both tokens belong to. The refresh token is not
    /// rotated.
    ///
    /// This and [`Self::end`] are for clients that never rotate. The access token must be authentic
    /// and not revoked; it may be expired, and to renew it, of a key or an issuer that counts no more. A
    /// refresh token that was rotated meanwhile, by another
    /// client of the session, is refused and ends nothing: here it is no sign of theft.
    ///
    /// # Errors
    /// [`Error::InvalidRefreshToken`], also when the tokens are of two sessions,
    /// [`Error::SessionExpired`], or what is wrong with the access token; in their place
    /// [`Error::RateLimited`] after too many of them.
    pub async fn renew_access(
        &self,
        access: &AccessToken,
        refresh: &RefreshToken,
        visitor: &Visitor,
    ) -> Result<AccessToken> {
        let renewal = async {
            self.clocks.may_mint()?;
            let now = self.clock.now();
            let presented = self.access_tokens.claims_beside_refresh(access, now).await?;
            let session = self.session_of_both(presented.as_ref(), refresh, visitor).await?;
            let (access, _) = self.access_tokens.mint(&self.access_tokens.with_proof(session).await)?;
            Ok(access)
        };
        self.limits.failing_attempt(Action::Refresh, visitor, Error::is_verdict, renewal).await
    }

    /// Ends the session that both tokens belong to, at once and for all its tokens. The access token must
    /// be in time.
    ///
    /// # Errors
    /// Those of [`Self::renew_access`], but for the last, and [`Error::TokenExpired`].
    pub async fn end(&self, access: &AccessToken, refresh: &RefreshToken, visitor: &Visitor) -> Result<()> {
        let now = self.clock.now();
        let presented = self.access_tokens.live_claims(access, now).await?;
        let session = self.session_of_both(Some(&presented), refresh, visitor).await?;
        let user = session.user;
        let ending = Ending { user, reason: Reason::LoggedOut, address: visitor.address() };
        self.revoke(&ending, session.id, OnUnknown::Deny).await?.then_some(()).ok_or(Error::TokenRevoked)
    }

    /// The live session of the refresh token, which `presented` belongs to as well.
    async fn session_of_both(
        &self,
        presented: Option<&AccessClaims>,
        refresh: &RefreshToken,
        visitor: &Visitor,
    ) -> Result<Session> {
        let claims = self.read(refresh)?;
        let is_of = |presented: &AccessClaims| {
            presented.sub == claims.user.to_string() && session_of(presented) == Ok(claims.session)
        };
        if !presented.is_none_or(is_of) {
            return Err(Error::InvalidRefreshToken);
        }
        let lifetimes = &self.lifetimes;
        let outcome = self.token_store.check_refresh(&claims, lifetimes, OnReuse::Refuse).await?;
        match outcome {
            RefreshOutcome::Reused => Err(Error::InvalidRefreshToken),
            outcome => refresh_verdict(&self.trail, &claims, outcome, visitor.address()),
        }
    }

    /// Ends a session; answers whether it was live.
    async fn revoke(&self, ending: &Ending, session: SessionId, on_unknown: OnUnknown) -> Result<bool> {
        let Ending { user, reason, address } = *ending;
        let store = &self.token_store;
        let ended = store.revoke_session(user, session, on_unknown).await;
        if matches!(ended, Ok(true) | Err(StoreError::RevocationPending(_))) {
            tracing::info!(%user, %session, "session ended by its user");
            let entry = self.trail.event(AuditAction::SessionEnded, AuditActor::User(user));
            self.trail.record(entry.on(user).session(session).from(address).because(reason));
        }
        Ok(ended?)
    }

    fn read(&self, refresh: &RefreshToken) -> Result<RefreshClaims> {
        let claims = refresh_token::verify(&self.secrets, refresh).map_err(|_| Error::InvalidRefreshToken)?;
        named_in_log::account(claims.user);
        Ok(claims)
    }

    fn pair(&self, session: Session) -> Result<TokenPair> {
        let (access, claims) = self.access_tokens.mint(&session)?;
        let refresh =
            RefreshClaims { user: session.user, session: session.id, generation: session.generation };
        Ok(TokenPair {
            access,
            access_expires_in: claims.exp - claims.iat,
            refresh: refresh_token::mint(&self.secrets, &refresh),
            session,
        })
    }

    /// Brings the stored hash up to the present cost. A failure costs nobody their login: the next
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
        && standing.role == checked.role
        && standing.email == checked.email
        && standing.disabled == checked.disabled
}
