//! What an account with very many sessions does to everybody else: the one list, the count for a login, and
//! the end of all of them; and what a session takes of the memory of Redis.
//!
//! Run with `cargo bench --bench sessions`; with `-- bytes` behind it only the memory is measured. Starts a `redis-server` of its own; the journal is a SQLite file in
//! the folder for temporary files. Opens 100,000 sessions of one account, then asks every 2 ms whether an
//! access token of another account stands: for a while beside nothing, and beside each of the three. Prints
//! how long that took, how long each of the three did, and the longest command of Redis by its own SLOWLOG.
//! It fails when one of the answers does not come.
//!
//! The memory is that of all keys which a session has, by MEMORY USAGE: its own, and its share of its user's set of
//! sessions. They are a browser's, of users with one session, with two and with five.
//!
//! Release build on 2 quiet cores, two runs: another account's answers took 0.4 and 1.9 ms at p99 beside nothing, and 6
//! to 25 ms beside the three, which took about 2 s each.

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use hallpass::app::SystemRandom;
use hallpass::domain::clock::SystemClock;
use hallpass::domain::deployment::DeploymentMark;
use hallpass::domain::email::Email;
use hallpass::domain::ids::{Jti, SessionId, UserId};
use hallpass::domain::journal::{EntryId, Journaled, NewEntry};
use hallpass::domain::session::{NewSession, SessionLifetimes};
use hallpass::domain::session_carried::Carried;
use hallpass::domain::session_origin::SessionOrigin;
use hallpass::domain::timekeeper::Timekeeper;
use hallpass::domain::user::{Role, SecurityVersion};
use hallpass::store::journal::RevocationJournal;
use hallpass::store::journaled::{JournaledTokenStore, Parts};
use hallpass::store::redis::keys::Keys;
use hallpass::store::redis::{RedisOptions, RedisTokenStore, StoreTime};
use hallpass::store::sql::sqlite::{SqliteOptions, SqliteStore};
use hallpass::store::{
    AccessStatus, AccessSubject, CutOffOrder, CutOffStore, DenylistStore, OpenOutcome, SessionStore,
};
use redis::aio::MultiplexedConnection;
use support::redis::RedisServer;
use tempfile::TempDir;
use tokio::time::Instant;
use uuid::Uuid;

const SESSIONS: u128 = 100_000;

/// How many are opened at once.
const OPENED_AT_ONCE: usize = 64;

/// How many commands are looked at for the longest.
const LOGGED: u32 = 5_000;

/// Between two questions of the one who is measured.
const PACE: Duration = Duration::from_millis(2);

/// How long the measurement beside nothing lasts.
const QUIET: Duration = Duration::from_secs(3);

/// How many users are measured who have so many sessions each.
const MEASURED: i64 = 100;

/// As long as that of an account is: the time of its newest security event, in milliseconds.
const VERSION: SecurityVersion = SecurityVersion::new(1_790_000_000_000);

/// What a common browser says of itself.
const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

const LIFETIMES: SessionLifetimes = SessionLifetimes {
    idle: Duration::from_secs(7 * 24 * 60 * 60),
    absolute: Duration::from_secs(30 * 24 * 60 * 60),
    rotation_grace_period: Duration::from_secs(30),
    access_token: Duration::from_secs(15 * 60),
    leeway: Duration::from_secs(5),
};

fn user(number: i64) -> UserId {
    UserId::try_from(number).expect("a user id")
}

fn session(of: UserId, number: u128) -> NewSession {
    session_of(of, number, "ada@example.com", "curl/8.5.0")
}

fn session_of(of: UserId, number: u128, email: &str, user_agent: &str) -> NewSession {
    let email = Email::parse(email).expect("an address");
    let origin = SessionOrigin::new("192.0.2.7".parse().ok(), Some(user_agent), "hallpass");
    let carried = Carried { email_verified: true, ..Carried::new(email, Role::Member, origin) };
    let id = SessionId::from(Uuid::from_u128(number));
    NewSession { id, user: of, security_version: SecurityVersion::FIRST, carried }
}

/// Asks for `subject` until `beside` is done; answers how long each answer took, and `beside` as a whole.
async fn measure<T>(
    store: &JournaledTokenStore,
    subject: &AccessSubject,
    beside: impl Future<Output = T> + Send + 'static,
) -> (Vec<Duration>, Duration)
where
    T: Send + 'static,
{
    let began = Instant::now();
    let beside = tokio::spawn(beside);
    let mut took = Vec::new();
    while !beside.is_finished() {
        let asked = Instant::now();
        assert_eq!(store.access_status(subject).await.expect("an answer"), AccessStatus::Live);
        took.push(asked.elapsed());
        tokio::time::sleep(PACE).await;
    }
    beside.await.expect("an end");
    took.sort_unstable();
    (took, began.elapsed())
}

fn print(what: &str, (took, whole): &(Vec<Duration>, Duration)) {
    let at = |share: usize| took[(took.len() * share / 1000).min(took.len() - 1)].as_secs_f64() * 1e3;
    let (whole, p50, p99, worst) = (whole.as_secs_f64(), at(500), at(990), at(1000));
    println!(
        "{what:<28} {whole:6.2} s   another account: p50 {p50:6.2} ms, p99 {p99:6.2} ms, at most {worst:6.2} ms"
    );
}

/// Says what a session takes of the memory of Redis.
async fn measure_bytes(store: &JournaledTokenStore, keys: &Keys, redis: &mut MultiplexedConnection) {
    let mut number = u128::from(u64::MAX);
    let mut person = 1_000_000;
    for each in [1, 2, 5] {
        let (mut own, mut shares, mut encodings) = (0, 0, BTreeSet::new());
        for _ in 0..MEASURED {
            person += 1;
            let keys = keys.of_user(user(person));
            for _ in 0..each {
                number += 1;
                let session = session_of(user(person), number << 60, "ada.lovelace@example.com", BROWSER);
                let session = NewSession { security_version: VERSION, ..session };
                store.open_session(&session, &LIFETIMES).await.expect("a session");
                let key = keys.session(session.id);
                own += bytes_of(redis, &key).await;
                let mut encoding = redis::cmd("OBJECT");
                encoding.arg("ENCODING").arg(&key);
                encodings.insert(encoding.query_async::<String>(redis).await.expect("an encoding"));
            }
            shares += bytes_of(redis, &keys.sessions()).await;
        }
        let count = MEASURED * each;
        let (own, share) = (own / count, shares / count);
        println!(
            "of {each} a user, a session takes {} bytes: {own} itself ({encodings:?}), {share} in the set of its user",
            own + share
        );
    }
}

async fn bytes_of(redis: &mut MultiplexedConnection, key: &str) -> i64 {
    redis::cmd("MEMORY").arg("USAGE").arg(key).query_async(redis).await.expect("its size")
}

#[tokio::main]
async fn main() -> ExitCode {
    let server = RedisServer::start();
    let folder = TempDir::new().expect("a folder");
    let url = format!("sqlite://{}/hallpass.db", folder.path().display());
    let journal = SqliteStore::connect(&url, SqliteOptions::default()).await.expect("a file");
    journal.migrate().await.expect("its tables");
    let journal = Arc::new(journal);
    let mark = DeploymentMark::parse("hallpass").expect("a mark");
    let backend = RedisTokenStore::connect(&server.url(), &mark, RedisOptions::default()).await;
    let store = JournaledTokenStore::new(Parts {
        backend: Arc::new(backend.expect("a store").with_time(StoreTime::default())),
        journal: journal.clone(),
        users: journal.clone(),
        keeper: Arc::new(Timekeeper::new(Arc::new(SystemClock), LIFETIMES.leeway)),
        random: Arc::new(SystemRandom),
        spans: (&LIFETIMES).into(),
    });
    store.keep().await.expect("a look");
    let client = redis::Client::open(server.url()).expect("an address");
    let mut redis = client.get_multiplexed_async_connection().await.expect("a connection");

    measure_bytes(&store, &Keys::new(&mark), &mut redis).await;
    if std::env::args().any(|argument| argument == "bytes") {
        return ExitCode::SUCCESS;
    }

    let (crowded, other) = (user(64), user(128));
    let OpenOutcome::Opened(opened) =
        store.open_session(&session(other, u128::MAX), &LIFETIMES).await.expect("a session")
    else {
        panic!("nothing ends it");
    };
    let subject = AccessSubject {
        user: other,
        session: opened.id,
        token: Jti::from(Uuid::nil()),
        incarnation: opened.incarnation,
    };
    let opening = stream::iter(1..=SESSIONS).map(|number| {
        let (store, session) = (store.clone(), session(crowded, number));
        async move { store.open_session(&session, &LIFETIMES).await.expect("a session") }
    });
    opening.buffer_unordered(OPENED_AT_ONCE).for_each(|_| async {}).await;
    // Microseconds; what is faster keeps nobody waiting.
    for (setting, value) in [("slowlog-log-slower-than", 500), ("slowlog-max-len", LOGGED)] {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg(setting).arg(value).exec_async(&mut redis).await.expect("set");
    }
    redis::cmd("SLOWLOG").arg("RESET").exec_async(&mut redis).await.expect("reset");

    let quiet = measure(&store, &subject, tokio::time::sleep(QUIET)).await;
    print("beside nothing", &quiet);
    let listing = store.clone();
    let list = async move { listing.list_sessions(crowded, None, 101).await.expect("a list").len() };
    print("a page of the list", &measure(&store, &subject, list).await);
    let counting = store.clone();
    let count = async move { counting.session_uses(crowded).await.expect("all of them").len() };
    print("the count for a login", &measure(&store, &subject, count).await);
    let ending = store.clone();
    let end = async move {
        let version = SecurityVersion::new(1_000);
        let until = Timekeeper::new(Arc::new(SystemClock), LIFETIMES.leeway);
        let until = hallpass::domain::clock::Clock::now(&until).after(LIFETIMES.absolute);
        let revoked = Journaled::User { user: crowded, below: version };
        let entry = NewEntry { id: EntryId::generate(&SystemRandom), revoked, until };
        let link = journal.append_entry(&entry).await.expect("an entry");
        let order = CutOffOrder { user: crowded, version, link, until };
        let ended = ending.cut_off(&order).await.expect("they end").len();
        assert_eq!(ended as u128, SESSIONS, "all of them are counted");
    };
    print("the end of all of them", &measure(&store, &subject, end).await);

    let slow: Vec<redis::Value> =
        redis::cmd("SLOWLOG").arg("GET").arg(LOGGED).query_async(&mut redis).await.expect("the log");
    let longest = slow.into_iter().filter_map(|entry| match entry {
        redis::Value::Array(fields) => redis::from_redis_value::<u64>(fields.into_iter().nth(2)?).ok(),
        _ => None,
    });
    match longest.max() {
        Some(longest) => println!("the longest command of Redis took {:.2} ms", longest as f64 / 1e3),
        None => println!("no command of Redis took 0.5 ms"),
    }
    ExitCode::SUCCESS
}
