//! Knowing the caller by an access token, a refresh token or both.

use std::net::IpAddr;

use hallpass_verify::{AccessClaims, Rejection};

use super::AccessTokens;
use super::refresh_verdict::refresh_verdict;
use crate::crypto::refresh_token;
use crate::domain::clock::Timestamp;
use crate::domain::tokens::{AccessToken, RefreshToken};
use crate::service::caller::Caller;
use crate::service::error::{Error, Result};
use crate::service::named_in_log;
use crate::store::OnReuse;

impl AccessTokens {
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
        self.authenticate_for(&self.parts.audience, access, refresh, address).await
    }

    /// The same by tokens that are for `audience`. What a refresh token buys is for whom its session was granted
    /// to be, which has to include that one.
    ///
    /// # Errors
    /// Those of [`Self::authenticate`].
    pub async fn authenticate_for(
        &self,
        audience: &str,
        access: Option<&AccessToken>,
        refresh: Option<&RefreshToken>,
        address: Option<IpAddr>,
    ) -> Result<Caller> {
        let now = self.parts.clock.now();
        let Some(access) = access else {
            let refresh = refresh.ok_or(Error::Unauthenticated)?;
            return self.renew(audience, refresh, None, address).await;
        };
        match self.verify_person(audience, access, now) {
            Ok(claims) => {
                self.check_stands(&claims, now).await?;
                Caller::of(access.clone(), &claims, address)
            }
            // Who acts for somebody renews nothing.
            Err(Rejection::Expired(claims)) if claims.act.is_some() => Err(Error::TokenExpired),
            Err(Rejection::Expired(claims)) => {
                let refresh = refresh.ok_or(Error::TokenExpired)?;
                self.check_stands(&claims, now).await?;
                self.renew(audience, refresh, Some(&claims), address).await
            }
            Err(rejection) => match refresh {
                Some(refresh) if self.is_of_the_past(access, &rejection, now) => {
                    self.renew(audience, refresh, None, address).await
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
    pub(in crate::service) fn beside_refresh<'a>(
        &self,
        access: &'a AccessToken,
        now: Timestamp,
    ) -> Option<&'a AccessToken> {
        let rejection = match self.verify_for_anybody(access, now) {
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
    pub(in crate::service) async fn claims_beside_refresh(
        &self,
        access: &AccessToken,
        now: Timestamp,
    ) -> Result<Option<AccessClaims>> {
        match self.authentic_claims(access, now).await {
            Ok(claims) => Ok(Some(claims)),
            Err(Error::InvalidToken(rejection)) if self.is_of_the_past(access, &rejection, now) => {
                Ok(self.claims_of_who_acts(access, now))
            }
            Err(error) => Err(error),
        }
    }

    /// The claims of a token that somebody acts by, whomever it is for: beside a refresh token it is never as good as
    /// none.
    fn claims_of_who_acts(&self, access: &AccessToken, now: Timestamp) -> Option<AccessClaims> {
        let claims = match self.verify_for_anybody(access, now) {
            Ok(claims) => claims,
            Err(Rejection::Expired(claims)) => *claims,
            Err(_) => return None,
        };
        claims.act.is_some().then_some(claims)
    }

    async fn renew(
        &self,
        audience: &str,
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
        if !self.grant_of(&session).iter().any(|granted| granted == audience) {
            return Err(Error::InvalidToken(Rejection::WrongAudience));
        }
        let account = self.account_for_claims(session.user).await?;
        let (access, minted) = self.mint(&session, None, account.as_ref())?;
        Ok(Caller { renewed: true, ..Caller::of(access, &minted, address)? })
    }
}
