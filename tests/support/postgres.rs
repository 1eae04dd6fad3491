//! A Postgres server of the tests' own.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::certificates::Certificates;
use super::ports::free_port;

/// Makes the server's files and runs it until standard input ends, which it does when the test
/// process is gone, however it went; then stops it and removes its folder. Interrupts are for the
/// test process: its end is what counts here. Meanwhile it takes the words `stop`, `start` and `crash`. QUIT is Postgres' word for "at once"; TERM is for a
/// server that does not listen to it yet, because a shell starts its children deaf to QUIT. A server that follows another
/// one begins with a copy of that, taken through its socket.
const WATCHDOG: &str = r#"
trap '' INT HUP
exec >"$2/log" 2>&1
programs=$1 folder=$2 source=$3 port=$4
shift 4
if [ -n "$source" ]; then
    "$programs/pg_basebackup" -D "$folder/data" --no-sync --checkpoint=fast --write-recovery-conf --wal-method=stream \
        --host="$source" --port="$port" --username=postgres || exit
else
    "$programs/initdb" -D "$folder/data" --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C || exit
fi
run() {
    "$programs/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c fsync=off -c max_connections=300 "$@" &
    server=$!
}
run "$@"
while read -r word; do
    case $word in
        stop) kill -TERM "$server"; kill -INT "$server"; wait "$server" ;;
        crash) kill -KILL "$server"; wait "$server" ;;
        start) run "$@" ;;
    esac
done
kill -TERM "$server"
kill -QUIT "$server"
wait "$server"
rm -rf "$folder"
"#;

/// A running server in a temporary folder, reached through a socket there: no port to collide on.
pub struct PostgresServer {
    folder: PathBuf,
    port: u16,
    watchdog: Child,
    databases: AtomicU32,
}

impl PostgresServer {
    /// The server that all tests of this binary share. It ends with the process.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<PostgresServer> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    /// Starts another one, for a test that takes it down.
    ///
    /// # Panics
    /// When Postgres is not installed or does not start: a test that cannot run must not pass.
    pub fn start() -> Self {
        Self::start_with(5432, None, &[], &[])
    }

    /// Starts one that listens on a loopback port as well.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn on_loopback() -> Self {
        Self::on_port(None)
    }

    /// Starts one that follows this one by streaming, and listens on a loopback port of its own.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn standby(&self) -> Self {
        Self::on_port(Some(self))
    }

    fn on_port(source: Option<&Self>) -> Self {
        let port = free_port();
        let settings = ["listen_addresses=127.0.0.1", &format!("port={port}")];
        Self::start_with(port, source, &settings, &[])
    }

    /// Starts one that takes TLS on a loopback port; answers the port as well.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn with_tls(certificates: &Certificates) -> (Self, u16) {
        let port = free_port();
        let files = [(certificates.certificate(), "server.pem"), (certificates.key(), "server.key")];
        let settings = [
            "listen_addresses=127.0.0.1",
            &format!("port={port}"),
            "ssl=on",
            "ssl_cert_file=../server.pem",
            "ssl_key_file=../server.key",
        ];
        (Self::start_with(port, None, &settings, &files), port)
    }

    /// With what it follows, further settings, and files that are its own in its folder.
    fn start_with(port: u16, source: Option<&Self>, settings: &[&str], files: &[(PathBuf, &str)]) -> Self {
        let programs = programs();
        let account = Account::of_the_server();
        let folder =
            tempfile::Builder::new().prefix("hallpass-pg-").tempdir().expect("a temporary folder").keep();
        account.give(&folder);
        for (from, name) in files {
            let file = folder.join(name);
            fs::copy(from, &file).expect("a copy");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its own file");
            account.give(&file);
        }

        let watchdog = account
            .command(Path::new("/bin/sh"))
            .args(["-c", WATCHDOG, "watchdog"])
            .args([&programs, &folder])
            .args([source.map_or_else(String::new, |source| source.folder.display().to_string())])
            .args([source.map_or(0, |source| source.port).to_string()])
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell runs");
        let mut server = Self { folder, port, watchdog, databases: AtomicU32::new(0) };
        server.wait_until_ready(&programs.join("pg_isready"));
        server
    }

    /// Makes an empty database and answers its URL.
    pub async fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = self.connection().await;
        let create = format!("CREATE DATABASE {name} TEMPLATE template0");
        connection.execute(AssertSqlSafe(create)).await.expect("a new database");
        connection.close().await.expect("a clean end");
        self.url(&name)
    }

    /// Copies a database as it is and answers the name of the copy. Who is connected loses the connection.
    pub async fn back_up(&self, url: &str) -> String {
        let copy = format!("copy_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let database = name_of(url);
        let mut connection = self.connection().await;
        // Only of a database that nobody uses a copy can be made.
        run(&mut connection, format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false")).await;
        let end = format!(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{database}'"
        );
        run(&mut connection, end).await;
        run(&mut connection, format!("CREATE DATABASE {copy} TEMPLATE {database}")).await;
        run(&mut connection, format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true")).await;
        connection.close().await.expect("a clean end");
        copy
    }

    /// Puts a copy in the place of a database, which is lost with all connections to it.
    pub async fn restore(&self, url: &str, copy: &str) {
        let database = name_of(url);
        let mut connection = self.connection().await;
        run(&mut connection, format!("DROP DATABASE {database} WITH (FORCE)")).await;
        run(&mut connection, format!("CREATE DATABASE {database} TEMPLATE {copy}")).await;
        connection.close().await.expect("a clean end");
    }

    /// Makes a role that may log in, unless it is there, and answers the URL of a database for it.
    pub async fn role_in(&self, database: &str, role: &str) -> String {
        let mut connection = self.connection().await;
        let create = format!(
            "DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$"
        );
        run(&mut connection, create).await;
        connection.close().await.expect("a clean end");
        database.replacen("postgres@", &format!("{role}@"), 1)
    }

    /// Where a database of that name is reached.
    pub fn url_of(&self, database: &str) -> String {
        self.url(database)
    }

    /// The folder of the socket that the server listens on.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The socket that the server listens on.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    /// Takes the server down at once and waits until it is gone.
    pub fn stop(mut self) {
        drop(self.watchdog.stdin.take());
        self.watchdog.wait().expect("the watchdog ends");
    }

    /// Takes the server down and waits until it is gone; [`Self::bring_back`] ends that.
    pub fn take_down(&mut self) {
        self.tell("stop");
        let process = self.folder.join("data/postmaster.pid");
        for _ in 0..3_000 {
            if !process.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("Postgres does not stop: {}", self.log());
    }

    /// Starts a server that was taken down, with all that it had.
    pub fn bring_back(&mut self) {
        self.tell("start");
        self.wait_until_ready(&programs().join("pg_isready"));
    }

    /// Ends the server with no chance to write anything (SIGKILL); it is gone for good.
    pub fn crash(&mut self) {
        self.tell("crash");
    }

    /// Has a standby be the primary from now on.
    pub async fn promote(&self) {
        let mut connection = self.connection().await;
        run(&mut connection, "SELECT pg_promote()".to_owned()).await;
        connection.close().await.expect("a clean end");
    }

    /// Has a standby hear nothing more of what it follows: it keeps what it has.
    pub async fn fall_behind(&self) {
        let mut connection = self.connection().await;
        run(&mut connection, "ALTER SYSTEM SET primary_conninfo = ''".to_owned()).await;
        run(&mut connection, "SELECT pg_reload_conf()".to_owned()).await;
        while scalar(&mut connection, "SELECT EXISTS (SELECT 1 FROM pg_stat_wal_receiver)").await {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until a standby has all that this one has by now.
    pub async fn passes_on_to(&self, standby: &Self) {
        let (mut here, mut there) = (self.connection().await, standby.connection().await);
        let written: String = scalar(&mut here, "SELECT pg_current_wal_lsn()::text").await;
        let has = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn");
        while !scalar::<bool>(&mut there, &has).await {
            tokio::task::yield_now().await;
        }
    }

    /// A connection as its superuser, to whatever database it has.
    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url("postgres")).await.expect("the server answers")
    }

    /// The loopback port that it listens on, where it does.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn tell(&mut self, word: &str) {
        let lifeline = self.watchdog.stdin.as_mut().expect("a watchdog that listens");
        writeln!(lifeline, "{word}").expect("a watchdog that lives");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn url(&self, database: &str) -> String {
        let folder = self.folder.to_str().expect("a UTF-8 path").replace('/', "%2F");
        match self.port {
            5432 => format!("postgres://postgres@{folder}/{database}"),
            port => format!("postgres://postgres@{folder}:{port}/{database}"),
        }
    }

    fn wait_until_ready(&mut self, pg_isready: &Path) {
        for _ in 0..3_000 {
            let port = self.port.to_string();
            let asked = Command::new(pg_isready).args(["-q", "-p", &port, "-h"]).arg(&self.folder).status();
            if asked.expect("pg_isready runs").success() {
                return;
            }
            if self.watchdog.try_wait().expect("a child of ours").is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("Postgres does not start: {}", self.log());
    }
}

/// The name of the database that a URL leads to.
fn name_of(url: &str) -> &str {
    url.rsplit('/').next().expect("a name")
}

async fn run(connection: &mut PgConnection, statement: String) {
    connection
        .execute(AssertSqlSafe(statement.clone()))
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
}

async fn scalar<T>(connection: &mut PgConnection, query: &str) -> T
where
    T: for<'row> sqlx::Decode<'row, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(connection).await.expect(query)
}

/// The folder of the installation: the one in PATH, or the newest where Debian puts them.
fn programs() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort();
    let initdb = std::env::split_paths(&path)
        .chain(debian.into_iter().rev())
        .map(|folder| folder.join("initdb"))
        .find(|program| program.exists())
        .expect("these tests start a Postgres server: install it (Debian, Ubuntu: apt install postgresql)");
    // In PATH there may be links to some of the programs only.
    let initdb = initdb.canonicalize().expect("a path");
    initdb.parent().expect("a folder").to_owned()
}

/// Whom the server runs as: Postgres refuses to be root.
pub enum Account {
    Ours,
    Other { name: &'static str, uid: u32, gid: u32 },
}

impl Account {
    /// It, as far as this machine has one.
    pub fn of_the_server() -> Self {
        if id(&["-u"]) != Some(0) {
            return Self::Ours;
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| Some(Self::Other { name, uid: id(&["-u", name])?, gid: id(&["-g", name])? }))
            .expect("an account other than root for Postgres: `postgres` or `nobody`")
    }

    /// Gives it a file or a folder.
    pub fn give(&self, folder: &Path) {
        if let Self::Other { uid, gid, .. } = self {
            chown(folder, Some(*uid), Some(*gid)).expect("root may give folders away");
        }
    }

    /// A command that it runs.
    pub fn command(&self, program: &Path) -> Command {
        let Self::Other { name, gid, .. } = self else { return Command::new(program) };
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={name}")).arg(format!("--regid={gid}")).args(["--clear-groups", "--"]);
        command.arg(program);
        command
    }
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
