//! What several operations answer.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{
    Example, ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type,
};
use poem_openapi::{Enum, Object};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::domain::ids::UserId;
use crate::domain::metadata::Metadata;
use crate::domain::name::Name;
use crate::domain::user::{Role, User};
use crate::service::sessions::TokenPair;
use crate::service::{self, Error, Field, FieldProblem};

pub(crate) const ACCESS_TOKEN_EXAMPLE: &str =
    "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiIsImtpZCI6IuKApiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
pub(crate) const REFRESH_TOKEN_EXAMPLE: &str =
    "hp_rt_AQAAAAAAAAABexampleexampleexampleexampleexampleexampleexampleexampleexampleex";

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename = "Role", rename_all = "lowercase")]
pub enum RoleDto {
    /// Everything, other people's accounts included.
    Admin,
    /// The own account.
    Member,
}

impl From<RoleDto> for Role {
    fn from(role: RoleDto) -> Self {
        match role {
            RoleDto::Admin => Self::Admin,
            RoleDto::Member => Self::Member,
        }
    }
}

impl From<Role> for RoleDto {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => Self::Admin,
            Role::Member => Self::Member,
        }
    }
}

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
    /// Whether the owner has proven that the address is theirs. Until then it may be anybody's.
    pub email_verified: bool,
}

impl From<&User> for UserDto {
    fn from(user: &User) -> Self {
        let text = |name: &Option<Name>| name.as_ref().map(|name| name.as_str().to_owned());
        Self {
            id: user.id.get(),
            first_name: text(&user.first_name),
            last_name: text(&user.last_name),
            email: user.email.as_str().to_owned(),
            email_verified: user.email_verified,
        }
    }
}

impl Example for UserDto {
    fn example() -> Self {
        Self {
            id: 2,
            first_name: Some("Ada".to_owned()),
            last_name: Some("Lovelace".to_owned()),
            email: "ada@example.com".to_owned(),
            email_verified: true,
        }
    }
}

/// An account with what administrators decide about it.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename = "Account", example)]
pub struct AccountDto {
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
    /// Whether the owner has proven that the address is theirs.
    pub email_verified: bool,
    /// What the account may do here: `admin` if that is among its roles, else `member`.
    pub role: RoleDto,
    /// All roles of the account; for administrators alone. `getUser` leaves out what `role` says already.
    #[oai(skip_serializing_if_is_none)]
    pub roles: Option<Vec<String>>,
    /// What is noted down about the owner; for administrators alone. `getUser` leaves it out where that is nothing.
    #[oai(skip_serializing_if_is_none)]
    pub metadata: Option<AnyObject>,
    /// Whether the account is shut: nobody can log in to it.
    pub disabled: bool,
    /// What other databases refer to the account by, `null` if nothing was given.
    #[oai(nullable)]
    pub external_id: Option<String>,
    /// When the account was made, seconds since the Unix epoch.
    pub created_at: i64,
}

impl AccountDto {
    /// With what administrators alone see, where it is more than other accounts have: most are answered as ever.
    pub(crate) fn with_more_for_administrators(user: &User) -> Self {
        let Self { roles, metadata, .. } = Self::for_administrators(user);
        let roles = roles.filter(|_| !user.roles.is_only(user.role()));
        Self { roles, metadata: metadata.filter(|_| !user.metadata.is_empty()), ..user.into() }
    }

    /// With what administrators alone see.
    pub(crate) fn for_administrators(user: &User) -> Self {
        Self { roles: Some(user.roles.names()), metadata: Some((&user.metadata).into()), ..user.into() }
    }
}

impl From<&User> for AccountDto {
    fn from(user: &User) -> Self {
        let UserDto { id, first_name, last_name, email, email_verified } = user.into();
        Self {
            id,
            first_name,
            last_name,
            email,
            email_verified,
            role: user.role().into(),
            roles: None,
            metadata: None,
            disabled: user.disabled,
            external_id: user.external_id.as_ref().map(ToString::to_string),
            created_at: user.created_at.as_secs(),
        }
    }
}

impl Example for AccountDto {
    fn example() -> Self {
        let UserDto { id, first_name, last_name, email, email_verified } = UserDto::example();
        Self {
            id,
            first_name,
            last_name,
            email,
            email_verified,
            role: RoleDto::Member,
            roles: Some(vec!["editor".to_owned(), "member".to_owned()]),
            metadata: Some(AnyObject::example()),
            disabled: false,
            external_id: Some("4711".to_owned()),
            created_at: 1_796_169_600,
        }
    }
}

/// The next pair of tokens of the session.
#[derive(Clone, PartialEq, Eq, Object)]
#[oai(rename = "TokenPair", rename_all = "camelCase", example)]
pub struct TokenPairDto {
    /// A signed JWT for `Authorization: Bearer`. Any service can check it with the keys at
    /// `/.well-known/jwks.json`.
    pub access_token: String,
    /// Buys the next pair, once. Keep it secret; it is opaque. Empty with `Hallpass-Mode: cookie`: it is in the cookie.
    pub refresh_token: String,
    /// How to present the access token: always `Bearer`.
    pub token_type: String,
    /// Seconds until the access token ends.
    pub expires_in: i64,
    /// When the session ends in any case, seconds since the Unix epoch.
    pub session_expires_at: i64,
}

impl TokenPairDto {
    pub(crate) fn new(pair: &TokenPair) -> Self {
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

/// Who is logged in, and the tokens of the new session.
#[derive(Clone, PartialEq, Eq, Object)]
#[oai(rename = "Login", rename_all = "camelCase", example)]
pub struct LoginDto {
    /// The account that is logged in.
    pub user: UserDto,
    /// A signed JWT for `Authorization: Bearer`.
    pub access_token: String,
    /// Buys the next pair, once. Keep it secret; it is opaque. Empty with `Hallpass-Mode: cookie`: it is in the cookie.
    pub refresh_token: String,
    /// How to present the access token: always `Bearer`.
    pub token_type: String,
    /// Seconds until the access token ends.
    pub expires_in: i64,
    /// When the session ends in any case, seconds since the Unix epoch.
    pub session_expires_at: i64,
}

impl LoginDto {
    pub(crate) fn new(user: &User, pair: &TokenPair) -> Self {
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

/// A JSON object of whatever members.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct AnyObject(Value);

impl AnyObject {
    /// As metadata; `null` is an empty one.
    ///
    /// # Errors
    /// [`Error::Invalid`], for the field `metadata`.
    pub(crate) fn metadata(self) -> service::Result<Metadata> {
        match self.0 {
            Value::Null => Ok(Metadata::default()),
            value => Metadata::try_from(value).map_err(|error| {
                Error::Invalid(vec![FieldProblem { field: Field::Metadata, problem: error.to_string() }])
            }),
        }
    }

    /// A field that is given is one, also where it is `null`.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub(crate) fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        Self::deserialize(deserializer).map(Some)
    }
}

impl From<&Metadata> for AnyObject {
    fn from(metadata: &Metadata) -> Self {
        Self(Value::Object(metadata.members().clone()))
    }
}

impl Example for AnyObject {
    fn example() -> Self {
        Self(json!({"plan": "pro", "tenant": "north"}))
    }
}

impl Type for AnyObject {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "object".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let any = MetaSchemaRef::Inline(Box::new(MetaSchema::ANY));
        let schema = MetaSchema { additional_properties: Some(Box::new(any)), ..MetaSchema::new("object") };
        MetaSchemaRef::Inline(Box::new(schema))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for AnyObject {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        value.map(Self).ok_or_else(ParseError::expected_input)
    }
}

impl ToJSON for AnyObject {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.clone())
    }
}

/// A [`UserId`] in a path or a query: a number in the document, as in every answer, and read as
/// strictly as the domain reads ids (no leading plus or zero).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserIdParam(pub UserId);

impl Type for UserIdParam {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "integer_int64".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let schema = MetaSchema { minimum: Some(1.0), ..MetaSchema::new_with_format("integer", "int64") };
        MetaSchemaRef::Inline(Box::new(schema))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromParameter for UserIdParam {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        text.parse().map(Self).map_err(ParseError::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_a_path_has_one_spelling() {
        let parse = |text| UserIdParam::parse_from_parameter(text).ok().map(|id| id.0.get());
        assert_eq!(parse("7"), Some(7));
        for other in ["", "0", "07", "+7", "-7", "7.0", "9007199254740992", "me"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
