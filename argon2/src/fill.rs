//! Argon2 around its compression function: RFC 9106 section 3.2.

use argon2::{Block, Error, MAX_PWD_LEN, MAX_SALT_LEN, MIN_SALT_LEN, Params};

use crate::Hasher;
use crate::avx512::{Avx512, Choice, WORDS, place};
use crate::blake2b::{self, OUTPUT_MAX, long_hash};
use crate::reference::{Layout, SLICES, Segment};

/// What is hashed.
pub(crate) struct Inputs<'a> {
    pub(crate) password: &'a [u8],
    pub(crate) salt: &'a [u8],
    pub(crate) secret: &'a [u8],
}

impl Inputs<'_> {
    /// The bounds of the `argon2` crate, in its order.
    fn check(&self, params: &Params, out: &[u8]) -> Result<(), Error> {
        if out.len() < params.output_len().unwrap_or(Params::MIN_OUTPUT_LEN) {
            return Err(Error::OutputTooShort);
        }
        if out.len() > params.output_len().unwrap_or(Params::MAX_OUTPUT_LEN) {
            return Err(Error::OutputTooLong);
        }
        if self.password.len() > MAX_PWD_LEN {
            return Err(Error::PwdTooLong);
        }
        match self.salt.len() {
            ..MIN_SALT_LEN => Err(Error::SaltTooShort),
            MIN_SALT_LEN..=MAX_SALT_LEN => Ok(()),
            _ => Err(Error::SaltTooLong),
        }
    }
}

pub(crate) fn hash(
    hasher: &Hasher,
    unit: Avx512,
    inputs: &Inputs<'_>,
    out: &mut [u8],
    memory: &mut [Block],
) -> Result<(), Error> {
    inputs.check(&hasher.params, out)?;
    let layout = Layout::new(&hasher.params);
    let first = first_hash(hasher, inputs, out.len())?;
    let memory = memory.get_mut(..layout.block_count()).ok_or(Error::MemoryTooLittle)?;
    begin(memory, &layout, &first)?;
    for pass in 0..hasher.params.t_cost() as usize {
        for slice in 0..SLICES {
            for lane in 0..layout.lanes {
                let segment = Segment { layout, pass, slice, lane };
                unit.fill(memory, &segment, &choice(hasher, &segment), hasher.version);
            }
        }
    }
    end(memory, &layout, out)
}

/// H0, of everything that the hash depends on.
fn first_hash(hasher: &Hasher, inputs: &Inputs<'_>, out_length: usize) -> Result<[u8; OUTPUT_MAX], Error> {
    let number = |value: u32| value.to_le_bytes();
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map(number);
    let params = &hasher.params;
    let mut hash = [0; OUTPUT_MAX];
    let parts: &[&[u8]] = &[
        &number(params.p_cost()),
        &number(u32::try_from(out_length).map_err(|_| Error::OutputTooLong)?),
        &number(params.m_cost()),
        &number(params.t_cost()),
        &number(hasher.version.into()),
        &number(hasher.algorithm as u32),
        &length(inputs.password).map_err(|_| Error::PwdTooLong)?,
        inputs.password,
        &length(inputs.salt).map_err(|_| Error::SaltTooLong)?,
        inputs.salt,
        &length(inputs.secret).map_err(|_| Error::SecretTooLong)?,
        inputs.secret,
        &length(params.data()).map_err(|_| Error::AdTooLong)?,
        params.data(),
    ];
    blake2b::hash(parts, &mut hash)?;
    Ok(hash)
}

/// Writes the first two blocks of each lane.
fn begin(memory: &mut [Block], layout: &Layout, first: &[u8]) -> Result<(), Error> {
    for (lane_number, lane) in (0_u32..).zip(memory.chunks_exact_mut(layout.lane_length)) {
        for (number, block) in (0_u32..2).zip(lane) {
            let mut bytes = [0; Block::SIZE];
            long_hash(&[first, &number.to_le_bytes(), &lane_number.to_le_bytes()], &mut bytes)?;
            for (number, word) in bytes.as_chunks::<8>().0.iter().enumerate() {
                block.as_mut()[place(number)] = u64::from_le_bytes(*word);
            }
        }
    }
    Ok(())
}

/// Hashes the sum of the last blocks of all lanes.
fn end(memory: &[Block], layout: &Layout, out: &mut [u8]) -> Result<(), Error> {
    let lasts = || memory.chunks_exact(layout.lane_length).filter_map(<[Block]>::last);
    let mut bytes = [0; Block::SIZE];
    for (number, word) in bytes.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let sum = lasts().fold(0, |sum, block| sum ^ block.as_ref()[place(number)]);
        *word = sum.to_le_bytes();
    }
    long_hash(&[&bytes], out)
}

fn choice(hasher: &Hasher, segment: &Segment) -> Choice {
    if !segment.is_data_independent(hasher.algorithm) {
        return Choice::Data;
    }
    Choice::Counter([
        segment.pass as u64,
        segment.lane as u64,
        segment.slice as u64,
        segment.layout.block_count() as u64,
        u64::from(hasher.params.t_cost()),
        hasher.algorithm as u64,
    ])
}

const _: () = assert!(WORDS * 8 == Block::SIZE);
