//! A token out of one header, unchecked.

use std::marker::PhantomData;

use poem::http::HeaderMap;
use poem::{Request, RequestBody};
use poem_openapi::registry::Registry;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use crate::api::error::ApiError;
use crate::domain::tokens::{AccessToken, RefreshToken};
use crate::service::AuthError;

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

/// The token that a request has in place `P`. Whether it is good is for the service to say.
pub struct HeaderToken<P> {
    token: Option<String>,
    place: PhantomData<P>,
}

impl<P> HeaderToken<P> {
    /// The token as an access token.
    ///
    /// # Errors
    /// [`AuthError::Unauthenticated`] when none came.
    pub fn access(self) -> Result<AccessToken, AuthError> {
        self.token.map(AccessToken::new).ok_or(AuthError::Unauthenticated)
    }

    /// The token as a refresh token.
    ///
    /// # Errors
    /// [`AuthError::Unauthenticated`] when none came.
    pub fn refresh(self) -> Result<RefreshToken, AuthError> {
        self.token.map(RefreshToken::new).ok_or(AuthError::Unauthenticated)
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
        let token = P::find(request.headers())?.map(str::to_owned);
        Ok(Self { token, place: PhantomData })
    }
}
