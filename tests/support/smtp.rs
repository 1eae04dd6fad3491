//! A mail server of a test's own: aiosmtpd as a process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use super::certificates::Certificates;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/smtp_server.py");

/// How long anything may take on a busy machine before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the server protects connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    None,
    StartTls,
    Implicit,
}

/// A mail server on a loopback port. It ends when this is dropped, and also when the process that
/// holds this ends in any other way.
pub struct SmtpServer {
    port: u16,
    tls: Protection,
    login: Option<(&'static str, &'static str)>,
    running: Option<Running>,
}

/// The server, what it says, and a shell that kills it once its own input ends.
struct Running {
    server: Child,
    orders: Option<ChildStdin>,
    events: Receiver<Value>,
    watchdog: Child,
    lifeline: Option<ChildStdin>,
}

/// A mail as the server got it.
#[derive(Clone, Debug)]
pub struct Received(Value);

impl SmtpServer {
    /// Starts a server that protects nothing and lets everybody in.
    pub fn start() -> Self {
        Self::with(Protection::None, None)
    }

    /// Starts a server and waits until it listens. With a login, it takes mails from that user only.
    ///
    /// # Panics
    /// When aiosmtpd is not installed or does not start: a test that cannot run must not pass.
    pub fn with(tls: Protection, login: Option<(&'static str, &'static str)>) -> Self {
        let mut server = Self { port: 0, tls, login, running: None };
        server.restart();
        server
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it again, on the same port.
    pub fn restart(&mut self) {
        self.kill();
        let running = Running::start(self.port, self.tls, self.login);
        let listening = running.next("listening");
        self.port = listening["port"].as_u64().and_then(|port| port.try_into().ok()).expect("a port");
        self.running = Some(running);
    }

    /// Kills it with no chance to say goodbye (SIGKILL).
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Stops it in its tracks (SIGSTOP): connections are made, and nobody answers.
    pub fn pause(&self) {
        self.running().signal("-STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.running().signal("-CONT");
    }

    /// The next `times` that a client comes to a step, it is answered this.
    pub fn answer(&mut self, step: &str, answer: &str, times: usize) {
        self.order(&json!({"step": step, "answer": answer, "times": times}));
    }

    /// The next `times` that a client comes to a step, it is not answered at all.
    pub fn fall_silent_at(&mut self, step: &str, times: usize) {
        self.order(&json!({"step": step, "answer": null, "times": times}));
    }

    fn order(&mut self, order: &Value) {
        let running = self.running.as_mut().expect("a running server");
        let orders = running.orders.as_mut().expect("its input");
        writeln!(orders, "{order}").expect("a server that reads");
        running.next("taken");
    }

    /// Waits until a client was given an answer that was ordered.
    pub fn ordered(&self) -> Value {
        self.running().next("ordered")
    }

    /// Waits for a login; answers whether it was let in.
    pub fn login(&self) -> bool {
        self.running().next("login")["known"].as_bool().expect("a verdict")
    }

    /// Waits for a mail.
    pub fn received(&self) -> Received {
        Received(self.running().next("mail"))
    }

    /// How many mails came that nobody has waited for.
    pub fn unread(&self) -> usize {
        self.running().events.try_iter().filter(|event| event["event"] == "mail").count()
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("a running server")
    }
}

impl Received {
    /// Whom the envelope is from.
    pub fn from(&self) -> &str {
        self.0["mail_from"].as_str().expect("an address")
    }

    /// Whom the envelope is to.
    pub fn to(&self) -> Vec<&str> {
        let to = self.0["rcpt_tos"].as_array().expect("a list");
        to.iter().map(|address| address.as_str().expect("an address")).collect()
    }

    /// A header of the message.
    pub fn header(&self, name: &str) -> &str {
        let headers = self.0["headers"].as_array().expect("a list");
        let found: Vec<_> = headers.iter().filter(|header| header[0] == name).collect();
        assert_eq!(found.len(), 1, "{name} in {headers:?}");
        found[0][1].as_str().expect("text")
    }

    /// Whom the message says that it is from: name and address.
    pub fn sender(&self) -> (&str, &str) {
        let part = |index: usize| self.0["sender"][index].as_str().expect("text");
        (part(0), part(1))
    }

    /// The plain text.
    pub fn text(&self) -> &str {
        self.0["text"].as_str().expect("text")
    }

    /// The HTML.
    pub fn html(&self) -> &str {
        self.0["html"].as_str().expect("text")
    }

    /// By what command the client said who it is, and who it said it is.
    pub fn hello(&self) -> (&'static str, &str) {
        let command = if self.0["extended"].as_bool().expect("a verdict") { "EHLO" } else { "HELO" };
        (command, self.0["hello"].as_str().expect("a name"))
    }

    /// Whether it came through TLS.
    pub fn was_protected(&self) -> bool {
        self.0["tls"].as_bool().expect("a verdict")
    }

    /// The name the client was logged in under.
    pub fn login(&self) -> Option<&str> {
        self.0["login"].as_str()
    }

    /// The token in the one link, which must be to this page.
    #[track_caller]
    pub fn token(&self, page: &str) -> String {
        let beginning = format!("{page}#token=");
        let links: Vec<_> = self.text().lines().filter(|line| line.starts_with("http")).collect();
        assert_eq!(links.len(), 1, "{}", self.text());
        assert!(self.html().contains(&format!("href=\"{}\"", links[0])), "{}", self.html());
        links[0].strip_prefix(&beginning).unwrap_or_else(|| panic!("{links:?}")).to_owned()
    }
}

impl Running {
    fn start(port: u16, tls: Protection, login: Option<(&str, &str)>) -> Self {
        let mut command = Command::new(python());
        command.arg(SCRIPT).args(["--port", &port.to_string()]);
        if tls != Protection::None {
            let certificates = Certificates::shared();
            command.args(["--tls", if tls == Protection::Implicit { "implicit" } else { "starttls" }]);
            command.arg("--certificate").arg(certificates.certificate());
            command.arg("--key").arg(certificates.key());
        }
        if let Some((username, password)) = login {
            command.args(["--username", username, "--password", password]);
        }
        let mut server =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program `python3`");
        let mut watchdog = Command::new("sh")
            .args(["-c", "cat >/dev/null; kill -KILL $0 2>/dev/null", &server.id().to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .expect("the program `sh`");
        let lifeline = watchdog.stdin.take();
        let orders = server.stdin.take();
        let said = BufReader::new(server.stdout.take().expect("piped"));
        let (tell, events) = channel();
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("a line of JSON");
                // Nobody listens any more once the test has ended.
                let _ = tell.send(event);
            }
        });
        Self { server, orders, events, watchdog, lifeline }
    }

    /// Waits for something to happen, and forgets what happened before it.
    fn next(&self, name: &str) -> Value {
        loop {
            let event = self.events.recv_timeout(PATIENCE);
            let event = event.unwrap_or_else(|error| panic!("no {name} from the mail server: {error}"));
            if event["event"] == name {
                return event;
            }
        }
    }

    fn signal(&self, signal: &str) {
        let pid = self.server.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status();
        assert!(status.expect("the program `kill`").success(), "kill {signal} {pid}");
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

/// A python with aiosmtpd: Debian's, or the one in PATH.
fn python() -> &'static str {
    static PYTHON: OnceLock<&str> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let knows_it = |python: &&str| {
            let mut command = Command::new(python);
            let asked = command.args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
            asked.is_ok_and(|status| status.success())
        };
        let found = ["/usr/bin/python3", "python3"].into_iter().find(knows_it);
        found.expect("these tests start a mail server: install aiosmtpd (Debian, Ubuntu: python3-aiosmtpd)")
    })
}
