//! Scrypt (RFC 7914) as a PHC string, `$scrypt$ln=16,r=8,p=1$salt$hash` (passlib's form as well; Kratos
//! writes N itself where the logarithm belongs), and as Django and Werkzeug write it:
//! `scrypt$16384$salt$8$5$hash` and `scrypt:32768:8:1$salt$hash`, the salt being text that is used as
//! written. Spring packs the cost into one number: `$e0801$salt$hash`.

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
        // No N has a logarithm of 64, and nobody takes an N below.
        let log_n = if log_n < 64 { log_n } else { logarithm(log_n)? };
        Self::checked(log_n, block, lanes, salt, output, bounds)
    }

    /// Reads what Werkzeug writes: `32768:8:1`, and what follows the first dollar.
    pub(super) fn parse_werkzeug(cost: &str, text: &str, bounds: &Bounds) -> Result<Self, HashProblem> {
        let costs: Vec<Option<u32>> = cost.split(':').map(fields::number).collect();
        let &[Some(n), Some(block), Some(lanes)] = costs.as_slice() else { return Err(MALFORMED) };
        let (salt, output) = text.split_once('$').ok_or(MALFORMED)?;
        let (Some(salt), Some(output)) =
            (fields::plain_salt(salt.as_bytes()), fields::hexadecimal(output).and_then(fields::plain_output))
        else {
            return Err(MALFORMED);
        };
        Self::checked(logarithm(n)?, block, lanes, salt, output, bounds)
    }

    /// Reads Spring's form: a hexadecimal number of log2 N, r and p, then salt and hash.
    pub(super) fn parse_spring(text: &str, bounds: &Bounds) -> Result<Self, HashProblem> {
        let parts: Vec<&str> = text.split('$').collect();
        let &["", cost, salt, output] = parts.as_slice() else { return Err(MALFORMED) };
        let (Some(cost), Some(salt), Some(output)) =
            (hexadecimal_number(cost), fields::salt(salt), fields::output(output))
        else {
            return Err(MALFORMED);
        };
        Self::checked(cost >> 16, cost >> 8 & 0xff, cost & 0xff, salt, output, bounds)
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
        Self::checked(logarithm(n)?, block, lanes, salt, output, bounds)
    }

    /// A hash of what was read, if it is bearable.
    pub(super) fn checked(
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
        self.derive(password, &mut computed)?;
        Some(same(&computed, &self.output))
    }

    /// What the function makes of a password.
    pub(super) fn derive(&self, password: &[u8], output: &mut [u8]) -> Option<()> {
        ::scrypt::scrypt(password, &self.salt, &self.params, output).ok()
    }

    /// What it should come to.
    pub(super) fn output(&self) -> &[u8] {
        &self.output
    }
}

/// A number as Java's `Long.toString(n, 16)` writes it: one spelling each.
fn hexadecimal_number(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 16).ok().filter(|number| format!("{number:x}") == text)
}

/// The logarithm of N, which RFC 7914 2 wants to be a power of two.
fn logarithm(n: u32) -> Result<u32, HashProblem> {
    if n.is_power_of_two() { Ok(n.ilog2()) } else { Err(HashProblem::BadCost(HashKind::Scrypt)) }
}

const MALFORMED: HashProblem = HashProblem::Malformed(HashKind::Scrypt);
