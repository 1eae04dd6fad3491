use std::error::Error;
use std::future::Future;
use std::time::SystemTime;

use crate::claims::AccessClaims;
use crate::rejection::Rejection;
use crate::verifier::Verifier;

/// Whether a token that is otherwise right has been taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationStatus {
    /// Nothing speaks against it.
    Live,
    /// Revoked: by itself, with its session, or with everything its user had.
    Revoked,
}

/// Where revocations are known.
pub trait RevocationSource: Send + Sync {
    /// Why the source could not tell.
    type Error: Error + Send + Sync + 'static;

    /// Whether the token with these claims still stands at `now`.
    ///
    /// # Errors
    /// When the source cannot tell. That is never a reason to accept the token.
    fn status(
        &self,
        claims: &AccessClaims,
        now: SystemTime,
    ) -> impl Future<Output = Result<RevocationStatus, Self::Error>> + Send;
}

/// Why an access token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CheckError<E: Error + 'static> {
    /// A verdict about the token itself.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The token was right and has been taken back.
    #[error("the token has been revoked")]
    Revoked,
    /// Not a verdict: answer 503, not 401.
    #[error("revocation of the token cannot be checked")]
    CannotTell(#[source] E),
}

/// The whole check: signature, claims, revocation.
#[derive(Clone, Debug)]
pub struct AccessTokenCheck<S> {
    verifier: Verifier,
    source: S,
}

impl<S: RevocationSource> AccessTokenCheck<S> {
    /// Checks with `verifier`, then asks `source`.
    pub fn new(verifier: Verifier, source: S) -> Self {
        Self { verifier, source }
    }

    /// Checks a token at `now`.
    ///
    /// # Errors
    /// [`CheckError`]. An expired token is refused without asking the source.
    pub async fn check(&self, token: &str, now: SystemTime) -> Result<AccessClaims, CheckError<S::Error>> {
        let claims = self.verifier.verify(token, now)?;
        self.check_revocation(&claims, now).await?;
        Ok(claims)
    }

    /// The second half of [`check`](Self::check), for claims that are authentic but need not be
    /// in time: those that [`Rejection::Expired`] carries.
    ///
    /// # Errors
    /// [`CheckError::Revoked`] or [`CheckError::CannotTell`].
    pub async fn check_revocation(
        &self,
        claims: &AccessClaims,
        now: SystemTime,
    ) -> Result<(), CheckError<S::Error>> {
        match self.source.status(claims, now).await {
            Ok(RevocationStatus::Live) => Ok(()),
            Ok(RevocationStatus::Revoked) => Err(CheckError::Revoked),
            Err(error) => Err(CheckError::CannotTell(error)),
        }
    }

    /// The first half: signature and claims.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}
