//! Which errors the operations of this API document.

use std::time::Duration;

use crate::api::errors::ApiError;
use crate::api::errors::refusal::{Documented, examples, refusals};
use crate::api::wire::json::BodyError;
use crate::service;

const BAD_BODY: Documented = Documented::new(
    "A field is missing or cannot be taken, comes twice, or the body cannot be read.",
    || vec![ApiError::invalid_field("email", "is missing")],
);
const NO_REFRESH_TOKEN: Documented = Documented::new(
    "The refresh token is missing or cannot be taken, comes twice, or the body cannot be read.",
    || vec![ApiError::invalid_field("refresh_token", "is missing")],
);
const TOO_LARGE: Documented =
    Documented::new("The body is longer than 64 KiB.", || vec![BodyError::TooLarge.into()]);
const WRONG_TYPE: Documented =
    Documented::new("The body is neither a form nor JSON.", || vec![BodyError::NeitherFormNorJson.into()]);
const RATE_LIMITED: Documented = Documented::new(
    "Tried too often, from this address or for this account. Try again after `Retry-After` seconds.",
    || examples([service::Error::RateLimited { retry_after: Duration::from_secs(15) }]),
);
const FAILED_TOO_OFTEN: Documented = Documented::new(
    "The request failed, as others from this address did too often. What would succeed still does; for anything else wait `Retry-After` seconds.",
    || examples([service::Error::RateLimited { retry_after: Duration::from_secs(15) }]),
);
const INTERNAL: Documented = Documented::new(
    "A defect of the service. The log has the cause under the answer's `X-Request-Id`.",
    || vec![ApiError::internal("an example")],
);
const UNAVAILABLE: Documented = Documented::new(
    "The service cannot tell right now. Send the same request again after `Retry-After` seconds.",
    || vec![ApiError::dependency_unavailable()],
);

const ON_BEHALF: Documented = Documented::new(
    "The access token was got in exchange for another one: whoever acts for an account changes nothing of it.",
    || examples([service::Error::InsufficientScope]),
);

/// What is wrong with an access token here, expiry apart.
fn bad_access_token() -> Vec<ApiError> {
    let mut all = examples([service::Error::Unauthenticated, service::Error::TokenRevoked]);
    all.push(ApiError::unreadable_token());
    all
}

refusals! {
    /// Of `createUser`.
    CreateUserErrors {
        400 => Documented::new(
            "A field is missing or cannot be taken, comes twice, or the body cannot be read; or another account has the e-mail address.",
            || vec![ApiError::invalid_field("email", "is missing"), service::Error::EmailTaken.into()],
        ),
        403 => Documented::new(
            "Only where the service wants e-mail addresses verified: the account exists now, and its owner gets a mail. Follow its link, then log in. Where the service conceals which addresses have an account, this is the answer for those as well. Or people do not register here: administrators make the accounts.",
            || examples([service::Error::EmailNotVerified, service::Error::RegistrationDisabled]),
        ),
        413 => TOO_LARGE, 415 => WRONG_TYPE, 429 => RATE_LIMITED, 500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `createAccessToken`.
    LoginErrors {
        400 => BAD_BODY,
        401 => Documented::new(
            "Wrong e-mail address or password; which of them is not said.",
            || examples([service::Error::InvalidCredentials]),
        ),
        403 => Documented::new(
            "The password is right, and the account is disabled, or its e-mail address is not verified and the service wants that.",
            || examples([service::Error::AccountDisabled, service::Error::EmailNotVerified]),
        ),
        413 => TOO_LARGE, 415 => WRONG_TYPE, 429 => RATE_LIMITED, 500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `refreshAccessToken`.
    RefreshErrors {
        400 => NO_REFRESH_TOKEN,
        401 => Documented::new(
            "The access token is missing, altered or revoked, or the refresh token is not one of its session or no longer the current one. Nothing has changed.",
            || {
                let mut all = bad_access_token();
                all.extend(examples([service::Error::InvalidRefreshToken]));
                all
            },
        ),
        403 => ON_BEHALF,
        413 => TOO_LARGE, 415 => WRONG_TYPE, 429 => FAILED_TOO_OFTEN, 500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `deleteAccessToken`.
    SessionErrors {
        400 => NO_REFRESH_TOKEN,
        401 => Documented::new(
            "The access token is missing, expired, altered or revoked, or the refresh token is not one of its session or no longer the current one. Nothing has changed.",
            || {
                let mut all = bad_access_token();
                all.extend(examples([service::Error::TokenExpired, service::Error::InvalidRefreshToken]));
                all
            },
        ),
        403 => ON_BEHALF,
        413 => TOO_LARGE, 415 => WRONG_TYPE, 500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `getProfile`.
    ProfileErrors {
        401 => Documented::new(
            "The access token is missing, expired, altered or revoked.",
            || {
                let mut all = bad_access_token();
                all.extend(examples([service::Error::TokenExpired]));
                all
            },
        ),
        500 => INTERNAL, 503 => UNAVAILABLE,
    }
}
