//! `hallpass migrate`: brings the database to the schema of this version.

use std::process::ExitCode;

use super::operator;
use super::{Failure, SettingsArgs};
use crate::app;
use crate::config::{Profile, Purpose};

/// Runs the command. It needs the database alone, so nothing that only a service needs is asked for.
pub(super) fn run(args: SettingsArgs) -> Result<ExitCode, Failure> {
    let settings = args.load(Profile::Serve, Purpose::Inspect)?.settings;
    operator::log_for_people(&settings, &settings.log.level)?;
    super::block_on(async {
        let (_, steps) = app::open_database(&settings).await?;
        for step in &steps {
            println!("{step}");
        }
        println!("{} steps taken; the database is up to date", steps.len());
        Ok(())
    })
}
