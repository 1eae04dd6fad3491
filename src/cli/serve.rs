//! `hallpass serve`: the service in production.

use std::process::ExitCode;

use super::{Failure, ListenArgs};
use crate::app::{self, Start};
use crate::config::Profile;

/// Runs the command.
pub(super) fn run(args: ListenArgs) -> Result<ExitCode, Failure> {
    let loaded = super::load_to_start(args, Profile::Serve)?;
    super::block_on(async {
        Ok(app::run(Start { settings: loaded.settings, example_people: false }, |_, _| ()).await?)
    })
}
