//! An error on its way to the client.
//!
//! The client's text and the log's text are different strings. A body never quotes the request,
//! and a 5xx body never names a cause.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use poem::Response;
use poem::error::ResponseError;
use poem::http::{HeaderName, StatusCode, header};
use poem_openapi::Object;
use poem_openapi::types::Example;

use super::code::Challenge;
use super::code::ErrorCode;
use crate::api::wire::rate_limit_headers::seconds;
use crate::domain::causes::with_causes;
use crate::service::{self, Field, FieldProblem};

/// The longest that a client is asked to wait for a store, or for a worker, before it tries again, seconds.
pub(crate) const RETRY_AFTER_MAX_SECONDS: u64 = 3;

/// How long the next client is asked to wait, seconds. Each in turn is told another span: those who were refused
/// at once do not all come back at once.
pub(crate) fn retry_after_seconds() -> u64 {
    static TURN: AtomicU64 = AtomicU64::new(0);
    1 + TURN.fetch_add(1, Ordering::Relaxed) % RETRY_AFTER_MAX_SECONDS
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

/// An error on its way to the client.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: ErrorCode,
    detail: String,
    errors: Vec<InvalidField>,
    challenge: Option<Challenge>,
    /// Where a client that is to get a token learns from whom (RFC 9728 5.1).
    resource_metadata: Option<String>,
    /// Seconds until the same request may be sent again.
    retry_after: Option<u64>,
    /// For the log; never for the client.
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// An error of that code, with its status, text and challenge.
    pub(crate) fn of(code: ErrorCode) -> Self {
        let status = code.status();
        Self {
            status,
            code,
            detail: code.text().to_owned(),
            errors: Vec::new(),
            challenge: code.challenge(),
            resource_metadata: None,
            retry_after: (status == StatusCode::SERVICE_UNAVAILABLE).then(retry_after_seconds),
            cause: None,
        }
    }

    /// With a text of its own.
    pub(crate) fn saying(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    fn challenge(mut self, challenge: Challenge) -> Self {
        self.challenge = Some(challenge);
        self
    }

    fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    pub(super) fn field(mut self, field: &str, detail: impl Into<String>) -> Self {
        self.errors.push(InvalidField { field: field.to_owned(), detail: detail.into() });
        self
    }

    /// A header that carries a token cannot be read as one.
    pub fn unreadable_token() -> Self {
        service::Error::InvalidToken(hallpass_verify::Rejection::Malformed).into()
    }

    /// A refresh token came in more than one way.
    pub(crate) fn ambiguous_token() -> Self {
        Self::of(ErrorCode::AmbiguousToken)
    }

    /// Whether it says that the session of a refresh token is over.
    pub(crate) fn is_of_a_dead_session(&self) -> bool {
        matches!(
            self.code,
            ErrorCode::InvalidRefreshToken
                | ErrorCode::RefreshTokenReused
                | ErrorCode::SessionExpired
                | ErrorCode::SessionEvicted
        )
    }

    /// A field of the request that cannot be taken, found before any operation began.
    pub fn invalid_field(field: &str, problem: &str) -> Self {
        Self::of(ErrorCode::InvalidRequest)
            .saying(format!("The request cannot be taken: {field} {problem}."))
            .field(field, problem)
    }

    /// The query has a parameter beside those that the operation takes.
    pub(crate) fn unknown_parameter(known: &[impl AsRef<str>]) -> Self {
        let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
        let known = match known.split_last() {
            None => "none".to_owned(),
            Some((only, [])) => (*only).to_owned(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
        };
        let detail =
            format!("The query has a parameter that this operation does not take; it takes {known}.");
        Self::of(ErrorCode::UnknownParameter).saying(detail)
    }

    /// The query has a parameter twice.
    pub(crate) fn repeated_parameter(name: &str) -> Self {
        Self::of(ErrorCode::UnknownParameter)
            .saying(format!("The query has the parameter {name} twice."))
            .field(name, "is given twice")
    }

    /// A grant type that this service does not have.
    pub fn unsupported_grant_type() -> Self {
        Self::of(ErrorCode::UnsupportedGrantType)
    }

    /// The request did not arrive in time.
    pub fn request_timeout() -> Self {
        Self::of(ErrorCode::RequestTimeout)
    }

    /// The request came for another host (RFC 9110 15.5.20).
    pub(crate) fn misdirected() -> Self {
        Self::of(ErrorCode::MisdirectedRequest)
    }

    /// The request came over a connection beyond the bounds.
    pub(crate) fn crowded() -> Self {
        Self::of(ErrorCode::Overloaded).saying(
            "Too many connections are open right now. Nothing was decided about the request. Try again shortly.",
        )
    }

    /// A defect of ours.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of(ErrorCode::InternalError).caused_by(cause)
    }

    /// A store did not answer, so nothing is known about the request.
    pub fn dependency_unavailable() -> Self {
        Self::of(ErrorCode::DependencyUnavailable)
    }

    /// The same, and why, for the log.
    pub(crate) fn dependency_unavailable_since(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::dependency_unavailable().caused_by(cause)
    }

    /// This replica's clock is wrong.
    pub fn clock_skew() -> Self {
        Self::of(ErrorCode::ClockSkew)
    }

    /// A revocation is decided, and not complete yet.
    pub fn revocation_pending() -> Self {
        Self::of(ErrorCode::RevocationPending)
    }

    /// The status code.
    pub fn status_code(&self) -> StatusCode {
        self.status
    }

    /// Writes the cause to the log: loud for what the operator must repair, quiet for the rest.
    pub fn log(&self) {
        let cause = self.cause.as_deref().map(|cause| tracing::field::display(with_causes(cause)));
        if self.status.is_server_error() {
            tracing::error!(code = %self.code.name(), cause, "request failed");
        } else {
            tracing::debug!(code = %self.code.name(), "request refused");
        }
    }

    /// The same error with the status that another dialect gives it.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same error as one of the request, with nothing to prove: 400 without a challenge.
    pub(crate) fn into_bad_request(mut self) -> Self {
        self.challenge = None;
        self.with_status(StatusCode::BAD_REQUEST)
    }

    /// The same error as that of a login whose credentials are not even readable.
    pub(crate) fn into_failed_login(self) -> Self {
        Self { detail: self.detail, errors: self.errors, ..Self::of(ErrorCode::InvalidCredentials) }
    }

    /// The same error as the answer to `Authorization: Basic`, which is told how to authenticate (RFC 6749 5.2).
    /// A request without it is not told: browsers would ask their user for a password.
    pub(crate) fn challenging_basic(self) -> Self {
        match self.code {
            ErrorCode::InvalidClient => self.challenge(Challenge::Client),
            _ => self,
        }
    }

    /// The same error, whose challenge says where the metadata of the resource are (RFC 9728 5.1).
    pub(crate) fn naming_resource_metadata(self, url: String) -> Self {
        Self { resource_metadata: Some(url), ..self }
    }

    /// What happened, for programs.
    pub(crate) fn code(&self) -> ErrorCode {
        self.code
    }

    /// The fields that were refused.
    pub(crate) fn invalid_fields(&self) -> &[InvalidField] {
        &self.errors
    }

    /// What happened, for people.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// What `WWW-Authenticate` says.
    fn challenge_text(&self) -> Option<String> {
        let metadata = self.resource_metadata.as_deref();
        let metadata = metadata.map(|url| format!("resource_metadata=\"{url}\""));
        let and_metadata = |text: String| match &metadata {
            Some(metadata) => format!("{text}, {metadata}"),
            None => text,
        };
        Some(match self.challenge? {
            Challenge::Plain => metadata.map_or("Bearer".to_owned(), |metadata| format!("Bearer {metadata}")),
            Challenge::InvalidToken => {
                and_metadata(format!("Bearer error=\"invalid_token\", error_description=\"{}\"", self.detail))
            }
            Challenge::Client => "Basic realm=\"hallpass\"".to_owned(),
            Challenge::InsufficientScope => "Bearer error=\"insufficient_scope\"".to_owned(),
        })
    }

    /// The answer with a body of any dialect, and the headers that are the same in all of them.
    pub(crate) fn into_response_with(self, content_type: &str, body: String) -> Response {
        let mut response = Response::builder().status(self.status).content_type(content_type).body(body);
        // For the line about the request in the log.
        response.extensions_mut().insert(self.code);
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        };
        if let Some(challenge) = self.challenge_text() {
            set(header::WWW_AUTHENTICATE, &challenge);
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

impl ApiError {
    /// The caller lacks that role.
    pub(crate) fn lacking_role(role: &str) -> Self {
        let forbidden = Self::from(service::Error::Forbidden);
        match role {
            "admin" => forbidden,
            _ => forbidden.saying("This needs the role that was asked for."),
        }
    }
}

impl From<service::Error> for ApiError {
    fn from(error: service::Error) -> Self {
        use service::Error::*;
        let plain = Self::of(ErrorCode::of(&error));
        match error {
            Invalid(problems) => problems
                .iter()
                .fold(plain.saying(invalid(&problems)), |error, FieldProblem { field, problem }| {
                    error.field(field_name(*field), problem)
                }),
            WeakPassword { field, reason } => plain
                .saying(format!("The new password {reason}."))
                .field(field_name(field), reason.to_string()),
            // At once is never right, or the answer would have been another one.
            RateLimited { retry_after } => Self { retry_after: Some(seconds(retry_after).max(1)), ..plain },
            TooManyStreams => {
                plain.saying("Too many streams of revocations are open right now. Try again shortly.")
            }
            ClientDeleted { until } => plain.saying(format!(
                "A client of this id was deleted. Until {} services refuse tokens of that id, and it can be made again then.",
                humantime::format_rfc3339_seconds(until.to_system_time())
            )),
            InvalidToken(cause) => plain.caused_by(cause),
            NotExchangeable(cause) => {
                plain.saying("The token is not valid, or not this client's to exchange.").caused_by(cause)
            }
            ClockSkew(cause) => plain.caused_by(cause),
            FeedStale(cause) => plain.caused_by(cause),
            Store(cause) | RevocationPending(cause) => plain.caused_by(cause),
            PasswordHash(cause) => plain.caused_by(cause),
            Signing(cause) => plain.caused_by(cause),
            Worker(cause) => plain.caused_by(cause),
            // The table says it all.
            _ => plain,
        }
    }
}

/// What is wrong with all of these fields.
fn invalid(problems: &[FieldProblem]) -> String {
    let list: Vec<String> = problems
        .iter()
        .map(|FieldProblem { field, problem }| format!("{} {problem}", field_name(*field)))
        .collect();
    format!("The request cannot be taken: {}.", list.join("; "))
}

/// What this dialect calls a field.
fn field_name(field: Field) -> &'static str {
    match field {
        Field::Email => "email",
        Field::Password => "password",
        Field::NewPassword => "newPassword",
        Field::FirstName => "first_name",
        Field::LastName => "last_name",
        Field::Roles => "roles",
        Field::Metadata => "metadata",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_that_are_refused_at_once_are_asked_to_come_back_at_different_moments() {
        let told: Vec<u64> = (0..300).map(|_| retry_after_seconds()).collect();
        assert!(told.iter().all(|seconds| (1..=RETRY_AFTER_MAX_SECONDS).contains(seconds)), "{told:?}");
        // Other tests are refused meanwhile.
        let each = (1..=RETRY_AFTER_MAX_SECONDS).map(|one| told.iter().filter(|told| **told == one).count());
        assert!(each.min().is_some_and(|least| least > 30), "{told:?}");
    }
}
