//! A Redis and the service over it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::process::{Served, free_address};

/// Everybody's password.
pub(crate) const PASSWORD: &str = "an engine weaves patterns";

/// The issuer of its tokens.
pub(crate) const PUBLIC_URL: &str = "https://hallpass.example.com";

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

/// The settings of a service in production, as variables.
pub(crate) fn settings(redis: &str, mode: &str, folder: &Folder) -> BTreeMap<String, OsString> {
    let database = format!("sqlite://{}/hallpass.db", folder.path().display());
    [
        ("HALLPASS_SECRET", "0123456789abcdefghijklmnopqrstuvwxyz"),
        ("HALLPASS_PUBLIC_URL", PUBLIC_URL),
        ("HALLPASS_RATE_LIMITS__ENABLED", "false"),
        ("HALLPASS_SESSIONS__MAX_PER_ACCOUNT", "1000"),
        ("HALLPASS_VALIDATION__MODE", mode),
        ("DATABASE_URL", &database),
        ("REDIS_URL", redis),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()))
    .into()
}

/// The service in production over a Redis and SQLite, as the settings say.
pub(crate) struct Service {
    program: String,
    redis: String,
    mode: &'static str,
    folder: Folder,
    further: Vec<(&'static str, &'static str)>,
}

impl Service {
    pub(crate) fn new(program: &str, redis: &Served, mode: &'static str) -> Self {
        let service = Self {
            program: program.to_owned(),
            redis: url(redis),
            mode,
            folder: Folder::new(mode),
            further: Vec::new(),
        };
        let migrated = service.command(&["migrate"]).status().expect("the program");
        assert!(migrated.success(), "hallpass migrate failed");
        service
    }

    /// The same where a login costs next to nothing.
    pub(crate) fn hashing_cheaply(mut self) -> Self {
        self.further = vec![
            ("HALLPASS_PASSWORDS__ARGON2__MEMORY_KIB", "8"),
            ("HALLPASS_PASSWORDS__ARGON2__ITERATIONS", "1"),
        ];
        self
    }

    /// The program with its settings; what it prints is for nobody.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().current_dir(self.folder.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.envs(settings(&self.redis, self.mode, &self.folder)).envs(self.further.iter().copied());
        command
    }

    /// Starts it; says how long it took until it could be connected to, in milliseconds.
    pub(crate) fn start(&self) -> (Served, f64) {
        let at = free_address();
        let (served, took) = Served::timed(&mut self.command(&["serve", "--listen", &at.to_string()]), at);
        (served, took.as_secs_f64() * 1e3)
    }

    /// Makes a client that may read the feed; answers its secret.
    pub(crate) fn client(&self, id: &str) -> String {
        let arguments = ["clients", "create", id, "--scopes", "revocations:read", "--json"];
        let made = self.command(&arguments).stdout(Stdio::piped()).output().expect("the program");
        let made: Value = serde_json::from_slice(&made.stdout).expect("JSON");
        made["secret"].as_str().expect("a secret").to_owned()
    }

    /// Starts a sidecar that follows it where it is served, by the secret of a client.
    pub(crate) fn sidecar(&self, served: &Served, client: &str, secret: &str) -> Served {
        let (at, file) = (free_address(), self.folder.path().join("secret"));
        std::fs::write(&file, secret).expect("a file");
        let mut command = Command::new(&self.program);
        command.args(["sidecar", "--issuer", PUBLIC_URL, "--audience", PUBLIC_URL, "--client-id", client]);
        command.args(["--reach-at", &format!("http://{}", served.at), "--listen", &at.to_string()]);
        command.arg("--client-secret-file").arg(&file).env_clear().stderr(Stdio::null());
        Served::start(&mut command, at)
    }
}
