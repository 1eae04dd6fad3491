//! Access tokens: minting them, and knowing the caller by one.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hallpass_verify::{
    AccessClaims, AccessTokenCheck, CheckError, Rejection, RevocationSource, RevocationStatus, Verifier,
};

use super::caller::Caller;
use super::clock_watch::ClockWatch;
use super::error::{Error, Result};
use super::key_ring::{KeyRing, PerGeneration};
use super::named_in_log;
use super::revocations::Revocations;
use super::trail::AuditTrail;
use crate::config::TokenSettings;
use crate::crypto::secret::DerivedKeys;
use crate::crypto::{jwt, refresh_token};
use crate::domain::audit::{AuditAction, AuditActor, Reason};
use crate::domain::causes::with_causes;
use crate::domain::client::{Client, REVOCATIONS_READ, Scopes};
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::{Jti, SessionId};
use crate::domain::partition::Partition;
use crate::domain::random::Random;
use crate::domain::session::Session;
use crate::domain::tokens::{AccessToken, RefreshClaims, RefreshToken};
use crate::domain::user::Role;
use crate::store::{AccessStatus, AccessSubject, OnReuse, RefreshOutcome, StoreError, TokenStore, UserStore};

/// Claim `client_id` of tokens that a login on this service itself brought (RFC 9068 2.2 wants
/// one in every token).
pub const FIRST_PARTY_CLIENT_ID: &str = "hallpass";

/// Minting and checking access tokens. Cheap to clone.
#[derive(Clone)]
pub struct AccessTokens {
    parts: Parts,
    /// One for each generation of the ring, with its keys.
    checks: Arc<PerGeneration<AccessTokenCheck<KnownRevocations>>>,
    /// The same with the keys that were revoked.
    of_revoked_keys: Arc<PerGeneration<Verifier>>,
}

/// What minting and checking takes.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) users: Arc<dyn UserStore>,
    pub(super) token_store: Arc<dyn TokenStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) clocks: ClockWatch,
    pub(super) random: Arc<dyn Random>,
    pub(super) secrets: DerivedKeys,
    pub(super) trail: AuditTrail,
    pub(super) key_ring: Arc<KeyRing>,
    pub(super) revocations: Revocations,
    /// Claim `iss`: the service's public URL, exactly.
    pub(super) issuer: String,
    /// Claim `aud`.
    pub(super) audience: String,
    pub(super) settings: TokenSettings,
}

impl AccessTokens {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { key_ring, revocations, issuer, audience, settings, token_store, .. } = &parts;
        let verifier = Verifier::new(key_ring.current().key_set().clone(), issuer, audience)
            .with_token_type(settings.typ)
            .with_leeway(settings.lifetimes.leeway);
        let with_revoked_keys = verifier.clone();
        let of_revoked_keys = PerGeneration::new(key_ring.clone(), move |generation| {
            with_revoked_keys.clone().with_keys(generation.revoked_keys().clone())
        });
        let (copy, token_store) = (revocations.clone(), token_store.clone());
        let checks = PerGeneration::new(key_ring.clone(), move |generation| {
            let verifier = verifier.clone().with_keys(generation.key_set().clone());
            let source = KnownRevocations { copy: copy.clone(), token_store: token_store.clone() };
            AccessTokenCheck::new(verifier, source)
        });
        let of_revoked_keys = Arc::new(of_revoked_keys);
        Self { checks: Arc::new(checks), of_revoked_keys, parts }
    }

    /// Mints an access token of a live session. It never outlives the session.
    ///
    /// # Errors
    /// [`Error::ClockSkew`]; [`Error::Signing`].
    pub fn mint(&self, session: &Session) -> Result<(AccessToken, AccessClaims)> {
        self.parts.clocks.may_mint()?;
        let now = self.parts.clock.now();
        let Parts { issuer, audience, settings, .. } = &self.parts;
        let ends_at = session.idle_deadline.min(session.absolute_deadline);
        let expires_at = now.after(settings.lifetimes.access_token).min(ends_at);
        let claims = AccessClaims {
            iss: issuer.clone(),
            aud: vec![audience.clone()],
            sub: session.subject.user.to_string(),
            exp: expires_at.as_secs(),
            iat: now.as_secs(),
            nbf: None,
            jti: *Jti::generate(&*self.parts.random).as_uuid(),
            sid: Some(*session.id.as_uuid()),
            sv: Some(session.subject.security_version.get()),
            inc: number_of(session.incarnation),
            client_id: session.origin.client.clone(),
            email: Some(session.subject.email.as_str().to_owned()),
            email_verified: Some(session.subject.email_verified),
            roles: vec![session.subject.role.as_str().to_owned()],
            scope: None,
        };
        let token = jwt::mint(self.parts.key_ring.current().signing_key(), settings.typ, &claims)?;
        Ok((token, claims))
    }

    /// The session as it is when something is to be said of it again: its address may have been proven
    /// since it was opened, which ends no session. Only where it was not is the account looked at. One
    /// that cannot be looked at now counts as not proven: that is no reason to refuse, and to vouch for
    /// an address that nobody proved would be one.
    pub(super) async fn with_proof(&self, mut session: Session) -> Session {
        let subject = &mut session.subject;
        if !subject.email_verified {
            match self.parts.users.find_user(subject.user).await {
                Ok(user) => {
                    subject.email_verified =
                        user.is_some_and(|user| user.email_verified && user.email == subject.email);
                }
                Err(error) => tracing::debug!(
                    user = %subject.user,
                    error = %with_causes(&error),
                    "whether the address is proven by now cannot be told"
                ),
            }
        }
        session
    }

    /// Mints an access token that a client gets for itself (RFC 6749 4.4, RFC 9068 2.2): nobody is
    /// logged in by it. One that may read the revocation feed is for this service as well.
    ///
    /// # Errors
    /// [`Error::ClockSkew`]; [`Error::Signing`]; [`Error::Store`] while it is not known in which incarnation the token
    /// store is.
    pub(super) async fn mint_for_client(
        &self,
        client: &Client,
        scopes: &Scopes,
    ) -> Result<(AccessToken, AccessClaims)> {
        self.parts.clocks.may_mint()?;
        let now = self.parts.clock.now();
        let incarnation = self.parts.token_store.incarnation(Partition::EVERYBODY).await?;
        let Parts { issuer, audience, settings, .. } = &self.parts;
        let own = audience;
        let mut aud: Vec<String> =
            client.audience.iter().filter(|audience| *audience != own).cloned().collect();
        if aud.is_empty() || scopes.contains(REVOCATIONS_READ) {
            aud.push(own.clone());
        }
        let claims = AccessClaims {
            iss: issuer.clone(),
            aud,
            sub: client.id.to_string(),
            exp: now.after(settings.lifetimes.access_token).as_secs(),
            iat: now.as_secs(),
            nbf: None,
            jti: *Jti::generate(&*self.parts.random).as_uuid(),
            sid: None,
            sv: None,
            inc: number_of(incarnation),
            client_id: client.id.to_string(),
            email: None,
            email_verified: None,
            roles: Vec::new(),
            scope: Some(scopes.to_string()),
        };
        let token = jwt::mint(self.parts.key_ring.current().signing_key(), settings.typ, &claims)?;
        Ok((token, claims))
    }

    /// The claims of a client's own access token. Whether it was taken back is not looked at.
    ///
    /// # Errors
    /// What is wrong with the token; a user's is none of this kind.
    pub(super) fn check_client(&self, access: &AccessToken, now: Timestamp) -> Result<AccessClaims> {
        match self.checks.get().verifier().verify(access.expose(), now.to_system_time()) {
            Ok(claims) if claims.is_machine() => Ok(claims),
            Ok(_) => Err(Error::InsufficientScope),
            Err(Rejection::Expired(_)) => Err(Error::TokenExpired),
            Err(rejection) => Err(Error::InvalidToken(rejection)),
        }
    }

    /// The claims of a token that stands for `audience`, but for whether it was taken back.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub(super) fn verify_for(
        &self,
        audience: &str,
        access: &AccessToken,
        now: Timestamp,
    ) -> Result<AccessClaims, Rejection> {
        let verifier = self.checks.get().verifier().clone().with_audience(audience);
        verifier.verify(access.expose(), now.to_system_time())
    }

    /// Knows the caller by what was presented.
    ///
    /// - A live access token is enough, and nothing else is looked at.
    /// - An expired one (authentic, not revoked) with a live refresh token of the same user, and a
    ///   live refresh token alone, buy a new access token; the refresh token is not rotated.
    /// - A forged or revoked access token is refused whatever else came; one that was right until the
    ///   service changed ([`Self::is_of_the_past`]) is as good as none.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when nothing came, else what is wrong with what came.
    pub async fn authenticate(
        &self,
        access: Option<&AccessToken>,
        refresh: Option<&RefreshToken>,
        address: Option<IpAddr>,
    ) -> Result<Caller> {
        let now = self.parts.clock.now();
        let Some(access) = access else {
            let refresh = refresh.ok_or(Error::Unauthenticated)?;
            return self.renew(refresh, None, address).await;
        };
        match self.verify(access, now) {
            Ok(claims) => {
                self.check_revocation(&claims, now).await?;
                known_caller(access.clone(), &claims, address)
            }
            Err(Rejection::Expired(claims)) => {
                let refresh = refresh.ok_or(Error::TokenExpired)?;
                self.check_revocation(&claims, now).await?;
                self.renew(refresh, Some(&claims), address).await
            }
            Err(rejection) => match refresh {
                Some(refresh) if self.is_of_the_past(access, &rejection, now) => {
                    self.renew(refresh, None, address).await
                }
                _ => Err(Error::InvalidToken(rejection)),
            },
        }
    }

    /// Whether an access token that is refused by this `rejection` was rightly signed here and has been
    /// right: its key was revoked since, or the service has another name or audience now. Beside a live
    /// refresh token it counts as absent, since that is all that its owner has.
    fn is_of_the_past(&self, access: &AccessToken, rejection: &Rejection, now: Timestamp) -> bool {
        // These two come after the signature and the type, and before the times.
        let is_of_another_name =
            |rejection: &Rejection| matches!(rejection, Rejection::WrongIssuer | Rejection::WrongAudience);
        if !matches!(rejection, Rejection::UnknownKey) {
            return is_of_another_name(rejection);
        }
        match self.of_revoked_keys.get().verify(access.expose(), now.to_system_time()) {
            Ok(_) | Err(Rejection::Expired(_)) => true,
            Err(rejection) => is_of_another_name(&rejection),
        }
    }

    /// An access token that comes beside a refresh token, unless it counts as absent
    /// ([`Self::is_of_the_past`]).
    pub(super) fn beside_refresh<'a>(
        &self,
        access: &'a AccessToken,
        now: Timestamp,
    ) -> Option<&'a AccessToken> {
        let rejection = match self.verify(access, now) {
            Err(rejection) => rejection,
            Ok(_) => return Some(access),
        };
        (!self.is_of_the_past(access, &rejection, now)).then_some(access)
    }

    /// The claims of an access token that comes beside a refresh token, when it is authentic and not
    /// revoked, in time or not; `None` of one that counts as absent ([`Self::is_of_the_past`]).
    ///
    /// # Errors
    /// What is wrong with the token.
    pub(super) async fn claims_beside_refresh(
        &self,
        access: &AccessToken,
        now: Timestamp,
    ) -> Result<Option<AccessClaims>> {
        match self.authentic_claims(access, now).await {
            Ok(claims) => Ok(Some(claims)),
            Err(Error::InvalidToken(rejection)) if self.is_of_the_past(access, &rejection, now) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Signature and claims. A token without a session is a machine's: nobody is logged in by it.
    fn verify(&self, access: &AccessToken, now: Timestamp) -> Result<AccessClaims, Rejection> {
        let verdict = self.read(access, now);
        let claims = match &verdict {
            Ok(claims) => claims,
            Err(Rejection::Expired(claims)) => &**claims,
            Err(_) => return verdict,
        };
        session_of(claims)?;
        named_in_log::account(&claims.sub);
        verdict
    }

    /// The claims of an access token, a user's or a machine's, that is rightly signed and in time.
    /// Whether it was revoked is not asked.
    pub(super) fn read(&self, access: &AccessToken, now: Timestamp) -> Result<AccessClaims, Rejection> {
        self.checks.get().verifier().verify(access.expose(), now.to_system_time())
    }

    /// The claims of an access token that is authentic, in time and not revoked.
    ///
    /// # Errors
    /// What is wrong with the token: [`Error::TokenExpired`] as well.
    pub(super) async fn live_claims(&self, access: &AccessToken, now: Timestamp) -> Result<AccessClaims> {
        let claims = self.verify(access, now).map_err(|rejection| match rejection {
            Rejection::Expired(_) => Error::TokenExpired,
            rejection => Error::InvalidToken(rejection),
        })?;
        self.check_revocation(&claims, now).await?;
        Ok(claims)
    }

    /// The claims of an access token that is authentic and not revoked, in time or not.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub async fn authentic_claims(&self, access: &AccessToken, now: Timestamp) -> Result<AccessClaims> {
        let claims = match self.verify(access, now) {
            Ok(claims) => claims,
            Err(Rejection::Expired(claims)) => *claims,
            Err(rejection) => return Err(Error::InvalidToken(rejection)),
        };
        self.check_revocation(&claims, now).await?;
        Ok(claims)
    }

    /// The same for a token that is to be revoked: while the token store is out of reach it is enough that
    /// it is authentic, since that its session ends can be written down all the same.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub(super) async fn authentic_claims_to_revoke(
        &self,
        access: &AccessToken,
        now: Timestamp,
    ) -> Result<AccessClaims> {
        let claims = match self.verify(access, now) {
            Ok(claims) => claims,
            Err(Rejection::Expired(claims)) => *claims,
            Err(rejection) => return Err(Error::InvalidToken(rejection)),
        };
        match self.check_revocation(&claims, now).await {
            Ok(()) | Err(Error::Store(StoreError::Unavailable { .. })) => Ok(claims),
            Err(error) => Err(error),
        }
    }

    /// The claims of a token that is refused here, and that followers of the feed may still take: its
    /// session was opened in what the token store has lost. They may as well while it is not known here what
    /// they have heard.
    pub(super) fn claims_unknown_to_followers(
        &self,
        access: &AccessToken,
        now: Timestamp,
    ) -> Option<AccessClaims> {
        let claims = self.verify(access, now).ok()?;
        (self.parts.revocations.is_revoked(&claims) != Ok(true)).then_some(claims)
    }

    /// For how long a token has to be denied that is taken back now: until it counts nowhere any more.
    pub(super) fn rest_of(&self, claims: &AccessClaims, now: Timestamp) -> Duration {
        let end = Timestamp::from_secs(claims.exp);
        // Its end is by the clock that it was minted by, and this replica's differs from the token store's.
        end.after(2 * self.parts.settings.lifetimes.leeway).since(now)
    }

    /// Whether a machine's token stands: it was not taken back.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn machine_stands(&self, claims: &AccessClaims, now: Timestamp) -> Result<bool> {
        if let Some(status) = self.parts.revocations.status(claims, now) {
            return Ok(status == RevocationStatus::Live);
        }
        let status =
            self.parts.token_store.machine_status(Jti::from(claims.jti), incarnation_of(claims)).await?;
        Ok(status == AccessStatus::Live)
    }

    /// Whether a user's token was taken back.
    ///
    /// # Errors
    /// [`Error::TokenRevoked`], [`Error::Store`].
    pub(super) async fn check_revocation(&self, claims: &AccessClaims, now: Timestamp) -> Result<()> {
        Ok(self.checks.get().check_revocation(claims, now.to_system_time()).await?)
    }

    async fn renew(
        &self,
        refresh: &RefreshToken,
        expired: Option<&AccessClaims>,
        address: Option<IpAddr>,
    ) -> Result<Caller> {
        let claims =
            refresh_token::verify(&self.parts.secrets, refresh).map_err(|_| Error::InvalidRefreshToken)?;
        named_in_log::account(claims.user);
        if expired.is_some_and(|expired| expired.sub != claims.user.to_string()) {
            return Err(Error::InvalidRefreshToken);
        }
        self.parts.clocks.may_mint()?;
        let lifetimes = &self.parts.settings.lifetimes;
        let outcome = self.parts.token_store.check_refresh(&claims, lifetimes, OnReuse::Revoke).await?;
        let session = self.with_proof(refresh_verdict(&self.parts.trail, &claims, outcome, address)?).await;
        let (access, minted) = self.mint(&session)?;
        Ok(Caller { renewed: true, ..known_caller(access, &minted, address)? })
    }
}

/// The number of an incarnation of the token store, as tokens have it.
pub(super) fn number_of(incarnation: i64) -> u64 {
    u64::try_from(incarnation).unwrap_or_default()
}

/// The incarnation that a token with these claims was minted in.
pub(super) fn incarnation_of(claims: &AccessClaims) -> i64 {
    i64::try_from(claims.inc).unwrap_or(i64::MAX)
}

/// Turns a store's outcome into the live session, or into the verdict on the token, which was presented
/// from `address`.
pub(super) fn refresh_verdict(
    trail: &AuditTrail,
    claims: &RefreshClaims,
    outcome: RefreshOutcome,
    address: Option<IpAddr>,
) -> Result<Session> {
    let (user, session) = (claims.user, claims.session);
    // Whoever presents a dead token has not proven who they are.
    let event = |action, reason| {
        let entry = trail.event(action, AuditActor::Anonymous).on(user).session(session);
        entry.from(address).because(reason)
    };
    match outcome {
        RefreshOutcome::Current(live) | RefreshOutcome::Previous(live) => Ok(live),
        RefreshOutcome::Recovered(live) => {
            tracing::warn!(%user, %session, "token store had lost a rotation; session moved forward");
            Ok(live)
        }
        RefreshOutcome::Reused => {
            tracing::warn!(%user, %session, reason = "reuse_detected", "refresh token reused; session revoked");
            trail.record(event(AuditAction::RefreshTokenReused, Reason::ReuseDetected));
            Err(Error::RefreshTokenReused)
        }
        RefreshOutcome::Expired(timeout) => {
            trail.record_seldom(event(AuditAction::SessionExpired, timeout.into()), None);
            Err(Error::SessionExpired)
        }
        // Its end is in the log already.
        RefreshOutcome::Evicted => Err(Error::SessionEvicted),
        RefreshOutcome::Unknown => Err(Error::InvalidRefreshToken),
    }
}

/// The session that a user's token belongs to.
pub(super) fn session_of(claims: &AccessClaims) -> Result<SessionId, Rejection> {
    claims.sid.map(SessionId::from).ok_or(Rejection::Malformed)
}

/// Reads the caller out of claims that we signed ourselves.
fn known_caller(access: AccessToken, claims: &AccessClaims, address: Option<IpAddr>) -> Result<Caller> {
    let malformed = || Error::InvalidToken(Rejection::Malformed);
    let user = claims.sub.parse().map_err(|_| malformed())?;
    let role =
        if claims.roles.iter().any(|role| role == Role::Admin.as_str()) { Role::Admin } else { Role::Member };
    Ok(Caller {
        user,
        role,
        email: claims.email.clone().unwrap_or_default(),
        email_verified: claims.verified_email().is_some(),
        session: session_of(claims).map_err(Error::InvalidToken)?,
        access,
        issued_at: claims.iat,
        expires_at: claims.exp,
        renewed: false,
        address,
    })
}

impl From<CheckError<StoreError>> for Error {
    fn from(error: CheckError<StoreError>) -> Self {
        match error {
            CheckError::Rejected(Rejection::Expired(_)) => Self::TokenExpired,
            CheckError::Rejected(rejection) => Self::InvalidToken(rejection),
            CheckError::Revoked => Self::TokenRevoked,
            CheckError::CannotTell(error) => Self::Store(error),
        }
    }
}

/// Asks this process's copy of the feed where that answers, else the token store: one round trip a
/// check.
struct KnownRevocations {
    copy: Revocations,
    token_store: Arc<dyn TokenStore>,
}

impl RevocationSource for KnownRevocations {
    type Error = StoreError;

    async fn status(&self, claims: &AccessClaims, now: SystemTime) -> Result<RevocationStatus, StoreError> {
        let (Ok(user), Ok(session)) = (claims.sub.parse(), session_of(claims)) else {
            return Ok(RevocationStatus::Revoked);
        };
        if let Some(status) = self.copy.status(claims, now.into()) {
            return Ok(status);
        }
        let subject = AccessSubject {
            user,
            session,
            token: Jti::from(claims.jti),
            incarnation: incarnation_of(claims),
        };
        Ok(match self.token_store.access_status(&subject).await? {
            AccessStatus::Live => RevocationStatus::Live,
            AccessStatus::Revoked | AccessStatus::StoreLost => RevocationStatus::Revoked,
        })
    }
}
