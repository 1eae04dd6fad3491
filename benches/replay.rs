//! How long a store that went back in time keeps everybody waiting: the revocations that it lacks are
//! carried out again.
//!
//! Run with `cargo bench --bench replay`. Starts a `redis-server` of its own; the journal is a SQLite file in
//! the folder for temporary files. The entries are ends of sessions, spread over all accounts.
//!
//! On 2 cores that others used as well (a load of 4 to 6): 100,000 entries take 3.8 to 5.0 s, 4.4 s in the middle;
//! Redis works for 31 us on each, this process for 12 us. One call of a script for each entry took 5.7 to 7.5 s at
//! a load of 4, 6.5 s in the middle: 40 us and 20 us.

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hallpass::app::SystemRandom;
use hallpass::domain::clock::{ManualClock, Timestamp};
use hallpass::domain::deployment::DeploymentMark;
use hallpass::domain::partition::Partition;
use hallpass::domain::timekeeper::Timekeeper;
use hallpass::store::journaled::{JournaledTokenStore, Parts, Spans};
use hallpass::store::redis::keys::Keys;
use hallpass::store::redis::{RedisOptions, RedisTokenStore, StoreTime};
use hallpass::store::sql::sqlite::{SqliteOptions, SqliteStore};
use sqlx::SqlitePool;
use support::redis::RedisServer;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::Instant;

const NOW: Timestamp = Timestamp::from_millis(2_000_000_000_000);

const ENTRIES: [i64; 2] = [1_000, 100_000];

const SPANS: Spans = Spans {
    denial: Duration::from_secs(15 * 60),
    idle: Duration::from_secs(7 * 24 * 60 * 60),
    absolute: Duration::from_secs(30 * 24 * 60 * 60),
};

/// A Redis, and a journal with entries that it can be made to forget.
struct Case {
    server: RedisServer,
    store: JournaledTokenStore,
    keys: Keys,
    _folder: TempDir,
}

impl Case {
    async fn new(entries: i64) -> Self {
        let server = RedisServer::start();
        let folder = TempDir::new().expect("a folder");
        let url = format!("sqlite://{}/hallpass.db", folder.path().display());
        let store = SqliteStore::connect(&url, SqliteOptions::default()).await.expect("a file");
        store.migrate().await.expect("its tables");
        write(&url, entries).await;
        let mark = DeploymentMark::parse("bench").expect("a mark");
        let clock = Arc::new(ManualClock::at(NOW));
        let backend = RedisTokenStore::connect(&server.url(), &mark, RedisOptions::default()).await;
        let time = StoreTime { keeper: None, laid_over: Some(clock.clone()) };
        let journal = Arc::new(store);
        let store = JournaledTokenStore::new(Parts {
            backend: Arc::new(backend.expect("a store").with_time(time)),
            journal: journal.clone(),
            users: journal,
            keeper: Arc::new(Timekeeper::new(clock, Duration::ZERO)),
            random: Arc::new(SystemRandom),
            spans: SPANS,
        });
        // A store without data has nothing to make good: it begins where the journal stands.
        store.keep().await.expect("a look");
        Self { server, store, keys: Keys::new(&mark), _folder: folder }
    }

    /// Puts every mark back to the start, as data of before the first entry has it.
    async fn forget(&self) {
        let client = redis::Client::open(self.server.url()).expect("an address");
        let mut redis = client.get_multiplexed_async_connection().await.expect("a connection");
        let mut pipeline = redis::pipe();
        for partition in Partition::all() {
            let state = self.keys.partition(partition).state();
            pipeline
                .hset_multiple(state, &[("mark", "0"), ("entry", "0"), ("seal", "another server")])
                .ignore();
        }
        pipeline.query_async::<()>(&mut redis).await.expect("an answer");
    }
}

/// Ends of sessions, in the partitions of their users by turns.
async fn write(url: &str, entries: i64) {
    let pool = SqlitePool::connect(url).await.expect("a connection");
    for statement in [
        "INSERT INTO journal (partition, position, entry, previous, kind, user_id, subject, until)
         WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
         SELECT i % 64, i / 64 + 1, i + 1, max(i - 63, 0), 'session', 64 + i % 6400,
           printf('%08x-0000-4000-8000-000000000000', i), ?2 FROM n",
        "UPDATE journal_heads SET position = newest.position, entry = newest.entry
         FROM (SELECT partition, max(position) AS position, max(entry) AS entry FROM journal GROUP BY partition) AS newest
         WHERE journal_heads.partition = newest.partition AND ?1 > 0 AND ?2 > 0",
    ] {
        let until = NOW.after(SPANS.idle).as_millis();
        sqlx::query(statement).bind(entries).bind(until).execute(&pool).await.expect(statement);
    }
    pool.close().await;
}

fn replay(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("replay");
    group.sample_size(10);
    for entries in ENTRIES {
        let case = runtime.block_on(Case::new(entries));
        group.throughput(Throughput::Elements(entries.unsigned_abs()));
        group.bench_function(BenchmarkId::from_parameter(entries), |bencher| {
            bencher.to_async(&runtime).iter_custom(|rounds| {
                let case = &case;
                async move {
                    let mut took = Duration::ZERO;
                    for _ in 0..rounds {
                        case.forget().await;
                        let began = Instant::now();
                        case.store.keep().await.expect("it is whole");
                        took += began.elapsed();
                    }
                    took
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, replay);
criterion_main!(benches);
