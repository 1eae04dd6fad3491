//! `/oauth2/…`: tokens for programs, by the RFCs' names.

mod client_auth;
mod exchange;
mod refusals;

use hallpass_verify::Actor;
use poem::web::Data;
use poem_openapi::types::{Any, Example};
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;
use serde_json::{Value, json};

use self::client_auth::{BasicCredentials, Presented};
pub use self::refusals::*;
use crate::api::document::tags::Tag;
use crate::api::errors::ApiError;
use crate::api::errors::oauth::OAuthRefusal;
pub use crate::api::errors::oauth::{OAuthError, respond};
use crate::api::main::clients::SECRET_EXAMPLE;
use crate::api::wire::dto::{ACCESS_TOKEN_EXAMPLE, REFRESH_TOKEN_EXAMPLE};
use crate::api::wire::form::{FormFields, FormOrJson};
use crate::api::wire::json::Json;
use crate::api::wire::targets::Repeated;
use crate::domain::client::{Client, FIRST_PARTY_CLIENT_ID, TOKEN_EXCHANGE_GRANT};
use crate::domain::tokens::RefreshToken;
use crate::service::oauth::Introspection;
use crate::service::visitor::Visitor;
use crate::service::{self, Services};

/// Where errors have OAuth's shape.
pub const PREFIX: &str = "/oauth2/";

/// A request for a token.
#[derive(Deserialize, Object)]
#[oai(rename = "TokenRequest", skip_serializing_if_is_none, example)]
pub struct TokenRequest {
    /// `client_credentials`, `refresh_token` or `urn:ietf:params:oauth:grant-type:token-exchange`.
    grant_type: String,
    /// With `refresh_token`: the token to redeem.
    refresh_token: Option<String>,
    /// What the token is to be good for, words with single spaces between: with `client_credentials` some of what the
    /// client may have, in an exchange some of what the subject's token is good for and the client may have; all of
    /// it unless given.
    scope: Option<String>,
    /// Whom the access token is to be for, an absolute URI (RFC 8707). The field may come several times, 8 at most; as
    /// JSON it is one text or an array. Some of those that the client, or the session, may have tokens for; all of them unless given.
    resource: Option<Repeated>,
    /// The same by other names than URIs; in an exchange the id of a client, whose audience is meant.
    audience: Option<Repeated>,
    /// In an exchange: the access token that the client was called with, or that was issued to it.
    subject_token: Option<String>,
    /// In an exchange: `urn:ietf:params:oauth:token-type:access_token`, or `…:jwt`.
    subject_token_type: Option<String>,
    /// In an exchange: the access token of who is to act, where that is not the client itself.
    actor_token: Option<String>,
    /// With `actor_token`: its type, as with the subject's.
    actor_token_type: Option<String>,
    /// In an exchange: by which name the new token is to be called, `urn:ietf:params:oauth:token-type:access_token`
    /// unless given, or `…:jwt`. It is the same.
    requested_token_type: Option<String>,
    /// The client's id, unless it comes by HTTP Basic.
    client_id: Option<String>,
    /// The client's secret, unless it comes by HTTP Basic.
    client_secret: Option<String>,
}

impl FormFields for TokenRequest {
    const REPEATABLE: &'static [&'static str] = &["resource", "audience"];
}

impl Example for TokenRequest {
    fn example() -> Self {
        Self {
            grant_type: "client_credentials".to_owned(),
            refresh_token: None,
            scope: Some("revocations:read".to_owned()),
            resource: None,
            audience: None,
            subject_token: None,
            subject_token_type: None,
            actor_token: None,
            actor_token_type: None,
            requested_token_type: None,
            client_id: Some("books".to_owned()),
            client_secret: Some(SECRET_EXAMPLE.to_owned()),
        }
    }
}

/// An access token (RFC 6749 5.1).
#[derive(Object)]
#[oai(rename = "TokenResponse", skip_serializing_if_is_none, example)]
pub struct TokenResponse {
    /// A signed JWT for `Authorization: Bearer`.
    access_token: String,
    /// What kind of token that is; only of an exchange.
    issued_token_type: Option<String>,
    /// How to present the access token: always `Bearer`.
    token_type: String,
    /// Seconds until the access token ends.
    expires_in: i64,
    /// Buys the next pair, once; only for the grant `refresh_token`.
    refresh_token: Option<String>,
    /// What the token is good for; not for the grant `refresh_token`.
    scope: Option<String>,
}

impl Example for TokenResponse {
    fn example() -> Self {
        Self {
            access_token: ACCESS_TOKEN_EXAMPLE.to_owned(),
            issued_token_type: None,
            token_type: "Bearer".to_owned(),
            expires_in: 900,
            refresh_token: None,
            scope: Some("revocations:read".to_owned()),
        }
    }
}

/// A token to be asked about or taken back.
#[derive(Deserialize, Object)]
#[oai(rename = "TokenInQuestion", skip_serializing_if_is_none, example)]
pub struct TokenInQuestion {
    /// An access token or a refresh token.
    token: String,
    /// `access_token` or `refresh_token`: a hint that is not needed here.
    token_type_hint: Option<String>,
    /// The client's id, unless it comes by HTTP Basic.
    client_id: Option<String>,
    /// The client's secret, unless it comes by HTTP Basic.
    client_secret: Option<String>,
}

impl TokenInQuestion {
    /// The token, as it was sent but for blanks around it.
    pub(crate) fn token(&self) -> &str {
        self.token.trim()
    }
}

impl FormFields for TokenInQuestion {}

impl Example for TokenInQuestion {
    fn example() -> Self {
        Self {
            token: REFRESH_TOKEN_EXAMPLE.to_owned(),
            token_type_hint: Some("refresh_token".to_owned()),
            client_id: Some("books".to_owned()),
            client_secret: Some(SECRET_EXAMPLE.to_owned()),
        }
    }
}

/// Who acts for somebody.
#[derive(Object)]
#[oai(rename = "Actor", skip_serializing_if_is_none, example)]
pub struct ActorDto {
    /// The client's id, or the subject of the token that it acts by.
    sub: String,
    /// Who acted before, when the token was exchanged that this one was got for: the same again (RFC 8693 4.1). No
    /// schema says so, since generators cannot write down what holds itself.
    act: Option<Any<Value>>,
}

impl From<Actor> for ActorDto {
    fn from(actor: Actor) -> Self {
        Self { sub: actor.sub, act: actor.act.and_then(|before| serde_json::to_value(before).ok()).map(Any) }
    }
}

impl Example for ActorDto {
    fn example() -> Self {
        Self { sub: "orders".to_owned(), act: Some(Any(json!({ "sub": "gateway" }))) }
    }
}

/// What there is to say about a token (RFC 7662 2.2). For one that is not active, nothing but that.
#[derive(Default, Object)]
#[oai(rename = "Introspection", skip_serializing_if_is_none, example)]
pub struct IntrospectionDto {
    /// Whether the token stands: it is this service's, in time, not taken back, and for this client.
    active: bool,
    /// `access_token` or `refresh_token`.
    token_type: Option<String>,
    /// The account's id in digits; of a machine's token, the client's id.
    sub: Option<String>,
    /// The client that the token was issued to.
    client_id: Option<String>,
    /// The account's e-mail address at login.
    username: Option<String>,
    /// The same under the claim's name.
    email: Option<String>,
    /// Whether the owner has proven that the address is theirs: when an access token was issued; of a
    /// refresh token, this moment. Until then it may be anybody's.
    email_verified: Option<bool>,
    /// When the account's owner proved who they are, seconds since the Unix epoch: at the login.
    auth_time: Option<i64>,
    /// How they did: `pwd` is a password.
    amr: Option<Vec<String>>,
    /// How much that proves: `urn:hallpass:acr:1` is one factor.
    acr: Option<String>,
    /// The account's roles at login.
    roles: Option<Vec<String>>,
    /// What the token is good for: of a machine, by the roles of its person, or as it was got in exchange.
    scope: Option<String>,
    /// Whom the token is for.
    aud: Option<Vec<String>>,
    /// Who acts for the account, by a token that was got in exchange for another (RFC 8693 4.1).
    act: Option<ActorDto>,
    /// The issuer.
    iss: Option<String>,
    /// When the token was issued, seconds since the Unix epoch.
    iat: Option<i64>,
    /// When the token ends, seconds since the Unix epoch.
    exp: Option<i64>,
    /// The token's own id.
    jti: Option<String>,
    /// The session that the token belongs to.
    sid: Option<String>,
    /// The account's security version when the session was opened.
    sv: Option<i64>,
    /// The number of the service's memory that an access token was issued under: it grows when that is
    /// lost.
    inc: Option<u64>,
}

impl From<Introspection> for IntrospectionDto {
    fn from(introspection: Introspection) -> Self {
        match introspection {
            Introspection::Inactive => Self::default(),
            Introspection::Access(claims) => Self {
                active: true,
                token_type: Some("access_token".to_owned()),
                sub: Some(claims.sub),
                client_id: Some(claims.client_id),
                username: claims.email.clone(),
                email: claims.email,
                email_verified: claims.email_verified,
                auth_time: claims.auth_time,
                amr: claims.amr,
                acr: claims.acr,
                roles: (!claims.roles.is_empty()).then_some(claims.roles),
                scope: claims.scope,
                aud: Some(claims.aud),
                act: claims.act.map(ActorDto::from),
                iss: Some(claims.iss),
                iat: Some(claims.iat),
                exp: Some(claims.exp),
                jti: Some(claims.jti.to_string()),
                sid: claims.sid.map(|sid| sid.to_string()),
                sv: claims.sv,
                inc: Some(claims.inc),
            },
            Introspection::Refresh(session) => Self {
                active: true,
                token_type: Some("refresh_token".to_owned()),
                sub: Some(session.user.to_string()),
                roles: Some(session.carried.roles().names()),
                auth_time: Some(session.auth_time()),
                amr: Some(session.carried.authentication_methods()),
                acr: Some(session.carried.authentication_class()),
                client_id: Some(session.carried.origin.client),
                username: Some(session.carried.email.as_str().to_owned()),
                email: Some(session.carried.email.as_str().to_owned()),
                email_verified: Some(session.carried.email_verified),
                iat: Some(session.rotated_at.as_secs()),
                exp: Some(session.idle_deadline.min(session.absolute_deadline).as_secs()),
                sid: Some(session.id.to_string()),
                sv: Some(session.security_version.get()),
                ..Self::default()
            },
        }
    }
}

impl Example for IntrospectionDto {
    fn example() -> Self {
        Self {
            active: true,
            token_type: Some("access_token".to_owned()),
            sub: Some("2".to_owned()),
            client_id: Some("hallpass".to_owned()),
            username: Some("ada@example.com".to_owned()),
            email: Some("ada@example.com".to_owned()),
            email_verified: Some(true),
            auth_time: Some(1_796_169_600),
            amr: Some(vec!["pwd".to_owned()]),
            acr: Some("urn:hallpass:acr:1".to_owned()),
            roles: Some(vec!["member".to_owned()]),
            scope: None,
            aud: Some(vec!["https://auth.example.com".to_owned()]),
            act: None,
            iss: Some("https://auth.example.com".to_owned()),
            iat: Some(1_796_169_600),
            exp: Some(1_796_170_500),
            jti: Some("6f6bfa34-7d27-4b2c-8a5e-0f1f4c1b2a3d".to_owned()),
            sid: Some("0d9f1c3a-6a52-4b0e-9c7e-3f1d2b8a5e64".to_owned()),
            sv: Some(1),
            inc: Some(1),
        }
    }
}

/// The token is good for nothing any more, or never was.
#[derive(Object)]
#[oai(rename = "TokenRevoked", example)]
pub struct TokenRevoked {
    /// What was done.
    message: String,
}

impl Example for TokenRevoked {
    fn example() -> Self {
        Self { message: "token revoked".to_owned() }
    }
}

/// The operations under `/oauth2`.
pub struct OAuthApi;

#[OpenApi(prefix_path = "/oauth2", tag = "Tag::OAuth")]
impl OAuthApi {
    /// Get a token
    ///
    /// The token endpoint of OAuth 2 (RFC 6749 3.2). With `grant_type=client_credentials` a client gets
    /// an access token for itself: nobody is logged in by it. With `grant_type=refresh_token` a refresh
    /// token of a login is redeemed for the next pair, as at `/auth/refresh-token`. That is done without a
    /// client's credentials: the tokens of logins belong to the service's own first party, and a client
    /// that presents another one's token is refused (`invalid_grant`).
    ///
    /// With `grant_type=urn:ietf:params:oauth:grant-type:token-exchange` (RFC 8693) a client that may gets a token for
    /// the service that it calls next, on behalf of the one whose token it was called with: it belongs to the same
    /// session, so it ends with that, and it says in `act` who acts.
    #[oai(path = "/token", method = "post", operation_id = "createToken")]
    async fn token(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        credentials: BasicCredentials,
        body: FormOrJson<TokenRequest>,
    ) -> Result<Json<TokenResponse>, OAuthRefusal<TokenErrors>> {
        let mut fields = body.0;
        let id = fields.client_id.take();
        let is_of_first_party = id.as_deref() == Some(FIRST_PARTY_CLIENT_ID);
        let credentials = credentials.or(id, fields.client_secret.take())?;
        if fields.grant_type == TOKEN_EXCHANGE_GRANT {
            // It has no secret, so it is no confidential client.
            if credentials.as_ref().map_or(is_of_first_party, Presented::is_of_public_client) {
                return Err(service::Error::UnauthorizedClient.into());
            }
            let client = required(services.0, visitor.0, credentials).await?;
            services.0.exchange.permit(&client)?;
            let (request, issued) = exchange::read(fields)?;
            let token = services.0.exchange.exchange(&client, &request).await?;
            return Ok(Json(exchange::answer(&token, issued)));
        }
        let TokenRequest { grant_type, refresh_token, scope, resource, audience, .. } = fields;
        let asked = Repeated::asked(resource, audience);
        match grant_type.as_str() {
            "client_credentials" => {
                let client = required(services.0, visitor.0, credentials).await?;
                let token = services.0.clients.mint(&client, scope.as_deref(), &asked).await?;
                Ok(Json(TokenResponse {
                    access_token: token.access.expose().to_owned(),
                    issued_token_type: None,
                    token_type: "Bearer".to_owned(),
                    expires_in: token.expires_in,
                    refresh_token: None,
                    scope: Some(token.scopes.to_string()),
                }))
            }
            "refresh_token" => {
                let client = optional(services.0, visitor.0, credentials).await?;
                let token =
                    refresh_token.ok_or_else(|| ApiError::invalid_field("refresh_token", "is missing"))?;
                let token = RefreshToken::new(token.trim());
                let sessions = &services.0.sessions;
                let pair = match client {
                    Some(client) => sessions.refresh_for(&client.id, &token, visitor.0, &asked).await?,
                    None => sessions.refresh(&token, None, visitor.0, &asked).await?,
                };
                Ok(Json(TokenResponse {
                    access_token: pair.access.expose().to_owned(),
                    issued_token_type: None,
                    token_type: "Bearer".to_owned(),
                    expires_in: pair.access_expires_in,
                    refresh_token: Some(pair.refresh.expose().to_owned()),
                    scope: None,
                }))
            }
            _ => Err(ApiError::unsupported_grant_type().into()),
        }
    }

    /// Ask about a token
    ///
    /// Introspection (RFC 7662): whether an access or a refresh token stands this moment, revocations
    /// included. One that does not is `{"active": false}` and nothing else, whatever is wrong with it.
    /// Asking uses nothing up. A refresh token is active for the client that it was issued to and for
    /// clients with the scope `tokens:introspect`; for any other it is `{"active": false}`.
    #[oai(path = "/introspect", method = "post", operation_id = "introspectToken")]
    async fn introspect(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        credentials: BasicCredentials,
        body: FormOrJson<TokenInQuestion>,
    ) -> Result<Json<IntrospectionDto>, OAuthRefusal<IntrospectErrors>> {
        let credentials = credentials.or(body.0.client_id, body.0.client_secret)?;
        let client = required(services.0, visitor.0, credentials).await?;
        Ok(Json(services.0.oauth.introspect(&client, body.0.token.trim()).await?.into()))
    }

    /// Take a token back
    ///
    /// Revocation (RFC 7009): an access token by itself; a refresh token with its session and all its
    /// access tokens. A token that is unknown or good for nothing already is answered like any other.
    #[oai(path = "/revoke", method = "post", operation_id = "revokeToken")]
    async fn revoke(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        credentials: BasicCredentials,
        body: FormOrJson<TokenInQuestion>,
    ) -> Result<Json<TokenRevoked>, OAuthRefusal<RevokeErrors>> {
        let credentials = credentials.or(body.0.client_id, body.0.client_secret)?;
        let client = optional(services.0, visitor.0, credentials).await?;
        services.0.oauth.revoke(client.as_ref(), body.0.token.trim(), visitor.0).await?;
        Ok(Json(TokenRevoked::example()))
    }
}

async fn required(
    services: &Services,
    visitor: &Visitor,
    presented: Option<Presented>,
) -> Result<Client, ApiError> {
    match presented {
        Some(presented) => authenticate(services, visitor, presented).await,
        None => Err(service::Error::InvalidClient.into()),
    }
}

async fn optional(
    services: &Services,
    visitor: &Visitor,
    presented: Option<Presented>,
) -> Result<Option<Client>, ApiError> {
    match presented {
        Some(presented) if !presented.is_of_public_client() => {
            authenticate(services, visitor, presented).await.map(Some)
        }
        _ => Ok(None),
    }
}

async fn authenticate(
    services: &Services,
    visitor: &Visitor,
    Presented { credentials, by_basic }: Presented,
) -> Result<Client, ApiError> {
    let authenticated = services.clients.authenticate(&credentials, visitor).await;
    authenticated.map_err(|error| match ApiError::from(error) {
        error if by_basic => error.challenging_basic(),
        error => error,
    })
}
