//! `/clients`: the services that call hallpass in their own name, for administrators.

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;

use crate::api::callers::security::Authenticated;
use crate::api::document::tags::Tag;
use crate::api::errors::ApiError;
use crate::api::errors::refusal::{
    Documented, INTERNAL, NOT_JSON, Refusal, TOO_LARGE, UNAUTHORIZED, UNAVAILABLE, examples, refusals,
};
use crate::api::main::administration::FORBIDDEN;
use crate::api::wire::dto::AnyObject;
use crate::api::wire::json::{Json, StrictJson};
use crate::domain::audiences::{Audiences, AudiencesError};
use crate::domain::client::{Audience, Client, ClientChange, ClientId, REVOCATIONS_READ, Scopes};
use crate::domain::clock::Timestamp;
use crate::domain::metadata::Metadata;
use crate::domain::tokens::ClientSecret;
use crate::service::caller::Administrator;
use crate::service::clients::ClientTerms;
use crate::service::{self, Services};

pub(crate) const SECRET_EXAMPLE: &str = "hp_cs_exampleexampleexampleexampleexampleexample";

/// An OAuth client.
#[derive(Object)]
#[oai(rename = "OAuthClient", rename_all = "camelCase", example)]
pub struct ClientDto {
    /// The client's id.
    id: String,
    /// What it may ask for.
    scopes: Vec<String>,
    /// Whom its access tokens are for (claim `aud`), `null` for this service's own audience.
    #[oai(nullable)]
    audience: Option<String>,
    /// Whom else it may ask for a token for (`resource` at `/oauth2/token`).
    audiences: Vec<String>,
    /// Whether it may exchange the tokens that others come with, for tokens to call the next service on their
    /// behalf.
    exchange: bool,
    /// What is noted down about it, for claims of its tokens.
    metadata: AnyObject,
    /// How many secrets it may present: one, or two while a new one is rolled out.
    secrets: u32,
    /// When it was made, seconds since the Unix epoch.
    created_at: i64,
}

impl From<&Client> for ClientDto {
    fn from(client: &Client) -> Self {
        Self {
            id: client.id.to_string(),
            scopes: client.scopes.words().map(str::to_owned).collect(),
            audience: client.audience.clone(),
            audiences: client.audiences.iter().map(str::to_owned).collect(),
            exchange: client.exchange,
            metadata: (&client.metadata).into(),
            secrets: u32::try_from(client.secrets.len()).unwrap_or(u32::MAX),
            created_at: client.created_at.as_secs(),
        }
    }
}

impl Example for ClientDto {
    fn example() -> Self {
        Self {
            id: "reports".to_owned(),
            scopes: vec![REVOCATIONS_READ.to_owned()],
            audience: None,
            audiences: vec!["https://orders.example.com".to_owned()],
            exchange: false,
            metadata: AnyObject::example(),
            secrets: 1,
            created_at: 1_796_169_600,
        }
    }
}

/// A client to be made.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewClient", example)]
pub struct NewClientDto {
    /// Its id: 1 to 64 of `a` to `z`, digits, `-`, `_` and `.`, beginning with a letter.
    id: String,
    /// What it may ask for, like `revocations:read` (the feed) or `tokens:introspect` (refresh tokens of
    /// other clients at introspection); nothing unless given.
    scopes: Option<Vec<String>>,
    /// Whom its access tokens are for (claim `aud`); this service's own audience unless given.
    audience: Option<String>,
    /// Whom else it may ask for a token for (`resource` at `/oauth2/token`), 64 at most; nobody unless given.
    audiences: Option<Vec<String>>,
    /// Whether it may exchange the tokens that others come with; `false` unless given.
    exchange: Option<bool>,
    /// What is noted down about it, for claims of its tokens: a JSON object of at most 2048 bytes, four levels deep.
    metadata: Option<AnyObject>,
}

impl Example for NewClientDto {
    fn example() -> Self {
        let ClientDto { id, scopes, audience, audiences, metadata, .. } = ClientDto::example();
        Self {
            id,
            scopes: Some(scopes),
            audience,
            audiences: Some(audiences),
            exchange: None,
            metadata: Some(metadata),
        }
    }
}

impl NewClientDto {
    fn read(self) -> Result<(ClientId, ClientTerms), ApiError> {
        let Self { id, scopes, audience, audiences, exchange, metadata } = self;
        let id = id.parse::<ClientId>().map_err(|_| ApiError::invalid_field("id", BAD_ID))?;
        let scopes = Scopes::from_words(&scopes.unwrap_or_default()).map_err(|_| {
            ApiError::invalid_field("scopes", "must be words of visible ASCII without spaces, \" and \\")
        })?;
        let audience = audience.as_deref().map(read_audience).transpose()?;
        let audiences = read_audiences(audiences.unwrap_or_default())?;
        let exchange = exchange.unwrap_or_default();
        let metadata = metadata.map_or(Ok(Metadata::default()), AnyObject::metadata)?;
        Ok((id, ClientTerms { scopes, audience, audiences, exchange, metadata }))
    }
}

fn read_audience(text: &str) -> Result<Audience, ApiError> {
    text.parse()
        .map_err(|_| ApiError::invalid_field("audience", "must be 1 to 255 bytes without control characters"))
}

fn read_audiences(texts: Vec<String>) -> Result<Audiences, ApiError> {
    Audiences::listed(texts).map_err(|error| ApiError::invalid_field("audiences", &error.to_string()))
}

/// What to change about a client. A field that is left out stays as it is.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ClientUpdate", example)]
pub struct ClientUpdate {
    /// Whom its access tokens are for (claim `aud`); empty text for this service's own audience.
    audience: Option<String>,
    /// Whom else it may ask for a token for, in place of those of before.
    audiences: Option<Vec<String>>,
    /// Whether it may exchange the tokens that others come with.
    exchange: Option<bool>,
    /// What is noted down about it, in place of all that was before: a JSON object of at most 2048 bytes, four levels
    /// deep; `null` empties it.
    #[serde(default, deserialize_with = "AnyObject::given")]
    #[oai(nullable)]
    metadata: Option<AnyObject>,
}

impl Example for ClientUpdate {
    fn example() -> Self {
        let ClientDto { audiences, .. } = ClientDto::example();
        Self { audience: None, audiences: Some(audiences), exchange: Some(true), metadata: None }
    }
}

impl ClientUpdate {
    fn read(self) -> Result<ClientChange, ApiError> {
        let Self { audience, audiences, exchange, metadata } = self;
        let own = |text: &str| match text {
            "" => Ok(None),
            text => read_audience(text).map(|audience| Some(audience.into_string())),
        };
        Ok(ClientChange {
            audience: audience.as_deref().map(own).transpose()?,
            audiences: audiences.map(read_audiences).transpose()?,
            exchange,
            metadata: metadata.map(AnyObject::metadata).transpose()?,
        })
    }
}

/// A client that was just made, and its first secret.
#[derive(Object)]
#[oai(rename = "ClientCreated", example)]
pub struct ClientCreated {
    /// The client.
    client: ClientDto,
    /// Its secret, which is kept nowhere and never shown again.
    secret: String,
}

impl Example for ClientCreated {
    fn example() -> Self {
        Self { client: ClientDto::example(), secret: SECRET_EXAMPLE.to_owned() }
    }
}

/// The answer to a request for a new client.
#[derive(ApiResponse)]
pub enum ClientCreatedResponse {
    /// The client exists now. Its secret is shown this once.
    #[oai(status = 201)]
    Created(Json<ClientCreated>),
}

/// Another secret of a client.
#[derive(Object)]
#[oai(rename = "ClientSecretCreated", example)]
pub struct ClientSecretCreated {
    /// The secret, which is kept nowhere and never shown again.
    secret: String,
}

impl ClientSecretCreated {
    fn new(secret: &ClientSecret) -> Self {
        Self { secret: secret.expose().to_owned() }
    }
}

impl Example for ClientSecretCreated {
    fn example() -> Self {
        Self { secret: SECRET_EXAMPLE.to_owned() }
    }
}

/// The answer to a request for another secret.
#[derive(ApiResponse)]
pub enum SecretCreatedResponse {
    /// The secret works from now on. It is shown this once.
    #[oai(status = 201)]
    Created(Json<ClientSecretCreated>),
}

/// The client is gone.
#[derive(Object)]
#[oai(rename = "ClientDeleted", example)]
pub struct ClientDeleted {
    /// What was done.
    message: String,
}

impl Example for ClientDeleted {
    fn example() -> Self {
        Self { message: "client deleted".to_owned() }
    }
}

const NO_CLIENT: Documented =
    Documented::new("There is no such client (`not_found`).", || examples([service::Error::NotFound]));

refusals! {
    /// Of `listClients`.
    ListClientsErrors { 401 => UNAUTHORIZED, 403 => FORBIDDEN, 500 => INTERNAL, 503 => UNAVAILABLE }
    /// Of `createClient`.
    CreateClientErrors {
        400 => Documented::new(
            "The body is not valid JSON, has a key twice or one that is not known, or a field is missing, has the \
             wrong type or cannot be taken (`invalid_request`; `errors` names the fields). Or its tokens would be longer \
             than they may be (`token_too_large`).",
            || {
                vec![
                    ApiError::invalid_field("id", BAD_ID),
                    service::Error::TokenTooLarge { bytes: 5_000 }.into(),
                ]
            },
        ),
        401 => UNAUTHORIZED, 403 => FORBIDDEN,
        409 => Documented::new(
            "Another client has the id, or had it and was deleted a moment ago: until `detail` says, services refuse tokens of \
             that id. Or it is `hallpass`, by which the tokens of logins name the service itself (`client_taken`).",
            || {
                let until = Timestamp::from_millis(1_796_169_600_000);
                examples([service::Error::ClientTaken, service::Error::ClientDeleted { until }])
            },
        ),
        413 => TOO_LARGE, 415 => NOT_JSON, 500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `getClient`.
    ClientErrors {
        401 => UNAUTHORIZED, 403 => FORBIDDEN, 404 => NO_CLIENT, 500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `deleteClient`.
    DeleteClientErrors {
        401 => UNAUTHORIZED, 403 => FORBIDDEN, 404 => NO_CLIENT, 500 => INTERNAL,
        503 => Documented::new(
            "A store does not answer (`dependency_unavailable`), or this replica's clock is wrong (`clock_skew`): send the \
             same request again after `Retry-After` seconds. Or the client is deleted, and that services which follow \
             revocations know of it is not confirmed yet (`revocation_pending`): it goes on by itself, do not send the \
             request again.",
            || vec![ApiError::dependency_unavailable(), ApiError::clock_skew(), ApiError::revocation_pending()],
        ),
    }
    /// Of `updateClient`.
    UpdateClientErrors {
        400 => Documented::new(
            "The body is not valid JSON, has a key twice or one that is not known, or a field has the wrong type or \
             cannot be taken (`invalid_request`; `errors` names the fields). Or its tokens would be longer than they may be \
             (`token_too_large`).",
            || {
                vec![
                    ApiError::invalid_field("audiences", &AudiencesError::Malformed.to_string()),
                    service::Error::TokenTooLarge { bytes: 5_000 }.into(),
                ]
            },
        ),
        401 => UNAUTHORIZED, 403 => FORBIDDEN, 404 => NO_CLIENT, 413 => TOO_LARGE, 415 => NOT_JSON, 500 => INTERNAL,
        503 => UNAVAILABLE,
    }
    /// Of `createClientSecret`.
    CreateSecretErrors {
        400 => Documented::new(
            "`dropOthers` is neither `true` nor `false` (`invalid_request`).",
            || vec![ApiError::invalid_field("dropOthers", "has a value that cannot be taken")],
        ),
        401 => UNAUTHORIZED, 403 => FORBIDDEN, 404 => NO_CLIENT, 500 => INTERNAL, 503 => UNAVAILABLE,
    }
}

const BAD_ID: &str = "must be 1 to 64 of a-z, 0-9, -, _ and ., beginning with a letter";

/// Administration of clients.
pub struct ClientsApi;

#[OpenApi(prefix_path = "/clients", tag = "Tag::Clients")]
impl ClientsApi {
    /// List all clients
    ///
    /// Answers every client, in the order of their ids. Secrets are not among it.
    #[oai(path = "/", method = "get", operation_id = "listClients")]
    async fn list_clients(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
    ) -> Result<Json<Vec<ClientDto>>, Refusal<ListClientsErrors>> {
        let by = Administrator::from_caller(&caller.0)?;
        let clients = services.0.clients.list(by).await?;
        Ok(Json(clients.iter().map(ClientDto::from).collect()))
    }

    /// Make a client
    ///
    /// Makes a client, and its first secret, which this answer alone has. With both it gets tokens for
    /// itself at `/oauth2/token` and asks about others' at `/oauth2/introspect`.
    #[oai(path = "/", method = "post", operation_id = "createClient")]
    async fn create_client(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        body: StrictJson<NewClientDto>,
    ) -> Result<ClientCreatedResponse, Refusal<CreateClientErrors>> {
        let by = Administrator::from_caller(&caller.0)?;
        let (id, terms) = body.0.read()?;
        let (client, secret) = services.0.clients.create(by, id, terms).await?;
        let secret = secret.expose().to_owned();
        Ok(ClientCreatedResponse::Created(Json(ClientCreated { client: (&client).into(), secret })))
    }

    /// Get a client
    ///
    /// Answers one client. Its secrets are not among it: nobody has them but the client.
    #[oai(path = "/:id", method = "get", operation_id = "getClient")]
    async fn get_client(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        /// The client's id.
        id: Path<String>,
    ) -> Result<Json<ClientDto>, Refusal<ClientErrors>> {
        let by = Administrator::from_caller(&caller.0)?;
        let client = services.0.clients.get(by, &client_id(&id.0)?).await?;
        Ok(Json((&client).into()))
    }

    /// Change a client
    ///
    /// Changes whom its tokens may be for, or whether it may exchange those of others. What is left out stays as it
    /// is, and tokens that are out already stay as they are until they expire.
    #[oai(path = "/:id", method = "patch", operation_id = "updateClient")]
    async fn update_client(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        /// The client's id.
        id: Path<String>,
        body: StrictJson<ClientUpdate>,
    ) -> Result<Json<ClientDto>, Refusal<UpdateClientErrors>> {
        let by = Administrator::from_caller(&caller.0)?;
        let id = client_id(&id.0)?;
        let client = services.0.clients.change(by, &id, &body.0.read()?).await?;
        Ok(Json((&client).into()))
    }

    /// Delete a client
    ///
    /// Deletes the client: its secrets are refused here from now on, and so are the tokens that it got for itself or in
    /// exchange, and those that others got behind it. Services that follow revocations refuse these as well when
    /// this is answered; those that do not take them until they expire. The id can be given to another client when the
    /// last of them has expired.
    #[oai(path = "/:id", method = "delete", operation_id = "deleteClient")]
    async fn delete_client(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        /// The client's id.
        id: Path<String>,
    ) -> Result<Json<ClientDeleted>, Refusal<DeleteClientErrors>> {
        let by = Administrator::from_caller(&caller.0)?;
        services.0.clients.delete(by, &client_id(&id.0)?).await?;
        Ok(Json(ClientDeleted::example()))
    }

    /// Make another secret for a client
    ///
    /// Makes a secret, which this answer alone has. The newest of those before goes on working beside it,
    /// until the next call, so that the client can be moved over; older ones do not. A secret that has leaked
    /// is put out of use by `dropOthers`.
    #[oai(path = "/:id/secrets", method = "post", operation_id = "createClientSecret")]
    async fn create_client_secret(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        /// The client's id.
        id: Path<String>,
        /// Whether none of the secrets before goes on working; `false` unless given.
        #[oai(name = "dropOthers")]
        drop_others: Query<Option<bool>>,
    ) -> Result<SecretCreatedResponse, Refusal<CreateSecretErrors>> {
        let by = Administrator::from_caller(&caller.0)?;
        let drop_others = drop_others.0.unwrap_or_default();
        let secret = services.0.clients.rotate_secret(by, &client_id(&id.0)?, drop_others).await?;
        Ok(SecretCreatedResponse::Created(Json(ClientSecretCreated::new(&secret))))
    }
}

/// What is no id names no client.
fn client_id(text: &str) -> Result<ClientId, service::Error> {
    text.parse().map_err(|_| service::Error::NotFound)
}
