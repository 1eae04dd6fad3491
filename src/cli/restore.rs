//! `hallpass restore`: back to a backup; everybody has to log in again.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::backup::{as_json, made_at};
use super::operator::OutputArgs;
use super::{Failure, SettingsArgs, print_line};
use crate::app::Environment;
use crate::app::backups::{self, Manifest, Restored};
use crate::config::{Profile, Purpose};
use crate::telemetry;

/// The arguments of the command.
#[derive(Args)]
pub(super) struct RestoreArgs {
    /// A backup that `hallpass backup` has made
    #[arg(required_unless_present = "in_place", conflicts_with = "in_place")]
    file: Option<PathBuf>,
    /// The stores were restored by other means: do the rest
    #[arg(long)]
    in_place: bool,
    /// Replace a database that is there
    #[arg(long, conflicts_with = "in_place")]
    force: bool,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the command. Nothing that only a service needs is asked for.
pub(super) fn run(args: RestoreArgs) -> Result<ExitCode, Failure> {
    let RestoreArgs { file, force, settings, output, .. } = args;
    let mut settings = settings.load(Profile::Serve, Purpose::Inspect)?.settings;
    // That the token store begins anew is what is wanted.
    settings.log.level = "error".to_owned();
    telemetry::init(&settings.log)?;
    super::block_on(async {
        let environment = Environment::real();
        let (manifest, restored) = match file {
            Some(file) => {
                let (manifest, restored) = backups::restore(&settings, file, force, &environment).await?;
                (Some(manifest), restored)
            }
            None => (None, backups::restore_in_place(&settings, &environment).await?),
        };
        if output.json {
            print_line(&to_json(manifest.as_ref(), &restored).to_string());
        } else {
            say(manifest.as_ref(), &restored);
        }
        Ok(())
    })
}

fn say(manifest: Option<&Manifest>, restored: &Restored) {
    if let Some(manifest) = manifest {
        print_line(&format!("{} as of {}", restored.files.join(", "), made_at(manifest)));
    }
    print_line(&match restored.accounts {
        1 => "the 1 account that there is must log in again".to_owned(),
        accounts => format!("all {accounts} accounts must log in again"),
    });
    if restored.unreadable.is_some_and(|unreadable| unreadable > 0) {
        print_line(
            "its signing keys are under another secret than is set here: set that of the backup as `secret`, or, beside \
             the one of today, as `secret_accepted`, before the service is started",
        );
    }
}

fn to_json(manifest: Option<&Manifest>, restored: &Restored) -> Value {
    json!({
        "accounts": restored.accounts,
        "restored": restored.files,
        "unreadable": restored.unreadable,
        "backup": manifest.map(|manifest| as_json(manifest, None)),
    })
}
