//! `hallpass secret`: from one server secret to the next.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::operator::{self, OutputArgs};
use super::{Failure, SettingsArgs, print_line};
use crate::app::{self, Environment};
use crate::config::{Profile, Purpose};
use crate::service::secret_rotation::{Kept, Rotation, RotationOptions};

/// The arguments of the command.
#[derive(Args)]
pub(super) struct SecretArgs {
    #[command(subcommand)]
    command: SecretCommand,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Subcommand)]
enum SecretCommand {
    /// Encrypt what is kept anew, under the secret that mints; once every replica lets it mint
    Rotate {
        /// Whatever replicas run, and whichever secrets they know
        #[arg(long)]
        force: bool,
        /// Where what limits are keyed by is under a secret that is lost: begin them anew
        #[arg(long)]
        forget_limits: bool,
    },
}

/// Runs the command: exit code 1 as well when something is under a secret that is not known.
pub(super) fn run(args: SecretArgs) -> Result<ExitCode, Failure> {
    let SecretArgs { command, settings, output } = args;
    let settings = settings.load(Profile::Serve, Purpose::Inspect)?.settings;
    operator::log_for_people(&settings, "warn")?;
    let SecretCommand::Rotate { force, forget_limits } = command;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let options = RotationOptions { force, forget_limits };
        let (secrets, done) = app::rotate_secret(&settings, options, &Environment::real()).await?;
        let minting = secrets.mark().to_string();
        if output.json {
            print_line(&to_json(&minting, &done).to_string());
        } else {
            say(&minting, &done);
        }
        Ok(if done.unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

fn to_json(minting: &str, done: &Rotation) -> serde_json::Value {
    let names = |kept: &[Kept]| kept.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "secret": minting,
        "rotated": names(&done.sealed_anew),
        "unreadable": names(&done.unreadable),
        "current": done.current,
        "forgotten": done.forgot_limits,
    })
}

fn say(minting: &str, done: &Rotation) {
    for kept in &done.sealed_anew {
        print_line(&format!("{kept}: encrypted anew"));
    }
    for kept in &done.unreadable {
        print_line(&format!("{kept}: under a secret that is not known, so it stays as it is"));
    }
    if done.forgot_limits {
        print_line("limits and known places begin anew");
    }
    print_line(&match (done.sealed_anew.is_empty(), done.unreadable.is_empty()) {
        (true, true) => format!("all {} were under {minting} already", done.current),
        (_, true) => format!("all {} are under {minting} now", done.current),
        (_, false) => format!("{} are under {minting} now", done.current),
    });
}
