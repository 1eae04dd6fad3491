//! `hallpass migrate`: brings the database to the schema of this version.

use std::process::ExitCode;

use super::{Failure, SettingsArgs};
use crate::config::{Profile, Purpose, Settings};
use crate::telemetry;

/// Runs the command. It needs the database alone, so nothing that only a service needs is asked for.
pub(super) fn run(args: SettingsArgs) -> Result<ExitCode, Failure> {
    let settings = args.load(Profile::Serve, Purpose::Inspect)?.settings;
    telemetry::init(&settings.log)?;
    super::block_on(migrate(settings))
}

/// Runs the migrations that are missing.
async fn migrate(settings: Settings) -> Result<(), Failure> {
    tracing::debug!(data_dir = %settings.data_dir.display(), "migrating");
    Err("the database is not part of this build".into())
}
