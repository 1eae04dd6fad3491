//! Errors as OAuth writes them: `error` and `error_description` (RFC 6749 5.2).

use poem::Response;
use poem::http::StatusCode;
use poem_openapi::Object;
use poem_openapi::types::{Example, ToJSON};

use super::body::{self, ErrorBody};
use super::error::ApiError;
use super::refusal::Refusal;

/// What a grant is that buys nothing (RFC 6749 5.2).
const INVALID_GRANT: &str = "invalid_grant";

/// An error of the operations under `/oauth2` (RFC 6749 5.2).
#[derive(Object)]
#[oai(rename = "OAuthError", example)]
pub struct OAuthError {
    /// What happened, for programs: `invalid_request`, `invalid_client`, `invalid_grant`,
    /// `invalid_scope`, `invalid_target`, `unauthorized_client`, `unsupported_grant_type`, `rate_limited`, `temporarily_unavailable`, `server_error`.
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

impl ErrorBody for OAuthError {
    const MEDIA_TYPE: &'static str = "application/json";

    /// A dead refresh token is 400 here, where the main API says 401.
    fn status(error: &ApiError) -> StatusCode {
        match is_of_a_grant(error) {
            true => StatusCode::BAD_REQUEST,
            false => error.status_code(),
        }
    }

    fn of(error: ApiError) -> (ApiError, Self) {
        let error = if is_of_a_grant(&error) { error.into_bad_request() } else { error };
        let body = Self {
            error: error.code().oauth_name().to_owned(),
            error_description: error.detail().to_owned(),
        };
        (error, body)
    }

    fn example_name(error: &ApiError) -> String {
        error.code().oauth_name().to_owned()
    }
}

/// An error of an operation that documents `S`. [`respond`] gives it its shape.
pub type OAuthRefusal<S> = Refusal<S, OAuthError>;

/// Refuses a kind of token that is not answered for (RFC 7009 2.2.1).
pub fn unsupported_token_type(description: &str) -> Response {
    let body =
        OAuthError { error: "unsupported_token_type".to_owned(), error_description: description.to_owned() };
    let answer = Response::builder().status(StatusCode::BAD_REQUEST).content_type(OAuthError::MEDIA_TYPE);
    answer.body(body.to_json_string())
}

/// Writes an error in this shape, with the headers that it has in every dialect.
pub fn respond(error: ApiError) -> Response {
    body::respond::<OAuthError>(error)
}

fn is_of_a_grant(error: &ApiError) -> bool {
    error.code().oauth_name() == INVALID_GRANT
}
