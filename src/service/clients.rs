//! OAuth clients: making them, knowing them, and the tokens they get for themselves.

use std::sync::Arc;
use std::time::Duration;

use hallpass_verify::{AccessClaims, Rejection};

use super::access_tokens::{AccessTokens, FIRST_PARTY_CLIENT_ID};
use super::caller::Administrator;
use super::error::{Error, Result};
use super::feed_readers::FeedReaders;
use super::limits::Limits;
use super::named_in_log;
use super::token_size::TokenSize;
use super::trail::AuditTrail;
use super::visitor::Visitor;
use crate::crypto::client_secret;
use crate::domain::audiences::{Asked, Audiences};
use crate::domain::audit::{AuditAction, AuditActor, AuditEntry, Reason};
use crate::domain::client::{Audience, Client, ClientChange, ClientId, NewClient, Scopes};
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::journal::{EntryId, EventEntry};
use crate::domain::metadata::Metadata;
use crate::domain::random::Random;
use crate::domain::rate_limit::Action;
use crate::domain::tokens::{AccessToken, ClientSecret};
use crate::store::TokenStore;
use crate::store::clients::{ClientStore, InsertClientOutcome};

/// How long after a client was deleted a token of it can be minted, by a request that has found it before.
const BEING_MINTED: Duration = Duration::from_secs(30);

/// How much longer than until its end a follower keeps an entry of the feed, by whatever clock.
const KEPT_BY_FOLLOWERS: Duration = Duration::from_secs(60);

/// By what a client says it is known.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// Who.
    pub id: String,
    /// The secret that proves it.
    pub secret: ClientSecret,
}

/// What a new client may do.
#[derive(Clone, Debug, Default)]
pub struct ClientTerms {
    /// What it may ask for.
    pub scopes: Scopes,
    /// Whom its access tokens are for, if not the service's own audience.
    pub audience: Option<Audience>,
    /// Whom else it may ask for a token for.
    pub audiences: Audiences,
    /// Whether it may exchange tokens.
    pub exchange: bool,
    /// What is noted down about it.
    pub metadata: Metadata,
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
    pub(super) clients: Arc<dyn ClientStore>,
    pub(super) token_store: Arc<dyn TokenStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) trail: AuditTrail,
    pub(super) access_tokens: AccessTokens,
    pub(super) limits: Limits,
    pub(super) feed_readers: FeedReaders,
    pub(super) size: TokenSize,
    /// For how long a token of theirs is accepted anywhere.
    pub(super) denial: Duration,
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
    /// Makes a client; answers its first secret, which is kept nowhere.
    ///
    /// # Errors
    /// [`Error::ClientTaken`], also for the id that stands for this service itself; [`Error::ClientDeleted`] while tokens of
    /// one that had it may be left; [`Error::TokenTooLarge`].
    pub async fn create(
        &self,
        by: Administrator,
        id: ClientId,
        terms: ClientTerms,
    ) -> Result<(Client, ClientSecret)> {
        let secret = client_secret::generate(&*self.random);
        let client = self.insert(id, terms, &secret).await?;
        tracing::info!(client = %client.id, scopes = %client.scopes, by = %by.actor(), "client created");
        self.record(by, AuditAction::ClientCreated, &client.id);
        Ok((client, secret))
    }

    /// Makes a client with a secret that is known beforehand, unless one has its id: the sample
    /// client of `hallpass dev`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn ensure(&self, id: ClientId, scopes: Scopes, secret: &ClientSecret) -> Result<()> {
        let terms = ClientTerms { scopes, ..ClientTerms::default() };
        match self.insert(id, terms, secret).await {
            Ok(client) => {
                let entry = self.trail.event(AuditAction::ClientCreated, AuditActor::Service);
                self.trail.record(entry.client(&client.id));
                Ok(())
            }
            Err(Error::ClientTaken) => Ok(()),
            Err(error @ Error::ClientDeleted { .. }) => {
                tracing::warn!("the sample client is not made again yet: {error}");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn record(&self, by: Administrator, action: AuditAction, client: &ClientId) {
        self.trail.record(self.trail.event_by(by, action).client(client));
    }

    async fn insert(&self, id: ClientId, terms: ClientTerms, secret: &ClientSecret) -> Result<Client> {
        // What logins bring belongs to it (claim `client_id`), and would be that client's own.
        if id.as_str() == FIRST_PARTY_CLIENT_ID {
            return Err(Error::ClientTaken);
        }
        let created_at = self.clock.now();
        let hash = client_secret::hash(secret);
        let ClientTerms { scopes, audience, audiences, exchange, metadata } = terms;
        let audience = audience.map(Audience::into_string);
        let new = NewClient { id, scopes, audience, audiences, exchange, metadata, secret: hash, created_at };
        let NewClient { id, scopes, audience, audiences, metadata, .. } = new.clone();
        let secrets = vec![hash];
        let client = Client { id, scopes, audience, audiences, exchange, metadata, secrets, created_at };
        self.size.admit_client(None, &client)?;
        match self.clients.insert_client(&new, created_at.before(KEPT_BY_FOLLOWERS)).await? {
            InsertClientOutcome::Inserted => Ok(client),
            InsertClientOutcome::Taken => Err(Error::ClientTaken),
            InsertClientOutcome::Deleted { until } => {
                Err(Error::ClientDeleted { until: until.after(KEPT_BY_FOLLOWERS) })
            }
        }
    }

    /// A client.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, _by: Administrator, id: &ClientId) -> Result<Client> {
        self.clients.find_client(id).await?.ok_or(Error::NotFound)
    }

    /// All clients, in the order of their ids.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(&self, _by: Administrator) -> Result<Vec<Client>> {
        Ok(self.clients.list_clients().await?)
    }

    /// Changes a client; answers it as it is then. Its tokens that are out stay as they are until they expire.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::TokenTooLarge`].
    pub async fn change(&self, by: Administrator, id: &ClientId, change: &ClientChange) -> Result<Client> {
        if *change != ClientChange::default() {
            let before = self.get(by, id).await?;
            self.size.admit_client(Some(&before), &change.applied_to(&before))?;
            if !self.clients.change_client(id, change).await? {
                return Err(Error::NotFound);
            }
            tracing::info!(client = %id, by = %by.actor(), "client changed");
            self.record(by, AuditAction::ClientChanged, id);
        }
        self.get(by, id).await
    }

    /// Gives a client another secret. The newest of those before goes on working beside it, until
    /// the next call; with `drop_others` none does.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn rotate_secret(
        &self,
        by: Administrator,
        id: &ClientId,
        drop_others: bool,
    ) -> Result<ClientSecret> {
        let secret = client_secret::generate(&*self.random);
        let hash = client_secret::hash(&secret);
        let now = self.clock.now();
        if !self.clients.add_client_secret(id, &hash, now, drop_others).await? {
            return Err(Error::NotFound);
        }
        tracing::info!(client = %id, drop_others, by = %by.actor(), "client secret rotated");
        self.record(by, AuditAction::ClientSecretRotated, id);
        Ok(secret)
    }

    /// Deletes a client: its credentials and its tokens are refused here from now on, those that were exchanged included,
    /// and by whoever follows revocations when this is done. Its streams of the revocation feed end; those at other
    /// replicas within a second.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::RevocationPending`]: the client is gone, and that everybody knows of it is not
    /// confirmed yet.
    pub async fn delete(&self, by: Administrator, id: &ClientId) -> Result<()> {
        let at = self.clock.now();
        let until = at.after(self.denial + BEING_MINTED);
        let entry = EventEntry { id: EntryId::generate(&*self.random), at, until };
        let end = self.clients.delete_client(id, entry).await?.ok_or(Error::NotFound)?;
        self.feed_readers.end(id);
        tracing::info!(client = %id, by = %by.actor(), "client deleted");
        self.record(by, AuditAction::ClientDeleted, id);
        Ok(self.token_store.end_client(&end).await?)
    }

    /// Knows a client by its secret.
    ///
    /// # Errors
    /// [`Error::InvalidClient`] for an unknown client and for a wrong secret;
    /// [`Error::RateLimited`] after too many of them.
    pub async fn authenticate(&self, credentials: &ClientCredentials, visitor: &Visitor) -> Result<Client> {
        let is_wrong = |error: &Error| matches!(error, Error::InvalidClient);
        let proof = self.prove(credentials, visitor);
        self.limits.failing_attempt(Action::Introspect, visitor, is_wrong, proof).await
    }

    async fn prove(&self, credentials: &ClientCredentials, visitor: &Visitor) -> Result<Client> {
        let id = credentials.id.parse::<ClientId>().map_err(|_| Error::InvalidClient)?;
        let client = self.clients.find_client(&id).await?;
        let kept = client.as_ref().map_or(&[][..], |client| &client.secrets);
        let right = client_secret::is_one_of(&credentials.secret, kept);
        if !right {
            // Only an id that there is: what stands in its place otherwise may be a secret.
            let entry = self.trail.event(AuditAction::ClientRefused, AuditActor::Anonymous);
            let object = client.as_ref().map(|client| client.id.to_string());
            let entry = AuditEntry { object, ..entry.from(visitor.address()).because(Reason::InvalidClient) };
            self.trail.record_seldom(entry, None);
        }
        let client = client.filter(|_| right).ok_or(Error::InvalidClient)?;
        named_in_log::client(&client.id);
        Ok(client)
    }

    /// Mints an access token for a client itself (RFC 6749 4.4): for the scopes it asks for, or for
    /// all that it may have; and for whom it asks for, or for whom its tokens are otherwise.
    ///
    /// # Errors
    /// [`Error::InvalidScope`], [`Error::InvalidTarget`] when it asks for more than it may have.
    pub async fn mint(&self, client: &Client, scope: Option<&str>, asked: &Asked) -> Result<ClientToken> {
        let scopes = client.scopes.narrowed_to(scope).ok_or(Error::InvalidScope)?;
        let (access, claims) = self.access_tokens.mint_for_client(client, &scopes, asked).await?;
        Ok(ClientToken { access, expires_in: claims.exp - claims.iat, scopes })
    }

    /// Lets a client's access token pass that has a scope and was not taken back. Such a token is
    /// for this service: its audience is that of the service.
    ///
    /// # Errors
    /// What is wrong with the token; [`Error::InsufficientScope`] when it lacks the scope or is
    /// a user's.
    pub async fn authorize(&self, access: &AccessToken, scope: &str) -> Result<Authorized> {
        let now = self.clock.now();
        let claims = self.access_tokens.check_client(access, now)?;
        if !self.access_tokens.machine_stands(&claims, now).await? {
            return Err(Error::TokenRevoked);
        }
        if claims.require_scope(scope).is_err() {
            return Err(Error::InsufficientScope);
        }
        let client = self.of_token(&claims).await?.ok_or(Error::TokenRevoked)?.id;
        named_in_log::client(&client);
        Ok(Authorized { client, claims })
    }

    /// Whether a token stands, a person's or a machine's: neither was it taken back, nor is a client gone that it
    /// belongs to.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] of claims that make no sense; [`Error::Store`].
    pub(super) async fn person_or_machine_stands(
        &self,
        claims: &AccessClaims,
        now: Timestamp,
    ) -> Result<bool> {
        if claims.is_machine() {
            return Ok(self.access_tokens.machine_stands(claims, now).await?
                && self.access_tokens.actors_stand(claims).await?
                && self.of_token(claims).await?.is_some());
        }
        match self.access_tokens.check_stands(claims, now).await {
            Ok(()) => Ok(true),
            Err(Error::TokenRevoked) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The client that a machine's token belongs to, if it still exists and may still do what the
    /// token says.
    pub(super) async fn of_token(&self, claims: &AccessClaims) -> Result<Option<Client>> {
        let malformed = || Error::InvalidToken(Rejection::Malformed);
        let id = claims.sub.parse::<ClientId>().map_err(|_| malformed())?;
        let scopes: Scopes = claims.scope.as_deref().unwrap_or_default().parse().map_err(|_| malformed())?;
        let client = self.clients.find_client(&id).await?;
        Ok(client.filter(|client| client.scopes.include(&scopes)))
    }
}
