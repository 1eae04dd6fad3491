//! What a client reads when an operation was not done: problem details (RFC 9457).
//!
//! The client's text and the log's text are different strings. A body never quotes the request,
//! and a 5xx body never names a cause.

use std::error::Error;
use std::fmt;

use poem::error::{MethodNotAllowedError, NotFoundError, ResponseError};
use poem::http::{HeaderName, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::error::{ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError};
use poem_openapi::types::{Example, ToJSON};
use poem_openapi::{Enum, Object};

use super::error_body::respond;
use super::json::BodyError;
use super::rate_limit_headers::seconds;
use crate::domain::causes::with_causes;
use crate::service::{AuthError, Field, FieldProblem};

/// How long a client is asked to wait for a store, or for a worker, before it tries again, seconds.
pub(super) const RETRY_AFTER_SECONDS: u64 = 1;

/// A stable name for what went wrong: program against this, not against the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ErrorCode {
    /// A field is missing, has the wrong type, or cannot be taken.
    InvalidRequest,
    /// The query has a parameter that the operation does not take, or one of them twice.
    UnknownParameter,
    /// The new password breaks the policy; `errors` says which rule.
    WeakPassword,
    /// Wrong e-mail address or password.
    InvalidCredentials,
    /// The password was right, and the account is disabled: an administrator can enable it.
    AccountDisabled,
    /// The password was right, and the e-mail address is not verified: follow the link in the mail, or
    /// ask for another one.
    EmailNotVerified,
    /// The operation needs a token and none came.
    AuthenticationRequired,
    /// The access token is none of ours, or was altered.
    InvalidToken,
    /// The access token's time is over: refresh it.
    TokenExpired,
    /// The access token was taken back: log in again.
    TokenRevoked,
    /// The refresh token is none of ours, was altered, or its session is gone: log in again.
    InvalidRefreshToken,
    /// The refresh token was used before, so its session has been ended: log in again.
    RefreshTokenReused,
    /// The session has ended by itself: log in again.
    SessionExpired,
    /// The session was ended since its account had too many (`sessions.max_per_account`): log in again.
    SessionEvicted,
    /// The reset token is unknown, used, superseded or expired: request a new one.
    InvalidResetToken,
    /// The verification token is none of ours, expired, or of an address that the account has no more:
    /// request a new one.
    InvalidVerificationToken,
    /// Wrong client id or client secret.
    InvalidClient,
    /// The grant type is none that this service has.
    UnsupportedGrantType,
    /// The client may not have the scope that it asks for.
    InvalidScope,
    /// The access token lacks the scope that this needs.
    InsufficientScope,
    /// Another client has the id.
    ClientTaken,
    /// The caller's role does not allow this.
    Forbidden,
    /// There is no such thing, or the caller may not know of it.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// `hallpass dev` does not go by this host name: `dev.allowed_hosts` can have it.
    MisdirectedRequest,
    /// The request was not received in time.
    RequestTimeout,
    /// Another account has the e-mail address.
    EmailTaken,
    /// It would leave nobody who can log in as an administrator.
    LastAdmin,
    /// This service makes no reset tokens.
    ResetUnavailable,
    /// The body is over 64 KiB.
    PayloadTooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// Tried too often, from this address or for this account: try again after `Retry-After`.
    RateLimited,
    /// Too many passwords are being checked, or too many connections or streams are open, right now: try
    /// again after `Retry-After`.
    Overloaded,
    /// A database or token store cannot answer right now: try again after `Retry-After`.
    DependencyUnavailable,
    /// This replica's clock is wrong, and nothing begins here before it is right: try again after
    /// `Retry-After`, others may answer.
    ClockSkew,
    /// The change is made and stands, and the end of the earlier sessions is not confirmed yet: do
    /// not send the request again.
    RevocationPending,
    /// A defect of the service; the log has the cause under the request id.
    InternalError,
}

impl ErrorCode {
    /// The code's name on the wire.
    pub fn name(self) -> String {
        self.to_json().and_then(|code| code.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// One field that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(example)]
pub struct InvalidField {
    /// The field's name as in the request.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Example for InvalidField {
    fn example() -> Self {
        Self { field: "email".to_owned(), detail: "is missing".to_owned() }
    }
}

/// Problem details (RFC 9457): every error of this API has this shape.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(example, skip_serializing_if_is_none)]
pub struct Problem {
    /// The kind of problem as a URI, `urn:hallpass:error:` and the code.
    #[oai(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status code, again.
    pub status: u16,
    /// What happened and what to do about it, for people.
    pub detail: String,
    /// What happened, for programs.
    pub code: ErrorCode,
    /// The fields that were refused, where it was fields.
    pub errors: Option<Vec<InvalidField>>,
}

impl Example for Problem {
    fn example() -> Self {
        let error = AuthError::InvalidCredentials;
        ApiError::from(error).problem()
    }
}

/// What `WWW-Authenticate` says beside `Bearer` (RFC 6750 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Challenge {
    /// No token came, so no error code either.
    Plain,
    /// A token came and was refused.
    InvalidToken,
    /// The token was right, the role or the scope was not.
    InsufficientScope,
    /// A client tried HTTP Basic and did not prove who it is (RFC 6749 5.2).
    Client,
}

/// An error on its way to the client.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: ErrorCode,
    detail: String,
    errors: Vec<InvalidField>,
    challenge: Option<Challenge>,
    /// Seconds until the same request may be sent again.
    retry_after: Option<u64>,
    /// For the log; never for the client.
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl ApiError {
    fn new(status: StatusCode, code: ErrorCode, detail: impl Into<String>) -> Self {
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER_SECONDS);
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            challenge: None,
            retry_after,
            cause: None,
        }
    }

    fn challenge(mut self, challenge: Challenge) -> Self {
        self.challenge = Some(challenge);
        self
    }

    fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    fn field(mut self, field: &str, detail: impl Into<String>) -> Self {
        self.errors.push(InvalidField { field: field.to_owned(), detail: detail.into() });
        self
    }

    /// A header that carries a token cannot be read as one.
    pub fn unreadable_token() -> Self {
        AuthError::InvalidToken(hallpass_verify::Rejection::Malformed).into()
    }

    /// A field of the request that cannot be taken, found before any operation began.
    pub fn invalid_field(field: &str, problem: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::InvalidRequest,
            format!("The request cannot be taken: {field} {problem}."),
        )
        .field(field, problem)
    }

    /// The query has a parameter beside those that the operation takes.
    pub(super) fn unknown_parameter(known: &[impl AsRef<str>]) -> Self {
        let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
        let known = match known.split_last() {
            None => "none".to_owned(),
            Some((only, [])) => (*only).to_owned(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
        };
        let detail =
            format!("The query has a parameter that this operation does not take; it takes {known}.");
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::UnknownParameter, detail)
    }

    /// The query has a parameter twice.
    pub(super) fn repeated_parameter(name: &str) -> Self {
        let detail = format!("The query has the parameter {name} twice.");
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::UnknownParameter, detail).field(name, "is given twice")
    }

    /// A grant type that this service does not have.
    pub fn unsupported_grant_type() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::UnsupportedGrantType,
            "The grant type is neither client_credentials nor refresh_token.",
        )
    }

    /// The request did not arrive in time.
    pub fn request_timeout() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            ErrorCode::RequestTimeout,
            "The request was not received and answered in time.",
        )
    }

    /// The request came for another host (RFC 9110 15.5.20).
    pub(super) fn misdirected() -> Self {
        Self::new(
            StatusCode::MISDIRECTED_REQUEST,
            ErrorCode::MisdirectedRequest,
            "hallpass dev answers to addresses, to localhost and to its public_url alone; dev.allowed_hosts has \
             further names.",
        )
    }

    /// The request came over a connection beyond the bounds.
    pub(super) fn crowded() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Overloaded,
            "Too many connections are open right now. Nothing was decided about the request. Try again shortly.",
        )
    }

    /// A defect of ours.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::InternalError,
            "The service failed. The log has the cause under this answer's X-Request-Id.",
        )
        .caused_by(cause)
    }

    /// A store did not answer, so nothing is known about the request.
    pub fn dependency_unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::DependencyUnavailable,
            "The service cannot answer right now. Nothing was decided about the request. Try again shortly.",
        )
    }

    /// This replica's clock is wrong.
    pub fn clock_skew() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::ClockSkew,
            "The clock of this replica is wrong, so it begins nothing. Nothing was decided about the request. Try \
             again shortly.",
        )
    }

    /// A revocation is decided, and not complete yet.
    pub fn revocation_pending() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::RevocationPending,
            "What you asked for is decided and stands. That it is in force everywhere is not confirmed yet and goes \
             on by itself.",
        )
    }

    /// The status code.
    pub fn status_code(&self) -> StatusCode {
        self.status
    }

    /// The body.
    pub fn problem(&self) -> Problem {
        Problem {
            kind: format!("urn:hallpass:error:{}", self.code.name()),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code,
            errors: (!self.errors.is_empty()).then(|| self.errors.clone()),
        }
    }

    /// Writes the cause to the log: loud for what the operator must mend, quiet for the rest.
    pub fn log(&self) {
        let cause = self.cause.as_deref().map(|cause| tracing::field::display(with_causes(cause)));
        if self.status.is_server_error() {
            tracing::error!(code = %self.code.name(), cause, "request failed");
        } else {
            tracing::debug!(code = %self.code.name(), "request refused");
        }
    }

    /// The same error with the status that another dialect gives it.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same error as one of the request, with nothing to prove: 400 without a challenge.
    pub(super) fn into_bad_request(mut self) -> Self {
        self.challenge = None;
        self.with_status(StatusCode::BAD_REQUEST)
    }

    /// The same error as the answer to `Authorization: Basic`, which is told how to authenticate (RFC 6749 5.2).
    /// Whoever sent none is not: browsers would ask their user for a password.
    pub(super) fn challenging_basic(self) -> Self {
        match self.code {
            ErrorCode::InvalidClient => self.challenge(Challenge::Client),
            _ => self,
        }
    }

    /// What happened, for programs.
    pub(super) fn code(&self) -> ErrorCode {
        self.code
    }

    /// What happened, for people.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// The answer with a body of any dialect, and the headers that are the same in all of them.
    pub(super) fn into_response_with(self, content_type: &str, body: String) -> Response {
        let mut response = Response::builder().status(self.status).content_type(content_type).body(body);
        // For the line about the request in the log.
        response.extensions_mut().insert(self.code);
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        };
        match self.challenge {
            Some(Challenge::Plain) => set(header::WWW_AUTHENTICATE, "Bearer"),
            Some(Challenge::InvalidToken) => {
                set(
                    header::WWW_AUTHENTICATE,
                    &format!("Bearer error=\"invalid_token\", error_description=\"{}\"", self.detail),
                );
            }
            Some(Challenge::Client) => set(header::WWW_AUTHENTICATE, "Basic realm=\"hallpass\""),
            Some(Challenge::InsufficientScope) => {
                set(header::WWW_AUTHENTICATE, "Bearer error=\"insufficient_scope\"");
            }
            None => {}
        }
        if let Some(seconds) = self.retry_after {
            set(header::RETRY_AFTER, &seconds.to_string());
        }
        response
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for ApiError {}

impl ResponseError for ApiError {
    fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        respond::<Problem>(self)
    }
}

impl From<AuthError> for ApiError {
    /// The one map from what the service says to what this dialect says.
    fn from(error: AuthError) -> Self {
        let unauthorized = |code, detail| Self::new(StatusCode::UNAUTHORIZED, code, detail);
        let refused_token = |code, detail| unauthorized(code, detail).challenge(Challenge::InvalidToken);
        match error {
            AuthError::Invalid(problems) => invalid(&problems),
            AuthError::WeakPassword { field, reason } => Self::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::WeakPassword,
                format!("The new password {reason}."),
            )
            .field(field_name(field), reason.to_string()),
            AuthError::InvalidCredentials => {
                unauthorized(ErrorCode::InvalidCredentials, "The e-mail address or the password is wrong.")
                    .challenge(Challenge::Plain)
            }
            AuthError::InvalidClient => {
                unauthorized(ErrorCode::InvalidClient, "The client's id or its secret is wrong.")
            }
            AuthError::InvalidScope => Self::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::InvalidScope,
                "The client may not have the scope that it asks for.",
            ),
            AuthError::InsufficientScope => Self::new(
                StatusCode::FORBIDDEN,
                ErrorCode::InsufficientScope,
                "The access token lacks the scope that this needs.",
            )
            .challenge(Challenge::InsufficientScope),
            AuthError::ClientTaken => Self::new(
                StatusCode::CONFLICT,
                ErrorCode::ClientTaken,
                "Another client has this id, or it is reserved.",
            ),
            AuthError::FeedStale(error) => Self::dependency_unavailable().caused_by(error),
            AuthError::AccountDisabled => Self::new(
                StatusCode::FORBIDDEN,
                ErrorCode::AccountDisabled,
                "The account is disabled. An administrator can enable it.",
            ),
            AuthError::EmailNotVerified => Self::new(
                StatusCode::FORBIDDEN,
                ErrorCode::EmailNotVerified,
                "The e-mail address is not verified. Follow the link in the mail that was sent there, then log in.",
            ),
            AuthError::LastAdmin => Self::new(
                StatusCode::CONFLICT,
                ErrorCode::LastAdmin,
                "This is the last administrator who can log in. Make another one first.",
            ),
            AuthError::ResetOff => Self::new(
                StatusCode::CONFLICT,
                ErrorCode::ResetUnavailable,
                "This service makes no password-reset tokens (reset.delivery is off).",
            ),
            AuthError::EmailTaken => Self::new(
                StatusCode::CONFLICT,
                ErrorCode::EmailTaken,
                "Another account has this e-mail address.",
            ),
            AuthError::Unauthenticated => unauthorized(
                ErrorCode::AuthenticationRequired,
                "This operation needs an access token or a refresh token.",
            )
            .challenge(Challenge::Plain),
            AuthError::InvalidToken(rejection) => {
                refused_token(ErrorCode::InvalidToken, "The access token is not valid.").caused_by(rejection)
            }
            AuthError::TokenExpired => {
                refused_token(ErrorCode::TokenExpired, "The access token has expired. Refresh it.")
            }
            AuthError::TokenRevoked => {
                refused_token(ErrorCode::TokenRevoked, "The access token has been revoked. Log in again.")
            }
            AuthError::InvalidRefreshToken => refused_token(
                ErrorCode::InvalidRefreshToken,
                "The refresh token is not valid or its session has ended. Log in again.",
            ),
            AuthError::RefreshTokenReused => refused_token(
                ErrorCode::RefreshTokenReused,
                "The refresh token was used before, so its session has been ended. Log in again.",
            ),
            AuthError::SessionExpired => {
                refused_token(ErrorCode::SessionExpired, "The session has expired. Log in again.")
            }
            AuthError::SessionEvicted => refused_token(
                ErrorCode::SessionEvicted,
                "The session was ended since the account had too many. Log in again.",
            ),
            AuthError::InvalidResetToken => Self::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::InvalidResetToken,
                "The reset token is unknown, used, superseded or expired. Request a new one.",
            ),
            AuthError::InvalidVerificationToken => Self::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::InvalidVerificationToken,
                "The verification token is unknown or expired, or the account has another address by now. \
                 Request a new one.",
            ),
            AuthError::Forbidden => {
                Self::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, "This needs the role admin.")
                    .challenge(Challenge::InsufficientScope)
            }
            AuthError::NotFound => not_found(),
            // At once is never right, or the answer would have been another one.
            AuthError::RateLimited { retry_after } => Self {
                retry_after: Some(seconds(retry_after).max(1)),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    ErrorCode::RateLimited,
                    "Too many attempts. Try again later.",
                )
            },
            AuthError::Overloaded => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::Overloaded,
                "Too many passwords are being checked right now. Try again shortly.",
            ),
            AuthError::ClockSkew(skew) => Self::clock_skew().caused_by(skew),
            AuthError::TooManyStreams => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::Overloaded,
                "Too many streams of revocations are open right now. Try again shortly.",
            ),
            AuthError::Store(error) => Self::dependency_unavailable().caused_by(error),
            AuthError::RevocationPending(error) => Self::revocation_pending().caused_by(error),
            AuthError::PasswordHash(error) => Self::internal(error),
            AuthError::Signing(error) => Self::internal(error),
            AuthError::Worker(error) => Self::internal(error),
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let bad_request =
            |detail: String| Self::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, detail);
        match error {
            BodyError::UnsupportedMediaType => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                ErrorCode::UnsupportedMediaType,
                "The body must be JSON, with Content-Type: application/json.",
            ),
            BodyError::TooLarge => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                ErrorCode::PayloadTooLarge,
                "The body is longer than 64 KiB.",
            ),
            BodyError::Invalid { field: Some(field), problem } => Self::invalid_field(field, problem),
            BodyError::UnknownMember { nearest } => {
                bad_request(format!("The request cannot be taken: {error}."))
                    .field(nearest, "is the nearest known name to one that is not known")
            }
            BodyError::Invalid { field: None, .. }
            | BodyError::Truncated
            | BodyError::NotJson
            | BodyError::TooDeep
            | BodyError::DuplicateKey => bad_request(format!("The request cannot be taken: {error}.")),
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
        return not_found();
    }
    if error.is::<MethodNotAllowedError>() {
        return ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::MethodNotAllowed,
            "This path does not take this method.",
        );
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
        status if status.is_client_error() => {
            ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, "The request cannot be taken.")
        }
        _ => ApiError::internal(error.to_string()),
    }
}

fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, "There is nothing here.")
}

fn invalid(problems: &[FieldProblem]) -> ApiError {
    let list: Vec<String> = problems
        .iter()
        .map(|FieldProblem { field, problem }| format!("{} {problem}", field_name(*field)))
        .collect();
    let detail = format!("The request cannot be taken: {}.", list.join("; "));
    problems.iter().fold(
        ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, detail),
        |error, FieldProblem { field, problem }| error.field(field_name(*field), problem),
    )
}

/// What this dialect calls a field.
fn field_name(field: Field) -> &'static str {
    match field {
        Field::Email => "email",
        Field::Password => "password",
        Field::NewPassword => "newPassword",
        Field::FirstName => "first_name",
        Field::LastName => "last_name",
    }
}
