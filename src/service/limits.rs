//! Rate limits: who asks, what an attempt costs, and when it costs nothing.
//!
//! - Limits are per address (an IPv6 network of 64 bits counts as one) and per account, by its
//!   e-mail address: whether there is such an account makes no difference to anything here.
//! - A password is paid for before it is checked, which bounds guessing also under concurrency, and
//!   the work of hashing with it; a right one costs nothing. An answer that is no verdict (503)
//!   costs nothing either.
//! - **Nobody locks an owner out of their usual place.** A place that an account has logged in from
//!   is remembered, and attempts from there have a bucket of their own: what others try from
//!   elsewhere does not touch it.
//! - The buckets are in the token store. When that is away, what could reveal something is not done
//!   (503): guesses must not be free then. What is wrong by itself stays wrong, uncounted; and a
//!   registration, which reveals nothing and which the hash workers bound, is made.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::{AuthError, AuthResult, Context};
use crate::crypto::rate_limit::{self, Whose};
use crate::domain::causes::with_causes;
use crate::domain::email::Email;
use crate::domain::place::Place;
use crate::domain::rate_limit::{AccountMark, Action, Bucket, Level, PlaceMark, Rate};

/// Who asks, for as long as one request takes: where from, and what is left of their quotas. Clones
/// are the same visitor.
#[derive(Clone, Debug)]
pub struct Visitor {
    address: Option<IpAddr>,
    quotas: Arc<Mutex<Vec<Quota>>>,
}

/// A limit that a request came under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The limit's name, which is that of its setting below `rate_limits`.
    pub name: &'static str,
    /// How much is allowed.
    pub rate: Rate,
    /// What is left; `None` where nothing was counted.
    pub level: Option<Level>,
}

impl Visitor {
    /// Somebody at an address; `None` where the connection has none.
    pub fn new(address: Option<IpAddr>) -> Self {
        Self { address: address.map(|address| address.to_canonical()), quotas: Arc::default() }
    }

    /// The client's address: that of the connection, or what trusted proxies say it is.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The limits that the request has come under so far.
    pub fn quotas(&self) -> Vec<Quota> {
        self.quotas.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn place(&self) -> Place {
        Place::of(self.address)
    }

    /// Notes what is left; a later note replaces an earlier one.
    fn note(&self, name: &'static str, rate: Rate, level: Option<Level>) {
        let mut quotas = self.quotas.lock().unwrap_or_else(PoisonError::into_inner);
        match quotas.iter_mut().find(|quota| quota.name == name) {
            Some(known) => known.level = level.or(known.level),
            None => quotas.push(Quota { name, rate, level }),
        }
    }
}

/// One unit of one bucket.
#[derive(Clone, Copy)]
struct Charge {
    name: &'static str,
    bucket: Bucket,
}

/// An account and the place that somebody tries to log in to it from.
#[derive(Clone, Copy)]
struct AccountAt {
    account: AccountMark,
    place: PlaceMark,
}

/// The limits. Cheap to clone.
#[derive(Clone)]
pub struct Limits {
    context: Arc<Context>,
}

impl Limits {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Checks a password by `check`, which fails by [`AuthError::InvalidCredentials`]: that costs,
    /// a right password does not. After one, the place is known.
    ///
    /// A caller that goes away meanwhile has paid: a guess must not be free for whoever hangs up
    /// before its answer.
    ///
    /// # Errors
    /// [`AuthError::RateLimited`] and `check` was not begun; else those of `check`.
    pub async fn password_attempt<T>(
        &self,
        visitor: &Visitor,
        email: &Email,
        check: impl Future<Output = AuthResult<T>>,
    ) -> AuthResult<T> {
        let by_place = self.charge_place(Action::Login, visitor);
        self.announce(Action::Login, visitor);
        self.take(visitor, by_place, None).await?;
        let by_account = match self.charge_login(visitor, email).await {
            Ok(charge) => charge,
            Err(error) => {
                self.give_back(visitor, by_place).await;
                return Err(error);
            }
        };
        self.take(visitor, by_account, by_place).await?;
        let outcome = check.await;
        match &outcome {
            Ok(_) => {
                tokio::join!(
                    self.give_back(visitor, by_place),
                    self.give_back(visitor, by_account),
                    self.remember(visitor, email),
                );
            }
            Err(AuthError::InvalidCredentials) => {}
            Err(_) => {
                tokio::join!(self.give_back(visitor, by_place), self.give_back(visitor, by_account));
            }
        }
        outcome
    }

    /// Runs an `attempt` that costs, whatever comes of it but "cannot tell". A registration is made
    /// also when it cannot be counted.
    ///
    /// # Errors
    /// [`AuthError::RateLimited`] and the attempt was not begun; else its own.
    pub async fn attempt<T>(
        &self,
        action: Action,
        visitor: &Visitor,
        email: &Email,
        attempt: impl Future<Output = AuthResult<T>>,
    ) -> AuthResult<T> {
        let by_place = self.charge_place(action, visitor);
        let by_account = self.context.rules.limits.of(action).per_account.map(|rate| {
            let account = rate_limit::account_mark(&self.context.secrets, email);
            self.charge(action.per_account(), rate, Whose::Account(account))
        });
        self.announce(action, visitor);
        let paid = async {
            self.take(visitor, by_place, None).await?;
            self.take(visitor, by_account, by_place).await
        };
        match paid.await {
            Err(AuthError::Store(error)) if action == Action::Register => {
                tracing::warn!(error = %with_causes(&error), "a registration could not be counted");
                return attempt.await;
            }
            paid => paid?,
        }
        let outcome = attempt.await;
        if outcome.as_ref().is_err_and(|error| !is_verdict(error)) {
            tokio::join!(self.give_back(visitor, by_place), self.give_back(visitor, by_account));
        }
        outcome
    }

    /// Runs an `attempt` that costs only when it fails by what `counts`. Who has nothing left meets
    /// that only then.
    ///
    /// # Errors
    /// [`AuthError::RateLimited`] in the place of a failure that could not be paid for; else the
    /// attempt's own. A failure that could not be counted stays what it is.
    pub async fn failing_attempt<T>(
        &self,
        action: Action,
        visitor: &Visitor,
        counts: impl Fn(&AuthError) -> bool,
        attempt: impl Future<Output = AuthResult<T>>,
    ) -> AuthResult<T> {
        self.announce(action, visitor);
        let failure = match attempt.await {
            Err(error) if counts(&error) => error,
            outcome => return outcome,
        };
        match self.take(visitor, self.charge_place(action, visitor), None).await {
            Ok(()) => Err(failure),
            Err(AuthError::RateLimited { retry_after }) => Err(AuthError::RateLimited { retry_after }),
            Err(error) => {
                tracing::debug!(error = %with_causes(&error), "a failure could not be counted");
                Err(failure)
            }
        }
    }

    /// Remembers the visitor's place for the account: its owner was there. That nobody remembers it
    /// costs them nothing now, so a failure is none of theirs.
    pub async fn remember(&self, visitor: &Visitor, email: &Email) {
        if self.context.rules.limits.login.per_account.is_none() {
            return;
        }
        let AccountAt { account, place } = self.account_at(visitor, email);
        let now = self.context.clock.now();
        if let Err(error) = self.context.rate_limits.remember_place(account, place, now).await {
            tracing::debug!(error = %with_causes(&error), "a place could not be remembered");
        }
    }

    /// What a login costs the account: in a bucket of its own where the place is known.
    async fn charge_login(&self, visitor: &Visitor, email: &Email) -> AuthResult<Option<Charge>> {
        let Some(rate) = self.context.rules.limits.login.per_account else { return Ok(None) };
        let AccountAt { account, place } = self.account_at(visitor, email);
        let now = self.context.clock.now();
        let whose = match self.context.rate_limits.is_known_place(account, place, now).await? {
            true => Whose::AccountAt(account, place),
            false => Whose::Account(account),
        };
        Ok(Some(self.charge(Action::Login.per_account(), rate, whose)))
    }

    fn account_at(&self, visitor: &Visitor, email: &Email) -> AccountAt {
        let keys = &self.context.secrets;
        let account = rate_limit::account_mark(keys, email);
        AccountAt { account, place: rate_limit::place_mark(keys, account, visitor.place()) }
    }

    fn charge_place(&self, action: Action, visitor: &Visitor) -> Option<Charge> {
        let rate = self.context.rules.limits.of(action).per_ip?;
        Some(self.charge(action.per_ip(), rate, Whose::Place(visitor.place())))
    }

    fn charge(&self, name: &'static str, rate: Rate, whose: Whose) -> Charge {
        Charge { name, bucket: rate_limit::bucket(&self.context.secrets, name, rate, whose) }
    }

    /// Notes the limits of an action, before anything is counted.
    fn announce(&self, action: Action, visitor: &Visitor) {
        let limits = self.context.rules.limits.of(action);
        for (name, rate) in [(action.per_ip(), limits.per_ip), (action.per_account(), limits.per_account)] {
            if let Some(rate) = rate {
                visitor.note(name, rate, None);
            }
        }
    }

    /// Takes a charge. If that cannot be, gives `paid` back: what is refused costs nothing.
    async fn take(&self, visitor: &Visitor, charge: Option<Charge>, paid: Option<Charge>) -> AuthResult<()> {
        let Some(Charge { name, bucket }) = charge else { return Ok(()) };
        let error = match self.context.rate_limits.take(&bucket, self.context.clock.now()).await {
            Ok(take) => {
                visitor.note(name, bucket.rate, Some(take.level));
                if take.admitted {
                    return Ok(());
                }
                tracing::info!(limit = name, "rate limited");
                AuthError::RateLimited { retry_after: take.level.more_in }
            }
            Err(error) => error.into(),
        };
        self.give_back(visitor, paid).await;
        Err(error)
    }

    /// Gives a charge back. Nobody's answer depends on it: what is not given back leaks in time.
    async fn give_back(&self, visitor: &Visitor, charge: Option<Charge>) {
        let Some(Charge { name, bucket }) = charge else { return };
        match self.context.rate_limits.give_back(&bucket, self.context.clock.now()).await {
            Ok(level) => visitor.note(name, bucket.rate, Some(level)),
            Err(error) => tracing::debug!(error = %with_causes(&error), "an attempt was not given back"),
        }
    }
}

/// Whether an error says something about what the client sent, as opposed to "cannot tell".
pub(super) fn is_verdict(error: &AuthError) -> bool {
    match error {
        AuthError::Overloaded
        | AuthError::TooManyStreams
        | AuthError::Store(_)
        | AuthError::RevocationPending(_)
        | AuthError::PasswordHash(_)
        | AuthError::Signing(_)
        | AuthError::Worker(_)
        | AuthError::FeedStale(_)
        | AuthError::RateLimited { .. } => false,
        AuthError::Invalid(_)
        | AuthError::WeakPassword { .. }
        | AuthError::InvalidCredentials
        | AuthError::AccountDisabled
        | AuthError::EmailTaken
        | AuthError::EmailNotVerified
        | AuthError::InvalidVerificationToken
        | AuthError::LastAdmin
        | AuthError::InvalidClient
        | AuthError::InvalidScope
        | AuthError::InsufficientScope
        | AuthError::ClientTaken
        | AuthError::ResetOff
        | AuthError::Unauthenticated
        | AuthError::InvalidToken(_)
        | AuthError::TokenExpired
        | AuthError::TokenRevoked
        | AuthError::InvalidRefreshToken
        | AuthError::RefreshTokenReused
        | AuthError::SessionExpired
        | AuthError::InvalidResetToken
        | AuthError::Forbidden
        | AuthError::NotFound => true,
    }
}
