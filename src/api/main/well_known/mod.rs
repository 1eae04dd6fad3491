//! `/.well-known/…`: what other services need to check tokens on their own.
//!
//! Anybody may ask for these documents at any rate (some validators fetch the keys for every unknown
//! `kid`), so they are written once for each generation of the key ring, and no store is asked.

mod metadata;

use std::sync::Arc;
use std::time::Duration;

use poem::error::NotFoundError;
use poem::web::Data;
use poem::{Request, Route, get, handler};
use poem_openapi::param::Header;
use poem_openapi::types::{Example, ToJSON};
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;

use self::metadata::{MetadataDto, ResourceMetadataDto};
use crate::api::document::tags::Tag;
use crate::api::errors::ApiError;
use crate::api::errors::refusal::{INTERNAL, Refusal, refusals};
use crate::api::wire::addresses::path_of;
use crate::api::wire::prepared::Prepared;
use crate::service::Services;
use crate::service::key_ring::{Generation, KeyRing, PerGeneration};

/// Validators fetch the documents again after five minutes at the latest, in seconds.
const MAX_AGE: u64 = 300;

/// The names under which clients look for the metadata.
const METADATA_PATHS: [&str; 2] =
    ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];

/// Where clients look for what the service tells of itself as a protected resource (RFC 9728 3.1).
pub(crate) const RESOURCE_PATH: &str = "/.well-known/oauth-protected-resource";

/// A public key (RFC 7517 4).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Object)]
#[oai(rename = "Jwk", skip_serializing_if_is_none, example)]
pub struct JwkDto {
    /// Key type: `EC`, `RSA` or `OKP`.
    kty: String,
    /// What it is for: `sig`.
    #[serde(rename = "use")]
    #[oai(rename = "use")]
    public_key_use: String,
    /// Its id, the RFC 7638 thumbprint: a token names it in its header.
    kid: String,
    /// The one algorithm it is used with.
    alg: String,
    /// Curve, of `EC` and `OKP` keys.
    crv: Option<String>,
    /// X coordinate or public key, of `EC` and `OKP` keys.
    x: Option<String>,
    /// Y coordinate, of `EC` keys.
    y: Option<String>,
    /// Modulus, of `RSA` keys.
    n: Option<String>,
    /// Exponent, of `RSA` keys.
    e: Option<String>,
}

impl Example for JwkDto {
    /// The key of RFC 7517 A.1.
    fn example() -> Self {
        Self {
            kty: "EC".to_owned(),
            public_key_use: "sig".to_owned(),
            kid: "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s".to_owned(),
            alg: "ES256".to_owned(),
            crv: Some("P-256".to_owned()),
            x: Some("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4".to_owned()),
            y: Some("4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM".to_owned()),
            n: None,
            e: None,
        }
    }
}

/// The public keys of this issuer (RFC 7517 5).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Object)]
#[oai(rename = "Jwks", example)]
pub struct JwksDto {
    /// The keys.
    keys: Vec<JwkDto>,
}

impl Example for JwksDto {
    fn example() -> Self {
        Self { keys: vec![JwkDto::example()] }
    }
}

/// The answer to a request for the keys.
#[derive(ApiResponse)]
enum JwksResponse {
    /// The keys, the one that signs before the others. Keep them for as long as `Cache-Control` says.
    #[oai(status = 200)]
    Keys(
        Prepared<JwksDto>,
        /// How long the keys may be kept: at most until they change as planned.
        #[oai(header = "Cache-Control")]
        String,
        /// Names this set of keys, for `If-None-Match`.
        #[oai(header = "ETag")]
        String,
    ),
    /// The keys are still those that `If-None-Match` names.
    #[oai(status = 304)]
    NotModified(
        /// How long the keys may be kept: at most until they change as planned.
        #[oai(header = "Cache-Control")]
        String,
        /// Names this set of keys.
        #[oai(header = "ETag")]
        String,
    ),
}

/// The answer to a request for metadata: of the service, or of the resource.
#[derive(ApiResponse)]
enum MetadataResponse<T: ToJSON + 'static> {
    /// The metadata. Keep it for as long as `Cache-Control` says.
    #[oai(status = 200)]
    Metadata(
        Prepared<T>,
        /// How long it may be kept.
        #[oai(header = "Cache-Control")]
        String,
        /// Names this version of it, for `If-None-Match`.
        #[oai(header = "ETag")]
        String,
    ),
    /// It is still what `If-None-Match` names.
    #[oai(status = 304)]
    NotModified(
        /// How long it may be kept.
        #[oai(header = "Cache-Control")]
        String,
        /// Names this version of it.
        #[oai(header = "ETag")]
        String,
    ),
}

refusals! {
    /// Of documents that are always at hand.
    DocumentErrors { 500 => INTERNAL }
}

/// What is published, as text.
#[derive(Clone)]
pub(crate) struct Published {
    key_ring: Arc<KeyRing>,
    documents: Arc<PerGeneration<Option<Documents>>>,
    resource: Prepared<ResourceMetadataDto>,
}

struct Documents {
    jwks: Prepared<JwksDto>,
    metadata: Prepared<MetadataDto>,
}

impl Documents {
    /// `None` when a public key has a shape that the document does not know.
    fn of(generation: &Generation, issuer: &str) -> Option<Self> {
        let jwks: JwksDto = serde_json::from_value(serde_json::to_value(generation.jwks()).ok()?).ok()?;
        let mut algorithms: Vec<String> = jwks.keys.iter().map(|key| key.alg.clone()).collect();
        algorithms.sort();
        algorithms.dedup();
        let metadata = MetadataDto::of(issuer, algorithms);
        Some(Self { jwks: Prepared::new(&jwks), metadata: Prepared::new(&metadata) })
    }
}

impl Published {
    pub(crate) fn new(services: &Services) -> Self {
        let issuer = services.issuer().to_owned();
        let resource = Prepared::new(&ResourceMetadataDto::of(&issuer, services.audience()));
        let write = move |generation: &Generation| Documents::of(generation, &issuer);
        let documents = PerGeneration::new(services.key_ring.clone(), write);
        Self { key_ring: services.key_ring.clone(), documents: Arc::new(documents), resource }
    }

    fn jwks(&self) -> Result<Prepared<JwksDto>, ApiError> {
        self.documents.get().as_ref().as_ref().map(|written| written.jwks.clone()).ok_or_else(unwritten)
    }

    fn metadata(&self) -> Result<Prepared<MetadataDto>, ApiError> {
        self.documents.get().as_ref().as_ref().map(|written| written.metadata.clone()).ok_or_else(unwritten)
    }

    fn metadata_response(
        &self,
        if_none_match: Option<&str>,
    ) -> Result<MetadataResponse<MetadataDto>, ApiError> {
        Ok(MetadataResponse::unless_named(self.metadata()?, if_none_match))
    }

    fn resource_response(&self, if_none_match: Option<&str>) -> MetadataResponse<ResourceMetadataDto> {
        MetadataResponse::unless_named(self.resource.clone(), if_none_match)
    }
}

impl<T: ToJSON + 'static> MetadataResponse<T> {
    fn unless_named(metadata: Prepared<T>, if_none_match: Option<&str>) -> Self {
        let (cache_control, tag) = (cache_control(None), metadata.entity_tag().to_owned());
        match metadata.is_named_by(if_none_match) {
            true => Self::NotModified(cache_control, tag),
            false => Self::Metadata(metadata, cache_control, tag),
        }
    }
}

fn unwritten() -> ApiError {
    ApiError::internal("a public key has a shape that cannot be published")
}

/// `Cache-Control` of a document that stays as it is for so long. A second at the least: a change that
/// is due and not made yet, as the database is away, shall not bring everybody here for every token.
fn cache_control(stays_for: Option<Duration>) -> String {
    let seconds = stays_for.map_or(MAX_AGE, |span| span.as_secs() + u64::from(span.subsec_nanos() > 0));
    format!("public, max-age={}", seconds.clamp(1, MAX_AGE))
}

/// Adds the metadata where RFC 8414 3.1 looks for that of an issuer with a path: the well-known part
/// stands before the path there. Whatever serves the host hands these on as they are.
pub(crate) fn mount(routes: Route, issuer: &str) -> Route {
    if path_of(issuer).is_empty() {
        return routes;
    }
    let add = |routes: Route, path| routes.at(format!("{path}/*issuer_path"), get(metadata_of_path));
    let routes = METADATA_PATHS.into_iter().fold(routes, add);
    routes.at(format!("{RESOURCE_PATH}/*issuer_path"), get(resource_of_path))
}

#[handler]
fn metadata_of_path(
    request: &Request,
    services: Data<&Services>,
    published: Data<&Published>,
) -> poem::Result<MetadataResponse<MetadataDto>> {
    let issuer_path = Some(path_of(services.issuer()));
    if !METADATA_PATHS.iter().any(|place| request.uri().path().strip_prefix(place) == issuer_path) {
        return Err(NotFoundError.into());
    }
    Ok(published.metadata_response(request.header("If-None-Match"))?)
}

#[handler]
fn resource_of_path(
    request: &Request,
    services: Data<&Services>,
    published: Data<&Published>,
) -> poem::Result<MetadataResponse<ResourceMetadataDto>> {
    let path = request.uri().path().strip_prefix(RESOURCE_PATH);
    match path == Some(path_of(services.issuer())) {
        true => Ok(published.resource_response(request.header("If-None-Match"))),
        false => Err(NotFoundError.into()),
    }
}

/// The operations under `/.well-known`.
pub struct WellKnownApi;

#[OpenApi(prefix_path = "/.well-known", tag = "Tag::Discovery")]
impl WellKnownApi {
    /// Get the public keys
    ///
    /// The keys that access tokens are signed with (JWK Set, RFC 7517), so that any service can
    /// check a token itself. A key stands here long before it signs, and until its last token has
    /// expired. Fetch them again when a token names a `kid` that is not among them.
    #[oai(path = "/jwks.json", method = "get", operation_id = "getJwks")]
    async fn jwks(
        &self,
        published: Data<&Published>,
        /// The `ETag` of the keys that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<JwksResponse, Refusal<DocumentErrors>> {
        let jwks = published.jwks()?;
        let cache_control = cache_control(published.key_ring.stays_for());
        let tag = jwks.entity_tag().to_owned();
        Ok(match jwks.is_named_by(if_none_match.0.as_deref()) {
            true => JwksResponse::NotModified(cache_control, tag),
            false => JwksResponse::Keys(jwks, cache_control, tag),
        })
    }

    /// Get the metadata (RFC 8414)
    ///
    /// The issuer, where its public keys are, and which endpoints there are. For an issuer with a path
    /// also at `/.well-known/oauth-authorization-server/<path>`.
    #[oai(
        path = "/oauth-authorization-server",
        method = "get",
        operation_id = "getAuthorizationServerMetadata"
    )]
    async fn authorization_server(
        &self,
        published: Data<&Published>,
        /// The `ETag` of the metadata that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<MetadataResponse<MetadataDto>, Refusal<DocumentErrors>> {
        Ok(published.metadata_response(if_none_match.0.as_deref())?)
    }

    /// Get the metadata under its OpenID name
    ///
    /// The same document, where Spring, go-oidc, .NET and others look for an issuer's keys. hallpass is
    /// no OpenID provider: there are no ID tokens, and no endpoint to log in at through a browser.
    #[oai(path = "/openid-configuration", method = "get", operation_id = "getOpenIdConfiguration")]
    async fn openid_configuration(
        &self,
        published: Data<&Published>,
        /// The `ETag` of the metadata that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<MetadataResponse<MetadataDto>, Refusal<DocumentErrors>> {
        Ok(published.metadata_response(if_none_match.0.as_deref())?)
    }

    /// Get the metadata of the resource (RFC 9728)
    ///
    /// What the service tells of itself as one that takes its own tokens: for whom they have to be, and who issues
    /// them. A 401 of `/forward-auth` says in `resource_metadata` where this is. For an issuer with a path also at
    /// `/.well-known/oauth-protected-resource/<path>`.
    #[oai(path = "/oauth-protected-resource", method = "get", operation_id = "getProtectedResourceMetadata")]
    async fn protected_resource(
        &self,
        published: Data<&Published>,
        /// The `ETag` of the metadata that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<MetadataResponse<ResourceMetadataDto>, Refusal<DocumentErrors>> {
        Ok(published.resource_response(if_none_match.0.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_may_be_kept_until_they_change_and_five_minutes_at_the_most() {
        for (stays_for, seconds) in [
            (None, 300),
            (Some(Duration::from_secs(86_400)), 300),
            (Some(Duration::from_secs(300)), 300),
            (Some(Duration::from_secs(299)), 299),
            (Some(Duration::from_millis(1_001)), 2),
            (Some(Duration::ZERO), 1),
        ] {
            assert_eq!(cache_control(stays_for), format!("public, max-age={seconds}"));
        }
    }
}
