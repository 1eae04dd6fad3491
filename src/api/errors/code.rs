//! The one table of error codes: status, name in OAuth, challenge and text of each, and which of the
//! service's errors it answers.

use poem::http::StatusCode;
use poem_openapi::Enum;
use poem_openapi::types::ToJSON;

use crate::service;

/// What `WWW-Authenticate` says beside `Bearer` (RFC 6750 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// No token came, so no error code either.
    Plain,
    /// A token came and was refused.
    InvalidToken,
    /// The token was right, the role or the scope was not.
    InsufficientScope,
    /// A client tried HTTP Basic and did not prove who it is (RFC 6749 5.2).
    Client,
}

/// Declares the codes. `text` is for people: what happened and what to do about it.
macro_rules! codes {
    ($(
        $(#[doc = $doc:literal])+
        $code:ident { status: $status:ident, oauth: $oauth:literal, $(challenge: $challenge:ident,)? text: $text:literal $(,)? }
    )+) => {
        /// A stable name for what went wrong: program against this, not against the text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
        #[oai(rename_all = "snake_case")]
        pub enum ErrorCode {
            $( $(#[doc = $doc])+ $code, )+
        }

        impl ErrorCode {
            /// All of them, in the order of this table.
            pub(crate) const ALL: &[Self] = &[ $( Self::$code, )+ ];

            /// What it means, for people.
            pub(crate) const fn meaning(self) -> &'static str {
                match self { $( Self::$code => concat!($( $doc ),+), )+ }
            }

            /// The status in the main API.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $( Self::$code => StatusCode::$status, )+ }
            }

            /// The `error` of OAuth's own operations (RFC 6749 5.2).
            pub(crate) const fn oauth_name(self) -> &'static str {
                match self { $( Self::$code => $oauth, )+ }
            }

            /// What `WWW-Authenticate` says, if anything.
            pub(crate) const fn challenge(self) -> Option<Challenge> {
                match self { $( Self::$code => codes!(@challenge $($challenge)?), )+ }
            }

            /// What happened and what to do about it, for people.
            pub(crate) const fn text(self) -> &'static str {
                match self { $( Self::$code => $text, )+ }
            }
        }
    };
    (@challenge) => { None };
    (@challenge $challenge:ident) => { Some(Challenge::$challenge) };
}

codes! {
    /// A field is missing, has the wrong type, or cannot be taken.
    InvalidRequest {
        status: BAD_REQUEST, oauth: "invalid_request",
        text: "The request cannot be taken.",
    }
    /// The query has a parameter that the operation does not take, or one of them twice.
    UnknownParameter {
        status: BAD_REQUEST, oauth: "invalid_request",
        text: "The query has a parameter that cannot be taken.",
    }
    /// The new password breaks the policy; `errors` says which rule.
    WeakPassword {
        status: BAD_REQUEST, oauth: "invalid_request",
        text: "The new password breaks the policy.",
    }
    /// Wrong e-mail address or password.
    InvalidCredentials {
        status: UNAUTHORIZED, oauth: "invalid_request", challenge: Plain,
        text: "The e-mail address or the password is wrong.",
    }
    /// The password was right, and the account is disabled: an administrator can enable it.
    AccountDisabled {
        status: FORBIDDEN, oauth: "invalid_grant",
        text: "The account is disabled. An administrator can enable it.",
    }
    /// The password was right, and the e-mail address is not verified: follow the link in the mail, or
    /// ask for another one.
    EmailNotVerified {
        status: FORBIDDEN, oauth: "invalid_request",
        text: "The e-mail address is not verified. Follow the link in the mail that was sent there, or ask for another one \
               at POST /auth/verify-email-request, then log in.",
    }
    /// The operation needs a token and none came.
    AuthenticationRequired {
        status: UNAUTHORIZED, oauth: "invalid_request", challenge: Plain,
        text: "This operation needs an access token or a refresh token.",
    }
    /// The access token is none of ours, or was altered.
    InvalidToken {
        status: UNAUTHORIZED, oauth: "invalid_request", challenge: InvalidToken,
        text: "The access token is not valid.",
    }
    /// The access token's time is over: refresh it.
    TokenExpired {
        status: UNAUTHORIZED, oauth: "invalid_request", challenge: InvalidToken,
        text: "The access token has expired. Refresh it.",
    }
    /// The access token was taken back: log in again.
    TokenRevoked {
        status: UNAUTHORIZED, oauth: "invalid_request", challenge: InvalidToken,
        text: "The access token has been revoked. Log in again.",
    }
    /// The refresh token is none of ours, was altered, or its session is gone: log in again.
    InvalidRefreshToken {
        status: UNAUTHORIZED, oauth: "invalid_grant", challenge: InvalidToken,
        text: "The refresh token is not valid or its session has ended. Log in again.",
    }
    /// The refresh token was used before, so its session has been ended: log in again.
    RefreshTokenReused {
        status: UNAUTHORIZED, oauth: "invalid_grant", challenge: InvalidToken,
        text: "The refresh token was used before, so its session has been ended. Log in again.",
    }
    /// The session has ended by itself: log in again.
    SessionExpired {
        status: UNAUTHORIZED, oauth: "invalid_grant", challenge: InvalidToken,
        text: "The session has expired. Log in again.",
    }
    /// The session was ended since its account had too many (`sessions.max_per_account`): log in again.
    SessionEvicted {
        status: UNAUTHORIZED, oauth: "invalid_grant", challenge: InvalidToken,
        text: "The session was ended since the account had too many. Log in again.",
    }
    /// The reset token is unknown, used, superseded or expired: request a new one.
    InvalidResetToken {
        status: BAD_REQUEST, oauth: "invalid_request",
        text: "The reset token is unknown, used, superseded or expired. Request a new one.",
    }
    /// The verification token is none of ours, expired, or of an address that the account has no more:
    /// request a new one.
    InvalidVerificationToken {
        status: BAD_REQUEST, oauth: "invalid_request",
        text: "The verification token is unknown or expired, or the account has another address by now. Request a new one.",
    }
    /// Wrong client id or client secret.
    InvalidClient {
        status: UNAUTHORIZED, oauth: "invalid_client",
        text: "The client's id or its secret is wrong.",
    }
    /// The grant type is none that this service has.
    UnsupportedGrantType {
        status: BAD_REQUEST, oauth: "unsupported_grant_type",
        text: "The grant type is neither client_credentials nor refresh_token.",
    }
    /// The client may not have the scope that it asks for.
    InvalidScope {
        status: BAD_REQUEST, oauth: "invalid_scope",
        text: "The client may not have the scope that it asks for.",
    }
    /// A token is asked for a `resource` or an `audience` that it may not be for, or that cannot be one.
    InvalidTarget {
        status: BAD_REQUEST, oauth: "invalid_target",
        text: "The token may not be for what resource or audience asks for, or that is malformed.",
    }
    /// The client may not use this grant: an administrator can let it.
    UnauthorizedClient {
        status: BAD_REQUEST, oauth: "unauthorized_client",
        text: "The client may not use this grant.",
    }
    /// The access token lacks the scope that this needs.
    InsufficientScope {
        status: FORBIDDEN, oauth: "invalid_request", challenge: InsufficientScope,
        text: "The access token lacks the scope that this needs.",
    }
    /// With this, tokens would be longer than the 4096 bytes that they may have: shorten what their claims are made of.
    TokenTooLarge {
        status: BAD_REQUEST, oauth: "invalid_request",
        text: "With this, tokens would be longer than the 4096 bytes that they may have. Shorten what their claims are made of.",
    }
    /// Another client has the id.
    ClientTaken {
        status: CONFLICT, oauth: "invalid_request",
        text: "Another client has this id, or it is reserved.",
    }
    /// The caller's role does not allow this.
    Forbidden {
        status: FORBIDDEN, oauth: "invalid_request", challenge: InsufficientScope,
        text: "This needs the role admin.",
    }
    /// There is no such thing, or the caller may not know of it.
    NotFound {
        status: NOT_FOUND, oauth: "invalid_request",
        text: "There is nothing here.",
    }
    /// A refresh token came in a cookie and in another way, or in two cookies of one name: send one.
    AmbiguousToken {
        status: BAD_REQUEST, oauth: "invalid_request",
        text: "The refresh token came in more than one way. Send the cookie alone.",
    }
    /// With `Hallpass-Mode: cookie` the request has to come from a page of this service or of an origin that is
    /// listed (`cors.origins`), by its `Origin`.
    CsrfCheckFailed {
        status: FORBIDDEN, oauth: "invalid_request",
        text: "The request comes from no page that may use the cookie: its Origin is missing or not listed.",
    }
    /// The path exists, the method does not.
    MethodNotAllowed {
        status: METHOD_NOT_ALLOWED, oauth: "invalid_request",
        text: "This path does not take this method.",
    }
    /// `hallpass dev` does not go by this host name: `dev.allowed_hosts` can have it.
    MisdirectedRequest {
        status: MISDIRECTED_REQUEST, oauth: "invalid_request",
        text: "hallpass dev answers to addresses, to localhost and to its public_url alone; dev.allowed_hosts has further names.",
    }
    /// The request was not received in time.
    RequestTimeout {
        status: REQUEST_TIMEOUT, oauth: "invalid_request",
        text: "The request was not received and answered in time.",
    }
    /// People do not register here: administrators make the accounts.
    RegistrationDisabled {
        status: FORBIDDEN, oauth: "invalid_request",
        text: "Registration is disabled: an administrator makes the accounts.",
    }
    /// Another account has the e-mail address.
    EmailTaken {
        status: CONFLICT, oauth: "invalid_request",
        text: "Another account has this e-mail address.",
    }
    /// Another account has the external id.
    ExternalIdTaken {
        status: CONFLICT, oauth: "invalid_request",
        text: "Another account has this external_id.",
    }
    /// It would leave nobody who can log in as an administrator.
    LastAdmin {
        status: CONFLICT, oauth: "invalid_request",
        text: "This is the last administrator who can log in. Make another one first.",
    }
    /// This service makes no reset tokens.
    ResetUnavailable {
        status: CONFLICT, oauth: "invalid_request",
        text: "This service makes no password-reset tokens (reset.delivery is off).",
    }
    /// The body is over 64 KiB.
    PayloadTooLarge {
        status: PAYLOAD_TOO_LARGE, oauth: "invalid_request",
        text: "The body is longer than 64 KiB.",
    }
    /// The body is not `application/json`.
    UnsupportedMediaType {
        status: UNSUPPORTED_MEDIA_TYPE, oauth: "invalid_request",
        text: "The body must be JSON, with Content-Type: application/json.",
    }
    /// Tried too often, from this address or for this account: try again after `Retry-After`.
    RateLimited {
        status: TOO_MANY_REQUESTS, oauth: "rate_limited",
        text: "Too many attempts. Try again later.",
    }
    /// Too many passwords are being checked, or too many connections or streams are open, right now: try
    /// again after `Retry-After`.
    Overloaded {
        status: SERVICE_UNAVAILABLE, oauth: "temporarily_unavailable",
        text: "Too many passwords are being checked right now. Try again shortly.",
    }
    /// A database or token store cannot answer right now: try again after `Retry-After`.
    DependencyUnavailable {
        status: SERVICE_UNAVAILABLE, oauth: "temporarily_unavailable",
        text: "The service cannot answer right now. Nothing was decided about the request. Try again shortly.",
    }
    /// This replica's clock is wrong, and nothing begins here before it is right: try again after
    /// `Retry-After`, others may answer.
    ClockSkew {
        status: SERVICE_UNAVAILABLE, oauth: "temporarily_unavailable",
        text: "The clock of this replica is wrong, so it begins nothing. Nothing was decided about the request. Try again shortly.",
    }
    /// The change is made and stands, and the end of the earlier sessions is not confirmed yet: do
    /// not send the request again.
    RevocationPending {
        status: SERVICE_UNAVAILABLE, oauth: "temporarily_unavailable",
        text: "What you asked for is decided and stands. That it is in force everywhere is not confirmed yet and goes on by itself.",
    }
    /// A defect of the service; the log has the cause under the request id.
    InternalError {
        status: INTERNAL_SERVER_ERROR, oauth: "server_error",
        text: "The service failed. The log has the cause under this answer's X-Request-Id.",
    }
}

impl ErrorCode {
    /// The code that answers an error of the service. [`ApiError`](super::ApiError) adds what there is to say
    /// beside it.
    pub(super) const fn of(error: &service::Error) -> Self {
        use service::Error::*;
        match error {
            Invalid(_) => Self::InvalidRequest,
            WeakPassword { .. } => Self::WeakPassword,
            InvalidCredentials => Self::InvalidCredentials,
            AccountDisabled => Self::AccountDisabled,
            EmailNotVerified => Self::EmailNotVerified,
            RegistrationDisabled => Self::RegistrationDisabled,
            EmailTaken => Self::EmailTaken,
            ExternalIdTaken => Self::ExternalIdTaken,
            TokenTooLarge { .. } => Self::TokenTooLarge,
            LastAdmin => Self::LastAdmin,
            InvalidClient => Self::InvalidClient,
            ClientTaken | ClientDeleted { .. } => Self::ClientTaken,
            InvalidScope => Self::InvalidScope,
            InvalidTarget => Self::InvalidTarget,
            UnauthorizedClient => Self::UnauthorizedClient,
            NotExchangeable(_) => Self::InvalidRequest,
            InsufficientScope => Self::InsufficientScope,
            ResetOff => Self::ResetUnavailable,
            Unauthenticated => Self::AuthenticationRequired,
            InvalidToken(_) => Self::InvalidToken,
            TokenExpired => Self::TokenExpired,
            TokenRevoked => Self::TokenRevoked,
            InvalidRefreshToken => Self::InvalidRefreshToken,
            RefreshTokenReused => Self::RefreshTokenReused,
            SessionExpired => Self::SessionExpired,
            SessionEvicted => Self::SessionEvicted,
            InvalidResetToken => Self::InvalidResetToken,
            InvalidVerificationToken => Self::InvalidVerificationToken,
            Forbidden => Self::Forbidden,
            NotFound => Self::NotFound,
            RateLimited { .. } => Self::RateLimited,
            Overloaded | TooManyStreams => Self::Overloaded,
            ClockSkew(_) => Self::ClockSkew,
            FeedStale(_) | Store(_) => Self::DependencyUnavailable,
            RevocationPending(_) => Self::RevocationPending,
            PasswordHash(_) | Signing(_) | Worker(_) => Self::InternalError,
        }
    }

    /// The code's name on the wire.
    pub fn name(self) -> String {
        self.to_json().and_then(|code| code.as_str().map(str::to_owned)).unwrap_or_default()
    }
}
