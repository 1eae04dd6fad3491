//! What logs in, and who is logged in.

use poem::Response;
use poem_openapi::Object;
use poem_openapi::types::Example;
use serde::{Deserialize, Serialize};

use super::registration::RegisterRequest;
use crate::api::wire::dto::{ACCESS_TOKEN_EXAMPLE, UserDto};
use crate::api::wire::json;
use crate::api::wire::targets::Targets;
use crate::domain::name::Name;
use crate::domain::user::User;

/// Who wants to log in.
#[derive(Deserialize, Object)]
#[oai(rename = "LoginRequest", skip_serializing_if_is_none, example)]
pub struct LoginRequest {
    /// E-mail address.
    pub(super) email: String,
    /// Password.
    pub(super) password: String,
    /// Whom the access tokens of the session are to be for, absolute URIs, 8 at most: some of those that the service
    /// lists for logins (`tokens.audiences`). This service alone unless given.
    pub(super) resource: Option<Targets>,
}

impl Example for LoginRequest {
    fn example() -> Self {
        let RegisterRequest { email, password, .. } = RegisterRequest::example();
        Self { email, password, resource: None }
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

/// The same as it is written.
#[derive(Serialize)]
struct Written<'a> {
    user: WrittenUser<'a>,
    #[serde(rename = "accessToken")]
    access_token: &'a str,
}

#[derive(Serialize)]
struct WrittenUser<'a> {
    id: i64,
    first_name: Option<&'a str>,
    last_name: Option<&'a str>,
    email: &'a str,
    email_verified: bool,
}

impl AuthMe {
    /// The answer as it goes over the wire, straight from what it is made of.
    pub(in crate::api) fn written(user: &User, access_token: &str) -> Response {
        let user = WrittenUser {
            id: user.id.get(),
            first_name: user.first_name.as_ref().map(Name::as_str),
            last_name: user.last_name.as_ref().map(Name::as_str),
            email: user.email.as_str(),
            email_verified: user.email_verified,
        };
        json::written(&Written { user, access_token })
    }
}

impl Example for AuthMe {
    fn example() -> Self {
        Self { user: UserDto::example(), access_token: ACCESS_TOKEN_EXAMPLE.to_owned() }
    }
}
