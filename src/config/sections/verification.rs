//! `verification.*`: proving e-mail addresses.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::smtp::link;
use crate::config::engine::{Always, Later, parse, settings};
use crate::domain::link::LinkTemplate;

/// The page of hallpass' own where an address is confirmed, below the public URL.
pub const VERIFICATION_PAGE: &str = "/verify-email";

const TTL: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(30 * 24 * 3600);

settings! {
    /// Proving e-mail addresses.
    #[derive(Clone, Debug)]
    pub struct VerificationSettings {
        /// How long the link that proves an e-mail address works (1m to 30d).
        ttl: Duration = "verification.ttl" {
            kind: Text, parse: parse::seconds(TTL), default: Always("24h"), example: "1h",
        },
        /// The page that the link in a verification mail leads to, with the token in place of `{token}`.
        url: Option<LinkTemplate> = "verification.url" {
            kind: Text, parse: link,
            default: Later {
                says: "`<public_url>/verify-email#token={token}`, a page of hallpass' own",
                by: |values| Some(format!("{}{VERIFICATION_PAGE}#token={{token}}", values.text("public_url")?)),
            },
            example: "https://app.example.com/confirm#token={token}",
        },
    }
}
