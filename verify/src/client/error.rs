use std::error::Error;
use std::time::Duration;

use crate::rejection::Rejection;

/// How long a client is asked to wait after a 503, seconds: staleness mends itself within a heartbeat.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a token was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValidationError {
    /// A verdict: the token is no access token of this issuer for this audience now.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// A verdict: the token was right and has been taken back.
    #[error("the token has been revoked")]
    Revoked,
    /// Not a verdict: answer 503, never 401, and never accept the token.
    #[error("the token cannot be checked right now")]
    CannotTell(#[from] CannotTell),
}

/// What is missing for a verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CannotTell {
    /// The issuer's keys have not been fetched yet.
    #[error("the issuer's keys have not been fetched yet")]
    NoKeys,
    /// The token names a key that is not known, and whether the issuer has a new one is not known either.
    #[error("the token names an unknown key, and the issuer's keys cannot be fetched")]
    KeysOutOfDate,
    /// The revocations known here are older than allowed.
    #[error("the issuer's revocations have not been heard of for too long")]
    Stale {
        /// How old they are; `None` when there never were any.
        age: Option<Duration>,
    },
    /// The revocations known here are older than allowed, and the issuer could not be asked about
    /// this token.
    #[error("the issuer cannot be asked about the token")]
    Introspection(#[source] RequestError),
}

impl ValidationError {
    /// Whether something was decided about the token. If not, a client may try again with it.
    pub fn is_verdict(&self) -> bool {
        !matches!(self, Self::CannotTell(_))
    }

    /// The HTTP status to answer with: 401 or 503.
    pub fn status(&self) -> u16 {
        if self.is_verdict() { 401 } else { 503 }
    }

    /// A stable name for programs, as hallpass's own answers have it in `code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected(Rejection::Expired(_)) => "token_expired",
            Self::Rejected(_) => "invalid_token",
            Self::Revoked => "token_revoked",
            Self::CannotTell(_) => "dependency_unavailable",
        }
    }

    /// The value of `WWW-Authenticate` beside a 401 (RFC 6750 3). It quotes nothing of the token.
    pub fn www_authenticate(&self) -> Option<String> {
        self.is_verdict().then(|| format!(r#"Bearer error="invalid_token", error_description="{self}""#))
    }

    /// The value of `Retry-After` beside a 503.
    pub fn retry_after(&self) -> Option<Duration> {
        (!self.is_verdict()).then_some(RETRY_AFTER)
    }
}

/// Why a [`ValidatorBuilder`](super::ValidatorBuilder) builds nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The issuer, or the address it is reached at, is no `http` or `https` URL.
    #[error("{0} is no URL of an issuer")]
    NotAnUrl(String),
    /// Keys, secrets and verdicts would go over the network in the clear.
    #[error("{0} is not https; only a loopback address may do without, or allow it with `danger_allow_http`")]
    PlainHttp(String),
    /// The stale policy needs the revocation feed or introspection, and both want credentials.
    #[error("client credentials are needed for every stale policy but `allow`")]
    NoCredentials,
    /// A root certificate cannot be read.
    #[error("a root certificate cannot be read")]
    RootCertificate(#[source] Box<dyn Error + Send + Sync>),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
    /// The keys and the feed are followed in the background, which needs a tokio runtime.
    #[error("there is no tokio runtime here")]
    NoRuntime,
}

/// Why [`connect`](super::ValidatorBuilder::connect) did not come to an end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The builder's settings do not fit together.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The issuer's metadata cannot be had (RFC 8414 3).
    #[error("the issuer's metadata cannot be fetched")]
    Metadata(#[source] RequestError),
    /// The metadata is another issuer's (RFC 8414 3.3).
    #[error("the metadata is that of {found:?}")]
    OtherIssuer {
        /// Whose it is.
        found: String,
    },
    /// An endpoint lies at an origin that is not trusted.
    #[error("the metadata's {name} is at an origin that is not trusted; see `trust_origin`")]
    ForeignEndpoint {
        /// The member of the metadata.
        name: &'static str,
    },
    /// The stale policy needs an endpoint that the issuer does not have.
    #[error("the issuer has no {name}")]
    MissingEndpoint {
        /// The member of the metadata.
        name: &'static str,
    },
    /// The keys cannot be fetched.
    #[error("the issuer's keys cannot be fetched")]
    Keys(#[source] RequestError),
    /// The revocations cannot be fetched.
    #[error("the issuer's revocations cannot be fetched")]
    Revocations(#[source] RequestError),
}

/// Why a request to the issuer brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The issuer cannot be reached, or the connection broke.
    #[error("the issuer cannot be reached")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// No answer in time.
    #[error("the issuer did not answer in time")]
    TimedOut,
    /// Another status than is of use.
    #[error("the issuer answered {status}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// How long the issuer asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// More than anything that was asked for can be.
    #[error("the issuer's answer is too long")]
    TooLong,
    /// Not what was asked for.
    #[error("the issuer's answer cannot be read")]
    Unreadable(#[source] Box<dyn Error + Send + Sync>),
}

impl RequestError {
    pub(crate) fn unreadable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unreadable(error.into())
    }

    pub(crate) fn unreachable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unreachable(error.into())
    }

    /// The status, where there was an answer at all.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_401_with_a_challenge_and_anything_else_503_with_a_time() {
        for verdict in [
            ValidationError::Revoked,
            Rejection::UnknownKey.into(),
            Rejection::Malformed.into(),
            Rejection::NotYetValid.into(),
        ] {
            assert_eq!((verdict.status(), verdict.retry_after()), (401, None));
            let challenge = verdict.www_authenticate().expect("a challenge");
            assert!(
                challenge.starts_with(r#"Bearer error="invalid_token", error_description=""#),
                "{challenge}"
            );
            assert_eq!(challenge.matches('"').count(), 4, "{challenge}");
        }
        for unknown in [
            CannotTell::NoKeys,
            CannotTell::KeysOutOfDate,
            CannotTell::Stale { age: None },
            CannotTell::Introspection(RequestError::TimedOut),
        ] {
            let unknown = ValidationError::from(unknown);
            assert_eq!((unknown.status(), unknown.www_authenticate()), (503, None));
            assert!(unknown.retry_after().is_some_and(|pause| pause >= Duration::from_secs(1)));
            assert_eq!(unknown.code(), "dependency_unavailable");
        }
    }
}
