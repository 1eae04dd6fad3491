//! `hallpass backup`: one file with what a service on SQLite keeps.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::operator::{self, OutputArgs};
use super::{Failure, SettingsArgs, print_line};
use crate::app::Environment;
use crate::app::backups::{self, Making, Manifest, SECRET};
use crate::config::{Profile, Purpose, Settings};
use crate::domain::clock::Timestamp;

/// The arguments of the command.
#[derive(Args)]
pub(super) struct BackupArgs {
    /// The file to write, a ZIP archive for its owner alone
    file: PathBuf,
    /// Replace the file where it is there
    #[arg(long)]
    force: bool,
    /// Put the secret of the data folder into it, too
    #[arg(long)]
    with_secret: bool,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the command. Nothing that only a service needs is asked for.
pub(super) fn run(args: BackupArgs) -> Result<ExitCode, Failure> {
    let BackupArgs { file, force, with_secret, settings, output } = args;
    let settings = settings.load(Profile::Serve, Purpose::Inspect)?.settings;
    operator::log_for_people(&settings, "warn")?;
    super::block_on(async {
        let making = Making { file: file.clone(), force, with_secret };
        let manifest = backups::back_up(&settings, making, &Environment::real()).await?;
        say_what_is_not_in_it(&settings, &manifest);
        if output.json {
            print_line(&as_json(&manifest, Some(&file)).to_string());
        } else {
            let names: Vec<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
            print_line(&format!("{} has {}", file.display(), names.join(", ")));
        }
        Ok(())
    })
}

/// On standard error, so that it is heard where the answer is for programs.
fn say_what_is_not_in_it(settings: &Settings, manifest: &Manifest) {
    if !settings.token_store.is_in_process() {
        eprintln!(
            "note: the token store is {}, and is not in the backup; what is in it lives for as long as sessions do",
            settings.token_store.title()
        );
    }
    if !manifest.has(SECRET) {
        eprintln!(
            "note: the secret is not in the backup: keep it elsewhere. Without it the signing keys cannot be read"
        );
    }
}

/// A backup for programs.
pub(super) fn as_json(manifest: &Manifest, file: Option<&Path>) -> Value {
    let files: Vec<Value> =
        manifest.files.iter().map(|file| json!({"name": file.name, "bytes": file.bytes})).collect();
    json!({
        "file": file.map(|file| file.display().to_string()),
        "version": manifest.version,
        "deployment": manifest.deployment.map(|id| id.to_string()),
        "createdAt": manifest.created_at,
        "files": files,
    })
}

/// The moment that a backup is of, for people.
pub(super) fn made_at(manifest: &Manifest) -> String {
    operator::moment(Timestamp::from_secs(manifest.created_at))
}
