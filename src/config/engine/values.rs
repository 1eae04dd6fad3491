//! The text that each setting has.

use std::collections::BTreeMap;

use super::error::Origin;
use super::profile::Profile;
use super::secret::Secret;

/// The text of a setting and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub text: Secret,
    pub origin: Origin,
}

/// The winning text of every setting that has one.
#[derive(Clone, Debug)]
pub struct Values {
    profile: Profile,
    found: BTreeMap<&'static str, Found>,
}

impl Values {
    /// None yet.
    pub(super) fn none(profile: Profile) -> Self {
        Self { profile, found: BTreeMap::new() }
    }

    /// Puts a text in the place of an earlier one.
    pub(super) fn set(&mut self, key: &'static str, found: Found) {
        self.found.insert(key, found);
    }

    /// For which profile.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The text of a setting, a default's included.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).map(|found| found.text.expose())
    }

    pub(super) fn get(&self, key: &str) -> Option<&Found> {
        self.found.get(key)
    }

    /// Where the value came from; the default when there is none.
    pub(super) fn origin(&self, key: &str) -> Origin {
        self.get(key).map_or(Origin::Default, |found| found.origin.clone())
    }

    /// Whether somebody set it, as opposed to a default.
    pub fn is_set(&self, key: &str) -> bool {
        self.origin(key) != Origin::Default
    }
}
