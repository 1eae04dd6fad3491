//! Errors as OAuth writes them: `error` and `error_description` (RFC 6749 5.2).

use std::marker::PhantomData;

use poem::Response;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::{Example, ToJSON, Type};
use poem_openapi::{ApiResponse, Object};

use crate::api::error::{ApiError, ErrorCode};
use crate::service::AuthError;

/// An error of the operations under `/oauth2` (RFC 6749 5.2).
#[derive(Object)]
#[oai(rename = "OAuthError", example)]
pub struct OAuthError {
    /// What happened, for programs: `invalid_request`, `invalid_client`, `invalid_grant`,
    /// `invalid_scope`, `unsupported_grant_type`, `rate_limited`, `temporarily_unavailable`, `server_error`.
    error: String,
    /// What happened, for people.
    error_description: String,
}

impl Example for OAuthError {
    fn example() -> Self {
        Self {
            error: "invalid_client".to_owned(),
            error_description: "The client's id or its secret is wrong.".to_owned(),
        }
    }
}

/// Writes an error in this shape, with the headers that it has in every dialect.
pub fn respond(error: ApiError) -> Response {
    error.log();
    let error = translate(error);
    let body =
        OAuthError { error: name(error.code()).to_owned(), error_description: error.detail().to_owned() };
    error.into_response_with("application/json", body.to_json_string())
}

/// A dead refresh token is 400 here, where the main API says 401.
fn translate(error: ApiError) -> ApiError {
    match name(error.code()) {
        "invalid_grant" => error.into_bad_request(),
        _ => error,
    }
}

fn name(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidClient => "invalid_client",
        ErrorCode::InvalidScope => "invalid_scope",
        ErrorCode::UnsupportedGrantType => "unsupported_grant_type",
        ErrorCode::InvalidRefreshToken
        | ErrorCode::RefreshTokenReused
        | ErrorCode::SessionExpired
        | ErrorCode::SessionEvicted
        | ErrorCode::AccountDisabled => "invalid_grant",
        ErrorCode::DependencyUnavailable
        | ErrorCode::Overloaded
        | ErrorCode::ClockSkew
        | ErrorCode::RevocationPending => "temporarily_unavailable",
        ErrorCode::RateLimited => "rate_limited",
        ErrorCode::InternalError => "server_error",
        _ => "invalid_request",
    }
}

/// Which errors an operation documents.
pub trait OAuthRefusals: Send + Sync + 'static {
    /// Statuses and when they come, in the order of the document.
    const DOCUMENTED: &'static [(u16, &'static str)];
}

/// An error of an operation that documents `S`. [`respond`] gives it its shape.
pub struct OAuthRefusal<S> {
    error: ApiError,
    set: PhantomData<S>,
}

impl<S> From<ApiError> for OAuthRefusal<S> {
    fn from(error: ApiError) -> Self {
        Self { error, set: PhantomData }
    }
}

impl<S> From<AuthError> for OAuthRefusal<S> {
    fn from(error: AuthError) -> Self {
        ApiError::from(error).into()
    }
}

impl<S> From<OAuthRefusal<S>> for poem::Error {
    fn from(refusal: OAuthRefusal<S>) -> Self {
        refusal.error.into()
    }
}

impl<S: OAuthRefusals> ApiResponse for OAuthRefusal<S> {
    fn meta() -> MetaResponses {
        let response = |&(status, description): &(u16, &'static str)| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: "application/json",
                schema: OAuthError::schema_ref(),
            }],
            headers: Vec::new(),
        };
        MetaResponses { responses: S::DOCUMENTED.iter().map(response).collect() }
    }

    fn register(registry: &mut Registry) {
        OAuthError::register(registry);
    }
}
