//! `compat`: APIs beside the main one.

use crate::config::engine::{Parsed, problem};

/// An API beside the main one, for the clients of another token service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompatApi {
    /// The Nest token API.
    Nest,
    /// The access-tokens service.
    AccessTokens,
}

impl CompatApi {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Nest, Self::AccessTokens];

    /// The name in the setting, and in the path of its document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nest => "nest",
            Self::AccessTokens => "access-tokens",
        }
    }
}

/// Their names with commas between, each API once, in the order of [`CompatApi::ALL`].
pub(crate) fn apis(text: &str) -> Parsed<Vec<CompatApi>> {
    let names: Vec<&str> = match text.trim() {
        "" => Vec::new(),
        names => names.split(',').map(str::trim).collect(),
    };
    let known = CompatApi::ALL.map(CompatApi::as_str);
    if !names.iter().all(|name| known.contains(name)) {
        return problem(
            "names something else than compat APIs",
            format!("write {}, several with commas between, or nothing", known.join(", ")),
        );
    }
    Ok(CompatApi::ALL.into_iter().filter(|api| names.contains(&api.as_str())).collect())
}
