//! Accounts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::email::Email;
use super::external_id::ExternalId;
use super::ids::UserId;
use super::mapped_claims::WatchedFields;
use super::metadata::Metadata;
use super::name::Name;
use super::password::PasswordHash;
use super::roles::Roles;

/// What a user may do here. What they may do elsewhere more roles can say: [`Roles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, other people's accounts included.
    Admin,
    /// Their own account.
    Member,
}

/// The text names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is `admin` or `member`")]
pub struct RoleError;

impl Role {
    /// The role as it stands in a token and in the stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        match text {
            "admin" => Ok(Self::Admin),
            "member" => Ok(Self::Member),
            _ => Err(RoleError),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Counts the security events of one user (password change or reset, disable, role change …).
///
/// A session is opened under the version that the credentials were checked at; once the version
/// has moved on, nothing opened or minted under an older one is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecurityVersion(i64);

impl SecurityVersion {
    /// The least that there is.
    pub const FIRST: Self = Self(1);

    /// What clients have in its place: tokens without a version are below any.
    pub const OF_CLIENTS: Self = Self::FIRST;

    /// The version of an account that is made at `now`: no earlier than the time in milliseconds, so that it
    /// is greater than any of an earlier holder of its id. A database that is restored gives ids again.
    /// (model: VersionsAreNew)
    pub fn of_new_account(now: Timestamp) -> Self {
        Self(now.as_millis()).max(Self::FIRST)
    }

    /// From a stored number.
    pub const fn new(version: i64) -> Self {
        Self(version)
    }

    /// The number to store.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The version after one more security event, that happens at `now`: a greater one, and no earlier
    /// than the time in milliseconds, so that a database that is restored gives none a second time.
    /// (model: VersionsAreNew)
    pub fn next(self, now: Timestamp) -> Self {
        Self(self.0.saturating_add(1).max(now.as_millis()))
    }
}

/// An account as stored.
#[derive(Clone, Debug)]
pub struct User {
    /// Who it is.
    pub id: UserId,
    /// The address, unique among all accounts.
    pub email: Email,
    /// What other databases refer to the account by, unique among all accounts.
    pub external_id: Option<ExternalId>,
    /// First name, if given.
    pub first_name: Option<Name>,
    /// Last name, if given.
    pub last_name: Option<Name>,
    /// What the user may do.
    pub roles: Roles,
    /// What we keep of the password.
    pub password: PasswordHash,
    /// Whether the account is shut: nobody can log in to it, and it has no live session.
    pub disabled: bool,
    /// Whether the owner has proven that the address is theirs.
    pub email_verified: bool,
    /// What administrators have noted down about the user.
    pub metadata: Metadata,
    /// How many security events the account has seen.
    pub security_version: SecurityVersion,
    /// When the account was made.
    pub created_at: Timestamp,
}

impl User {
    /// The one of the roles that says what the user may do here.
    pub fn role(&self) -> Role {
        self.roles.role()
    }

    /// Whether this is an administrator who can log in: one without a password cannot, until it is reset.
    pub fn is_enabled_admin(&self) -> bool {
        self.role() == Role::Admin && !self.disabled && self.password.is_usable()
    }
}

/// An account to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The address.
    pub email: Email,
    /// First name, if given.
    pub first_name: Option<Name>,
    /// Last name, if given.
    pub last_name: Option<Name>,
    /// What the user may do.
    pub role: Role,
    /// What we keep of the password.
    pub password: PasswordHash,
    /// Whether the owner has proven that the address is theirs.
    pub email_verified: bool,
    /// What administrators note down about the user.
    pub metadata: Metadata,
    /// When the account is made.
    pub created_at: Timestamp,
}

impl NewUser {
    /// The account as it is when it has that id.
    pub fn as_user(&self, id: UserId) -> User {
        let Self { email, first_name, last_name, role, password, email_verified, metadata, created_at } =
            self.clone();
        User {
            id,
            email,
            external_id: None,
            first_name,
            last_name,
            roles: role.into(),
            password,
            disabled: false,
            email_verified,
            metadata,
            security_version: SecurityVersion::of_new_account(created_at),
            created_at,
        }
    }
}

/// An account that is brought along from another system.
#[derive(Clone, Debug)]
pub struct ImportedUser {
    /// The account.
    pub account: NewUser,
    /// Whether it is shut, as it was there.
    pub disabled: bool,
    /// What it was referred to by there.
    pub external_id: Option<ExternalId>,
}

/// What a user changes about themselves: `None` leaves a field, `Some(None)` clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// The first name.
    pub first_name: Option<Option<Name>>,
    /// The last name.
    pub last_name: Option<Option<Name>>,
}

impl ProfileChange {
    /// The account after it.
    pub fn applied_to(&self, user: &User) -> User {
        let mut after = user.clone();
        after.first_name = self.first_name.as_ref().unwrap_or(&user.first_name).clone();
        after.last_name = self.last_name.as_ref().unwrap_or(&user.last_name).clone();
        after
    }

    /// Whether the account is already as the change wants it.
    pub fn is_done(&self, user: &User) -> bool {
        self.first_name.as_ref().is_none_or(|name| *name == user.first_name)
            && self.last_name.as_ref().is_none_or(|name| *name == user.last_name)
    }
}

/// What is changed about an account, by an administrator for the most part: `None` leaves a field.
///
/// Roles, state and address, and what is watched, end every session that the account has: its access tokens name the address and
/// the role, and a shut account has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// Whether the user administers; other roles stay ([`Roles::with_role`]).
    pub role: Option<Role>,
    /// All roles, in the place of those that there are.
    pub roles: Option<Roles>,
    /// Whether the account is shut.
    pub disabled: Option<bool>,
    /// The address. A new one is not verified.
    pub email: Option<Email>,
    /// What other databases refer to it by; `Some(None)` clears it. No token names it.
    pub external_id: Option<Option<ExternalId>>,
    /// All that is noted down about the user, in the place of what there is.
    pub metadata: Option<Metadata>,
    /// Names, which users change themselves.
    pub profile: ProfileChange,
    /// What must not stand in tokens any longer once it is another: a change of it ends sessions as well.
    pub watched: WatchedFields,
}

impl AccountChange {
    /// The account after it.
    pub fn applied_to(&self, user: &User) -> User {
        let mut after = self.profile.applied_to(user);
        after.roles = self.roles_after(user);
        after.disabled = self.disabled.unwrap_or(user.disabled);
        after.email = self.email.as_ref().unwrap_or(&user.email).clone();
        after.external_id = self.external_id.as_ref().unwrap_or(&user.external_id).clone();
        after.metadata = self.metadata.as_ref().unwrap_or(&user.metadata).clone();
        after
    }

    /// Whether the account is already as the change wants it.
    pub fn is_done(&self, user: &User) -> bool {
        !self.ends_sessions(user)
            && self.external_id.as_ref().is_none_or(|id| *id == user.external_id)
            && self.metadata.as_ref().is_none_or(|metadata| *metadata == user.metadata)
            && self.profile.is_done(user)
    }

    /// The roles of the account after it.
    pub fn roles_after(&self, user: &User) -> Roles {
        let roles = self.roles.as_ref().unwrap_or(&user.roles);
        self.role.map_or_else(|| roles.clone(), |role| roles.with_role(role))
    }

    /// Whether it changes what the account's sessions stand for.
    pub fn ends_sessions(&self, user: &User) -> bool {
        let stays = self.roles_after(user) == user.roles
            && self.disabled.is_none_or(|disabled| disabled == user.disabled)
            && self.email.as_ref().is_none_or(|email| *email == user.email)
            && (self.watched.is_empty() || !self.watched.differ(user, &self.applied_to(user)));
        !stays
    }

    /// Whether an enabled administrator is none any more after it.
    pub fn takes_admin_away(&self, user: &User) -> bool {
        let stays = self.roles_after(user).role() == Role::Admin && !self.disabled.unwrap_or(user.disabled);
        user.is_enabled_admin() && !stays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(role: Role, disabled: bool) -> User {
        User {
            id: UserId::try_from(1).expect("an id"),
            email: Email::parse("ada@example.com").expect("an address"),
            external_id: ExternalId::parse("4711").expect("an id"),
            first_name: None,
            last_name: None,
            roles: role.into(),
            password: PasswordHash::from_phc("$"),
            disabled,
            email_verified: true,
            metadata: Metadata::default(),
            security_version: SecurityVersion::FIRST,
            created_at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn only_what_ends_an_enabled_administrator_takes_one_away() {
        let demotion = AccountChange { role: Some(Role::Member), ..AccountChange::default() };
        let shutting = AccountChange { disabled: Some(true), ..AccountChange::default() };
        let opening =
            AccountChange { disabled: Some(false), role: Some(Role::Admin), ..AccountChange::default() };
        for change in [&demotion, &shutting] {
            assert!(change.takes_admin_away(&user(Role::Admin, false)), "{change:?}");
            assert!(!change.takes_admin_away(&user(Role::Admin, true)), "{change:?}");
            assert!(!change.takes_admin_away(&user(Role::Member, false)), "{change:?}");
        }
        assert!(!opening.takes_admin_away(&user(Role::Admin, false)));
        let without_password = User { password: PasswordHash::unusable(), ..user(Role::Admin, false) };
        assert!(!shutting.takes_admin_away(&without_password), "who could not log in");
    }

    #[test]
    fn roles_count_as_a_whole() {
        let roles = |text: &str| text.parse::<Roles>().expect(text);
        let root = User { roles: roles("admin editor"), ..user(Role::Admin, false) };
        let change = |text| AccountChange { roles: Some(roles(text)), ..AccountChange::default() };
        assert!(change("editor admin").is_done(&root));
        for (other, is_demotion) in [("admin", false), ("editor", true), ("editor member", true)] {
            assert!(change(other).ends_sessions(&root), "{other}");
            assert_eq!(change(other).takes_admin_away(&root), is_demotion, "{other}");
        }
        let demotion = AccountChange { role: Some(Role::Member), ..AccountChange::default() };
        assert_eq!(demotion.roles_after(&root), roles("editor member"));
    }

    #[test]
    fn a_change_to_what_is_there_already_is_done() {
        let ada = user(Role::Member, false);
        assert!(AccountChange::default().is_done(&ada));
        let same = AccountChange {
            role: Some(Role::Member),
            roles: Some(Role::Member.into()),
            disabled: Some(false),
            email: Some(ada.email.clone()),
            external_id: Some(ada.external_id.clone()),
            metadata: Some(Metadata::default()),
            profile: ProfileChange { first_name: Some(None), last_name: None },
            watched: WatchedFields::default(),
        };
        assert!(same.is_done(&ada));
        assert!(!AccountChange { external_id: Some(None), ..same.clone() }.is_done(&ada));
        let noted = r#"{"plan": "pro"}"#.parse().ok();
        assert!(!AccountChange { metadata: noted, ..same.clone() }.is_done(&ada));
        assert!(!AccountChange { disabled: Some(true), ..same }.is_done(&ada));
    }

    #[test]
    fn what_no_token_names_ends_no_session() {
        let ada = user(Role::Member, false);
        let noted = r#"{"plan": "pro"}"#.parse().ok();
        let renumbered =
            AccountChange { external_id: Some(None), metadata: noted, ..AccountChange::default() };
        assert!(!renumbered.ends_sessions(&ada));
        assert!(AccountChange { disabled: Some(true), ..renumbered }.ends_sessions(&ada));
    }
}
