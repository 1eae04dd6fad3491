//! `registration.*`: how accounts come to be.

use crate::config::engine::{Always, parse, settings};

settings! {
    /// How accounts come to be.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RegistrationSettings {
        /// Whether people may register. Otherwise administrators make all accounts: by `POST /users`, `hallpass users
        /// create` or an import.
        enabled: bool = "registration.enabled" {
            kind: Boolean, parse: parse::boolean, default: Always("true"), example: "false",
        },
        /// Whether people must prove their e-mail address, by a link in a mail, before they can log in (needs
        /// `smtp.host`, but in `dev`).
        verify_email: bool = "registration.verify_email" {
            kind: Boolean, parse: parse::boolean, default: Always("false"), example: "true",
        },
        /// Whether `POST /auth/register` answers alike for an address that has an account already, whose owner gets a
        /// mail about it (needs `registration.verify_email`).
        conceal_existing: bool = "registration.conceal_existing" {
            kind: Boolean, parse: parse::boolean, default: Always("false"), example: "true",
        },
    }
}
