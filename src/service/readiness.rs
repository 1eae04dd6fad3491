//! Whether the service can do its work, and which part of it.
//!
//! Readiness decides whether requests are sent here. A replica that is out of order for one thing and
//! goes on with another must not be taken out for all, and one whose store answers a ping and refuses
//! every write must not stay in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::clock_watch::ClockWatch;
use super::revocations::Revocations;
use crate::domain::causes::with_causes;
use crate::store::{Probe, StoreError, TokenStore, UserStore};

/// What callers want of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Check an access token.
    Validate,
    /// Redeem a refresh token.
    Refresh,
    /// Open a session.
    Login,
    /// End sessions, whoever wants it.
    Revoke,
}

impl Operation {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Validate, Self::Refresh, Self::Login, Self::Revoke];

    /// What it is called in paths and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Refresh => "refresh",
            Self::Login => "login",
            Self::Revoke => "revoke",
        }
    }
}

/// How something is that the service stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// As it should be.
    Ok,
    /// Not fit, and in what way: a word that names no host.
    Failing(&'static str),
}

/// What was found out about one thing.
#[derive(Clone, Copy, Debug)]
pub struct Checked {
    /// What was looked at, as callers know it. Two findings of one name are about two sides of it.
    pub name: &'static str,
    /// How it is.
    pub check: Check,
    /// What cannot be done without it.
    pub needed_for: &'static [Operation],
}

/// In a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Everything is as it should be.
    Ready,
    /// Tokens are validated and refreshed; something else is not as it should be.
    Degraded,
    /// Tokens are not validated, or not refreshed.
    NotReady,
}

/// What was found out about everything.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// One after the other.
    pub checks: Vec<Checked>,
}

impl Readiness {
    /// Whether nothing stands in the way of that.
    pub fn serves(&self, operation: Operation) -> bool {
        let stands_in_the_way =
            |checked: &Checked| checked.check != Check::Ok && checked.needed_for.contains(&operation);
        !self.checks.iter().any(stands_in_the_way)
    }

    /// Whether nothing stands in the way of each operation.
    pub fn of_operations(&self) -> Vec<(&'static str, bool)> {
        Operation::ALL.iter().map(|one| (one.word(), self.serves(*one))).collect()
    }

    /// Whether each thing is as it should be, in all that was found out about it.
    pub fn of_things(&self) -> Vec<(&'static str, bool)> {
        let mut things: Vec<(&'static str, bool)> = Vec::new();
        for checked in &self.checks {
            let is_ok = checked.check == Check::Ok;
            match things.iter_mut().find(|(name, _)| *name == checked.name) {
                Some((_, all_ok)) => *all_ok &= is_ok,
                None => things.push((checked.name, is_ok)),
            }
        }
        things
    }

    /// In a word.
    pub fn status(&self) -> Status {
        if !self.serves(Operation::Validate) || !self.serves(Operation::Refresh) {
            Status::NotReady
        } else if self.checks.iter().any(|checked| checked.check != Check::Ok) {
            Status::Degraded
        } else {
            Status::Ready
        }
    }
}

/// What the service stands on. Cheap to clone.
#[derive(Clone)]
pub struct ReadinessCheck {
    pub(super) users: Arc<dyn UserStore>,
    pub(super) token_store: Arc<dyn TokenStore>,
    pub(super) revocations: Revocations,
    pub(super) clocks: ClockWatch,
    pub(super) is_stopping: Arc<AtomicBool>,
}

impl ReadinessCheck {
    /// The service is about to stop: it is ready for nothing from now on, and does what it is asked.
    pub fn step_down(&self) {
        self.is_stopping.store(true, Ordering::Release);
    }

    /// Looks at everything that the service stands on, within the stores' own limits.
    ///
    /// Whoever adds a thing to stand on adds a line here.
    pub async fn check(&self) -> Readiness {
        use Operation::{Login, Refresh, Revoke};
        let (database, [reads, revokes, writes]) = tokio::join!(self.check_database(), self.check_tokens());
        let journal = match reads {
            Check::Ok => judge("journal", self.token_store.ping().await, "behind"),
            // Without the store nobody can tell.
            failing => failing,
        };
        let feed = if self.revocations.is_fresh() { Check::Ok } else { Check::Failing("stale") };
        // A copy that answers needs no store to validate by.
        let reads_for = if self.revocations.answers() { &[Refresh, Login, Revoke] } else { Operation::ALL };
        let (own_clock, others_clocks) = self.check_clocks();
        let check = |name, check, needed_for| Checked { name, check, needed_for };
        let mut readiness = Readiness {
            checks: vec![
                check("token_store", reads, reads_for),
                check("token_store", revokes, &[Refresh, Login, Revoke]),
                check("token_store", writes, &[Refresh, Login]),
                check("database", database, &[Login, Revoke]),
                check("feed", feed, &[]),
                check("journal", journal, reads_for),
                check("clock", own_clock, &[Refresh, Login]),
                check("clock", others_clocks, &[]),
            ],
        };
        if self.is_stopping.load(Ordering::Acquire) {
            readiness.checks.push(check("shutdown", Check::Failing("stopping"), Operation::ALL));
        }
        readiness
    }

    /// This replica's clock, by which tokens begin and end here, and those of the stores.
    fn check_clocks(&self) -> (Check, Check) {
        let odd = self.clocks.odd();
        let judge = |ahead: Option<i64>, problem| ahead.map_or(Check::Ok, |_| Check::Failing(problem));
        let others = match judge(odd.token_store, "token_store_odd") {
            Check::Ok => judge(odd.database, "database_odd"),
            failing => failing,
        };
        (judge(odd.own, "odd"), others)
    }

    async fn check_database(&self) -> Check {
        judge("database", self.users.ping().await, "unavailable")
    }

    /// The three sides of the token store: whether it reads, revokes and takes new entries.
    async fn check_tokens(&self) -> [Check; 3] {
        const SIDES: [(Probe, &str); 3] =
            [(Probe::Read, "unavailable"), (Probe::Revoke, "read_only"), (Probe::Write, "full")];
        let mut checks = [Check::Ok; 3];
        for (number, (probe, word)) in SIDES.into_iter().enumerate() {
            let check = judge("token_store", self.token_store.probe(probe).await, word);
            if check != Check::Ok {
                // What comes after can do no better.
                checks[number..].fill(check);
                break;
            }
        }
        checks
    }
}

fn judge(name: &'static str, answer: Result<(), StoreError>, word: &'static str) -> Check {
    match answer {
        Ok(()) => Check::Ok,
        Err(error) => {
            tracing::warn!(store = name, error = %with_causes(&error), "not ready");
            Check::Failing(word)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_for_what_nothing_stands_in_the_way_of() {
        use Operation::{Login, Refresh, Revoke, Validate};
        for (needed_for, status) in [
            (&[][..], Status::Degraded),
            (&[Login, Revoke], Status::Degraded),
            (&[Refresh], Status::NotReady),
            (&[Validate], Status::NotReady),
        ] {
            let fine = Checked { name: "a", check: Check::Ok, needed_for: Operation::ALL };
            let failing = Checked { name: "b", check: Check::Failing("away"), needed_for };
            let readiness = Readiness { checks: vec![fine, failing] };
            assert_eq!(readiness.status(), status);
            for operation in Operation::ALL {
                assert_eq!(readiness.serves(*operation), !needed_for.contains(operation), "{operation:?}");
            }
            assert_eq!(Readiness { checks: vec![fine] }.status(), Status::Ready);
        }
    }
}
