//! `hallpass users import`: accounts from a file with one JSON object a line. The service may run
//! meanwhile.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::app::{self, Environment};
use crate::cli::operator::OutputArgs;
use crate::cli::{Failure, SOME_REFUSED, SettingsArgs};
use crate::config::{Profile, Purpose};
use crate::server;
use crate::service;
use crate::service::audit::Audit;
use crate::service::user_import::{ImportOptions, ImportReport, Line, LineProblem, Lines, UserImport};
use crate::telemetry;

/// How many lines go from the thread that reads to the one that writes at once, and how many bytes:
/// whichever comes first.
const CHUNK_LINES: usize = 500;
const CHUNK_BYTES: usize = 256 * 1024;

/// How many such chunks may wait.
const CHUNKS: usize = 4;

/// How many refused lines the JSON report lists; standard error has them all.
const REPORTED_PROBLEMS: usize = 1000;

/// What to import, and how.
#[derive(Args)]
pub(super) struct ImportArgs {
    /// The file, or - for standard input: one JSON object a line with email, and where there are
    /// any password_hash, first_name, last_name, role, email_verified, disabled, created_at and external_id
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write nothing; report what would be imported
    #[arg(long)]
    dry_run: bool,
    /// Let lines make administrators
    #[arg(long)]
    allow_admins: bool,
}

/// Why an import ended early. What it had committed by then stays.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    #[error("interrupted; the same command goes on from there")]
    Interrupted,
    #[error("the import stopped; the same command goes on from there")]
    Write(#[source] Failure),
}

/// Runs the command: exit code 0 when every line has its account now, 3 when some were refused, 1
/// when it ended early.
pub(super) fn run(args: ImportArgs, settings: SettingsArgs, output: OutputArgs) -> Result<ExitCode, Failure> {
    let mut settings = settings.load(Profile::Serve, Purpose::Inspect)?.settings;
    settings.log.level = "warn".to_owned();
    telemetry::init(&settings.log)?;
    let unreadable = |error| ImportError::Read(args.file.clone(), error);
    let (bar, input) = open(&args.file).map_err(unreadable)?;
    let options = ImportOptions { allow_admins: args.allow_admins, dry_run: args.dry_run };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let stop = server::stop_signal()?;
        let (database, _) = app::open_database(&settings).await?;
        let (environment, audit) = (Environment::real(), Audit::start(database.audit_log));
        let mut run = Run {
            import: UserImport::new(database.users, environment.clock, options),
            problems: Vec::new(),
            bar,
        };
        let outcome = match run.everything(read_on_a_thread(input), stop).await {
            Err(ChunkError::Read(error)) => Err(unreadable(error)),
            Err(ChunkError::Early(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        run.bar.finish_and_clear();
        run.import.note(&audit, &*environment.random);
        app::close_audit(&audit, settings.shutdown_grace).await;
        let report = run.report(options.dry_run, outcome.is_ok(), output.json);
        io::stdout().write_all(report.as_bytes())?;
        outcome?;
        Ok(if run.import.report().refused > 0 { ExitCode::from(SOME_REFUSED) } else { ExitCode::SUCCESS })
    })
}

/// The file and a bar that moves as it is read; `-` is standard input, whose end nobody knows. The
/// bar shows on a terminal alone.
fn open(path: &Path) -> io::Result<(ProgressBar, Box<dyn Read + Send>)> {
    if path == Path::new("-") {
        let bar = ProgressBar::new_spinner().with_style(style("{bytes} read, {msg} [{elapsed}]"));
        let input = bar.wrap_read(io::stdin());
        return Ok((bar, Box::new(input)));
    }
    let file = File::open(path)?;
    let bar = ProgressBar::new(file.metadata()?.len());
    let bar = bar.with_style(style("{wide_bar} {percent}%, {msg} [{elapsed}, {eta} to go]"));
    let input = bar.wrap_read(file);
    Ok((bar, Box::new(input)))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Some lines with their numbers.
type Chunk = Vec<(u64, Line)>;

/// Why there is no next chunk.
enum ChunkError {
    /// The file cannot be read on.
    Read(io::Error),
    /// The import ended early.
    Early(ImportError),
}

/// Reads on a thread of its own, as far ahead as few chunks go. The thread may stand in a read for
/// ever (standard input), so nobody waits for it.
fn read_on_a_thread(input: impl Read + Send + 'static) -> mpsc::Receiver<io::Result<Chunk>> {
    let (send, receive) = mpsc::channel(CHUNKS);
    std::thread::spawn(move || {
        let mut lines = Lines::new(BufReader::with_capacity(CHUNK_BYTES, input));
        while let Some(chunk) = next_chunk(&mut lines).transpose() {
            let over = chunk.is_err();
            // Nobody takes it once the import has ended.
            if send.blocking_send(chunk).is_err() || over {
                break;
            }
        }
    });
    receive
}

fn next_chunk(lines: &mut Lines<impl io::BufRead>) -> io::Result<Option<Chunk>> {
    let mut chunk = Chunk::new();
    let mut bytes = 0;
    while chunk.len() < CHUNK_LINES && bytes < CHUNK_BYTES {
        let Some(line) = lines.next().transpose()? else { break };
        if let (_, Line::Text(text)) = &line {
            bytes += text.len();
        }
        chunk.push(line);
    }
    Ok((!chunk.is_empty()).then_some(chunk))
}

/// An import that goes on, and what has been said about it.
struct Run {
    import: UserImport,
    /// The first refused lines: their numbers, and why.
    problems: Vec<(u64, LineProblem)>,
    bar: ProgressBar,
}

impl Run {
    /// Imports all there is, or until it is told to stop; never in the middle of a write, so that
    /// what it reports is what is there.
    async fn everything(
        &mut self,
        mut chunks: mpsc::Receiver<io::Result<Chunk>>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ChunkError> {
        let failed = |error: service::Error| ChunkError::Early(ImportError::Write(error.into()));
        let mut stop = std::pin::pin!(stop);
        loop {
            let chunk = tokio::select! {
                biased;
                () = &mut stop => return Err(ChunkError::Early(ImportError::Interrupted)),
                chunk = chunks.recv() => chunk,
            };
            let Some(chunk) = chunk else { break };
            for (number, line) in chunk.map_err(ChunkError::Read)? {
                if let Err(problem) = self.import.take(&line).await.map_err(failed)? {
                    self.refused(number, problem);
                }
            }
            let report = self.import.report();
            self.bar.set_message(format!("{} accounts", report.imported + report.already_there));
        }
        self.import.finish().await.map_err(failed)
    }

    fn refused(&mut self, number: u64, problem: LineProblem) {
        self.bar.suspend(|| eprintln!("line {number}: {problem}"));
        if self.problems.len() < REPORTED_PROBLEMS {
            self.problems.push((number, problem));
        }
    }

    fn report(&self, dry_run: bool, complete: bool, as_json: bool) -> String {
        let report = self.import.report();
        if as_json { self.json(report, dry_run, complete) } else { text(report, dry_run) }
    }

    fn json(&self, report: &ImportReport, dry_run: bool, complete: bool) -> String {
        let hashes: serde_json::Map<String, Value> =
            report.hashes.iter().map(|(kind, count)| (kind.to_string(), json!(count))).collect();
        let problems: Vec<Value> = self
            .problems
            .iter()
            .map(|(number, problem)| json!({ "line": number, "reason": problem.to_string() }))
            .collect();
        let report = json!({
            "dryRun": dry_run,
            "complete": complete,
            "imported": report.imported,
            "alreadyThere": report.already_there,
            "refused": report.refused,
            "hashes": hashes,
            "mustReset": report.must_reset,
            "dearestHashKib": report.dearest_hash_kib,
            "problems": problems,
        });
        format!("{report:#}\n")
    }
}

/// The report for people.
fn text(report: &ImportReport, dry_run: bool) -> String {
    let verb = if dry_run { "would be imported" } else { "imported" };
    let ImportReport { imported, already_there, refused, .. } = report;
    let mut lines = vec![format!("{imported} {verb}, {already_there} already there, {refused} refused")];
    lines.extend(report.hashes.iter().map(|(kind, count)| format!("  {kind}: {count}")));
    if report.must_reset > 0 {
        lines.push(format!("  no password, must reset: {}", report.must_reset));
    }
    if report.dearest_hash_kib > 0 {
        let mib = report.dearest_hash_kib.div_ceil(1024);
        lines.push(format!("  checking the dearest of these hashes takes {mib} MiB"));
    }
    lines.join("\n") + "\n"
}
