//! Minting access tokens, for people and for clients.

use hallpass_verify::{AccessClaims, Actor, MayAct};
use serde_json::{Map, Value};

use super::claims::number_of;
use super::{AccessTokens, Parts};
use crate::crypto::jwt;
use crate::domain::audiences::{Asked, Audiences};
use crate::domain::causes::with_causes;
use crate::domain::client::{Client, REVOCATIONS_READ, Scopes};
use crate::domain::ids::{Jti, UserId};
use crate::domain::mapped_claims::{ClaimName, Subject};
use crate::domain::partition::Partition;
use crate::domain::session::Session;
use crate::domain::tokens::AccessToken;
use crate::domain::user::User;
use crate::service::error::Result;
use crate::service::token_size::{TOKEN_MAX_BYTES, encoded};

impl AccessTokens {
    /// The account of a session's tokens, where one of their claims comes from it. It is asked for before a refresh
    /// token is used up.
    ///
    /// # Errors
    /// [`Error::Store`](crate::service::error::Error::Store): what tokens are to say is not known.
    pub(in crate::service) async fn account_for_claims(&self, user: UserId) -> Result<Option<User>> {
        match self.parts.claims.ask_for_the_account() {
            true => Ok(self.parts.users.find_user(user).await?),
            false => Ok(None),
        }
    }

    /// Mints an access token of a live session of that account ([`account_for_claims`](Self::account_for_claims)), for
    /// all that the session was granted or for those alone that it is `narrowed` to. It never outlives the session.
    ///
    /// # Errors
    /// [`Error::ClockSkew`]; [`Error::Signing`].
    pub fn mint(
        &self,
        session: &Session,
        narrowed: Option<&Audiences>,
        account: Option<&User>,
    ) -> Result<(AccessToken, AccessClaims)> {
        self.parts.clocks.may_mint()?;
        let now = self.parts.clock.now();
        let Parts { issuer, settings, role_scopes, .. } = &self.parts;
        let roles = session.carried.roles();
        let scopes = role_scopes.of(roles.iter());
        let aud = narrowed.cloned().map_or_else(|| self.grant_of(session), Audiences::into_vec);
        let client_id = session.carried.origin.client.clone();
        let (may_act, extra) = self.mapped(Subject::Person(account, &client_id), &aud);
        let ends_at = session.idle_deadline.min(session.absolute_deadline);
        let expires_at = now.after(settings.lifetimes.access_token).min(ends_at);
        let claims = AccessClaims {
            iss: issuer.clone(),
            aud,
            sub: session.user.to_string(),
            exp: expires_at.as_secs(),
            iat: now.as_secs(),
            nbf: None,
            jti: *Jti::generate(&*self.parts.random).as_uuid(),
            sid: Some(*session.id.as_uuid()),
            sv: Some(session.security_version.get()),
            inc: number_of(session.incarnation),
            client_id,
            email: Some(session.carried.email.as_str().to_owned()),
            email_verified: Some(session.carried.email_verified),
            // The token store's clock may be ahead of this one.
            auth_time: Some(session.auth_time().min(now.as_secs())),
            amr: Some(session.carried.authentication_methods()),
            acr: Some(session.carried.authentication_class()),
            roles: roles.names(),
            scope: (!scopes.is_empty()).then(|| scopes.to_string()),
            act: None,
            may_act,
            extra,
        };
        self.signed(claims)
    }

    /// The session as it is when something is to be said of it again: its address may have been proven
    /// since it was opened, which ends no session. Only where it was not is the account looked at, as it is shown to
    /// its owner. One that cannot be looked at now counts as not proven: that is no reason to refuse, and to vouch
    /// for an address that is not proven would be one.
    pub(in crate::service) async fn with_proof(&self, mut session: Session) -> Session {
        let carried = &mut session.carried;
        if !carried.email_verified {
            match self.parts.profiles.find(session.user, session.security_version).await {
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
        let aud = narrowed.unwrap_or(whole);
        let (may_act, extra) = self.mapped(Subject::Machine(client), &aud);
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
            auth_time: None,
            amr: None,
            acr: None,
            roles: Vec::new(),
            scope: Some(scopes.to_string()),
            act: None,
            may_act,
            extra,
        };
        self.signed(claims)
    }

    /// Mints an access token that a client gets in exchange for its subject's, whose claims these are and stay
    /// (RFC 8693): it is for others, good for no more, and ends no later. What the issuer maps is as it is for those
    /// others.
    ///
    /// # Errors
    /// [`Error::ClockSkew`]; [`Error::Signing`]; [`Error::Store`](crate::service::error::Error::Store) where it is not
    /// known what it is to say.
    pub(in crate::service) async fn mint_on_behalf(
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
        let aud = audience.into_vec();
        let extra = self.mapped_on_behalf(&subject, client, &aud).await?;
        let claims = AccessClaims {
            aud,
            exp: now.after(settings.lifetimes.access_token).as_secs().min(subject.exp),
            iat: now.as_secs(),
            nbf: None,
            jti: *Jti::generate(&*self.parts.random).as_uuid(),
            client_id: client.id.to_string(),
            scope: Some(scopes.to_string()),
            act: Some(act),
            may_act: None,
            extra,
            ..subject
        };
        self.signed(claims)
    }

    /// What the issuer maps for tokens of that subject. Of what is noted down, `may_act` may have another shape than its
    /// own: that names nobody, so nobody may exchange the token.
    fn mapped(&self, subject: Subject<'_>, aud: &[String]) -> (Option<MayAct>, Map<String, Value>) {
        let mut mapped = self.parts.claims.of(subject, aud);
        let may_act = mapped.remove(ClaimName::MAY_ACT);
        let nobody = || MayAct { sub: String::new() };
        (may_act.map(|named| serde_json::from_value(named).unwrap_or_else(|_| nobody())), mapped)
    }

    /// The same for a token that `client` gets on behalf of a subject. Who may exchange that one is for whoever it is
    /// for to say.
    async fn mapped_on_behalf(
        &self,
        subject: &AccessClaims,
        client: &Client,
        aud: &[String],
    ) -> Result<Map<String, Value>> {
        if let Ok(user) = subject.sub.parse() {
            let account = self.account_for_claims(user).await?;
            return Ok(self.mapped(Subject::Person(account.as_ref(), client.id.as_str()), aud).1);
        }
        let machine = match subject.sub.parse() {
            Ok(id) if !self.parts.claims.is_empty() => self.parts.clients.find_client(&id).await?,
            _ => None,
        };
        let Some(machine) = machine else { return Ok(Map::new()) };
        Ok(self.mapped(Subject::Machine(&Client { id: client.id.clone(), ..machine }), aud).1)
    }

    /// Signs claims. Nobody stays logged out of it that a token is too long: what the issuer maps is left out then, as
    /// much of it as does not fit.
    fn signed(&self, mut claims: AccessClaims) -> Result<(AccessToken, AccessClaims)> {
        let sign = |claims: &AccessClaims| {
            jwt::mint(self.parts.key_ring.current().signing_key(), self.parts.settings.typ, claims)
        };
        let token = sign(&claims)?;
        let beyond = token.expose().len().saturating_sub(TOKEN_MAX_BYTES);
        if beyond == 0 || claims.extra.is_empty() {
            return Ok((token, claims));
        }
        let left_out = leave_out(&mut claims, beyond);
        tracing::warn!(sub = %claims.sub, ?left_out, "a token would be too long: claims are left out of it");
        Ok((sign(&claims)?, claims))
    }
}

/// Takes the last of the mapped claims, in the order of their names, until a token that is `beyond` bytes too long is
/// short enough; answers their names.
fn leave_out(claims: &mut AccessClaims, beyond: usize) -> Vec<String> {
    let (mut left_out, mut freed) = (Vec::new(), 0);
    while encoded(freed) < beyond + 4
        && let Some(name) = claims.extra.keys().next_back().cloned()
        && let Some(value) = claims.extra.remove(&name)
    {
        // The quotes of the name, the colon and the comma.
        freed += name.len() + value.to_string().len() + 4;
        left_out.push(name);
    }
    left_out
}
