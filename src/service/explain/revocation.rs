//! Taking back what an operator presents.

use hallpass_verify::Rejection;

use super::{TokenInspector, TokenOrId, subject};
use crate::crypto::refresh_token;
use crate::domain::audit::AuditAction;
use crate::domain::client::ClientId;
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::tokens::AccessToken;
use crate::service::caller::Administrator;
use crate::service::error::{Error, Result};
use crate::store::StoreError;

/// What was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevokedItem {
    /// One access token; its session lives on.
    Token(UserId, Jti),
    /// An access token that a client got for itself.
    MachineToken(ClientId, Jti),
    /// A session with all its tokens.
    Session(UserId, SessionId),
}

/// What became of taking something back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// What was taken back.
    pub what: RevokedItem,
    /// Whether that is known to be in force. Else it is decided, and the process that has the token store carries
    /// it out.
    pub is_confirmed: bool,
}

impl TokenInspector {
    /// Takes an access token back, or ends the session of a refresh token or of an id. What is decided and
    /// not confirmed is no error: the token store may well be out of reach here.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] or [`Error::InvalidRefreshToken`] for a token that is not
    /// ours, [`Error::NotFound`] for a session that is not live or not known here.
    pub async fn revoke(&self, by: Administrator, presented: &TokenOrId) -> Result<Revoked> {
        let (user, session) = match presented {
            TokenOrId::Access(token) => return self.revoke_access(by, token).await,
            TokenOrId::Refresh(token) => {
                let claims =
                    refresh_token::verify(&self.secrets, token).map_err(|_| Error::InvalidRefreshToken)?;
                (claims.user, claims.session)
            }
            TokenOrId::Id(id) => {
                let known = self.known_by_id(by, SessionId::from(*id)).await?.ok_or(Error::NotFound)?;
                (known.user, known.session)
            }
        };
        let ended = self.administration.end_session(by, user, session).await;
        Ok(Revoked { what: RevokedItem::Session(user, session), is_confirmed: is_confirmed(ended)? })
    }

    async fn revoke_access(&self, by: Administrator, token: &AccessToken) -> Result<Revoked> {
        let now = self.clock.now();
        let claims = match self.access_tokens.read(token, now) {
            Err(Rejection::Expired(_)) => return Err(Error::TokenExpired),
            read => read.map_err(Error::InvalidToken)?,
        };
        match subject(&claims) {
            Ok((user, session, token)) => {
                let denial = self.access_tokens.rest_of(&claims, now);
                let revoked = self.administration.revoke_access_token(by, user, session, token, denial).await;
                Ok(Revoked { what: RevokedItem::Token(user, token), is_confirmed: is_confirmed(revoked)? })
            }
            Err(rejection) => {
                let client = self.machine_of(&claims).await?.ok_or(Error::InvalidToken(rejection))?;
                let token = Jti::from(claims.jti);
                let denial = self.access_tokens.rest_of(&claims, now);
                let revoked = self.token_store.revoke_machine_token(token, denial).await;
                if matches!(revoked, Ok(()) | Err(StoreError::RevocationPending(_))) {
                    let entry = self.trail.event(AuditAction::TokenRevoked, by.actor()).token(token);
                    self.trail.record(entry.client(&client.id).because(by.reason()));
                }
                let is_confirmed = is_confirmed(revoked.map_err(Error::from))?;
                Ok(Revoked { what: RevokedItem::MachineToken(client.id, token), is_confirmed })
            }
        }
    }
}

/// Whether what was decided is known to be in force.
fn is_confirmed(outcome: Result<()>) -> Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(Error::RevocationPending(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
