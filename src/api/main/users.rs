//! `/users/…`: accounts, for their owners and for administrators.

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use crate::api::callers::security::{Authenticated, OnBehalf};
use crate::api::document::tags::Tag;
use crate::api::errors::ApiError;
use crate::api::errors::refusal::{
    Documented, INTERNAL, NOT_JSON, ON_BEHALF, Refusal, TOO_LARGE, UNAUTHORIZED, UNAVAILABLE,
    UNAVAILABLE_OR_ENDING, examples, refusals,
};
use crate::api::main::administration::FORBIDDEN;
use crate::api::main::auth::CallerErrors;
use crate::api::wire::addresses;
use crate::api::wire::dto::{AccountDto, RoleDto, UserDto, UserIdParam};
use crate::api::wire::json::{Json, StrictJson};
use crate::domain::email::Email;
use crate::domain::external_id::ExternalId;
use crate::domain::ids::UserId;
use crate::domain::user::{Role, User};
use crate::domain::user_filter::{UserFilter, UserOrder, UserPrefix};
use crate::service::accounts::{ListedUser, ProfileRequest, UserListRequest};
use crate::service::{self, Services};

/// Users in a page of the list, unless asked otherwise, and at most.
const DEFAULT_PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 200;

/// The caller's account, with the claims of the access token in use.
#[derive(Object)]
#[oai(rename = "Me", example)]
pub struct Me {
    /// The account's id.
    id: i64,
    /// The account's id again, under the claim's name.
    sub: i64,
    /// E-mail address, in lower case.
    email: String,
    /// Whether the owner has proven that the address is theirs. Until then it may be anybody's.
    email_verified: bool,
    /// First name, `null` if none was given.
    #[oai(nullable)]
    first_name: Option<String>,
    /// Last name, `null` if none was given.
    #[oai(nullable)]
    last_name: Option<String>,
    /// What the account may do.
    role: RoleDto,
    /// When the access token was issued, seconds since the Unix epoch.
    iat: i64,
    /// When the access token ends, seconds since the Unix epoch.
    exp: i64,
}

impl Me {
    fn new(user: &User, iat: i64, exp: i64) -> Self {
        let UserDto { id, first_name, last_name, email, email_verified } = user.into();
        Self { id, sub: id, email, email_verified, first_name, last_name, role: user.role().into(), iat, exp }
    }
}

impl Example for Me {
    fn example() -> Self {
        let UserDto { id, first_name, last_name, email, email_verified } = UserDto::example();
        let (iat, exp) = (1_796_169_600, 1_796_170_500);
        Self { id, sub: id, email, email_verified, first_name, last_name, role: RoleDto::Member, iat, exp }
    }
}

/// An account in the list.
#[derive(Object)]
#[oai(rename = "UserListItem", example)]
pub struct UserListItem {
    /// The account's id.
    id: i64,
    /// The account's id again, under the claim's name.
    sub: i64,
    /// E-mail address, in lower case.
    email: String,
    /// Whether the owner has proven that the address is theirs. Until then it may be anybody's.
    email_verified: bool,
    /// First name, `null` if none was given.
    #[oai(nullable)]
    first_name: Option<String>,
    /// Last name, `null` if none was given.
    #[oai(nullable)]
    last_name: Option<String>,
    /// What the account may do.
    role: RoleDto,
    /// Whether the account is shut: nobody can log in to it.
    disabled: bool,
    /// What other databases refer to the account by, `null` if nothing was given.
    #[oai(nullable)]
    external_id: Option<String>,
    /// When the account's newest live access token was issued, seconds since the Unix epoch;
    /// `null` where there is none.
    #[oai(nullable)]
    iat: Option<i64>,
    /// When that token ends, seconds since the Unix epoch; `null` where there is none.
    #[oai(nullable)]
    exp: Option<i64>,
}

impl From<&ListedUser> for UserListItem {
    fn from(listed: &ListedUser) -> Self {
        let UserDto { id, first_name, last_name, email, email_verified } = (&listed.user).into();
        let role = listed.user.role().into();
        let (iat, exp) =
            (listed.newest_token.map(|t| t.issued_at), listed.newest_token.map(|t| t.expires_at));
        Self {
            id,
            sub: id,
            email,
            email_verified,
            first_name,
            last_name,
            role,
            disabled: listed.user.disabled,
            external_id: listed.user.external_id.as_ref().map(ToString::to_string),
            iat,
            exp,
        }
    }
}

impl Example for UserListItem {
    fn example() -> Self {
        let Me { id, sub, email, email_verified, first_name, last_name, role, iat, exp } = Me::example();
        Self {
            id,
            sub,
            email,
            email_verified,
            first_name,
            last_name,
            role,
            disabled: false,
            external_id: Some("4711".to_owned()),
            iat: Some(iat),
            exp: Some(exp),
        }
    }
}

/// The answer to a request for a page of the list.
#[derive(ApiResponse)]
pub enum UserListResponse {
    /// A page of accounts, in the order of their ids.
    #[oai(status = 200)]
    Page(
        Json<Vec<UserListItem>>,
        /// `<…>; rel="next"`: the next page, if there is one (RFC 8288).
        #[oai(header = "Link")]
        Option<String>,
        /// How many accounts there are on all pages, with `count=true`.
        #[oai(header = "X-Total-Count")]
        Option<u64>,
    ),
}

/// New names. A field that is left out stays as it is; empty text clears it.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ProfileUpdate", example)]
pub struct ProfileUpdate {
    /// First name, at most 100 characters.
    first_name: Option<String>,
    /// Last name, at most 100 characters.
    last_name: Option<String>,
}

impl Example for ProfileUpdate {
    fn example() -> Self {
        Self { first_name: Some("Augusta Ada".to_owned()), last_name: Some("King".to_owned()) }
    }
}

refusals! {
    /// Of `getUser`.
    GetUserErrors {
        401 => UNAUTHORIZED, 403 => ON_BEHALF,
        404 => Documented::new(
            "There is no such account, or the caller may not see it (`not_found`).",
            || examples([service::Error::NotFound]),
        ),
        500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `listUsers`.
    ListUsersErrors {
        400 => Documented::new(
            "A parameter has a value that cannot be taken, comes twice or is not known (`invalid_request`, `unknown_parameter`; \
             `errors` names it).",
            || vec![ApiError::invalid_field("limit", "has a value that cannot be taken")],
        ),
        401 => UNAUTHORIZED,
        403 => FORBIDDEN,
        500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `updateMe`.
    UpdateMeErrors {
        400 => Documented::new(
            "The body is not valid JSON, has a key twice or one that is no name's, or a name is no text, too long or \
             has control characters (`invalid_request`; `errors` names the fields). Or tokens would be longer than they \
             may be (`token_too_large`).",
            || {
                vec![
                    ApiError::invalid_field("first_name", "must be a string"),
                    service::Error::TokenTooLarge { bytes: 5_000 }.into(),
                ]
            },
        ),
        401 => UNAUTHORIZED, 403 => ON_BEHALF, 413 => TOO_LARGE, 415 => NOT_JSON,
        500 => INTERNAL, 503 => UNAVAILABLE_OR_ENDING,
    }
}

/// Which accounts come first.
#[derive(Clone, Copy, Enum)]
#[oai(rename = "UserOrder", rename_all = "lowercase")]
pub enum UserOrderDto {
    /// Those with the smallest ids.
    Oldest,
    /// Those with the largest ids.
    Newest,
}

impl From<UserOrderDto> for UserOrder {
    fn from(order: UserOrderDto) -> Self {
        match order {
            UserOrderDto::Oldest => Self::Oldest,
            UserOrderDto::Newest => Self::Newest,
        }
    }
}

/// A parameter as it is meant, or what is wrong with it.
fn parsed<T, E: ToString>(
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, String> {
    text.map(parse).transpose().map_err(|error| error.to_string())
}

/// The operations under `/users`.
pub struct UsersApi;

#[OpenApi(prefix_path = "/users", tag = "Tag::Users")]
impl UsersApi {
    /// Get the own account
    ///
    /// Answers the caller's account, and when the access token in use was issued and when it ends.
    #[oai(path = "/me", method = "get", operation_id = "getMe")]
    async fn get_me(
        &self,
        services: Data<&Services>,
        caller: OnBehalf,
    ) -> Result<Json<Me>, Refusal<CallerErrors>> {
        let user = services.0.accounts.who(&caller.0).await?;
        Ok(Json(Me::new(&user, caller.0.issued_at, caller.0.expires_at)))
    }

    /// Change the own names
    ///
    /// Changes the caller's names. A field that is left out stays as it is, and empty text clears
    /// it. Nothing else can be changed here: a body with a role or an
    /// e-mail address in it is refused.
    #[oai(path = "/me", method = "patch", operation_id = "updateMe")]
    async fn update_me(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        body: StrictJson<ProfileUpdate>,
    ) -> Result<Json<Me>, Refusal<UpdateMeErrors>> {
        let ProfileUpdate { first_name, last_name } = body.0;
        let request = ProfileRequest { first_name, last_name };
        let user = services.0.accounts.update_profile(&caller.0, request).await?;
        Ok(Json(Me::new(&user, caller.0.issued_at, caller.0.expires_at)))
    }

    /// List accounts
    ///
    /// For administrators: accounts in the order of their ids, a page at a time, all of them or those that
    /// fit every parameter. The next page is at the address in the `Link` header; the last page has none.
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    #[oai(path = "/", method = "get", operation_id = "listUsers")]
    async fn list_users(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        /// Accounts in this page: 50 unless given, 200 at most.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u32>>,
        /// The page begins behind the account with this id: the first page unless given.
        #[oai(validator(minimum(value = "0")))]
        after: Query<Option<i64>>,
        /// The account of this e-mail address, however it is spelled.
        email: Query<Option<String>>,
        /// Accounts whose address, first name or last name begins so; upper and lower case are the same.
        q: Query<Option<String>>,
        /// Accounts that may do this.
        role: Query<Option<RoleDto>>,
        /// Accounts that are disabled, or those that are not.
        disabled: Query<Option<bool>>,
        /// The account that other databases refer to by this.
        external_id: Query<Option<String>>,
        /// Which accounts come first: the oldest unless given.
        order: Query<Option<UserOrderDto>>,
        /// Whether to say in `X-Total-Count` how many there are on all pages.
        count: Query<Option<bool>>,
    ) -> Result<UserListResponse, Refusal<ListUsersErrors>> {
        let limit = limit.0.unwrap_or(DEFAULT_PAGE).clamp(1, LARGEST_PAGE);
        let after = match after.0 {
            None | Some(0) => None,
            Some(id) => {
                let id =
                    UserId::try_from(id).map_err(|_| ApiError::invalid_field("after", "is no user id"))?;
                Some(id)
            }
        };
        let invalid = |field: &str, problem: String| ApiError::invalid_field(field, &problem);
        let filter = UserFilter {
            email: parsed(email.0.as_deref(), Email::parse).map_err(|error| invalid("email", error))?,
            prefix: parsed(q.0.as_deref(), UserPrefix::parse).map_err(|error| invalid("q", error))?,
            role: role.0.map(Role::from),
            disabled: disabled.0,
            external_id: parsed(external_id.0.as_deref(), ExternalId::parse)
                .and_then(|id| id.map(|id| id.ok_or_else(|| "is empty".to_owned())).transpose())
                .map_err(|error| invalid("external_id", error))?,
        };
        let order = order.0.map_or(UserOrder::Oldest, UserOrder::from);
        let wanted = UserListRequest { filter, order, after, limit, count: count.0.unwrap_or_default() };
        let page = services.0.accounts.list(&caller.0, &wanted).await?;
        let link = page.next.map(|after| {
            let mut query = Serializer::new(String::new());
            query.append_pair("limit", &limit.to_string()).append_pair("after", &after.to_string());
            let flag = |flag: Option<bool>| flag.map(|flag| flag.to_string());
            for (name, value) in [
                ("email", email.0),
                ("q", q.0),
                ("role", role.0.map(|role| Role::from(role).to_string())),
                ("disabled", flag(disabled.0)),
                ("external_id", external_id.0),
                ("order", (order == UserOrder::Newest).then(|| "newest".to_owned())),
                ("count", flag(count.0)),
            ] {
                if let Some(value) = value {
                    query.append_pair(name, &value);
                }
            }
            addresses::next_page(&services, &format!("/users?{}", query.finish()))
        });
        let items = page.users.iter().map(UserListItem::from).collect();
        Ok(UserListResponse::Page(Json(items), link, page.total))
    }

    /// Get an account
    ///
    /// For the account's owner and for administrators. Anybody else gets what a missing account
    /// gets, 404.
    #[oai(path = "/:id", method = "get", operation_id = "getUser")]
    async fn get_user(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        /// The account's id.
        id: Path<UserIdParam>,
    ) -> Result<Json<AccountDto>, Refusal<GetUserErrors>> {
        let user = services.0.accounts.get(&caller.0, id.0.0).await?;
        Ok(Json(match caller.0.role {
            Role::Admin => AccountDto::with_more_for_administrators(&user),
            Role::Member => (&user).into(),
        }))
    }
}
