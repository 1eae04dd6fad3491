//! `hallpass sidecar`: checks access tokens for what runs beside it, without stores of its own.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Command, ValueEnum};

use super::{Failure, print_line};
use crate::app::{ListenAt, SidecarOptions, run_sidecar};
use crate::config::{LogFormat, LogSettings, LoggedRequests, Secret, nearest_name};
use crate::domain::plain_text::plain_text;
use crate::telemetry;

/// The arguments of the command. Flags win over the environment.
#[derive(Args)]
pub(super) struct SidecarArgs {
    /// The issuer of the tokens, exactly as they name it (`iss`): the service's public URL
    #[arg(long, value_name = "URL", env = "HALLPASS_SIDECAR__ISSUER")]
    issuer: String,
    /// Whom tokens must be for, exactly as they name it (`aud`); several with commas between, of which one is enough
    #[arg(
        long,
        value_name = "AUDIENCE",
        env = "HALLPASS_SIDECAR__AUDIENCE",
        required = true,
        value_delimiter = ',',
        value_parser = NonEmptyStringValueParser::new()
    )]
    audience: Vec<String>,
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

/// What the variables of this command begin with.
const PREFIX: &str = "HALLPASS_SIDECAR__";

/// A variable of this command's that it does not know: whoever set it believes that it counts.
#[derive(Debug, thiserror::Error)]
#[error("{name} is no setting of a sidecar: {help}")]
pub(super) struct UnknownVariable {
    name: String,
    help: String,
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

/// Refuses the first of these names of variables that begins as this command's do and is none.
fn known_variables(names: impl Iterator<Item = String>) -> Result<(), UnknownVariable> {
    let command = SidecarArgs::augment_args(Command::new("sidecar"));
    let known: Vec<&str> =
        command.get_arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
    let mut ours = names.filter(|name| name.starts_with(PREFIX));
    let Some(name) = ours.find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
    let help = match nearest_name(&name, known.into_iter()) {
        Some(near) => format!("did you mean {near}?"),
        None => "unset it; `hallpass sidecar --help` lists all".to_owned(),
    };
    Err(UnknownVariable { name, help })
}

/// Runs the command until the process is told to stop.
pub(super) fn run(args: SidecarArgs) -> Result<ExitCode, Failure> {
    known_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
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
        audiences: args.audience,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(names: &[&str]) -> Option<String> {
        let outcome = known_variables(names.iter().map(ToString::to_string));
        outcome.err().map(|error| error.to_string())
    }

    #[test]
    fn a_variable_that_is_none_is_refused_by_its_name() {
        let known =
            ["HALLPASS_SIDECAR__ISSUER", "HALLPASS_SIDECAR__LOG_LEVEL", "HALLPASS_SIDECAR__UNVERIFIED_EMAIL"];
        assert_eq!(refused(&known), None);
        assert_eq!(refused(&["HALLPASS_SIDECAR_SERVICE_HOST", "HALLPASS_PUBLIC_URL", "PATH"]), None);
        let near = refused(&["HALLPASS_SIDECAR__MAX_STALENES"]).expect("refused");
        assert!(near.ends_with("did you mean HALLPASS_SIDECAR__MAX_STALENESS?"), "{near}");
        let far = refused(&["HALLPASS_SIDECAR__COLOUR"]).expect("refused");
        assert!(far.starts_with("HALLPASS_SIDECAR__COLOUR") && far.contains("--help"), "{far}");
    }
}
