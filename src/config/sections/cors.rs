//! `cors.*`: which pages elsewhere may use the API from a browser.

use crate::config::engine::{Later, Parsed, Review, parse, problem, settings};
use crate::domain::web_origin::{WebOrigin, WebOriginError};

const KEY: &str = "cors.origins";

/// The pages that may read what the service answers, besides those that it serves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// `*`: those of any origin.
    Any,
    /// Those of these; `dev` takes the pages of this machine besides.
    Listed(Vec<WebOrigin>),
}

impl Default for CorsOrigins {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

settings! {
    /// Pages elsewhere.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CorsSettings {
        /// The origins of pages elsewhere that may use the API from a browser, as `scheme://host[:port]` with commas
        /// between (a list in the file), or `*` for all, then without credentials (cookies). See
        /// [docs/browser.md](docs/browser.md).
        origins: CorsOrigins = "cors.origins" {
            kind: List, parse: origins,
            default: Later::unknown("none; `dev` takes the pages of this machine in any case"),
            example: "https://app.example.com",
        },
    }
}

impl CorsSettings {
    /// What production is warned of.
    pub(crate) fn review_production(&self, review: &mut Review<'_>) {
        let CorsOrigins::Listed(origins) = &self.origins else { return };
        let plaintext = origins.iter().find(|origin| origin.is_plaintext() && !origin.is_loopback());
        if let Some(origin) = plaintext {
            let text = format!(
                "has {origin}: whoever listens in the network in between can write that page, and have its tokens"
            );
            review.warn(KEY, text);
        }
    }
}

/// Origins with commas between, or `*` alone.
fn origins(text: &str) -> Parsed<CorsOrigins> {
    if text.trim() == "*" {
        return Ok(CorsOrigins::Any);
    }
    if text.split(',').any(|part| part.trim() == "*") {
        return problem(
            "has other origins beside `*`, which takes all of them",
            "write `*` alone, or leave it out",
        );
    }
    parse::list(origin)(text).map(CorsOrigins::Listed)
}

fn origin(text: &str) -> Parsed<WebOrigin> {
    WebOrigin::parse(text).or_else(|error| {
        let help = match &error {
            WebOriginError::Spelling { browsers } => format!("write {browsers}"),
            WebOriginError::Null => "leave it out: any page can have it".to_owned(),
            WebOriginError::NotAnOrigin | WebOriginError::MoreThanAnOrigin => {
                "write origins like https://app.example.com or http://localhost:5173, with a comma between"
                    .to_owned()
            }
        };
        problem(format!("names {text:?}, which {error}"), help)
    })
}
