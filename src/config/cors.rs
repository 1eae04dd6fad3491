//! `cors.origins`: which pages elsewhere may use the API from a browser.

use super::build::Reader;
use super::parse::{Parsed, Problem};
use super::rules::Review;
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

pub(super) fn origins(read: &mut Reader<'_>) -> CorsOrigins {
    read.get(KEY, parse, CorsOrigins::Listed(Vec::new()))
}

/// Origins with commas between, or `*` alone.
fn parse(text: &str) -> Parsed<CorsOrigins> {
    match text.trim() {
        "" => Ok(CorsOrigins::Listed(Vec::new())),
        "*" => Ok(CorsOrigins::Any),
        text => {
            let parts: Vec<&str> = text.split(',').map(str::trim).collect();
            if parts.contains(&"*") {
                return Err(Problem {
                    problem: "has other origins beside `*`, which takes all of them".to_owned(),
                    mend: "write `*` alone, or leave it out".to_owned(),
                });
            }
            parts.into_iter().map(origin).collect::<Parsed<_>>().map(CorsOrigins::Listed)
        }
    }
}

fn origin(text: &str) -> Parsed<WebOrigin> {
    WebOrigin::parse(text).map_err(|error| Problem {
        problem: format!("names {text:?}, which {error}"),
        mend: match error {
            WebOriginError::Spelling { browsers } => format!("write {browsers}"),
            WebOriginError::Null => "leave it out: any page can have it".to_owned(),
            WebOriginError::NotAnOrigin | WebOriginError::MoreThanAnOrigin => {
                "write origins like https://app.example.com or http://localhost:5173, with a comma between"
                    .to_owned()
            }
        },
    })
}

impl Review<'_> {
    /// What production is warned of.
    pub(super) fn plaintext_pages(&mut self) {
        let CorsOrigins::Listed(origins) = &self.settings.cors_origins else { return };
        let plaintext = origins.iter().find(|origin| origin.is_plaintext() && !origin.is_loopback());
        if let Some(origin) = plaintext {
            let text = format!(
                "has {origin}: whoever listens in the network in between can write that page, and have its tokens"
            );
            self.warn(KEY, text);
        }
    }
}
