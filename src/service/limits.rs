//! Rate limits: who asks, what an attempt costs, and when it costs nothing.
//!
//! - Limits are per address (an IPv6 network of 64 bits counts as one) and per account, by its
//!   e-mail address: whether there is such an account makes no difference to anything here.
//! - A password is paid for before it is looked at, which bounds guessing also under concurrency, and
//!   the work of hashing with it. A wrong one has cost a guess and a right one a login: of the other it
//!   is given back. An answer that is no verdict (503) costs nothing.
//! - What is left for an account is told only to those who have shown its password: from a place that the
//!   account is known at it would tell that there is one.
//! - **No place takes more than a third of what an account has**, wrong passwords or requested mails:
//!   to leave an owner at a new place nothing takes three places at least. That holds for places that the
//!   account is known at as well, so how much may be guessed does not tell them apart.
//! - **No stranger locks an owner out of their usual place.** A place that an account has logged in from
//!   is remembered, and attempts from there pay for nothing but that place's own third: what others try
//!   from elsewhere does not touch it.
//! - A right password is not let through where nothing is left: that would tell that it is right. The
//!   way in is a reset, which makes a place known.
//! - The buckets are in the token store. When that is away, what could reveal something is not done
//!   (503): guesses must not be free then. What is wrong by itself stays wrong, uncounted; and a
//!   registration, which reveals nothing and which the hash workers bound, is made.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::error::{Error, Result};
use super::named_in_log;
use super::password_workers::Requester;
use super::visitor::Visitor;
use crate::crypto::rate_limit::{self, MarkKey, Whose};
use crate::domain::causes::with_causes;
use crate::domain::email::Email;
use crate::domain::rate_limit::{AccountMark, Action, Bucket, LimitRules, PlaceMark, Rate};
use crate::store::RateLimitStore;

/// One unit of one bucket.
#[derive(Clone, Copy)]
struct Charge {
    name: &'static str,
    bucket: Bucket,
    is_of_place: bool,
}

/// An account and the place from which it is asked for.
#[derive(Clone, Copy)]
pub(super) struct AccountAt {
    pub(super) account: AccountMark,
    pub(super) place: PlaceMark,
}

/// The limits. Cheap to clone.
#[derive(Clone)]
pub struct Limits {
    pub(super) rate_limits: Arc<dyn RateLimitStore>,
    pub(super) mark_key: MarkKey,
    pub(super) rules: Arc<ArcSwap<LimitRules>>,
}

impl Limits {
    /// Goes by other rules from now on, as all its clones. What was spent stays spent.
    pub fn change_rules(&self, rules: LimitRules) {
        self.rules.store(Arc::new(rules));
    }

    fn rules(&self) -> LimitRules {
        **self.rules.load()
    }

    /// For whom the work of this visitor is done, with the account of an address.
    pub(super) fn requester(&self, visitor: &Visitor, email: &Email) -> Requester {
        let account = rate_limit::account_mark(&self.mark_key, email);
        Requester { place: visitor.place(), account: Some(account) }
    }

    /// Checks a password by `check`, which fails by [`Error::InvalidCredentials`]: that costs a
    /// guess, and a right password a login. After one, the place is known.
    ///
    /// A caller that goes away meanwhile has paid: a guess must not be free for one who hangs up
    /// before its answer.
    ///
    /// # Errors
    /// [`Error::RateLimited`] and `check` was not begun; else those of `check`.
    pub async fn password_attempt<T>(
        &self,
        visitor: &Visitor,
        email: &Email,
        check: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        named_in_log::email(rate_limit::account_mark(&self.mark_key, email));
        self.announce(Action::Login, visitor);
        self.announce(Action::LoginSuccess, visitor);
        let mut guess = Paid { limits: self, visitor, charges: Vec::new() };
        let mut login = Paid { limits: self, visitor, charges: Vec::new() };
        let paying = async {
            guess.pay(self.charge_place(Action::Login, visitor)).await?;
            login.pay(self.charge_place(Action::LoginSuccess, visitor)).await?;
            guess.pay(self.charge_share(Action::Login, visitor, email)).await?;
            guess.pay(self.charge_login(visitor, email).await?).await?;
            login.pay(self.charge_account(Action::LoginSuccess, email)).await
        };
        let outcome = match paying.await {
            Ok(()) => check.await,
            Err(error) => Err(error),
        };
        match &outcome {
            Ok(_) => {
                visitor.quota_log().tell_all();
                tokio::join!(guess.give_back(), self.remember(visitor, email));
            }
            Err(Error::InvalidCredentials) => login.give_back().await,
            Err(_) => drop(tokio::join!(guess.give_back(), login.give_back())),
        }
        outcome
    }

    /// Runs an `attempt` that costs, whatever comes of it but "cannot tell" and a password that may not be
    /// chosen. A registration is made also when it cannot be counted.
    ///
    /// # Errors
    /// [`Error::RateLimited`] and the attempt was not begun; else its own.
    pub async fn attempt<T>(
        &self,
        action: Action,
        visitor: &Visitor,
        email: &Email,
        attempt: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        named_in_log::email(rate_limit::account_mark(&self.mark_key, email));
        self.announce(action, visitor);
        let mut paid = Paid { limits: self, visitor, charges: Vec::new() };
        let paying = async {
            paid.pay(self.charge_place(action, visitor)).await?;
            paid.pay(self.charge_share(action, visitor, email)).await?;
            paid.pay(self.charge_account(action, email)).await
        };
        match paying.await {
            Ok(()) => {}
            Err(Error::Store(error)) if action == Action::Register => {
                tracing::warn!(error = %with_causes(&error), "a registration could not be counted");
            }
            Err(error) => {
                paid.give_back().await;
                return Err(error);
            }
        }
        let outcome = attempt.await;
        let costs = |error: &Error| error.is_verdict() && !matches!(error, Error::WeakPassword { .. });
        if outcome.as_ref().is_err_and(|error| !costs(error)) {
            paid.give_back().await;
        }
        outcome
    }

    /// Runs an `attempt` that costs only when it fails by what `counts`. Who has nothing left meets
    /// that only then.
    ///
    /// # Errors
    /// [`Error::RateLimited`] in the place of a failure that could not be paid for; else the
    /// attempt's own. A failure that could not be counted stays what it is.
    pub async fn failing_attempt<T>(
        &self,
        action: Action,
        visitor: &Visitor,
        counts: impl Fn(&Error) -> bool,
        attempt: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.announce(action, visitor);
        let failure = match attempt.await {
            Err(error) if counts(&error) => error,
            outcome => return outcome,
        };
        let mut paid = Paid { limits: self, visitor, charges: Vec::new() };
        match paid.pay(self.charge_place(action, visitor)).await {
            Ok(()) => Err(failure),
            Err(Error::RateLimited { retry_after }) => Err(Error::RateLimited { retry_after }),
            Err(error) => {
                tracing::debug!(error = %with_causes(&error), "a failure could not be counted");
                Err(failure)
            }
        }
    }

    /// Remembers the visitor's place for the account: its owner was there. Where that fails,
    /// nothing is lost for them now, so it is no failure of theirs.
    pub async fn remember(&self, visitor: &Visitor, email: &Email) {
        if self.rules().login.per_account.is_none() {
            return;
        }
        let AccountAt { account, place } = self.account_at(visitor, email);
        if let Err(error) = self.rate_limits.remember_place(account, place).await {
            tracing::debug!(error = %with_causes(&error), "a place could not be remembered");
        }
    }

    /// What a login costs the account, beside the place's share: nothing where the place is known.
    async fn charge_login(&self, visitor: &Visitor, email: &Email) -> Result<Option<Charge>> {
        let Some(charge) = self.charge_account(Action::Login, email) else { return Ok(None) };
        let AccountAt { account, place } = self.account_at(visitor, email);
        let is_known = self.rate_limits.is_known_place(account, place).await?;
        Ok((!is_known).then_some(charge))
    }

    /// What is taken of what the visitor's place may have of the account's.
    fn charge_share(&self, action: Action, visitor: &Visitor, email: &Email) -> Option<Charge> {
        let rate = self.rules().of(action).per_account?;
        let AccountAt { account, place } = self.account_at(visitor, email);
        let whose = Whose::AccountAt(account, place);
        let share = || self.charge(action.per_account(), rate.share_of_a_place(), whose);
        action.is_shared_between_places().then(share)
    }

    /// What an account and a place are known by, to each other.
    pub(super) fn account_at(&self, visitor: &Visitor, email: &Email) -> AccountAt {
        let key = &self.mark_key;
        let account = rate_limit::account_mark(key, email);
        AccountAt { account, place: rate_limit::place_mark(key, account, visitor.place()) }
    }

    /// What stands in for a place to an account where an administrator acts for it.
    pub(super) fn administrators_place(&self, email: &Email) -> PlaceMark {
        let key = &self.mark_key;
        rate_limit::administrators_mark(key, rate_limit::account_mark(key, email))
    }

    fn charge_account(&self, action: Action, email: &Email) -> Option<Charge> {
        let rate = self.rules().of(action).per_account?;
        let account = rate_limit::account_mark(&self.mark_key, email);
        Some(self.charge(action.per_account(), rate, Whose::Account(account)))
    }

    fn charge_place(&self, action: Action, visitor: &Visitor) -> Option<Charge> {
        let rate = self.rules().of(action).per_ip?;
        Some(self.charge(action.per_ip(), rate, Whose::Place(visitor.place())))
    }

    fn charge(&self, name: &'static str, rate: Rate, whose: Whose) -> Charge {
        let is_of_place = matches!(whose, Whose::Place(_));
        Charge { name, bucket: rate_limit::bucket(&self.mark_key, name, rate, whose), is_of_place }
    }

    /// Notes the limits of an action, before anything is counted.
    fn announce(&self, action: Action, visitor: &Visitor) {
        let limits = self.rules().of(action);
        let per_account = limits.per_account.map(|rate| match action.is_shared_between_places() {
            true => rate.share_of_a_place(),
            false => rate,
        });
        for (name, rate) in [(action.per_ip(), limits.per_ip), (action.per_account(), per_account)] {
            if let Some(rate) = rate {
                visitor.quota_log().announce(name, rate);
            }
        }
    }
}

/// What was paid for one attempt.
struct Paid<'a> {
    limits: &'a Limits,
    visitor: &'a Visitor,
    charges: Vec<Charge>,
}

impl Paid<'_> {
    /// Takes a charge, if there is one to take. What is refused costs nothing: after a refusal
    /// the caller gives back what was paid before.
    async fn pay(&mut self, charge: Option<Charge>) -> Result<()> {
        let Some(charge) = charge else { return Ok(()) };
        let take = self.limits.rate_limits.take(&charge.bucket).await?;
        self.visitor.quota_log().record(charge.name, &charge.bucket, take.level, charge.is_of_place);
        if !take.admitted {
            tracing::info!(limit = charge.name, "rate limited");
            return Err(Error::RateLimited { retry_after: take.level.more_in });
        }
        self.charges.push(charge);
        Ok(())
    }

    /// Gives back what was paid. No answer depends on it: what is not given back leaks in time.
    async fn give_back(&mut self) {
        let log = self.visitor.quota_log();
        for charge in self.charges.drain(..) {
            match self.limits.rate_limits.give_back(&charge.bucket).await {
                Ok(level) => log.record(charge.name, &charge.bucket, level, charge.is_of_place),
                Err(error) => {
                    tracing::debug!(error = %with_causes(&error), "an attempt was not given back");
                }
            }
        }
    }
}
