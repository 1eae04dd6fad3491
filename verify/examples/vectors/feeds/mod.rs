//! Feeds: what a validator hears from its issuer and when, and what it says of tokens meanwhile.

mod entries;
mod feed;
mod freshness;
mod lists;
mod streams;

use crate::cases::Lines;
use crate::keys::{Signers, jwks};

/// All lines of `feeds.jsonl`.
pub fn lines(signers: &Signers) -> Lines {
    let mut lines = Lines::default();
    lines.keys("published", &signers.jwks());
    lines.keys("ed alone", &jwks(&[signers.ed.jwk()]));
    lines.keys(
        "broken",
        r#"{"keys": [{"kid": "es", "kty": "EC", "crv": "P-256", "alg": "ES256", "x": "!", "y": "AA"}]}"#,
    );
    lines.keys("empty", r#"{"keys": []}"#);
    for group in [
        streams::beginnings,
        entries::kinds,
        entries::clients,
        entries::cut_offs,
        entries::not_understood,
        freshness::staleness,
        freshness::lateness,
        freshness::clocks,
        streams::streams,
        streams::spellings,
        streams::interruptions,
        streams::statuses,
        lists::lists,
        lists::polling,
        lists::keys,
        freshness::policies,
        freshness::forgetting,
        lists::orders,
    ] {
        group(&mut lines, signers);
    }
    lines
}
