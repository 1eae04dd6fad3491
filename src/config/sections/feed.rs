//! `feed.*`

use super::http::COUNT_MAX;
use crate::config::engine::{Always, parse, settings};

settings! {
    /// How many may follow the revocation feed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FeedSettings {
        /// How many streams of revocations may be open at once; beyond, the answer is 503, which leaves connections
        /// to everybody else.
        max_streams: usize = "feed.max_streams" {
            kind: Number, parse: parse::number(1..=COUNT_MAX), default: Always("6000"), example: "500",
        },
        /// How many of those one client may have open, so that one that opens too many takes none from others.
        max_streams_per_client: usize = "feed.max_streams_per_client" {
            kind: Number, parse: parse::number(1..=COUNT_MAX), default: Always("6000"), example: "100",
        },
    }
}
