//! What several operations answer.

use poem_openapi::Object;
use poem_openapi::types::Example;

use crate::domain::name::Name;
use crate::domain::user::User;
use crate::service::sessions::TokenPair;

pub(super) const ACCESS_TOKEN_EXAMPLE: &str =
    "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiIsImtpZCI6IuKApiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
pub(super) const REFRESH_TOKEN_EXAMPLE: &str =
    "hp_rt_AQAAAAAAAAABexampleexampleexampleexampleexampleexampleexampleexampleexampleex";

/// An account as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename = "User", example)]
pub struct UserDto {
    /// The account's id, never given twice.
    pub id: i64,
    /// First name, `null` if none was given.
    #[oai(nullable)]
    pub first_name: Option<String>,
    /// Last name, `null` if none was given.
    #[oai(nullable)]
    pub last_name: Option<String>,
    /// E-mail address, in lower case.
    pub email: String,
}

impl From<&User> for UserDto {
    fn from(user: &User) -> Self {
        let text = |name: &Option<Name>| name.as_ref().map(|name| name.as_str().to_owned());
        Self {
            id: user.id.get(),
            first_name: text(&user.first_name),
            last_name: text(&user.last_name),
            email: user.email.as_str().to_owned(),
        }
    }
}

impl Example for UserDto {
    fn example() -> Self {
        Self {
            id: 1,
            first_name: Some("Ada".to_owned()),
            last_name: Some("Lovelace".to_owned()),
            email: "ada@example.com".to_owned(),
        }
    }
}

/// A pair of tokens of one session.
#[derive(Clone, PartialEq, Eq, Object)]
#[oai(rename = "TokenPair", rename_all = "camelCase", example)]
pub struct TokenPairDto {
    /// A signed JWT for `Authorization: Bearer`. Any service can check it with the keys at
    /// `/.well-known/jwks.json`.
    pub access_token: String,
    /// Buys the next pair, once. Keep it secret; it is opaque.
    pub refresh_token: String,
    /// How to present the access token: always `Bearer`.
    pub token_type: String,
    /// Seconds until the access token ends.
    pub expires_in: i64,
    /// When the session ends in any case, seconds since the Unix epoch.
    pub session_expires_at: i64,
}

impl TokenPairDto {
    pub(super) fn new(pair: &TokenPair) -> Self {
        Self {
            access_token: pair.access.expose().to_owned(),
            refresh_token: pair.refresh.expose().to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: pair.access_expires_in,
            session_expires_at: pair.session.absolute_deadline.as_secs(),
        }
    }
}

impl Example for TokenPairDto {
    fn example() -> Self {
        Self {
            access_token: ACCESS_TOKEN_EXAMPLE.to_owned(),
            refresh_token: REFRESH_TOKEN_EXAMPLE.to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: 900,
            session_expires_at: 1_798_761_600,
        }
    }
}

/// The answer to a login or a password change: who, and a new pair of tokens.
#[derive(Clone, PartialEq, Eq, Object)]
#[oai(rename = "Login", rename_all = "camelCase", example)]
pub struct LoginDto {
    /// The account that is logged in.
    pub user: UserDto,
    /// A signed JWT for `Authorization: Bearer`.
    pub access_token: String,
    /// Buys the next pair, once. Keep it secret; it is opaque.
    pub refresh_token: String,
    /// How to present the access token: always `Bearer`.
    pub token_type: String,
    /// Seconds until the access token ends.
    pub expires_in: i64,
    /// When the session ends in any case, seconds since the Unix epoch.
    pub session_expires_at: i64,
}

impl LoginDto {
    pub(super) fn new(user: &User, pair: &TokenPair) -> Self {
        Self::with(user.into(), TokenPairDto::new(pair))
    }

    fn with(user: UserDto, pair: TokenPairDto) -> Self {
        Self {
            user,
            access_token: pair.access_token,
            refresh_token: pair.refresh_token,
            token_type: pair.token_type,
            expires_in: pair.expires_in,
            session_expires_at: pair.session_expires_at,
        }
    }
}

impl Example for LoginDto {
    fn example() -> Self {
        Self::with(UserDto::example(), TokenPairDto::example())
    }
}

/// A sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename = "Message", example)]
pub struct MessageDto {
    /// What was done.
    pub message: String,
}

impl MessageDto {
    pub(super) fn new(message: &str) -> Self {
        Self { message: message.to_owned() }
    }
}

impl Example for MessageDto {
    fn example() -> Self {
        Self::new("logged out successfully")
    }
}
