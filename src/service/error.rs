//! Why an operation was not done.

use std::fmt;
use std::time::Duration;

use crate::crypto::keys::SigningKeyError;
use crate::crypto::password::PasswordHashError;
use crate::domain::audiences::NotAllowed;
use crate::domain::clock::Timestamp;
use crate::domain::password::PasswordError;
use crate::domain::timekeeper::ClockSkew;
use crate::store::StoreError;

/// One field of a request that cannot be taken, and why. Never quotes the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// Which field, in the domain's words: `email`, `password`, `first_name` …
    pub field: Field,
    /// What is wrong, as the end of a sentence that begins with the field's name.
    pub problem: String,
}

/// A field of a request, whatever the dialect calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The address.
    Email,
    /// The password to log in with, or the one chosen at registration.
    Password,
    /// The new password.
    NewPassword,
    /// The first name.
    FirstName,
    /// The last name.
    LastName,
    /// The roles.
    Roles,
    /// What is noted down.
    Metadata,
}

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields of the request cannot be taken.
    #[error("the request has fields that cannot be taken")]
    Invalid(Vec<FieldProblem>),
    /// The chosen password breaks the policy.
    #[error("the new password {reason}")]
    WeakPassword {
        /// The field it came in.
        field: Field,
        /// The rule that it breaks.
        #[source]
        reason: PasswordError,
    },
    /// Wrong address or password; which of the two is not said.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    /// The password was right, and the account is shut.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The password was right, and the address is not proven.
    #[error("the e-mail address is not verified")]
    EmailNotVerified,
    /// People do not register here.
    #[error("registration is disabled")]
    RegistrationDisabled,
    /// Another account has the address.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// Another account has the external id.
    #[error("the external id is taken")]
    ExternalIdTaken,
    /// A token would be longer than one may be.
    #[error("a token would have {bytes} bytes")]
    TokenTooLarge {
        /// How long it would be.
        bytes: usize,
    },
    /// Nobody would be left who can log in as an administrator.
    #[error("the account is the last administrator's")]
    LastAdmin,
    /// The client is unknown or its secret is wrong; which of the two is not said.
    #[error("the client's credentials are wrong")]
    InvalidClient,
    /// Another client has the id.
    #[error("the client id is taken")]
    ClientTaken,
    /// A client of this id was deleted a moment ago: whoever follows revocations refuses what says that it is of that id.
    #[error("a client of this id was deleted, and services refuse tokens of that id until {}", rfc3339(.until))]
    ClientDeleted {
        /// Until when.
        until: Timestamp,
    },
    /// The client may not have the scope.
    #[error("the client may not have this scope")]
    InvalidScope,
    /// A token is asked for whom it may not be for.
    #[error("the token may not be for whom it is asked for")]
    InvalidTarget,
    /// The client may not use this grant.
    #[error("the client may not use this grant")]
    UnauthorizedClient,
    /// A token that was presented to be exchanged will not do: altered, expired, revoked, or not this client's to
    /// exchange.
    #[error("the token cannot be exchanged")]
    NotExchangeable(#[from] NotExchangeable),
    /// The token lacks the scope that this needs.
    #[error("the access token lacks the scope that this needs")]
    InsufficientScope,
    /// This process's copy of the revocation feed is not up to date, so nothing is known.
    #[error("the revocation feed is not up to date")]
    FeedStale(#[from] Stale),
    /// No reset tokens are made here.
    #[error("password reset is off")]
    ResetOff,
    /// No token came.
    #[error("no token was presented")]
    Unauthenticated,
    /// The access token is none of ours, or was altered.
    #[error("the access token is not valid")]
    InvalidToken(#[source] hallpass_verify::Rejection),
    /// The access token is right but its time is over.
    #[error("the access token has expired")]
    TokenExpired,
    /// The access token was taken back.
    #[error("the access token has been revoked")]
    TokenRevoked,
    /// The refresh token is none of ours, was altered, or its session is gone.
    #[error("the refresh token is not valid")]
    InvalidRefreshToken,
    /// The refresh token was used before; its session has been revoked.
    #[error("the refresh token was used before")]
    RefreshTokenReused,
    /// The session has ended by itself.
    #[error("the session has expired")]
    SessionExpired,
    /// The session was ended since its account had too many.
    #[error("the session was ended since its account had too many")]
    SessionEvicted,
    /// The reset token is unknown, used, superseded or expired.
    #[error("the reset token is not valid")]
    InvalidResetToken,
    /// The verification token is none of ours, expired, or of an address that the account has no more.
    #[error("the verification token is not valid")]
    InvalidVerificationToken,
    /// The caller may not do that.
    #[error("the caller's role does not allow this")]
    Forbidden,
    /// There is no such thing, or the caller may not know of it.
    #[error("not found")]
    NotFound,
    /// Tried too often, from this address or for this account.
    #[error("too many attempts")]
    RateLimited {
        /// How long until the next attempt is taken.
        retry_after: Duration,
    },
    /// All password workers are busy and their queue is full.
    #[error("too many password checks at once")]
    Overloaded,
    /// This replica's clock is the odd one, so nothing begins here.
    #[error(transparent)]
    ClockSkew(ClockSkew),
    /// As many streams of the revocation feed are open as may be, of all clients or of this one.
    #[error("too many streams of the revocation feed")]
    TooManyStreams,
    /// A store could not answer; nothing is known about the request.
    #[error("a store could not answer")]
    Store(#[source] StoreError),
    /// A revocation is decided and stands, but is not complete yet: that goes on by itself.
    #[error("the revocation is not complete yet")]
    RevocationPending(#[source] StoreError),
    /// A password hash could not be computed or read.
    #[error("password hashing failed")]
    PasswordHash(#[from] PasswordHashError),
    /// A token could not be signed.
    #[error("signing failed")]
    Signing(#[from] SigningKeyError),
    /// A worker of ours ended without an answer.
    #[error("a background task failed")]
    Worker(#[source] WorkerLost),
}

fn rfc3339(moment: &Timestamp) -> impl fmt::Display {
    humantime::format_rfc3339_seconds(moment.to_system_time())
}

/// Why a token is not exchanged, for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotExchangeable {
    /// It is none that stands for anybody.
    #[error(transparent)]
    Rejected(#[from] hallpass_verify::Rejection),
    /// It was taken back.
    #[error("it has been revoked")]
    Revoked,
    /// Neither is it for the client nor was it issued to it.
    #[error("it is not for the client that presents it")]
    NotForClient,
    /// It names another one who may act.
    #[error("it names another one who may act for its subject")]
    NotTheActor,
    /// It has gone through as many hands as a token may.
    #[error("too many act for its subject already")]
    TooDeep,
}

/// This process's copy of the revocation feed is not up to date just now: the token store cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the revocation feed is not up to date")]
pub struct Stale;

/// A worker ended without an answer: its job panicked.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a password worker ended without an answer")]
pub struct WorkerLost;

/// What an error says about the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It says something about what the client sent.
    Verdict,
    /// Nothing is known about the request: another time, or another replica, can tell.
    CannotTell,
    /// Something of ours is broken.
    Defect,
}

impl Error {
    /// What it says about the request.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_)
            | Self::WeakPassword { .. }
            | Self::InvalidCredentials
            | Self::AccountDisabled
            | Self::EmailNotVerified
            | Self::RegistrationDisabled
            | Self::EmailTaken
            | Self::ExternalIdTaken
            | Self::TokenTooLarge { .. }
            | Self::LastAdmin
            | Self::InvalidClient
            | Self::ClientTaken
            | Self::ClientDeleted { .. }
            | Self::InvalidScope
            | Self::InvalidTarget
            | Self::UnauthorizedClient
            | Self::NotExchangeable(_)
            | Self::InsufficientScope
            | Self::ResetOff
            | Self::Unauthenticated
            | Self::InvalidToken(_)
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::InvalidRefreshToken
            | Self::RefreshTokenReused
            | Self::SessionExpired
            | Self::SessionEvicted
            | Self::InvalidResetToken
            | Self::InvalidVerificationToken
            | Self::Forbidden
            | Self::NotFound => Kind::Verdict,
            Self::FeedStale(_)
            | Self::RateLimited { .. }
            | Self::Overloaded
            | Self::ClockSkew(_)
            | Self::TooManyStreams
            | Self::Store(_)
            | Self::RevocationPending(_) => Kind::CannotTell,
            Self::PasswordHash(_) | Self::Signing(_) | Self::Worker(_) => Kind::Defect,
        }
    }

    /// Whether it says something about what the client sent.
    pub fn is_verdict(&self) -> bool {
        self.kind() == Kind::Verdict
    }
}

impl From<NotAllowed> for Error {
    fn from(NotAllowed: NotAllowed) -> Self {
        Self::InvalidTarget
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::RevocationPending(cause) => Self::RevocationPending(*cause),
            error @ (StoreError::Unavailable { .. } | StoreError::Corrupt { .. }) => Self::Store(error),
        }
    }
}

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;
