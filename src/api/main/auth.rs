//! `/auth/…`: register, log in, refresh, log out, passwords.
//!
//! The operations stand here; what they take and answer has a file for each subject.

mod errors;
mod login;
mod logout;
mod passwords;
mod refresh;
mod registration;

use poem::error::ResponseError;
use poem::http::StatusCode;
use poem::web::Data;
use poem::{Endpoint, EndpointExt};
use poem_openapi::OpenApi;
use poem_openapi::param::Query;
use poem_openapi::types::Example;

pub(crate) use errors::weak_password;
pub use errors::{
    CallerErrors, ChangePasswordErrors, LoginErrors, LogoutErrors, RefreshErrors, RegisterErrors,
    ResetErrors, ResetRequestErrors,
};
pub use login::{AuthMe, LoginRequest};
pub use logout::{LoggedOut, LogoutRequest, ScopeParam};
pub use passwords::{
    PasswordChange, PasswordChanged, PasswordReset, PasswordResetRequest, PasswordResetRequested,
};
pub use refresh::RefreshRequest;
pub use registration::{RegisterRequest, RegisterResponse, Registered, RegistrationTaken};

use self::passwords::RESET_REQUESTED;
use crate::api::callers::origin::Origin;
use crate::api::callers::refresh_cookie::RefreshCookie;
use crate::api::callers::renewed_token::RenewedToken;
use crate::api::callers::security::{Authenticated, OnBehalf, Presented};
use crate::api::document::tags::Tag;
use crate::api::errors::ApiError;
use crate::api::errors::refusal::Refusal;
use crate::api::wire::dto::{LoginDto, TokenPairDto, UserDto};
use crate::api::wire::json::{BodyError, Json, StrictJson};
use crate::api::wire::targets::Targets;
use crate::domain::tokens::{RefreshToken, ResetToken};
use crate::service::accounts::{self, Registration};
use crate::service::sessions::LogoutScope;
use crate::service::visitor::Visitor;
use crate::service::{self, Services};

/// The operations under `/auth`.
pub struct AuthApi;

#[OpenApi(prefix_path = "/auth", tag = "Tag::Authentication")]
impl AuthApi {
    /// Register an account
    ///
    /// Makes an account with the role `member`; a role in the body is ignored. The answer carries
    /// no tokens: log in with the same e-mail address and password. Where the service wants addresses
    /// verified (`registration.verify_email`), follow the link in the mail first.
    #[oai(path = "/register", method = "post", operation_id = "register")]
    async fn register(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        body: StrictJson<RegisterRequest>,
    ) -> Result<RegisterResponse, Refusal<RegisterErrors>> {
        let RegisterRequest { email, password, first_name, last_name } = body.0;
        let registration = Registration { email, password, first_name, last_name };
        Ok(match services.0.accounts.register(registration, visitor.0).await? {
            accounts::Registered::Account(user) => {
                RegisterResponse::Created(Json(UserDto::from(&*user).into()))
            }
            accounts::Registered::Concealed => RegisterResponse::Accepted(Json(RegistrationTaken::example())),
        })
    }

    /// Log in
    ///
    /// Checks e-mail address and password and opens a session, with an access token for requests
    /// and a refresh token for when that has expired. Each login is a session of its own: logging
    /// out on one device leaves the others logged in.
    #[oai(path = "/login", method = "post", operation_id = "login", transform = "malformed_is_401")]
    async fn login(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        origin: Origin,
        cookie: RefreshCookie,
        body: StrictJson<LoginRequest>,
    ) -> Result<Json<LoginDto>, Refusal<LoginErrors>> {
        let LoginRequest { email, password, resource } = body.0;
        let asked = Targets::asked_in_array(resource);
        let (user, pair) = services.0.sessions.log_in(&email, &password, visitor.0, origin.0, &asked).await?;
        let mut login = LoginDto::new(&user, &pair);
        cookie.keep(&mut login.refresh_token, &pair.session);
        Ok(Json(login))
    }

    /// Who am I?
    ///
    /// Answers the account of the presented tokens and a live access token. With an expired access
    /// token and a live `X-Refresh-Token`, or with that alone (a page reload that kept nothing
    /// else), the access token is new. The refresh token is not used up and stays as it is.
    #[oai(path = "/auth-me", method = "get", operation_id = "authMe")]
    async fn auth_me(
        &self,
        services: Data<&Services>,
        caller: OnBehalf,
    ) -> Result<Json<AuthMe>, Refusal<CallerErrors>> {
        let user = services.0.accounts.who(&caller.0).await?;
        let access_token = caller.0.access.expose().to_owned();
        Ok(Json(AuthMe { user: (&*user).into(), access_token }))
    }

    /// Who am I? (POST)
    ///
    /// The same as `GET /auth/auth-me`, for clients that send POST.
    #[oai(path = "/auth-me", method = "post", operation_id = "authMePost")]
    async fn auth_me_post(
        &self,
        services: Data<&Services>,
        caller: OnBehalf,
    ) -> Result<Json<AuthMe>, Refusal<CallerErrors>> {
        self.auth_me(services, caller).await
    }

    /// Refresh the tokens
    ///
    /// Redeems the refresh token, from `X-Refresh-Token` or from the body, for a new pair: keep
    /// both, the old refresh token is used up. For the grace period (30 seconds unless configured
    /// otherwise) the same token gets the same successor again, so that two tabs or a lost answer
    /// log nobody out. After that, a token that was used before ends its session: somebody stole
    /// it.
    ///
    /// The access token need not come along. If it does it may be expired, but not altered,
    /// revoked or another account's. One of a signing key or an issuer that counts no more is as good as
    /// none.
    #[oai(path = "/refresh-token", method = "post", operation_id = "refreshToken")]
    async fn refresh_token(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        presented: Presented,
        cookie: RefreshCookie,
        body: StrictJson<Option<RefreshRequest>>,
    ) -> Result<Json<TokenPairDto>, Refusal<RefreshErrors>> {
        let (refresh, asked) = refresh::read(presented.refresh, body.0, &cookie)?;
        let refresh = refresh.ok_or(service::Error::Unauthenticated)?;
        let access = presented.access.as_ref();
        let refreshed = services.0.sessions.refresh(&refresh, access, visitor.0, &asked).await;
        let pair = refreshed.map_err(ApiError::from).inspect_err(|error| cookie.clear_if_dead(error))?;
        let mut tokens = TokenPairDto::new(&pair);
        cookie.keep(&mut tokens.refresh_token, &pair.session);
        Ok(Json(tokens))
    }

    /// Log out
    ///
    /// Ends the session of the presented access token, expired or not, or of the refresh token
    /// (`X-Refresh-Token` or the body) when no access token came. All its tokens are refused at
    /// once. The account's other sessions live on, unless `scope` says otherwise; a session that is
    /// being opened while `others` or `global` runs may live on. After a 503, send the same request
    /// again: some of the sessions may have ended, this one has not.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        presented: Presented,
        /// Which sessions end: the presented token's (`local`, also when it is left out), all but that
        /// one (`others`), or all of the account (`global`).
        scope: Query<Option<ScopeParam>>,
        cookie: RefreshCookie,
        body: StrictJson<Option<LogoutRequest>>,
    ) -> Result<Json<LoggedOut>, Refusal<LogoutErrors>> {
        let in_body = body.0.and_then(|body| body.refresh_token).map(RefreshToken::new);
        let refresh = cookie.or(presented.refresh.or(in_body))?;
        let scope = scope.0.map_or(LogoutScope::Local, LogoutScope::from);
        let access = presented.access.as_ref();
        let ended = services.0.sessions.log_out(access, refresh.as_ref(), scope, visitor.0).await;
        cookie.logged_out(scope, ended.map_err(ApiError::from))?;
        Ok(Json(LoggedOut::example()))
    }

    /// Request a password reset
    ///
    /// Issues a reset token for the account of the address, good for 10 minutes unless configured
    /// otherwise, and voids the earlier one that was asked for at the same place (an address, or an IPv6
    /// network of 64 bits). Four places may have one at once: a request from another sends nothing until
    /// one has ended. How the token reaches its owner is a setting of the service (`reset.delivery`). The
    /// answer tells neither whether there is such an account nor whether anything was sent.
    #[oai(path = "/reset-password-request", method = "post", operation_id = "requestPasswordReset")]
    async fn reset_password_request(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        body: StrictJson<PasswordResetRequest>,
    ) -> Result<Json<PasswordResetRequested>, Refusal<ResetRequestErrors>> {
        let token = services.0.password_resets.request(&body.0.email, visitor.0).await?;
        Ok(Json(PasswordResetRequested::new(RESET_REQUESTED, token)))
    }

    /// Reset a password
    ///
    /// Redeems a reset token of an account, the newest of the place that it was asked for at, once, for a
    /// new password. All sessions and all other reset tokens of the account end: log in with the new
    /// password.
    #[oai(path = "/reset-password", method = "post", operation_id = "resetPassword")]
    async fn reset_password(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        body: StrictJson<PasswordReset>,
    ) -> Result<Json<PasswordChanged>, Refusal<ResetErrors>> {
        let token = ResetToken::new(body.0.reset_token);
        services.0.password_resets.redeem(&token, &body.0.new_password, visitor.0).await?;
        Ok(Json(PasswordChanged::example()))
    }

    /// Change the password
    ///
    /// Sets a new password for the caller and ends all their sessions, this one included. The
    /// answer opens a new session: replace both tokens with those in it. So the caller stays logged
    /// in here and nowhere else.
    #[oai(path = "/change-password", method = "post", operation_id = "changePassword")]
    #[expect(clippy::too_many_arguments, reason = "one for each thing that the request carries")]
    async fn change_password(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        renewed: Data<&RenewedToken>,
        visitor: Data<&Visitor>,
        origin: Origin,
        cookie: RefreshCookie,
        body: StrictJson<PasswordChange>,
    ) -> Result<Json<LoginDto>, Refusal<ChangePasswordErrors>> {
        let PasswordChange { current_password, new_password } = body.0;
        let accounts = &services.0.accounts;
        let changed =
            accounts.change_password(&caller.0, &current_password, &new_password, visitor.0, origin.0);
        let (user, pair) = changed.await?;
        renewed.supersede(&pair.access);
        let mut login = LoginDto::new(&user, &pair);
        cookie.keep(&mut login.refresh_token, &pair.session);
        Ok(Json(login))
    }
}

/// A malformed login is a failed login in this dialect, which says what is malformed; a body of the wrong
/// kind or size is not.
fn malformed_is_401(endpoint: impl Endpoint + 'static) -> impl Endpoint {
    endpoint.around(|endpoint, request| async move {
        endpoint.call(request).await.map_err(|error| match error.downcast_ref::<BodyError>() {
            Some(malformed) if malformed.status() == StatusCode::BAD_REQUEST => {
                ApiError::from(*malformed).into_failed_login().into()
            }
            _ => error,
        })
    })
}
