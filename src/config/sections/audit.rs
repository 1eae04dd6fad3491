//! `audit.*`

use std::time::Duration;

use crate::config::engine::{Always, parse, settings};

settings! {
    /// The audit log.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct AuditSettings {
        /// How long the audit log keeps an entry; `0s` keeps them for ever.
        retention: Option<Duration> = "audit.retention" {
            kind: Text, parse: parse::duration_or_for_ever, default: Always("90d"), example: "365d",
        },
    }
}
