//! Sentinels of a test's own: real ones with the Redis servers that they watch, and one that says what it is told to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::redis::RedisServer;

/// What all of them call the master.
pub const MASTER: &str = "main";

/// How many Sentinels there are, and how many must agree.
const SENTINELS: usize = 3;

/// How long a master is silent that is dead. Less would be taken for death on a machine that is busy with other tests.
const DOWN_AFTER_MS: u32 = 1_500;

/// What makes Sentinels wait less than they do among themselves (`SENTINEL DEBUG`, 7.0).
const HASTE: [&str; 6] = ["INFO-PERIOD", "1000", "ASK-PERIOD", "200", "PUBLISH-PERIOD", "200"];

/// A master, a replica that has all that it has, and three Sentinels that know both and each other.
pub struct SentinelSet {
    /// The servers; which one is the master only Sentinel says.
    pub servers: [RedisServer; 2],
    pub sentinels: Vec<RedisServer>,
}

impl SentinelSet {
    /// Starts them, and waits until a failover would work.
    ///
    /// # Panics
    /// When one of them does not start.
    pub async fn start() -> Self {
        Self::patient(DOWN_AFTER_MS).await
    }

    /// The same, of Sentinels that find no master dead, however busy the machine is.
    pub async fn that_replaces_nobody() -> Self {
        Self::patient(60 * 60 * 1000).await
    }

    async fn patient(down_after_ms: u32) -> Self {
        let servers = [RedisServer::start(), RedisServer::start()];
        servers[1].follow(servers[0].port()).await;
        let sentinels = (0..SENTINELS).map(|_| watching(servers[0].port(), 2, down_after_ms, "")).collect();
        let set = Self { servers, sentinels };
        set.hasten().await;
        for sentinel in &set.sentinels {
            while !knows_all(&set.said_by(sentinel).await) {
                tokio::task::yield_now().await;
            }
        }
        set
    }

    /// Has Sentinels do in tenths of seconds what takes them seconds.
    async fn hasten(&self) {
        for sentinel in &self.sentinels {
            sentinel.command::<()>(&[&["SENTINEL", "DEBUG"], &HASTE[..]].concat()).await;
        }
    }

    /// Has them talk to each other, and set right what they find, no more often than they do by themselves.
    pub async fn slow_down(&self) {
        for sentinel in &self.sentinels {
            sentinel.command::<()>(&["SENTINEL", "DEBUG", "PUBLISH-PERIOD", "2000"]).await;
        }
    }

    /// The address of all of them.
    pub fn url(&self) -> String {
        let hosts: Vec<_> =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect();
        format!("redis+sentinel://{}/{MASTER}", hosts.join(","))
    }

    /// Which of the servers they say is the master, as most of them do.
    pub async fn master(&self) -> usize {
        let mut votes = [0; 2];
        for sentinel in &self.sentinels {
            let (_, port): (String, u16) =
                sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]).await;
            let index = self.servers.iter().position(|server| server.port() == port);
            votes[index.expect("one of the two")] += 1;
        }
        usize::from(votes[1] > votes[0])
    }

    /// Has them put the replica in the place of the master, without a need.
    pub async fn fail_over(&self) {
        let asking = ["SENTINEL", "FAILOVER", MASTER];
        // For a moment after the start no replica is good enough.
        while self.sentinels[0].try_command::<()>(&asking).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until most of them name that server.
    pub async fn names(&self, server: usize) {
        while self.master().await != server {
            tokio::task::yield_now().await;
        }
    }

    async fn said_by(&self, sentinel: &RedisServer) -> Vec<String> {
        sentinel.command(&["SENTINEL", "MASTER", MASTER]).await
    }
}

/// Starts a Sentinel of the master on that port, with further lines in its settings.
pub fn sentinel_of(port: u16, quorum: u32, further: &str) -> RedisServer {
    watching(port, quorum, DOWN_AFTER_MS, further)
}

fn watching(port: u16, quorum: u32, down_after_ms: u32, further: &str) -> RedisServer {
    RedisServer::sentinel_with(|_: &Path| {
        format!(
            "sentinel monitor {MASTER} 127.0.0.1 {port} {quorum}\n\
             sentinel down-after-milliseconds {MASTER} {down_after_ms}\n\
             sentinel failover-timeout {MASTER} 5000\n{further}\n"
        )
    })
}

/// Whether it knows the others and a replica, and finds the master alive.
fn knows_all(said: &[String]) -> bool {
    let says = |name: &str, value: &str| said.chunks(2).any(|pair| pair[0] == name && pair[1] == value);
    says("flags", "master") && says("num-other-sentinels", "2") && says("num-slaves", "1")
}

/// Says that a master is on a port, whatever that is.
pub struct SaidSentinel {
    address: SocketAddr,
    said: watch::Sender<Said>,
    asked: Arc<AtomicU32>,
    open: Arc<AtomicU32>,
}

/// What it says.
#[derive(Clone, Copy)]
struct Said {
    port: u16,
    epoch: u64,
    answers: bool,
}

impl SaidSentinel {
    /// One that says so, after so many failovers.
    pub async fn of(port: u16, epoch: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (said, watched) = watch::channel(Said { port, epoch, answers: true });
        let (asked, open) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (counted, opened) = (asked.clone(), open.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (watched, counted, opened) = (watched.clone(), counted.clone(), opened.clone());
                opened.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    answer(client, watched, counted).await;
                    opened.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Self { address, said, asked, open }
    }

    /// From now on it says this.
    pub fn says(&self, port: u16, epoch: u64) {
        self.said.send_modify(|said| *said = Said { port, epoch, answers: true });
    }

    /// From now on it takes what it is asked, and says nothing.
    pub fn falls_silent(&self) {
        self.said.send_modify(|said| said.answers = false);
    }

    /// How often it was asked.
    pub fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    /// How many connections to it are open.
    pub fn open_connections(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// Host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn answer(mut client: TcpStream, said: watch::Receiver<Said>, asked: Arc<AtomicU32>) {
    let mut buffer = vec![0; 4 * 1024];
    let mut owed = 0;
    while let Ok(length @ 1..) = client.read(&mut buffer).await {
        // Both questions come in one write of some hundred bytes.
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        owed += text.matches("GET-MASTER-ADDR-BY-NAME").count();
        let Said { port, epoch, answers } = *said.borrow();
        if !answers {
            continue;
        }
        for _ in 0..std::mem::take(&mut owed) {
            asked.fetch_add(1, Ordering::Relaxed);
            let port = port.to_string();
            let known = list(&["config-epoch", &epoch.to_string(), "quorum", "1"]);
            let both = known + &list(&["127.0.0.1", &port]);
            if client.write_all(both.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// An array of strings (RESP 2).
fn list(words: &[&str]) -> String {
    let words: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{words}", words.matches('$').count())
}
