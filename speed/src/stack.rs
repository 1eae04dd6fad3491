//! A Redis and the service over it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::process::{Served, free_address};

/// Everybody's password.
pub(crate) const PASSWORD: &str = "an engine weaves patterns";

/// A folder that goes with this.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hallpass-speed-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A Redis that keeps nothing on disk: what a disk takes is not what is measured.
pub(crate) fn redis() -> Served {
    let at = free_address();
    let mut command = Command::new("redis-server");
    command.args([
        "--port",
        &at.port().to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
    ]);
    Served::start(&mut command, at)
}

/// How a client reaches it.
pub(crate) fn url(redis: &Served) -> String {
    format!("redis://{}", redis.at)
}

/// The service in production over a Redis and SQLite, as the settings say.
pub(crate) struct Service {
    program: String,
    redis: String,
    mode: &'static str,
    folder: Folder,
}

impl Service {
    pub(crate) fn new(program: &str, redis: &Served, mode: &'static str) -> Self {
        let service =
            Self { program: program.to_owned(), redis: url(redis), mode, folder: Folder::new(mode) };
        let migrated = service.command(&["migrate"]).status().expect("the program");
        assert!(migrated.success(), "hallpass migrate failed");
        service
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().current_dir(self.folder.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
            .env("HALLPASS_SECRET", "0123456789abcdefghijklmnopqrstuvwxyz")
            .env("HALLPASS_PUBLIC_URL", "https://hallpass.example.com")
            .env("HALLPASS_RATE_LIMITS__ENABLED", "false")
            .env("HALLPASS_SESSIONS__MAX_PER_ACCOUNT", "1000")
            .env("HALLPASS_VALIDATION__MODE", self.mode)
            .env("DATABASE_URL", format!("sqlite://{}/hallpass.db", self.folder.path().display()))
            .env("REDIS_URL", &self.redis);
        command
    }

    /// Starts it; says how long it took until it could be connected to, in milliseconds.
    pub(crate) fn start(&self) -> (Served, f64) {
        let at = free_address();
        let (served, took) = Served::timed(&mut self.command(&["serve", "--listen", &at.to_string()]), at);
        (served, took.as_secs_f64() * 1e3)
    }
}
