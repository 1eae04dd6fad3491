//! Errors as hapi's Boom writes them: `{statusCode, error, message}`.

use poem::Response;
use poem::http::StatusCode;
use poem_openapi::Object;
use poem_openapi::types::Example;

use crate::api::error::{ApiError, ErrorCode};
use crate::api::error_body::{self, ErrorBody};
use crate::api::refusal::Refusal;

/// What the contract says about every field that is missing or cannot be taken.
pub const INVALID_PAYLOAD: &str = "Invalid request payload input";

/// An error of this API.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename = "Boom", rename_all = "camelCase", example)]
pub struct Boom {
    /// The HTTP status code.
    pub status_code: u16,
    /// The status in words.
    pub error: String,
    /// What happened, for people.
    pub message: String,
}

impl Boom {
    fn new(status: StatusCode, message: &str) -> Self {
        Self {
            status_code: status.as_u16(),
            error: status.canonical_reason().unwrap_or("Error").to_owned(),
            message: message.to_owned(),
        }
    }
}

impl Example for Boom {
    fn example() -> Self {
        Self::new(StatusCode::BAD_REQUEST, INVALID_PAYLOAD)
    }
}

impl ErrorBody for Boom {
    const MEDIA_TYPE: &'static str = "application/json";

    fn of(error: ApiError) -> (ApiError, Self) {
        let error = translate(error);
        let body = Self::new(error.status_code(), message(&error));
        (error, body)
    }
}

/// An error of an operation that documents `S`. [`respond`] gives it its shape.
pub type BoomRefusal<S> = Refusal<S, Boom>;

/// Writes an error in this shape, with the headers that it has in every dialect.
pub fn respond(error: ApiError) -> Response {
    error_body::respond::<Boom>(error)
}

/// The one status that differs from the main API's: here a taken address is 400.
fn translate(error: ApiError) -> ApiError {
    match error.code() {
        ErrorCode::EmailTaken => error.with_status(StatusCode::BAD_REQUEST),
        _ => error,
    }
}

/// The message of an error, where this dialect has one of its own.
fn message(error: &ApiError) -> &str {
    match error.code() {
        ErrorCode::InvalidRequest | ErrorCode::UnknownParameter | ErrorCode::WeakPassword => INVALID_PAYLOAD,
        ErrorCode::AuthenticationRequired => "This operation needs an access token in x-access-token.",
        ErrorCode::UnsupportedMediaType => {
            "The body must be a form (application/x-www-form-urlencoded) or JSON (application/json)."
        }
        ErrorCode::InvalidCredentials
        | ErrorCode::InvalidToken
        | ErrorCode::TokenExpired
        | ErrorCode::TokenRevoked
        | ErrorCode::InvalidRefreshToken
        | ErrorCode::RefreshTokenReused
        | ErrorCode::SessionExpired
        | ErrorCode::SessionEvicted
        | ErrorCode::InvalidResetToken
        | ErrorCode::EmailNotVerified
        | ErrorCode::InvalidVerificationToken
        | ErrorCode::AccountDisabled
        | ErrorCode::InvalidClient
        | ErrorCode::InvalidScope
        | ErrorCode::UnsupportedGrantType
        | ErrorCode::InsufficientScope
        | ErrorCode::ClientTaken
        | ErrorCode::LastAdmin
        | ErrorCode::ResetUnavailable
        | ErrorCode::Forbidden
        | ErrorCode::NotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::MisdirectedRequest
        | ErrorCode::RequestTimeout
        | ErrorCode::EmailTaken
        | ErrorCode::PayloadTooLarge
        | ErrorCode::RateLimited
        | ErrorCode::Overloaded
        | ErrorCode::DependencyUnavailable
        | ErrorCode::ClockSkew
        | ErrorCode::RevocationPending
        | ErrorCode::InternalError => error.detail(),
    }
}
