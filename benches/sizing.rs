//! What a deployment takes as it grows: memory of Redis by sessions, of the service by followers of its revocation feed,
//! and the journal by logouts.
//!
//! Run with `cargo bench --bench sizing`; `-- sessions`, `-- followers` or `-- journal` behind it measures that alone. Starts a
//! `redis-server`, a Postgres and the built service of its own.
//!
//! - Sessions: opened straight in the store, a browser's, one for each user; then refreshed in turn, one at a time. What Redis
//!   takes is its own `used_memory`, with all that is not the sessions.
//! - Followers: connections that read `/revocations/stream`; the service alone, idle and while sessions are logged out,
//!   RATE a second. CPU is that of the service for all that, logouts included.
//! - Journal: what a row takes in the files of either database, with its indexes.

#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../tests/binary/client.rs"]
mod client;
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../tests/binary/process.rs"]
mod process;
#[path = "../tests/support/mod.rs"]
mod support;

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use client::{Client, Tokens, post};
use futures_util::{StreamExt, stream};
use hallpass::app::SystemRandom;
use hallpass::domain::clock::{SystemClock, Timestamp};
use hallpass::domain::deployment::DeploymentMark;
use hallpass::domain::email::Email;
use hallpass::domain::ids::{SessionId, UserId};
use hallpass::domain::journal::{EntryId, Journaled, NewEntry};
use hallpass::domain::session::{NewSession, SessionLifetimes};
use hallpass::domain::session_carried::Carried;
use hallpass::domain::session_origin::SessionOrigin;
use hallpass::domain::timekeeper::Timekeeper;
use hallpass::domain::tokens::{Generation, RefreshClaims};
use hallpass::domain::user::{Role, SecurityVersion};
use hallpass::store::journal::RevocationJournal;
use hallpass::store::journaled::{JournaledTokenStore, Parts};
use hallpass::store::redis::{RedisOptions, RedisTokenStore, StoreTime};
use hallpass::store::sql::postgres::{PostgresOptions, PostgresStore};
use hallpass::store::sql::sqlite::{SqliteOptions, SqliteStore};
use hallpass::store::{RefreshOutcome, SessionStore};
use process::{Service, dev};
use serde_json::json;
use sqlx::{Connection, PgConnection};
use support::postgres::PostgresServer;
use support::redis::RedisServer;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use uuid::Uuid;

const SESSIONS: [u64; 3] = [1_000, 100_000, 1_000_000];
const FOLLOWERS: [usize; 3] = [1, 100, 5_000];

/// Logouts a second.
const RATE: u32 = 100;

/// How long after the followers have gone is looked at what memory is left.
const GIVEN_BACK: Duration = Duration::from_secs(3);

/// How long each measurement of followers lasts.
const MEASURED: Duration = Duration::from_secs(5);

/// How many sessions are refreshed, and how many rows are written.
const SOME: u64 = 10_000;

/// How many are opened at once.
const AT_ONCE: usize = 64;

/// What a common browser says of itself.
const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

const LIFETIMES: SessionLifetimes = SessionLifetimes {
    idle: Duration::from_secs(7 * 24 * 60 * 60),
    absolute: Duration::from_secs(30 * 24 * 60 * 60),
    rotation_grace_period: Duration::from_secs(30),
    access_token: Duration::from_secs(15 * 60),
    leeway: Duration::from_secs(5),
};

fn session(number: u64) -> NewSession {
    let email = Email::parse("ada.lovelace@example.com").expect("an address");
    let origin = SessionOrigin::new("192.0.2.7".parse().ok(), Some(BROWSER), "hallpass");
    let carried = Carried { email_verified: true, ..Carried::new(email, Role::Member, origin) };
    NewSession {
        id: SessionId::from(Uuid::from_u128(u128::from(number) << 60)),
        user: user(number),
        security_version: SecurityVersion::new(1_790_000_000_000),
        carried,
    }
}

fn user(number: u64) -> UserId {
    UserId::try_from(i64::try_from(number).expect("few")).expect("a user id")
}

async fn sqlite(folder: &TempDir) -> Arc<SqliteStore> {
    let url = format!("sqlite://{}/hallpass.db", folder.path().display());
    let store = SqliteStore::connect(&url, SqliteOptions::default()).await.expect("a file");
    store.migrate().await.expect("its tables");
    Arc::new(store)
}

/// Opens them, and refreshes some.
async fn measure_sessions() {
    let (server, folder) = (RedisServer::start(), tempfile::tempdir().expect("a folder"));
    server.command::<()>(&["CONFIG", "SET", "appendonly", "no"]).await;
    let journal = sqlite(&folder).await;
    let mark = DeploymentMark::parse("hallpass").expect("a mark");
    let backend = RedisTokenStore::connect(&server.url(), &mark, RedisOptions::default()).await;
    let store = JournaledTokenStore::new(Parts {
        backend: Arc::new(backend.expect("a store").with_time(StoreTime::default())),
        journal: journal.clone(),
        users: journal,
        keeper: Arc::new(Timekeeper::new(Arc::new(SystemClock), LIFETIMES.leeway)),
        random: Arc::new(SystemRandom),
        spans: (&LIFETIMES).into(),
    });
    store.keep().await.expect("a look");
    let mut opened = 0;
    for count in SESSIONS {
        let opening = stream::iter(opened + 1..=count).map(|number| {
            let store = store.clone();
            async move { store.open_session(&session(number), &LIFETIMES).await.expect("a session") }
        });
        opening.buffer_unordered(AT_ONCE).for_each(|_| async {}).await;
        let memory = used_memory(&server).await;
        let p50 = refresh_some(&store, opened + 1..=count).await;
        opened = count;
        println!(
            "{count:>9} sessions: Redis takes {:>7.1} MiB, {:>5} bytes a session; a refresh takes {p50:.0?} (p50)",
            memory as f64 / f64::from(1 << 20),
            memory / count
        );
    }
}

/// Some of those numbers, one after the other; answers the median.
async fn refresh_some(store: &JournaledTokenStore, numbers: RangeInclusive<u64>) -> Duration {
    let step = (numbers.end() - numbers.start() + 1).div_ceil(SOME);
    let mut took = Vec::new();
    for number in numbers.step_by(usize::try_from(step).expect("few")) {
        let NewSession { id, user, .. } = session(number);
        let claims = RefreshClaims { user, session: id, generation: Generation::new(0) };
        let asked = Instant::now();
        let outcome = store.rotate(&claims, &LIFETIMES).await.expect("an answer");
        took.push(asked.elapsed());
        assert!(matches!(outcome, RefreshOutcome::Current(_)), "{outcome:?}");
    }
    took.sort_unstable();
    took[took.len() / 2]
}

async fn used_memory(server: &RedisServer) -> u64 {
    let info: String = server.command(&["INFO", "memory"]).await;
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("the line");
    line.trim().parse().expect("a number")
}

/// What the service has used of the cores so far, by `man 5 proc`.
fn cpu_of(service: &Service) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", service.pid())).expect("a process on Linux");
    let (_, fields) = text.rsplit_once(')').expect("its name");
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

/// A reader of the feed, which reads whatever comes.
async fn follow(service: &Service, place: Ipv4Addr, token: &str) -> tokio::task::JoinHandle<()> {
    let mut stream = Client::new(service.address()).at(place).dial().await.expect("a connection");
    let head = format!(
        "GET /revocations/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("bytes go");
    let mut first = [0; 16];
    stream.read_exact(&mut first).await.expect("an answer");
    assert!(first.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&first));
    tokio::spawn(read_all(stream))
}

async fn read_all(mut stream: TcpStream) {
    let mut bytes = vec![0; 4096];
    while let Ok(1..) = stream.read(&mut bytes).await {}
}

/// A service with that many followers: idle, and while sessions are logged out.
async fn measure_followers() {
    for count in FOLLOWERS {
        let (server, folder) = (RedisServer::start(), tempfile::tempdir().expect("a folder"));
        let service = dev(folder.path())
            .variable("REDIS_URL", server.url())
            .variable("HALLPASS_RATE_LIMITS__ENABLED", "false")
            .variable("HALLPASS_PASSWORDS__ARGON2__MEMORY_KIB", "8")
            .variable("HALLPASS_PASSWORDS__ARGON2__ITERATIONS", "1")
            .variable("HALLPASS_LOG__LEVEL", "error")
            .start();
        let client = service.client();
        let mut sessions = Vec::new();
        for _ in 0..RATE * u32::try_from(MEASURED.as_secs()).expect("seconds") {
            if sessions.len() % 50 == 0 {
                let email = format!("ada{}@example.com", sessions.len());
                sessions.push(client.logged_in(&email).await);
            } else {
                let email = format!("ada{}@example.com", sessions.len() / 50 * 50);
                sessions.push(client.log_in(&email).await);
            }
        }
        let before = service.memory_mib("VmRSS");
        let token = machine_token(&client).await;
        let mut followers = Vec::new();
        for number in 0..count {
            let place = Ipv4Addr::new(127, 0, 2, u8::try_from(number / 1_000 + 1).expect("few"));
            followers.push(follow(&service, place, &token).await);
        }
        let with = service.memory_mib("VmRSS");
        let (idle, busy) = (
            cpu_while(&service, tokio::time::sleep(MEASURED)).await,
            cpu_while(&service, log_out(&client, sessions)).await,
        );
        let peak = service.memory_mib("VmRSS");
        for follower in followers {
            follower.abort();
        }
        tokio::time::sleep(GIVEN_BACK).await;
        let after = service.memory_mib("VmRSS");
        println!(
            "{count:>5} followers: {before} MiB before, {with} MiB with them, {peak} MiB under load, {after} MiB after them; {idle:.1} % of a core idle, {busy:.1} % at {RATE} logouts a second"
        );
        service.stop().await;
    }
}

async fn machine_token(client: &Client) -> String {
    let credentials = format!("Basic {}", STANDARD.encode("books:books-dev-secret"));
    let call = post("/oauth2/token").header("authorization", credentials);
    let answer = client.send(call.json(&json!({"grant_type": "client_credentials"}))).await;
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

/// How much of a core the service takes while that lasts, in percent.
async fn cpu_while(service: &Service, lasts: impl Future<Output = ()>) -> f64 {
    let (began, used) = (Instant::now(), cpu_of(service));
    lasts.await;
    (cpu_of(service) - used).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0
}

async fn log_out(client: &Client, sessions: Vec<Tokens>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    for tokens in sessions {
        ticks.tick().await;
        let answer = client.log_out(&tokens.access).await;
        assert!(answer.status.is_success(), "{answer:?}");
    }
}

/// What a row takes, in either database.
async fn measure_journal() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = sqlite(&folder).await;
    let size = || std::fs::metadata(folder.path().join("hallpass.db")).expect("the file").len();
    store.close().await;
    let before = size();
    let store = sqlite(&folder).await;
    write_rows(&*store).await;
    store.close().await;
    println!("journal in SQLite: {} bytes a row", (size() - before) / SOME);

    let url = PostgresServer::shared().create_database().await;
    let store = PostgresStore::connect(&url, PostgresOptions::default()).await.expect("a server");
    store.migrate().await.expect("its tables");
    write_rows(&store).await;
    let mut connection = PgConnection::connect(&url).await.expect("a connection");
    let size: i64 = sqlx::query_scalar("SELECT pg_total_relation_size('journal')")
        .fetch_one(&mut connection)
        .await
        .expect("a size");
    println!("journal in Postgres: {} bytes a row", size.unsigned_abs() / SOME);
}

async fn write_rows(journal: &dyn RevocationJournal) {
    for number in 1..=SOME {
        let NewSession { id: session, user, .. } = session(number);
        let until = Timestamp::from_millis(1_790_000_000_000);
        let entry = NewEntry {
            id: EntryId::generate(&SystemRandom),
            revoked: Journaled::Session { user, session },
            until,
        };
        journal.append_entry(&entry).await.expect("a row");
    }
}

#[tokio::main]
async fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| named.is_empty() || named.iter().any(|wanted| wanted == name);
    if is_wanted("journal") {
        measure_journal().await;
    }
    if is_wanted("followers") {
        measure_followers().await;
    }
    if is_wanted("sessions") {
        measure_sessions().await;
    }
}
