//! `admin.*`: an administrator to be created at start if absent.

use crate::config::engine::{DevOnly, Parsed, Review, problem, settings};
use crate::domain::email::Email;
use crate::domain::password::Password;

/// The address of the administrator that `hallpass dev` creates.
pub const SAMPLE_ADMIN_EMAIL: &str = "johndoe@example.com";

/// Its password: known to everyone, so `serve` refuses it.
pub const SAMPLE_ADMIN_PASSWORD: &str = "password";

settings! {
    /// An administrator to be created at start if absent: both are set, or neither is.
    #[derive(Clone, Debug, Default)]
    pub struct AdminSettings {
        /// The address of an administrator that is created at start if absent.
        email: Option<Email> = "admin.email" {
            kind: Text, parse: email, default: DevOnly(SAMPLE_ADMIN_EMAIL), example: "ada@example.com",
        },
        /// That administrator's first password.
        password: Option<Password> = "admin.password" {
            kind: Secret, parse: password, default: DevOnly(SAMPLE_ADMIN_PASSWORD), example: "(a password)",
        },
    }
}

impl AdminSettings {
    /// Both, if they are set.
    pub fn account(&self) -> Option<(&Email, &Password)> {
        self.email.as_ref().zip(self.password.as_ref())
    }

    /// Whether the password is the one that everybody knows.
    pub fn has_sample_password(&self) -> bool {
        self.password.as_ref().is_some_and(|password| password.expose() == SAMPLE_ADMIN_PASSWORD.as_bytes())
    }

    pub(crate) fn review(&self, review: &mut Review<'_>) {
        review.both_or_neither("admin.email", "admin.password");
    }
}

fn email(text: &str) -> Parsed<Email> {
    Email::parse(text).or_else(|error| problem(error.to_string(), "write it like ada@example.com"))
}

fn password(text: &str) -> Parsed<Password> {
    Password::parse(text).or_else(|error| problem(error.to_string(), "choose a shorter one"))
}
