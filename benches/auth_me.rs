//! Whether live tokens are refused because the machine is busy: a bounded wait is for a store that is away.
//!
//! Run with `cargo bench --bench auth_me`; what follows `--` goes to the service, such as
//! `-- --set log.level=debug`. Starts the built service in a folder for temporary files, with SQLite and the
//! embedded store, on a loopback port, and asks `GET /auth/auth-me` 45,000 times over 64 connections that are
//! always busy: on the machine as it is, and again while four threads per core compute without a pause.
//! Prints the answers, how long they took, how many a second there were, and the machine's load.
//!
//! It fails when anything but 200 is answered, or when that many answers take longer than ten minutes.
//!
//! On 2 cores that others used as well (a load of 8 before): 45,000 times 200 both times; p99 131 ms and at
//! most 254 ms, then 517 ms and 923 ms at a load of 17.

#[path = "../tests/binary/client.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod client;
mod figures;
#[path = "../tests/binary/process.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod process;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use client::{Client, get, login};
use figures::Latencies;
use hyper::StatusCode;
use process::Program;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::Instant;

const REQUESTS: usize = 45_000;
const CONNECTIONS: usize = 64;

/// How many threads of each core do nothing but take its time.
const BUSY_PER_CORE: usize = 4;

const LONGEST: Duration = Duration::from_secs(600);

/// The sample account of `hallpass dev`.
const EMAIL: &str = "johndoe@example.com";
const PASSWORD: &str = "password";

/// Threads that compute; they end with this.
struct Busy {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Busy {
    fn start(threads: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let compute = |stop: Arc<AtomicBool>| {
            let mut number = 1_u64;
            while !stop.load(Ordering::Relaxed) {
                number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
            }
        };
        let start = |_| {
            std::thread::spawn({
                let stop = stop.clone();
                move || compute(stop)
            })
        };
        let threads = (0..threads).map(start).collect();
        Self { stop, threads }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // One that panicked has ended as well.
            let _ = thread.join();
        }
    }
}

/// What came back, and how long it took.
#[derive(Default)]
struct Answers {
    /// How often each status was answered, with the code of a refusal.
    statuses: BTreeMap<String, usize>,
    latencies: Latencies,
}

impl Answers {
    fn add(&mut self, others: Self) {
        for (status, count) in others.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.latencies.0.extend(others.latencies.0);
    }
}

/// Asks over one connection as long as there is something left to ask.
async fn ask(client: Client, access: Arc<str>, left: Arc<AtomicUsize>, end: Instant) -> Answers {
    let mut connection = client.connect().await;
    let mut answers = Answers::default();
    let take = |left: usize| left.checked_sub(1);
    while Instant::now() < end && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
        let began = Instant::now();
        let answer = connection.send(get("/auth/auth-me").bearer(&access)).await.expect("an answer");
        answers.latencies.0.push(began.elapsed());
        let status = match answer.status {
            StatusCode::OK => "200".to_owned(),
            refused => format!("{} {}", refused.as_u16(), answer.json()["code"]),
        };
        *answers.statuses.entry(status).or_default() += 1;
    }
    answers
}

/// All requests over all connections; answers whether each was answered 200 in time.
async fn ask_all(what: &str, client: Client) -> bool {
    let answer = client.send(login(EMAIL, PASSWORD)).await;
    let access: Arc<str> = client::Tokens::of(&answer).access.into();
    let left = Arc::new(AtomicUsize::new(REQUESTS));
    let began = Instant::now();
    let mut asking = JoinSet::new();
    for _ in 0..CONNECTIONS {
        asking.spawn(ask(client, access.clone(), left.clone(), began + LONGEST));
    }
    let mut all = Answers::default();
    for answers in asking.join_all().await {
        all.add(answers);
    }
    let took = began.elapsed().as_secs_f64();
    let count = all.latencies.0.len();
    println!("{what}: {:?} in {took:.1} s, {:.0} a second", all.statuses, count as f64 / took);
    all.latencies.print(what);
    println!("{what}: the machine's load was {}", load());
    all.statuses.get("200") == Some(&REQUESTS)
}

/// How many tasks want a core, by the average of the last minute, five and fifteen (`man 5 proc`).
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_else(|_| "not told here".to_owned());
    load.trim().to_owned()
}

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a folder");
    let mut arguments: Vec<String> =
        ["dev", "--listen", "127.0.0.1:0", "--set", "log.level=info", "--set", "rate_limits.enabled=false"]
            .map(str::to_owned)
            .to_vec();
    arguments.extend(std::env::args().skip(1).filter(|argument| argument != "--bench"));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let service = Program::new(folder.path(), &arguments).start();
    let client = service.client();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "{cores} cores, {REQUESTS} requests over {CONNECTIONS} connections; the load before: {}",
        load()
    );

    // One thread, so that whoever asks takes as little from the service as can be.
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let as_it_is = runtime.block_on(ask_all("the machine as it is", client));
    let busy = Busy::start(cores * BUSY_PER_CORE);
    let pressed = runtime.block_on(ask_all("under CPU load", client));
    drop(busy);
    runtime.block_on(service.stop());
    if as_it_is && pressed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
