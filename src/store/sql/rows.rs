//! From a row of either engine to the domain.

use std::fmt::Display;

use sqlx::{ColumnIndex, Decode, Row, Type};

use crate::domain::audiences::Audiences;
use crate::domain::client::{Client, ClientSecretHash};
use crate::domain::clock::Timestamp;
use crate::domain::email::{Email, EmailError};
use crate::domain::external_id::{ExternalId, ExternalIdError};
use crate::domain::ids::{DeploymentId, KeyId, UserId, UserIdError};
use crate::domain::metadata::{Metadata, MetadataError};
use crate::domain::name::{Name, NameError};
use crate::domain::password::PasswordHash;
use crate::domain::roles::Roles;
use crate::domain::signing_key::{KeyState, RingKey, SealedKey, StoredSigningKey};
use crate::domain::user::{Role, SecurityVersion, User};
use crate::store::error::{StoreError, StoreResult};

/// The columns that [`user`] reads. Never `*`: a replica that still runs while a later one adds a
/// column would find its prepared statements refused.
macro_rules! user_columns {
    () => {
        "id, email, external_id, first_name, last_name, role, roles, password_hash, disabled, email_verified, metadata, security_version, created_at"
    };
}
pub(super) use user_columns;

/// The columns that [`ring_key`] reads.
macro_rules! ring_key_columns {
    () => {
        "kid, algorithm, sealed, created_at, state, activated_at, retiring_at, retired_at, revoked_at, announced_at"
    };
}
pub(super) use ring_key_columns;

/// An account out of a row of `users`.
pub(super) fn user<'r, R>(row: &'r R) -> StoreResult<User>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    let id: i64 = Entry { row, key: "an unreadable id".to_owned() }.get("users.id")?;
    let entry = Entry { row, key: id.to_string() };
    Ok(User {
        id: UserId::try_from(id).map_err(|problem| entry.corrupt("users.id", problem))?,
        email: entry.parse("users.email", canonical_email)?,
        external_id: entry.parse("users.external_id", optional_external_id)?,
        first_name: entry.parse("users.first_name", optional_name)?,
        last_name: entry.parse("users.last_name", optional_name)?,
        roles: roles(&entry)?,
        password: PasswordHash::from_phc(entry.get::<String>("users.password_hash")?),
        disabled: entry.get("users.disabled")?,
        email_verified: entry.get("users.email_verified")?,
        metadata: entry.parse("users.metadata", metadata)?,
        security_version: SecurityVersion::new(entry.get("users.security_version")?),
        created_at: Timestamp::from_millis(entry.get("users.created_at")?),
    })
}

/// The roles of an account. Builds before know the column `role` alone, so what that says holds.
fn roles<'r, R>(entry: &Entry<'r, R>) -> StoreResult<Roles>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    let role: Role = entry.parse("users.role", |text: String| text.parse())?;
    let all = entry.parse("users.roles", |text: Option<String>| text.map(|text| text.parse()).transpose())?;
    Ok(all.map_or_else(|| role.into(), |all: Roles| all.with_role(role)))
}

/// What the column `roles` has of these: nothing where `role` says it all, as for most accounts.
pub(super) fn roles_column(roles: &Roles) -> Option<String> {
    (!roles.is_only(roles.role())).then(|| roles.to_string())
}

/// Roles, and how many accounts have them.
pub(super) fn counted_roles<'r, R>(row: &'r R) -> StoreResult<(Roles, u64)>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    let entry = Entry { row, key: "a count".to_owned() };
    let roles = entry.parse("users.roles", |text: String| text.parse())?;
    Ok((roles, entry.get::<i64>("users.accounts")?.unsigned_abs()))
}

/// The id of an account out of its number.
pub(super) fn user_id(id: i64) -> StoreResult<UserId> {
    let corrupt = |problem: UserIdError| StoreError::Corrupt {
        place: "users.id",
        key: id.to_string(),
        problem: problem.to_string(),
    };
    UserId::try_from(id).map_err(corrupt)
}

/// The id of the deployment out of its text.
pub(super) fn deployment_id(text: &str) -> StoreResult<DeploymentId> {
    let id = uuid::Uuid::parse_str(text).map_err(|problem| StoreError::Corrupt {
        place: "deployment.uuid",
        key: "1".to_owned(),
        problem: problem.to_string(),
    })?;
    Ok(id.into())
}

/// A key and where it stands, out of a row of `signing_keys`.
pub(super) fn ring_key<'r, R>(row: &'r R) -> StoreResult<RingKey>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    let kid: String = Entry { row, key: "an unreadable kid".to_owned() }.get("signing_keys.kid")?;
    let entry = Entry { row, key: kid };
    // SQLite would read a number as zero where there is none.
    let moment = |place| match entry.get::<Option<i64>>(place)? {
        Some(millis) => Ok(Timestamp::from_millis(millis)),
        None => Err(entry.corrupt(place, "it is missing")),
    };
    let state: String = entry.get("signing_keys.state")?;
    let state = match state.as_str() {
        "next" => KeyState::Next,
        "active" => KeyState::Active { since: moment("signing_keys.activated_at")? },
        "retiring" => KeyState::Retiring { since: moment("signing_keys.retiring_at")? },
        "retired" => KeyState::Retired { since: moment("signing_keys.retired_at")? },
        "revoked" => KeyState::Revoked {
            since: moment("signing_keys.revoked_at")?,
            announced: entry.get::<Option<i64>>("signing_keys.announced_at")?.map(Timestamp::from_millis),
        },
        _ => return Err(entry.corrupt("signing_keys.state", "it is none that a key can stand in")),
    };
    let key = StoredSigningKey {
        id: KeyId::new(entry.key.as_str()),
        algorithm: entry.parse("signing_keys.algorithm", |text: String| text.parse())?,
        sealed: SealedKey::new(entry.get("signing_keys.sealed")?),
        created_at: moment("signing_keys.created_at")?,
    };
    Ok(RingKey { key, state })
}

/// Clients out of rows of `clients`, one for each of their secrets; the rows of a client follow one
/// another.
pub(super) fn clients<'r, R>(rows: &'r [R]) -> StoreResult<Vec<Client>>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    let mut clients: Vec<Client> = Vec::new();
    for row in rows {
        let id: String = Entry { row, key: "an unreadable id".to_owned() }.get("clients.id")?;
        let entry = Entry { row, key: id };
        let hash = entry.get::<Option<Vec<u8>>>("client_secrets.hash")?;
        let hash = hash.map(<[u8; 32]>::try_from).transpose();
        let hash = hash.map_err(|_| entry.corrupt("client_secrets.hash", "it has not 32 bytes"))?;
        if clients.last().is_none_or(|client| client.id.as_str() != entry.key) {
            clients.push(Client {
                id: entry.parse("clients.id", |text: String| text.parse())?,
                scopes: entry.parse("clients.scopes", |text: String| text.parse())?,
                audience: entry.get("clients.audience")?,
                audiences: entry.parse("clients.audiences", |text: String| Audiences::decode(&text))?,
                exchange: entry.get("clients.exchange")?,
                metadata: entry.parse("clients.metadata", metadata)?,
                secrets: Vec::new(),
                created_at: Timestamp::from_millis(entry.get("clients.created_at")?),
            });
        }
        if let (Some(client), Some(hash)) = (clients.last_mut(), hash) {
            client.secrets.push(ClientSecretHash::new(hash));
        }
    }
    Ok(clients)
}

/// A stored address is in lower case already; read in any other way, it would be an account that no
/// login finds.
fn canonical_email(text: String) -> Result<Email, EmailError> {
    match text.to_lowercase() == text {
        true => Email::kept(text),
        false => Err(EmailError::Malformed),
    }
}

fn optional_external_id(text: Option<String>) -> Result<Option<ExternalId>, ExternalIdError> {
    text.map_or(Ok(None), |text| ExternalId::parse(&text))
}

/// Nothing stands there for an empty one.
fn metadata(text: Option<String>) -> Result<Metadata, MetadataError> {
    text.map_or(Ok(Metadata::default()), |text| text.parse())
}

fn optional_name(text: Option<String>) -> Result<Option<Name>, NameError> {
    text.map_or(Ok(None), |text| Name::parse(&text))
}

/// A row and the key that an error names it by.
///
/// Columns are read one by one rather than through `sqlx::FromRow`, whose error knows neither the
/// table nor the key.
pub(super) struct Entry<'r, R> {
    pub(super) row: &'r R,
    pub(super) key: String,
}

impl<'r, R: Row> Entry<'r, R>
where
    &'static str: ColumnIndex<R>,
{
    /// The value at `place`, which is table and column: `users.role`.
    pub(super) fn get<T>(&self, place: &'static str) -> StoreResult<T>
    where
        T: Decode<'r, R::Database> + Type<R::Database>,
    {
        let column = place.rsplit('.').next().unwrap_or(place);
        self.row.try_get(column).map_err(|problem| self.corrupt(place, problem))
    }

    /// The value at `place` as the domain has it.
    pub(super) fn parse<T, D, E>(
        &self,
        place: &'static str,
        parse: impl FnOnce(T) -> Result<D, E>,
    ) -> StoreResult<D>
    where
        T: Decode<'r, R::Database> + Type<R::Database>,
        E: Display,
    {
        parse(self.get(place)?).map_err(|problem| self.corrupt(place, problem))
    }

    pub(super) fn corrupt(&self, place: &'static str, problem: impl Display) -> StoreError {
        StoreError::Corrupt { place, key: self.key.clone(), problem: problem.to_string() }
    }
}
