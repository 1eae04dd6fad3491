//! Argon2 (RFC 9106) of any variant, version and cost, as a PHC string:
//! `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`. Made by hallpass, PHP, libsodium, argon2-cffi, Kratos
//! and many more; Django writes `argon2` before it.

use ::argon2::{Algorithm, MIN_SALT_LEN, Params, Version};
use hallpass_argon2::Hasher;

use super::super::HashMemory;
use super::super::fields;
use super::{Bounds, HashKind, HashProblem, same};

/// The most memory times passes, KiB: 4 GiB touched, one to three seconds of one core. libsodium's
/// "moderate" takes 768 MiB, PHP's and Django's defaults 256 and 200 MiB.
pub(super) const WORK_MAX_KIB: u64 = 4 * 1024 * 1024;

/// A hash by argon2.
pub(in super::super) struct Argon2Hash {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
    /// Whether it is written as a PHC string, which is how hallpass writes its own.
    is_phc: bool,
}

impl Argon2Hash {
    /// Reads what follows Django's `argon2$`.
    pub(super) fn parse_django(text: &str, bounds: &Bounds) -> Result<Self, HashProblem> {
        Self::parse(text, bounds).map(|hash| Self { is_phc: false, ..hash })
    }

    /// Reads what follows the first dollar of the PHC string.
    pub(super) fn parse(text: &str, bounds: &Bounds) -> Result<Self, HashProblem> {
        let mut parts = text.split('$').peekable();
        let algorithm = match parts.next() {
            Some("argon2id") => Algorithm::Argon2id,
            Some("argon2i") => Algorithm::Argon2i,
            Some("argon2d") => Algorithm::Argon2d,
            _ => return Err(HashProblem::UnknownFormat),
        };
        let kind = kind(algorithm);
        // A string without a version is older than versions were.
        let version = match parts.next_if(|part| part.starts_with("v=")) {
            Some("v=19") => Version::V0x13,
            Some("v=16") | None => Version::V0x10,
            Some(_) => return Err(HashProblem::Malformed(kind)),
        };
        let (Some(costs), Some(salt), Some(output), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(HashProblem::Malformed(kind));
        };
        let Some([Some(memory_kib), Some(passes), Some(lanes)]) = fields::parameters(costs, ["m", "t", "p"])
        else {
            return Err(HashProblem::Malformed(kind));
        };
        let too_dear = |limit| HashProblem::TooDear { kind, limit };
        if memory_kib > bounds.memory_kib {
            return Err(too_dear("its memory may be 256 MiB at most"));
        }
        if u64::from(memory_kib) * u64::from(passes) > bounds.argon2_work_kib {
            return Err(too_dear("its memory times its passes may be 4 GiB at most"));
        }
        let salt = fields::salt(salt).filter(|salt| salt.len() >= MIN_SALT_LEN);
        let (Some(salt), Some(output)) = (salt, fields::output(output)) else {
            return Err(HashProblem::Malformed(kind));
        };
        let params = Params::new(memory_kib, passes, lanes, Some(output.len()))
            .map_err(|_| HashProblem::BadCost(kind))?;
        Ok(Self { algorithm, version, params, salt, output, is_phc: true })
    }

    pub(super) fn kind(&self) -> HashKind {
        kind(self.algorithm)
    }

    pub(super) fn memory_kib(&self) -> u32 {
        self.params.m_cost()
    }

    /// Whether it is an argon2id of the present version that cost at least as much, written as
    /// hallpass writes it.
    pub(in super::super) fn is_at_least(&self, wanted: &Params) -> bool {
        self.is_phc
            && matches!((self.algorithm, self.version), (Algorithm::Argon2id, Version::V0x13))
            && self.params.m_cost() >= wanted.m_cost()
            && self.params.t_cost() >= wanted.t_cost()
            && self.params.p_cost() >= wanted.p_cost()
    }

    pub(super) fn verify(&self, password: &[u8], memory: &mut HashMemory) -> Option<bool> {
        let argon2 = Hasher::new(self.algorithm, self.version, self.params.clone());
        let mut computed = vec![0; self.output.len()];
        let blocks = memory.blocks(self.params.block_count())?;
        argon2.hash_into(password, &self.salt, &mut computed, blocks).ok()?;
        Some(same(&computed, &self.output))
    }
}

fn kind(algorithm: Algorithm) -> HashKind {
    match algorithm {
        Algorithm::Argon2id => HashKind::Argon2id,
        Algorithm::Argon2i => HashKind::Argon2i,
        Algorithm::Argon2d => HashKind::Argon2d,
    }
}
