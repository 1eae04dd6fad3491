//! The hashes at both ends of argon2: H and H' of RFC 9106 section 3.3.

use argon2::Error;
use blake2::Blake2bVarCore;
use blake2::digest::block_api::{UpdateCore, VariableOutputCore};
use blake2::digest::block_buffer::LazyBuffer;

/// The most that BLAKE2b puts out, bytes.
pub(crate) const OUTPUT_MAX: usize = 64;

/// H^x: BLAKE2b of as many bytes as `out` has, 1 to 64.
pub(crate) fn hash(parts: &[&[u8]], out: &mut [u8]) -> Result<(), Error> {
    let mut core = Blake2bVarCore::new(out.len()).map_err(|_| Error::OutputTooLong)?;
    let mut buffer = LazyBuffer::new(&[]);
    for part in parts {
        buffer.digest_blocks(part, |blocks| core.update_blocks(blocks));
    }
    let mut full = Default::default();
    core.finalize_variable_core(&mut buffer, &mut full);
    out.copy_from_slice(&full[..out.len()]);
    Ok(())
}

/// H'^T: as many bytes as `out` has.
pub(crate) fn long_hash(first: &[&[u8]], mut out: &mut [u8]) -> Result<(), Error> {
    let length = u32::try_from(out.len()).map_err(|_| Error::OutputTooLong)?.to_le_bytes();
    let mut parts = vec![&length[..]];
    parts.extend_from_slice(first);
    if out.len() <= OUTPUT_MAX {
        return hash(&parts, out);
    }
    let mut last = [0; OUTPUT_MAX];
    hash(&parts, &mut last)?;
    loop {
        let (half, rest) = out.split_at_mut(OUTPUT_MAX / 2);
        half.copy_from_slice(&last[..OUTPUT_MAX / 2]);
        if rest.len() <= OUTPUT_MAX {
            return hash(&[&last], rest);
        }
        let before = last;
        hash(&[&before], &mut last)?;
        out = rest;
    }
}
