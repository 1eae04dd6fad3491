//! What one rude visitor, who takes all connections that one place may have and goes on asking for more,
//! does to everybody else.
//!
//! Run with `cargo bench --bench connections`; what follows `--` goes to the service. Starts the built
//! service in a folder for temporary files, with SQLite and the embedded store, on a loopback port. The rude
//! one is at 127.0.0.2, the one who is measured at 127.0.0.3. Prints how long `GET /users/me` takes, each time
//! over a connection of its own and each time over the same one, on a quiet service and while the rude one
//!
//! - holds as many connections as it may, half of them over HTTP/2;
//! - opens another one as fast as it is refused, from four at once.
//!
//! It fails when anything of the one who is measured is refused, or when the 99th percentile is more than
//! twice the quiet one. Both share the cores with the service, so only the ratio of one run means
//! anything.
//!
//! A release build on 2 quiet cores: nothing refused, 9,070 further connections of the rude one were; slowdown 1.0
//! at p50 and 0.8 at p99.

#[path = "../tests/binary/client.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod client;
mod figures;
#[path = "../tests/binary/process.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod process;

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use client::{Client, get, login};
use figures::Latencies;
use hyper::StatusCode;
use process::Program;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::time::Instant;

const RUDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const POLITE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// How many connections one place may have: no more than the usual bound of file descriptors allows a
/// process to open twice.
const PER_ADDRESS: usize = 400;

/// How many go on asking for more.
const INSISTENT: usize = 4;

/// How long one of them waits after it was refused: the way there and back through a network.
const PAUSE: Duration = Duration::from_millis(5);

/// Quiet and rude phases take turns, so that whatever else the machine does falls on both.
const ROUNDS: usize = 5;
const PHASE: Duration = Duration::from_secs(3);

/// Between two requests of the one who is measured.
const PACE: Duration = Duration::from_millis(2);

const SLOWDOWN_MAX: f64 = 2.0;

/// The preface of HTTP/2 and empty SETTINGS.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Asks who somebody is for one phase, from a thread of its own; answers how long that took and how often
/// there was no answer.
fn measure(client: Client, access: String) -> std::thread::JoinHandle<(Vec<Duration>, usize)> {
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut kept = client.connect().await;
            let (mut latencies, mut refused) = (Vec::new(), 0);
            let end = Instant::now() + PHASE;
            while Instant::now() < end {
                let me = get("/users/me").bearer(&access);
                for is_kept in [true, false] {
                    let began = Instant::now();
                    let answer = match is_kept {
                        true => kept.send(me.clone()).await,
                        false => client.try_send(me.clone()).await,
                    };
                    match answer {
                        Ok(answer) if answer.status == StatusCode::OK => latencies.push(began.elapsed()),
                        _ => refused += 1,
                    }
                }
                tokio::time::sleep(PACE).await;
            }
            (latencies, refused)
        })
    })
}

/// Holds all connections that one place may have.
async fn hoard(client: Client) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for number in 0..PER_ADDRESS {
        let mut stream = client.dial().await.expect("a connection");
        if number % 2 == 0 {
            stream.write_all(HTTP2).await.expect("bytes go");
        }
        held.push(stream);
    }
    held
}

/// Asks for more until told to stop; answers how often.
fn insist(client: Client, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<usize> {
    let times = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut insisting = tokio::task::JoinSet::new();
            for _ in 0..INSISTENT {
                let (stop, times) = (stop.clone(), times.clone());
                insisting.spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        // Whatever becomes of it.
                        let _ = client.try_send(get("/users/me")).await;
                        times.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(PAUSE).await;
                    }
                });
            }
            insisting.join_all().await;
        });
        times.load(Ordering::Relaxed)
    })
}

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a folder");
    let bound = format!("http.max_connections_per_address={PER_ADDRESS}");
    let mut arguments = vec!["dev", "--listen", "127.0.0.1:0", "--set", "log.level=warn,hallpass=info"];
    arguments.extend(["--set", &bound]);
    let own: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    arguments.extend(own.iter().map(String::as_str));
    let service = Program::new(folder.path(), &arguments).start();
    let (rude, polite) = (service.client().at(RUDE), service.client().at(POLITE));
    println!("{} cores", std::thread::available_parallelism().map_or(1, usize::from));

    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let access = runtime.block_on(async {
        let answer = polite.send(login("johndoe@example.com", "password")).await;
        client::Tokens::of(&answer).access
    });
    let (mut quiet, mut beside) = (Latencies::default(), Latencies::default());
    let (mut refused, mut insisted) = (0, 0);
    for _ in 0..ROUNDS {
        quiet.0.extend(measure(polite, access.clone()).join().expect("latencies").0);
        let held = runtime.block_on(hoard(rude));
        let stop = Arc::new(AtomicBool::new(false));
        let insisting = insist(rude, stop.clone());
        let (latencies, without) = measure(polite, access.clone()).join().expect("latencies");
        stop.store(true, Ordering::Relaxed);
        insisted += insisting.join().expect("a number");
        drop(held);
        beside.0.extend(latencies);
        refused += without;
    }
    quiet.print("on a quiet service");
    beside.print("beside a rude visitor");
    println!("{PER_ADDRESS} connections held, {insisted} further ones asked for");

    let slowdown = [50, 99].map(|percent| beside.percentile(percent) / quiet.percentile(percent));
    println!("slowdown: {:.2} at p50, {:.2} at p99 (at most {SLOWDOWN_MAX:.1})", slowdown[0], slowdown[1]);
    println!("refused: {refused} (none)");
    runtime.block_on(service.stop());
    if refused == 0 && slowdown[1] <= SLOWDOWN_MAX { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
