//! Drives the same load at the service and at the references, in turn, and prints what each cost.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::Instant;

use crate::alone::{argon2id, p256_verifications};
use crate::askers::{Again, Offering, Session, get, log_in, register};
use crate::load::{Asker, CONNECTIONS, answer_to, drive, drive_at};
use crate::memory;
use crate::process::{Resident, Served, free_address, load};
use crate::sessions;
use crate::stack::{Service, redis, url};
use crate::table::{Goal, Table, median};

/// How much is asked.
pub(crate) struct Amount {
    /// How often everything is measured; what is printed is the median.
    rounds: usize,
    /// Requests of each kind in a round.
    requests: usize,
    /// Refreshes in a round, and tokens that were never seen.
    refreshes: usize,
    /// Logins in a round.
    logins: usize,
    /// Tokens that are verified once each, for the memory that they take.
    offered: usize,
}

/// What docs/performance.md has.
pub(crate) const LONG: Amount =
    Amount { rounds: 7, requests: 32_000, refreshes: 12_800, logins: 512, offered: 1_000_000 };

/// For whoever has changed something: under two minutes.
pub(crate) const SHORT: Amount =
    Amount { rounds: 5, requests: 16_000, refreshes: 6_400, logins: 256, offered: 20_000 };

/// How many log in at once: no address has more places in the queue of password checks.
const LOGGING_IN: usize = 8;

/// Requests at a pace: a second and a half.
const PACED_REQUESTS: usize = 7_680;

/// How often the service is started, for the time that it takes.
const STARTS: usize = 7;

/// What the service in one mode of validation is asked, by name.
struct Names {
    auth_me: &'static str,
    forward_auth: &'static str,
    unseen: &'static str,
    refresh: &'static str,
}

const MIRROR: Names = Names {
    auth_me: "mirror mode: auth-me",
    forward_auth: "mirror mode: forward-auth",
    unseen: "mirror mode: forward-auth, tokens never seen",
    refresh: "mirror mode: refresh",
};

const STRICT: Names = Names {
    auth_me: "strict mode: auth-me",
    forward_auth: "strict mode: forward-auth",
    unseen: "strict mode: forward-auth, tokens never seen",
    refresh: "strict mode: refresh",
};

const JWKS: &str = "mirror mode: JWKS, which is a constant";
const LOGIN: &str = "mirror mode: login";
const PACED: &str = "mirror mode: forward-auth, 5,000 a second";
const BESIDE_LOGINS: &str = "mirror mode: the same while others log in";
const BUSY_BESIDE_LOGINS: &str = "mirror mode: as many as can be while others log in";

/// How often each connection asks, for 5,000 a second of all.
const PACE: Duration = Duration::from_micros(12_800);
const CONSTANT: &str = "poem: a constant of auth-me's size";
const EMPTY: &str = "poem: an empty answer";
const EXISTS: &str = "poem: one multiplexed EXISTS";
const ROTATE: &str = "poem: one EVALSHA of the rotation, one signature";

/// The service in one mode of validation, and what it answers to.
struct Subject {
    service: Service,
    served: Served,
    names: Names,
    sessions: Vec<Session>,
    /// A token of each session, which the service has seen.
    known: Vec<String>,
    idle: Resident,
}

impl Subject {
    /// Starts it, and opens a session of an account of its own for each connection.
    fn start(program: &str, redis: &Served, mode: &'static str, names: Names) -> Self {
        let service = Service::new(program, redis, mode);
        let (served, _) = service.start();
        let idle = memory::idle(&served);
        for number in 0..CONNECTIONS {
            answer_to(served.at, &register(number).0);
        }
        let sessions: Vec<Session> = (0..CONNECTIONS).map(|number| opened(&served, number)).collect();
        let known = sessions.iter().map(|session| session.access[0].clone()).collect();
        Self { service, served, names, sessions, known, idle }
    }

    /// Each connection asks with a token of its own.
    fn known(&self, path: &str) -> Vec<Again> {
        self.known.iter().map(|token| Again(get(path, Some(token)))).collect()
    }
}

fn opened(served: &Served, number: usize) -> Session {
    let answer = answer_to(served.at, &log_in(number).0);
    let body = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a body") + 4;
    Session::of(&answer[body..])
}

fn again(request: &[u8]) -> Vec<Again> {
    (0..CONNECTIONS).map(|_| Again(request.to_vec())).collect()
}

/// A run: all that is measured shares one Redis.
struct Run {
    redis: Served,
    table: Table,
}

impl Run {
    /// Asks, and writes down what it cost.
    fn measure<A: Asker + 'static>(
        &mut self,
        name: &'static str,
        served: &Served,
        askers: Vec<A>,
        requests: usize,
    ) -> Vec<A> {
        self.measure_at(name, served, askers, requests, None)
    }

    /// The same at a pace.
    fn measure_at<A: Asker + 'static>(
        &mut self,
        name: &'static str,
        served: &Served,
        askers: Vec<A>,
        requests: usize,
        pace: Option<Duration>,
    ) -> Vec<A> {
        let (server, redis, began) = (served.cpu(), self.redis.cpu(), Instant::now());
        let (latencies, askers) = drive_at(served.at, askers, requests, pace);
        let took = began.elapsed();
        let cpu = [served.cpu().since(&server), self.redis.cpu().since(&redis)];
        self.table.add(name, &latencies, cpu, took);
        askers
    }

    fn round(&mut self, reference: &Served, subjects: &mut [Subject; 2], amount: &Amount) {
        let Amount { requests, refreshes, logins, .. } = *amount;
        for (name, path) in [(CONSTANT, "/constant"), (EMPTY, "/empty"), (EXISTS, "/exists")] {
            self.measure(name, reference, again(&get(path, None)), requests);
        }
        let rotating = (0..CONNECTIONS).map(|number| Again(rotation(number))).collect();
        self.measure(ROTATE, reference, rotating, refreshes);
        for subject in &mut *subjects {
            let served = &subject.served;
            self.measure(subject.names.auth_me, served, subject.known("/auth/auth-me"), requests);
            self.measure(subject.names.forward_auth, served, subject.known("/forward-auth"), requests);
            let sessions = std::mem::take(&mut subject.sessions);
            let mut sessions = self.measure(subject.names.refresh, served, sessions, refreshes);
            let unseen = sessions.iter_mut().map(|session| session.present("/forward-auth")).collect();
            self.measure(subject.names.unseen, served, unseen, refreshes);
            subject.sessions = sessions;
        }
        let mirror = &subjects[0];
        self.measure(JWKS, &mirror.served, again(&get("/.well-known/jwks.json", None)), requests);
        self.measure(LOGIN, &mirror.served, (0..LOGGING_IN).map(log_in).collect(), logins);
        let known = || mirror.known("/forward-auth");
        self.measure_at(PACED, &mirror.served, known(), PACED_REQUESTS, Some(PACE));
        for (name, requests, pace) in
            [(BESIDE_LOGINS, PACED_REQUESTS, Some(PACE)), (BUSY_BESIDE_LOGINS, requests / 4, None)]
        {
            let beside = LoggingIn::start(&mirror.served);
            self.measure_at(name, &mirror.served, known(), requests, pace);
            drop(beside);
        }
    }
}

/// Logins that go on until this is dropped, as many at once as are ever let in.
struct LoggingIn {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LoggingIn {
    fn start(served: &Served) -> Self {
        let (at, over) = (served.at, Arc::new(AtomicBool::new(false)));
        let is_over = over.clone();
        let thread = std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                drive(at, (0..LOGGING_IN).map(log_in).collect(), 2 * LOGGING_IN);
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for LoggingIn {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

fn rotation(number: usize) -> Vec<u8> {
    format!("POST /rotate/{number} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

/// The references, whose answers have bodies of so many bytes.
fn start_reference(redis: &Served, bytes: usize) -> Served {
    let at = free_address();
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["reference", &url(redis), &bytes.to_string()]).env("HALLPASS_SPEED_AT", at.to_string());
    Served::start(&mut command, at)
}

/// One load alone, round by round for half a minute: there is time for a look at the process.
pub(crate) fn load_alone(program: &str, mode: &str, what: &str) {
    let redis = redis();
    let (mode, names) = if mode == "strict" { ("strict", STRICT) } else { ("mirror", MIRROR) };
    let mut subject = Subject::start(program, &redis, mode, names);
    println!("the service is process {}", subject.served.pid());
    let began = Instant::now();
    let mut run = Run { redis, table: Table::default() };
    let (name, path) = match what {
        "refresh" => (subject.names.refresh, None),
        "auth-me" => (subject.names.auth_me, Some("/auth/auth-me")),
        _ => (subject.names.forward_auth, Some("/forward-auth")),
    };
    while began.elapsed().as_secs() < 30 {
        let served = &subject.served;
        match path {
            Some(path) => drop(run.measure(name, served, subject.known(path), SHORT.requests)),
            None => {
                let sessions = std::mem::take(&mut subject.sessions);
                subject.sessions = run.measure(name, served, sessions, SHORT.refreshes);
            }
        }
    }
    Table::print_head();
    run.table.print(name, None);
}

/// Measures everything, and prints it.
pub(crate) fn run(program: &str, amount: &Amount) {
    let load_before = load();
    let mut run = Run { redis: redis(), table: Table::default() };
    let mut subjects = [("mirror", MIRROR), ("strict", STRICT)]
        .map(|(mode, names)| Subject::start(program, &run.redis, mode, names));
    let bytes = answer_to(subjects[0].served.at, &subjects[0].known("/auth/auth-me")[0].0).len();
    let reference = start_reference(&run.redis, bytes);
    let (mut verifications, mut hashes, mut hashed_a_second) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..amount.rounds {
        run.round(&reference, &mut subjects, amount);
        verifications.push(p256_verifications(2_000));
        let (cpu, rate) = argon2id(20);
        hashes.push(cpu);
        hashed_a_second.push(rate);
        eprintln!("round {} of {}, the machine's load is {}", number + 1, amount.rounds, load());
    }
    let alone = Alone {
        verification: median(&verifications),
        hash: median(&hashes),
        hashes_a_second: median(&hashed_a_second),
    };
    print(&run.table, &alone);
    print_memory(&run, subjects, amount);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "\n{cores} cores, {CONNECTIONS} connections; the machine's load was {load_before} before and {} after.",
        load()
    );
}

/// What cryptography costs alone.
struct Alone {
    /// CPU seconds of 1,000.
    verification: f64,
    /// CPU seconds of 1,000.
    hash: f64,
    hashes_a_second: f64,
}

fn print(table: &Table, alone: &Alone) {
    Table::print_head();
    for name in [CONSTANT, EMPTY, EXISTS, ROTATE] {
        table.print(name, None);
    }
    println!("| one P-256 verification | {:.4} | | | |", alone.verification);
    println!("| argon2id alone, all cores | {:.4} | | {:.0} | |", alone.hash, alone.hashes_a_second);
    let goal = |against, floor, most| Some(Goal { against, floor, most, with_redis: false });
    for (names, name, most) in [(&MIRROR, CONSTANT, 1.5), (&STRICT, EXISTS, 1.25)] {
        let against = if name == CONSTANT { "the constant" } else { "the EXISTS" };
        let floor = table.cpu(name).0;
        table.print(names.auth_me, goal(against, floor, most));
        table.print(names.forward_auth, goal(against, floor, most));
        let known = table.cpu(names.forward_auth).0;
        table.print(names.unseen, goal("verification and the line above", alone.verification + known, 1.1));
        let (server, redis) = table.cpu(ROTATE);
        let floor = server + redis;
        let against = "EVALSHA and signature, Redis' counted";
        table.print(names.refresh, Some(Goal { against, floor, most: 1.25, with_redis: true }));
    }
    table.print(JWKS, None);
    table.print(LOGIN, goal("argon2id alone", alone.hash, 1.05));
    for name in [PACED, BESIDE_LOGINS, BUSY_BESIDE_LOGINS] {
        table.print(name, None);
    }
    println!(
        "\nLogins: {:.2} of what argon2id does on all cores (goal 0.95). p99 of forward-auth beside them: {:.1} x that \
         without (goal 2) at 5,000 a second, {:.1} x where it takes all that it gets.",
        table.rate(LOGIN) / alone.hashes_a_second,
        table.p99(BESIDE_LOGINS) / table.p99(PACED),
        table.p99(BUSY_BESIDE_LOGINS) / table.p99(MIRROR.forward_auth),
    );
}

/// Memory, and how long a start takes.
fn print_memory(run: &Run, subjects: [Subject; 2], amount: &Amount) {
    let [mirror, _strict] = subjects;
    let loaded = mirror.served.resident().all;
    let offering = mirror.sessions.into_iter().map(|session| Offering { session }).collect();
    drive(mirror.served.at, offering, 2 * amount.offered);
    let offered = mirror.served.resident().all;
    let sidecar = mirror.service.sidecar(&mirror.served, "books", &mirror.service.client("books"));
    println!("\n{}", memory::told("serve", mirror.idle));
    println!("{}", memory::told("sidecar", memory::idle(&sidecar)));
    println!(
        "`serve`: {loaded:.1} MiB after the load, {offered:.1} MiB after {} verified tokens more (goal 96).",
        amount.offered
    );
    drop(sidecar);
    drop(mirror.served);
    let starts: Vec<f64> = (0..STARTS).map(|_| mirror.service.start().1).collect();
    println!("Cold start of `serve`, migrated database: {:.1} ms (goal 25).", median(&starts));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let bytes = runtime.block_on(sessions::bytes(&url(&run.redis)));
    println!("Redis: {bytes} bytes a session, all that comes with it counted (goal 400).");
}
