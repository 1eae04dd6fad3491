//! `/.well-known/…`: what other services need to check tokens on their own.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::web::Data;
use poem_openapi::param::Header;
use poem_openapi::types::{Example, ToJSON};
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;

use super::Tag;
use super::json::Json;
use super::refusal::{INTERNAL, Refusal, refusals};
use crate::service::key_ring::KeyRing;

/// Validators fetch the keys again after five minutes at the latest.
const CACHE_CONTROL: &str = "public, max-age=300";

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
pub enum JwksResponse {
    /// The keys. Keep them for as long as `Cache-Control` says.
    #[oai(status = 200)]
    Keys(
        Json<JwksDto>,
        /// How long the keys may be kept.
        #[oai(header = "Cache-Control")]
        String,
        /// Names this set of keys, for `If-None-Match`.
        #[oai(header = "ETag")]
        String,
    ),
    /// The keys are still those that `If-None-Match` names.
    #[oai(status = 304)]
    NotModified(
        /// How long the keys may be kept.
        #[oai(header = "Cache-Control")]
        String,
        /// Names this set of keys.
        #[oai(header = "ETag")]
        String,
    ),
}

refusals! {
    /// Of documents that are always at hand.
    DocumentErrors { 500 => INTERNAL }
}

/// The public keys as they are published, with the name of this set of them.
#[derive(Clone)]
pub(super) struct PublishedKeys {
    jwks: JwksDto,
    etag: String,
}

impl PublishedKeys {
    /// # Errors
    /// When a public key has a shape that the document does not know.
    pub(super) fn new(key_ring: &KeyRing) -> Result<Self, serde_json::Error> {
        let jwks: JwksDto = serde_json::from_value(serde_json::to_value(key_ring.jwks())?)?;
        let digest = digest::digest(&digest::SHA256, jwks.to_json_string().as_bytes());
        Ok(Self { jwks, etag: format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest)) })
    }
}

/// The operations under `/.well-known`.
pub struct WellKnownApi;

#[OpenApi(prefix_path = "/.well-known", tag = "Tag::Discovery")]
impl WellKnownApi {
    /// Get the public keys
    ///
    /// The keys that access tokens are signed with (JWK Set, RFC 7517), so that any service can
    /// check a token itself. Fetch them again when a token names a `kid` that is not among them.
    #[oai(path = "/jwks.json", method = "get", operation_id = "getJwks")]
    async fn jwks(
        &self,
        keys: Data<&PublishedKeys>,
        /// The `ETag` of the keys that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<JwksResponse, Refusal<DocumentErrors>> {
        let (cache_control, etag) = (CACHE_CONTROL.to_owned(), keys.etag.clone());
        let known = if_none_match.0.is_some_and(|tags| {
            tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == keys.etag)
        });
        Ok(if known {
            JwksResponse::NotModified(cache_control, etag)
        } else {
            JwksResponse::Keys(Json(keys.jwks.clone()), cache_control, etag)
        })
    }
}
