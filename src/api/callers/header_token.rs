//! A token out of one header.

use std::marker::PhantomData;

use poem::http::HeaderMap;
use poem::{Request, RequestBody};
use poem_openapi::registry::Registry;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use crate::api::errors::ApiError;
use crate::domain::tokens::{AccessToken, RefreshToken};
use crate::service;

/// In which header of a dialect a token is.
pub trait TokenPlace: Send + Sync + 'static {
    /// The name of the security scheme in the document.
    const SCHEME: &'static str;

    /// Makes the scheme known to the document.
    fn register(registry: &mut Registry);

    /// The token, if there is one.
    ///
    /// # Errors
    /// When the header comes twice or is no text.
    fn find(headers: &HeaderMap) -> Result<Option<&str>, ApiError>;
}

/// The token that a request has in place `P`; a request without one is refused. Whether the token is
/// good is for the service to say.
pub struct HeaderToken<P> {
    token: String,
    place: PhantomData<P>,
}

impl<P> HeaderToken<P> {
    /// The token as an access token.
    pub fn access(self) -> AccessToken {
        AccessToken::new(self.token)
    }

    /// The token as a refresh token.
    pub fn refresh(self) -> RefreshToken {
        RefreshToken::new(self.token)
    }
}

impl<'a, P: TokenPlace> ApiExtractor<'a> for HeaderToken<P> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        P::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![P::SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let token = P::find(request.headers())?;
        let token = token.ok_or_else(|| ApiError::from(service::Error::Unauthenticated))?.to_owned();
        Ok(Self { token, place: PhantomData })
    }
}
