//! Ending sessions of one's own.

use std::net::IpAddr;

use super::Sessions;
use crate::domain::audit::{AuditAction, AuditActor, Reason};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::tokens::{AccessToken, RefreshToken};
use crate::service::access_tokens::{refresh_verdict, session_of};
use crate::service::caller::Caller;
use crate::service::error::{Error, Result};
use crate::service::visitor::Visitor;
use crate::store::{OnReuse, OnUnknown, StoreError};

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
pub(super) struct Ending {
    pub(super) user: UserId,
    pub(super) reason: Reason,
    pub(super) address: Option<IpAddr>,
}

impl Sessions {
    /// Ends the session that the tokens belong to, or others of its account, at once and for all
    /// their tokens. The access token decides when one came, expired or not; else the refresh token, also
    /// beside an access token of a key or an issuer that counts no more.
    ///
    /// [`LogoutScope::Global`] is a security event: a session that is just being opened ends with the
    /// others. With [`LogoutScope::Others`] each session ends in an operation of its own: until all is
    /// done, the same call can be made again, and a session that is opened meanwhile may live on.
    ///
    /// The access token may be for whomever: a login that asked for services alone can end itself.
    ///
    /// # Errors
    /// [`Error::InsufficientScope`] for a token that somebody acts by for the session's owner.
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
                if claims.act.is_some() {
                    return Err(Error::InsufficientScope);
                }
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

    /// Ends a session; answers whether it was live.
    pub(super) async fn revoke(
        &self,
        ending: &Ending,
        session: SessionId,
        on_unknown: OnUnknown,
    ) -> Result<bool> {
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
}
