//! What a client reads when an operation was not done: one table of codes, one machinery for all dialects.
//!
//! - `code`: status, text, challenge and name in OAuth of each code, and which error of the service it answers;
//! - `error`: an error with all that is said beside its code;
//! - `framework`: what a body or the framework has against a request, as such an error;
//! - `body`: how a dialect writes an error, and so what the documents show of it; `problem`, `oauth` and `boom` are
//!   the three;
//! - `refusal`: which errors an operation documents.

pub mod body;
pub mod boom;
mod code;
mod error;
mod framework;
pub mod oauth;
mod problem;
pub mod refusal;

pub use code::ErrorCode;
pub(crate) use error::retry_after_seconds;
pub use error::{ApiError, InvalidField};
pub use framework::problem_of;
pub use problem::Problem;

use poem_openapi::types::Type;
use serde_json::Value;

/// An error as an example of the schema of that name, where that is an error's.
pub(crate) fn example_of(schema: &str, error: ApiError) -> Option<(String, Value)> {
    match schema {
        name if name == Problem::name() => Some(body::named_example::<Problem>(error)),
        name if name == oauth::OAuthError::name() => Some(body::named_example::<oauth::OAuthError>(error)),
        name if name == boom::Boom::name() => Some(body::named_example::<boom::Boom>(error)),
        _ => None,
    }
}
