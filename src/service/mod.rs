//! The operations. They decide; `store` remembers, `crypto` computes, `api` speaks HTTP.

pub mod access_tokens;
pub mod accounts;
pub mod administration;
pub mod audit;
pub mod caller;
pub mod clients;
pub mod clock_watch;
pub mod cut_off;
pub mod feed_readers;
pub mod key_ring;
pub mod limits;
pub mod mail;
pub mod oauth;
pub mod password_reset;
pub mod password_workers;
pub mod readiness;
pub mod revocations;
mod session_cap;
pub mod sessions;
pub mod signing_keys;
pub mod tokens;
pub mod user_import;
pub mod verification;

use std::sync::Arc;
use std::time::Duration;

use self::clock_watch::ClockWatch;
use crate::config::{
    FeedSettings, RegistrationSettings, ResetSettings, SessionSettings, TokenSettings, VerificationSettings,
};
use crate::crypto::keys::SigningKeyError;
use crate::crypto::password::PasswordHashError;
use crate::crypto::secret::DerivedKeys;
use crate::domain::audit::{AuditAction, AuditActor, AuditEntry};
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::journal::{EntryId, EventEntry};
use crate::domain::password::{PasswordError, PasswordPolicy};
use crate::domain::random::Random;
use crate::domain::rate_limit::LimitRules;
use crate::domain::revocation::ValidationMode;
use crate::domain::timekeeper::ClockSkew;
use crate::store::clients::ClientRegistry;
use crate::store::feed::RevocationFeed;
use crate::store::{RateLimitStore, Repository, StoreError, TokenStore};

/// What every operation needs from outside.
pub struct Context {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Whose clock is odd.
    pub clocks: ClockWatch,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// Accounts and signing keys.
    pub repository: Arc<dyn Repository>,
    /// Sessions, the denylist and reset tokens.
    pub token_store: Arc<dyn TokenStore>,
    /// OAuth clients.
    pub clients: Arc<dyn ClientRegistry>,
    /// What tells of revocations.
    pub revocation_feed: Arc<dyn RevocationFeed>,
    /// What counts attempts.
    pub rate_limits: Arc<dyn RateLimitStore>,
    /// What happened, for later.
    pub audit: audit::Audit,
    /// The keys that come of the server's secret.
    pub secrets: DerivedKeys,
    /// Carries mails, if there is a way to send any.
    pub mailer: Option<Arc<dyn mail::Mailer>>,
    /// The rules.
    pub rules: Rules,
}

impl Context {
    /// An entry for the audit log about what happens now.
    fn event(&self, action: AuditAction, actor: AuditActor) -> AuditEntry {
        AuditEntry::new(action, actor, self.clock.now(), &*self.random)
    }

    /// The entry of the journal for a security event that happens now. It matters for as long as a session
    /// of before could live.
    fn journal_entry(&self) -> EventEntry {
        let at = self.clock.now();
        EventEntry {
            id: EntryId::generate(&*self.random),
            at,
            until: at.after(self.rules.tokens.lifetimes.absolute),
        }
    }

    /// Hands a mail over for delivery, where there is a way to send any.
    fn post(&self, mail: mail::Mail) {
        if let Some(mailer) = &self.mailer {
            mailer.post(mail);
        }
    }
}

/// The settings that operations decide by.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Claim `iss` of access tokens: the service's public URL, exactly.
    pub issuer: String,
    /// Claim `aud` of access tokens.
    pub audience: String,
    /// What tokens say, and how long they live.
    pub tokens: TokenSettings,
    /// How many sessions there may be.
    pub sessions: SessionSettings,
    /// Whom a replica asks whether an access token was revoked.
    pub validation: ValidationMode,
    /// What a chosen password must satisfy.
    pub passwords: PasswordPolicy,
    /// Forgotten passwords.
    pub reset: ResetSettings,
    /// How accounts come to be.
    pub registration: RegistrationSettings,
    /// Proving addresses.
    pub verification: VerificationSettings,
    /// How often what may be tried.
    pub limits: LimitRules,
    /// How many may follow the revocation feed.
    pub feed: FeedSettings,
}

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
}

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
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
    /// Another account has the address.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// Nobody would be left who can log in as an administrator.
    #[error("the account is the last administrator's")]
    LastAdmin,
    /// The client is unknown or its secret is wrong; which of the two is not said.
    #[error("the client's credentials are wrong")]
    InvalidClient,
    /// Another client has the id.
    #[error("the client id is taken")]
    ClientTaken,
    /// The client may not have the scope.
    #[error("the client may not have this scope")]
    InvalidScope,
    /// The token lacks the scope that this needs.
    #[error("the access token lacks the scope that this needs")]
    InsufficientScope,
    /// This process's copy of the revocation feed is not up to date, so nothing is known.
    #[error("the revocation feed is not up to date")]
    FeedStale(#[from] revocations::Stale),
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
    Worker(#[source] password_workers::WorkerLost),
}

impl From<StoreError> for AuthError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::RevocationPending(cause) => Self::RevocationPending(*cause),
            error @ (StoreError::Unavailable { .. } | StoreError::Corrupt { .. }) => Self::Store(error),
        }
    }
}

/// The result of an operation.
pub type AuthResult<T> = Result<T, AuthError>;

/// All operations, wired. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// Registration, profiles, password change.
    pub accounts: accounts::Accounts,
    /// Other people's accounts, for administrators.
    pub administration: administration::Administration,
    /// Login, refresh, logout.
    pub sessions: sessions::Sessions,
    /// Minting and checking access tokens.
    pub access_tokens: access_tokens::AccessTokens,
    /// OAuth clients.
    pub clients: clients::Clients,
    /// Introspection and revocation of tokens.
    pub oauth: oauth::OAuth,
    /// This process's copy of the revocation feed.
    pub revocations: revocations::Revocations,
    /// Those who follow it.
    pub feed_readers: feed_readers::FeedReaders,
    /// Forgotten passwords.
    pub password_resets: password_reset::PasswordResets,
    /// Proving addresses.
    pub verifications: verification::Verifications,
    /// How often what may be tried.
    pub limits: limits::Limits,
    /// What security events bring about.
    pub cut_off: cut_off::CutOff,
    /// Whose clock is odd.
    pub clocks: ClockWatch,
    /// The audit log.
    pub audit: audit::Audit,
    /// Tokens in an operator's hand.
    pub tokens: tokens::Tokens,
    /// The signing keys.
    pub key_ring: Arc<key_ring::KeyRing>,
    /// What an operator does to them.
    pub signing_keys: signing_keys::SigningKeys,
    context: Arc<Context>,
}

impl Services {
    /// Wires the operations over one context.
    pub fn new(
        context: Context,
        key_ring: key_ring::KeyRing,
        workers: password_workers::PasswordWorkers,
    ) -> Self {
        let context = Arc::new(context);
        let key_ring = Arc::new(key_ring);
        let cut_off = cut_off::CutOff::new(context.clone());
        let revocations = revocations::Revocations::new(
            context.revocation_feed.clone(),
            context.clocks.keeper(),
            context.random.clone(),
            context.rules.tokens.lifetimes.revocation(),
            context.rules.validation,
        );
        let access_tokens =
            access_tokens::AccessTokens::new(context.clone(), key_ring.clone(), revocations.clone());
        let limits = limits::Limits::new(context.clone());
        let sessions = sessions::Sessions::new(
            context.clone(),
            access_tokens.clone(),
            workers.clone(),
            cut_off.clone(),
            limits.clone(),
        );
        let feed_readers = feed_readers::FeedReaders::new(context.clone());
        let clients = clients::Clients::new(
            context.clone(),
            access_tokens.clone(),
            limits.clone(),
            feed_readers.clone(),
        );
        let password_resets = password_reset::PasswordResets::new(
            context.clone(),
            workers.clone(),
            cut_off.clone(),
            limits.clone(),
        );
        let verifications = verification::Verifications::new(context.clone(), limits.clone());
        let administration = administration::Administration::new(
            context.clone(),
            workers.clone(),
            cut_off.clone(),
            password_resets.clone(),
        );
        Self {
            tokens: tokens::Tokens::new(context.clone(), access_tokens.clone(), administration.clone()),
            accounts: accounts::Accounts::new(
                context.clone(),
                sessions.clone(),
                workers,
                cut_off.clone(),
                verifications.clone(),
                limits.clone(),
            ),
            limits,
            administration,
            oauth: oauth::OAuth::new(context.clone(), access_tokens.clone(), clients.clone()),
            clients,
            revocations,
            feed_readers,
            password_resets,
            verifications,
            cut_off,
            access_tokens,
            sessions,
            signing_keys: signing_keys::SigningKeys::new(key_ring.clone()),
            clocks: context.clocks.clone(),
            audit: context.audit.clone(),
            key_ring,
            context,
        }
    }

    /// The issuer (`iss`) of all tokens: the service's public URL, exactly.
    pub fn issuer(&self) -> &str {
        &self.context.rules.issuer
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.context.clock.now()
    }
}
