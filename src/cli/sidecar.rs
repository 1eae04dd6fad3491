//! `hallpass sidecar`: checks access tokens for what runs beside it, without stores of its own.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{Failure, print_line};
use crate::app::{ListenAt, SidecarOptions, run_sidecar};
use crate::config::{LogFormat, LogSettings, LoggedRequests, Secret};
use crate::domain::plain_text::plain_text;
use crate::telemetry;

/// The arguments of the command. Flags win over the environment.
#[derive(Args)]
pub(super) struct SidecarArgs {
    /// The issuer of the tokens, exactly as they name it (`iss`): the service's public URL
    #[arg(long, value_name = "URL", env = "HALLPASS_SIDECAR__ISSUER")]
    issuer: String,
    /// Whom tokens must be for, exactly as they name it (`aud`)
    #[arg(long, value_name = "AUDIENCE", env = "HALLPASS_SIDECAR__AUDIENCE")]
    audience: String,
    /// The client that the sidecar is to the issuer; it needs the scope revocations:read
    #[arg(long, value_name = "ID", env = "HALLPASS_SIDECAR__CLIENT_ID")]
    client_id: String,
    /// The file with that client's secret, on its first line
    #[arg(long, value_name = "FILE", env = "HALLPASS_SIDECAR__CLIENT_SECRET_FILE")]
    client_secret_file: PathBuf,
    /// Where to listen: a loopback address and a port, or unix: and the path of a socket
    #[arg(
        long,
        value_name = "ADDRESS:PORT|unix:PATH",
        env = "HALLPASS_SIDECAR__LISTEN",
        default_value = "127.0.0.1:9191"
    )]
    listen: ListenAt,
    /// Where the issuer is reached, if not at its own URL
    #[arg(long, value_name = "URL", env = "HALLPASS_SIDECAR__REACH_AT")]
    reach_at: Option<String>,
    /// Certificates (PEM) to trust beside those of the machine
    #[arg(long, value_name = "FILE", env = "HALLPASS_SIDECAR__CA_FILE")]
    ca_file: Option<PathBuf>,
    /// How old the knowledge of revocations may be before nothing is decided (503), like 2s
    #[arg(long, value_name = "DURATION", env = "HALLPASS_SIDECAR__MAX_STALENESS", default_value = "2s", value_parser = duration)]
    max_staleness: Duration,
    /// Tell services of e-mail addresses that nobody has proven as well
    #[arg(long, env = "HALLPASS_SIDECAR__UNVERIFIED_EMAIL")]
    unverified_email: bool,
    /// Reach the issuer without TLS though it is not on this machine: whoever is on the way reads the secret and can
    /// keep revocations back
    #[arg(long, env = "HALLPASS_SIDECAR__DANGER_ALLOW_HTTP")]
    danger_allow_http: bool,
    /// How log lines look; pretty on a terminal and json elsewhere unless given
    #[arg(long, value_name = "FORMAT", env = "HALLPASS_SIDECAR__LOG_FORMAT")]
    log_format: Option<Format>,
    /// What is logged: error, warn, info, debug, trace, or directives per target
    #[arg(long, value_name = "LEVEL", env = "HALLPASS_SIDECAR__LOG_LEVEL", default_value = "info")]
    log_level: String,
}

/// How log lines look.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Pretty,
    Json,
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("it has to be more than nothing".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

/// Runs the command until the process is told to stop.
pub(super) fn run(args: SidecarArgs) -> Result<ExitCode, Failure> {
    let format = match args.log_format {
        Some(Format::Pretty) => LogFormat::Pretty,
        Some(Format::Json) => LogFormat::Json,
        None if std::io::stderr().is_terminal() => LogFormat::Pretty,
        None => LogFormat::Json,
    };
    let requests = LoggedRequests::default();
    telemetry::init(&LogSettings { level: args.log_level, format, requests, client_address: true })?;
    let options = SidecarOptions {
        client_secret: secret(&args.client_secret_file)?,
        issuer: args.issuer,
        audience: args.audience,
        client_id: args.client_id,
        listen: args.listen,
        reach_at: args.reach_at,
        ca_file: args.ca_file,
        danger_allow_http: args.danger_allow_http,
        max_staleness: args.max_staleness,
        unverified_email: args.unverified_email,
        logged: requests,
    };
    super::block_on(async {
        Ok(run_sidecar(options, |at| print_line(&format!("hallpass sidecar listens on {at}"))).await?)
    })
}

/// The first line of a file, which is a secret.
fn secret(file: &Path) -> Result<Secret, Failure> {
    let name = file.display();
    let bytes = std::fs::read(file).map_err(|error| format!("{name} cannot be read: {error}"))?;
    let text = plain_text(bytes).map_err(|error| format!("{name} cannot be read: {error}"))?;
    match text.lines().next().unwrap_or_default() {
        "" => Err(format!("{name} is empty: it should have the client's secret").into()),
        line => Ok(Secret::new(line)),
    }
}
