//! What ends sessions.

use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};
use serde::Deserialize;

use crate::api::wire::dto::REFRESH_TOKEN_EXAMPLE;
use crate::service::sessions::LogoutScope;

/// A refresh token in the body, for clients that log out by it and do not send it in `X-Refresh-Token`.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename = "LogoutRequest", rename_all = "camelCase", example)]
pub struct LogoutRequest {
    /// The refresh token of the last login or refresh.
    #[serde(alias = "refresh_token")]
    pub(super) refresh_token: Option<String>,
}

impl Example for LogoutRequest {
    fn example() -> Self {
        Self { refresh_token: Some(REFRESH_TOKEN_EXAMPLE.to_owned()) }
    }
}

/// Which of the account's sessions a logout ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "LogoutScope", rename_all = "lowercase")]
pub enum ScopeParam {
    /// The session of the presented token.
    Local,
    /// All but that one.
    Others,
    /// All of them.
    Global,
}

impl From<ScopeParam> for LogoutScope {
    fn from(scope: ScopeParam) -> Self {
        match scope {
            ScopeParam::Local => Self::Local,
            ScopeParam::Others => Self::Others,
            ScopeParam::Global => Self::Global,
        }
    }
}

/// The session, or those that `scope` names, have ended, and their tokens are refused from now on.
#[derive(Object)]
#[oai(rename = "LoggedOut", example)]
pub struct LoggedOut {
    /// What was done.
    pub(super) message: String,
}

impl Example for LoggedOut {
    fn example() -> Self {
        Self { message: "logged out successfully".to_owned() }
    }
}
