//! `sessions.*`

use crate::config::engine::{Always, parse, settings};

settings! {
    /// Sessions.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SessionSettings {
        /// How many sessions an account may have (1 to 1000). A login beyond that ends another one: sessions that were
        /// never refreshed first, the oldest before all, then the longest unused.
        max_per_account: u32 = "sessions.max_per_account" {
            kind: Number, parse: parse::number(1..=1_000), default: Always("100"), example: "20",
        },
    }
}
