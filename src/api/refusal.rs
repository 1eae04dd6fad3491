//! Which errors an operation documents.
//!
//! A handler answers `Result<_, Refusal<Set>>`: any error of the service turns into one, and the
//! set says what the document lists for that operation, no more and no less.

use std::marker::PhantomData;

use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;

use super::error::{ApiError, Problem};
use crate::service::AuthError;

/// Statuses and when they come, in the order of the document.
pub trait Refusals: Send + Sync + 'static {
    /// The list.
    const DOCUMENTED: &'static [(u16, &'static str)];
}

/// An error of an operation that documents `S`.
pub struct Refusal<S> {
    error: ApiError,
    set: PhantomData<S>,
}

impl<S> From<ApiError> for Refusal<S> {
    fn from(error: ApiError) -> Self {
        Self { error, set: PhantomData }
    }
}

impl<S> From<AuthError> for Refusal<S> {
    fn from(error: AuthError) -> Self {
        ApiError::from(error).into()
    }
}

impl<S> From<Refusal<S>> for poem::Error {
    fn from(refusal: Refusal<S>) -> Self {
        refusal.error.into()
    }
}

impl<S: Refusals> ApiResponse for Refusal<S> {
    fn meta() -> MetaResponses {
        let response = |&(status, description): &(u16, &'static str)| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: "application/problem+json",
                schema: Problem::schema_ref(),
            }],
            headers: Vec::new(),
        };
        MetaResponses { responses: S::DOCUMENTED.iter().map(response).collect() }
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}

/// Declares the errors of one operation: `refusals!(Login { 401 => "…", 503 => "…" })`.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident { $($status:literal => $when:expr),+ $(,)? })+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl $crate::api::refusal::Refusals for $name {
            const DOCUMENTED: &'static [(u16, &'static str)] = &[$(($status, $when)),+];
        }
    )+};
}

pub(super) use refusals;

/// When an operation with a body answers 400, 413 and 415.
pub(super) const BAD_BODY: &str = "The body is not valid JSON, has a key twice, or a field is missing, has the wrong type or cannot be taken; `errors` names the fields.";
pub(super) const TOO_LARGE: &str = "The body is longer than 64 KiB.";
pub(super) const NOT_JSON: &str = "The body is not `application/json`.";
/// When an operation behind a token answers 401.
pub(super) const UNAUTHORIZED: &str = "No token came (`authentication_required`), or it is expired without a live refresh token (`token_expired`), altered (`invalid_token`) or revoked (`token_revoked`); or the refresh token is no good (`invalid_refresh_token`, `refresh_token_reused`, `session_expired`).";
/// When anything answers 503 and 500.
pub(super) const UNAVAILABLE: &str = "The service cannot tell right now: a store does not answer, or too many passwords are being checked. Nothing was decided; try again after `Retry-After` seconds.";
pub(super) const INTERNAL: &str = "A defect of the service. The log has the cause under the request id.";
