//! `hallpass users import`: accounts from files that another system, or nobody in particular, wrote. The
//! service may run meanwhile.

mod firebase;
mod reading;
mod report;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};
use tokio::sync::mpsc;

use self::firebase::FirebaseArgs;
use self::reading::{Chunk, Input, ReadError};
use self::report::Problems;
use crate::app::{self, Environment};
use crate::cli::operator::{self, OutputArgs};
use crate::cli::{Failure, SOME_REFUSED, SettingsArgs};
use crate::config::{Profile, Purpose};
use crate::server;
use crate::service;
use crate::service::audit::Audit;
use crate::service::user_import::{FORMATS, Format, ImportOptions, UserImport};

/// What to import, and how.
#[derive(Args)]
pub(super) struct ImportArgs {
    /// The files, or - for standard input. Without --format one JSON object a line with email, and where there
    /// are any password_hash, first_name, last_name, role, email_verified, disabled, created_at, external_id and metadata
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What wrote the files
    #[arg(long, default_value = FORMATS[0].name, value_parser = format_parser())]
    format: &'static Format,
    /// Write nothing; report what would be imported
    #[arg(long)]
    dry_run: bool,
    /// Let lines make administrators
    #[arg(long)]
    allow_admins: bool,
    #[command(flatten)]
    firebase: FirebaseArgs,
}

fn format_parser() -> impl clap::builder::TypedValueParser<Value = &'static Format> {
    let values = FORMATS.iter().map(|format| PossibleValue::new(format.name).help(format.about));
    PossibleValuesParser::new(values)
        .map(|name| FORMATS.into_iter().find(|format| format.name == name).unwrap_or(FORMATS[0]))
}

/// Why an import ended early. What it had committed by then stays.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error("{} cannot be read", .0.display())]
    Open(PathBuf, #[source] io::Error),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("interrupted; the same command goes on from there")]
    Interrupted,
    #[error("the import stopped; the same command goes on from there")]
    Write(#[source] Failure),
}

/// Runs the command: exit code 0 when every entry has its account now, 3 when some were refused, 1
/// when it ended early.
pub(super) fn run(args: ImportArgs, settings: SettingsArgs, output: OutputArgs) -> Result<ExitCode, Failure> {
    let settings = settings.load(Profile::Serve, Purpose::Inspect)?.settings;
    operator::log_for_people(&settings, "warn")?;
    let firebase = args.firebase.project(args.format)?;
    let input = Input::open(args.files).map_err(|(file, error)| ImportError::Open(file, error))?;
    let options = ImportOptions {
        format: args.format,
        firebase,
        allow_admins: args.allow_admins,
        dry_run: args.dry_run,
        size: app::token_size(&settings, &settings.issuer(settings.listen)),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let stop = server::stop_signal()?;
        let (database, _) = app::open_database(&settings).await?;
        let (environment, audit) = (Environment::real(), Audit::start(database.audit_log));
        let mut run = Run {
            import: UserImport::new(database.users, environment.clock, options),
            problems: Problems::new(input.bar(), input.names()),
        };
        let outcome = run.everything(input.read_on_a_thread(args.format), stop).await;
        run.problems.bar.finish_and_clear();
        run.import.note(&audit, &*environment.random);
        app::close_audit(&audit, settings.shutdown_grace).await;
        let report = report::report(
            run.import.report(),
            &run.problems,
            report::Ran { dry_run: args.dry_run, complete: outcome.is_ok() },
            output.json,
        );
        io::stdout().write_all(report.as_bytes())?;
        outcome?;
        Ok(if run.import.report().refused > 0 { ExitCode::from(SOME_REFUSED) } else { ExitCode::SUCCESS })
    })
}

/// An import that goes on, and what has been said about it.
struct Run {
    import: UserImport,
    problems: Problems,
}

impl Run {
    /// Imports all there is, or until it is told to stop; never in the middle of a write, so that
    /// what it reports is what is there.
    async fn everything(
        &mut self,
        mut chunks: mpsc::Receiver<Result<Chunk, ReadError>>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ImportError> {
        let failed = |error: service::Error| ImportError::Write(error.into());
        let mut stop = std::pin::pin!(stop);
        loop {
            let chunk = tokio::select! {
                biased;
                () = &mut stop => return Err(ImportError::Interrupted),
                chunk = chunks.recv() => chunk,
            };
            let Some(chunk) = chunk else { break };
            let chunk = match chunk {
                Ok(chunk) => chunk,
                // What was read before stands for itself.
                Err(error) => {
                    self.import.finish().await.map_err(failed)?;
                    return Err(error.into());
                }
            };
            for (place, entry) in chunk.entries {
                if let Err(problem) = self.import.take(&entry).await.map_err(failed)? {
                    self.problems.add(chunk.file, place, problem);
                }
            }
            let report = self.import.report();
            self.problems.bar.set_message(format!("{} accounts", report.imported + report.already_there));
        }
        self.import.finish().await.map_err(failed)
    }
}
