//! Where what is, and what this service can do: one document under the two names by which clients
//! look for it (RFC 8414, and OpenID Connect Discovery 1.0).
//!
//! hallpass is no OpenID provider: it issues no ID tokens. Spring, go-oidc, .NET and others look for a
//! resource server's issuer under the OpenID name all the same, and refuse a document without the
//! members that OpenID asks for, so they are there and claim nothing that does not exist.

use poem_openapi::Object;
use poem_openapi::types::Example;
use serde::Deserialize;

use crate::domain::client::{REVOCATIONS_READ, TOKEN_EXCHANGE_GRANT, TOKENS_INTROSPECT};

/// How clients prove themselves where they must (RFC 6749 2.3.1).
const PROOFS: &[&str] = &["client_secret_basic", "client_secret_post"];

/// And where they need not: whoever has a refresh token redeems it and takes it back.
const PROOFS_OR_NONE: &[&str] = &["client_secret_basic", "client_secret_post", "none"];

/// What an authorization server tells of itself (RFC 8414 2).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Object)]
#[oai(rename = "ServerMetadata", example)]
pub struct MetadataDto {
    /// The issuer: exactly the `iss` of all access tokens.
    issuer: String,
    /// The public keys.
    jwks_uri: String,
    /// Where clients get tokens.
    token_endpoint: String,
    /// Where other services ask about a token (RFC 7662).
    introspection_endpoint: String,
    /// Where clients take a token back (RFC 7009).
    revocation_endpoint: String,
    /// Everything that is revoked, for services that check tokens on their own.
    hallpass_revocations_endpoint: String,
    /// The same as a stream.
    hallpass_revocations_stream_endpoint: String,
    /// The grants of the token endpoint.
    grant_types_supported: Vec<String>,
    /// How clients prove themselves at the token endpoint.
    token_endpoint_auth_methods_supported: Vec<String>,
    /// How clients prove themselves at the introspection endpoint.
    introspection_endpoint_auth_methods_supported: Vec<String>,
    /// How clients prove themselves at the revocation endpoint.
    revocation_endpoint_auth_methods_supported: Vec<String>,
    /// Always empty: there is no authorization endpoint.
    response_types_supported: Vec<String>,
    /// Always `public`: a user has the same `sub` for every client.
    subject_types_supported: Vec<String>,
    /// How tokens are signed. There are no ID tokens; OpenID clients take the algorithms of all tokens
    /// from here.
    id_token_signing_alg_values_supported: Vec<String>,
    /// Documentation for developers.
    service_documentation: String,
}

impl MetadataDto {
    /// What the service of that issuer tells; `algorithms` are those of its published keys.
    ///
    /// This is the one list of endpoints: one that is served gets its line here.
    pub(super) fn of(issuer: &str, algorithms: Vec<String>) -> Self {
        let at = |path: &str| format!("{issuer}{path}");
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            issuer: issuer.to_owned(),
            jwks_uri: at("/.well-known/jwks.json"),
            token_endpoint: at("/oauth2/token"),
            introspection_endpoint: at("/oauth2/introspect"),
            revocation_endpoint: at("/oauth2/revoke"),
            hallpass_revocations_endpoint: at("/revocations"),
            hallpass_revocations_stream_endpoint: at("/revocations/stream"),
            // Left out, this would mean the grants of an authorization endpoint (RFC 8414 2).
            grant_types_supported: list(&["client_credentials", "refresh_token", TOKEN_EXCHANGE_GRANT]),
            token_endpoint_auth_methods_supported: list(PROOFS_OR_NONE),
            introspection_endpoint_auth_methods_supported: list(PROOFS),
            revocation_endpoint_auth_methods_supported: list(PROOFS_OR_NONE),
            response_types_supported: Vec::new(),
            subject_types_supported: vec!["public".to_owned()],
            id_token_signing_alg_values_supported: algorithms,
            service_documentation: at("/docs"),
        }
    }
}

/// What a protected resource tells of itself (RFC 9728 2): this service, as one that takes its own tokens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Object)]
#[oai(rename = "ResourceMetadata", example)]
pub struct ResourceMetadataDto {
    /// The audience of tokens that the service takes (`tokens.audience`).
    resource: String,
    /// Who issues them.
    authorization_servers: Vec<String>,
    /// The public keys that they are signed with.
    jwks_uri: String,
    /// How they are presented: in a header, and nowhere else.
    bearer_methods_supported: Vec<String>,
    /// What they may be used for here.
    scopes_supported: Vec<String>,
}

impl ResourceMetadataDto {
    /// What the service of that issuer and audience tells.
    pub(super) fn of(issuer: &str, audience: &str) -> Self {
        Self {
            resource: audience.to_owned(),
            authorization_servers: vec![issuer.to_owned()],
            jwks_uri: format!("{issuer}/.well-known/jwks.json"),
            bearer_methods_supported: vec!["header".to_owned()],
            scopes_supported: [REVOCATIONS_READ, TOKENS_INTROSPECT].map(str::to_owned).into(),
        }
    }
}

impl Example for ResourceMetadataDto {
    fn example() -> Self {
        Self::of("https://auth.example.com", "https://auth.example.com")
    }
}

impl Example for MetadataDto {
    fn example() -> Self {
        Self::of("https://auth.example.com", vec!["ES256".to_owned()])
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON;

    use super::*;

    /// A promise that is not kept is worse than none.
    #[test]
    fn every_endpoint_that_is_named_is_an_operation() {
        const ISSUER: &str = "https://example.com/auth";
        let document = crate::api::main_document().expect("the document");
        let metadata = MetadataDto::of(ISSUER, Vec::new()).to_json().expect("JSON");
        for (name, value) in metadata.as_object().expect("an object") {
            if !name.ends_with("_endpoint") && !name.ends_with("_uri") {
                continue;
            }
            let path = value.as_str().and_then(|url| url.strip_prefix(ISSUER)).expect("below the issuer");
            assert!(document["paths"][path].is_object(), "{name}: there is no {path}");
        }
    }

    #[test]
    fn what_discovery_asks_for_is_there_and_what_does_not_exist_is_not() {
        let metadata = MetadataDto::example().to_json().expect("JSON");
        for required in [
            "issuer",
            "jwks_uri",
            "response_types_supported",
            "subject_types_supported",
            "id_token_signing_alg_values_supported",
            "grant_types_supported",
        ] {
            assert!(metadata.get(required).is_some(), "{required} is missing");
        }
        for absent in ["authorization_endpoint", "userinfo_endpoint", "registration_endpoint"] {
            assert!(metadata.get(absent).is_none(), "{absent} does not exist");
        }
    }
}
