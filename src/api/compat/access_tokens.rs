//! The access-tokens service: `POST /users`, `/access-tokens`, `/me`.
//!
//! Its clients keep one refresh token for as long as the session lives, so nothing here rotates. All
//! errors on its paths have Boom's shape.

mod errors;

use std::fmt::Write;

use aws_lc_rs::digest;
use poem::http::{HeaderMap, Method};
use poem::web::Data;
use poem::{EndpointExt, IntoEndpoint};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi, OpenApiService};
use serde::Deserialize;

pub use self::errors::*;
use super::{CompatApi, Dialect};
use crate::api::callers::header_token::{HeaderToken, TokenPlace};
use crate::api::callers::origin::Origin;
use crate::api::callers::security::{self, X_ACCESS_TOKEN};
use crate::api::document::tags::{Tag, licence};
use crate::api::errors::ApiError;
use crate::api::errors::boom::{self, BoomRefusal};
use crate::api::wire::dto::{ACCESS_TOKEN_EXAMPLE, REFRESH_TOKEN_EXAMPLE, UserDto};
use crate::api::wire::form::FormOrJson;
use crate::api::wire::json::Json;
use crate::domain::tokens::RefreshToken;
use crate::domain::user::User;
use crate::service::Services;
use crate::service::accounts::Registration;
use crate::service::limits::Visitor;
use crate::service::sessions::TokenPair;

/// The fewest characters of a new password on this API, whatever the policy says.
const PASSWORD_MIN_CHARS: usize = 8;

/// An access token in `x-access-token`.
pub struct XAccessToken;

impl TokenPlace for XAccessToken {
    const SCHEME: &'static str = "XAccessToken";

    fn register(registry: &mut Registry) {
        let scheme = MetaSecurityScheme {
            ty: "apiKey",
            description: Some("The `jwt` of the last answer, with or without `Bearer ` before it."),
            name: Some("x-access-token"),
            key_in: Some("header"),
            scheme: None,
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(Self::SCHEME, scheme);
    }

    fn find(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
        let value = security::single(headers, &X_ACCESS_TOKEN)?;
        Ok(value.map(|value| security::bearer(value).unwrap_or(value)).filter(|token| !token.is_empty()))
    }
}

/// Who signs up. Anything else in the body is ignored.
#[derive(Deserialize, Object)]
#[oai(rename = "NewUser", example)]
pub struct NewUser {
    /// E-mail address, at most 254 bytes; upper and lower case are the same, and so it is with spaces
    /// around it.
    email: String,
    /// The whole name. Up to the first space it is the first name, behind it the last name, each at
    /// most 100 characters.
    name: String,
    /// Password: at least 8 characters with a lower-case letter, an upper-case letter and a digit,
    /// at most 1,024 bytes, and not a common one.
    password: String,
}

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
    email: String,
    /// Password.
    password: String,
}

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
    refresh_token: String,
}

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
    jwt: String,
    /// Buys new access tokens for as long as the session lives. Keep it secret; it is opaque.
    refresh_token: String,
}

impl Tokens {
    fn new(pair: &TokenPair) -> Self {
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
    jwt: String,
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
    name: String,
    /// E-mail address, in lower case.
    email: String,
    /// A picture for the address, from Gravatar.
    avatar_url: String,
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

/// The operations of this API.
pub struct AccessTokensApi;

#[OpenApi]
impl AccessTokensApi {
    /// Sign up
    ///
    /// Makes an account with the role `member` and opens its first session. Where the service wants
    /// e-mail addresses verified, it opens none and answers 403.
    #[oai(path = "/users", method = "post", operation_id = "createUser", tag = "Tag::Users")]
    async fn create_user(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        origin: Origin,
        body: FormOrJson<NewUser>,
    ) -> Result<CreateUserResponse, BoomRefusal<CreateUserErrors>> {
        let registration = body.0.registration()?;
        let (_, pair) = services.0.accounts.sign_up(registration, visitor.0, origin.0).await?;
        Ok(CreateUserResponse::Created(Json(Tokens::new(&pair))))
    }

    /// Log in
    ///
    /// Checks e-mail address and password and opens a new session.
    #[oai(
        path = "/access-tokens",
        method = "post",
        operation_id = "createAccessToken",
        tag = "Tag::Authentication"
    )]
    async fn create(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        origin: Origin,
        body: FormOrJson<Login>,
    ) -> Result<Json<Tokens>, BoomRefusal<LoginErrors>> {
        let Login { email, password } = body.0;
        let (_, pair) = services.0.sessions.log_in(email.trim(), &password, visitor.0, origin.0).await?;
        Ok(Json(Tokens::new(&pair)))
    }

    /// Refresh the access token
    ///
    /// Answers a new access token of the session that both tokens belong to. The presented access
    /// token may be expired. The refresh token is not rotated, and a refresh token that another
    /// API has rotated is refused without ending the session.
    #[oai(
        path = "/access-tokens/refresh",
        method = "post",
        operation_id = "refreshAccessToken",
        tag = "Tag::Authentication"
    )]
    async fn refresh(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        token: HeaderToken<XAccessToken>,
        body: FormOrJson<SessionToken>,
    ) -> Result<Json<NewAccessToken>, BoomRefusal<RefreshErrors>> {
        let refresh = RefreshToken::new(body.0.refresh_token);
        let access = services.0.sessions.renew_access(&token.access(), &refresh, visitor.0).await?;
        Ok(Json(NewAccessToken { jwt: access.expose().to_owned() }))
    }

    /// Log out
    ///
    /// Ends the session that both tokens belong to. All its tokens are refused at once. The presented
    /// access token must not be expired.
    #[oai(
        path = "/access-tokens",
        method = "delete",
        operation_id = "deleteAccessToken",
        tag = "Tag::Authentication"
    )]
    async fn delete(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        token: HeaderToken<XAccessToken>,
        body: FormOrJson<SessionToken>,
    ) -> Result<DeleteResponse, BoomRefusal<SessionErrors>> {
        let refresh = RefreshToken::new(body.0.refresh_token);
        services.0.sessions.end(&token.access(), &refresh, visitor.0).await?;
        Ok(DeleteResponse::Gone)
    }

    /// Who am I?
    ///
    /// Answers the caller's account.
    #[oai(path = "/me", method = "get", operation_id = "getProfile", tag = "Tag::Users")]
    async fn me(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        token: HeaderToken<XAccessToken>,
    ) -> Result<Json<Profile>, BoomRefusal<ProfileErrors>> {
        let caller =
            services.0.access_tokens.authenticate(Some(&token.access()), None, visitor.0.address()).await?;
        let user = services.0.accounts.me(&caller).await?;
        Ok(Json(Profile::from(&user)))
    }
}

impl NewUser {
    /// In the service's words, if it keeps what this API asks beside the service's own rules.
    fn registration(self) -> Result<Registration, ApiError> {
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

/// The access-tokens service.
pub(super) const DIALECT: Dialect = Dialect {
    api: CompatApi::AccessTokens,
    document_name: "access-tokens.json",
    title: "Access-tokens API",
    spec: || service().spec(),
    serves,
    endpoint: || service().into_endpoint().boxed(),
    respond: boom::respond,
};

fn service() -> OpenApiService<AccessTokensApi, ()> {
    OpenApiService::new(AccessTokensApi, "hallpass: access-tokens API", env!("CARGO_PKG_VERSION"))
        .description(include_str!("access_tokens.md"))
        .license(licence())
}

/// Whether a request is for this API. It shares the path `/users` with the main API, which has
/// every other method there.
fn serves(method: &Method, path: &str) -> bool {
    match path {
        "/users" => method == Method::POST,
        "/me" | "/access-tokens" => true,
        _ => path.starts_with("/access-tokens/"),
    }
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

    #[test]
    fn of_users_only_post_is_this_apis() {
        assert!(serves(&Method::POST, "/users"));
        for (method, path) in [
            (Method::GET, "/users"),
            (Method::POST, "/users/7"),
            (Method::GET, "/users/me"),
            (Method::GET, "/access-tokensx"),
            (Method::GET, "/me/x"),
        ] {
            assert!(!serves(&method, path), "{method} {path}");
        }
        for path in ["/me", "/access-tokens", "/access-tokens/", "/access-tokens/x/y"] {
            assert!(serves(&Method::PUT, path), "{path}");
        }
    }
}
