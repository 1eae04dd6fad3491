//! `validation.*`: whom a replica asks whether an access token was revoked.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::engine::{Always, Node, Reader, Section, parse, settings};
use crate::domain::revocation::ValidationMode;

/// A copy that is confirmed four times a second cannot promise less than two of these; beyond half a minute a logout
/// waits longer for a dead replica than anybody does for an answer.
const MAX_STALENESS: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(30);

/// The mode without its span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The token store is asked each time.
    Strict,
    /// A copy in memory is asked.
    Mirror,
}

settings! {
    /// As it is set.
    pub struct ValidationSettings {
        /// Whom a replica asks whether an access token was revoked: `strict` (Redis, each time) or `mirror` (its own
        /// copy of the revocation feed in memory; needs Redis). Both are exact: with `mirror`, a logout is answered
        /// only once no replica can accept the token any more.
        mode: Mode = "validation.mode" {
            kind: Text,
            parse: parse::choice("is no mode of validation", [("strict", Mode::Strict), ("mirror", Mode::Mirror)]),
            default: Always("strict"), example: "mirror",
        },
        /// How long such a copy is used after it was last confirmed, before Redis is asked instead (500ms to 30s). A
        /// logout waits this long for a replica that has died.
        max_staleness: Duration = "validation.max_staleness" {
            kind: Text, parse: parse::span(MAX_STALENESS), default: Always("2s"), example: "5s",
        },
    }
}

/// The mode as the domain has it.
impl Section for ValidationMode {
    const NODES: &'static [Node] = ValidationSettings::NODES;

    fn read(read: &mut Reader<'_>) -> Option<Self> {
        let set = ValidationSettings::read(read)?;
        Some(match set.mode {
            Mode::Strict => Self::Strict,
            Mode::Mirror => Self::Mirror { max_staleness: set.max_staleness },
        })
    }
}
