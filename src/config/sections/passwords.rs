//! `passwords.*`: which may be chosen, and how they are hashed.

use argon2::Params;

use crate::config::engine::{Always, Computed, Review, Values, parse, settings};
use crate::crypto::password::Argon2Cost;
use crate::domain::password::PasswordPolicy;

/// ASVS 5.0 6.2.1. Whoever goes below it wants words like `secret` taken as well: nearly all that is so short is
/// common.
pub(crate) const MIN_LENGTH_WISE: usize = 8;

/// Memory in KiB and passes that are equally strong, each the least (OWASP Password Storage Cheat Sheet, Argon2id).
const ARGON2_WISE: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

settings! {
    /// Which passwords may be chosen, and how they are hashed.
    #[derive(Clone, Copy, Debug)]
    pub struct PasswordSettings {
        /// Which may be chosen.
        policy: PasswordPolicy,
        /// The cost of one hash: such that argon2 takes it.
        argon2: Argon2Cost,
        /// How many passwords are hashed at the same time. Each takes `passwords.argon2.memory_kib`; to check a hash
        /// that was imported, as much as that was made with.
        hash_workers: usize = "passwords.hash_workers" {
            kind: Number, parse: parse::number(1..=1024),
            default: Computed { says: "one less than there are cores, at least `1`", by: hash_workers },
            example: "2",
        },
        /// How many requests may wait for a hash worker; beyond, the answer is 503, which bounds the wait. Addresses
        /// take turns, and no address and no account has more than 8 of these places, so that nobody keeps others
        /// from logging in.
        hash_queue: usize = "passwords.hash_queue" {
            kind: Number, parse: parse::number(0..=65_536), default: Always("64"), example: "16",
        },
    }
}

settings! {
    for PasswordPolicy {
        /// The fewest characters of a new password (1 to 64).
        min_length: usize = "passwords.min_length" {
            kind: Number, parse: parse::number(1..=64), default: Always("8"), example: "15",
        },
        /// Whether well-known passwords are refused.
        reject_common: bool = "passwords.reject_common" {
            kind: Boolean, parse: parse::boolean,
            default: Computed { says: "`true`, unless `passwords.min_length` is below 8", by: reject_common },
            example: "false",
        },
    }
}

settings! {
    for Argon2Cost {
        /// Argon2id: memory in KiB.
        memory_kib: u32 = "passwords.argon2.memory_kib" {
            kind: Number, parse: parse::number(1..=u32::MAX), default: Always("19456"), example: "47104",
        },
        /// Argon2id: passes over the memory.
        iterations: u32 = "passwords.argon2.iterations" {
            kind: Number, parse: parse::number(1..=u32::MAX), default: Always("2"), example: "1",
        },
        /// Argon2id: lanes.
        parallelism: u32 = "passwords.argon2.parallelism" {
            kind: Number, parse: parse::number(1..=u32::MAX), default: Always("1"), example: "2",
        },
    }
}

/// One core is left to everybody who does not log in.
fn hash_workers(_: &Values) -> Option<String> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Some(cores.saturating_sub(1).max(1).to_string())
}

fn reject_common(values: &Values) -> Option<String> {
    let min_length = values.text("passwords.min_length").and_then(|text| text.parse::<usize>().ok());
    Some((min_length.is_none_or(|min_length| min_length >= MIN_LENGTH_WISE)).to_string())
}

impl PasswordSettings {
    pub(crate) fn review(&self, review: &mut Review<'_>) {
        const MEMORY: &str = "passwords.argon2.memory_kib";
        const ALL: [&str; 3] = [MEMORY, "passwords.argon2.iterations", "passwords.argon2.parallelism"];
        if self.policy.min_length < MIN_LENGTH_WISE {
            let common = if self.policy.reject_common { "" } else { ", and well-known ones are allowed" };
            let text = format!("is below {MIN_LENGTH_WISE} (ASVS 5.0 6.2.1){common}");
            review.warn("passwords.min_length", text);
        } else if !self.policy.reject_common {
            let text = "is off: the first passwords an attacker tries are allowed";
            review.warn("passwords.reject_common", text);
        }
        if !review.sound(&ALL) {
            return;
        }
        let Argon2Cost { memory_kib, iterations, parallelism } = self.argon2;
        let is_wise = |(memory, passes): &(u32, u32)| memory_kib >= *memory && iterations >= *passes;
        if let Err(error) = Params::new(memory_kib, iterations, parallelism, None) {
            let problem = format!("and its neighbours cannot be used: {error}");
            review.refuse(MEMORY, problem, "leave all three out");
        } else if !ARGON2_WISE.iter().any(is_wise) {
            let text = "and `iterations` are below what OWASP asks for (19456 KiB and 2, or as strong)";
            review.warn(MEMORY, text);
        }
    }
}
