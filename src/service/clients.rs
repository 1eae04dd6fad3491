//! OAuth clients: making them, knowing them, and the tokens they get for themselves.

use std::sync::Arc;

use hallpass_verify::{AccessClaims, Rejection};

use super::access_tokens::{AccessTokens, FIRST_PARTY_CLIENT_ID};
use super::caller::Administrator;
use super::feed_readers::FeedReaders;
use super::limits::{Limits, Visitor};
use super::{AuthError, AuthResult, Context};
use crate::crypto::client_secret;
use crate::domain::audit::{AuditAction, AuditActor, AuditEntry, Reason};
use crate::domain::client::{Audience, Client, ClientId, NewClient, Scopes};
use crate::domain::rate_limit::Action;
use crate::domain::tokens::{AccessToken, ClientSecret};

/// By what a client says it is known.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// Who.
    pub id: String,
    /// The secret that proves it.
    pub secret: ClientSecret,
}

/// What a client gets for itself.
#[derive(Clone, Debug)]
pub struct ClientToken {
    /// The signed access token.
    pub access: AccessToken,
    /// How long it lives, seconds.
    pub expires_in: i64,
    /// What it may be used for.
    pub scopes: Scopes,
}

/// Clients. Cheap to clone.
#[derive(Clone)]
pub struct Clients {
    context: Arc<Context>,
    access_tokens: AccessTokens,
    limits: Limits,
    feed_readers: FeedReaders,
}

/// A client's own token that may be used for what was asked.
#[derive(Clone, Debug)]
pub struct Authorized {
    /// Whose it is.
    pub client: ClientId,
    /// What it says.
    pub claims: AccessClaims,
}

impl Clients {
    pub(super) fn new(
        context: Arc<Context>,
        access_tokens: AccessTokens,
        limits: Limits,
        feed_readers: FeedReaders,
    ) -> Self {
        Self { context, access_tokens, limits, feed_readers }
    }

    /// Makes a client; answers its first secret, which is kept nowhere.
    ///
    /// # Errors
    /// [`AuthError::ClientTaken`], also for the id that stands for this service itself.
    pub async fn create(
        &self,
        by: Administrator,
        id: ClientId,
        scopes: Scopes,
        audience: Option<Audience>,
    ) -> AuthResult<(Client, ClientSecret)> {
        let audience = audience.map(Audience::into_string);
        let secret = client_secret::generate(&*self.context.random);
        let client = self.insert(id, scopes, audience, &secret).await?.ok_or(AuthError::ClientTaken)?;
        tracing::info!(client = %client.id, scopes = %client.scopes, by = %by.actor(), "client created");
        self.record(by, AuditAction::ClientCreated, &client.id);
        Ok((client, secret))
    }

    /// Makes a client with a secret that is known beforehand, unless one has its id: the sample
    /// client of `hallpass dev`.
    ///
    /// # Errors
    /// [`AuthError::Store`].
    pub async fn ensure(&self, id: ClientId, scopes: Scopes, secret: &ClientSecret) -> AuthResult<()> {
        if let Some(client) = self.insert(id, scopes, None, secret).await? {
            let entry = self.context.event(AuditAction::ClientCreated, AuditActor::Service);
            self.context.audit.record(entry.client(&client.id));
        }
        Ok(())
    }

    fn record(&self, by: Administrator, action: AuditAction, client: &ClientId) {
        self.context.audit.record(by.event(&self.context, action).client(client));
    }

    async fn insert(
        &self,
        id: ClientId,
        scopes: Scopes,
        audience: Option<String>,
        secret: &ClientSecret,
    ) -> AuthResult<Option<Client>> {
        // What logins bring belongs to it (claim `client_id`), and would be that client's own.
        if id.as_str() == FIRST_PARTY_CLIENT_ID {
            return Ok(None);
        }
        let created_at = self.context.clock.now();
        let hash = client_secret::hash(secret);
        let new = NewClient { id, scopes, audience, secret: hash, created_at };
        if !self.context.clients.insert_client(&new).await? {
            return Ok(None);
        }
        let NewClient { id, scopes, audience, .. } = new;
        Ok(Some(Client { id, scopes, audience, secrets: vec![hash], created_at }))
    }

    /// A client.
    ///
    /// # Errors
    /// [`AuthError::NotFound`].
    pub async fn get(&self, _by: Administrator, id: &ClientId) -> AuthResult<Client> {
        self.context.clients.find_client(id).await?.ok_or(AuthError::NotFound)
    }

    /// All clients, in the order of their ids.
    ///
    /// # Errors
    /// [`AuthError::Store`].
    pub async fn list(&self, _by: Administrator) -> AuthResult<Vec<Client>> {
        Ok(self.context.clients.list_clients().await?)
    }

    /// Gives a client another secret. The newest of those before goes on working beside it, until
    /// the next call; with `drop_others` none does.
    ///
    /// # Errors
    /// [`AuthError::NotFound`].
    pub async fn rotate_secret(
        &self,
        by: Administrator,
        id: &ClientId,
        drop_others: bool,
    ) -> AuthResult<ClientSecret> {
        let secret = client_secret::generate(&*self.context.random);
        let hash = client_secret::hash(&secret);
        let now = self.context.clock.now();
        if !self.context.clients.add_client_secret(id, &hash, now, drop_others).await? {
            return Err(AuthError::NotFound);
        }
        tracing::info!(client = %id, drop_others, by = %by.actor(), "client secret rotated");
        self.record(by, AuditAction::ClientSecretRotated, id);
        Ok(secret)
    }

    /// Deletes a client: its credentials and its tokens are refused here from now on, and its streams of the
    /// revocation feed end; those at other replicas within a second.
    ///
    /// # Errors
    /// [`AuthError::NotFound`].
    pub async fn delete(&self, by: Administrator, id: &ClientId) -> AuthResult<()> {
        if !self.context.clients.delete_client(id).await? {
            return Err(AuthError::NotFound);
        }
        self.feed_readers.end(id);
        tracing::info!(client = %id, by = %by.actor(), "client deleted");
        self.record(by, AuditAction::ClientDeleted, id);
        Ok(())
    }

    /// Knows a client by its secret.
    ///
    /// # Errors
    /// [`AuthError::InvalidClient`] for an unknown client and for a wrong secret;
    /// [`AuthError::RateLimited`] after too many of them.
    pub async fn authenticate(
        &self,
        credentials: &ClientCredentials,
        visitor: &Visitor,
    ) -> AuthResult<Client> {
        let is_wrong = |error: &AuthError| matches!(error, AuthError::InvalidClient);
        let proof = self.prove(credentials, visitor);
        self.limits.failing_attempt(Action::Introspect, visitor, is_wrong, proof).await
    }

    async fn prove(&self, credentials: &ClientCredentials, visitor: &Visitor) -> AuthResult<Client> {
        let id = credentials.id.parse::<ClientId>().map_err(|_| AuthError::InvalidClient)?;
        let client = self.context.clients.find_client(&id).await?;
        let kept = client.as_ref().map_or(&[][..], |client| &client.secrets);
        let right = client_secret::is_one_of(&credentials.secret, kept);
        if !right {
            // Only an id that there is: what stands in its place otherwise may be a secret.
            let entry = self.context.event(AuditAction::ClientRefused, AuditActor::Anonymous);
            let object = client.as_ref().map(|client| client.id.to_string());
            let entry = AuditEntry { object, ..entry.from(visitor.address()).because(Reason::InvalidClient) };
            self.context.audit.record_seldom(entry, None);
        }
        client.filter(|_| right).ok_or(AuthError::InvalidClient)
    }

    /// Mints an access token for a client itself (RFC 6749 4.4): for the scopes it asks for, or for
    /// all that it may have.
    ///
    /// # Errors
    /// [`AuthError::InvalidScope`] when it asks for more than it may have.
    pub async fn mint(&self, client: &Client, asked: Option<&str>) -> AuthResult<ClientToken> {
        let scopes = match asked {
            None | Some("") => client.scopes.clone(),
            Some(text) => text.parse().map_err(|_| AuthError::InvalidScope)?,
        };
        if !client.scopes.include(&scopes) {
            return Err(AuthError::InvalidScope);
        }
        let (access, claims) = self.access_tokens.mint_for_client(client, &scopes).await?;
        Ok(ClientToken { access, expires_in: claims.exp - claims.iat, scopes })
    }

    /// Lets a client's access token pass that has a scope and was not taken back. Such a token is
    /// for this service: its audience is that of the service.
    ///
    /// # Errors
    /// What is wrong with the token; [`AuthError::InsufficientScope`] when it lacks the scope or is
    /// a user's.
    pub async fn authorize(&self, access: &AccessToken, scope: &str) -> AuthResult<Authorized> {
        let now = self.context.clock.now();
        let claims = self.access_tokens.check_client(access, now)?;
        if !self.access_tokens.machine_stands(&claims, now).await? {
            return Err(AuthError::TokenRevoked);
        }
        if claims.require_scope(scope).is_err() {
            return Err(AuthError::InsufficientScope);
        }
        let client = self.of_token(&claims).await?.ok_or(AuthError::TokenRevoked)?.id;
        Ok(Authorized { client, claims })
    }

    /// The client that a machine's token belongs to, if it still exists and may still do what the
    /// token says.
    pub(super) async fn of_token(&self, claims: &AccessClaims) -> AuthResult<Option<Client>> {
        let malformed = || AuthError::InvalidToken(Rejection::Malformed);
        let id = claims.sub.parse::<ClientId>().map_err(|_| malformed())?;
        let scopes: Scopes = claims.scope.as_deref().unwrap_or_default().parse().map_err(|_| malformed())?;
        let client = self.context.clients.find_client(&id).await?;
        Ok(client.filter(|client| client.scopes.include(&scopes)))
    }
}
