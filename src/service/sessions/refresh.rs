//! Redeeming a refresh token for a new pair.

use std::net::IpAddr;

use super::{Sessions, TokenPair};
use crate::domain::audiences::{Asked, Audiences};
use crate::domain::client::ClientId;
use crate::domain::rate_limit::Action;
use crate::domain::tokens::{AccessToken, RefreshClaims, RefreshToken};
use crate::metrics::{self, Refresh};
use crate::service::access_tokens::refresh_verdict;
use crate::service::error::{Error, Result};
use crate::service::visitor::Visitor;
use crate::store::{OnReuse, RefreshOutcome};

/// Whether an error says something about the token, whose guessing is limited.
fn is_of_a_token(error: &Error) -> bool {
    error.is_verdict() && !matches!(error, Error::InvalidTarget)
}

impl Sessions {
    /// Redeems a refresh token. All concurrent callers with one token, and a caller that comes
    /// back within the grace period, get the same successor. An access token that comes along
    /// must be authentic, of the same user, and not revoked; it may be expired, or of a key or an issuer
    /// that counts no more. What is asked for narrows the one access token, and nothing of the session.
    ///
    /// # Errors
    /// [`Error::InvalidTarget`]; [`Error::InvalidRefreshToken`], [`Error::RefreshTokenReused`],
    /// [`Error::SessionExpired`], [`Error::SessionEvicted`], or what is wrong with the access token;
    /// in their place [`Error::RateLimited`] after too many of them.
    pub async fn refresh(
        &self,
        refresh: &RefreshToken,
        access: Option<&AccessToken>,
        visitor: &Visitor,
        asked: &Asked,
    ) -> Result<TokenPair> {
        self.clocks.may_mint()?;
        let rotation = self.rotate(refresh, access, visitor.address(), asked);
        self.limits.failing_attempt(Action::Refresh, visitor, is_of_a_token, rotation).await
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
        asked: &Asked,
    ) -> Result<TokenPair> {
        self.clocks.may_mint()?;
        let rotation = async {
            self.require_own(client, refresh).await?;
            self.rotate(refresh, None, visitor.address(), asked).await
        };
        self.limits.failing_attempt(Action::Refresh, visitor, is_of_a_token, rotation).await
    }

    async fn rotate(
        &self,
        refresh: &RefreshToken,
        access: Option<&AccessToken>,
        address: Option<IpAddr>,
        asked: &Asked,
    ) -> Result<TokenPair> {
        let now = self.clock.now();
        let claims = self.read(refresh)?;
        if let Some(access) = access
            && let Some(presented) = self.access_tokens.claims_beside_refresh(access, now).await?
        {
            if presented.act.is_some() {
                return Err(Error::InsufficientScope);
            }
            if presented.sub != claims.user.to_string() {
                return Err(Error::InvalidRefreshToken);
            }
        }
        let narrowed = self.narrowed(&claims, asked).await?;
        let account = self.access_tokens.account_for_claims(claims.user).await?;
        let lifetimes = &self.lifetimes;
        let outcome = self.token_store.rotate(&claims, lifetimes).await?;
        metrics::refreshed(counted_as(&outcome));
        let session = refresh_verdict(&self.trail, &claims, outcome, address)?;
        self.pair(self.access_tokens.with_proof(session).await, narrowed, account.as_ref())
    }

    /// What is asked for, if the session was granted all of it (RFC 8707 2.2): looked at before anything is
    /// rotated, and not for a token that is dead, since that is for the rotation to say.
    async fn narrowed<'a>(&self, claims: &RefreshClaims, asked: &'a Asked) -> Result<Option<&'a Audiences>> {
        if *asked == Asked::Nothing {
            return Ok(None);
        }
        let lifetimes = &self.lifetimes;
        let outcome = self.token_store.check_refresh(claims, lifetimes, OnReuse::Refuse).await?;
        let Some(session) = outcome.session() else { return Ok(None) };
        let granted = self.access_tokens.grant_of(&session);
        Ok(asked.within(|one| granted.iter().any(|own| own == one))?)
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
}

fn counted_as(outcome: &RefreshOutcome) -> Refresh {
    match outcome {
        RefreshOutcome::Current(_) => Refresh::Rotated,
        RefreshOutcome::Previous(_) => Refresh::Replayed,
        RefreshOutcome::Recovered(_) => Refresh::Recovered,
        RefreshOutcome::Reused => Refresh::Reused,
        RefreshOutcome::Expired(_) => Refresh::Expired,
        RefreshOutcome::Evicted => Refresh::Evicted,
        RefreshOutcome::Unknown => Refresh::Unknown,
    }
}
