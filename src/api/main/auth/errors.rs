//! Which errors the operations under `/auth` document.

use crate::api::errors::refusal::{
    Documented, FAILED_TOO_OFTEN, INTERNAL, NO_EMAIL, NOT_JSON, RATE_LIMITED, TOO_LARGE, UNAUTHORIZED,
    UNAVAILABLE, UNAVAILABLE_OR_BUSY, UNAVAILABLE_OR_CHANGED, UNAVAILABLE_OR_ENDING, examples, refusals,
    unauthorized,
};
use crate::api::errors::{ApiError, ErrorCode};
use crate::domain::password::PasswordError;
use crate::service::{self, Field};

refusals! {
    /// Of `register`.
    RegisterErrors {
        400 => Documented::new(
            "The body is not valid JSON, has a key twice, or a field is missing, has the wrong type or cannot \
             be taken (`invalid_request`; `errors` names the fields). Or the password breaks the policy \
             (`weak_password`; `errors` says which rule).",
            || vec![ApiError::invalid_field("email", "is missing"), weak_password(Field::Password)],
        ),
        403 => Documented::new(
            "People do not register here: administrators make the accounts (`registration_disabled`).",
            || examples([service::Error::RegistrationDisabled]),
        ),
        409 => Documented::new(
            "Another account has the e-mail address (`email_taken`): log in, or reset its password.",
            || examples([service::Error::EmailTaken]),
        ),
        413 => TOO_LARGE, 415 => NOT_JSON, 429 => RATE_LIMITED, 500 => INTERNAL, 503 => UNAVAILABLE_OR_BUSY,
    }
    /// Of `login`.
    LoginErrors {
        400 => Documented::new(
            "`Hallpass-Mode` is not `cookie` (`invalid_request`), or there are two cookies (`ambiguous_token`). Or the \
             password is right, and `resource` is malformed or not all of it may be asked for (`invalid_target`): no \
             session was opened.",
            || vec![
                ApiError::invalid_field("Hallpass-Mode", "must be `cookie`"),
                ApiError::ambiguous_token(),
                service::Error::InvalidTarget.into(),
            ],
        ),
        401 => Documented::new(
            "Wrong e-mail address or password, or the body is malformed (`invalid_credentials`). Which of \
             them is not said.",
            || examples([service::Error::InvalidCredentials]),
        ),
        403 => NOT_ADMITTED_OR_NO_PAGE,
        413 => TOO_LARGE, 415 => NOT_JSON, 429 => RATE_LIMITED, 500 => INTERNAL, 503 => UNAVAILABLE_OR_BUSY,
    }
    /// Of operations behind a token that take no body.
    CallerErrors { 401 => UNAUTHORIZED, 500 => INTERNAL, 503 => UNAVAILABLE }
    /// Of `refreshToken`.
    RefreshErrors {
        400 => Documented::new(
            "The body is not valid JSON or has a key twice, or the refresh token is in neither body nor \
             `X-Refresh-Token`, or not the same in both (`invalid_request`). Or it came in a cookie and in \
             another way (`ambiguous_token`). Or `resource` is malformed or not all of it was granted to the session \
             (`invalid_target`): the refresh token is not used up.",
            || vec![
                ApiError::invalid_field("refreshToken", "is missing"),
                ApiError::ambiguous_token(),
                service::Error::InvalidTarget.into(),
            ],
        ),
        401 => Documented::new(
            "No refresh token came (`authentication_required`). Or it is unknown or its session was ended \
             (`invalid_refresh_token`), the session's time is over (`session_expired`), it was ended since the account \
             had too many (`session_evicted`), or the token was used before (`refresh_token_reused`: the session \
             has been ended). Or an access token that came along is \
             altered (`invalid_token`) or revoked (`token_revoked`). In all cases: log in again.",
            unauthorized_though_expiry_is_fine,
        ),
        403 => NO_PAGE_OR_ON_BEHALF,
        413 => TOO_LARGE, 415 => NOT_JSON, 429 => FAILED_TOO_OFTEN, 500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `logout`.
    LogoutErrors {
        400 => Documented::new(
            "The body is not valid JSON, has a key twice or one beside `refreshToken`, that is no text, or `scope` \
             is none of the three (`invalid_request`). Or a refresh token came in a cookie and in another way \
             (`ambiguous_token`).",
            || vec![ApiError::invalid_field("refreshToken", "must be a string"), ApiError::ambiguous_token()],
        ),
        401 => Documented::new(
            "No token came (`authentication_required`), the access token is altered (`invalid_token`), or \
             the session is gone already (`token_revoked`, `invalid_refresh_token`, `refresh_token_reused`, \
             `session_expired`, `session_evicted`). But for the first two, the caller is logged out: forget the tokens.",
            unauthorized_though_expiry_is_fine,
        ),
        403 => NO_PAGE_OR_ON_BEHALF,
        413 => TOO_LARGE, 415 => NOT_JSON, 500 => INTERNAL, 503 => UNAVAILABLE_OR_ENDING,
    }
    /// Of `requestPasswordReset`.
    ResetRequestErrors {
        400 => NO_EMAIL, 413 => TOO_LARGE, 415 => NOT_JSON, 429 => RATE_LIMITED, 500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `resetPassword`.
    ResetErrors {
        400 => Documented::new(
            "The reset token is unknown, used, superseded or expired (`invalid_reset_token`: request a new \
             one). Or the new password breaks the policy (`weak_password`), or the body is malformed \
             (`invalid_request`): the token is still good, send it again with another body.",
            || {
                let mut all = examples([service::Error::InvalidResetToken]);
                all.push(weak_password(Field::NewPassword));
                all.push(ApiError::invalid_field("newPassword", "is missing"));
                all
            },
        ),
        413 => TOO_LARGE, 415 => NOT_JSON, 429 => FAILED_TOO_OFTEN, 500 => INTERNAL, 503 => UNAVAILABLE_OR_CHANGED,
    }
    /// Of `changePassword`.
    ChangePasswordErrors {
        400 => Documented::new(
            "The new password breaks the policy (`weak_password`; `errors` says which rule), or the body is \
             malformed (`invalid_request`), or there are two cookies (`ambiguous_token`).",
            || vec![
                weak_password(Field::NewPassword),
                ApiError::invalid_field("currentPassword", "is missing"),
                ApiError::ambiguous_token(),
            ],
        ),
        403 => NO_PAGE_OR_ON_BEHALF,
        401 => Documented::new(
            "The current password is wrong (`invalid_credentials`). Or the tokens are no good, as everywhere: \
             `authentication_required`, `token_expired`, `invalid_token`, `token_revoked`, \
             `invalid_refresh_token`, `refresh_token_reused`, `session_expired`, `session_evicted`.",
            || {
                let mut all = examples([service::Error::InvalidCredentials]);
                all.extend(unauthorized());
                all
            },
        ),
        413 => TOO_LARGE, 415 => NOT_JSON, 429 => RATE_LIMITED, 500 => INTERNAL, 503 => UNAVAILABLE_OR_CHANGED,
    }
}

/// Where `Hallpass-Mode: cookie` came from nowhere that may use the cookie, or somebody acts for the account.
const NO_PAGE_OR_ON_BEHALF: Documented = Documented::new(
    "With `Hallpass-Mode: cookie` the request comes from no page of this service or of a listed origin \
     (`csrf_check_failed`). Or the access token was got in exchange for another one (claim `act`): whoever acts for an \
     account changes nothing of it (`insufficient_scope`). Nothing was done.",
    || {
        let mut all = examples([service::Error::InsufficientScope]);
        all.push(ApiError::of(ErrorCode::CsrfCheckFailed));
        all
    },
);

/// The same of logins, which have reasons of their own.
const NOT_ADMITTED_OR_NO_PAGE: Documented = Documented::new(
    "The password is right, and the account is disabled (`account_disabled`): an administrator can enable it. Or \
     this service wants e-mail addresses verified, and this one is not (`email_not_verified`): follow the link in \
     the mail, or ask for another one at `/auth/verify-email-request`. Or, with `Hallpass-Mode: cookie`, the request comes \
     from no page of this service or of a listed origin (`csrf_check_failed`).",
    || {
        let mut all = examples([service::Error::AccountDisabled, service::Error::EmailNotVerified]);
        all.push(ApiError::of(ErrorCode::CsrfCheckFailed));
        all
    },
);

/// Of operations that take an expired access token as well as a live one.
fn unauthorized_though_expiry_is_fine() -> Vec<ApiError> {
    let mut all = unauthorized();
    all.retain(|error| error.problem().code != ErrorCode::TokenExpired);
    all
}

/// A password that the policy refuses.
pub(crate) fn weak_password(field: Field) -> ApiError {
    service::Error::WeakPassword { field, reason: PasswordError::TooShort { min_length: 8 } }.into()
}
