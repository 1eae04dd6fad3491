//! The bounds of a body, and why one was refused.

use poem::error::ResponseError;
use poem::http::StatusCode;

use crate::api::wire::json_fields::FieldError;

/// The most bytes a JSON body may have. The largest body of the API is under 4 KiB.
pub const BODY_MAX_BYTES: usize = 64 * 1024;

/// The most levels of arrays and objects in a body. No body of the API has more than two.
pub const BODY_MAX_DEPTH: usize = 16;

/// Why a body was refused. No text in here comes from the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// `Content-Type` is absent or not `application/json` (any parameters are allowed).
    #[error("the Content-Type must be application/json")]
    UnsupportedMediaType,
    /// `Content-Type` is absent or names neither a form nor JSON, where both are taken.
    #[error("the body must be a form (application/x-www-form-urlencoded) or JSON (application/json)")]
    NeitherFormNorJson,
    /// `Content-Encoding` is there (RFC 9110 8.4): what is compressed is not looked into.
    #[error("the body must come without Content-Encoding")]
    Encoded,
    /// JSON never begins with one (RFC 8259 8.1), and nothing else here does.
    #[error("the body must come without a byte order mark")]
    ByteOrderMark,
    /// Longer than [`BODY_MAX_BYTES`].
    #[error("the body is longer than {BODY_MAX_BYTES} bytes")]
    TooLarge,
    /// The connection ended before the body did.
    #[error("the body could not be read to its end")]
    Truncated,
    /// Not UTF-8, not JSON, or something stands behind the value (RFC 8259 2 and 8.1).
    #[error("the body is not valid JSON")]
    NotJson,
    /// More than [`BODY_MAX_DEPTH`] levels of arrays and objects.
    #[error("the body is nested more than {BODY_MAX_DEPTH} levels deep")]
    TooDeep,
    /// An object has the same key twice: parsers differ in which one they take (RFC 8259 4).
    #[error("an object in the body has the same key twice")]
    DuplicateKey,
    /// An object has a member that an exact operation does not know.
    #[error("the body has a member that is not known here; the nearest known name is {nearest}")]
    UnknownMember {
        /// The known name that was probably meant; never the one that was sent.
        nearest: &'static str,
    },
    /// JSON, but not what the operation takes.
    #[error("{} {problem}", field.unwrap_or("the body"))]
    Invalid {
        /// The field's name as the document gives it, never a key that was sent; `None` for the
        /// body as a whole.
        field: Option<&'static str>,
        /// What is wrong with it, to be read behind the name: `is missing`, `must be a string`.
        problem: &'static str,
    },
}

impl ResponseError for BodyError {
    fn status(&self) -> StatusCode {
        match self {
            Self::UnsupportedMediaType | Self::NeitherFormNorJson | Self::Encoded | Self::ByteOrderMark => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Truncated
            | Self::NotJson
            | Self::TooDeep
            | Self::DuplicateKey
            | Self::UnknownMember { .. }
            | Self::Invalid { .. } => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<FieldError> for BodyError {
    fn from(error: FieldError) -> Self {
        match error {
            FieldError::Invalid { field, problem } => Self::Invalid { field, problem },
            FieldError::UnknownMember { nearest } => Self::UnknownMember { nearest },
        }
    }
}
