//! A PgBouncer of the tests' own, in front of their Postgres.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::ports::free_port;
use super::postgres::{Account, PostgresServer};

/// How often a port is looked for: between finding a free one and using it, another process may.
const START_ATTEMPTS: usize = 10;

/// Who may come.
const USERS: [&str; 2] = ["postgres", LEAST];

/// A role that has only the rights it is given.
pub const LEAST: &str = "hallpass_least";

/// Runs the pooler until standard input ends, which it does when the test process is gone.
const WATCHDOG: &str = r#"
trap '' INT HUP
exec >"$2/log" 2>&1
"$1" "$2/pgbouncer.ini" &
pooler=$!
cat >/dev/null
kill -TERM "$pooler"
wait "$pooler"
rm -rf "$2"
"#;

/// A PgBouncer in transaction mode on a loopback port, its other settings as they come.
pub struct PgBouncer {
    port: u16,
    watchdog: Child,
}

impl PgBouncer {
    /// One in front of the shared server, with two connections for each database and everybody. It ends
    /// with the process.
    pub fn shared() -> &'static Self {
        static POOLER: OnceLock<PgBouncer> = OnceLock::new();
        POOLER.get_or_init(|| Self::before(PostgresServer::shared(), 2))
    }

    /// One in front of a server, with so many connections for each database.
    ///
    /// # Panics
    /// When PgBouncer is not installed or does not start.
    pub fn before(server: &PostgresServer, connections: u32) -> Self {
        Self::before_with(server, connections, "")
    }

    /// The same, with further lines in its settings.
    ///
    /// # Panics
    /// As [`Self::before`].
    pub fn before_with(server: &PostgresServer, connections: u32, further: &str) -> Self {
        for _ in 0..START_ATTEMPTS {
            if let Some(pooler) = Self::start(server, connections, further) {
                return pooler;
            }
        }
        panic!("pgbouncer does not start; run it by hand to see why");
    }

    fn start(server: &PostgresServer, connections: u32, further: &str) -> Option<Self> {
        let account = Account::of_the_server();
        let folder = tempfile::Builder::new().prefix("hallpass-pgb-").tempdir().expect("a folder").keep();
        let port = free_port();
        let settings = format!(
            "[databases]\n* = host={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = users\npool_mode = transaction\ndefault_pool_size = {connections}\n\
             max_client_conn = 1000\nserver_idle_timeout = 2\n{further}",
            server.folder().display()
        );
        let file = folder.join("pgbouncer.ini");
        fs::write(&file, settings).expect("a file");
        let users = folder.join("users");
        fs::write(&users, USERS.map(|user| format!("\"{user}\" \"\"\n")).concat()).expect("a file");
        for path in [&folder, &file, &users] {
            account.give(path);
        }
        let watchdog = account
            .command(Path::new("/bin/sh"))
            .args(["-c", WATCHDOG, "watchdog"])
            .args([&program(), &folder])
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell runs");
        let pooler = Self { port, watchdog };
        for _ in 0..500 {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            if log.contains("process up") && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Some(pooler);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// The URL of a database of the server, through the pooler and by that role.
    pub fn url_of(&self, database: &str, role: &str) -> String {
        let name = database.rsplit('/').next().expect("a name");
        format!("postgres://{role}@127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        // An error means that it is gone already.
        let _ = self.watchdog.wait();
    }
}

/// Debian keeps it where only root looks.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| program.exists())
        .expect("these tests start PgBouncer: install it (Debian, Ubuntu: apt install pgbouncer)")
}
