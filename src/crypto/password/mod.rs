//! Password hashes: argon2id (RFC 9106) for every password that hallpass hashes itself, and what other
//! systems made of theirs, for people who were brought along ([`kinds`]).
//!
//! A hash of another kind is outdated from the start, so the first login replaces it by argon2id.
//! Until then a login with that address takes the time of its own kind of hash, where an unknown
//! address takes the time of ours: for accounts that were imported and have not logged in since,
//! timing can tell that they exist. No dummy can take everybody's time at once.

mod fields;
mod kinds;
mod memory;

use std::fmt;

use argon2::{Algorithm, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hallpass_argon2::Hasher;

use crate::domain::password::{NewPassword, Password, PasswordHash};
use crate::domain::random::Random;
use kinds::{Bounds, ParsedHash, phc_of_keycloak};

pub use kinds::{HashKind, HashProblem, LEGACY_MEMORY_MAX_KIB};
pub use memory::HashMemory;

const SALT_BYTES: usize = 16;

/// What one hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Cost {
    /// Memory, KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

/// Hashing failed; nothing is known about the password.
#[derive(Debug, thiserror::Error)]
pub enum PasswordHashError {
    /// Argon2 refuses these cost parameters.
    #[error("argon2 refuses the cost parameters: {0}")]
    Cost(argon2::Error),
    /// A stored hash is none that can be checked.
    #[error("a stored password hash {0}")]
    Stored(HashProblem),
    /// Hashing failed.
    #[error("a password cannot be hashed: {0}")]
    Hash(argon2::Error),
}

/// What somebody brought along as the hash of a password.
#[derive(Clone, Debug)]
pub struct ForeignHash {
    /// The hash, as it was written.
    pub hash: PasswordHash,
    /// What it was made with.
    pub kind: HashKind,
    /// How much memory checking it takes, KiB.
    pub memory_kib: u32,
}

impl ForeignHash {
    /// Takes a hash that another system made, if it can be checked at a bearable cost.
    ///
    /// # Errors
    /// [`HashProblem`].
    pub fn parse(text: &str) -> Result<Self, HashProblem> {
        let parsed = ParsedHash::parse(text, &Bounds::default())?;
        Ok(Self { hash: PasswordHash::from_phc(text), kind: parsed.kind(), memory_kib: parsed.memory_kib() })
    }

    /// Takes a hash that Keycloak made, out of the two JSON texts in which it keeps it.
    ///
    /// # Errors
    /// [`HashProblem`].
    pub fn parse_keycloak(credential_data: &str, secret_data: &str) -> Result<Self, HashProblem> {
        Self::parse(&phc_of_keycloak(credential_data, secret_data)?)
    }
}

/// Makes and checks password hashes.
#[derive(Clone)]
pub struct PasswordHasher {
    argon2: Hasher,
    bounds: Bounds,
    /// What a login for an unknown address is checked against, at the same cost.
    dummy: PasswordHash,
}

impl PasswordHasher {
    /// A hasher of this cost; computes one hash.
    ///
    /// # Errors
    /// [`PasswordHashError::Cost`].
    pub fn new(cost: Argon2Cost, random: &dyn Random) -> Result<Self, PasswordHashError> {
        let params =
            Params::new(cost.memory_kib, cost.iterations, cost.parallelism, Some(Params::DEFAULT_OUTPUT_LEN))
                .map_err(PasswordHashError::Cost)?;
        let argon2 = Hasher::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut nobody = [0; 32];
        random.fill(&mut nobody);
        let dummy = hash(&argon2, &nobody, random, &mut HashMemory::default())?;
        Ok(Self { argon2, bounds: bounds(cost), dummy })
    }

    /// Hashes a chosen password under a new salt. Takes tens of milliseconds: not on an
    /// asynchronous worker.
    ///
    /// # Errors
    /// [`PasswordHashError::Hash`].
    pub fn hash(
        &self,
        password: &NewPassword,
        random: &dyn Random,
        memory: &mut HashMemory,
    ) -> Result<PasswordHash, PasswordHashError> {
        hash(&self.argon2, password.as_password().expose(), random, memory)
    }

    /// Whether `password` is the one behind `hash`, as it came or composed ([`Password::composed`]): a
    /// hash may be of either. Without a hash (an unknown account), and where it is the mark of an account
    /// without a password, the same work is done and the answer is no. Takes tens of milliseconds, and up to a few seconds for
    /// the dearest of the hashes that people bring along.
    ///
    /// # Errors
    /// [`PasswordHashError::Stored`] when the stored hash cannot be read,
    /// [`PasswordHashError::Hash`] when the memory is not there.
    pub fn verify(
        &self,
        password: &Password,
        hash: Option<&PasswordHash>,
        memory: &mut HashMemory,
    ) -> Result<bool, PasswordHashError> {
        let hash = hash.filter(|hash| hash.is_usable());
        let stored = hash.unwrap_or(&self.dummy);
        let parsed = ParsedHash::parse(stored.expose(), &self.bounds).map_err(PasswordHashError::Stored)?;
        let mut is_right = |password: &Password| {
            let right = parsed.verify(password.expose(), memory);
            right.ok_or(PasswordHashError::Hash(argon2::Error::OutOfMemory))
        };
        let right = is_right(password)?
            || match password.composed() {
                Some(composed) => is_right(&composed)?,
                None => false,
            };
        // What a hash took beyond ours is not kept for the next.
        if parsed.memory_kib() > self.argon2.params().m_cost() {
            memory.release();
        }
        Ok(right && hash.is_some())
    }

    /// Whether `hash` was made at a lower cost than this hasher's, or by another algorithm or
    /// version.
    pub fn is_outdated(&self, hash: &PasswordHash) -> bool {
        match ParsedHash::parse(hash.expose(), &self.bounds) {
            Ok(ParsedHash::Argon2(used)) => !used.is_at_least(self.argon2.params()),
            _ => true,
        }
    }
}

/// What checking a stored hash may cost: as much as any hash that is brought along, and as much as
/// our own, however dear the operator has made these.
fn bounds(own: Argon2Cost) -> Bounds {
    let legacy = Bounds::default();
    let own_work_kib = u64::from(own.memory_kib) * u64::from(own.iterations);
    Bounds {
        memory_kib: legacy.memory_kib.max(own.memory_kib),
        argon2_work_kib: legacy.argon2_work_kib.max(own_work_kib),
    }
}

/// A PHC string of `password` under a new salt.
fn hash(
    argon2: &Hasher,
    password: &[u8],
    random: &dyn Random,
    memory: &mut HashMemory,
) -> Result<PasswordHash, PasswordHashError> {
    let mut salt = [0; SALT_BYTES];
    random.fill(&mut salt);
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    let params = argon2.params();
    let blocks =
        memory.blocks(params.block_count()).ok_or(PasswordHashError::Hash(argon2::Error::OutOfMemory))?;
    argon2.hash_into(password, &salt, &mut output, blocks).map_err(PasswordHashError::Hash)?;
    Ok(PasswordHash::from_phc(format!(
        "$argon2id$v={}$m={},t={},p={}${}${}",
        u32::from(Version::V0x13),
        params.m_cost(),
        params.t_cost(),
        params.p_cost(),
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(output),
    )))
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHasher").field("params", self.argon2.params()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
