//! The service that stands behind a proxy: it answers with what it was told.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The example of RFC 6455 1.3: what a client asks to be upgraded with, and what it is answered.
pub const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What the service answers with 500.
pub const BROKEN: &str = "/broken";

/// A service that tells of each request its method, its target and its headers, and gives back what comes over
/// a WebSocket.
pub struct Echo {
    address: SocketAddr,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

impl Echo {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let counts = Arc::<Counts>::default();
        let counted = counts.clone();
        let task = tokio::spawn(async move {
            // They end with it.
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.connections.fetch_add(1, Ordering::Relaxed);
                open.spawn(serve(stream, counted.clone()));
            }
        });
        Self { address, counts, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Goes away, with its connections.
    pub async fn stop(mut self) {
        self.task.abort();
        // Aborted: that is what is wanted.
        let _ = (&mut self.task).await;
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers until the other side has enough. What it breaks off is its own affair.
async fn serve(mut stream: TcpStream, counts: Arc<Counts>) {
    let mut received = Vec::new();
    while let Some(head) = read_head(&mut stream, &mut received).await {
        counts.requests.fetch_add(1, Ordering::Relaxed);
        if head.first("upgrade").eq_ignore_ascii_case("websocket") {
            return upgrade(stream, received, &head).await;
        }
        let length: usize = head.first("content-length").parse().unwrap_or(0);
        while received.len() < length {
            if stream.read_buf(&mut received).await.unwrap_or(0) == 0 {
                return;
            }
        }
        received.drain(..length);
        let body = json!({"method": head.method, "target": head.target, "headers": head.headers}).to_string();
        let status = if head.target == BROKEN { "500 Internal Server Error" } else { "200 OK" };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
            body.len(),
            if head.method == "HEAD" { "" } else { &body },
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// From then on whatever comes goes back.
async fn upgrade(mut stream: TcpStream, received: Vec<u8>, head: &Head) {
    assert_eq!(head.first("sec-websocket-key"), WEBSOCKET_KEY);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {WEBSOCKET_ACCEPT}\r\nX-Told-User: {}\r\n\r\n",
        head.first("remote-user"),
    );
    let (mut reader, mut writer) = stream.split();
    if writer.write_all(answer.as_bytes()).await.is_ok() && writer.write_all(&received).await.is_ok() {
        // It ends when either side does.
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    }
}

/// The head of a request.
struct Head {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
}

impl Head {
    fn first(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// The next head; what was received beyond it stays.
async fn read_head(stream: &mut TcpStream, received: &mut Vec<u8>) -> Option<Head> {
    let end = loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(received).await.unwrap_or(0) == 0 {
            return None;
        }
    };
    let head: Vec<u8> = received.drain(..end).collect();
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.trim_end().split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let pair = |line: &str| {
        line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    Some(Head { method, target, headers: lines.filter_map(pair).collect() })
}

/// The values of a header that the service was told, by its answer.
pub fn told<'a>(answer: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = answer["headers"].as_array().expect("headers");
    let of_name = headers.iter().filter(|pair| pair[0] == name);
    of_name.map(|pair| pair[1].as_str().expect("a value")).collect()
}
