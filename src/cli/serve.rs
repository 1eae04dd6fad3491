//! `hallpass serve`: the service in production.

use std::process::ExitCode;

use super::{Failure, SettingsArgs};
use crate::config::{Profile, Settings};

/// Runs the command.
pub(super) fn run(args: SettingsArgs) -> Result<ExitCode, Failure> {
    let loaded = super::load_to_start(args, Profile::Serve)?;
    super::block_on(start(loaded.settings))
}

/// Starts the service and serves until told to stop.
async fn start(settings: Settings) -> Result<(), Failure> {
    tracing::info!(listen = %settings.listen, "starting");
    Err("the service is not part of this build".into())
}
