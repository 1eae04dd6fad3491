//! `/auth/…`: register, log in, refresh, log out, passwords.

mod errors;

use poem::web::Data;
use poem::{Endpoint, EndpointExt};
use poem_openapi::param::Query;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde::Deserialize;

pub(crate) use errors::weak_password;
pub use errors::{
    CallerErrors, ChangePasswordErrors, LoginErrors, LogoutErrors, RefreshErrors, RegisterErrors,
    ResetErrors, ResetRequestErrors,
};

use crate::api::callers::origin::Origin;
use crate::api::callers::security::{Authenticated, Presented, RenewedToken};
use crate::api::document::tags::Tag;
use crate::api::errors::ApiError;
use crate::api::errors::refusal::Refusal;
use crate::api::wire::dto::{ACCESS_TOKEN_EXAMPLE, LoginDto, REFRESH_TOKEN_EXAMPLE, TokenPairDto, UserDto};
use crate::api::wire::json::{BodyError, Json, StrictJson};
use crate::domain::tokens::{RefreshToken, ResetToken};
use crate::service::accounts::{self, Registration};
use crate::service::limits::Visitor;
use crate::service::sessions::LogoutScope;
use crate::service::{self, Services};

/// What somebody registers with. Anything else in the body, a role or an id, is ignored.
#[derive(Deserialize, Object)]
#[oai(rename = "RegisterRequest", example)]
pub struct RegisterRequest {
    /// E-mail address, at most 254 bytes; upper and lower case are the same.
    email: String,
    /// Password: at least 8 characters unless configured otherwise, at most 1,024 bytes, not a
    /// common one. Taken exactly as sent.
    password: String,
    /// First name, at most 100 characters.
    first_name: Option<String>,
    /// Last name, at most 100 characters.
    last_name: Option<String>,
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
    id: i64,
    /// First name, `null` if none was given.
    #[oai(nullable)]
    first_name: Option<String>,
    /// Last name, `null` if none was given.
    #[oai(nullable)]
    last_name: Option<String>,
    /// E-mail address, in lower case.
    email: String,
    /// Whether the owner has proven that the address is theirs. Until then it may be anybody's.
    email_verified: bool,
    /// What was done.
    message: String,
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
    message: String,
}

impl Example for RegistrationTaken {
    fn example() -> Self {
        Self { message: "a mail was sent to the address; follow it to log in".to_owned() }
    }
}

/// Who wants to log in.
#[derive(Deserialize, Object)]
#[oai(rename = "LoginRequest", example)]
pub struct LoginRequest {
    /// E-mail address.
    email: String,
    /// Password.
    password: String,
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
    user: UserDto,
    /// The presented access token if it is live, else a new one.
    access_token: String,
}

impl Example for AuthMe {
    fn example() -> Self {
        Self { user: UserDto::example(), access_token: ACCESS_TOKEN_EXAMPLE.to_owned() }
    }
}

/// A refresh token in the body, for clients that do not send it in `X-Refresh-Token`.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase")]
#[oai(rename = "RefreshRequest", rename_all = "camelCase", example)]
pub struct RefreshRequest {
    /// The refresh token of the last login or refresh.
    #[serde(alias = "refresh_token")]
    refresh_token: Option<String>,
}

impl Example for RefreshRequest {
    fn example() -> Self {
        Self { refresh_token: Some(REFRESH_TOKEN_EXAMPLE.to_owned()) }
    }
}

/// A refresh token in the body, for clients that log out by it and do not send it in `X-Refresh-Token`.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename = "LogoutRequest", rename_all = "camelCase", example)]
pub struct LogoutRequest {
    /// The refresh token of the last login or refresh.
    #[serde(alias = "refresh_token")]
    refresh_token: Option<String>,
}

impl Example for LogoutRequest {
    fn example() -> Self {
        Self { refresh_token: Some(REFRESH_TOKEN_EXAMPLE.to_owned()) }
    }
}

/// Whose password was forgotten.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "PasswordResetRequest", example)]
pub struct PasswordResetRequest {
    /// E-mail address of the account.
    email: String,
}

impl Example for PasswordResetRequest {
    fn example() -> Self {
        Self { email: "ada@example.com".to_owned() }
    }
}

/// The same for every address.
const RESET_REQUESTED: &str = "if the address has an account, a reset token was issued";

/// The request was taken. The same for every address, whether it has an account or not.
#[derive(Object)]
#[oai(rename = "PasswordResetRequested", rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct PasswordResetRequested {
    /// What was done.
    message: String,
    /// The reset token, only where the service is set to answer it (`reset.delivery =
    /// "response"`, as `hallpass dev` is). For an address without an account it opens nothing.
    password_reset_token: Option<String>,
}

impl PasswordResetRequested {
    pub(crate) fn new(message: &str, token: Option<ResetToken>) -> Self {
        Self {
            message: message.to_owned(),
            password_reset_token: token.map(|token| token.expose().to_owned()),
        }
    }
}

impl Example for PasswordResetRequested {
    fn example() -> Self {
        Self {
            message: RESET_REQUESTED.to_owned(),
            password_reset_token: Some("hp_pr_AQAAAAAAAAABexampleexampleexampleexampleexample".to_owned()),
        }
    }
}

/// A reset token and the password that it buys.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename = "PasswordReset", rename_all = "camelCase", example)]
pub struct PasswordReset {
    /// The newest reset token of the account, of the place that it was asked for at; it works once.
    reset_token: String,
    /// The new password, under the same rules as at registration.
    new_password: String,
}

impl Example for PasswordReset {
    fn example() -> Self {
        Self {
            reset_token: "hp_pr_AQAAAAAAAAABexampleexampleexampleexampleexample".to_owned(),
            new_password: "a better one this time".to_owned(),
        }
    }
}

/// The password as it is and as it shall be.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename = "PasswordChange", rename_all = "camelCase", example)]
pub struct PasswordChange {
    /// The password as it is.
    current_password: String,
    /// The new password, under the same rules as at registration.
    new_password: String,
}

impl Example for PasswordChange {
    fn example() -> Self {
        Self {
            current_password: "an engine weaves patterns".to_owned(),
            new_password: "a better one this time".to_owned(),
        }
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
    message: String,
}

impl Example for LoggedOut {
    fn example() -> Self {
        Self { message: "logged out successfully".to_owned() }
    }
}

/// The new password holds from now on, and all sessions of the account have ended.
#[derive(Object)]
#[oai(rename = "PasswordChanged", example)]
pub struct PasswordChanged {
    /// What was done.
    message: String,
}

impl Example for PasswordChanged {
    fn example() -> Self {
        Self { message: "password changed successfully".to_owned() }
    }
}

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
                RegisterResponse::Created(Json(UserDto::from(&user).into()))
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
        body: StrictJson<LoginRequest>,
    ) -> Result<Json<LoginDto>, Refusal<LoginErrors>> {
        let LoginRequest { email, password } = body.0;
        let (user, pair) = services.0.sessions.log_in(&email, &password, visitor.0, origin.0).await?;
        Ok(Json(LoginDto::new(&user, &pair)))
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
        caller: Authenticated,
    ) -> Result<Json<AuthMe>, Refusal<CallerErrors>> {
        let user = services.0.accounts.me(&caller.0).await?;
        let access_token = caller.0.access.expose().to_owned();
        Ok(Json(AuthMe { user: (&user).into(), access_token }))
    }

    /// Who am I? (POST)
    ///
    /// The same as `GET /auth/auth-me`, for clients that send POST.
    #[oai(path = "/auth-me", method = "post", operation_id = "authMePost")]
    async fn auth_me_post(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
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
        body: StrictJson<Option<RefreshRequest>>,
    ) -> Result<Json<TokenPairDto>, Refusal<RefreshErrors>> {
        let refresh = refresh_token_of(presented.refresh, body.0)?.ok_or(service::Error::Unauthenticated)?;
        let pair = services.0.sessions.refresh(&refresh, presented.access.as_ref(), visitor.0).await?;
        Ok(Json(TokenPairDto::new(&pair)))
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
        body: StrictJson<Option<LogoutRequest>>,
    ) -> Result<Json<LoggedOut>, Refusal<LogoutErrors>> {
        let in_body = body.0.and_then(|body| body.refresh_token).map(RefreshToken::new);
        let refresh = presented.refresh.or(in_body);
        let scope = scope.0.map_or(LogoutScope::Local, LogoutScope::from);
        services.0.sessions.log_out(presented.access.as_ref(), refresh.as_ref(), scope, visitor.0).await?;
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
    async fn change_password(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        renewed: Data<&RenewedToken>,
        visitor: Data<&Visitor>,
        origin: Origin,
        body: StrictJson<PasswordChange>,
    ) -> Result<Json<LoginDto>, Refusal<ChangePasswordErrors>> {
        let PasswordChange { current_password, new_password } = body.0;
        let accounts = &services.0.accounts;
        let changed =
            accounts.change_password(&caller.0, &current_password, &new_password, visitor.0, origin.0);
        let (user, pair) = changed.await?;
        renewed.supersede(&pair.access);
        Ok(Json(LoginDto::new(&user, &pair)))
    }
}

/// The one refresh token that a request carries, in the header or in the body.
fn refresh_token_of(
    header: Option<RefreshToken>,
    body: Option<RefreshRequest>,
) -> Result<Option<RefreshToken>, ApiError> {
    let sent = body.map(|body| body.refresh_token.map(RefreshToken::new));
    match (header, sent) {
        (None, Some(None)) => Err(ApiError::invalid_field("refreshToken", "is missing")),
        (Some(header), Some(Some(body))) if header != body => {
            Err(ApiError::invalid_field("refreshToken", "is not the one in X-Refresh-Token"))
        }
        (header, sent) => Ok(header.or(sent.flatten())),
    }
}

/// A malformed login is a failed login in this dialect; a body of the wrong kind or size is not.
fn malformed_is_401(endpoint: impl Endpoint + 'static) -> impl Endpoint {
    endpoint.around(|endpoint, request| async move {
        endpoint.call(request).await.map_err(|error| match error.downcast_ref::<BodyError>() {
            None | Some(BodyError::UnsupportedMediaType | BodyError::TooLarge) => error,
            Some(_) => ApiError::from(service::Error::InvalidCredentials).into(),
        })
    })
}
