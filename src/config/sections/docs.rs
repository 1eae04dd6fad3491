//! `docs.*`

use crate::config::engine::{Always, parse, settings};

settings! {
    /// The docs page.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct DocsSettings {
        /// Whether there is a docs page (`/docs`, and the way to it from `/`); where it is off they are 404. The
        /// documents (`/openapi.json`, `/openapi/…`) stay: clients are generated from them, and they say nothing that
        /// is secret.
        enabled: bool = "docs.enabled" {
            kind: Boolean, parse: parse::boolean, default: Always("true"), example: "false",
        },
    }
}
