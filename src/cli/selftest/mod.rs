//! `hallpass selftest`: what a running service promises, measured from outside.

mod client;
mod enumeration;
mod statistics;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Failure;

/// What to test.
#[derive(Args)]
pub struct SelftestArgs {
    #[command(subcommand)]
    test: Test,
}

#[derive(Subcommand)]
enum Test {
    /// Measure whether answers, or their times, tell which addresses have an account
    ///
    /// Logs in with wrong passwords and requests password resets, for an address that has an account
    /// and for addresses that have none, in random order. Compares status, headers and body, and the
    /// medians of the times; fails when these are not within a tenth of each other.
    ///
    /// Run it against a service that was started with HALLPASS_RATE_LIMITS__ENABLED=false, on a machine
    /// that does nothing else. Each sample of the reset request is a real one: where reset tokens are
    /// mailed, the account gets a mail for each, so take an account of your own.
    Enumeration(enumeration::EnumerationArgs),
}

/// Runs the command.
pub(super) fn run(args: SelftestArgs) -> Result<ExitCode, Failure> {
    match args.test {
        Test::Enumeration(args) => enumeration::run(args),
    }
}
