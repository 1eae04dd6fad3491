//! Logs: where they go and how they look.

mod fields;
mod lines;
mod terminal;

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Registry, reload};

pub use self::lines::Lines;
use crate::config::LogSettings;

/// Where the level of this process's log is changed.
static LEVEL: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level cannot be read; settings are checked for this, so only a hand-made one gets here.
    #[error("log.level cannot be read")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// This process already logs somewhere.
    #[error("the log is already set up")]
    Taken(#[from] TryInitError),
    /// This process does not log yet.
    #[error("the log is not set up")]
    NotSetUp,
    /// The level cannot be changed.
    #[error("the level of the log cannot be changed")]
    Reload(#[from] reload::Error),
}

/// Sends this process's log lines to standard error, which leaves standard output to what a
/// command prints. Colours only where somebody watches.
///
/// # Errors
/// [`TelemetryError`], most likely since the process has called this before.
pub fn init(log: &LogSettings) -> Result<(), TelemetryError> {
    let (filter, level) = reload::Layer::new(EnvFilter::builder().parse(&log.level)?);
    let lines = Lines::new(log, io::stderr().is_terminal(), io::stderr);
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    // Nobody else has set it: whoever comes second has failed above.
    let _ = LEVEL.set(level);
    Ok(())
}

/// Logs by another level from now on, as `log.level` writes it.
///
/// # Errors
/// [`TelemetryError`], and the level stays as it was.
pub fn set_level(level: &str) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder().parse(level)?;
    LEVEL.get().ok_or(TelemetryError::NotSetUp)?.reload(filter)?;
    Ok(())
}
