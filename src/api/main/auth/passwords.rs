//! What changes a password, or resets a forgotten one.

use poem_openapi::Object;
use poem_openapi::types::Example;
use serde::Deserialize;

use crate::domain::tokens::ResetToken;

/// Whose password was forgotten.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "PasswordResetRequest", example)]
pub struct PasswordResetRequest {
    /// E-mail address of the account.
    pub(super) email: String,
}

impl Example for PasswordResetRequest {
    fn example() -> Self {
        Self { email: "ada@example.com".to_owned() }
    }
}

/// The same for every address.
pub(super) const RESET_REQUESTED: &str = "if the address has an account, a reset token was issued";

/// The request was taken. The same for every address, whether it has an account or not.
#[derive(Object)]
#[oai(rename = "PasswordResetRequested", rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct PasswordResetRequested {
    /// What was done.
    pub(super) message: String,
    /// The reset token, only where the service is set to answer it (`reset.delivery =
    /// "response"`, as `hallpass dev` is). For an address without an account it opens nothing.
    pub(super) password_reset_token: Option<String>,
}

impl PasswordResetRequested {
    pub(crate) fn new(message: &str, token: Option<ResetToken>) -> Self {
        Self {
            message: message.to_owned(),
            password_reset_token: token.map(|token| token.expose().to_owned()),
        }
    }
}

impl Example for PasswordResetRequested {
    fn example() -> Self {
        Self {
            message: RESET_REQUESTED.to_owned(),
            password_reset_token: Some("hp_pr_AQAAAAAAAAABexampleexampleexampleexampleexample".to_owned()),
        }
    }
}

/// A reset token and the password that it buys.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename = "PasswordReset", rename_all = "camelCase", example)]
pub struct PasswordReset {
    /// The newest reset token of the account, of the place that it was asked for at; it works once.
    pub(super) reset_token: String,
    /// The new password, under the same rules as at registration.
    pub(super) new_password: String,
}

impl Example for PasswordReset {
    fn example() -> Self {
        Self {
            reset_token: "hp_pr_AQAAAAAAAAABexampleexampleexampleexampleexample".to_owned(),
            new_password: "a better one this time".to_owned(),
        }
    }
}

/// The password as it is and as it shall be.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename = "PasswordChange", rename_all = "camelCase", example)]
pub struct PasswordChange {
    /// The password as it is.
    pub(super) current_password: String,
    /// The new password, under the same rules as at registration.
    pub(super) new_password: String,
}

impl Example for PasswordChange {
    fn example() -> Self {
        Self {
            current_password: "an engine weaves patterns".to_owned(),
            new_password: "a better one this time".to_owned(),
        }
    }
}

/// The new password holds from now on, and all sessions of the account have ended.
#[derive(Object)]
#[oai(rename = "PasswordChanged", example)]
pub struct PasswordChanged {
    /// What was done.
    pub(super) message: String,
}

impl Example for PasswordChanged {
    fn example() -> Self {
        Self { message: "password changed successfully".to_owned() }
    }
}
