//! The refresh token that a request carries.

use poem_openapi::Object;
use poem_openapi::types::Example;
use serde::Deserialize;

use crate::api::callers::refresh_cookie::RefreshCookie;
use crate::api::errors::ApiError;
use crate::api::wire::dto::REFRESH_TOKEN_EXAMPLE;
use crate::api::wire::targets::Targets;
use crate::domain::audiences::Asked;
use crate::domain::tokens::RefreshToken;

/// A refresh token in the body, for clients that do not send it in `X-Refresh-Token`.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase")]
#[oai(rename = "RefreshRequest", rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct RefreshRequest {
    /// The refresh token of the last login or refresh.
    #[serde(alias = "refresh_token")]
    pub(super) refresh_token: Option<String>,
    /// Whom the new access token is to be for: some of those that the session was granted; all of them unless given,
    /// at the next refresh again.
    pub(super) resource: Option<Targets>,
}

impl Example for RefreshRequest {
    fn example() -> Self {
        Self { refresh_token: Some(REFRESH_TOKEN_EXAMPLE.to_owned()), resource: None }
    }
}

/// The one refresh token that a request carries, in the header, in the body or in the cookie, and whom the access token is
/// to be for. A body that says that alone leaves the token to the header or the cookie.
pub(super) fn read(
    header: Option<RefreshToken>,
    body: Option<RefreshRequest>,
    cookie: &RefreshCookie,
) -> Result<(Option<RefreshToken>, Asked), ApiError> {
    let (sent, resource) = match body {
        Some(RefreshRequest { refresh_token: None, resource: Some(resource) }) => (None, Some(resource)),
        Some(body) => (Some(body.refresh_token.map(RefreshToken::new)), body.resource),
        None => (None, None),
    };
    Ok((refresh_token_of(header, sent, cookie)?, Targets::asked_in_array(resource)))
}

fn refresh_token_of(
    header: Option<RefreshToken>,
    sent: Option<Option<RefreshToken>>,
    cookie: &RefreshCookie,
) -> Result<Option<RefreshToken>, ApiError> {
    match (header, sent) {
        (None, Some(None)) if !cookie.is_asked_for() => {
            Err(ApiError::invalid_field("refreshToken", "is missing"))
        }
        (Some(header), Some(Some(body))) if header != body => {
            Err(ApiError::invalid_field("refreshToken", "is not the one in X-Refresh-Token"))
        }
        (header, sent) => cookie.or(header.or(sent.flatten())),
    }
}
