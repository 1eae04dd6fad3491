//! `hallpass serve`: the service in production.

use std::process::ExitCode;

use super::{Failure, ListenArgs};
use crate::app::{self, Reload, Start};
use crate::config::{Profile, Purpose};
use crate::telemetry;

/// Runs the command. SIGHUP has the settings read again, from the same flags, environment and files.
pub(super) fn run(args: ListenArgs) -> Result<ExitCode, Failure> {
    let again = args.clone();
    let loaded = super::load_to_start(args, Profile::Serve)?;
    let reload = Reload {
        started: loaded.values,
        read: Box::new(move || Ok(again.clone().load(Profile::Serve, Purpose::Start)?)),
        set_log_level: |level| Ok(telemetry::set_level(level)?),
    };
    let start = Start { settings: loaded.settings, example_people: false, reload: Some(reload) };
    super::block_on(async { Ok(app::run(start, |_, _| ()).await?) })
}
