//! By what a client is known: HTTP Basic, or fields of the form (RFC 6749 2.3.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use poem::http::{HeaderMap, header};
use poem::{Request, RequestBody, Result};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use crate::api::callers::security::single;
use crate::api::errors::ApiError;
use crate::domain::tokens::ClientSecret;
use crate::service;
use crate::service::access_tokens::FIRST_PARTY_CLIENT_ID;
use crate::service::clients::ClientCredentials;

const SCHEME: &str = "ClientSecret";

/// What a client presented to show who it is, unchecked.
pub struct Presented {
    /// Id and secret.
    pub credentials: ClientCredentials,
    /// Whether they came by HTTP Basic, and not in the body.
    pub by_basic: bool,
}

impl Presented {
    /// Whether nothing is to be shown: the first party's own apps are public clients, which have no secret
    /// (RFC 6749 2.1), and some libraries send an empty one for them.
    pub fn is_of_public_client(&self) -> bool {
        self.credentials.id == FIRST_PARTY_CLIENT_ID && self.credentials.secret.expose().is_empty()
    }
}

/// Client id and secret out of `Authorization: Basic`, unchecked; `None` where there is no such
/// header.
pub struct BasicCredentials(pub Option<ClientCredentials>);

impl BasicCredentials {
    /// These, or those that came in the form. Both at once are refused: a client uses one way only
    /// (RFC 6749 2.3).
    pub fn or(
        self,
        id: Option<String>,
        secret: Option<String>,
    ) -> std::result::Result<Option<Presented>, ApiError> {
        match (self.0, id, secret) {
            (Some(basic), None, None) => Ok(Some(Presented { credentials: basic, by_basic: true })),
            (Some(basic), Some(id), None) if basic.id == id => {
                Ok(Some(Presented { credentials: basic, by_basic: true }))
            }
            (Some(_), _, _) => {
                Err(ApiError::invalid_field("client_id", "comes in the header and in the body"))
            }
            (None, Some(id), Some(secret)) => {
                let credentials = ClientCredentials { id, secret: ClientSecret::new(secret) };
                Ok(Some(Presented { credentials, by_basic: false }))
            }
            // The id alone proves nothing and is asked of nobody.
            (None, _, _) => Ok(None),
        }
    }
}

fn read(headers: &HeaderMap) -> std::result::Result<Option<ClientCredentials>, ApiError> {
    let invalid = || ApiError::from(service::Error::InvalidClient).challenging_basic();
    let Some(value) = single(headers, &header::AUTHORIZATION).map_err(|_| invalid())? else {
        return Ok(None);
    };
    let (scheme, encoded) = value.split_once(' ').ok_or_else(invalid)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(invalid());
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| invalid())?;
    let decoded = String::from_utf8(decoded).map_err(|_| invalid())?;
    let (id, secret) = decoded.split_once(':').ok_or_else(invalid)?;
    Ok(Some(ClientCredentials { id: form_decoded(id)?, secret: ClientSecret::new(form_decoded(secret)?) }))
}

/// Both halves are form-encoded before they are put together.
fn form_decoded(text: &str) -> std::result::Result<String, ApiError> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(Into::into).map_err(|_| ApiError::from(service::Error::InvalidClient).challenging_basic())
}

impl<'a> ApiExtractor<'a> for BasicCredentials {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(
            SCHEME,
            MetaSecurityScheme {
                ty: "http",
                description: Some(
                    "The id and the secret of an OAuth client, by HTTP Basic. They may come as `client_id` and \
                     `client_secret` in the body instead.",
                ),
                name: None,
                key_in: None,
                scheme: Some("basic"),
                bearer_format: None,
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    fn has_security_fallback() -> bool {
        true
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        Ok(Self(read(request.headers())?))
    }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn credentials(value: &str) -> std::result::Result<Option<(String, String)>, ()> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).expect("a header"));
        let read = read(&headers).map_err(drop)?;
        Ok(read.map(|read| (read.id, read.secret.expose().to_owned())))
    }

    fn basic(text: &str) -> String {
        format!("bAsIc {}", STANDARD.encode(text))
    }

    #[test]
    fn both_halves_are_form_decoded() {
        let plain = Ok(Some(("books".to_owned(), "books-dev-secret".to_owned())));
        assert_eq!(credentials(&basic("books:books-dev-secret")), plain);
        let odd = Ok(Some(("a b".to_owned(), "c:d%+".to_owned())));
        assert_eq!(credentials(&basic("a+b:c%3Ad%25%2B")), odd);
        assert_eq!(credentials(&basic("a:b:c")), Ok(Some(("a".to_owned(), "b:c".to_owned()))));
        assert_eq!(read(&HeaderMap::new()).map(|read| read.is_none()).ok(), Some(true));
    }

    #[test]
    fn what_is_no_basic_authorization_is_a_failed_one() {
        for bad in ["Bearer token", "Basic", "Basic !!", &basic("no colon"), &basic("%ff:x")] {
            assert_eq!(credentials(bad), Err(()), "{bad}");
        }
    }
}
