//! Cryptography with nothing around it.

use std::thread;
use std::time::Duration;

use argon2::{Algorithm, Block, Params, Version};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use hallpass_argon2::Hasher;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// How long a token's signed part is, bytes.
const MESSAGE: usize = 560;

/// What this thread has had of a processor, seconds.
fn used() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// CPU seconds of 1,000 verifications of a P-256 signature.
pub(crate) fn p256_verifications(times: u32) -> f64 {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let message = [7; MESSAGE];
    let signature = key.sign(&SystemRandom::new(), &message).expect("a signature");
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key().as_ref());
    let before = used();
    for _ in 0..times {
        public.verify(&message, signature.as_ref()).expect("a right signature");
    }
    (used() - before) * 1e3 / f64::from(times)
}

/// argon2id on all cores at once, at the best that this machine's instructions give and in memory that is kept, as the
/// service has it: CPU seconds of 1,000 hashes, and hashes a second.
pub(crate) fn argon2id(each: u32) -> (f64, f64) {
    let params = Params::new(19_456, 2, 1, Some(32)).expect("OWASP's parameters");
    let hasher = Hasher::new(Algorithm::Argon2id, Version::V0x13, params);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let began = Instant::now();
    let hash = || {
        let mut memory = vec![Block::default(); hasher.params().block_count()];
        let mut once = || {
            let hashed = hasher.hash_into(b"an engine weaves patterns", &[7; 16], &mut [0; 32], &mut memory);
            hashed.expect("a hash");
        };
        // The kernel hands its pages over at the first touch.
        once();
        let before = used();
        for _ in 0..each {
            once();
        }
        used() - before
    };
    let cpu: f64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(hash)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread")).sum()
    });
    let cores = cores as f64;
    let seconds = began.elapsed().max(Duration::from_millis(1)).as_secs_f64();
    (cpu * 1e3 / (f64::from(each) * cores), f64::from(each + 1) * cores / seconds)
}
