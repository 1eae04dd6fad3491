//! Tokens: what is right, and everything that is wrong in one place.

mod claims;
mod encodings;
mod headers;
mod json;
mod key_sets;
mod requirements;
mod signatures;

use crate::cases::Lines;
use crate::keys::Signers;

/// All lines of `tokens.jsonl`.
pub fn lines(signers: &Signers) -> Lines {
    let mut lines = Lines::default();
    lines.keys("published", &signers.jwks());
    for group in [
        signatures::right,
        signatures::algorithms,
        signatures::signatures,
        encodings::shapes,
        encodings::encodings,
        headers::headers,
        headers::header_texts,
        claims::claim_types,
        claims::actors,
        claims::numbers,
        claims::texts,
        claims::ids,
        claims::names,
        claims::audiences,
        claims::times,
        json::doubled,
        json::json_texts,
        requirements::requirements,
        requirements::requests,
        key_sets::key_sets,
    ] {
        group(&mut lines, signers);
    }
    lines
}
