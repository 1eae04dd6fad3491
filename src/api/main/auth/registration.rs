//! What registers an account, and what is answered.

use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;

use crate::api::wire::dto::UserDto;
use crate::api::wire::json::Json;

/// What somebody registers with. Anything else in the body, a role or an id, is ignored.
#[derive(Deserialize, Object)]
#[oai(rename = "RegisterRequest", example)]
pub struct RegisterRequest {
    /// E-mail address, at most 254 bytes; upper and lower case are the same.
    pub(super) email: String,
    /// Password: at least 8 characters unless configured otherwise, at most 1,024 bytes, not a
    /// common one. Taken as it is sent, but that letters count as composed (NFC).
    pub(super) password: String,
    /// First name, at most 100 characters.
    pub(super) first_name: Option<String>,
    /// Last name, at most 100 characters.
    pub(super) last_name: Option<String>,
}

impl Example for RegisterRequest {
    fn example() -> Self {
        Self {
            email: "ada@example.com".to_owned(),
            password: "an engine weaves patterns".to_owned(),
            first_name: Some("Ada".to_owned()),
            last_name: Some("Lovelace".to_owned()),
        }
    }
}

/// The account exists now.
#[derive(Object)]
#[oai(rename = "Registered", example)]
pub struct Registered {
    /// The account's id.
    pub(super) id: i64,
    /// First name, `null` if none was given.
    #[oai(nullable)]
    pub(super) first_name: Option<String>,
    /// Last name, `null` if none was given.
    #[oai(nullable)]
    pub(super) last_name: Option<String>,
    /// E-mail address, in lower case.
    pub(super) email: String,
    /// Whether the owner has proven that the address is theirs. Until then it may be anybody's.
    pub(super) email_verified: bool,
    /// What was done.
    pub(super) message: String,
}

impl From<UserDto> for Registered {
    fn from(UserDto { id, first_name, last_name, email, email_verified }: UserDto) -> Self {
        let message = "user created successfully".to_owned();
        Self { id, first_name, last_name, email, email_verified, message }
    }
}

impl Example for Registered {
    fn example() -> Self {
        UserDto { email_verified: false, ..UserDto::example() }.into()
    }
}

/// The answer to a registration.
#[derive(ApiResponse)]
pub enum RegisterResponse {
    /// The account exists now: log in with it.
    #[oai(status = 201)]
    Created(Json<Registered>),
    /// Only where the service conceals which addresses have an account
    /// (`registration.conceal_existing`): the registration was taken, and the owner of the address
    /// gets a mail. The same for every address.
    #[oai(status = 202)]
    Accepted(Json<RegistrationTaken>),
}

/// The registration was taken; what became of it is in the mail.
#[derive(Object)]
#[oai(rename = "RegistrationTaken", example)]
pub struct RegistrationTaken {
    /// What was done.
    pub(super) message: String,
}

impl Example for RegistrationTaken {
    fn example() -> Self {
        Self { message: "a mail was sent to the address; follow it to log in".to_owned() }
    }
}
