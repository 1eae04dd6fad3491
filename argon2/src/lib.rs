//! Argon2 (RFC 9106) at the speed that the processor's widest vector unit allows, chosen at run time.
//!
//! The `argon2` crate knows AVX2 at most, and its function that fills the memory is private. Here that
//! function is written for AVX-512, with what has to be around it: the first hash, the order of the
//! blocks and the last one. Words, bounds and errors are the `argon2` crate's own, and so is the whole
//! computation on a processor without AVX-512. All variants and versions are here, since hashes of other
//! systems are checked too. As with that crate, lanes are computed one after another, and memory is left
//! as it was filled.

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod blake2b;
#[cfg(target_arch = "x86_64")]
mod fill;
#[cfg(target_arch = "x86_64")]
mod reference;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

use argon2::{Algorithm, Argon2, Block, Error, Params, Version};

/// What computes a hash. All come to the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    Crate,
}

impl Unit {
    /// The `argon2` crate, which runs everywhere.
    pub const CRATE: Self = Self(Kind::Crate);

    /// The fastest that this processor has.
    pub fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(unit) = avx512::Avx512::detect() {
            return Self(Kind::Avx512(unit));
        }
        Self::CRATE
    }
}

/// How a password is hashed.
#[derive(Clone, Debug)]
pub struct Hasher {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    unit: Unit,
}

impl Hasher {
    /// Hashes by the fastest unit of this processor.
    pub fn new(algorithm: Algorithm, version: Version, params: Params) -> Self {
        Self::with_unit(algorithm, version, params, Unit::fastest())
    }

    /// Hashes by a certain unit.
    pub fn with_unit(algorithm: Algorithm, version: Version, params: Params, unit: Unit) -> Self {
        Self { algorithm, version, params, unit }
    }

    /// What a hash costs.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Writes the hash of `password` into `out`. `memory` is [`Params::block_count`] blocks or more; what
    /// is in them does not matter, and what is left in them afterwards depends on the unit.
    ///
    /// # Errors
    /// Those of [`Argon2::hash_password_into_with_memory`]: a salt or an output of a length that argon2
    /// does not take, or that is not that of the parameters, and too little memory.
    pub fn hash_into(
        &self,
        password: &[u8],
        salt: &[u8],
        out: &mut [u8],
        memory: &mut [Block],
    ) -> Result<(), Error> {
        self.hash_with_secret(password, salt, &[], out, memory)
    }

    /// The same with the secret of RFC 9106, which its test vectors have.
    fn hash_with_secret(
        &self,
        password: &[u8],
        salt: &[u8],
        secret: &[u8],
        out: &mut [u8],
        memory: &mut [Block],
    ) -> Result<(), Error> {
        match self.unit.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(unit) => {
                fill::hash(self, unit, &fill::Inputs { password, salt, secret }, out, memory)
            }
            Kind::Crate => {
                Argon2::new_with_secret(secret, self.algorithm, self.version, self.params.clone())?
                    .hash_password_into_with_memory(password, salt, out, memory)
            }
        }
    }
}
