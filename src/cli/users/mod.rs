//! `hallpass users`: the accounts, from the command line.

pub mod import;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Failure;

/// What to do with accounts.
#[derive(Args)]
pub struct UsersArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Bring accounts along from another system, password hashes included
    Import(import::ImportArgs),
}

/// Runs the command.
pub(super) fn run(args: UsersArgs) -> Result<ExitCode, Failure> {
    match args.action {
        Action::Import(args) => import::run(args),
    }
}
