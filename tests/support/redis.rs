//! A Redis of a test's own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use tempfile::TempDir;

use super::certificates::Certificates;
use super::ports::free_port;

/// How often a port is looked for: between finding a free one and using it, another process may.
const START_ATTEMPTS: usize = 10;

/// What a server keeps on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Persistence {
    /// Every write.
    Log,
    /// What it is told to save (SAVE), as it was then.
    Snapshots,
    /// Nothing: it is a Sentinel.
    Sentinel,
}

impl Persistence {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Log => &[
                "--appendonly",
                "yes",
                "--appendfsync",
                "everysec",
                "--save",
                "",
                "--repl-diskless-sync-delay",
                "0",
            ],
            // Replicas that come need not wait for others that may come as well.
            Self::Snapshots => &["--appendonly", "no", "--save", "", "--repl-diskless-sync-delay", "0"],
            Self::Sentinel => &["--sentinel"],
        }
    }
}

/// A `redis-server` (or what `HALLPASS_TEST_REDIS_SERVER` names, such as `valkey-server`) on a loopback port, with an append-only file in a temporary folder.
///
/// It ends when this is dropped, and also when the process that holds this ends in any other way.
pub struct RedisServer {
    port: u16,
    folder: TempDir,
    persistence: Persistence,
    further: Vec<String>,
    running: Option<Running>,
}

/// The server and a shell that waits for the end of its own input, which comes with the end of
/// this process at the latest, to kill it.
struct Running {
    server: Child,
    watchdog: Child,
    lifeline: Option<ChildStdin>,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    /// When `redis-server` is not installed or does not start.
    pub fn start() -> Self {
        Self::start_with(Persistence::Log, |_| Vec::new())
    }

    /// Starts a server that keeps nothing but what it is told to save: a restart goes back to that.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn with_snapshots() -> Self {
        Self::start_with(Persistence::Snapshots, |_| Vec::new())
    }

    /// Starts a node of a Cluster.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn node_of_a_cluster() -> Self {
        Self::node_of_a_cluster_with("", true)
    }

    /// The same, with these settings, and with every write in a log or with what it is told to save alone.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn node_of_a_cluster_with(settings: &str, has_log: bool) -> Self {
        let persistence = if has_log { Persistence::Log } else { Persistence::Snapshots };
        Self::start_with(persistence, |_| words(&format!("--cluster-enabled yes {settings}")))
    }

    /// The same, and takes TLS as well; answers the port for it.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn node_of_a_cluster_with_tls(certificates: &Certificates) -> (Self, u16) {
        let port = free_port();
        let [ca, certificate, key] =
            [certificates.authority(), certificates.certificate(), certificates.key()]
                .map(|path| path.display().to_string());
        let settings = format!(
            "--tls-port {port} --tls-cluster yes --tls-ca-cert-file {ca} --tls-cert-file {certificate} \
             --tls-key-file {key} --tls-auth-clients yes"
        );
        (Self::node_of_a_cluster_with(&settings, false), port)
    }

    /// Starts a Sentinel, which watches nobody.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn sentinel() -> Self {
        Self::sentinel_with(|_| String::new())
    }

    /// Starts a Sentinel with these settings, for which it has a folder.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn sentinel_with(settings: impl Fn(&Path) -> String) -> Self {
        Self::start_with(Persistence::Sentinel, |folder| {
            let file = folder.join("sentinel.conf");
            std::fs::write(&file, settings(folder)).expect("a file");
            vec![file.display().to_string()]
        })
    }

    /// The same, and takes TLS as well; answers the port for it. The files are the authority's certificate, its own
    /// and its key.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn sentinel_with_tls(settings: &str, [ca, certificate, key]: [&str; 3]) -> (Self, u16) {
        let port = free_port();
        let tls = format!(
            "tls-port {port}\ntls-ca-cert-file {ca}\ntls-cert-file {certificate}\ntls-key-file {key}\n{settings}"
        );
        (Self::sentinel_with(|_| tls.clone()), port)
    }

    /// Starts one that listens on a socket as well, and answers the URL of that.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn with_socket() -> (Self, String) {
        let server = Self::start_with(Persistence::Log, |folder| {
            words(&format!("--unixsocket {}/redis.sock", folder.display()))
        });
        let url = format!("unix://{}/redis.sock", server.folder.path().display());
        (server, url)
    }

    /// Starts one that takes TLS as well, from those alone who show a certificate of the authority; answers
    /// the port for it.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn with_tls(certificates: &Certificates) -> (Self, u16) {
        let port = free_port();
        let [ca, certificate, key] =
            [certificates.authority(), certificates.certificate(), certificates.key()]
                .map(|path| path.display().to_string());
        let server = Self::start_with(Persistence::Log, |_| {
            words(&format!(
                "--tls-port {port} --tls-ca-cert-file {ca} --tls-cert-file {certificate} --tls-key-file {key} \
                 --tls-auth-clients yes"
            ))
        });
        (server, port)
    }

    fn start_with(persistence: Persistence, further: impl Fn(&Path) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let further = further(folder.path());
        for _ in 0..START_ATTEMPTS {
            let port = free_port();
            if let Some(running) = Running::start(port, &folder, persistence, &further) {
                return Self { port, folder, persistence, further, running: Some(running) };
            }
        }
        panic!("redis-server does not start; run it by hand to see why");
    }

    /// Sends a command and answers what came back.
    ///
    /// # Panics
    /// When the server does not answer, or not as is expected.
    pub async fn command<T: ::redis::FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_command(words).await.expect("Redis answers, and takes the command")
    }

    /// The same, of a server that may be away or refuse.
    pub async fn try_command<T: ::redis::FromRedisValue>(&self, words: &[&str]) -> ::redis::RedisResult<T> {
        let client = ::redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut command = ::redis::cmd(words[0]);
        command.arg(&words[1..]).query_async(&mut connection).await
    }

    /// What it says of one thing.
    pub async fn info(&self, of: &str) -> String {
        self.command(&["INFO", of]).await
    }

    /// Makes this server a replica of the one on that port, and waits until it has what that has, and gets what is
    /// written from then on: a master begins to pass that on when it has heard of the replica once more, which takes up
    /// to a second.
    pub async fn follow(&self, master: u16) {
        self.command::<()>(&["REPLICAOF", "127.0.0.1", &master.to_string()]).await;
        while !self.command::<String>(&["INFO", "replication"]).await.contains("master_link_status:up") {
            tokio::task::yield_now().await;
        }
        let online = format!("port={},state=online", self.port);
        while !replication_of(master).await.contains(&online) {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until this replica has all that the server on that port has by now.
    pub async fn catch_up_with(&self, master: u16) {
        let written = offset_in(&replication_of(master).await, "master_repl_offset");
        while self.replicated("slave_repl_offset").await < written {
            tokio::task::yield_now().await;
        }
    }

    /// Hands over to a replica, without a moment between the two: once the replica has shown that it is there.
    pub async fn hands_over_to(&self, replica: &Self) {
        let port = replica.port.to_string();
        while self.try_command::<()>(&["FAILOVER", "TO", "127.0.0.1", &port]).await.is_err() {
            tokio::task::yield_now().await;
        }
        replica.is_master().await;
    }

    /// Waits until it is the master.
    async fn is_master(&self) {
        while !self.command::<String>(&["INFO", "replication"]).await.contains("role:master") {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until a replica has all that this one has by now.
    pub async fn passes_on_to(&self, replica: &Self) {
        let written = self.replicated("master_repl_offset").await;
        while replica.replicated("slave_repl_offset").await < written {
            tokio::task::yield_now().await;
        }
    }

    /// Up to where, by what `INFO` calls it.
    async fn replicated(&self, name: &str) -> u64 {
        offset_in(&self.command::<String>(&["INFO", "replication"]).await, name)
    }

    /// Cuts a replica off from its master: it keeps what it has.
    pub async fn fall_behind(&self) {
        self.command::<()>(&["REPLICAOF", "127.0.0.1", "1"]).await;
    }

    /// Promotes a replica, and lets it take over the port of a server that is gone.
    pub async fn take_over(&mut self, port: u16) {
        self.command::<()>(&["REPLICAOF", "NO", "ONE"]).await;
        self.command::<()>(&["CONFIG", "SET", "port", &port.to_string()]).await;
        self.port = port;
    }

    /// Its address, `redis://…`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of its process; `None` while it is not running.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.server.id())
    }

    /// Kills it with no chance to say goodbye (SIGKILL).
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Starts it again on the same port, with what it kept.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        self.running = (0..START_ATTEMPTS)
            .find_map(|_| Running::start(self.port, &self.folder, self.persistence, &self.further));
        assert!(self.running.is_some(), "redis-server does not start on port {} again", self.port);
    }

    /// Stops it in its tracks (SIGSTOP): connections stay, answers do not come.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.pid().expect("a running server");
        let status = Command::new("kill").arg(signal).arg(pid.to_string()).status();
        assert!(status.expect("the program `kill`").success(), "kill {signal} {pid}");
    }
}

impl Running {
    /// Starts a server; `None` when it ended before it was ready, most likely because the port
    /// was taken.
    fn start(port: u16, folder: &TempDir, persistence: Persistence, further: &[String]) -> Option<Self> {
        let program = std::env::var("HALLPASS_TEST_REDIS_SERVER");
        let mut server = Command::new(program.as_deref().unwrap_or("redis-server"))
            // A file comes first.
            .args(further)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .arg("--dir")
            .arg(folder.path())
            .args(persistence.arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect(
                "`redis-server` is missing: install the package redis-server (Debian) or redis (Homebrew)",
            );
        let mut watchdog = Command::new("sh")
            .args(["-c", "cat >/dev/null; kill -KILL $0 2>/dev/null", &server.id().to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .expect("the program `sh`");
        let lifeline = watchdog.stdin.take();
        let log = BufReader::new(server.stdout.take().expect("the server's log"));
        let ready = log
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains("Ready to accept connections") || line.contains("Sentinel ID is"));
        let running = Self { server, watchdog, lifeline };
        ready.then_some(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // Errors mean that a process is gone already, which is what is wanted.
        let _ = self.watchdog.wait();
        let _ = self.server.wait();
    }
}

/// What the server on that port says of its replicas.
async fn replication_of(port: u16) -> String {
    let client = ::redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a server");
    ::redis::cmd("INFO").arg("replication").query_async(&mut connection).await.expect("an answer")
}

fn offset_in(info: &str, name: &str) -> u64 {
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    let (_, offset) = lines.find(|(found, _)| *found == name).expect(name);
    offset.trim().parse().expect("a number")
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
