//! `/users/{id}` for administrators: changing and deleting accounts, and ending their sessions.

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use crate::api::callers::renewed_token::RenewedToken;
use crate::api::callers::security::Authenticated;
use crate::api::document::tags::Tag;
use crate::api::errors::ApiError;
use crate::api::errors::refusal::{
    Documented, INTERNAL, NOT_JSON, Refusal, TOO_LARGE, UNAUTHORIZED, UNAVAILABLE, UNAVAILABLE_OR_BUSY,
    UNAVAILABLE_OR_ENDING, examples, refusals,
};
use crate::api::main::auth::{PasswordResetRequested, weak_password};
use crate::api::main::sessions::{
    NO_SUCH_PAGE, PageOfSessions, SessionListResponse, SessionRevoked, SessionsRevoked,
};
use crate::api::wire::dto::{AccountDto, AnyObject, RoleDto, UserIdParam};
use crate::api::wire::json::{Json, StrictJson};
use crate::domain::email::Email;
use crate::domain::external_id::ExternalId;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::metadata::Metadata;
use crate::domain::user::{AccountChange, Role};
use crate::service::administration::{CreatedAccount, GivenAccount};
use crate::service::caller::Administrator;
use crate::service::caller::Caller;
use crate::service::{self, Field, Services};

/// What to change about an account. A field that is left out stays as it is.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "AccountUpdate", skip_serializing_if_is_none, example)]
pub struct AccountUpdate {
    /// Whether the account administers: `admin` and `member` take each other's place among its roles, and others stay.
    #[serde(default, deserialize_with = "given")]
    role: Option<RoleDto>,
    /// All roles of the account, in the place of those that it has: one at least, and none that `roles` of the settings
    /// does not name. Not together with `role`.
    roles: Option<Vec<String>>,
    /// Whether the account is shut: nobody can log in to it.
    disabled: Option<bool>,
    /// The e-mail address; a new one is not verified.
    email: Option<String>,
    /// What other databases refer to the account by, at most 128 characters; empty text clears it. No token
    /// names it, so changing it ends no session.
    external_id: Option<String>,
    /// What is noted down about the owner, for claims of tokens: a JSON object of at most 2048 bytes, four levels deep, in
    /// the place of what there is; `null` empties it. Nobody but administrators sees it here.
    #[serde(default, deserialize_with = "AnyObject::given")]
    #[oai(nullable)]
    metadata: Option<AnyObject>,
}

/// An account as an administrator makes it. The address counts as verified.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "AccountCreation", skip_serializing_if_is_none, example)]
pub struct NewAccountDto {
    /// E-mail address, at most 254 bytes; upper and lower case are the same.
    email: String,
    /// The first password, under the same rules as at registration. Without one the owner chooses it: they get
    /// the mail of a password reset.
    password: Option<String>,
    /// First name, at most 100 characters.
    first_name: Option<String>,
    /// Last name, at most 100 characters.
    last_name: Option<String>,
    /// What the account may do: a member unless given.
    #[serde(default, deserialize_with = "given")]
    role: Option<RoleDto>,
    /// What is noted down about the owner, for claims of tokens: a JSON object of at most 2048 bytes, four levels deep.
    metadata: Option<AnyObject>,
}

impl Example for NewAccountDto {
    fn example() -> Self {
        Self {
            email: "grace@example.com".to_owned(),
            password: None,
            first_name: Some("Grace".to_owned()),
            last_name: Some("Hopper".to_owned()),
            role: Some(RoleDto::Member),
            metadata: None,
        }
    }
}

/// The account exists now.
#[derive(Object)]
#[oai(rename = "AccountCreated", rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct AccountCreatedDto {
    /// The account.
    user: AccountDto,
    /// The token to choose a password with, where the account has none and the service is set to answer it
    /// (`reset.delivery = "response"`, as `hallpass dev` is).
    password_reset_token: Option<String>,
}

impl Example for AccountCreatedDto {
    fn example() -> Self {
        Self { user: AccountDto::example(), password_reset_token: None }
    }
}

/// The answer to a new account.
#[derive(ApiResponse)]
pub enum CreateAccountResponse {
    /// The account exists now.
    #[oai(status = 201)]
    Created(Json<AccountCreatedDto>),
}

/// A role that is given is one: unlike elsewhere `null` does not stand for a field that is left out, since
/// a reference cannot be nullable in the document.
fn given<'de, D: Deserializer<'de>>(role: D) -> Result<Option<RoleDto>, D::Error> {
    RoleDto::deserialize(role).map(Some)
}

impl Example for AccountUpdate {
    fn example() -> Self {
        Self { role: None, roles: None, disabled: Some(true), email: None, external_id: None, metadata: None }
    }
}

/// The account is gone.
#[derive(Object)]
#[oai(rename = "AccountDeleted", example)]
pub struct AccountDeleted {
    /// What was done.
    message: String,
}

impl Example for AccountDeleted {
    fn example() -> Self {
        Self { message: "account deleted".to_owned() }
    }
}

pub(crate) const FORBIDDEN: Documented = Documented::new(
    "The caller is no administrator (`forbidden`), or acts for one by an exchanged token (`insufficient_scope`).",
    || examples([service::Error::Forbidden, service::Error::InsufficientScope]),
);
const NO_ACCOUNT: Documented =
    Documented::new("There is no such account (`not_found`).", || examples([service::Error::NotFound]));

refusals! {
    /// Of `createAccount`.
    CreateAccountErrors {
        400 => Documented::new(
            "The body is not valid JSON, has a key twice or one that is not known, or a field cannot be taken \
             (`invalid_request`; `errors` names the fields). Or the password breaks the policy (`weak_password`; \
             `errors` says which rule). Or tokens would be longer than they may be (`token_too_large`).",
            || {
                vec![
                    ApiError::invalid_field("email", "is missing"),
                    weak_password(Field::Password),
                    service::Error::TokenTooLarge { bytes: 5_000 }.into(),
                ]
            },
        ),
        401 => UNAUTHORIZED, 403 => FORBIDDEN,
        409 => Documented::new(
            "Another account has the e-mail address (`email_taken`). Or no password was given, and this service makes \
             no reset tokens (`reset_unavailable`).",
            || examples([service::Error::EmailTaken, service::Error::ResetOff]),
        ),
        413 => TOO_LARGE, 415 => NOT_JSON, 500 => INTERNAL, 503 => UNAVAILABLE_OR_BUSY,
    }
    /// Of `updateUser`.
    UpdateUserErrors {
        400 => Documented::new(
            "The body is not valid JSON, has a key twice or one that is not known, or a field cannot be taken \
             (`invalid_request`; `errors` names the fields). Or tokens would be longer than they may be \
             (`token_too_large`).",
            || {
                vec![
                    ApiError::invalid_field("role", "is not valid"),
                    service::Error::TokenTooLarge { bytes: 5_000 }.into(),
                ]
            },
        ),
        401 => UNAUTHORIZED, 403 => FORBIDDEN, 404 => NO_ACCOUNT,
        409 => Documented::new(
            "This is the last administrator who can log in (`last_admin`): make another one first. Or another \
             account has the e-mail address (`email_taken`) or the external id (`external_id_taken`).",
            || {
                examples([
                    service::Error::LastAdmin,
                    service::Error::EmailTaken,
                    service::Error::ExternalIdTaken,
                ])
            },
        ),
        413 => TOO_LARGE, 415 => NOT_JSON, 500 => INTERNAL, 503 => UNAVAILABLE_OR_ENDING,
    }
    /// Of `deleteUser`.
    DeleteUserErrors {
        401 => UNAUTHORIZED, 403 => FORBIDDEN, 404 => NO_ACCOUNT,
        409 => Documented::new(
            "This is the last administrator who can log in (`last_admin`): make another one first.",
            || examples([service::Error::LastAdmin]),
        ),
        500 => INTERNAL, 503 => UNAVAILABLE_OR_ENDING,
    }
    /// Of `requestUserPasswordReset`.
    RequestResetErrors {
        401 => UNAUTHORIZED, 403 => FORBIDDEN,
        404 => Documented::new(
            "There is no such account, or it is disabled (`not_found`).",
            || examples([service::Error::NotFound]),
        ),
        409 => Documented::new(
            "This service makes no reset tokens (`reset_unavailable`).",
            || examples([service::Error::ResetOff]),
        ),
        500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `listUserSessions`.
    ListUserSessionsErrors {
        400 => NO_SUCH_PAGE, 401 => UNAUTHORIZED, 403 => FORBIDDEN, 404 => NO_ACCOUNT, 500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `revokeUserSessions`.
    RevokeUserSessionsErrors {
        401 => UNAUTHORIZED, 403 => FORBIDDEN, 404 => NO_ACCOUNT, 500 => INTERNAL, 503 => UNAVAILABLE_OR_ENDING,
    }
    /// Of `revokeUserSession`.
    RevokeUserSessionErrors {
        401 => UNAUTHORIZED, 403 => FORBIDDEN,
        404 => Documented::new(
            "The account has no such session: it has ended, or it is another account's (`not_found`).",
            || examples([service::Error::NotFound]),
        ),
        500 => INTERNAL, 503 => UNAVAILABLE,
    }
}

/// What administrators do under `/users/{id}`.
pub struct AdministrationApi;

#[OpenApi(prefix_path = "/users", tag = "Tag::Administration")]
impl AdministrationApi {
    /// Make an account
    ///
    /// Makes an account of any role, also where people do not register themselves
    /// (`registration.enabled = false`). Without a password its owner must choose one before they can log in,
    /// and gets the mail of a password reset for that.
    #[oai(path = "/", method = "post", operation_id = "createAccount")]
    async fn create_account(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        body: StrictJson<NewAccountDto>,
    ) -> Result<CreateAccountResponse, Refusal<CreateAccountErrors>> {
        let by = Administrator::from_caller(&caller.0)?;
        let NewAccountDto { email, password, first_name, last_name, role, metadata } = body.0;
        let metadata = metadata.map_or(Ok(Metadata::default()), AnyObject::metadata)?;
        let role = role.map_or(Role::Member, Role::from);
        let administration = &services.0.administration;
        let account =
            administration.read(GivenAccount { email, password, first_name, last_name, role, metadata })?;
        let CreatedAccount { user, reset } = administration.create(by, account).await?;
        Ok(CreateAccountResponse::Created(Json(AccountCreatedDto {
            user: AccountDto::for_administrators(&user),
            password_reset_token: reset.map(|token| token.expose().to_owned()),
        })))
    }

    /// Change an account
    ///
    /// Changes the account's roles, its e-mail address, or whether it is disabled, and ends all its
    /// sessions at once; or what other databases refer to it by and what is noted down about its owner, which ends none. What is so already changes
    /// nothing and ends nothing. The last administrator who
    /// can log in can neither be demoted nor disabled.
    #[oai(path = "/:id", method = "patch", operation_id = "updateUser")]
    async fn update_user(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        renewed: Data<&RenewedToken>,
        /// The account's id.
        id: Path<UserIdParam>,
        body: StrictJson<AccountUpdate>,
    ) -> Result<Json<AccountDto>, Refusal<UpdateUserErrors>> {
        let by = Administrator::from_caller(&caller.0)?;
        let AccountUpdate { role, roles, disabled, email, external_id, metadata } = body.0;
        if role.is_some() && roles.is_some() {
            return Err(ApiError::invalid_field("roles", "stands beside `role`: send one of them").into());
        }
        let administration = &services.0.administration;
        let roles = roles.map(|names| administration.roles(&names)).transpose()?;
        let email = email
            .map(|text| Email::parse(&text))
            .transpose()
            .map_err(|error| ApiError::invalid_field("email", &error.to_string()))?;
        let external_id = external_id
            .map(|text| ExternalId::parse(&text))
            .transpose()
            .map_err(|error| ApiError::invalid_field("external_id", &error.to_string()))?;
        let metadata = metadata.map(AnyObject::metadata).transpose()?;
        let change = AccountChange {
            role: role.map(Role::from),
            roles,
            disabled,
            email,
            external_id,
            metadata,
            ..AccountChange::default()
        };
        let account = administration.change(by, id.0.0, &change).await?;
        withdraw_own(&renewed, &caller.0, id.0.0);
        Ok(Json(AccountDto::for_administrators(&account)))
    }

    /// Delete an account
    ///
    /// Deletes the account and ends all its sessions at once. Its id is never given again, its e-mail
    /// address is free. The last administrator who can log in cannot be deleted.
    #[oai(path = "/:id", method = "delete", operation_id = "deleteUser")]
    async fn delete_user(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        renewed: Data<&RenewedToken>,
        /// The account's id.
        id: Path<UserIdParam>,
    ) -> Result<Json<AccountDeleted>, Refusal<DeleteUserErrors>> {
        let by = Administrator::from_caller(&caller.0)?;
        services.0.administration.delete(by, id.0.0).await?;
        withdraw_own(&renewed, &caller.0, id.0.0);
        Ok(Json(AccountDeleted::example()))
    }

    /// Request a password reset for an account
    ///
    /// Issues a reset token for the account's owner, delivered as if they had asked for it themselves.
    /// The earlier token that an administrator asked for is void from then on, those that others asked for
    /// are not; the account's sessions live on.
    #[oai(path = "/:id/password-reset", method = "post", operation_id = "requestUserPasswordReset")]
    async fn request_password_reset(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        /// The account's id.
        id: Path<UserIdParam>,
    ) -> Result<Json<PasswordResetRequested>, Refusal<RequestResetErrors>> {
        let by = Administrator::from_caller(&caller.0)?;
        let token = services.0.administration.request_password_reset(by, id.0.0).await?;
        Ok(Json(PasswordResetRequested::new("a reset token was issued", token)))
    }

    /// List an account's sessions
    ///
    /// Answers the account's live sessions, newest first and a page at a time. The next page is at the
    /// address in the `Link` header; the last page has none.
    #[oai(path = "/:id/sessions", method = "get", operation_id = "listUserSessions")]
    async fn list_user_sessions(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        /// The account's id.
        id: Path<UserIdParam>,
        /// Sessions in this page: 100 unless given, 200 at most.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u32>>,
        /// The page begins behind this place in the list, out of a `Link` header: the first page unless given.
        #[oai(validator(
            pattern = "^[0-9]{1,15}\\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
        ))]
        after: Query<Option<String>>,
    ) -> Result<SessionListResponse, Refusal<ListUserSessionsErrors>> {
        let by = Administrator::from_caller(&caller.0)?;
        let page = PageOfSessions::asked_for(limit.0, after.0.as_deref())?;
        let sessions = services.0.administration.sessions(by, id.0.0, page.after, page.limit).await?;
        let path = format!("/users/{}/sessions", id.0.0);
        Ok(page.answer(&services, &path, &sessions, caller.0.session))
    }

    /// End all sessions of an account
    ///
    /// Ends every session of the account at once and for all their tokens, one that is being opened at
    /// the same moment included, and answers how many there were.
    #[oai(path = "/:id/sessions", method = "delete", operation_id = "revokeUserSessions")]
    async fn revoke_user_sessions(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        renewed: Data<&RenewedToken>,
        /// The account's id.
        id: Path<UserIdParam>,
    ) -> Result<Json<SessionsRevoked>, Refusal<RevokeUserSessionsErrors>> {
        let by = Administrator::from_caller(&caller.0)?;
        let ended = services.0.administration.end_sessions(by, id.0.0).await?;
        withdraw_own(&renewed, &caller.0, id.0.0);
        Ok(Json(SessionsRevoked::new(ended)))
    }

    /// End a session of an account
    ///
    /// Ends one session of the account, at once and for all its tokens.
    #[oai(path = "/:id/sessions/:sid", method = "delete", operation_id = "revokeUserSession")]
    async fn revoke_user_session(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        renewed: Data<&RenewedToken>,
        /// The account's id.
        id: Path<UserIdParam>,
        /// The session's id, out of the list.
        sid: Path<Uuid>,
    ) -> Result<Json<SessionRevoked>, Refusal<RevokeUserSessionErrors>> {
        let by = Administrator::from_caller(&caller.0)?;
        let session = SessionId::from(sid.0);
        services.0.administration.end_session(by, id.0.0, session).await?;
        if session == caller.0.session {
            renewed.withdraw();
        }
        Ok(Json(SessionRevoked::example()))
    }
}

/// An administrator who has ended their own sessions gets no new access token of one.
fn withdraw_own(renewed: &RenewedToken, caller: &Caller, id: UserId) {
    if caller.user == id {
        renewed.withdraw();
    }
}
