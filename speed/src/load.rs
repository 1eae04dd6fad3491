//! A closed loop: each connection asks again as soon as it has its answer, or in its time.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, interval_at};

/// How many connections are always busy.
pub(crate) const CONNECTIONS: usize = 64;

/// What one connection asks, one request after another.
pub(crate) trait Asker: Send {
    /// The next request, as it goes over the wire.
    fn next(&mut self) -> Vec<u8>;

    /// The body that came back with 200 or 201.
    fn heard(&mut self, _body: &[u8]) {}
}

/// Asks over all connections, `requests` in all; answers how long each answer took, in order, and the askers.
pub(crate) fn drive<A: Asker + 'static>(
    at: SocketAddr,
    askers: Vec<A>,
    requests: usize,
) -> (Vec<Duration>, Vec<A>) {
    drive_at(at, askers, requests, None)
}

/// The same; with a pace, each connection asks no more often than once in that time.
pub(crate) fn drive_at<A: Asker + 'static>(
    at: SocketAddr,
    askers: Vec<A>,
    requests: usize,
    pace: Option<Duration>,
) -> (Vec<Duration>, Vec<A>) {
    // One thread, so that whoever asks takes as little from the service as can be.
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let each = requests / askers.len();
        let mut asking = JoinSet::new();
        let (began, of_all) = (Instant::now(), askers.len() as u32);
        for (number, asker) in askers.into_iter().enumerate() {
            // They take turns.
            let pace = pace.map(|pace| interval_at(began + pace * number as u32 / of_all, pace));
            asking.spawn(ask(at, asker, each, pace));
        }
        let (mut latencies, mut askers) = (Vec::with_capacity(requests), Vec::new());
        for (took, asker) in asking.join_all().await {
            latencies.extend(took);
            askers.push(asker);
        }
        latencies.sort_unstable();
        (latencies, askers)
    })
}

async fn ask<A: Asker>(
    at: SocketAddr,
    mut asker: A,
    times: usize,
    mut pace: Option<Interval>,
) -> (Vec<Duration>, A) {
    let mut stream = TcpStream::connect(at).await.expect("a connection");
    stream.set_nodelay(true).expect("a TCP stream");
    let (mut took, mut buffer) = (Vec::with_capacity(times), Vec::new());
    for _ in 0..times {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let request = asker.next();
        let began = Instant::now();
        stream.write_all(&request).await.expect("a service that listens");
        let (head, end) = read(&mut stream, &mut buffer).await;
        took.push(began.elapsed());
        asker.heard(&buffer[head..end]);
    }
    (took, asker)
}

/// Reads one answer; its body begins at the first place that is answered and ends at the second.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> (usize, usize) {
    buffer.clear();
    loop {
        assert!(stream.read_buf(buffer).await.expect("an answer") > 0, "the connection was closed");
        let Some(head) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4) else {
            continue;
        };
        let end = head + content_length(&buffer[..head]);
        while buffer.len() < end {
            assert!(stream.read_buf(buffer).await.expect("the rest of it") > 0, "the connection was closed");
        }
        let is_good = buffer.starts_with(b"HTTP/1.1 200") || buffer.starts_with(b"HTTP/1.1 201");
        assert!(is_good, "{}", String::from_utf8_lossy(buffer));
        return (head, end);
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    value.map_or(0, |value| value.trim().parse().expect("a length"))
}

/// The bytes of one whole answer.
pub(crate) fn answer_to(at: SocketAddr, request: &[u8]) -> Vec<u8> {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut stream = TcpStream::connect(at).await.expect("a connection");
        stream.write_all(request).await.expect("a service that listens");
        let mut buffer = Vec::new();
        read(&mut stream, &mut buffer).await;
        buffer
    })
}
