//! Scrypt (RFC 7914) as a PHC string, `$scrypt$ln=16,r=8,p=1$salt$hash` (passlib's form as well), and
//! as Django writes it: `scrypt$16384$salt$8$5$hash`, its salt being text that is used as written.

use ::scrypt::Params;

use super::super::fields;
use super::{Bounds, HashKind, HashProblem, same};

/// The most memory times lanes, KiB: one to three seconds of one core. OWASP asks for 128 MiB.
const WORK_MAX_KIB: u64 = 1024 * 1024;

/// A hash by scrypt.
pub(in super::super) struct ScryptHash {
    params: Params,
    memory_kib: u32,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl ScryptHash {
    /// Reads what follows `$scrypt$`.
    pub(super) fn parse(text: &str, bounds: &Bounds) -> Result<Self, HashProblem> {
        let mut parts = text.split('$');
        let (Some(costs), Some(salt), Some(output), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(MALFORMED);
        };
        let (Some([Some(log_n), Some(block), Some(lanes)]), Some(salt), Some(output)) =
            (fields::parameters(costs, ["ln", "r", "p"]), fields::salt(salt), fields::output(output))
        else {
            return Err(MALFORMED);
        };
        Self::checked(log_n, block, lanes, salt, output, bounds)
    }

    /// Reads what follows Django's `scrypt$`.
    pub(super) fn parse_django(text: &str, bounds: &Bounds) -> Result<Self, HashProblem> {
        let parts: Vec<&str> = text.split('$').collect();
        let &[n, salt, block, lanes, output] = parts.as_slice() else { return Err(MALFORMED) };
        let (Some(n), Some(block), Some(lanes), Some(salt), Some(output)) = (
            fields::number(n),
            fields::number(block),
            fields::number(lanes),
            fields::plain_salt(salt.as_bytes()),
            fields::output(output),
        ) else {
            return Err(MALFORMED);
        };
        if !n.is_power_of_two() {
            return Err(HashProblem::BadCost(HashKind::Scrypt));
        }
        Self::checked(n.ilog2(), block, lanes, salt, output, bounds)
    }

    fn checked(
        log_n: u32,
        block: u32,
        lanes: u32,
        salt: Vec<u8>,
        output: Vec<u8>,
        bounds: &Bounds,
    ) -> Result<Self, HashProblem> {
        const BAD_COST: HashProblem = HashProblem::BadCost(HashKind::Scrypt);
        let too_dear = |limit| HashProblem::TooDear { kind: HashKind::Scrypt, limit };
        const MEMORY: &str = "its memory (128 * N * r bytes) may be 256 MiB at most";
        // RFC 7914 2: N is larger than 1. Beyond 2^21 it would be too much memory at any r.
        let n = match log_n {
            0 => return Err(BAD_COST),
            1..=21 => 1_u64 << log_n,
            _ => return Err(too_dear(MEMORY)),
        };
        // Neither product can overflow: 21 + 32 + 7 bits, and the second only for a bounded first.
        let memory_kib = (128 * n * u64::from(block)).div_ceil(1024);
        if memory_kib > u64::from(bounds.memory_kib) {
            return Err(too_dear(MEMORY));
        }
        if memory_kib * u64::from(lanes) > WORK_MAX_KIB {
            return Err(too_dear("its memory times p may be 1 GiB at most"));
        }
        let memory_kib = u32::try_from(memory_kib).map_err(|_| BAD_COST)?;
        let log_n = u8::try_from(log_n).map_err(|_| BAD_COST)?;
        let params = Params::new(log_n, block, lanes).map_err(|_| BAD_COST)?;
        Ok(Self { params, memory_kib, salt, output })
    }

    pub(super) fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    pub(super) fn verify(&self, password: &[u8]) -> Option<bool> {
        let mut computed = vec![0; self.output.len()];
        ::scrypt::scrypt(password, &self.salt, &self.params, &mut computed).ok()?;
        Some(same(&computed, &self.output))
    }
}

const MALFORMED: HashProblem = HashProblem::Malformed(HashKind::Scrypt);
