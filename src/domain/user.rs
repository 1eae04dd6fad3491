//! Accounts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::email::Email;
use super::ids::UserId;
use super::name::Name;
use super::password::PasswordHash;

/// What a user may do.
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
    /// The version of a new account.
    pub const FIRST: Self = Self(1);

    /// From a stored number.
    pub const fn new(version: i64) -> Self {
        Self(version)
    }

    /// The number to store.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The version after one more security event.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// An account as stored.
#[derive(Clone, Debug)]
pub struct User {
    /// Who it is.
    pub id: UserId,
    /// The address, unique among all accounts.
    pub email: Email,
    /// First name, if given.
    pub first_name: Option<Name>,
    /// Last name, if given.
    pub last_name: Option<Name>,
    /// What the user may do.
    pub role: Role,
    /// What we keep of the password.
    pub password: PasswordHash,
    /// How many security events the account has seen.
    pub security_version: SecurityVersion,
    /// When the account was made.
    pub created_at: Timestamp,
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
    /// When the account is made.
    pub created_at: Timestamp,
}

/// What a user changes about themselves: `None` leaves a field, `Some(None)` clears it.
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    /// The first name.
    pub first_name: Option<Option<Name>>,
    /// The last name.
    pub last_name: Option<Option<Name>>,
}
