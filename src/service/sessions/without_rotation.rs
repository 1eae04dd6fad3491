//! For clients that keep one refresh token as long as the session lives.

use hallpass_verify::AccessClaims;

use super::Sessions;
use super::ending::Ending;
use crate::domain::audit::Reason;
use crate::domain::rate_limit::Action;
use crate::domain::session::Session;
use crate::domain::tokens::{AccessToken, RefreshToken};
use crate::service::access_tokens::{refresh_verdict, session_of};
use crate::service::error::{Error, Result};
use crate::service::visitor::Visitor;
use crate::store::{OnReuse, OnUnknown, RefreshOutcome};

impl Sessions {
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
            let account = self.access_tokens.account_for_claims(session.user).await?;
            let session = self.access_tokens.with_proof(session).await;
            let (access, _) = self.access_tokens.mint(&session, None, account.as_ref())?;
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
        if presented.is_some_and(|presented| presented.act.is_some()) {
            return Err(Error::InsufficientScope);
        }
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
}
