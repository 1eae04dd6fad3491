//! The Nest token API: `/auth/signup`, `/auth/signin`, `/auth/signout`, `/auth/refresh`.
//!
//! `GET /users/me` and `GET /users` of its contract are the main API's. Errors are the main API's too.

use poem::http::{HeaderMap, header};
use poem::web::Data;
use poem::{EndpointExt, IntoEndpoint, IntoResponse};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi, OpenApiService};
use serde::Deserialize;

use super::{CompatApi, Dialect};
use crate::api::callers::header_token::{HeaderToken, TokenPlace};
use crate::api::callers::origin::Origin;
use crate::api::callers::security::{self, ACCESS_SCHEME};
use crate::api::document::outline;
use crate::api::document::tags::{Tag, licence};
use crate::api::errors::ApiError;
use crate::api::errors::refusal::{
    Documented, FAILED_TOO_OFTEN, INTERNAL, NOT_ADMITTED, NOT_JSON, ON_BEHALF, RATE_LIMITED, Refusal,
    TOO_LARGE, UNAVAILABLE, UNAVAILABLE_OR_BUSY, examples, refusals,
};
use crate::api::main::auth::weak_password;
use crate::api::main::users::UsersApi;
use crate::api::wire::dto::{ACCESS_TOKEN_EXAMPLE, REFRESH_TOKEN_EXAMPLE};
use crate::api::wire::json::{Json, StrictJson};
use crate::domain::audiences::Asked;
use crate::domain::user::User;
use crate::service::accounts::Registration;
use crate::service::sessions::{LogoutScope, TokenPair};
use crate::service::visitor::Visitor;
use crate::service::{self, Field, Services};

/// An access token in `Authorization: Bearer`, under the main API's name.
pub struct BearerAccess;

impl TokenPlace for BearerAccess {
    const SCHEME: &'static str = ACCESS_SCHEME;

    fn register(registry: &mut Registry) {
        security::register_schemes(registry);
    }

    fn find(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
        Ok(security::single(headers, &header::AUTHORIZATION)?.and_then(security::bearer))
    }
}

/// A refresh token in `Authorization: Bearer`.
pub struct BearerRefresh;

impl TokenPlace for BearerRefresh {
    const SCHEME: &'static str = "BearerRefreshToken";

    fn register(registry: &mut Registry) {
        let scheme = MetaSecurityScheme {
            ty: "http",
            description: Some("The refresh token of the last answer: `Authorization: Bearer …`."),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(Self::SCHEME, scheme);
    }

    fn find(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
        BearerAccess::find(headers)
    }
}

/// Who signs up or in. Anything else in the body is ignored.
#[derive(Deserialize, Object)]
#[oai(rename = "Credentials", example)]
pub struct Credentials {
    /// E-mail address, at most 254 bytes; upper and lower case are the same.
    email: String,
    /// Password, taken exactly as sent. A new one has at least 8 characters unless configured
    /// otherwise, at most 1,024 bytes, and is not a common one.
    password: String,
}

impl Example for Credentials {
    fn example() -> Self {
        Self { email: "ada@example.com".to_owned(), password: "an engine weaves patterns".to_owned() }
    }
}

/// The account, and the tokens of its new session.
#[derive(Object)]
#[oai(rename = "SignedIn", rename_all = "camelCase", example)]
pub struct SignedIn {
    /// The account's id.
    id: i64,
    /// E-mail address, in lower case.
    email: String,
    /// A signed JWT for `Authorization: Bearer`.
    access_token: String,
    /// Buys the next pair, once, at `/auth/refresh`. Keep it secret; it is opaque.
    refresh_token: String,
}

impl SignedIn {
    fn new(user: &User, pair: &TokenPair) -> Self {
        Self {
            id: user.id.get(),
            email: user.email.as_str().to_owned(),
            access_token: pair.access.expose().to_owned(),
            refresh_token: pair.refresh.expose().to_owned(),
        }
    }
}

impl Example for SignedIn {
    fn example() -> Self {
        Self {
            id: 2,
            email: "ada@example.com".to_owned(),
            access_token: ACCESS_TOKEN_EXAMPLE.to_owned(),
            refresh_token: REFRESH_TOKEN_EXAMPLE.to_owned(),
        }
    }
}

/// The answer to a registration.
#[derive(ApiResponse)]
pub enum SignUpResponse {
    /// The account exists now and is signed in.
    #[oai(status = 201)]
    Created(Json<SignedIn>),
}

/// The next pair of tokens of the session.
#[derive(Object)]
#[oai(rename = "Refreshed", example)]
pub struct Refreshed {
    /// A signed JWT for `Authorization: Bearer`.
    #[oai(rename = "accessToken")]
    access_token: String,
    /// Buys the next pair, once. Keep it secret; it is opaque.
    refresh_token: String,
}

impl Refreshed {
    fn new(pair: &TokenPair) -> Self {
        Self {
            access_token: pair.access.expose().to_owned(),
            refresh_token: pair.refresh.expose().to_owned(),
        }
    }
}

impl Example for Refreshed {
    fn example() -> Self {
        Self {
            access_token: ACCESS_TOKEN_EXAMPLE.to_owned(),
            refresh_token: REFRESH_TOKEN_EXAMPLE.to_owned(),
        }
    }
}

/// The session has ended and its tokens are refused from now on.
#[derive(Object)]
#[oai(rename = "SignedOut", example)]
pub struct SignedOut {
    /// What was done.
    message: String,
}

impl Example for SignedOut {
    fn example() -> Self {
        Self { message: "signed out successfully".to_owned() }
    }
}

refusals! {
    /// Of `signUp`.
    SignUpErrors {
        400 => Documented::new(
            "The body is not valid JSON, has a key twice, or a field is missing, has the wrong type or cannot \
             be taken (`invalid_request`; `errors` names the fields). Or the password breaks the policy \
             (`weak_password`; `errors` says which rule).",
            || vec![ApiError::invalid_field("email", "is missing"), weak_password(Field::Password)],
        ),
        403 => Documented::new(
            "Only where the service wants e-mail addresses verified (`email_not_verified`): the account exists now, \
             and its owner gets a mail. Follow its link, then sign in. Where the service conceals which addresses \
             have an account, this is the answer for those as well. Or people do not register here \
             (`registration_disabled`).",
            || examples([service::Error::EmailNotVerified, service::Error::RegistrationDisabled]),
        ),
        409 => Documented::new(
            "Another account has the e-mail address (`email_taken`): sign in, or reset its password.",
            || examples([service::Error::EmailTaken]),
        ),
        413 => TOO_LARGE, 415 => NOT_JSON, 429 => RATE_LIMITED, 500 => INTERNAL, 503 => UNAVAILABLE_OR_BUSY,
    }
    /// Of `signIn`.
    SignInErrors {
        400 => Documented::new(
            "The body is not valid JSON or has a key twice, or a field is missing or has the wrong type \
             (`invalid_request`).",
            || vec![ApiError::invalid_field("email", "is missing")],
        ),
        401 => Documented::new(
            "Wrong e-mail address or password (`invalid_credentials`). Which of them is not said.",
            || examples([service::Error::InvalidCredentials]),
        ),
        403 => NOT_ADMITTED,
        413 => TOO_LARGE, 415 => NOT_JSON, 429 => RATE_LIMITED, 500 => INTERNAL, 503 => UNAVAILABLE_OR_BUSY,
    }
    /// Of `signOut`.
    SignOutErrors {
        401 => Documented::new(
            "No token came (`authentication_required`), it is altered (`invalid_token`), or its session is gone \
             already (`token_revoked`).",
            || {
                let mut all = examples([service::Error::Unauthenticated, service::Error::TokenRevoked]);
                all.push(ApiError::unreadable_token());
                all
            },
        ),
        403 => ON_BEHALF,
        500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `refresh`.
    RefreshErrors {
        401 => Documented::new(
            "No token came (`authentication_required`). Or it is unknown or its session was ended \
             (`invalid_refresh_token`), the session's time is over (`session_expired`), it was ended since its account had too many \
             (`session_evicted`), or it was used before \
             (`refresh_token_reused`: the session has been ended). In all cases: sign in again.",
            || examples([
                service::Error::Unauthenticated,
                service::Error::InvalidRefreshToken,
                service::Error::SessionExpired,
                service::Error::SessionEvicted,
                service::Error::RefreshTokenReused,
            ]),
        ),
        429 => FAILED_TOO_OFTEN, 500 => INTERNAL, 503 => UNAVAILABLE,
    }
}

/// The operations of this API that are not the main API's.
pub struct NestApi;

#[OpenApi(prefix_path = "/auth", tag = "Tag::Authentication")]
impl NestApi {
    /// Sign up
    ///
    /// Makes an account with the role `member` and opens its first session. Where the service wants
    /// e-mail addresses verified, it opens none and answers 403.
    #[oai(path = "/signup", method = "post", operation_id = "signUp")]
    async fn sign_up(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        origin: Origin,
        body: StrictJson<Credentials>,
    ) -> Result<SignUpResponse, Refusal<SignUpErrors>> {
        let Credentials { email, password } = body.0;
        let registration = Registration { email, password, first_name: None, last_name: None };
        let (user, pair) = services.0.accounts.sign_up(registration, visitor.0, origin.0).await?;
        Ok(SignUpResponse::Created(Json(SignedIn::new(&user, &pair))))
    }

    /// Sign in
    ///
    /// Checks e-mail address and password and opens a new session.
    #[oai(path = "/signin", method = "post", operation_id = "signIn")]
    async fn sign_in(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        origin: Origin,
        body: StrictJson<Credentials>,
    ) -> Result<Json<SignedIn>, Refusal<SignInErrors>> {
        let Credentials { email, password } = body.0;
        let (user, pair) =
            services.0.sessions.log_in(&email, &password, visitor.0, origin.0, &Asked::Nothing).await?;
        Ok(Json(SignedIn::new(&user, &pair)))
    }

    /// Sign out
    ///
    /// Ends the session of the access token, expired or not. All its tokens are refused at once.
    #[oai(path = "/signout", method = "post", operation_id = "signOut")]
    async fn sign_out(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        token: HeaderToken<BearerAccess>,
    ) -> Result<Json<SignedOut>, Refusal<SignOutErrors>> {
        services.0.sessions.log_out(Some(&token.access()), None, LogoutScope::Local, visitor.0).await?;
        Ok(Json(SignedOut::example()))
    }

    /// Refresh the tokens
    ///
    /// Redeems the refresh token in `Authorization` for a new pair. The same token gets the same
    /// successor again for the grace period; after that its reuse ends the session.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        token: HeaderToken<BearerRefresh>,
    ) -> Result<Json<Refreshed>, Refusal<RefreshErrors>> {
        let pair = services.0.sessions.refresh(&token.refresh(), None, visitor.0, &Asked::Nothing).await?;
        Ok(Json(Refreshed::new(&pair)))
    }
}

/// The Nest token API.
pub(super) const DIALECT: Dialect = Dialect {
    api: CompatApi::Nest,
    document_name: "nest.json",
    title: "Nest API",
    spec: || documented().spec(),
    outline: outline::<(NestApi, UsersApi)>,
    serves: |request| {
        matches!(request.uri().path(), "/auth/signup" | "/auth/signin" | "/auth/signout" | "/auth/refresh")
    },
    endpoint: || OpenApiService::new(NestApi, "", "").into_endpoint().boxed(),
    respond: IntoResponse::into_response,
};

/// What the document of this API shows: these operations and the main API's `/users`.
fn documented() -> OpenApiService<(NestApi, UsersApi), ()> {
    OpenApiService::new((NestApi, UsersApi), "hallpass: Nest API", env!("CARGO_PKG_VERSION"))
        .description(include_str!("nest.md"))
        .license(licence())
}
