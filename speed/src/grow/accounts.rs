//! Accounts: the import of a million, and whether lists of a few take longer the more there are.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hallpass::domain::email::Email;
use hallpass::domain::external_id::ExternalId;
use hallpass::domain::ids::UserId;
use hallpass::domain::user::Role;
use hallpass::domain::user_filter::{UserFilter, UserOrder, UserPrefix};
use hallpass::store::sql::postgres::{PostgresOptions, PostgresStore};
use hallpass::store::sql::sqlite::{SqliteOptions, SqliteStore};
use hallpass::store::{AuditStore, UserStore};
use tokio::time::Instant;

use super::{audit, grouped, own_cpu, spent};
use crate::stack::Folder;
use crate::support::postgres::PostgresServer;

pub(super) const COUNTS: [u32; 2] = [1_000, 1_000_000];

/// How often each is asked for.
const TIMES: u32 = 11;

/// How long one call may take, so that the slow ones are measured as well.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of how many accounts one is disabled, and is an administrator.
const FEW: u32 = 500;

/// Some hash, as an import brings it.
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$Rdescudvs1UUcyxCLr6zGVLpVXwUtHxG5iOQVvNVGBs";

const SYLLABLES: [&str; 16] =
    ["an", "be", "co", "da", "el", "fi", "go", "ha", "in", "jo", "ka", "lu", "mi", "no", "or", "pe"];

/// What is asked for, and how long it took (ms) of so many rows, by database and count.
pub(super) struct Cells(Vec<(&'static str, Vec<f64>)>);

impl Cells {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn add(&mut self, what: &'static str, took: Duration) {
        let millis = took.as_secs_f64() * 1e3;
        match self.0.iter_mut().find(|(known, _)| *known == what) {
            Some((_, cells)) => cells.push(millis),
            None => self.0.push((what, vec![millis])),
        }
    }
}

pub(super) fn run(hallpass: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let postgres = PostgresServer::start();
    let mut cells = Cells::new();
    println!("| `hallpass users import` | seconds | of a processor | MiB at most |");
    println!("| --- | --- | --- | --- |");
    runtime.expect("a runtime").block_on(async {
        let folder = Folder::new("accounts");
        for count in COUNTS {
            let lines = folder.path().join("accounts.jsonl");
            write_lines(&lines, count).expect("a file");
            let sqlite = format!("sqlite://{}/{count}.db", folder.path().display());
            import(hallpass, &sqlite, "SQLite", &lines, count);
            let options = SqliteOptions {
                quiet_reads: PATIENCE,
                quiet_writes: PATIENCE,
                longest_wait: PATIENCE,
                ..SqliteOptions::default()
            };
            let store = SqliteStore::connect(&sqlite, options).await.expect("the file");
            measure(Arc::new(store), count, &mut cells).await;
            let database = postgres.create_database().await;
            import(hallpass, &database, "Postgres", &lines, count);
            let options = PostgresOptions {
                acquire_timeout: PATIENCE,
                statement_timeout: PATIENCE,
                ..PostgresOptions::default()
            };
            let store = PostgresStore::connect(&database, options).await.expect("the server");
            measure(Arc::new(store), count, &mut cells).await;
        }
    });
    let few = grouped(COUNTS[0]);
    let many = grouped(COUNTS[1]);
    println!("\n| ms (p50) | SQLite: {few} | {many} | Postgres: {few} | {many} |");
    println!("| --- | --- | --- | --- | --- |");
    for (what, cells) in &cells.0 {
        let [sqlite_few, postgres_few, sqlite_many, postgres_many] = cells[..] else { panic!("{what}") };
        println!("| {what} | {sqlite_few:.2} | {sqlite_many:.2} | {postgres_few:.2} | {postgres_many:.2} |");
    }
}

/// A line for each account, as `hallpass users import` takes them.
fn write_lines(path: &Path, count: u32) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for number in 0..count {
        let syllable = |place: u32| SYLLABLES[(number / 16_u32.pow(place) % 16) as usize];
        let (first, last) =
            ([syllable(0), syllable(1)].concat(), [syllable(2), syllable(3), syllable(4)].concat());
        let (disabled, role) = (number % FEW == 1, if number % FEW == 2 { "admin" } else { "member" });
        writeln!(
            file,
            r#"{{"email":"{first}.{number}@example.com","password_hash":"{HASH}","first_name":"{first}","last_name":"{last}","external_id":"crm-{number}","disabled":{disabled},"role":"{role}"}}"#
        )?;
    }
    file.flush()
}

fn import(hallpass: &str, database: &str, engine: &str, lines: &Path, count: u32) {
    let command = |arguments: &[&str]| {
        let mut command = Command::new(hallpass);
        command.args(arguments).env_clear().env("DATABASE_URL", database);
        command.env("HALLPASS_SECRET", "0123456789abcdefghijklmnopqrstuvwxyz");
        command.current_dir(lines.parent().expect("a folder")).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    assert!(command(&["migrate"]).status().expect("the program").success(), "hallpass migrate failed");
    let began = Instant::now();
    let file = lines.display().to_string();
    let mut import = command(&["users", "import", "--allow-admins", &file]).spawn().expect("the program");
    let (mut most, mut cpu) = (0.0_f64, 0.0_f64);
    let status = loop {
        if let Some(status) = import.try_wait().expect("a child") {
            break status;
        }
        // What it has had until it is gone is told while it is there.
        most = most.max(most_mib(import.id()));
        cpu = cpu.max(cpu_of(import.id()));
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success(), "hallpass users import failed");
    let seconds = began.elapsed().as_secs_f64();
    println!("| {engine}, {} lines | {seconds:.1} | {cpu:.1} | {most:.0} |", grouped(count));
}

/// The most that a process ever had in memory, MiB.
fn most_mib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

/// What it has had of processors, seconds (`man 5 proc`: ticks of 10 ms).
fn cpu_of(process: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = text.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>()
        / 100.0
}

/// What an administrator asks for.
async fn measure<S: UserStore + AuditStore>(store: Arc<S>, count: u32, cells: &mut Cells) {
    let all = UserFilter::default();
    let begins = |text: &str| UserFilter {
        prefix: Some(UserPrefix::parse(text).expect("a beginning")),
        ..all.clone()
    };
    let (middle, before) = (count / 2, own_cpu());
    // Nobody has `zz`; one in sixteen has `an`, and as many of each other syllable.
    let rare = format!("an.{}@", middle / 16 * 16);
    let email = Email::parse(&format!("anan.{}@example.com", middle / 256 * 256)).ok();
    let crm = ExternalId::parse(&format!("crm-{middle}")).expect("an id");
    let behind = UserId::try_from(i64::from(middle)).ok();
    for (what, filter, order, after) in [
        ("`GET /users`, the first page", all.clone(), UserOrder::Oldest, None),
        ("the newest", all.clone(), UserOrder::Newest, None),
        ("a page in the middle", all.clone(), UserOrder::Oldest, behind),
        ("by e-mail", UserFilter { email, ..all.clone() }, UserOrder::Oldest, None),
        ("by external id", UserFilter { external_id: crm, ..all.clone() }, UserOrder::Oldest, None),
        ("administrators", UserFilter { role: Some(Role::Admin), ..all.clone() }, UserOrder::Newest, None),
        ("disabled", UserFilter { disabled: Some(true), ..all.clone() }, UserOrder::Newest, None),
        ("`search`, one in 16 begins so", begins("an"), UserOrder::Oldest, None),
        ("`search`, one begins so", begins(&rare), UserOrder::Oldest, None),
        ("`search`, nobody begins so", begins("zz"), UserOrder::Oldest, None),
    ] {
        let ask = async |_| drop(store.list_users(&filter, order, after, 51).await.expect("a page"));
        cells.add(what, spent(None, TIMES, ask).await.p50);
    }
    for (what, filter) in [
        ("`count`, of all", all.clone()),
        ("`count`, of administrators", UserFilter { role: Some(Role::Admin), ..all.clone() }),
        ("`count`, of those that begin so, one in 16", begins("an")),
        ("`count`, of those that begin so, nobody", begins("zz")),
    ] {
        let ask = async |_| _ = store.count_users(&filter).await.expect("a number");
        cells.add(what, spent(None, TIMES, ask).await.p50);
    }
    audit::measure(&*store, count, TIMES, cells).await;
    eprintln!(
        "{} accounts and entries, {:.1} s of a processor",
        grouped(count),
        (own_cpu() - before).as_secs_f64()
    );
}
