//! What a check costs, with a million revocations known: the whole of it, and its parts.
//!
//! What a check takes beside the signature is `a new token` less `signature and claims`, or
//! `a known token` by itself, where the signature was checked before.

#[path = "../tests/client/issuer.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod issuer;
#[path = "../tests/tokens/support.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod tokens;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use hallpass_verify::client::Validator;
use hallpass_verify::{Denylist, KeySet, Revocation, RevocationTarget, Verifier};
use serde_json::json;
use tokio::runtime::Runtime;
use uuid::Uuid;

use issuer::{CLIENT, Issuer, SECRET};
use tokens::{AUDIENCE, LIFETIME, NOW, at, claims, es256, with};

const REVOCATIONS: u128 = 1_000_000;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn check(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let issuer = Issuer::start(&[es256()]);
    for number in 1..=REVOCATIONS {
        issuer.revoke_quietly(json!({"sid": id(number), "exp": NOW + LIFETIME}));
    }
    let connect = |cached_tokens| {
        let builder = Validator::builder(issuer.url(), AUDIENCE)
            .credentials(CLIENT, SECRET)
            .clock(|| at(NOW))
            .request_timeout(Duration::from_secs(60))
            .max_staleness(Duration::from_secs(3_600))
            .token_cache(cached_tokens);
        let validator = runtime.block_on(builder.connect()).expect("connected");
        assert_eq!(validator.status().revocations, 1_000_000);
        validator
    };
    let token = es256().token_of(&es256().header(), &with(claims(), "iss", issuer.url()));

    let mut group = criterion.benchmark_group("check");
    let keys = KeySet::from_jwks(&json!({"keys": [es256().jwk()]}).to_string()).expect("a key set");
    let verifier = Verifier::new(keys, issuer.url(), AUDIENCE);
    group.bench_function("signature and claims", |bencher| {
        bencher.iter(|| verifier.verify(black_box(&token), at(NOW)).expect("right"));
    });
    let forgetful = connect(0);
    group.bench_function("a new token", |bencher| {
        bencher.iter(|| forgetful.check(black_box(&token)).expect("right"));
    });
    let validator = connect(10_000);
    group.bench_function("a known token", |bencher| {
        bencher.iter(|| validator.check(black_box(&token)).expect("right"));
    });
    let denylist: Denylist = (1..=REVOCATIONS)
        .map(|number| Revocation { target: RevocationTarget::Session(id(number)), exp: NOW + LIFETIME })
        .collect();
    let claims = verifier.verify(&token, at(NOW)).expect("right");
    group.bench_function("the denylist alone", |bencher| {
        bencher.iter(|| denylist.is_revoked(black_box(&claims), "es"));
    });
    group.finish();
}

criterion_group!(benches, check);
criterion_main!(benches);
