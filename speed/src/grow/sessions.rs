//! Sessions: whether what is done to one takes longer the more others there are.
//!
//! Each is a browser's and its own user's. What is asked is the token store with its journal, as the service has it:
//! beyond it nothing knows how many there are.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use hallpass::app::SystemRandom;
use hallpass::domain::clock::SystemClock;
use hallpass::domain::ids::{Jti, UserId};
use hallpass::domain::partition::Partition;
use hallpass::domain::tokens::{Generation, RefreshClaims};
use hallpass::store::embedded::{EmbeddedTime, EmbeddedTokenStore};
use hallpass::store::journaled::JournaledTokenStore;
use hallpass::store::{AccessStatus, AccessSubject, DenylistStore, OnUnknown, RefreshOutcome, SessionStore};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use uuid::Uuid;

use super::{Spent, grouped, spent};
use crate::process::Served;
use crate::sessions::{LIFETIMES, ids, journaled, new_session, store, used_memory};
use crate::stack::{self, Folder};

const COUNTS: [u32; 3] = [1_000, 100_000, 1_000_000];

/// How often each is done; those who log out are gone then.
const TIMES: u32 = 500;
const LOGOUTS: u32 = 100;

/// How many are opened at once.
const AT_ONCE: usize = 64;

/// What is done, and what it cost at each count.
struct Rows {
    store: &'static str,
    /// What the store takes of each session.
    bytes: Vec<u64>,
    rotation: Vec<Spent>,
    validation: Vec<Spent>,
    listing: Vec<Spent>,
    logout: Vec<Spent>,
}

pub(super) fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let counts: Vec<String> = COUNTS.map(grouped).into();
    println!("| CPU µs (p50 µs), at so many sessions | {} | last : first |", counts.join(" | "));
    println!("| --- | {}--- |", "--- | ".repeat(COUNTS.len()));
    runtime.block_on(async {
        print(&on_redis().await);
        print(&embedded().await);
    });
}

impl Rows {
    fn of(store: &'static str) -> Self {
        Self { store, bytes: vec![], rotation: vec![], validation: vec![], listing: vec![], logout: vec![] }
    }
}

fn print(rows: &Rows) {
    for (what, spent) in [
        ("rotation", &rows.rotation),
        ("validation, strict", &rows.validation),
        ("listing a user's sessions", &rows.listing),
        ("logout", &rows.logout),
    ] {
        let micros = |spent: &Spent| (spent.cpu.as_secs_f64() * 1e6, spent.p50.as_secs_f64() * 1e6);
        let cells: Vec<_> = spent.iter().map(micros).collect();
        let ratio = cells[cells.len() - 1].0 / cells[0].0;
        let cells: Vec<_> = cells.iter().map(|(cpu, p50)| format!("{cpu:.0} ({p50:.0})")).collect();
        println!("| {}: {what} | {} | {ratio:.2} |", rows.store, cells.join(" | "));
    }
    let bytes: Vec<_> = rows.bytes.iter().map(u64::to_string).collect();
    println!("| {}: bytes a session, with all there is | {} | |", rows.store, bytes.join(" | "));
}

async fn on_redis() -> Rows {
    let redis = stack::redis();
    let (store, _folder) = store(&stack::url(&redis)).await;
    let (mut rows, mut opened) = (Rows::of("Redis"), 0);
    for count in COUNTS {
        let opening = stream::iter(opened..count).map(|number| {
            let store = store.clone();
            // A busy machine has some wait for longer than they may.
            async move { while store.open_session(&new_session(number), &LIFETIMES).await.is_err() {} }
        });
        opening.buffer_unordered(AT_ONCE).for_each(|_| async {}).await;
        rows.bytes.push(used_memory(&stack::url(&redis)).await / u64::from(count));
        measure(&store, Some(&redis), opened..count, &mut rows).await;
        opened = count;
        eprintln!("{} sessions in Redis", grouped(count));
    }
    rows
}

/// A commit a session would take hours: those behind the first are copies of one.
async fn embedded() -> Rows {
    let folder = Folder::new("embedded");
    let path = folder.path().join("tokens.db");
    let (mut rows, mut opened) = (Rows::of("embedded"), 0);
    for count in COUNTS {
        let open = async || {
            let time = EmbeddedTime { clock: Arc::new(SystemClock), keeper: None };
            let opened = EmbeddedTokenStore::open(&path, time, &SystemRandom).await.expect("a store");
            let backend = Arc::new(opened);
            (journaled(backend.clone(), &folder).await, backend)
        };
        if opened == 0 {
            let (store, backend) = open().await;
            store.open_session(&new_session(0), &LIFETIMES).await.expect("a session");
            backend.close().await;
        }
        // One that nothing was done to: every second of the first was measured, and some of those are logged out.
        let source = u32::from(opened > 0);
        copy(&path.display().to_string(), source, u32::max(opened, 1)..count).await;
        let size = std::fs::metadata(&path).expect("the file").len();
        rows.bytes.push(size / u64::from(count));
        let (store, backend) = open().await;
        measure(&store, None, opened..count, &mut rows).await;
        backend.close().await;
        opened = count;
        eprintln!("{} sessions in the embedded store", grouped(count));
    }
    rows
}

/// Copies the session of that number to all these numbers.
async fn copy(file: &str, source: u32, numbers: std::ops::Range<u32>) {
    let mut connection = SqliteConnection::connect(&format!("sqlite://{file}")).await.expect("the file");
    let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info('sessions')")
        .fetch_all(&mut connection)
        .await
        .expect("columns");
    // The ids are those of `ids`.
    let hex = "printf('%017x%015x', n + 1, 0)";
    let id = [(1, 8), (9, 4), (13, 4), (17, 4), (21, 12)]
        .map(|(first, length)| format!("substr({hex}, {first}, {length})"))
        .join("||'-'||");
    let value = |column: &String| match column.as_str() {
        "id" => id.clone(),
        "user_id" => "n + 1".to_owned(),
        other => other.to_owned(),
    };
    let values: Vec<_> = columns.iter().map(value).collect();
    let (user, _) = ids(source);
    let statement = format!(
        "WITH RECURSIVE numbers (n) AS (SELECT {} UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {})
         INSERT INTO sessions ({}) SELECT {} FROM numbers CROSS JOIN (SELECT * FROM sessions WHERE user_id = {})",
        numbers.start,
        numbers.end,
        columns.join(", "),
        values.join(", "),
        user.get(),
    );
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.expect("copies");
    connection.close().await.expect("a clean end");
}

/// Does it to some of the sessions of these numbers, which are new.
async fn measure(
    store: &JournaledTokenStore,
    server: Option<&Served>,
    numbers: std::ops::Range<u32>,
    rows: &mut Rows,
) {
    let step = numbers.len() as u32 / TIMES;
    let of = |number: u32| ids(numbers.start + number * step);
    let incarnation = async |user: UserId| store.incarnation(Partition::of(user)).await.expect("a number");
    let inc = incarnation(of(0).0).await;
    // What is made at the first time is no cost of the others.
    let rotation = async |number: u32| {
        let (user, session) = of(number);
        let claims = RefreshClaims { user, session, generation: Generation::new(0) };
        let outcome = store.rotate(&claims, &LIFETIMES).await.expect("an answer");
        assert!(matches!(outcome, RefreshOutcome::Current(_)), "{outcome:?}");
    };
    rotation(TIMES - 1).await;
    rows.rotation.push(spent(server, TIMES - 1, rotation).await);
    let validation = async |number: u32| {
        let (user, session) = of(number);
        let token = Jti::from(Uuid::from_u128(1));
        let subject = AccessSubject { user, session, token, incarnation: inc };
        assert_eq!(store.access_status(&subject).await.expect("an answer"), AccessStatus::Live);
    };
    rows.validation.push(spent(server, TIMES, validation).await);
    let listing = async |number: u32| {
        let sessions = store.list_sessions(of(number).0, None, 50).await.expect("an answer");
        assert_eq!(sessions.len(), 1);
    };
    rows.listing.push(spent(server, TIMES, listing).await);
    let logout = async |number: u32| {
        let (user, session) = of(number);
        assert!(store.revoke_session(user, session, OnUnknown::Deny).await.expect("an answer"));
    };
    rows.logout.push(spent(server, LOGOUTS, logout).await);
}
