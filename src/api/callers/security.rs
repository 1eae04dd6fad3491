//! Who calls: tokens out of headers, and the proven caller as a handler's argument.

use std::net::IpAddr;

use poem::http::{HeaderMap, HeaderName, header};
use poem::{Request, RequestBody, Result};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::renewed_token::RenewedToken;
use crate::api::errors::ApiError;
use crate::domain::tokens::{AccessToken, RefreshToken};
use crate::service::Services;
use crate::service::access_tokens::Judged;
use crate::service::caller::Caller;
use crate::service::visitor::Visitor;

/// The request header that carries a refresh token, with or without `Bearer `.
pub const X_REFRESH_TOKEN: HeaderName = HeaderName::from_static("x-refresh-token");

/// The response header that carries a new access token.
pub const X_ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-access-token");

pub(crate) const ACCESS_SCHEME: &str = "AccessToken";
const REFRESH_SCHEME: &str = "RefreshToken";

/// The tokens that a request carries, unchecked.
pub struct Presented {
    /// From `Authorization: Bearer`.
    pub access: Option<AccessToken>,
    /// From `X-Refresh-Token`.
    pub refresh: Option<RefreshToken>,
}

impl Presented {
    fn of(headers: &HeaderMap) -> std::result::Result<Self, ApiError> {
        let access = single(headers, &header::AUTHORIZATION)?.and_then(bearer).map(AccessToken::new);
        let refresh = single(headers, &X_REFRESH_TOKEN)?
            .map(|value| bearer(value).unwrap_or(value))
            .filter(|token| !token.is_empty())
            .map(RefreshToken::new);
        Ok(Self { access, refresh })
    }
}

/// The value of a header that may come once; header values may be any bytes above 127.
pub(crate) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> std::result::Result<Option<&'a str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            value.to_str().map(|text| Some(text.trim())).map_err(|_| ApiError::unreadable_token())
        }
        (Some(_), Some(_)) => Err(ApiError::unreadable_token()),
    }
}

/// The token behind `Bearer `; the scheme's name has no case (RFC 9110 11.1).
pub(crate) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

/// Makes both schemes known to the document.
pub(crate) fn register_schemes(registry: &mut Registry) {
    registry.create_security_scheme(
        ACCESS_SCHEME,
        MetaSecurityScheme {
            ty: "http",
            description: Some(
                "The `accessToken` of a login or a refresh, sent as `Authorization: Bearer …`. Here without the word `Bearer`.",
            ),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: Some("JWT"),
            flows: None,
            openid_connect_url: None,
        },
    );
    registry.create_security_scheme(
        REFRESH_SCHEME,
        MetaSecurityScheme {
            ty: "apiKey",
            description: Some(
                "The `refreshToken` of a login or a refresh, with or without `Bearer ` before it. Beside an expired access token, or alone, it buys a new one, which comes in the answer's `X-Access-Token`. Only `POST /auth/refresh-token` uses it up.",
            ),
            name: Some("X-Refresh-Token"),
            key_in: Some("header"),
            scheme: None,
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        },
    );
}

impl<'a> ApiExtractor<'a> for Presented {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_schemes(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![ACCESS_SCHEME, REFRESH_SCHEME]
    }

    /// Neither need come: the operations that look at the bare tokens take one in the body too.
    fn has_security_fallback() -> bool {
        true
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        Ok(Self::of(request.headers())?)
    }
}

/// Tokens that an operation looks at which says itself whom they are to be for.
pub struct Unproven {
    presented: Presented,
    services: Services,
    address: Option<IpAddr>,
    renewed: Option<RenewedToken>,
    /// What was found of the access token before the operation was reached.
    judged: Option<Judged>,
}

impl Unproven {
    fn of(request: &Request) -> std::result::Result<Self, ApiError> {
        let services = request
            .data::<Services>()
            .ok_or_else(|| ApiError::internal("the API was built without its services"))?;
        Ok(Self {
            presented: Presented::of(request.headers())?,
            services: services.clone(),
            address: request.data::<Visitor>().and_then(Visitor::address),
            renewed: request.data::<RenewedToken>().cloned(),
            judged: request.data::<Judged>().cloned(),
        })
    }

    /// Who calls, by tokens for that audience, or for this service. It may be somebody who acts for them.
    ///
    /// # Errors
    /// What is wrong with the tokens.
    pub async fn prove(&self, audience: Option<&str>) -> std::result::Result<Caller, ApiError> {
        if audience.is_none()
            && let Some(verdict) = self.judged.as_ref().and_then(|judged| judged.take(self.address))
        {
            return Ok(verdict?);
        }
        let Presented { access, refresh } = &self.presented;
        let (access, refresh) = (access.as_ref(), refresh.as_ref());
        let tokens = &self.services.access_tokens;
        let caller = match audience {
            Some(audience) => tokens.authenticate_for(audience, access, refresh, self.address).await?,
            None => tokens.authenticate(access, refresh, self.address).await?,
        };
        if caller.renewed
            && let Some(renewed) = &self.renewed
        {
            renewed.record(&caller.access);
        }
        Ok(caller)
    }
}

/// The proven caller of a protected operation, or somebody who acts for them by a token that was exchanged: of
/// operations that only tell who they are.
pub struct OnBehalf(pub Caller);

/// The proven caller of a protected operation, in person.
pub struct Authenticated(pub Caller);

macro_rules! extract {
    ($extractor:ident, |$request:ident| $extract:expr) => {
        impl<'a> ApiExtractor<'a> for $extractor {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                register_schemes(registry);
            }

            fn security_schemes() -> Vec<&'static str> {
                vec![ACCESS_SCHEME, REFRESH_SCHEME]
            }

            async fn from_request(
                $request: &'a Request,
                _body: &mut RequestBody,
                _options: ExtractParamOptions<()>,
            ) -> Result<Self> {
                $extract
            }
        }
    };
}

extract! { Unproven, |request| Ok(Self::of(request)?) }
extract! { OnBehalf, |request| Ok(Self(Unproven::of(request)?.prove(None).await?)) }
extract! { Authenticated, |request| {
    let caller = Unproven::of(request)?.prove(None).await?;
    caller.require_in_person().map_err(ApiError::from)?;
    Ok(Self(caller))
} }

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let value = poem::http::HeaderValue::from_bytes(value).expect("header bytes");
            headers.append(HeaderName::from_static(name), value);
        }
        headers
    }

    fn presented(pairs: &[(&'static str, &[u8])]) -> (Option<String>, Option<String>) {
        let Presented { access, refresh } = Presented::of(&headers(pairs)).unwrap_or_else(|e| panic!("{e}"));
        (access.map(|t| t.expose().to_owned()), refresh.map(|t| t.expose().to_owned()))
    }

    #[test]
    fn the_scheme_has_no_case_and_may_be_left_out_for_refresh_tokens() {
        let both = Some("t".to_owned());
        assert_eq!(presented(&[("authorization", b"bEaReR t")]).0, both);
        assert_eq!(presented(&[("authorization", b"Basic t")]).0, None);
        assert_eq!(presented(&[("authorization", b"Bearer ")]).0, None);
        assert_eq!(presented(&[("x-refresh-token", b"BEARER t")]).1, both);
        assert_eq!(presented(&[("x-refresh-token", b" t ")]).1, both);
        assert_eq!(presented(&[("x-refresh-token", b"")]).1, None);
    }

    #[test]
    fn two_headers_and_bytes_that_are_no_text_are_refused() {
        for bad in [
            &[("authorization", b"Bearer a".as_slice()), ("authorization", b"Bearer b")][..],
            &[("authorization", b"Bearer \xff")],
            &[("x-refresh-token", b"\xfe")],
        ] {
            assert!(Presented::of(&headers(bad)).is_err());
        }
    }
}
