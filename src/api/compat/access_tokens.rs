//! The access-tokens service: `POST /users`, `/access-tokens`, `/me`.
//!
//! Its clients keep one refresh token for as long as the session lives, so nothing here rotates. All
//! errors on its paths have Boom's shape.

mod bodies;
mod errors;

use poem::http::{HeaderMap, Method, header};
use poem::web::Data;
use poem::{EndpointExt, IntoEndpoint};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{OpenApi, OpenApiService};

pub use self::bodies::{
    CreateUserResponse, DeleteResponse, Login, NewAccessToken, NewUser, Profile, SessionToken, Tokens,
};
pub use self::errors::*;
use super::{CompatApi, Dialect};
use crate::api::callers::header_token::{HeaderToken, TokenPlace};
use crate::api::callers::origin::Origin;
use crate::api::callers::security::{self, X_ACCESS_TOKEN};
use crate::api::document::outline;
use crate::api::document::tags::{Tag, licence};
use crate::api::errors::ApiError;
use crate::api::errors::boom::{self, BoomRefusal};
use crate::api::wire::form::FormOrJson;
use crate::api::wire::json::Json;
use crate::domain::audiences::Asked;
use crate::domain::tokens::RefreshToken;
use crate::service::Services;
use crate::service::visitor::Visitor;

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
        let (_, pair) =
            services.0.sessions.log_in(email.trim(), &password, visitor.0, origin.0, &Asked::Nothing).await?;
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
        let user = services.0.accounts.who(&caller).await?;
        Ok(Json(Profile::from(&*user)))
    }
}

/// The access-tokens service.
pub(super) const DIALECT: Dialect = Dialect {
    api: CompatApi::AccessTokens,
    document_name: "access-tokens.json",
    title: "Access-tokens API",
    spec: || service().spec(),
    outline: outline::<AccessTokensApi>,
    serves: |request| serves(request.method(), request.uri().path(), request.headers()),
    endpoint: || service().into_endpoint().boxed(),
    respond: boom::respond,
};

fn service() -> OpenApiService<AccessTokensApi, ()> {
    OpenApiService::new(AccessTokensApi, "hallpass: access-tokens API", env!("CARGO_PKG_VERSION"))
        .description(include_str!("access_tokens.md"))
        .license(licence())
}

/// Whether a request is for this API. It shares the path `/users` with the main API, which has
/// every other method there, and whoever comes with an `Authorization`: an administrator.
fn serves(method: &Method, path: &str, headers: &HeaderMap) -> bool {
    match path {
        "/users" => method == Method::POST && !headers.contains_key(header::AUTHORIZATION),
        "/me" | "/access-tokens" => true,
        _ => path.starts_with("/access-tokens/"),
    }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    #[test]
    fn of_users_only_post_without_authorization_is_this_apis() {
        let nobody = HeaderMap::new();
        assert!(serves(&Method::POST, "/users", &nobody));
        for said in ["Bearer x", "Basic x", ""] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(said))]);
            assert!(!serves(&Method::POST, "/users", &headers), "{said}");
        }
        for (method, path) in [
            (Method::GET, "/users"),
            (Method::POST, "/users/7"),
            (Method::GET, "/users/me"),
            (Method::GET, "/access-tokensx"),
            (Method::GET, "/me/x"),
        ] {
            assert!(!serves(&method, path, &nobody), "{method} {path}");
        }
        for path in ["/me", "/access-tokens", "/access-tokens/", "/access-tokens/x/y"] {
            assert!(serves(&Method::PUT, path, &nobody), "{path}");
        }
    }
}
