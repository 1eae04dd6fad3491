//! What redeeming a refresh token costs, per backend, and what asking about an access token does:
//! one caller after another, and many at once.
//!
//! Run with `cargo bench --bench rotation`; `-- embedded` behind it picks the benchmarks whose
//! names contain that. Starts a `redis-server` of its own. The embedded store works in the folder
//! for temporary files: its rotations cost what that disk takes to sync.

#[path = "../tests/support/mod.rs"]
mod support;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use deadpool_redis::{Config, Pool, Runtime};
use hallpass::app::SystemRandom;
use hallpass::domain::clock::{Clock, ManualClock, Timestamp};
use hallpass::domain::deployment::DeploymentMark;
use hallpass::domain::email::Email;
use hallpass::domain::ids::{Jti, SessionId, UserId};
use hallpass::domain::journal::EntryId;
use hallpass::domain::partition::Partition;
use hallpass::domain::session::{NewSession, SessionLifetimes};
use hallpass::domain::session_carried::Carried;
use hallpass::domain::session_origin::SessionOrigin;
use hallpass::domain::timekeeper::Timekeeper;
use hallpass::domain::tokens::{Generation, RefreshClaims};
use hallpass::domain::user::{Role, SecurityVersion};
use hallpass::store::backend::TokenBackend;
use hallpass::store::embedded::{EmbeddedTime, EmbeddedTokenStore};
use hallpass::store::journaled::{JournaledTokenStore, Parts};
use hallpass::store::redis::keys::Keys;
use hallpass::store::redis::{CARRIED_FORMAT, RedisOptions, RedisTokenStore, StoreTime};
use hallpass::store::sql::sqlite::{SqliteOptions, SqliteStore};
use hallpass::store::{
    AccessStatus, AccessSubject, DenylistStore, OpenOutcome, RefreshOutcome, SessionStore, TokenStore,
};
use redis::Script;
use support::redis::RedisServer;
use tempfile::TempDir;
use tokio::runtime::Runtime as Tokio;
use tokio::time::Instant;
use uuid::Uuid;

/// How many sessions are in use at the same time.
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
struct Stored(Arc<JournaledTokenStore>);

#[async_trait]
impl Rotation for Stored {
    async fn rotate(&self, token: &RefreshClaims) {
        let outcome = self.0.rotate(token, &LIFETIMES).await.expect("rotate");
        assert!(matches!(outcome, RefreshOutcome::Current(_)), "{outcome:?}");
    }
}

/// What the keys begin with.
fn mark() -> DeploymentMark {
    DeploymentMark::parse("bench").expect("a mark")
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
        let keys = Keys::new(&mark()).of_user(token.user);
        let mut redis = self.pool.get().await.expect("a connection");
        let answer: Vec<String> = self
            .script
            .key(keys.session(token.session))
            .key(keys.sessions())
            .key(keys.denied())
            .key(keys.cutoff())
            .key(keys.partition().state())
            .key(keys.revocations())
            .key(keys.partition().owed())
            .key(keys.evictions())
            .arg(format!(":{}", NOW.as_millis()))
            .arg(token.session.to_string())
            .arg(token.user.get())
            .arg(token.generation.get())
            .arg(LIFETIMES.idle.as_millis() as u64)
            .arg(LIFETIMES.rotation_grace_period.as_millis() as u64)
            .arg(LIFETIMES.revocation().as_millis() as u64)
            // Whoever makes a store whole names no vouching.
            .arg("")
            .arg(EntryId::NONE.get())
            .arg("unseen")
            .arg(CARRIED_FORMAT)
            .invoke_async(&mut redis)
            .await
            .expect("EVALSHA");
        assert_eq!(answer.first().map(String::as_str), Some("current"));
    }
}

/// Opens as many sessions as there are callers, each of its own user, and answers their tokens.
/// Neither users nor sessions come twice in one run.
async fn log_in(store: &impl TokenStore, callers: u64) -> Vec<RefreshClaims> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let mut tokens = Vec::new();
    for _ in 0..callers {
        let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let user = i64::try_from(number).ok().and_then(|id| UserId::try_from(id).ok()).expect("a user id");
        let email = Email::parse("ada@example.com").expect("an address");
        let carried = Carried::new(email, Role::Member, SessionOrigin::new(None, None, "hallpass"));
        let id = SessionId::from(Uuid::from_u128(u128::from(number)));
        let session = NewSession { id, user, security_version: SecurityVersion::FIRST, carried };
        let opened = store.open_session(&session, &LIFETIMES).await.expect("open_session");
        assert!(matches!(opened, OpenOutcome::Opened(_)), "{opened:?}");
        tokens.push(RefreshClaims { user, session: id, generation: Generation::FIRST });
    }
    tokens
}

/// The time that `times` operations take, spread over one caller per token. A caller does its
/// share one after another.
async fn time<Caller>(
    tokens: Vec<RefreshClaims>,
    times: u64,
    caller: impl Fn(RefreshClaims, u64) -> Caller,
) -> Duration
where
    Caller: Future<Output = ()> + Send + 'static,
{
    let callers = tokens.len() as u64;
    let began = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .zip(tokens)
        .map(|(number, token)| {
            let share = times / callers + u64::from(number < times % callers);
            tokio::spawn(caller(token, share))
        })
        .collect();
    for task in tasks {
        task.await.expect("a caller");
    }
    began.elapsed()
}

async fn rotate_again_and_again(backend: Arc<dyn Rotation>, mut token: RefreshClaims, times: u64) {
    for _ in 0..times {
        backend.rotate(&token).await;
        token.generation = token.generation.next();
    }
}

async fn ask_again_and_again(store: Arc<JournaledTokenStore>, token: RefreshClaims, times: u64) {
    let incarnation = store.incarnation(Partition::of(token.user)).await.expect("an incarnation");
    let subject = AccessSubject {
        user: token.user,
        session: token.session,
        token: Jti::from(*token.session.as_uuid()),
        incarnation,
    };
    for _ in 0..times {
        let status = store.access_status(&subject).await.expect("access_status");
        assert_eq!(status, AccessStatus::Live);
    }
}

/// Measures redeeming refresh tokens through one backend; `store` opens the sessions.
fn rotation(
    criterion: &mut Criterion,
    runtime: &Tokio,
    name: &str,
    backend: &Arc<dyn Rotation>,
    store: &JournaledTokenStore,
) {
    let mut group = criterion.benchmark_group("rotation");
    group.throughput(Throughput::Elements(1));
    for callers in CALLERS {
        group.bench_function(BenchmarkId::new(name, callers), |bencher| {
            bencher.to_async(runtime).iter_custom(|times| async move {
                let tokens = log_in(store, callers).await;
                time(tokens, times, |token, share| rotate_again_and_again(Arc::clone(backend), token, share))
                    .await
            });
        });
    }
    group.finish();
}

/// Measures asking whether an access token still stands.
fn access_status(criterion: &mut Criterion, runtime: &Tokio, name: &str, store: &Arc<JournaledTokenStore>) {
    let mut group = criterion.benchmark_group("access_status");
    group.throughput(Throughput::Elements(1));
    for callers in CALLERS {
        let tokens = runtime.block_on(log_in(&**store, callers));
        group.bench_function(BenchmarkId::new(name, callers), |bencher| {
            bencher.to_async(runtime).iter_custom(|times| {
                let tokens = tokens.clone();
                time(tokens, times, |token, share| ask_again_and_again(Arc::clone(store), token, share))
            });
        });
    }
    group.finish();
}

/// A backend as the service has it: kept whole by a journal, which lies in that folder.
async fn journaled(backend: impl TokenBackend, folder: &TempDir) -> JournaledTokenStore {
    let url = format!("sqlite://{}/hallpass.db", folder.path().display());
    let users = SqliteStore::connect(&url, SqliteOptions::default()).await.expect("a database");
    users.migrate().await.expect("its tables");
    let users = Arc::new(users);
    JournaledTokenStore::new(Parts {
        backend: Arc::new(backend),
        journal: users.clone(),
        users,
        keeper: Arc::new(Timekeeper::new(Arc::new(ManualClock::at(NOW)), LIFETIMES.leeway)),
        random: Arc::new(SystemRandom),
        spans: (&LIFETIMES).into(),
    })
}

fn redis(criterion: &mut Criterion) {
    let server = RedisServer::start();
    let runtime = Tokio::new().expect("a runtime");
    let url = server.url();
    let mark = mark();
    let connecting = RedisTokenStore::connect(&url, &mark, RedisOptions::default());
    let backend = runtime.block_on(connecting).expect("a store");
    let laid_over: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW));
    let backend = backend.with_time(StoreTime { keeper: None, laid_over: Some(laid_over) });
    let folder = TempDir::new().expect("a folder");
    let store = Arc::new(runtime.block_on(journaled(backend, &folder)));
    let multiplexed: Arc<dyn Rotation> = Arc::new(Stored(Arc::clone(&store)));
    rotation(criterion, &runtime, "redis, one multiplexed connection", &multiplexed, &store);
    access_status(criterion, &runtime, "redis", &store);
    let _context = runtime.enter();
    let pooled: Arc<dyn Rotation> = Arc::new(Pooled::new(&url));
    rotation(criterion, &runtime, "redis, checked out of a pool", &pooled, &store);
}

fn embedded(criterion: &mut Criterion) {
    let folder = TempDir::new().expect("a folder");
    let runtime = Tokio::new().expect("a runtime");
    let file = folder.path().join("tokens.db");
    let time = EmbeddedTime { clock: Arc::new(ManualClock::at(NOW)), keeper: None };
    let opening = EmbeddedTokenStore::open(&file, time, &SystemRandom);
    let backend = runtime.block_on(opening).expect("a store");
    let store = Arc::new(runtime.block_on(journaled(backend, &folder)));
    let stored: Arc<dyn Rotation> = Arc::new(Stored(Arc::clone(&store)));
    rotation(criterion, &runtime, "embedded", &stored, &store);
    access_status(criterion, &runtime, "embedded", &store);
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = redis, embedded
}
criterion_main!(benches);
