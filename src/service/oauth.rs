//! The OAuth operations about a token that any client may present: introspection and revocation.

use std::sync::Arc;

use hallpass_verify::AccessClaims;

use super::access_tokens::AccessTokens;
use super::clients::Clients;
use super::error::Result;
use super::trail::AuditTrail;
use super::visitor::Visitor;
use crate::crypto::refresh_token;
use crate::crypto::secret::DerivedKeys;
use crate::domain::audit::{AuditAction, AuditActor, Reason};
use crate::domain::client::{Client, TOKENS_INTROSPECT};
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::session::{Session, SessionLifetimes};
use crate::domain::tokens::{AccessToken, RefreshToken};
use crate::store::{OnReuse, OnUnknown, StoreError, TokenStore};

/// What there is to say about a token (RFC 7662 2.2).
#[derive(Clone, Debug)]
pub enum Introspection {
    /// It is good for nothing here, and no more is said: unknown, altered, expired, taken back, or
    /// for somebody else.
    Inactive,
    /// An access token that stands.
    Access(Box<AccessClaims>),
    /// A refresh token that could be redeemed, and its session.
    Refresh(Box<Session>),
}

/// Introspection and revocation. Cheap to clone.
#[derive(Clone)]
pub struct OAuth {
    pub(super) token_store: Arc<dyn TokenStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) secrets: DerivedKeys,
    pub(super) trail: AuditTrail,
    pub(super) access_tokens: AccessTokens,
    pub(super) clients: Clients,
    pub(super) audience: String,
    pub(super) lifetimes: SessionLifetimes,
}

/// Whether a text says of itself that it is a refresh token.
pub fn is_refresh_token(text: &str) -> bool {
    text.starts_with(refresh_token::PREFIX)
}

impl OAuth {
    /// Says whether a token stands, to a client whose credentials were checked (RFC 7662). An access
    /// token is active if it is for this service or for the client's own audience, or was issued to the client.
    /// Nothing is used up or revoked by asking. A refresh token is active for the client that it was issued to, and for
    /// those with the scope [`TOKENS_INTROSPECT`] (RFC 7662 4: a token may be active for one and not for
    /// another).
    ///
    /// # Errors
    /// Only when it cannot be told: [`Error::Store`].
    pub async fn introspect(&self, caller: &Client, token: &str) -> Result<Introspection> {
        let now = self.clock.now();
        if is_refresh_token(token) {
            return self.introspect_refresh(caller, &RefreshToken::new(token)).await;
        }
        match self.claims(caller, token, now) {
            Some(claims) => self.introspect_access(claims, now).await,
            None => Ok(Introspection::Inactive),
        }
    }

    /// The claims of an access token that is right, but for whether it was taken back: for this service or for the
    /// client's own audience, or one that was issued to the client.
    fn claims(&self, caller: &Client, token: &str, now: Timestamp) -> Option<AccessClaims> {
        let claims = self.access_tokens.read_for_anybody(&AccessToken::new(token), now).ok()?;
        let own = [Some(self.audience.as_str()), caller.audience.as_deref()];
        let is_for_caller = claims.aud.iter().any(|audience| own.contains(&Some(audience)));
        (is_for_caller || claims.client_id == caller.id.as_str()).then_some(claims)
    }

    async fn introspect_access(&self, claims: AccessClaims, now: Timestamp) -> Result<Introspection> {
        let stands = self.clients.person_or_machine_stands(&claims, now).await?;
        Ok(if stands { Introspection::Access(Box::new(claims)) } else { Introspection::Inactive })
    }

    async fn introspect_refresh(&self, caller: &Client, token: &RefreshToken) -> Result<Introspection> {
        let Ok(claims) = refresh_token::verify(&self.secrets, token) else {
            return Ok(Introspection::Inactive);
        };
        let lifetimes = &self.lifetimes;
        let outcome = self.token_store.check_refresh(&claims, lifetimes, OnReuse::Refuse).await?;
        let may_know = |session: &Session| {
            session.carried.origin.client == caller.id.as_str() || caller.scopes.contains(TOKENS_INTROSPECT)
        };
        Ok(match outcome.session().filter(may_know) {
            Some(session) => Introspection::Refresh(Box::new(self.access_tokens.with_proof(session).await)),
            None => Introspection::Inactive,
        })
    }

    /// Takes a token back (RFC 7009): an access token by itself, a refresh token with its session and
    /// all its access tokens. To have the token is right enough. A token that is good for nothing
    /// already is taken back as well as any.
    ///
    /// # Errors
    /// [`Error::Store`]: it may still stand.
    pub async fn revoke(&self, caller: Option<&Client>, token: &str, visitor: &Visitor) -> Result<()> {
        let actor = caller.map_or(AuditActor::Anonymous, |client| AuditActor::Client(client.id.clone()));
        let event = |action| {
            let entry = self.trail.event(action, actor.clone());
            entry.from(visitor.address()).because(Reason::RevokedByClient)
        };
        let now = self.clock.now();
        let store = &self.token_store;
        if is_refresh_token(token) {
            let token = RefreshToken::new(token);
            if let Ok(claims) = refresh_token::verify(&self.secrets, &token) {
                let (user, session) = (claims.user, claims.session);
                let ended = store.revoke_session(user, session, OnUnknown::Deny).await;
                if matches!(ended, Ok(true) | Err(StoreError::RevocationPending(_))) {
                    let entry = event(AuditAction::SessionEnded);
                    self.trail.record(entry.on(claims.user).session(claims.session));
                }
                ended?;
                tracing::info!(user = %claims.user, session = %claims.session, "session ended by its refresh token");
            }
            return Ok(());
        }
        // Whomever it is for: a token of any service can be taken back.
        let Ok(claims) = self.access_tokens.read_for_anybody(&AccessToken::new(token), now) else {
            return Ok(());
        };
        let jti = Jti::from(claims.jti);
        let denial = self.access_tokens.rest_of(&claims, now);
        if claims.is_machine() {
            store.revoke_machine_token(jti, denial).await?;
            self.trail.record_seldom(event(AuditAction::TokenRevoked).token(jti), None);
        } else if let (Ok(user), Some(sid)) = (claims.sub.parse::<UserId>(), claims.sid) {
            store.revoke_access_token(user, jti, denial).await?;
            let entry = event(AuditAction::TokenRevoked).on(user).session(SessionId::from(sid)).token(jti);
            self.trail.record_seldom(entry, None);
            tracing::info!(%user, session = %SessionId::from(sid), "access token taken back");
        }
        Ok(())
    }
}
