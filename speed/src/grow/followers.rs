//! Followers of the revocation feed: what each takes, when nothing happens and while people log out.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, interval, sleep};

use super::grouped;
use crate::askers::{Session, log_in, register};
use crate::load::answer_to;
use crate::process::Served;
use crate::stack::{Service, redis};

const COUNTS: [u32; 4] = [1, 100, 1_000, 5_000];

/// Logouts a second.
const RATE: u32 = 100;

/// How long each measurement lasts.
const MEASURED: Duration = Duration::from_secs(5);

/// How long after the followers have gone is looked at what memory is left of theirs.
const GIVEN_BACK: Duration = Duration::from_secs(3);

/// How many come from one address: the service lets no more connections in.
const FROM_ONE_ADDRESS: u32 = 1_000;

/// How many sessions one account opens.
const OF_ONE_ACCOUNT: usize = 50;

const CLIENT: &str = "books";

pub(super) fn run(hallpass: &str) {
    println!(
        "| followers of the feed | KiB each | CPU of a core, idle | at {RATE} logouts a second | bytes each reads of one logout | MiB more than before, once they have gone |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for count in COUNTS {
        let redis = redis();
        let service = Service::new(hallpass, &redis, "strict").hashing_cheaply();
        let secret = service.client(CLIENT);
        let (served, _) = service.start();
        let token = token(served.at, &secret);
        let sessions = sessions(&served);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(measure(&served, count, &token, sessions));
    }
}

/// An access token of the client.
fn token(at: SocketAddr, secret: &str) -> String {
    let form = format!("grant_type=client_credentials&client_id={CLIENT}&client_secret={secret}");
    let request = format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let answer = answer_to(at, request.as_bytes());
    body(&answer)["access_token"].as_str().expect("a token").to_owned()
}

fn body(answer: &[u8]) -> Value {
    let begin = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a body") + 4;
    serde_json::from_slice(&answer[begin..]).expect("JSON")
}

/// The access tokens of as many sessions as will be logged out.
fn sessions(served: &Served) -> Vec<String> {
    let wanted = RATE as usize * MEASURED.as_secs() as usize;
    let mut tokens = Vec::new();
    while tokens.len() < wanted {
        let account = tokens.len() / OF_ONE_ACCOUNT;
        if tokens.len() % OF_ONE_ACCOUNT == 0 {
            answer_to(served.at, &register(account).0);
        }
        let answer = answer_to(served.at, &log_in(account).0);
        tokens.extend(Session::of(body(&answer).to_string().as_bytes()).access);
    }
    tokens
}

async fn measure(served: &Served, count: u32, token: &str, sessions: Vec<String>) {
    // The service knows the token from then on.
    let read = Arc::new(AtomicU64::new(0));
    let before = served.resident().all;
    let mut followers = Vec::new();
    for number in 0..count {
        let place = u8::try_from(2 + number / FROM_ONE_ADDRESS).expect("few");
        let stream = follow(served.at, Ipv4Addr::new(127, 0, 2, place), token).await;
        followers.push(tokio::spawn(read_all(stream, read.clone())));
    }
    // The first heartbeat has come to everybody.
    sleep(Duration::from_secs(2)).await;
    let each = (served.resident().all - before) * 1024.0 / f64::from(count);
    let (idle, of_idle) = cpu_while(served, &read, sleep(MEASURED)).await;
    let logouts = sessions.len() as f64;
    let (busy, of_busy) = cpu_while(served, &read, log_out(served.at, sessions)).await;
    let bytes = of_busy.saturating_sub(of_idle) as f64 / f64::from(count) / logouts;
    for follower in followers {
        follower.abort();
    }
    sleep(GIVEN_BACK).await;
    let left = served.resident().all - before;
    println!("| {} | {each:.1} | {idle:.1} % | {busy:.1} % | {bytes:.0} | {left:.1} |", grouped(count));
}

/// Opens the stream from an address of this machine.
async fn follow(at: SocketAddr, from: Ipv4Addr, token: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from((from, 0))).expect("an address of this machine");
    let mut stream = socket.connect(at).await.expect("a connection");
    let request = format!(
        "GET /revocations/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("a service that listens");
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&first));
    stream
}

async fn read_all(mut stream: TcpStream, read: Arc<AtomicU64>) {
    let mut bytes = vec![0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut bytes).await {
        read.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// How much of a core the service takes while that lasts, in percent, and what all followers read.
async fn cpu_while(served: &Served, read: &AtomicU64, lasts: impl Future<Output = ()>) -> (f64, u64) {
    let (began, used, had) = (Instant::now(), served.cpu(), read.load(Ordering::Relaxed));
    lasts.await;
    let share = served.cpu().since(&used) / began.elapsed().as_secs_f64() * 100.0;
    (share, read.load(Ordering::Relaxed) - had)
}

async fn log_out(at: SocketAddr, sessions: Vec<String>) {
    let mut stream = TcpStream::connect(at).await.expect("a connection");
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    let mut answer = vec![0; 4096];
    for access in sessions {
        ticks.tick().await;
        let request = format!(
            "POST /auth/logout HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {access}\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("a service that listens");
        let length = stream.read(&mut answer).await.expect("an answer");
        assert!(
            answer[..length].starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&answer[..length])
        );
    }
}
