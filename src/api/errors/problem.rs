//! Errors as the main API writes them: problem details (RFC 9457).

use poem::{IntoResponse, Response};
use poem_openapi::Object;
use poem_openapi::types::Example;

use super::body::{ErrorBody, respond};
use super::code::ErrorCode;
use super::error::{ApiError, InvalidField};

/// Problem details (RFC 9457): every error of this API has this shape.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(example, skip_serializing_if_is_none)]
pub struct Problem {
    /// The kind of problem as a URI: `urn:hallpass:error:` and the code, which `/docs/errors#<code>` explains. It is the
    /// same at every service that answers for hallpass, so it names none of them.
    #[oai(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status code, again.
    pub status: u16,
    /// What happened and what to do about it, for people.
    pub detail: String,
    /// What happened, for programs.
    pub code: ErrorCode,
    /// The fields that were refused, where it was fields.
    pub errors: Option<Vec<InvalidField>>,
}

impl Example for Problem {
    fn example() -> Self {
        ApiError::of(ErrorCode::InvalidCredentials).problem()
    }
}

impl ApiError {
    /// The body.
    pub fn problem(&self) -> Problem {
        Problem {
            kind: format!("urn:hallpass:error:{}", self.code().name()),
            title: self.status_code().canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status_code().as_u16(),
            detail: self.detail().to_owned(),
            code: self.code(),
            errors: Some(self.invalid_fields().to_vec()).filter(|errors| !errors.is_empty()),
        }
    }
}

impl ErrorBody for Problem {
    const MEDIA_TYPE: &'static str = "application/problem+json";

    fn of(error: ApiError) -> (ApiError, Self) {
        let problem = error.problem();
        (error, problem)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        respond::<Problem>(self)
    }
}
