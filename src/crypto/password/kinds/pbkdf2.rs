//! PBKDF2 (RFC 8018 5.2) with HMAC-SHA-256 or -512, in the three forms that are about:
//! `$pbkdf2-sha256$i=600000,l=32$salt$hash` (PHC string), `$pbkdf2-sha256$29000$salt$hash` (passlib)
//! and `pbkdf2_sha256$1000000$salt$hash` (Django; its salt is text, used as written).

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512};

use super::super::fields;
use super::{HashKind, HashProblem};

/// The most rounds, all output blocks together: one to three seconds of one core. OWASP asks for
/// 600,000, Django 5.2 takes a million.
const ROUNDS_MAX: u64 = 5_000_000;

/// A hash by PBKDF2.
pub(in super::super) struct Pbkdf2Hash {
    kind: HashKind,
    iterations: NonZeroU32,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Pbkdf2Hash {
    /// Reads what follows `$pbkdf2-sha256$`, in the PHC form or in passlib's.
    pub(super) fn parse(kind: HashKind, text: &str) -> Result<Self, HashProblem> {
        let (cost, salt, output) = three_parts(text).ok_or(HashProblem::Malformed(kind))?;
        let cost = match fields::number(cost) {
            Some(iterations) => Some((iterations, None)),
            None => match fields::parameters(cost, ["i", "l"]) {
                Some([Some(iterations), length]) => Some((iterations, length)),
                _ => None,
            },
        };
        let (Some((iterations, length)), Some(salt), Some(output)) =
            (cost, fields::salt(salt), fields::output(output))
        else {
            return Err(HashProblem::Malformed(kind));
        };
        if length.is_some_and(|length| usize::try_from(length) != Ok(output.len())) {
            return Err(HashProblem::Malformed(kind));
        }
        Self::checked(kind, iterations, salt, output)
    }

    /// Reads what follows Django's `pbkdf2_sha256$`.
    pub(super) fn parse_django(text: &str) -> Result<Self, HashProblem> {
        const KIND: HashKind = HashKind::Pbkdf2Sha256;
        let (iterations, salt, output) = three_parts(text).ok_or(HashProblem::Malformed(KIND))?;
        let (Some(iterations), Some(salt), Some(output)) =
            (fields::number(iterations), fields::plain_salt(salt.as_bytes()), fields::output(output))
        else {
            return Err(HashProblem::Malformed(KIND));
        };
        Self::checked(KIND, iterations, salt, output)
    }

    fn checked(kind: HashKind, iterations: u32, salt: Vec<u8>, output: Vec<u8>) -> Result<Self, HashProblem> {
        let iterations = NonZeroU32::new(iterations).ok_or(HashProblem::BadCost(kind))?;
        let block = if kind == HashKind::Pbkdf2Sha512 { 64 } else { 32 };
        let blocks = output.len().div_ceil(block) as u64;
        if u64::from(iterations.get()) * blocks > ROUNDS_MAX {
            let limit = "its iterations may be 5,000,000 at most, half of that for double output";
            return Err(HashProblem::TooDear { kind, limit });
        }
        Ok(Self { kind, iterations, salt, output })
    }

    pub(super) fn kind(&self) -> HashKind {
        self.kind
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let algorithm =
            if self.kind == HashKind::Pbkdf2Sha512 { PBKDF2_HMAC_SHA512 } else { PBKDF2_HMAC_SHA256 };
        // It compares in constant time.
        pbkdf2::verify(algorithm, self.iterations, &self.salt, password, &self.output).is_ok()
    }
}

fn three_parts(text: &str) -> Option<(&str, &str, &str)> {
    let mut parts = text.split('$');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(first), Some(second), Some(third), None) => Some((first, second, third)),
        _ => None,
    }
}
