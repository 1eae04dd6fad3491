//! `hallpass config`: what the settings are, and what is wrong with them.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::{Failure, ListenArgs};
use crate::config::{Profile, Purpose, dump};

/// What to do with the settings.
#[derive(Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Name every mistake, and everything that would keep the service from starting
    Check(ProfileArgs),
    /// Print the settings in effect and where each came from; secrets are left out
    Dump(ProfileArgs),
}

#[derive(Args)]
struct ProfileArgs {
    /// The command whose defaults and rules hold
    #[arg(long = "for", value_name = "COMMAND", default_value = "serve")]
    command: ProfileName,
    #[command(flatten)]
    settings: ListenArgs,
}

/// A command that runs the service.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum ProfileName {
    Dev,
    Serve,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Dev => Self::Dev,
            ProfileName::Serve => Self::Serve,
        }
    }
}

/// Runs the command.
pub(super) fn run(args: ConfigArgs) -> Result<ExitCode, Failure> {
    let output = match args.action {
        Action::Check(args) => {
            let loaded = args.settings.load(args.command.into(), Purpose::Start)?;
            for warning in &loaded.warnings {
                eprintln!("warning: {warning}");
            }
            "ok\n".to_owned()
        }
        Action::Dump(args) => dump(&args.settings.load(args.command.into(), Purpose::Inspect)?.values),
    };
    // Unlike println!, this is no panic when the reader has gone (`| head`).
    std::io::stdout().write_all(output.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
