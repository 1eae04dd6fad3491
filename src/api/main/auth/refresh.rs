//! The refresh token that a request carries.

use poem_openapi::Object;
use poem_openapi::types::Example;
use serde::Deserialize;

use crate::api::callers::refresh_cookie::RefreshCookie;
use crate::api::errors::ApiError;
use crate::api::wire::dto::REFRESH_TOKEN_EXAMPLE;
use crate::domain::tokens::RefreshToken;

/// A refresh token in the body, for clients that do not send it in `X-Refresh-Token`.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase")]
#[oai(rename = "RefreshRequest", rename_all = "camelCase", example)]
pub struct RefreshRequest {
    /// The refresh token of the last login or refresh.
    #[serde(alias = "refresh_token")]
    pub(super) refresh_token: Option<String>,
}

impl Example for RefreshRequest {
    fn example() -> Self {
        Self { refresh_token: Some(REFRESH_TOKEN_EXAMPLE.to_owned()) }
    }
}

/// The one refresh token that a request carries, in the header, in the body or in the cookie.
pub(super) fn refresh_token_of(
    header: Option<RefreshToken>,
    body: Option<RefreshRequest>,
    cookie: &RefreshCookie,
) -> Result<Option<RefreshToken>, ApiError> {
    let sent = body.map(|body| body.refresh_token.map(RefreshToken::new));
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
