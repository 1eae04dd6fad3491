//! What a password hash takes on the fastest unit of this processor and by the `argon2` crate, each in
//! memory that is kept, as hallpass hashes: `cargo bench -p hallpass-argon2`. Both take turns, and the
//! least of each counts, so that whatever else the machine does falls on both. Another cost follows `--`:
//! memory in KiB, passes and lanes.
//!
//! On two busy cores of an AMD EPYC with AVX-512, the default cost, six runs: 3.8 to 4.5 ms, and 10.7 to
//! 12.1 ms by the crate while less else ran.

use std::hint::black_box;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Block, Params, Version};
use hallpass_argon2::{Hasher, Unit};

const ROUNDS: usize = 200;

/// The default of `passwords.argon2`.
const COST: [u32; 3] = [19_456, 2, 1];

#[expect(clippy::disallowed_methods, reason = "how long a hash takes is what is measured")]
fn time(hasher: &Hasher, memory: &mut [Block]) -> Duration {
    let mut out = [0; 32];
    let began = Instant::now();
    hasher
        .hash_into(black_box(b"correct horse battery staple"), b"salt of 16 bytes", &mut out, memory)
        .expect("a hash");
    black_box(out);
    began.elapsed()
}

fn main() {
    let given: Vec<u32> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let [memory_kib, passes, lanes] = <[u32; 3]>::try_from(given).unwrap_or(COST);
    let params = Params::new(memory_kib, passes, lanes, Some(32)).expect("argon2 takes the cost");
    let mut memory = vec![Block::new(); params.block_count()];
    let hashers = [Unit::fastest(), Unit::CRATE]
        .map(|unit| Hasher::with_unit(Algorithm::Argon2id, Version::V0x13, params.clone(), unit));
    let mut least = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        for (least, hasher) in least.iter_mut().zip(&hashers) {
            *least = time(hasher, &mut memory).min(*least);
        }
    }
    let [fastest, plain] = least.map(|least| least.as_secs_f64() * 1_000.0);
    println!("argon2id {memory_kib}/{passes}/{lanes}, {:?}", Unit::fastest());
    println!("fastest unit {fastest:.2} ms, argon2 crate {plain:.2} ms: {:.2} x", plain / fastest);
}
