//! The portable hashes of phpass, which WordPress made until version 6.8 (`$P$`) and phpBB (`$H$`): a
//! digit for the logarithm of the rounds, eight characters of salt, and 22 of what so many rounds of MD5
//! made.

use md5::{Digest as _, Md5};

use super::{HashKind, HashProblem, same};

/// The digits of both numbers and bytes, their least bits first.
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Of the rounds, as logarithms: phpass takes no fewer. WordPress made 2^13; 128 times that is the most.
const COST_MIN: usize = 7;
const COST_MAX: usize = 20;

const SALT_CHARS: usize = 8;
const OUTPUT_CHARS: usize = 22;

const KIND: HashKind = HashKind::Phpass;

/// A hash by phpass.
pub(in super::super) struct PhpassHash {
    rounds: u32,
    salt: [u8; SALT_CHARS],
    output: [u8; OUTPUT_CHARS],
}

impl PhpassHash {
    /// Reads what follows `$P$`.
    pub(super) fn parse(text: &str) -> Result<Self, HashProblem> {
        const MALFORMED: HashProblem = HashProblem::Malformed(KIND);
        let (cost, rest) = text.as_bytes().split_first().ok_or(MALFORMED)?;
        let (salt, output) = rest.split_first_chunk().ok_or(MALFORMED)?;
        let output: &[u8; OUTPUT_CHARS] = output.try_into().map_err(|_| MALFORMED)?;
        if !output.iter().all(|digit| DIGITS.contains(digit)) {
            return Err(MALFORMED);
        }
        match DIGITS.iter().position(|digit| digit == cost).ok_or(MALFORMED)? {
            ..COST_MIN => Err(HashProblem::BadCost(KIND)),
            cost @ COST_MIN..=COST_MAX => Ok(Self { rounds: 1 << cost, salt: *salt, output: *output }),
            _ => Err(HashProblem::TooDear { kind: KIND, limit: "its rounds may be 2^20 at most" }),
        }
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let mut digest = Md5::new().chain_update(self.salt).chain_update(password).finalize();
        for _ in 0..self.rounds {
            digest = Md5::new().chain_update(digest).chain_update(password).finalize();
        }
        same(&digits(&digest), &self.output)
    }
}

/// Bytes as digits, three at a time.
fn digits(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(OUTPUT_CHARS);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().rev().fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        text.extend((0..=chunk.len()).filter_map(|place| DIGITS.get(bits >> (6 * place) & 63)));
    }
    text
}
