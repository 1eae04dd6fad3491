//! Checking access tokens: signature, claims, and whether they were taken back.

use std::sync::Arc;
use std::time::Duration;

use hallpass_verify::{AccessClaims, CheckError, KnownToken, Rejection, RevocationStatus};

use super::AccessTokens;
use super::claims::{incarnation_of, session_of};
use crate::domain::client::{ClientId, FIRST_PARTY_CLIENT_ID};
use crate::domain::clock::Timestamp;
use crate::domain::ids::Jti;
use crate::domain::tokens::AccessToken;
use crate::service::error::{Error, Result};
use crate::service::named_in_log;
use crate::store::{AccessStatus, StoreError};

impl AccessTokens {
    /// The claims of a client's own access token. Whether it was taken back is not looked at.
    ///
    /// # Errors
    /// What is wrong with the token; a user's token is not of this kind, nor is one that was exchanged.
    pub(in crate::service) fn check_client(
        &self,
        access: &AccessToken,
        now: Timestamp,
    ) -> Result<AccessClaims> {
        match self.read(access, now) {
            Ok(claims) if claims.is_machine() && claims.act.is_none() => Ok(claims),
            Ok(_) => Err(Error::InsufficientScope),
            Err(Rejection::Expired(_)) => Err(Error::TokenExpired),
            Err(rejection) => Err(Error::InvalidToken(rejection)),
        }
    }

    /// The claims of a token that stands for `audience`, but for whether it was taken back.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub(in crate::service) fn verify_for(
        &self,
        audience: &str,
        access: &AccessToken,
        now: Timestamp,
    ) -> Result<AccessClaims, Rejection> {
        let verifier = self.checks.get().tokens.verifier().clone().with_audience(audience);
        verifier.verify(access.expose(), now.to_system_time())
    }

    /// Signature and claims of a token for this service. A token without a session is a machine's: no user is
    /// logged in by it.
    pub(super) fn verify(&self, access: &AccessToken, now: Timestamp) -> Result<AccessClaims, Rejection> {
        person(self.read(access, now))
    }

    /// The same of a token for `audience`.
    pub(super) fn verify_person(
        &self,
        audience: &str,
        access: &AccessToken,
        now: Timestamp,
    ) -> Result<AccessClaims, Rejection> {
        match audience == self.parts.audience {
            true => self.verify(access, now),
            false => person(self.verify_for(audience, access, now)),
        }
    }

    /// The same of a token for whomever: to end what it belongs to it is good enough.
    pub(super) fn verify_for_anybody(
        &self,
        access: &AccessToken,
        now: Timestamp,
    ) -> Result<AccessClaims, Rejection> {
        person(self.read_for_anybody(access, now))
    }

    /// The claims of an access token for whomever, a user's or a machine's, that is rightly signed and in time.
    /// Whether it was revoked is not asked.
    pub(in crate::service) fn read_for_anybody(
        &self,
        access: &AccessToken,
        now: Timestamp,
    ) -> Result<AccessClaims, Rejection> {
        let verifier = self.checks.get().tokens.verifier().clone().with_any_audience();
        verifier.verify(access.expose(), now.to_system_time())
    }

    /// The claims of an access token, a user's or a machine's, that is rightly signed and in time.
    /// Whether it was revoked is not asked.
    pub(in crate::service) fn read(
        &self,
        access: &AccessToken,
        now: Timestamp,
    ) -> Result<AccessClaims, Rejection> {
        self.known(access, now).map(|known| known.claims.clone())
    }

    /// The same, with what is remembered of it.
    pub(super) fn known(&self, access: &AccessToken, now: Timestamp) -> Result<Arc<KnownToken>, Rejection> {
        self.checks.get().tokens.verify(access.expose(), now.to_system_time())
    }

    /// The claims of an access token that is authentic, in time and not revoked.
    ///
    /// # Errors
    /// What is wrong with the token: [`Error::TokenExpired`] as well.
    pub(in crate::service) async fn live_claims(
        &self,
        access: &AccessToken,
        now: Timestamp,
    ) -> Result<AccessClaims> {
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
    pub(in crate::service) async fn authentic_claims_to_revoke(
        &self,
        access: &AccessToken,
        now: Timestamp,
    ) -> Result<AccessClaims> {
        let claims = match self.verify_for_anybody(access, now) {
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
    pub(in crate::service) fn claims_unknown_to_followers(
        &self,
        access: &AccessToken,
        now: Timestamp,
    ) -> Option<AccessClaims> {
        let claims = self.verify_for_anybody(access, now).ok()?;
        (self.parts.revocations.is_revoked(&claims) != Ok(true)).then_some(claims)
    }

    /// For how long a token has to be denied that is taken back now: until it counts nowhere any more.
    pub(in crate::service) fn rest_of(&self, claims: &AccessClaims, now: Timestamp) -> Duration {
        let end = Timestamp::from_secs(claims.exp);
        // Its end is by the clock that it was minted by, and this replica's differs from the token store's.
        end.after(2 * self.parts.settings.lifetimes.leeway).since(now)
    }

    /// Whether a machine's token stands: it was not taken back.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(in crate::service) async fn machine_stands(
        &self,
        claims: &AccessClaims,
        now: Timestamp,
    ) -> Result<bool> {
        if let Some(status) = self.parts.revocations.status(claims, now) {
            return Ok(status == RevocationStatus::Live);
        }
        let status =
            self.parts.token_store.machine_status(Jti::from(claims.jti), incarnation_of(claims)).await?;
        Ok(status == AccessStatus::Live)
    }

    /// Whether a user's token was taken back, or one of the clients is gone that act by it.
    ///
    /// # Errors
    /// [`Error::TokenRevoked`], [`Error::Store`].
    pub(in crate::service) async fn check_stands(&self, claims: &AccessClaims, now: Timestamp) -> Result<()> {
        self.check_revocation(claims, now).await?;
        match self.actors_stand(claims).await? {
            true => Ok(()),
            false => Err(Error::TokenRevoked),
        }
    }

    /// Whether the clients are still there that act by a token that was exchanged. An actor that is a person is no
    /// client, and neither is the first party.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(in crate::service) async fn actors_stand(&self, claims: &AccessClaims) -> Result<bool> {
        if claims.act.is_none() {
            return Ok(true);
        }
        let mut asked = Vec::new();
        for id in claims.actors().chain([claims.client_id.as_str()]) {
            let Ok(client) = id.parse::<ClientId>() else { continue };
            if id == FIRST_PARTY_CLIENT_ID || asked.contains(&client) {
                continue;
            }
            if self.parts.clients.find_client(&client).await?.is_none() {
                return Ok(false);
            }
            asked.push(client);
        }
        Ok(true)
    }

    /// Whether a user's token was taken back.
    ///
    /// # Errors
    /// [`Error::TokenRevoked`], [`Error::Store`].
    pub(in crate::service) async fn check_revocation(
        &self,
        claims: &AccessClaims,
        now: Timestamp,
    ) -> Result<()> {
        Ok(self.checks.get().revocations.check_revocation(claims, now.to_system_time()).await?)
    }
}

/// A machine's token is none of a person's.
fn person(verdict: Result<AccessClaims, Rejection>) -> Result<AccessClaims, Rejection> {
    let claims = match &verdict {
        Ok(claims) => claims,
        Err(Rejection::Expired(claims)) => &**claims,
        Err(_) => return verdict,
    };
    session_of(claims)?;
    named_in_log::account(&claims.sub);
    verdict
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
