//! Argon2id (RFC 9106) and PHC strings.

use std::fmt;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{Error as PhcError, PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::domain::password::{NewPassword, Password, PasswordHash};
use crate::domain::random::Random;

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
    /// A stored hash cannot be read, or hashing failed.
    #[error("a password hash cannot be computed or read: {0}")]
    Hash(PhcError),
}

/// Makes and checks password hashes.
#[derive(Clone)]
pub struct PasswordHasher {
    argon2: Argon2<'static>,
    /// What a login for an unknown address is checked against, at the same cost.
    dummy: PasswordHash,
}

impl PasswordHasher {
    /// A hasher of this cost; computes one hash.
    ///
    /// # Errors
    /// [`PasswordHashError::Cost`].
    pub fn new(cost: Argon2Cost, random: &dyn Random) -> Result<Self, PasswordHashError> {
        let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, None)
            .map_err(PasswordHashError::Cost)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut nobody = [0; 32];
        random.fill(&mut nobody);
        let dummy = hash(&argon2, &nobody, random)?;
        Ok(Self { argon2, dummy })
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
    ) -> Result<PasswordHash, PasswordHashError> {
        hash(&self.argon2, password.as_password().expose(), random)
    }

    /// Whether `password` is the one behind `hash`. Without a hash (an unknown account) the same
    /// work is done and the answer is no. Takes tens of milliseconds.
    ///
    /// # Errors
    /// [`PasswordHashError::Hash`] when the stored hash cannot be read.
    pub fn verify(
        &self,
        password: &Password,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, PasswordHashError> {
        let phc = hash.unwrap_or(&self.dummy);
        match self.argon2.verify_password(password.expose(), phc.expose()) {
            Ok(()) => Ok(hash.is_some()),
            Err(PhcError::PasswordInvalid) => Ok(false),
            Err(error) => Err(PasswordHashError::Hash(error)),
        }
    }

    /// Whether `hash` was made at a lower cost than this hasher's, or by another algorithm or
    /// version.
    pub fn is_outdated(&self, hash: &PasswordHash) -> bool {
        let Ok(phc) = Phc::new(hash.expose()) else { return true };
        let Ok(used) = Params::try_from(&phc) else { return true };
        let wanted = self.argon2.params();
        phc.algorithm != argon2::ARGON2ID_IDENT
            || phc.version != Some(Version::V0x13.into())
            || used.m_cost() < wanted.m_cost()
            || used.t_cost() < wanted.t_cost()
            || used.p_cost() < wanted.p_cost()
    }
}

fn hash(
    argon2: &Argon2<'_>,
    password: &[u8],
    random: &dyn Random,
) -> Result<PasswordHash, PasswordHashError> {
    let mut salt = [0; SALT_BYTES];
    random.fill(&mut salt);
    let phc: Phc = argon2.hash_password_with_salt(password, &salt).map_err(PasswordHashError::Hash)?;
    Ok(PasswordHash::from_phc(phc.to_string()))
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHasher").field("params", self.argon2.params()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);

    impl Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    fn hasher(memory_kib: u32) -> PasswordHasher {
        let cost = Argon2Cost { memory_kib, iterations: 1, parallelism: 1 };
        PasswordHasher::new(cost, &Fixed(9)).expect("argon2 takes it")
    }

    fn password(text: &str) -> Password {
        Password::parse(text).expect("short enough")
    }

    #[test]
    fn a_hash_is_a_phc_string_that_knows_its_password() {
        let hasher = hasher(64);
        let new = NewPassword::exempt(password("żółw🐢"));
        let hash = hasher.hash(&new, &Fixed(1)).expect("hashes");
        assert!(hash.expose().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", hash.expose());
        assert!(hasher.verify(&password("żółw🐢"), Some(&hash)).expect("reads"));
        assert!(!hasher.verify(&password("żółw"), Some(&hash)).expect("reads"));
    }

    #[test]
    fn an_unknown_account_is_never_let_in_and_a_broken_hash_is_no_verdict() {
        let hasher = hasher(64);
        assert!(!hasher.verify(&password("anything"), None).expect("reads"));
        let broken = PasswordHash::from_phc("$argon2id$nonsense");
        assert!(hasher.verify(&password("anything"), Some(&broken)).is_err());
    }

    #[test]
    fn a_cheaper_hash_is_outdated_and_a_dearer_one_is_not() {
        let cheap = hasher(64).hash(&NewPassword::exempt(password("x")), &Fixed(1)).expect("hashes");
        assert!(hasher(128).is_outdated(&cheap));
        assert!(!hasher(64).is_outdated(&cheap));
        assert!(!hasher(32).is_outdated(&cheap));
    }

    #[test]
    fn a_hash_by_another_algorithm_or_version_is_outdated() {
        let hasher = hasher(64);
        let hash = hasher.hash(&NewPassword::exempt(password("x")), &Fixed(1)).expect("hashes");
        for (ours, other) in [("$argon2id$", "$argon2i$"), ("$argon2id$", "$argon2d$"), ("v=19", "v=16")] {
            let other = PasswordHash::from_phc(hash.expose().replacen(ours, other, 1));
            assert!(hasher.is_outdated(&other), "{}", other.expose());
        }
        assert!(hasher.is_outdated(&PasswordHash::from_phc("$2b$12$nonsense")));
        assert!(hasher.is_outdated(&PasswordHash::from_phc("")));
    }

    #[test]
    fn the_whole_password_counts_down_to_none_at_all() {
        let hasher = hasher(64);
        let long = "x".repeat(1024);
        let hash = hasher.hash(&NewPassword::exempt(password(&long)), &Fixed(1)).expect("hashes");
        assert!(hasher.verify(&password(&long), Some(&hash)).expect("reads"));
        for other in ["", &long[1..], "x"] {
            assert!(!hasher.verify(&password(other), Some(&hash)).expect("reads"), "{}", other.len());
        }
        assert!(!hasher.verify(&password(""), None).expect("reads"));
    }
}
