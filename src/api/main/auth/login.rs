//! What logs in, and who is logged in.

use poem_openapi::Object;
use poem_openapi::types::Example;
use serde::Deserialize;

use super::registration::RegisterRequest;
use crate::api::wire::dto::{ACCESS_TOKEN_EXAMPLE, UserDto};

/// Who wants to log in.
#[derive(Deserialize, Object)]
#[oai(rename = "LoginRequest", example)]
pub struct LoginRequest {
    /// E-mail address.
    pub(super) email: String,
    /// Password.
    pub(super) password: String,
}

impl Example for LoginRequest {
    fn example() -> Self {
        let RegisterRequest { email, password, .. } = RegisterRequest::example();
        Self { email, password }
    }
}

/// The caller, and a live access token.
#[derive(Object)]
#[oai(rename = "AuthenticatedUser", rename_all = "camelCase", example)]
pub struct AuthMe {
    /// The account that the tokens belong to.
    pub(super) user: UserDto,
    /// The presented access token if it is live, else a new one.
    pub(super) access_token: String,
}

impl Example for AuthMe {
    fn example() -> Self {
        Self { user: UserDto::example(), access_token: ACCESS_TOKEN_EXAMPLE.to_owned() }
    }
}
