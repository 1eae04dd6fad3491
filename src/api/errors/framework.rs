//! What a body, or the framework, has against a request.

use poem::error::{MethodNotAllowedError, NotFoundError};
use poem::http::StatusCode;
use poem_openapi::error::{ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError};

use super::code::ErrorCode;
use super::error::ApiError;
use crate::api::wire::json::BodyError;

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let invalid = |detail: String| Self::of(ErrorCode::InvalidRequest).saying(detail);
        match error {
            BodyError::UnsupportedMediaType => Self::of(ErrorCode::UnsupportedMediaType),
            BodyError::NeitherFormNorJson => Self::of(ErrorCode::UnsupportedMediaType).saying(
                "The body must be a form (application/x-www-form-urlencoded) or JSON (application/json).",
            ),
            BodyError::Encoded | BodyError::ByteOrderMark => Self::of(ErrorCode::UnsupportedMediaType)
                .saying(format!("The request cannot be taken: {error}.")),
            BodyError::TooLarge => Self::of(ErrorCode::PayloadTooLarge),
            BodyError::Invalid { field: Some(field), problem } => Self::invalid_field(field, problem),
            BodyError::UnknownMember { nearest } => invalid(format!("The request cannot be taken: {error}."))
                .field(nearest, "is the nearest known name to one that is not known"),
            BodyError::Invalid { field: None, .. }
            | BodyError::Truncated
            | BodyError::NotJson
            | BodyError::TooDeep
            | BodyError::DuplicateKey => invalid(format!("The request cannot be taken: {error}.")),
        }
    }
}

/// Every error that reaches the root of the API, framework errors included, in this dialect's
/// shape. The framework's own text is never shown: it can quote the request.
pub fn problem_of(error: poem::Error) -> ApiError {
    let error = match error.downcast::<ApiError>() {
        Ok(error) => return error,
        Err(error) => error,
    };
    if let Some(body) = error.downcast_ref::<BodyError>() {
        return (*body).into();
    }
    if error.is::<NotFoundError>() || error.is::<ParsePathError>() {
        return ApiError::of(ErrorCode::NotFound);
    }
    if error.is::<MethodNotAllowedError>() {
        return ApiError::of(ErrorCode::MethodNotAllowed);
    }
    if let Some(ParseParamError { name, .. }) = error.downcast_ref() {
        return ApiError::invalid_field(name, "has a value that cannot be taken");
    }
    if error.is::<ContentTypeError>() {
        return BodyError::UnsupportedMediaType.into();
    }
    if error.is::<ParseRequestPayloadError>() {
        return BodyError::NotJson.into();
    }
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => BodyError::TooLarge.into(),
        status if status.is_client_error() => ApiError::of(ErrorCode::InvalidRequest),
        _ => ApiError::internal(error.to_string()),
    }
}
