//! Which errors an operation documents.
//!
//! A handler answers `Result<_, Refusal<Set>>`: any error of the service turns into one, and the
//! set says what the document lists for that operation, no more and no less.

use std::marker::PhantomData;
use std::time::Duration;

use poem_openapi::ApiResponse;
use poem_openapi::registry::{
    MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use serde_json::{Map, Value};

use super::body::{self, ErrorBody};
use super::error::ApiError;
use super::problem::Problem;
use crate::api::wire::json::BodyError;
use crate::service;

/// An error answer in the document.
pub struct Documented {
    /// When it comes.
    when: &'static str,
    /// One error for each code it comes with: the very ones that are sent, so that the examples
    /// cannot say anything else.
    examples: fn() -> Vec<ApiError>,
}

impl Documented {
    /// Comes `when` something is so, and looks like `examples`.
    pub(crate) const fn new(when: &'static str, examples: fn() -> Vec<ApiError>) -> Self {
        Self { when, examples }
    }

    /// The examples by their names, as the document's `examples`.
    fn named_examples<B: ErrorBody>(&self) -> Map<String, Value> {
        body::named_examples::<B>((self.examples)())
    }
}

/// Statuses and when they come, in the order of the document.
pub trait Refusals: Send + Sync + 'static {
    /// The list.
    const DOCUMENTED: &'static [(u16, Documented)];
}

/// An error of an operation that documents `S`, in the shape of `B`: that is given at the root.
pub struct Refusal<S, B = Problem> {
    error: ApiError,
    set: PhantomData<fn() -> (S, B)>,
}

impl<S, B> From<ApiError> for Refusal<S, B> {
    fn from(error: ApiError) -> Self {
        Self { error, set: PhantomData }
    }
}

impl<S, B> From<service::Error> for Refusal<S, B> {
    fn from(error: service::Error) -> Self {
        ApiError::from(error).into()
    }
}

impl<S: Refusals, B: ErrorBody> From<Refusal<S, B>> for poem::Error {
    fn from(refusal: Refusal<S, B>) -> Self {
        debug_assert!(
            is_documented::<S, B>(&refusal.error),
            "{} {} is not among {}",
            B::status(&refusal.error),
            B::example_name(&refusal.error),
            std::any::type_name::<S>()
        );
        refusal.error.into()
    }
}

/// Whether the document lists the error for that operation: its status, and there an example of that name, where the
/// dialect has names.
fn is_documented<S: Refusals, B: ErrorBody>(error: &ApiError) -> bool {
    let status = B::status(error).as_u16();
    let name = B::example_name(error);
    let mut listed = S::DOCUMENTED.iter().filter(|(documented, _)| *documented == status);
    let has_name = |documented: &Documented| {
        (documented.examples)().iter().any(|example| B::example_name(example) == name)
    };
    listed.any(|(_, documented)| !B::HAS_NAMES || has_name(documented))
}

impl<S: Refusals, B: ErrorBody> ApiResponse for Refusal<S, B> {
    fn meta() -> MetaResponses {
        let response = |(status, documented): &(u16, Documented)| MetaResponse {
            description: documented.when,
            status: Some(*status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: B::MEDIA_TYPE,
                schema: body_with_examples::<B>(documented),
            }],
            headers: Vec::new(),
        };
        MetaResponses { responses: S::DOCUMENTED.iter().map(response).collect() }
    }

    fn register(registry: &mut Registry) {
        B::register(registry);
    }
}

/// poem-openapi has no place for the examples of an answer, so they travel in its schema;
/// `document::repair` puts them where they belong.
fn body_with_examples<B: ErrorBody>(documented: &Documented) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        all_of: vec![B::schema_ref()],
        example: Some(documented.named_examples::<B>().into()),
        ..MetaSchema::ANY
    }))
}

/// What the service says, as examples.
pub(crate) fn examples<const N: usize>(errors: [service::Error; N]) -> Vec<ApiError> {
    errors.map(ApiError::from).into()
}

/// Declares the errors of one operation: `refusals!(Login { 401 => WRONG, 503 => UNAVAILABLE })`.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident { $($status:literal => $documented:expr),+ $(,)? })+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl $crate::api::errors::refusal::Refusals for $name {
            const DOCUMENTED: &'static [(u16, $crate::api::errors::refusal::Documented)] =
                &[$(($status, $documented)),+];
        }
    )+};
}

pub(crate) use refusals;

/// 400 where an e-mail address is all that a body holds.
pub(crate) const NO_EMAIL: Documented = Documented::new(
    "The body is not valid JSON, has a key twice or one beside `email`, or that is missing or no e-mail address \
     (`invalid_request`).",
    || vec![ApiError::invalid_field("email", "is missing")],
);

/// When an operation with a body answers 413 and 415.
pub(crate) const TOO_LARGE: Documented =
    Documented::new("The body is longer than 64 KiB.", || vec![BodyError::TooLarge.into()]);
pub(crate) const NOT_JSON: Documented =
    Documented::new("The body's `Content-Type` is not `application/json`.", || {
        vec![BodyError::UnsupportedMediaType.into()]
    });

/// When an operation behind a token answers 401.
pub(crate) const UNAUTHORIZED: Documented = Documented::new(
    "No token came (`authentication_required`). Or the access token is expired and no refresh token came \
     along (`token_expired`: refresh it), altered (`invalid_token`) or revoked (`token_revoked`). Or the \
     refresh token is no good (`invalid_refresh_token`, `refresh_token_reused`, `session_expired`, `session_evicted`). All but \
     `token_expired` mean: log in again.",
    unauthorized,
);

/// When an operation that is not for whoever acts for an account answers 403.
pub(crate) const ON_BEHALF: Documented = Documented::new(
    "The access token was got in exchange for another one (claim `act`): whoever acts for an account neither changes \
     nor administers anything (`insufficient_scope`).",
    || examples([service::Error::InsufficientScope]),
);

/// What is wrong with tokens, one of each kind.
pub(crate) fn unauthorized() -> Vec<ApiError> {
    let mut all = examples([service::Error::Unauthenticated, service::Error::TokenExpired]);
    all.push(ApiError::unreadable_token());
    all.extend(examples([
        service::Error::TokenRevoked,
        service::Error::InvalidRefreshToken,
        service::Error::RefreshTokenReused,
        service::Error::SessionExpired,
        service::Error::SessionEvicted,
    ]));
    all
}

/// When a limited operation answers 429.
pub(crate) const RATE_LIMITED: Documented = Documented::new(
    "Tried too often, from this address or for this account (`rate_limited`), whether there is such an \
     account or not. Nothing was done: try again after `Retry-After` seconds.",
    || examples([service::Error::RateLimited { retry_after: Duration::from_secs(15) }]),
);
/// When an operation whose failures are limited answers 429.
pub(crate) const FAILED_TOO_OFTEN: Documented = Documented::new(
    "The request failed, as others from this address did too often (`rate_limited`). What would succeed \
     still does; for anything else wait `Retry-After` seconds.",
    || examples([service::Error::RateLimited { retry_after: Duration::from_secs(15) }]),
);

/// When anything answers 500 and 503.
pub(crate) const INTERNAL: Documented = Documented::new(
    "A defect of the service. The log has the cause under the answer's `X-Request-Id`.",
    || vec![ApiError::internal("an example")],
);
/// When a login answers 403.
pub(crate) const NOT_ADMITTED: Documented = Documented::new(
    "The password is right, and the account is disabled (`account_disabled`): an administrator can enable it. Or \
     this service wants e-mail addresses verified, and this one is not (`email_not_verified`): follow the link in \
     the mail, or ask for another one at `/auth/verify-email-request`.",
    || examples([service::Error::AccountDisabled, service::Error::EmailNotVerified]),
);
pub(crate) const UNAVAILABLE: Documented = Documented::new(
    "A store does not answer (`dependency_unavailable`), or this replica's clock is wrong (`clock_skew`). Nothing was \
     decided: send the same request again \
     after `Retry-After` seconds.",
    || vec![ApiError::dependency_unavailable(), ApiError::clock_skew()],
);
/// Of operations that check or hash a password.
pub(crate) const UNAVAILABLE_OR_BUSY: Documented = Documented::new(
    "A store does not answer (`dependency_unavailable`), this replica's clock is wrong (`clock_skew`), or too many \
     passwords are being checked right now (`overloaded`). Nothing was decided: send the same request again after `Retry-After` seconds.",
    || vec![ApiError::dependency_unavailable(), ApiError::clock_skew(), service::Error::Overloaded.into()],
);

/// Of operations that change a password.
pub(crate) const UNAVAILABLE_OR_CHANGED: Documented = Documented::new(
    "A store does not answer (`dependency_unavailable`), this replica's clock is wrong (`clock_skew`), or too many \
     passwords are being checked right now (`overloaded`): send the same request again after `Retry-After` seconds. Or the password has been changed \
     and the end of the earlier sessions is not confirmed yet (`revocation_pending`): it goes on by itself; log \
     in with the new password.",
    || {
        vec![
            ApiError::dependency_unavailable(),
            ApiError::clock_skew(),
            ApiError::revocation_pending(),
            service::Error::Overloaded.into(),
        ]
    },
);

/// Of operations that end all sessions of an account.
pub(crate) const UNAVAILABLE_OR_ENDING: Documented = Documented::new(
    "A store does not answer (`dependency_unavailable`), or this replica's clock is wrong (`clock_skew`): send the same request again after `Retry-After` seconds. Or \
     the change is made, and the end of the sessions is not confirmed yet (`revocation_pending`): it goes on by \
     itself, do not send the request again.",
    || vec![ApiError::dependency_unavailable(), ApiError::clock_skew(), ApiError::revocation_pending()],
);
