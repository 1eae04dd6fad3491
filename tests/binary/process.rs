//! The program as a process that ends with its test.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::Duration;

use tokio::time::Instant;

use crate::client::Client;

/// How long anything may take on a busy machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often a process is asked whether it has come up or gone.
const INTERVAL: Duration = Duration::from_millis(10);

/// A server secret.
pub const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

/// A call of the program that is being put together.
pub struct Program {
    command: Command,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Program {
    /// `hallpass` with these arguments in this folder, its environment empty.
    pub fn new(folder: &Path, arguments: &[&str]) -> Self {
        Self::of(Command::new(env!("CARGO_BIN_EXE_hallpass")), folder, arguments)
    }

    /// The same of another command: another build of hallpass, or what starts this one.
    pub fn of(mut command: Command, folder: &Path, arguments: &[&str]) -> Self {
        command.env_clear().current_dir(folder).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    /// With a variable in its environment.
    pub fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs a command that ends by itself.
    ///
    /// # Panics
    /// When it does not.
    pub async fn run(mut self) -> Outcome {
        Running::spawn(&mut self.command).outcome().await
    }

    /// Starts a command that reads from its standard input, which is the second answer.
    pub fn run_fed(mut self) -> (Running, ChildStdin) {
        let mut running = Running::spawn(self.command.stdin(Stdio::piped()));
        let input = running.child.process.stdin.take().expect("piped");
        (running, input)
    }

    /// With a text on its standard input, and then the end of it.
    pub fn input(mut self, text: &str) -> Self {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(text.as_bytes()).expect("room for a line");
        self.command.stdin(reader);
        self
    }

    /// Starts a service and waits until it listens.
    ///
    /// # Panics
    /// When it ends instead, with what it said.
    pub fn start(mut self) -> Service {
        let mut child = Guarded::spawn(&mut self.command);
        let stdout = collect(child.process.stdout.take().expect("piped"));
        let log = Log::default();
        let (tell, told) = mpsc::channel();
        let stderr = child.process.stderr.take().expect("piped");
        let lines = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(address) = listening(&line) {
                    // Told once; whoever listens later does not exist.
                    let _ = tell.send(address);
                }
                lines.lock().push(line);
            }
        });
        match told.recv_timeout(PATIENCE) {
            Ok(address) => Service { child, address, log, stdout: Some(stdout) },
            Err(_) => panic!("hallpass does not listen:\n{}", log.text()),
        }
    }
}

/// A command that is at work; dropping it kills it.
pub struct Running {
    child: Guarded,
    stdout: std::thread::JoinHandle<String>,
    stderr: std::thread::JoinHandle<String>,
}

impl Running {
    /// Starts any command whose output is piped.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = Guarded::spawn(command);
        let stdout = collect(child.process.stdout.take().expect("piped"));
        let stderr = collect(child.process.stderr.take().expect("piped"));
        Self { child, stdout, stderr }
    }

    /// Interrupts it, as Ctrl-C does (SIGINT).
    pub fn interrupt(&self) {
        self.child.signal("-INT");
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn outcome(mut self) -> Outcome {
        let status = self.child.wait().await;
        let text = |reader: std::thread::JoinHandle<String>| reader.join().expect("the output");
        Outcome { code: status.code(), stdout: text(self.stdout), stderr: text(self.stderr) }
    }
}

/// The address in the log line that says where the service listens, in either format.
fn listening(line: &str) -> Option<SocketAddr> {
    let words = || line.split(|c: char| !matches!(c, '0'..='9' | '.' | ':' | '[' | ']'));
    line.contains("listening").then(|| words().find_map(|word| word.parse().ok())).flatten()
}

/// Reads a pipe to its end on a thread of its own.
fn collect(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came until the pipe broke is all there is to show.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// What a service wrote to standard error so far.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().expect("no reader panics")
    }

    /// All lines.
    pub fn text(&self) -> String {
        self.lock().join("\n")
    }
}

/// A running service; dropping it kills it.
pub struct Service {
    child: Guarded,
    address: SocketAddr,
    log: Log,
    stdout: Option<std::thread::JoinHandle<String>>,
}

impl Service {
    /// A client of it.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What Linux says of its memory under this name (`man 5 proc`: `VmHWM`, `VmRSS`), MiB.
    ///
    /// # Panics
    /// Where there is no `/proc`.
    pub fn memory_mib(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).expect("a process on Linux");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("such a line");
        let kib: u64 = line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number");
        kib / 1024
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.child.process.id()
    }

    /// What it wrote to standard error.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Tells it to stop (SIGTERM).
    pub fn terminate(&self) {
        self.child.signal("-TERM");
    }

    /// Lets it do nothing (SIGSTOP) until it is told to go on: the kernel goes on taking connections for it.
    pub fn freeze(&self) {
        self.child.signal("-STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.child.signal("-CONT");
    }

    /// Tells it to read its settings again (SIGHUP).
    pub fn hang_up(&self) {
        self.child.signal("-HUP");
    }

    /// Kills it with no chance to say goodbye (SIGKILL), and waits until it is gone.
    pub async fn kill(mut self) {
        self.child.signal("-KILL");
        self.child.wait().await;
    }

    /// Waits until it has ended; answers its exit code and its standard output.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn ended(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().await;
        let stdout = self.stdout.take().expect("read once").join().expect("the output");
        (status.code(), stdout)
    }

    /// Tells it to stop and sees to it that it does so well.
    pub async fn stop(self) -> String {
        self.terminate();
        let log = self.log.clone();
        let (code, stdout) = self.ended().await;
        assert_eq!(code, Some(0), "{}", log.text());
        stdout
    }
}

/// A child process that does not outlive its test: neither when the test fails (dropping kills it)
/// nor when the test process is killed (the end of the shell's input does).
pub struct Guarded {
    process: Child,
    watchdog: Child,
    lifeline: Option<ChildStdin>,
}

impl Guarded {
    /// Starts a program.
    ///
    /// # Panics
    /// When there is no such program.
    pub fn spawn(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let process = command.spawn().unwrap_or_else(|error| panic!("the program `{name}`: {error}"));
        let mut watchdog = Command::new("sh")
            .args(["-c", "cat >/dev/null; kill -KILL $0 2>/dev/null", &process.id().to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .expect("the program `sh`");
        let lifeline = watchdog.stdin.take();
        Self { process, watchdog, lifeline }
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().expect("a child of ours").is_some()
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(signal).arg(self.process.id().to_string()).status();
        assert!(status.expect("the program `kill`").success(), "kill {signal}");
    }

    async fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("a child of ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "hallpass does not end");
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // The watchdog goes first: once the process is waited for, its id may be another's.
        // Errors mean that a process is gone already, which is what is wanted.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        drop(self.lifeline.take());
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Asks again and again until the answer is yes.
///
/// # Panics
/// When it stays no.
pub async fn eventually(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < deadline, "it stays so that not: {what}");
        tokio::time::sleep(INTERVAL).await;
    }
}

/// A service for trying out, in a folder, on a port of its own.
pub fn dev(folder: &Path) -> Program {
    Program::new(folder, &["dev", "--listen", "127.0.0.1:0"])
}

/// A service in production, in a folder, on a port of its own. Its public URL does not change with
/// the port, so tokens outlive restarts.
pub fn serve(folder: &Path, redis_url: &str, database_url: &str) -> Program {
    in_production(Program::new(folder, &["serve", "--listen", "127.0.0.1:0"]), redis_url, database_url)
        // No balancer is to notice that it stops.
        .variable("HALLPASS_SHUTDOWN_DELAY", "0s")
}

/// With what production needs.
pub fn in_production(program: Program, redis_url: &str, database_url: &str) -> Program {
    program
        .variable("HALLPASS_SECRET", SECRET)
        .variable("HALLPASS_PUBLIC_URL", "https://hallpass.example.com")
        .variable("REDIS_URL", redis_url)
        .variable("DATABASE_URL", database_url)
}
