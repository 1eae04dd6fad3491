//! Both units against RFC 9106 and against each other.

use argon2::{Algorithm, AssociatedData, Block, Error, Params, ParamsBuilder, Version};

use crate::{Hasher, Unit};

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Argon2d, Algorithm::Argon2i, Algorithm::Argon2id];

const VERSIONS: [Version; 2] = [Version::V0x10, Version::V0x13];

/// RFC 9106 sections 5.1 to 5.3.
const VECTORS: [(Algorithm, &str); 3] = [
    (Algorithm::Argon2d, "512b391b6f1162975371d30919734294f868e3be3984f3c1a13a4db9fabe4acb"),
    (Algorithm::Argon2i, "c814d9d1dc7f37aa13f0d77f2494bda1c8de6b016dd388d29952a4c4672b6ce8"),
    (Algorithm::Argon2id, "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"),
];

/// The wide unit: the tests that need it are ignored where they are built without.
fn wide() -> Unit {
    let unit = Unit::fastest();
    assert_ne!(unit, Unit::CRATE, "this processor has no AVX-512");
    unit
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn params(memory_kib: u32, passes: u32, lanes: u32, output_length: usize, data: &[u8]) -> Params {
    let data = AssociatedData::new(data).expect("short enough");
    let mut builder = ParamsBuilder::new();
    builder.m_cost(memory_kib).t_cost(passes).p_cost(lanes).output_len(output_length).data(data);
    builder.build().expect("argon2 takes them")
}

fn holds_to_the_vectors(unit: Unit) {
    for (algorithm, tag) in VECTORS {
        let params = params(32, 3, 4, 32, &[4; 12]);
        let mut memory = vec![Block::new(); params.block_count()];
        let hasher = Hasher::with_unit(algorithm, Version::V0x13, params, unit);
        let mut out = [0; 32];
        hasher.hash_with_secret(&[1; 32], &[2; 16], &[3; 8], &mut out, &mut memory).expect("a hash");
        assert_eq!(hex(&out), tag, "{algorithm} by {unit:?}");
    }
}

#[test]
fn the_crate_holds_to_the_vectors_of_rfc_9106() {
    holds_to_the_vectors(Unit::CRATE);
}

#[test]
#[cfg_attr(not(builder_has_avx512), ignore = "needs AVX-512")]
fn avx512_holds_to_the_vectors_of_rfc_9106() {
    holds_to_the_vectors(wide());
}

#[test]
fn a_processor_is_asked_for_nothing_that_it_does_not_have() {
    assert_eq!(Unit::fastest() != Unit::CRATE, is_x86_feature_detected!("avx512f"));
}

/// SplitMix64: the same numbers in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn between(&mut self, least: usize, most: usize) -> usize {
        least + (self.next() % (most - least + 1) as u64) as usize
    }

    fn bytes(&mut self, least: usize, most: usize) -> Vec<u8> {
        (0..self.between(least, most)).map(|_| self.next() as u8).collect()
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.between(0, all.len() - 1)]
    }
}

/// A hash to compute, of any variant, cost and lengths.
#[derive(Debug)]
struct Case {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    password: Vec<u8>,
    salt: Vec<u8>,
    secret: Vec<u8>,
    output_length: usize,
}

impl Case {
    /// `segment_max` blocks at most are filled in one go.
    fn any(numbers: &mut Numbers, segment_max: usize) -> Self {
        let lanes = numbers.between(1, 5);
        // Not all of these KiB make whole segments.
        let memory = lanes * numbers.between(8, 4 * segment_max) + numbers.between(0, 3);
        let output_length = numbers.between(4, 200);
        let data = numbers.bytes(0, 32);
        let passes = numbers.between(1, 3) as u32;
        Self {
            algorithm: numbers.one_of(&ALGORITHMS),
            version: numbers.one_of(&VERSIONS),
            params: params(memory as u32, passes, lanes as u32, output_length, &data),
            password: numbers.bytes(0, 200),
            salt: numbers.bytes(8, 150),
            secret: numbers.bytes(0, 64),
            output_length,
        }
    }

    fn hash(&self, unit: Unit, memory: &mut [Block]) -> Vec<u8> {
        let hasher = Hasher::with_unit(self.algorithm, self.version, self.params.clone(), unit);
        let mut out = vec![0; self.output_length];
        hasher.hash_with_secret(&self.password, &self.salt, &self.secret, &mut out, memory).expect("a hash");
        out
    }
}

fn units_agree(cases: usize, segment_max: usize) {
    let mut numbers = Numbers(segment_max as u64);
    // Each has what the one before left, the other unit's too.
    let mut memory = Vec::new();
    for _ in 0..cases {
        let case = Case::any(&mut numbers, segment_max);
        memory.resize(memory.len().max(case.params.block_count()), Block::new());
        let expected = case.hash(Unit::CRATE, &mut memory);
        assert_eq!(case.hash(wide(), &mut memory), expected, "{case:?}");
    }
}

#[test]
#[cfg_attr(not(builder_has_avx512), ignore = "needs AVX-512")]
fn avx512_agrees_with_the_crate_on_ten_thousand_small_hashes() {
    units_agree(10_000, 24);
}

#[test]
#[cfg_attr(not(builder_has_avx512), ignore = "needs AVX-512")]
fn avx512_agrees_with_the_crate_on_segments_of_several_blocks_of_addresses() {
    units_agree(200, 400);
}

#[test]
#[cfg_attr(not(builder_has_avx512), ignore = "needs AVX-512")]
fn avx512_refuses_what_the_crate_refuses() {
    let params = params(64, 1, 1, 32, &[]);
    let outcome = |unit, salt_length: usize, out_length: usize, blocks: usize| {
        let hasher = Hasher::with_unit(Algorithm::Argon2id, Version::V0x13, params.clone(), unit);
        let (salt, mut out) = (vec![0; salt_length], vec![0; out_length]);
        hasher.hash_into(b"x", &salt, &mut out, &mut vec![Block::new(); blocks])
    };
    for (salt_length, out_length, blocks, expected) in [
        (8, 32, 64, Ok(())),
        (8, 32, 65, Ok(())),
        (7, 32, 64, Err(Error::SaltTooShort)),
        (8, 31, 64, Err(Error::OutputTooShort)),
        (8, 33, 64, Err(Error::OutputTooLong)),
        (8, 32, 63, Err(Error::MemoryTooLittle)),
    ] {
        for unit in [Unit::CRATE, wide()] {
            let found = outcome(unit, salt_length, out_length, blocks);
            assert_eq!(found, expected, "{salt_length} {out_length} {blocks} by {unit:?}");
        }
    }
}
