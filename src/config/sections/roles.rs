//! `roles` and `role_scopes`: what people may be, and what their tokens may be used for.

use std::collections::BTreeMap;

use crate::config::engine::{Parsed, Review, parse, problem};
use crate::domain::client::Scopes;
use crate::domain::roles::{KnownRoles, RoleName};

const ROLES: &str = "roles";
const ROLE_SCOPES: &str = "role_scopes";

/// More would fill tokens.
const MAX: usize = 64;

/// By role, the scopes that tokens of its people have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleScopes(BTreeMap<RoleName, Scopes>);

impl RoleScopes {
    /// What these roles give: each scope once, in their order.
    pub fn of<'a>(&self, roles: impl IntoIterator<Item = &'a RoleName>) -> Scopes {
        roles.into_iter().filter_map(|role| self.0.get(role)).cloned().collect()
    }

    /// What is none of these roles.
    pub(crate) fn review(&self, roles: &KnownRoles, review: &mut Review<'_>) {
        let unknown = self.0.keys().find(|role| !roles.contains(role.as_str()));
        if let Some(role) = unknown.filter(|_| review.sound(&[ROLES, ROLE_SCOPES])) {
            let help = format!("add it to `{ROLES}`, or leave it out here");
            review.refuse(ROLE_SCOPES, format!("names the role {role}, which is not in `{ROLES}`"), help);
        }
    }
}

impl FromIterator<(RoleName, Scopes)> for RoleScopes {
    fn from_iter<I: IntoIterator<Item = (RoleName, Scopes)>>(given: I) -> Self {
        Self(given.into_iter().collect())
    }
}

/// Names with commas between, and the two that there always are.
pub fn roles(text: &str) -> Parsed<KnownRoles> {
    let roles = KnownRoles::with(parse::list(role)(text)?);
    match roles.iter().count() {
        ..=MAX => Ok(roles),
        _ => problem("are too many", format!("name {MAX} at most")),
    }
}

fn role(text: &str) -> Parsed<RoleName> {
    text.parse().or_else(|error| problem(format!("names {text:?}, which is no role"), format!("{error}")))
}

/// A table: a list of scopes for each role.
pub fn role_scopes(text: &str) -> Parsed<RoleScopes> {
    const HELP: &str = r#"write a list for each role, like editor = ["articles:write"]"#;
    let lists: BTreeMap<String, Vec<String>> =
        serde_json::from_str(text).or_else(|_| problem("has no list of texts for each role", HELP))?;
    let read = |(name, words): (String, Vec<String>)| {
        let scopes = Scopes::from_words(&words)
            .or_else(|error| problem(format!("gives {name:?} what is no scope"), format!("{error}")))?;
        Ok((role(&name)?, scopes))
    };
    lists.into_iter().map(read).collect()
}
