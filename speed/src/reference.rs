//! The least that the same answers can cost: poem, and what of Redis and of cryptography there is no way around.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use hallpass::store::redis::CARRIED_FORMAT;
use hallpass::store::redis::keys::Keys;
use poem::listener::TcpListener;
use poem::web::{Data, Path};
use poem::{EndpointExt, Route, Server, get, handler, post};
use redis::Script;
use redis::aio::MultiplexedConnection;

use crate::load::CONNECTIONS;
use crate::sessions::{LIFETIMES, ids, mark, open};

/// The key that is asked for: it is not there, as with a token that was not taken back.
const ABSENT: &str = "speed:denied";

/// What the handlers share.
struct Shared {
    redis: MultiplexedConnection,
    body: String,
    script: Script,
    generations: HashMap<u32, AtomicU64>,
    key: EcdsaKeyPair,
}

type State = std::sync::Arc<Shared>;

#[handler]
fn constant(state: Data<&State>) -> String {
    state.body.clone()
}

#[handler]
fn empty() {}

#[handler]
async fn exists(state: Data<&State>) -> String {
    let mut redis = state.redis.clone();
    let found: bool = redis::cmd("EXISTS").arg(ABSENT).query_async(&mut redis).await.expect("an answer");
    assert!(!found);
    state.body.clone()
}

/// Rotates the session of that number by the service's own script, and signs once.
#[handler]
async fn rotate(state: Data<&State>, number: Path<u32>) -> String {
    let (user, session) = ids(number.0);
    let generation = state.generations[&number.0].fetch_add(1, Ordering::Relaxed);
    let keys = Keys::new(&mark()).of_user(user);
    let answer: Vec<redis::Value> = state
        .script
        .key(keys.session(session))
        .key(keys.sessions())
        .key(keys.denied())
        .key(keys.cutoff())
        .key(keys.partition().state())
        .key(keys.revocations())
        .key(keys.partition().owed())
        .key(keys.evictions())
        // No bound and no test's clock.
        .arg(":")
        .arg(session.to_string())
        .arg(user.get())
        .arg(generation)
        .arg(LIFETIMES.idle.as_millis() as u64)
        .arg(LIFETIMES.rotation_grace_period.as_millis() as u64)
        .arg(LIFETIMES.revocation().as_millis() as u64)
        .arg("")
        .arg(0)
        .arg("unseen")
        .arg(CARRIED_FORMAT)
        .invoke_async(&mut state.redis.clone())
        .await
        .expect("EVALSHA");
    assert!(
        answer.first().is_some_and(|word| *word == redis::Value::BulkString(b"current".to_vec())),
        "{answer:?}"
    );
    let signature = state.key.sign(&SystemRandom::new(), state.body.as_bytes()).expect("a signature");
    assert_eq!(signature.as_ref().len(), 64);
    state.body.clone()
}

/// Serves until it is killed. The answers have bodies of `bytes`; where it listens comes behind in HALLPASS_SPEED_AT.
#[tokio::main]
pub(crate) async fn serve(redis: &str, bytes: usize) {
    let at = std::env::var("HALLPASS_SPEED_AT").expect("where to listen");
    let sessions = CONNECTIONS as u32;
    open(redis, sessions).await;
    let client = redis::Client::open(redis).expect("an address");
    let script = concat!(
        include_str!("../../src/store/redis/scripts/prelude.lua"),
        "\n",
        include_str!("../../src/store/redis/scripts/rotate_session.lua")
    );
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let state = State::new(Shared {
        redis: client.get_multiplexed_async_connection().await.expect("a connection"),
        body: "a".repeat(bytes),
        script: Script::new(script),
        generations: (0..sessions).map(|number| (number, AtomicU64::new(0))).collect(),
        key,
    });
    let routes = Route::new()
        .at("/constant", get(constant))
        .at("/empty", get(empty))
        .at("/exists", get(exists))
        .at("/rotate/:number", post(rotate))
        .data(state);
    Server::new(TcpListener::bind(at)).run(routes).await.expect("a server");
}
