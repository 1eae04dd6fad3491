//! What a token costs: access tokens signed and verified, refresh tokens made and checked, and
//! the password hash that a login pays for them. One thread, no store.
//!
//! Run with `cargo bench --bench tokens`; `-- verify` behind it picks the benchmarks whose names
//! contain that.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use hallpass::app::SystemRandom;
use hallpass::crypto::keys::SigningKey;
use hallpass::crypto::password::{Argon2Cost, HashMemory, PasswordHasher};
use hallpass::crypto::secret::DerivedKeys;
use hallpass::crypto::{jwt, refresh_token};
use hallpass::domain::clock::Timestamp;
use hallpass::domain::ids::{SessionId, UserId};
use hallpass::domain::password::{NewPassword, Password};
use hallpass::domain::signing_key::SigningAlgorithm;
use hallpass::domain::tokens::{Generation, RefreshClaims, RefreshToken};
use hallpass_verify::{AccessClaims, KeySet, Rejection, TokenType, Verifier};
use jsonwebtoken::jwk::JwkSet;
use serde_json::json;
use uuid::Uuid;

const ALGORITHMS: [SigningAlgorithm; 3] =
    [SigningAlgorithm::Es256, SigningAlgorithm::Rs256, SigningAlgorithm::EdDsa];

const NOW: Timestamp = Timestamp::from_millis(2_000_000_000_000);

/// The default of `passwords.argon2`.
const COST: Argon2Cost = Argon2Cost { memory_kib: 19_456, iterations: 2, parallelism: 1 };

fn claims() -> AccessClaims {
    serde_json::from_value(json!({
        "iss": "https://id.example.com",
        "aud": "https://id.example.com",
        "sub": "42",
        "exp": NOW.as_secs() + 900,
        "iat": NOW.as_secs(),
        "jti": Uuid::from_u128(1),
        "sid": Uuid::from_u128(2),
        "sv": 1,
        "inc": 1,
        "client_id": "hallpass",
        "email": "ada@example.com",
        "email_verified": true,
        "auth_time": NOW.as_secs(),
        "amr": ["pwd"],
        "acr": "urn:hallpass:acr:1",
        "roles": ["member"],
    }))
    .expect("claims")
}

fn verifier_of(key: &SigningKey) -> Verifier {
    let jwks = JwkSet { keys: vec![key.public().clone()] };
    let keys = KeySet::from_jwk_set(&jwks).expect("a key set");
    Verifier::new(keys, claims().iss, claims().iss)
}

fn access_tokens(criterion: &mut Criterion) {
    let keys = ALGORITHMS.map(|algorithm| SigningKey::generate(algorithm).expect("a key"));
    let mut group = criterion.benchmark_group("access token");
    for key in &keys {
        sign(&mut group, key);
    }
    for key in &keys {
        verify(&mut group, key);
    }
    refuse(&mut group, &keys[0]);
    group.finish();
}

fn sign(group: &mut BenchmarkGroup<'_, WallTime>, key: &SigningKey) {
    let claims = claims();
    group.bench_function(format!("sign {}", key.algorithm()), |bencher| {
        bencher.iter(|| jwt::mint(key, TokenType::AtJwt, black_box(&claims)).expect("a token"));
    });
}

fn verify(group: &mut BenchmarkGroup<'_, WallTime>, key: &SigningKey) {
    let verifier = verifier_of(key);
    let token = jwt::mint(key, TokenType::AtJwt, &claims()).expect("a token");
    group.bench_function(format!("verify {}", key.algorithm()), |bencher| {
        let now = NOW.to_system_time();
        bencher.iter(|| verifier.verify(black_box(token.expose()), now).expect("accepted"));
    });
}

/// What a flood of tokens under unknown keys costs.
fn refuse(group: &mut BenchmarkGroup<'_, WallTime>, key: &SigningKey) {
    let stranger = SigningKey::generate(key.algorithm()).expect("a key");
    let verifier = verifier_of(key);
    let token = jwt::mint(&stranger, TokenType::AtJwt, &claims()).expect("a token");
    group.bench_function("refuse an unknown key", |bencher| {
        let now = NOW.to_system_time();
        bencher.iter(|| {
            let verdict = verifier.verify(black_box(token.expose()), now);
            assert_eq!(verdict, Err(Rejection::UnknownKey));
        });
    });
}

fn refresh_tokens(criterion: &mut Criterion) {
    let keys = DerivedKeys::derive(&[7; 32]).expect("long enough");
    let other = DerivedKeys::derive(&[8; 32]).expect("long enough");
    let claims = RefreshClaims {
        user: UserId::try_from(42).expect("positive"),
        session: SessionId::from(Uuid::from_u128(2)),
        generation: Generation::new(3),
    };
    let token = refresh_token::mint(&keys, &claims);
    let forged: RefreshToken = refresh_token::mint(&other, &claims);

    let mut group = criterion.benchmark_group("refresh token");
    group.bench_function("mint", |bencher| {
        bencher.iter(|| refresh_token::mint(&keys, black_box(&claims)));
    });
    group.bench_function("check", |bencher| {
        bencher.iter(|| refresh_token::verify(&keys, black_box(&token)).expect("authentic"));
    });
    group.bench_function("refuse a forged one", |bencher| {
        bencher.iter(|| refresh_token::verify(&keys, black_box(&forged)).expect_err("forged"));
    });
    group.finish();
}

fn passwords(criterion: &mut Criterion) {
    let hasher = PasswordHasher::new(COST, &SystemRandom).expect("argon2 takes it");
    let password = || Password::parse("correct horse battery staple").expect("short enough");
    let chosen = NewPassword::exempt(password());
    // As on a worker's thread, which keeps it.
    let mut memory = HashMemory::default();
    let hash = hasher.hash(&chosen, &SystemRandom, &mut memory).expect("a hash");

    let mut group = criterion.benchmark_group("password, argon2id 19456/2/1");
    group.sample_size(20);
    group.bench_function("hash", |bencher| {
        bencher.iter(|| hasher.hash(black_box(&chosen), &SystemRandom, &mut memory).expect("a hash"));
    });
    group.bench_function("verify", |bencher| {
        let password = password();
        bencher.iter(|| {
            assert!(hasher.verify(black_box(&password), Some(&hash), &mut memory).expect("a verdict"))
        });
    });
    group.bench_function("verify for an unknown account", |bencher| {
        let password = password();
        bencher.iter(|| assert!(!hasher.verify(black_box(&password), None, &mut memory).expect("a verdict")));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = access_tokens, refresh_tokens, passwords
}
criterion_main!(benches);
