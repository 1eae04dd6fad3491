//! What a flood of logins does to the memory of the service and to everybody else's requests.
//!
//! Run with `cargo bench --bench flood`; what follows `--` goes to the service, such as
//! `-- --set passwords.hash_workers=2`. Starts the built service in a folder for temporary files,
//! with SQLite and the embedded store, on a loopback port, and prints
//!
//! - how 300 logins at once were answered, and the most memory that the service ever held
//!   (`VmHWM`): it must stay under 256 MiB with default settings;
//! - how long `GET /users/me` takes on a quiet service, and while 300 callers go on logging in, each
//!   again a second after a 503, as its `Retry-After` asks. They begin one after another within the
//!   first second: what is measured is the cost of their hashes, not of 300 connections in one
//!   moment. The 99th percentile must stay within twice the quiet one. The callers share the cores
//!   with the service, so only the ratio of one run means anything.
//!
//! It fails when one of the two does not hold.
//!
//! On a quiet machine with 2 cores, one hash worker, five runs: 56 to 59 MiB at the peak; slowdown 0.8 at
//! p50 and 1.5 to 1.8 at p99. Threads of the usual priority came to 1.2 to 2.4 there.

#[path = "../tests/binary/client.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod client;
mod figures;
#[path = "../tests/binary/process.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod process;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use client::{Client, get, login};
use figures::Latencies;
use hyper::StatusCode;
use process::Program;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How many log in at once.
const CALLERS: usize = 300;

/// Quiet and flooded phases take turns, so that whatever else the machine does falls on both.
const ROUNDS: usize = 5;

/// How long each phase takes.
const PHASE: Duration = Duration::from_secs(3);

/// Between two requests of the one who is not logging in.
const PACE: Duration = Duration::from_millis(2);

/// What a 503 asks for.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The sample account of `hallpass dev`.
const EMAIL: &str = "johndoe@example.com";
const PASSWORD: &str = "password";

const MEMORY_MAX_MIB: u64 = 256;
const SLOWDOWN_MAX: f64 = 2.0;

/// How requests were answered.
#[derive(Default)]
struct Answers {
    ok: AtomicUsize,
    overloaded: AtomicUsize,
}

impl Answers {
    /// Logs in once; answers whether there was a place.
    async fn log_in(&self, client: Client) -> bool {
        let answer = client.send(login(EMAIL, PASSWORD)).await;
        let counter = match answer.status {
            StatusCode::OK => &self.ok,
            StatusCode::SERVICE_UNAVAILABLE => &self.overloaded,
            _ => panic!("{answer:?}"),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        answer.status == StatusCode::OK
    }

    fn print(&self, what: &str) {
        let [ok, overloaded] = [&self.ok, &self.overloaded].map(|count| count.load(Ordering::Relaxed));
        println!("{what}: {ok} times 200, {overloaded} times 503");
    }
}

/// Asks who somebody is, one request after another on one connection, from a thread of its own: the
/// callers who log in shall hold up nobody on this side.
fn validate(client: Client, access: String) -> std::thread::JoinHandle<Vec<Duration>> {
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut connection = client.connect().await;
            let mut latencies = Vec::new();
            let end = Instant::now() + PHASE;
            while Instant::now() < end {
                let began = Instant::now();
                let answer = connection.send(get("/users/me").bearer(&access)).await.expect("an answer");
                latencies.push(began.elapsed());
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
                tokio::time::sleep(PACE).await;
            }
            latencies
        })
    })
}

/// All callers at once, each once.
async fn flood_once(client: Client) -> Arc<Answers> {
    let answers = Arc::new(Answers::default());
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let answers = answers.clone();
        callers.spawn(async move { answers.log_in(client).await });
    }
    callers.join_all().await;
    answers
}

/// All callers again and again, beginning one after another, until they are told to stop.
async fn flood_until(client: Client, stop: Arc<AtomicBool>, answers: Arc<Answers>) {
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let (answers, stop) = (answers.clone(), stop.clone());
        callers.spawn(async move {
            tokio::time::sleep(RETRY_AFTER * number as u32 / CALLERS as u32).await;
            while !stop.load(Ordering::Relaxed) {
                if !answers.log_in(client).await {
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        });
    }
    callers.join_all().await;
}

/// One phase of validation while others log in.
async fn validate_flooded(client: Client, access: &str, answers: &Arc<Answers>) -> Vec<Duration> {
    let stop = Arc::new(AtomicBool::new(false));
    let flood = tokio::spawn(flood_until(client, stop.clone(), answers.clone()));
    let validating = validate(client, access.to_owned());
    let latencies = tokio::task::spawn_blocking(|| validating.join().expect("latencies"));
    let latencies = latencies.await.expect("no panic");
    stop.store(true, Ordering::Relaxed);
    flood.await.expect("no panic");
    latencies
}

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a folder");
    let mut arguments: Vec<String> =
        ["dev", "--listen", "127.0.0.1:0", "--set", "log.level=info"].map(str::to_owned).to_vec();
    if hallpass::config::catalogue().iter().any(|setting| setting.key == "rate_limits.enabled") {
        arguments.extend(["--set", "rate_limits.enabled=false"].map(str::to_owned));
    }
    arguments.extend(std::env::args().skip(1).filter(|argument| argument != "--bench"));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let service = Program::new(folder.path(), &arguments).start();
    let client = service.client();
    println!("{} cores", std::thread::available_parallelism().map_or(1, usize::from));

    // One thread, so that whoever logs in takes as little from the service as can be.
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let access = runtime.block_on(async {
        // Of another account: one that is logged in to without end keeps no session for long.
        client.logged_in("ada@example.com").await.access
    });
    println!("memory: {} MiB after the first login", service.memory_mib("VmRSS"));
    runtime.block_on(flood_once(client)).print(&format!("{CALLERS} logins at once"));

    let (mut quiet, mut flooded) = (Latencies::default(), Latencies::default());
    let answers = Arc::new(Answers::default());
    for _ in 0..ROUNDS {
        quiet.0.extend(validate(client, access.clone()).join().expect("latencies"));
        flooded.0.extend(runtime.block_on(validate_flooded(client, &access, &answers)));
    }
    quiet.print("validation on a quiet service");
    flooded.print("validation during a flood");
    answers.print("the flood");

    let peak = service.memory_mib("VmHWM");
    let slowdown = [50, 99].map(|percent| flooded.percentile(percent) / quiet.percentile(percent));
    println!("memory: {peak} MiB at its peak (at most {MEMORY_MAX_MIB})");
    println!("slowdown: {:.2} at p50, {:.2} at p99 (at most {SLOWDOWN_MAX:.1})", slowdown[0], slowdown[1]);
    runtime.block_on(service.stop());
    if peak <= MEMORY_MAX_MIB && slowdown[1] <= SLOWDOWN_MAX { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
