//! Token exchange (RFC 8693): a service that was called by a token gets one for the next service, on behalf of whoever
//! called.
//!
//! The new token is the subject's in all that is told of a person and in all that it can be taken back by: session,
//! version, incarnation. So whatever ends the session ends it, at whoever knows of that, and nothing of it is kept.

use std::sync::Arc;

use hallpass_verify::{AccessClaims, Actor};

use super::access_tokens::AccessTokens;
use super::clients::Clients;
use super::error::{Error, NotExchangeable, Result};
use super::named_in_log;
use crate::domain::audiences::{Asked, Audiences};
use crate::domain::client::{Client, ClientId, Scopes};
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::tokens::AccessToken;
use crate::store::clients::ClientStore;

/// How many may act one for the other.
const ACTORS_MAX: usize = 4;

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct ExchangeRequest {
    /// On whose behalf it wants to act.
    pub subject: AccessToken,
    /// Who is to act, where that is not the client.
    pub actor: Option<AccessToken>,
    /// Whom the token is to be for, as URIs.
    pub resources: Option<Vec<String>>,
    /// The same as ids of clients, whose audience is meant, or as audiences that are none.
    pub audiences: Option<Vec<String>>,
    /// What the token is to be good for.
    pub scope: Option<String>,
}

/// What it gets.
#[derive(Clone, Debug)]
pub struct ExchangedToken {
    /// The signed access token.
    pub access: AccessToken,
    /// How long it lives, seconds.
    pub expires_in: i64,
    /// What it is good for.
    pub scopes: Scopes,
}

/// Token exchange. Cheap to clone.
#[derive(Clone)]
pub struct Exchange {
    pub(super) clients: Arc<dyn ClientStore>,
    pub(super) registry: Clients,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) access_tokens: AccessTokens,
    /// The service's own audience.
    pub(super) audience: String,
}

impl Exchange {
    /// The service's own audience.
    pub(super) fn audience(&self) -> &str {
        &self.audience
    }

    /// Lets a client pass that may exchange tokens.
    ///
    /// # Errors
    /// [`Error::UnauthorizedClient`].
    pub fn permit(&self, client: &Client) -> Result<()> {
        if client.exchange { Ok(()) } else { Err(Error::UnauthorizedClient) }
    }

    /// Exchanges a token for one of the same subject that is for others, never good for more, and ends no later.
    ///
    /// # Errors
    /// [`Error::UnauthorizedClient`], [`Error::InvalidTarget`], [`Error::NotExchangeable`], [`Error::InvalidScope`];
    /// [`Error::Store`] where it cannot be told whether the tokens stand.
    pub async fn exchange(&self, client: &Client, request: &ExchangeRequest) -> Result<ExchangedToken> {
        self.permit(client)?;
        let now = self.clock.now();
        let audience = self.audience_of(client, request).await?;
        let subject = self.stands_for(client, &request.subject, now).await?;
        let actor = match &request.actor {
            Some(actor) => self.stands_for(client, actor, now).await?.sub,
            None => client.id.to_string(),
        };
        let may_act = subject.may_act.as_ref().map(|may_act| may_act.sub.as_str());
        if may_act.is_some_and(|named| named != actor && named != client.id.as_str()) {
            return Err(Error::NotExchangeable(NotExchangeable::NotTheActor));
        }
        if subject.actors().count() >= ACTORS_MAX {
            return Err(Error::NotExchangeable(NotExchangeable::TooDeep));
        }
        let scopes =
            cut(&subject, client).narrowed_to(request.scope.as_deref()).ok_or(Error::InvalidScope)?;
        let act = Actor { sub: actor, act: subject.act.clone().map(Box::new) };
        let (access, claims) =
            self.access_tokens.mint_on_behalf(subject, client, audience, &scopes, act).await?;
        Ok(ExchangedToken { access, expires_in: claims.exp - claims.iat, scopes })
    }

    /// Whom the token is to be for: some of those alone that the client lists, not those that its own tokens are for.
    async fn audience_of(&self, client: &Client, request: &ExchangeRequest) -> Result<Audiences> {
        let audiences = match &request.audiences {
            Some(named) => Some(self.by_name(named).await?),
            None => None,
        };
        let asked = Asked::of(request.resources.clone(), audiences);
        let allowed = asked.within(|one| client.audiences.contains(one))?;
        // Whoever asks for nobody has no default: that would be the widest token.
        allowed.cloned().ok_or(Error::InvalidTarget)
    }

    /// What is written like a client's id is one.
    async fn by_name(&self, names: &[String]) -> Result<Vec<String>> {
        let mut audiences = Vec::new();
        for name in names.iter().take(Audiences::MAX_ASKED + 1) {
            audiences.push(match name.parse::<ClientId>() {
                Ok(id) => {
                    let client = self.clients.find_client(&id).await?.ok_or(Error::InvalidTarget)?;
                    client.audience.unwrap_or_else(|| self.audience.clone())
                }
                Err(_) => name.clone(),
            });
        }
        Ok(audiences)
    }

    /// The claims of a token that stands and is this client's to exchange: one that it was called with, or that was
    /// issued to it. Else whoever sees another service's token in a log could use it.
    async fn stands_for(&self, client: &Client, token: &AccessToken, now: Timestamp) -> Result<AccessClaims> {
        let claims = self.access_tokens.read_for_anybody(token, now).map_err(NotExchangeable::from)?;
        // Within the leeway it is right still, and there is no time left for another one.
        if claims.exp <= now.as_secs() {
            let expired = hallpass_verify::Rejection::Expired(Box::new(claims));
            return Err(NotExchangeable::Rejected(expired).into());
        }
        let own = client.audience.as_deref().unwrap_or(&self.audience);
        let is_own = claims.client_id == client.id.as_str() || claims.aud.iter().any(|one| one == own);
        if !is_own {
            return Err(NotExchangeable::NotForClient.into());
        }
        let stands = match self.registry.person_or_machine_stands(&claims, now).await {
            Err(Error::InvalidToken(rejection)) => return Err(NotExchangeable::from(rejection).into()),
            stands => stands?,
        };
        if !claims.is_machine() {
            named_in_log::account(&claims.sub);
        }
        if stands { Ok(claims) } else { Err(NotExchangeable::Revoked.into()) }
    }
}

/// What a token may be good for: what its subject's is and the client may have.
fn cut(subject: &AccessClaims, client: &Client) -> Scopes {
    let of_subject: Scopes = subject.scope.as_deref().unwrap_or_default().parse().unwrap_or_default();
    of_subject.cut_by(&client.scopes)
}
