//! The compat APIs: the contracts of other token services, so that their clients move over by
//! changing their base URL.
//!
//! Each is one file of thin translations: it parses its dialect, calls the functions of the service
//! that the main API calls, and writes its dialect's answers. Neither knows a rule of its own but
//! those that its contract adds.

pub mod access_tokens;
pub mod boom;
pub mod header_token;
pub mod nest;

use serde_json::Value;

use super::document;
pub use crate::config::CompatApi;

impl CompatApi {
    /// The file that holds its document, below `/openapi/` and in the repository's `openapi`.
    pub const fn document_name(self) -> &'static str {
        match self {
            Self::Nest => "nest.json",
            Self::AccessTokens => "access-tokens.json",
        }
    }

    /// What the docs page's switch calls it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Nest => "Nest API",
            Self::AccessTokens => "Access-tokens API",
        }
    }

    /// Its OpenAPI document, repaired.
    ///
    /// # Errors
    /// When poem-openapi's document is no JSON; a defect of ours.
    pub fn document(self) -> Result<Value, serde_json::Error> {
        let spec = match self {
            Self::Nest => nest::documented().spec(),
            Self::AccessTokens => access_tokens::service().spec(),
        };
        document::of(&spec)
    }
}
