//! Choosing, hashing and checking passwords.

use std::sync::Arc;

use super::error::{Error, Field, Result};
use super::password_workers::{PasswordWorkers, Requester};
use crate::domain::password::{NewPassword, Password, PasswordHash, PasswordPolicy};
use crate::domain::random::Random;
use crate::domain::user::User;

/// Passwords. Cheap to clone.
#[derive(Clone)]
pub(super) struct Passwords {
    pub(super) policy: PasswordPolicy,
    pub(super) workers: PasswordWorkers,
    pub(super) random: Arc<dyn Random>,
}

impl Passwords {
    /// A password that may be chosen, as the policy has it.
    ///
    /// # Errors
    /// [`Error::WeakPassword`] in that field.
    pub(super) fn choose(&self, text: impl Into<String>, email: &str, field: Field) -> Result<NewPassword> {
        let chosen = self.policy.choose(text, email);
        chosen.map_err(|reason| Error::WeakPassword { field, reason })
    }

    /// The hash of a password, by a worker that is free for the requester.
    ///
    /// # Errors
    /// [`Error::Overloaded`].
    pub(super) async fn hash(&self, requester: Requester, password: NewPassword) -> Result<PasswordHash> {
        let random = self.random.clone();
        Ok(self.workers.run(requester, move |hasher| hasher.hash(&password, &*random)).await??)
    }

    /// Lets the account pass if the password is its own. An unknown account costs the same work.
    /// To be asked through [`Limits::password_attempt`](super::limits::Limits::password_attempt) alone.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`], [`Error::Overloaded`].
    pub(super) async fn verify(
        &self,
        user: Option<User>,
        password: Password,
        requester: Requester,
    ) -> Result<User> {
        let hash = user.as_ref().map(|user| user.password.clone());
        let right =
            self.workers.run(requester, move |hasher| hasher.verify(&password, hash.as_ref())).await??;
        user.filter(|_| right).ok_or(Error::InvalidCredentials)
    }

    /// Whether a hash was made at another cost than the present one.
    pub(super) fn is_outdated(&self, hash: &PasswordHash) -> bool {
        self.workers.hasher().is_outdated(hash)
    }
}
