//! Roles: which there are, and which an account has.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::user::Role;

/// The name of a role: 1 to 32 of `a` to `z`, digits, `-`, `_`, `.` and `:`, beginning with a letter. It stands in
/// tokens, and with commas between in headers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleName(String);

/// The text is no name of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is 1 to 32 of a-z, 0-9, -, _, . and :, and begins with a letter")]
pub struct RoleNameError;

impl RoleName {
    const MAX_CHARS: usize = 32;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoleName {
    type Err = RoleNameError;

    fn from_str(text: &str) -> Result<Self, RoleNameError> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for RoleName {
    type Error = RoleNameError;

    fn try_from(text: String) -> Result<Self, RoleNameError> {
        let plain =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.' | b':');
        let fits = text.len() <= Self::MAX_CHARS && text.bytes().all(plain);
        let begins_well = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if fits && begins_well { Ok(Self(text)) } else { Err(RoleNameError) }
    }
}

impl From<RoleName> for String {
    fn from(name: RoleName) -> Self {
        name.0
    }
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        Self(role.as_str().to_owned())
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The roles of an account, each once and in their order: one at least.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "BTreeSet<RoleName>", into = "BTreeSet<RoleName>")]
pub struct Roles(BTreeSet<RoleName>);

/// An account has one role at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("has no role in it: an account has one at least")]
pub struct NoRoleError;

impl Roles {
    /// The one that answers have a single field for: `admin` if it is among them, else `member`.
    pub fn role(&self) -> Role {
        if self.0.contains(Role::Admin.as_str()) { Role::Admin } else { Role::Member }
    }

    /// These with [`role`](Self::role) being that one. What it is already changes nothing; else `admin` and `member`
    /// take each other's place, and the others stay.
    #[must_use]
    pub fn with_role(&self, role: Role) -> Self {
        let mut roles = self.clone();
        if roles.role() != role {
            roles.0.remove(self.role().as_str());
            roles.0.insert(role.into());
        }
        roles
    }

    /// Whether it is nothing but that one.
    pub fn is_only(&self, role: Role) -> bool {
        self.0.len() == 1 && self.0.contains(role.as_str())
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &RoleName> {
        self.0.iter()
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl From<Role> for Roles {
    fn from(role: Role) -> Self {
        Self(BTreeSet::from([role.into()]))
    }
}

impl TryFrom<BTreeSet<RoleName>> for Roles {
    type Error = NoRoleError;

    fn try_from(names: BTreeSet<RoleName>) -> Result<Self, NoRoleError> {
        if names.is_empty() { Err(NoRoleError) } else { Ok(Self(names)) }
    }
}

impl From<Roles> for BTreeSet<RoleName> {
    fn from(roles: Roles) -> Self {
        roles.0
    }
}

/// Why a stored text is no roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RolesError {
    /// One of the words is none.
    #[error(transparent)]
    Name(#[from] RoleNameError),
    /// There is none.
    #[error(transparent)]
    None(#[from] NoRoleError),
}

impl FromStr for Roles {
    type Err = RolesError;

    fn from_str(text: &str) -> Result<Self, RolesError> {
        let names = text.split(' ').map(str::parse).collect::<Result<BTreeSet<RoleName>, _>>()?;
        Ok(names.try_into()?)
    }
}

/// With single spaces between.
impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(" "))
    }
}

/// The roles that there are: `admin`, `member` and those of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRoles(BTreeSet<RoleName>);

impl KnownRoles {
    /// These, and the two that there always are.
    pub fn with(others: impl IntoIterator<Item = RoleName>) -> Self {
        let always = [Role::Admin, Role::Member].map(RoleName::from);
        Self(always.into_iter().chain(others).collect())
    }

    /// Whether a role is among them, to the letter.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &RoleName> {
        self.0.iter()
    }
}

impl Default for KnownRoles {
    fn default() -> Self {
        Self::with([])
    }
}

impl std::borrow::Borrow<str> for RoleName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(text: &str) -> Roles {
        text.parse().expect(text)
    }

    #[test]
    fn a_name_can_stand_in_a_list_with_commas_or_spaces() {
        for good in ["editor", "e", "team:north.eu-1_b", &"a".repeat(32)] {
            assert!(good.parse::<RoleName>().is_ok(), "{good}");
        }
        for bad in ["", "1st", "-a", "Editor", "a b", "a,b", "a\n", "ä", &"a".repeat(33)] {
            assert!(bad.parse::<RoleName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn one_of_the_two_stands_for_all() {
        for (text, role) in [
            ("admin", Role::Admin),
            ("admin editor member", Role::Admin),
            ("editor", Role::Member),
            ("member", Role::Member),
            ("administrator", Role::Member),
        ] {
            assert_eq!(roles(text).role(), role, "{text}");
        }
    }

    #[test]
    fn the_one_can_be_changed_and_the_others_stay() {
        for (before, role, after) in [
            ("member", Role::Admin, "admin"),
            ("admin", Role::Member, "member"),
            ("editor", Role::Member, "editor"),
            ("editor member", Role::Admin, "admin editor"),
            ("editor", Role::Admin, "admin editor"),
            ("admin editor", Role::Member, "editor member"),
            ("admin member", Role::Member, "member"),
            ("admin editor", Role::Admin, "admin editor"),
        ] {
            assert_eq!(roles(before).with_role(role).to_string(), after, "{before} {role}");
        }
    }

    #[test]
    fn a_text_names_each_once_and_one_at_least() {
        assert_eq!(roles("member editor member").to_string(), "editor member");
        for bad in ["", " ", "a  b", " a", "a ", "a,b", "A"] {
            assert!(bad.parse::<Roles>().is_err(), "{bad:?}");
        }
        assert!(roles("admin").is_only(Role::Admin) && !roles("admin member").is_only(Role::Admin));
    }

    #[test]
    fn there_are_always_two() {
        let known = KnownRoles::with(["editor".parse().expect("a name"), Role::Admin.into()]);
        assert_eq!(known.iter().map(RoleName::as_str).collect::<Vec<_>>(), ["admin", "editor", "member"]);
        assert!(known.contains("editor") && !known.contains("Editor") && !known.contains("edit"));
    }
}
