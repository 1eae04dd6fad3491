//! PBKDF2 (RFC 8018 5.2) with HMAC-SHA-1, -256 or -512, in the forms that are about:
//! `$pbkdf2-sha256$i=600000,l=32$salt$hash` (PHC string), `$pbkdf2-sha256$29000$salt$hash` (passlib),
//! `pbkdf2_sha256$1000000$salt$hash` (Django; its salt is text, used as written),
//! `pbkdf2:sha256:600000$salt$hash` (Werkzeug; the same, and the hash in hexadecimal), the hexadecimal
//! of Spring and the bytes of ASP.NET Core Identity, which have no dollars at all.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512};

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

    /// Reads what follows Django's `pbkdf2_sha256$` or `pbkdf2_sha1$`.
    pub(super) fn parse_django(kind: HashKind, text: &str) -> Result<Self, HashProblem> {
        let (iterations, salt, output) = three_parts(text).ok_or(HashProblem::Malformed(kind))?;
        let (Some(iterations), Some(salt), Some(output)) =
            (fields::number(iterations), fields::plain_salt(salt.as_bytes()), fields::output(output))
        else {
            return Err(HashProblem::Malformed(kind));
        };
        Self::checked(kind, iterations, salt, output)
    }

    /// Reads what Werkzeug writes: `sha256:600000`, and what follows the first dollar.
    pub(super) fn parse_werkzeug(cost: &str, text: &str) -> Result<Self, HashProblem> {
        let (digest, iterations) = cost.split_once(':').ok_or(HashProblem::UnknownFormat)?;
        let kind = match digest {
            "sha1" => HashKind::Pbkdf2Sha1,
            "sha256" => HashKind::Pbkdf2Sha256,
            "sha512" => HashKind::Pbkdf2Sha512,
            _ => return Err(HashProblem::UnknownFormat),
        };
        let (salt, output) = text.split_once('$').ok_or(HashProblem::Malformed(kind))?;
        let (Some(iterations), Some(salt), Some(output)) = (
            fields::number(iterations),
            fields::plain_salt(salt.as_bytes()),
            fields::hexadecimal(output).and_then(fields::plain_output),
        ) else {
            return Err(HashProblem::Malformed(kind));
        };
        Self::checked(kind, iterations, salt, output)
    }

    /// Reads Spring's hexadecimal of salt and hash. What they cost is not in it, but goes with the
    /// encoder's name.
    pub(super) fn parse_spring(
        kind: HashKind,
        iterations: u32,
        salt_bytes: usize,
        text: &str,
    ) -> Result<Self, HashProblem> {
        let bytes = fields::hexadecimal(text).ok_or(HashProblem::Malformed(kind))?;
        let (salt, output) = bytes.split_at_checked(salt_bytes).ok_or(HashProblem::Malformed(kind))?;
        let output = fields::plain_output(output.to_vec()).ok_or(HashProblem::Malformed(kind))?;
        Self::checked(kind, iterations, salt.to_vec(), output)
    }

    /// Reads the base64 of ASP.NET Identity's version 2 (a zero, 16 bytes of salt, 32 of hash; always
    /// 1,000 rounds of SHA-1) and 3 (a one; digest, rounds and length of the salt in four bytes each,
    /// the greatest first; salt; hash).
    pub(super) fn parse_aspnet(text: &str) -> Result<Self, HashProblem> {
        let bytes = fields::any_base64(text).ok_or(HashProblem::UnknownFormat)?;
        match bytes.split_first() {
            Some((0, rest)) if rest.len() == 16 + 32 => {
                let (salt, output) = rest.split_at(16);
                Self::checked(HashKind::Pbkdf2Sha1, 1_000, salt.to_vec(), output.to_vec())
            }
            Some((1, rest)) => Self::parse_aspnet_v3(rest),
            _ => Err(HashProblem::UnknownFormat),
        }
    }

    fn parse_aspnet_v3(bytes: &[u8]) -> Result<Self, HashProblem> {
        let (digest, bytes) = big_endian(bytes).ok_or(HashProblem::UnknownFormat)?;
        let kind = match digest {
            0 => HashKind::Pbkdf2Sha1,
            1 => HashKind::Pbkdf2Sha256,
            2 => HashKind::Pbkdf2Sha512,
            _ => return Err(HashProblem::UnknownFormat),
        };
        let parts = || {
            let (iterations, bytes) = big_endian(bytes)?;
            let (salt_bytes, bytes) = big_endian(bytes)?;
            let (salt, output) = bytes.split_at_checked(usize::try_from(salt_bytes).ok()?)?;
            Some((iterations, fields::plain_salt(salt)?, fields::plain_output(output.to_vec())?))
        };
        let (iterations, salt, output) = parts().ok_or(HashProblem::Malformed(kind))?;
        Self::checked(kind, iterations, salt, output)
    }

    fn checked(kind: HashKind, iterations: u32, salt: Vec<u8>, output: Vec<u8>) -> Result<Self, HashProblem> {
        let iterations = NonZeroU32::new(iterations).ok_or(HashProblem::BadCost(kind))?;
        let block = match kind {
            HashKind::Pbkdf2Sha1 => 20,
            HashKind::Pbkdf2Sha512 => 64,
            _ => 32,
        };
        let blocks = output.len().div_ceil(block) as u64;
        if u64::from(iterations.get()) * blocks > ROUNDS_MAX {
            let limit = "its iterations may be 5,000,000 at most, times the digests that its output takes";
            return Err(HashProblem::TooDear { kind, limit });
        }
        Ok(Self { kind, iterations, salt, output })
    }

    pub(super) fn kind(&self) -> HashKind {
        self.kind
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let algorithm = match self.kind {
            HashKind::Pbkdf2Sha1 => PBKDF2_HMAC_SHA1,
            HashKind::Pbkdf2Sha512 => PBKDF2_HMAC_SHA512,
            _ => PBKDF2_HMAC_SHA256,
        };
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

/// A number of four bytes, the greatest first, and what follows it.
fn big_endian(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}
