//! Minting access tokens, for people and for clients.

use hallpass_verify::AccessClaims;

use super::claims::number_of;
use super::{AccessTokens, Parts};
use crate::crypto::jwt;
use crate::domain::causes::with_causes;
use crate::domain::client::{Client, REVOCATIONS_READ, Scopes};
use crate::domain::ids::Jti;
use crate::domain::partition::Partition;
use crate::domain::session::Session;
use crate::domain::tokens::AccessToken;
use crate::service::error::Result;

impl AccessTokens {
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
            sub: session.user.to_string(),
            exp: expires_at.as_secs(),
            iat: now.as_secs(),
            nbf: None,
            jti: *Jti::generate(&*self.parts.random).as_uuid(),
            sid: Some(*session.id.as_uuid()),
            sv: Some(session.security_version.get()),
            inc: number_of(session.incarnation),
            client_id: session.carried.origin.client.clone(),
            email: Some(session.carried.email.as_str().to_owned()),
            email_verified: Some(session.carried.email_verified),
            roles: vec![session.carried.role.as_str().to_owned()],
            scope: None,
        };
        let token = jwt::mint(self.parts.key_ring.current().signing_key(), settings.typ, &claims)?;
        Ok((token, claims))
    }

    /// The session as it is when something is to be said of it again: its address may have been proven
    /// since it was opened, which ends no session. Only where it was not is the account looked at. One
    /// that cannot be looked at now counts as not proven: that is no reason to refuse, and to vouch for
    /// an address that is not proven would be one.
    pub(in crate::service) async fn with_proof(&self, mut session: Session) -> Session {
        let carried = &mut session.carried;
        if !carried.email_verified {
            match self.parts.users.find_user(session.user).await {
                Ok(user) => {
                    carried.email_verified =
                        user.is_some_and(|user| user.email_verified && user.email == carried.email);
                }
                Err(error) => tracing::debug!(
                    user = %session.user,
                    error = %with_causes(&error),
                    "whether the address is proven by now cannot be told"
                ),
            }
        }
        session
    }

    /// Mints an access token that a client gets for itself (RFC 6749 4.4, RFC 9068 2.2): no user is
    /// logged in by it. One that may read the revocation feed is for this service as well.
    ///
    /// # Errors
    /// [`Error::ClockSkew`]; [`Error::Signing`]; [`Error::Store`] while it is not known in which incarnation the token
    /// store is.
    pub(in crate::service) async fn mint_for_client(
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
}
