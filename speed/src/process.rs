//! Processes that end with this one, and what Linux says of them.

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

/// How long anything may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process at an address of this machine.
pub(crate) struct Served {
    child: Child,
    pub(crate) at: SocketAddr,
}

/// The time that the threads of a process had a processor, nanoseconds by thread.
pub(crate) struct Cpu(HashMap<String, u64>);

impl Served {
    /// Starts a process that will listen there, and waits until it does.
    pub(crate) fn start(command: &mut Command, at: SocketAddr) -> Self {
        Self::timed(command, at).0
    }

    /// The same; says how long it took until somebody could connect.
    pub(crate) fn timed(command: &mut Command, at: SocketAddr) -> (Self, Duration) {
        let began = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let mut served = Self { child: child.expect("a program"), at };
        while TcpStream::connect(at).is_err() {
            assert!(served.child.try_wait().expect("a child").is_none(), "{command:?} has ended");
            assert!(began.elapsed() < PATIENCE, "{command:?} does not listen");
            std::thread::sleep(Duration::from_micros(200));
        }
        (served, began.elapsed())
    }

    /// Which process it is.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What its threads have used so far.
    pub(crate) fn cpu(&self) -> Cpu {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("a process on Linux");
        let used = |path: &Path| {
            let text = fs::read_to_string(path.join("schedstat")).ok()?;
            text.split(' ').next()?.parse().ok()
        };
        let tasks = tasks.flatten().map(|entry| entry.path());
        Cpu(tasks.filter_map(|path| Some((path.display().to_string(), used(&path)?))).collect())
    }

    /// What is in memory of it.
    pub(crate) fn resident(&self) -> Resident {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("its size");
            let kib: Option<f64> = line.split_whitespace().next().and_then(|word| word.parse().ok());
            kib.expect("a number") / 1024.0
        };
        Resident { all: mib("VmRSS:"), own: mib("RssAnon:") }
    }
}

/// What is in memory of a process, MiB.
#[derive(Clone, Copy)]
pub(crate) struct Resident {
    pub(crate) all: f64,
    /// Of that, what it alone has: the rest are pages of files, of the program above all.
    pub(crate) own: f64,
}

impl Drop for Served {
    fn drop(&mut self) {
        // Errors mean that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Cpu {
    /// Seconds since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> f64 {
        let used = |(thread, now): (&String, &u64)| now - earlier.0.get(thread).copied().unwrap_or_default();
        self.0.iter().map(used).sum::<u64>() as f64 / 1e9
    }
}

/// An address of this machine that nobody listens at.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

/// How many tasks want a processor, by the average of the last minute.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}
