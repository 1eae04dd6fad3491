//! `keys.*`: how access tokens are signed.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::engine::{Always, Nothing, Parsed, Review, parse, problem, settings};
use crate::domain::signing_key::{PUBLISH_AHEAD_MIN, SigningAlgorithm};

const DAY: Duration = Duration::from_secs(24 * 3600);

const PUBLISH_AHEAD: RangeInclusive<Duration> = PUBLISH_AHEAD_MIN..=Duration::from_secs(30 * 24 * 3600);

/// Below, more time is spent on announcing keys than on using them.
const ROTATE_EVERY: RangeInclusive<Duration> = DAY..=Duration::from_secs(366 * 24 * 3600);

settings! {
    /// How access tokens are signed.
    #[derive(Clone, Debug)]
    pub struct KeySettings {
        /// How access tokens are signed: `ES256`, `RS256` or `EdDSA`. Another one takes over as the next key does.
        algorithm: SigningAlgorithm = "keys.algorithm" {
            kind: Text, parse: algorithm, default: Always("ES256"), example: "RS256",
        },
        /// How long a key is published before it signs (1h to 30d).
        publish_ahead: Duration = "keys.publish_ahead" {
            kind: Text, parse: parse::span(PUBLISH_AHEAD), default: Always("24h"), example: "48h",
        },
        /// How long a key signs before the next one takes over by itself (1d to 366d, and no less than
        /// `keys.publish_ahead`); `0s` turns that off.
        rotate_every: Option<Duration> = "keys.rotate_every" {
            kind: Text, parse: parse::span_or_never(ROTATE_EVERY, "no rotation"), default: Always("90d"),
            example: "30d",
        },
        /// A private key in PEM or DER (PKCS#8, SEC 1 or PKCS#1) to sign with instead of the key ring: one key, with no rotation and no `hallpass keys`.
        signing_key_file: Option<PathBuf> = "keys.signing_key_file" {
            kind: Text, parse: parse::readable_file("name a readable file with a private key"), default: Nothing,
            example: "/run/secrets/signing-key.pem",
        },
    }
}

impl KeySettings {
    pub(crate) fn review(&self, review: &mut Review<'_>) {
        const EVERY: &str = "keys.rotate_every";
        const AHEAD: &str = "keys.publish_ahead";
        let is_faster = self.rotate_every.is_some_and(|every| every < self.publish_ahead);
        if review.sound(&[EVERY, AHEAD]) && is_faster {
            review.refuse(EVERY, format!("is shorter than `{AHEAD}`"), "lengthen it, or shorten the other");
        }
    }
}

fn algorithm(text: &str) -> Parsed<SigningAlgorithm> {
    text.parse().or_else(|_| problem("is no signing algorithm", "write ES256, RS256 or EdDSA"))
}
