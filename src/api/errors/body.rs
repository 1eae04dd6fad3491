//! How each dialect writes an error, and so what the documents show of it.
//!
//! The examples in the documents are written by what writes the answers: they cannot say anything else.

use poem::Response;
use poem::http::StatusCode;
use poem_openapi::types::{ToJSON, Type};
use serde_json::{Map, Value, json};

use super::error::ApiError;

/// The body of an error, in one dialect.
pub trait ErrorBody: Type + ToJSON {
    /// Its media type.
    const MEDIA_TYPE: &'static str;

    /// Whether it says by a name which error it is, beside the status.
    const HAS_NAMES: bool = true;

    /// The status that this dialect gives the error.
    fn status(error: &ApiError) -> StatusCode {
        error.status_code()
    }

    /// The error with the status that this dialect gives it, and what it says of it.
    fn of(error: ApiError) -> (ApiError, Self);

    /// What programs tell the error by in this dialect, or else in the main one: the name of its example.
    fn example_name(error: &ApiError) -> String {
        error.code().name()
    }
}

/// Writes an error in the shape of `B`, with the headers that it has in every dialect.
pub(crate) fn respond<B: ErrorBody>(error: ApiError) -> Response {
    error.log();
    let (error, body) = B::of(error);
    error.into_response_with(B::MEDIA_TYPE, body.to_json_string())
}

/// Errors as the `examples` of an answer, by their names.
pub(crate) fn named_examples<B: ErrorBody>(errors: Vec<ApiError>) -> Map<String, Value> {
    errors.into_iter().map(named_example::<B>).collect()
}

pub(crate) fn named_example<B: ErrorBody>(error: ApiError) -> (String, Value) {
    let (error, body) = B::of(error);
    (B::example_name(&error), json!({ "value": body.to_json() }))
}
