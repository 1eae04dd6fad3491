//! Logs: where they go and how they look.

mod fields;
mod lines;
mod terminal;

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

pub use self::lines::Lines;
use crate::config::LogSettings;

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level cannot be read; settings are checked for this, so only a hand-made one gets here.
    #[error("log.level cannot be read")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// This process already logs somewhere.
    #[error("the log is already set up")]
    Taken(#[from] TryInitError),
}

/// Sends this process's log lines to standard error, which leaves standard output to what a
/// command prints. Colours only where somebody watches.
///
/// # Errors
/// [`TelemetryError`], most likely since the process has called this before.
pub fn init(log: &LogSettings) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder().parse(&log.level)?;
    let lines = Lines::new(log, io::stderr().is_terminal(), io::stderr);
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    Ok(())
}
