//! A Redis of a test's own.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, ChildStdin, Command, Stdio};

use tempfile::TempDir;

/// How often a port is looked for: between finding a free one and using it, another process may.
const START_ATTEMPTS: usize = 10;

/// A `redis-server` on a loopback port, with an append-only file in a temporary folder.
///
/// It ends when this is dropped, and also when the process that holds this ends in any other way.
pub struct RedisServer {
    port: u16,
    folder: TempDir,
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
        let folder = tempfile::tempdir().expect("a temporary folder");
        for _ in 0..START_ATTEMPTS {
            let port = free_port();
            if let Some(running) = Running::start(port, &folder) {
                return Self { port, folder, running: Some(running) };
            }
        }
        panic!("redis-server does not start; run it by hand to see why");
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

    /// Starts it again on the same port, with the data of its append-only file.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        self.running = (0..START_ATTEMPTS).find_map(|_| Running::start(self.port, &self.folder));
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
    fn start(port: u16, folder: &TempDir) -> Option<Self> {
        let mut server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .arg("--dir")
            .arg(folder.path())
            .args(["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""])
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
        let ready =
            log.lines().map_while(Result::ok).any(|line| line.contains("Ready to accept connections"));
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

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
    listener.local_addr().expect("its address").port()
}
