//! Which errors the operations under `/oauth2` document.

use std::time::Duration;

use crate::api::errors::ApiError;
use crate::api::errors::refusal::{Documented, examples, refusals};
use crate::api::wire::json::BodyError;
use crate::service;

const BAD_BODY: Documented = Documented::new(
    "A field is missing, comes twice or cannot be taken, or the body cannot be read (`invalid_request`).",
    || vec![ApiError::invalid_field("token", "is missing")],
);
const BAD_CLIENT: Documented =
    Documented::new("The client's id or its secret is wrong, or none came (`invalid_client`).", || {
        examples([service::Error::InvalidClient])
    });
const TOO_LARGE: Documented = Documented::new("The body is longer than 64 KiB (`invalid_request`).", || {
    vec![BodyError::TooLarge.into()]
});
const WRONG_TYPE: Documented =
    Documented::new("The body is neither a form nor JSON (`invalid_request`).", || {
        vec![BodyError::NeitherFormNorJson.into()]
    });
const TOO_MANY: Documented = Documented::new(
    "Too many wrong secrets or dead tokens came from this address (`rate_limited`): try again after `Retry-After` seconds.",
    || examples([service::Error::RateLimited { retry_after: Duration::from_secs(15) }]),
);
const INTERNAL: Documented = Documented::new(
    "A defect of the service (`server_error`). The log has the cause under the answer's `X-Request-Id`.",
    || vec![ApiError::internal("an example")],
);
const UNAVAILABLE: Documented = Documented::new(
    "The service cannot tell right now (`temporarily_unavailable`): nothing is said about the token. Send the same request again after `Retry-After` seconds.",
    || vec![ApiError::dependency_unavailable()],
);

refusals! {
    /// Of `createToken`.
    TokenErrors {
        400 => Documented::new(
            "A field is missing, comes twice or cannot be taken, or the body cannot be read (`invalid_request`). Or the grant type is none that there is (`unsupported_grant_type`), the refresh token is good for nothing or another client's (`invalid_grant`), the client may not have the scope (`invalid_scope`), or the token may not be for what `resource` or `audience` asks for (`invalid_target`), or the client may not exchange tokens (`unauthorized_client`). A token that cannot be exchanged is `invalid_request`, whatever is wrong with it.",
            || vec![
                ApiError::invalid_field("grant_type", "is missing"),
                ApiError::unsupported_grant_type(),
                service::Error::InvalidRefreshToken.into(),
                service::Error::InvalidScope.into(),
                service::Error::InvalidTarget.into(),
                service::Error::UnauthorizedClient.into(),
            ],
        ),
        401 => BAD_CLIENT, 413 => TOO_LARGE, 415 => WRONG_TYPE, 429 => TOO_MANY, 500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `introspectToken`.
    IntrospectErrors {
        400 => BAD_BODY, 401 => BAD_CLIENT, 413 => TOO_LARGE, 415 => WRONG_TYPE, 429 => TOO_MANY, 500 => INTERNAL,
        503 => UNAVAILABLE,
    }
    /// Of `revokeToken`.
    RevokeErrors {
        400 => BAD_BODY,
        401 => Documented::new(
            "The client's id or its secret is wrong (`invalid_client`). None need come.",
            || examples([service::Error::InvalidClient]),
        ),
        413 => TOO_LARGE, 415 => WRONG_TYPE, 429 => TOO_MANY, 500 => INTERNAL,
        503 => Documented::new(
            "The token store does not answer (`temporarily_unavailable`): the token may still stand. Send the same request again after `Retry-After` seconds.",
            || vec![ApiError::dependency_unavailable()],
        ),
    }
}
