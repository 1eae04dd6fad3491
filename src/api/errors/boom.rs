//! Errors as hapi's Boom writes them: `{statusCode, error, message}`.

use poem::Response;
use poem::http::StatusCode;
use poem_openapi::Object;
use poem_openapi::types::Example;

use super::body::{self, ErrorBody};
use super::code::ErrorCode;
use super::error::ApiError;
use super::refusal::Refusal;

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
    const HAS_NAMES: bool = false;

    /// The one that differs from the main API's: here a taken address is 400.
    fn status(error: &ApiError) -> StatusCode {
        match error.code() {
            ErrorCode::EmailTaken => StatusCode::BAD_REQUEST,
            _ => error.status_code(),
        }
    }

    fn of(error: ApiError) -> (ApiError, Self) {
        let status = Self::status(&error);
        let error = error.with_status(status);
        let body = Self::new(error.status_code(), message(&error));
        (error, body)
    }
}

/// An error of an operation that documents `S`. [`respond`] gives it its shape.
pub type BoomRefusal<S> = Refusal<S, Boom>;

/// Writes an error in this shape, with the headers that it has in every dialect.
pub fn respond(error: ApiError) -> Response {
    body::respond::<Boom>(error)
}

/// The messages that are this dialect's own; the others are the main API's.
const OWN_MESSAGES: [(ErrorCode, &str); 4] = [
    (ErrorCode::InvalidRequest, INVALID_PAYLOAD),
    (ErrorCode::UnknownParameter, INVALID_PAYLOAD),
    (ErrorCode::WeakPassword, INVALID_PAYLOAD),
    (ErrorCode::AuthenticationRequired, "This operation needs an access token in x-access-token."),
];

fn message(error: &ApiError) -> &str {
    let own = OWN_MESSAGES.iter().find(|(code, _)| *code == error.code());
    own.map_or(error.detail(), |(_, message)| message)
}
