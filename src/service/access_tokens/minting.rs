//! Minting access tokens, for people and for clients.

use hallpass_verify::{AccessClaims, Actor};

use super::claims::number_of;
use super::{AccessTokens, Parts};
use crate::crypto::jwt;
use crate::domain::audiences::{Asked, Audiences};
use crate::domain::causes::with_causes;
use crate::domain::client::{Client, REVOCATIONS_READ, Scopes};
use crate::domain::ids::Jti;
use crate::domain::partition::Partition;
use crate::domain::session::Session;
use crate::domain::tokens::AccessToken;
use crate::service::error::Result;

impl AccessTokens {
    /// Mints an access token of a live session, for all that the session was granted or for those alone that it is
    /// `narrowed` to. It never outlives the session.
    ///
    /// # Errors
    /// [`Error::ClockSkew`]; [`Error::Signing`].
    pub fn mint(
        &self,
        session: &Session,
        narrowed: Option<&Audiences>,
    ) -> Result<(AccessToken, AccessClaims)> {
        self.parts.clocks.may_mint()?;
        let now = self.parts.clock.now();
        let Parts { issuer, settings, role_scopes, .. } = &self.parts;
        let roles = session.carried.roles();
        let scopes = role_scopes.of(roles.iter());
        let ends_at = session.idle_deadline.min(session.absolute_deadline);
        let expires_at = now.after(settings.lifetimes.access_token).min(ends_at);
        let claims = AccessClaims {
            iss: issuer.clone(),
            aud: narrowed.cloned().map_or_else(|| self.grant_of(session), Audiences::into_vec),
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
            // The token store's clock may be ahead of this one.
            auth_time: Some(session.auth_time().min(now.as_secs())),
            amr: Some(session.carried.authentication_methods()),
            acr: Some(session.carried.authentication_class()),
            roles: roles.names(),
            scope: (!scopes.is_empty()).then(|| scopes.to_string()),
            act: None,
            may_act: None,
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

    /// Whom the tokens of a session may be for.
    pub(in crate::service) fn grant_of(&self, session: &Session) -> Vec<String> {
        let grant = &session.carried.grant;
        if grant.is_empty() { vec![self.parts.audience.clone()] } else { grant.clone().into_vec() }
    }

    /// What a login asks for, if all of it may be asked for.
    ///
    /// # Errors
    /// [`Error::InvalidTarget`].
    pub(in crate::service) fn grant_for_login(&self, asked: &Asked) -> Result<Audiences> {
        let Parts { audience, settings, .. } = &self.parts;
        let is_allowed = |one: &str| one == audience || settings.audiences.contains(one);
        Ok(asked.within(is_allowed)?.cloned().unwrap_or_default())
    }

    /// Whom a client's own tokens are for where it asks for nobody. Those that may read the revocation feed are for
    /// this service as well.
    fn audience_of(&self, client: &Client, scopes: &Scopes) -> Vec<String> {
        let own = &self.parts.audience;
        let mut aud: Vec<String> =
            client.audience.iter().filter(|audience| *audience != own).cloned().collect();
        if aud.is_empty() || scopes.contains(REVOCATIONS_READ) {
            aud.push(own.clone());
        }
        aud
    }

    /// Mints an access token that a client gets for itself (RFC 6749 4.4, RFC 9068 2.2): no user is
    /// logged in by it. What is asked for has to be among whom its tokens are for otherwise, or may be for.
    ///
    /// # Errors
    /// [`Error::InvalidTarget`]; [`Error::ClockSkew`]; [`Error::Signing`]; [`Error::Store`] while it is not known in which incarnation the token
    /// store is.
    pub(in crate::service) async fn mint_for_client(
        &self,
        client: &Client,
        scopes: &Scopes,
        asked: &Asked,
    ) -> Result<(AccessToken, AccessClaims)> {
        let whole = self.audience_of(client, scopes);
        let is_allowed = |one: &str| whole.iter().any(|own| own == one) || client.audiences.contains(one);
        let narrowed = asked.within(is_allowed)?.cloned().map(Audiences::into_vec);
        self.parts.clocks.may_mint()?;
        let now = self.parts.clock.now();
        let incarnation = self.parts.token_store.incarnation(Partition::EVERYBODY).await?;
        let Parts { issuer, settings, .. } = &self.parts;
        let claims = AccessClaims {
            iss: issuer.clone(),
            aud: narrowed.unwrap_or(whole),
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
            auth_time: None,
            amr: None,
            acr: None,
            roles: Vec::new(),
            scope: Some(scopes.to_string()),
            act: None,
            may_act: None,
        };
        let token = jwt::mint(self.parts.key_ring.current().signing_key(), settings.typ, &claims)?;
        Ok((token, claims))
    }

    /// Mints an access token that a client gets in exchange for its subject's, whose claims these are and stay
    /// (RFC 8693): it is for others, good for no more, and ends no later.
    ///
    /// # Errors
    /// [`Error::ClockSkew`]; [`Error::Signing`].
    pub(in crate::service) fn mint_on_behalf(
        &self,
        subject: AccessClaims,
        client: &Client,
        audience: Audiences,
        scopes: &Scopes,
        act: Actor,
    ) -> Result<(AccessToken, AccessClaims)> {
        self.parts.clocks.may_mint()?;
        let now = self.parts.clock.now();
        let settings = &self.parts.settings;
        let claims = AccessClaims {
            aud: audience.into_vec(),
            exp: now.after(settings.lifetimes.access_token).as_secs().min(subject.exp),
            iat: now.as_secs(),
            nbf: None,
            jti: *Jti::generate(&*self.parts.random).as_uuid(),
            client_id: client.id.to_string(),
            scope: Some(scopes.to_string()),
            act: Some(act),
            may_act: None,
            ..subject
        };
        let token = jwt::mint(self.parts.key_ring.current().signing_key(), settings.typ, &claims)?;
        Ok((token, claims))
    }
}
