//! `hallpass serve`: the service in production.

use std::process::ExitCode;

use super::{Failure, SettingsArgs};
use crate::app;
use crate::config::Profile;

/// Runs the command.
pub(super) fn run(args: SettingsArgs) -> Result<ExitCode, Failure> {
    let loaded = super::load_to_start(args, Profile::Serve)?;
    super::block_on(async { Ok(app::run(loaded.settings, |_, _| ()).await?) })
}
