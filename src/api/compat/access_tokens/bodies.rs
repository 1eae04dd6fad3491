//! What this API takes and answers, and its own rules for it.

use std::fmt::Write;

use aws_lc_rs::digest;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;

use crate::api::errors::ApiError;
use crate::api::wire::dto::{ACCESS_TOKEN_EXAMPLE, REFRESH_TOKEN_EXAMPLE, UserDto};
use crate::api::wire::form::FormFields;
use crate::api::wire::json::Json;
use crate::domain::user::User;
use crate::service::accounts::Registration;
use crate::service::sessions::TokenPair;

/// The fewest characters of a new password on this API, whatever the policy says.
const PASSWORD_MIN_CHARS: usize = 8;

/// Who signs up. Anything else in the body is ignored.
#[derive(Deserialize, Object)]
#[oai(rename = "NewUser", example)]
pub struct NewUser {
    /// E-mail address, at most 254 bytes; upper and lower case are the same, and so it is with spaces
    /// around it.
    pub(super) email: String,
    /// The whole name. Up to the first space it is the first name, behind it the last name, each at
    /// most 100 characters.
    pub(super) name: String,
    /// Password: at least 8 characters with a lower-case letter, an upper-case letter and a digit,
    /// at most 1,024 bytes, and not a common one.
    pub(super) password: String,
}

impl FormFields for NewUser {}

impl Example for NewUser {
    fn example() -> Self {
        Self {
            email: "ada@example.com".to_owned(),
            name: "Ada Lovelace".to_owned(),
            password: "Engines weave 1843 patterns".to_owned(),
        }
    }
}

/// Who logs in.
#[derive(Deserialize, Object)]
#[oai(rename = "Login", example)]
pub struct Login {
    /// E-mail address; upper and lower case are the same, and so it is with spaces around it.
    pub(super) email: String,
    /// Password.
    pub(super) password: String,
}

impl FormFields for Login {}

impl Example for Login {
    fn example() -> Self {
        let NewUser { email, password, .. } = NewUser::example();
        Self { email, password }
    }
}

/// The session, named by its refresh token.
#[derive(Deserialize, Object)]
#[oai(rename = "SessionToken", example)]
pub struct SessionToken {
    /// The refresh token of the session that the access token belongs to.
    pub(super) refresh_token: String,
}

impl FormFields for SessionToken {}

impl Example for SessionToken {
    fn example() -> Self {
        Self { refresh_token: REFRESH_TOKEN_EXAMPLE.to_owned() }
    }
}

/// The tokens of the new session.
#[derive(Object)]
#[oai(rename = "Tokens", example)]
pub struct Tokens {
    /// The access token, a signed JWT for `x-access-token`.
    pub(super) jwt: String,
    /// Buys new access tokens for as long as the session lives. Keep it secret; it is opaque.
    pub(super) refresh_token: String,
}

impl Tokens {
    pub(super) fn new(pair: &TokenPair) -> Self {
        Self { jwt: pair.access.expose().to_owned(), refresh_token: pair.refresh.expose().to_owned() }
    }
}

impl Example for Tokens {
    fn example() -> Self {
        Self { jwt: ACCESS_TOKEN_EXAMPLE.to_owned(), refresh_token: REFRESH_TOKEN_EXAMPLE.to_owned() }
    }
}

/// A new access token of the session.
#[derive(Object)]
#[oai(rename = "NewAccessToken", example)]
pub struct NewAccessToken {
    /// The access token, a signed JWT for `x-access-token`.
    pub(super) jwt: String,
}

impl Example for NewAccessToken {
    fn example() -> Self {
        Self { jwt: ACCESS_TOKEN_EXAMPLE.to_owned() }
    }
}

/// The caller's account.
#[derive(Object)]
#[oai(rename = "Profile", example)]
pub struct Profile {
    /// First and last name, with a space between; empty if none was given.
    pub(super) name: String,
    /// E-mail address, in lower case.
    pub(super) email: String,
    /// A picture for the address, from Gravatar.
    pub(super) avatar_url: String,
}

impl From<&User> for Profile {
    fn from(user: &User) -> Self {
        let UserDto { first_name, last_name, email, .. } = user.into();
        let names: Vec<String> = first_name.into_iter().chain(last_name).collect();
        Self { name: names.join(" "), avatar_url: avatar_url(&email), email }
    }
}

impl Example for Profile {
    fn example() -> Self {
        let NewUser { email, name, .. } = NewUser::example();
        Self { name, avatar_url: avatar_url(&email), email }
    }
}

/// The answer to a registration.
#[derive(ApiResponse)]
pub enum CreateUserResponse {
    /// The account exists now and is logged in.
    #[oai(status = 201)]
    Created(Json<Tokens>),
}

/// The answer to a logout.
#[derive(ApiResponse)]
pub enum DeleteResponse {
    /// The session has ended and its tokens are refused from now on.
    #[oai(status = 204)]
    Gone,
}

impl NewUser {
    /// In the service's words, if it keeps what this API asks beside the service's own rules.
    pub(super) fn registration(self) -> Result<Registration, ApiError> {
        let Self { email, name, password } = self;
        if name.trim().is_empty() {
            return Err(ApiError::invalid_field("name", "is empty"));
        }
        if !is_composed(&password) {
            let problem = "needs 8 characters with a lower-case letter, an upper-case letter and a digit";
            return Err(ApiError::invalid_field("password", problem));
        }
        let (first, last) = split_name(&name);
        Ok(Registration {
            email: email.trim().to_owned(),
            password,
            first_name: Some(first.to_owned()),
            last_name: last.map(str::to_owned),
        })
    }
}

/// First name up to the first space, last name behind it.
fn split_name(name: &str) -> (&str, Option<&str>) {
    let name = name.trim();
    name.split_once(' ').map_or((name, None), |(first, last)| (first, Some(last)))
}

/// The contract's rule for new passwords.
fn is_composed(password: &str) -> bool {
    password.chars().count() >= PASSWORD_MIN_CHARS
        && password.chars().any(char::is_lowercase)
        && password.chars().any(char::is_uppercase)
        && password.chars().any(|c| c.is_ascii_digit())
}

/// Gravatar's picture for an address, or its anonymous figure: 200 pixels wide.
fn avatar_url(email: &str) -> String {
    let digest = digest::digest(&digest::SHA256, email.as_bytes());
    let mut hash = String::new();
    for byte in digest.as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(hash, "{byte:02x}");
    }
    format!("https://www.gravatar.com/avatar/{hash}?d=mm&s=200")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_at_its_first_space() {
        for (name, parts) in [
            ("Ada", ("Ada", None)),
            ("Ada Lovelace", ("Ada", Some("Lovelace"))),
            (" Ada King Lovelace ", ("Ada", Some("King Lovelace"))),
        ] {
            assert_eq!(split_name(name), parts, "{name:?}");
        }
    }

    #[test]
    fn a_password_has_eight_characters_of_three_kinds() {
        for good in ["Abcdefg1", "1aB     ", "Żółć 1 ż"] {
            assert!(is_composed(good), "{good}");
        }
        for bad in ["Abcdef1", "abcdefg1", "ABCDEFG1", "Abcdefgh", "Abcdefg²", ""] {
            assert!(!is_composed(bad), "{bad}");
        }
    }

    /// The hash is `printf ada@example.com | sha256sum`.
    #[test]
    fn an_avatar_is_gravatars_for_the_address() {
        let hash = "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72";
        let url = format!("https://www.gravatar.com/avatar/{hash}?d=mm&s=200");
        assert_eq!(avatar_url("ada@example.com"), url);
    }
}
