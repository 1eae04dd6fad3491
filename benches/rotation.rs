//! What redeeming a refresh token costs, per backend: one caller after another, and many at once.
//!
//! Run with `cargo bench --bench rotation`. Starts a `redis-server` of its own.

#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "a benchmark neither kills nor pauses its servers")]
mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use deadpool_redis::{Config, Pool, Runtime};
use hallpass::domain::clock::Timestamp;
use hallpass::domain::email::Email;
use hallpass::domain::ids::{SessionId, UserId};
use hallpass::domain::session::{Session, SessionLifetimes, Subject};
use hallpass::domain::tokens::RefreshClaims;
use hallpass::domain::user::{Role, SecurityVersion};
use hallpass::store::redis::keys::UserKeys;
use hallpass::store::redis::{RedisOptions, RedisTokenStore};
use hallpass::store::{RefreshOutcome, TokenStore};
use redis::Script;
use support::redis::RedisServer;
use tokio::time::Instant;
use uuid::Uuid;

/// How many sessions are refreshed at the same time.
const CALLERS: [u64; 2] = [1, 64];

const NOW: Timestamp = Timestamp::from_millis(2_000_000_000_000);

const LIFETIMES: SessionLifetimes = SessionLifetimes {
    idle: Duration::from_secs(7 * 24 * 60 * 60),
    absolute: Duration::from_secs(30 * 24 * 60 * 60),
    rotation_grace_period: Duration::from_secs(30),
    access_token: Duration::from_secs(15 * 60),
    leeway: Duration::from_secs(5),
};

/// One way to redeem refresh tokens.
#[async_trait]
trait Rotation: Send + Sync + 'static {
    /// Redeems the current token of a session.
    async fn rotate(&self, token: &RefreshClaims);
}

/// A token store, as the service uses it.
struct Stored<Store>(Arc<Store>);

#[async_trait]
impl<Store: TokenStore> Rotation for Stored<Store> {
    async fn rotate(&self, token: &RefreshClaims) {
        let outcome = self.0.rotate(token, NOW, &LIFETIMES).await.expect("rotate");
        assert!(matches!(outcome, RefreshOutcome::Current(_)), "{outcome:?}");
    }
}

/// The store's own script, over a connection that is checked out of a pool for each call.
struct Pooled {
    pool: Pool,
    script: Script,
}

impl Pooled {
    fn new(url: &str) -> Self {
        let pool = Config::from_url(url).create_pool(Some(Runtime::Tokio1)).expect("a pool");
        let script = Script::new(concat!(
            include_str!("../src/store/redis/scripts/prelude.lua"),
            "\n",
            include_str!("../src/store/redis/scripts/rotate_session.lua")
        ));
        Self { pool, script }
    }
}

#[async_trait]
impl Rotation for Pooled {
    async fn rotate(&self, token: &RefreshClaims) {
        let keys = UserKeys::of(token.user);
        let mut redis = self.pool.get().await.expect("a connection");
        let answer: Vec<String> = self
            .script
            .key(keys.session(token.session))
            .key(keys.sessions())
            .key(keys.denied())
            .key(keys.cutoff())
            .key(keys.incarnation())
            .key(keys.revocations())
            .arg(NOW.as_millis())
            .arg(token.session.to_string())
            .arg(token.user.get())
            .arg(token.generation.get())
            .arg(LIFETIMES.idle.as_millis() as u64)
            .arg(LIFETIMES.rotation_grace_period.as_millis() as u64)
            .arg(LIFETIMES.revocation().as_millis() as u64)
            .invoke_async(&mut redis)
            .await
            .expect("EVALSHA");
        assert_eq!(answer.first().map(String::as_str), Some("current"));
    }
}

/// Opens as many sessions as there are callers, each of its own user, and answers their tokens.
async fn log_in(store: &impl TokenStore, callers: u64) -> Vec<RefreshClaims> {
    let mut tokens = Vec::new();
    for number in 1..=callers {
        let user = i64::try_from(number).ok().and_then(|id| UserId::try_from(id).ok()).expect("a user id");
        let subject = Subject {
            user,
            email: Email::parse("ada@example.com").expect("an address"),
            role: Role::Member,
            security_version: SecurityVersion::FIRST,
        };
        let id = SessionId::from(Uuid::from_u128(u128::from(number)));
        let session = Session::open(id, subject, NOW, &LIFETIMES);
        store.open_session(&session, NOW).await.expect("open_session");
        tokens.push(RefreshClaims { user, session: id, generation: session.generation });
    }
    tokens
}

/// The time that `rotations` take, spread over one caller per token.
async fn time(backend: Arc<dyn Rotation>, tokens: Vec<RefreshClaims>, rotations: u64) -> Duration {
    let callers = tokens.len() as u64;
    let began = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .zip(tokens)
        .map(|(caller, mut token)| {
            let backend = Arc::clone(&backend);
            let share = rotations / callers + u64::from(caller < rotations % callers);
            tokio::spawn(async move {
                for _ in 0..share {
                    backend.rotate(&token).await;
                    token.generation = token.generation.next();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a caller");
    }
    began.elapsed()
}

/// Measures one backend; `store` opens the sessions.
fn measure<Store: TokenStore>(
    criterion: &mut Criterion,
    runtime: &tokio::runtime::Runtime,
    name: &str,
    backend: &Arc<dyn Rotation>,
    store: &Store,
) {
    let mut group = criterion.benchmark_group("rotation");
    group.throughput(Throughput::Elements(1));
    for callers in CALLERS {
        group.bench_function(BenchmarkId::new(name, callers), |bencher| {
            bencher.to_async(runtime).iter_custom(|rotations| async move {
                let tokens = log_in(store, callers).await;
                time(Arc::clone(backend), tokens, rotations).await
            });
        });
    }
    group.finish();
}

fn redis(criterion: &mut Criterion) {
    let server = RedisServer::start();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let url = server.url();
    let connecting = RedisTokenStore::connect(&url, RedisOptions::default());
    let store = Arc::new(runtime.block_on(connecting).expect("a store"));
    let multiplexed: Arc<dyn Rotation> = Arc::new(Stored(Arc::clone(&store)));
    measure(criterion, &runtime, "redis, one multiplexed connection", &multiplexed, &*store);
    let _context = runtime.enter();
    let pooled: Arc<dyn Rotation> = Arc::new(Pooled::new(&url));
    measure(criterion, &runtime, "redis, checked out of a pool", &pooled, &*store);
}

criterion_group!(benches, redis);
criterion_main!(benches);
