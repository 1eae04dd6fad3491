//! Roles that accounts have and the settings do not name.

use std::collections::BTreeMap;

use crate::domain::roles::{KnownRoles, RoleName};
use crate::store::{StoreError, UserStore};

/// Why the roles of the settings do not fit the accounts.
#[derive(Debug, thiserror::Error)]
pub enum RolesTakenOut {
    /// What these roles stand for elsewhere nobody could take from those accounts any more.
    #[error(
        "accounts have roles that `roles` does not name: {}; name them, or take them from the accounts first (`hallpass users set-role`)",
        listed(.0)
    )]
    Held(BTreeMap<RoleName, u64>),
    /// The database does not tell.
    #[error("it cannot be read from the database which roles accounts have")]
    Unknown(#[from] StoreError),
}

fn listed(held: &BTreeMap<RoleName, u64>) -> String {
    let one = |(role, accounts): (&RoleName, &u64)| {
        format!("{role} ({accounts} account{})", if *accounts == 1 { "" } else { "s" })
    };
    held.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Refuses roles of accounts that are not among those `known`.
///
/// # Errors
/// [`RolesTakenOut`].
pub(super) async fn refuse_taken_out(users: &dyn UserStore, known: &KnownRoles) -> Result<(), RolesTakenOut> {
    let mut held = BTreeMap::new();
    for (roles, accounts) in users.count_by_roles().await? {
        for role in roles.iter().filter(|role| !known.contains(role.as_str())) {
            *held.entry(role.clone()).or_default() += accounts;
        }
    }
    if held.is_empty() { Ok(()) } else { Err(RolesTakenOut::Held(held)) }
}
