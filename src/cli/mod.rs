//! The command line: one file per command.
//!
//! Exit codes: 0 when all went well, 1 when the command failed, 2 when it was called wrongly or the
//! settings are wrong, 3 when an import refused some of its lines and took all others.

mod backup;
mod clients;
mod completions;
pub mod config;
mod deployment;
pub mod dev;
mod doctor;
pub mod healthcheck;
mod keys;
mod mail;
pub mod migrate;
pub mod openapi;
mod operator;
mod restore;
mod secret;
mod selftest;
pub mod serve;
mod sessions;
mod sidecar;
mod table;
mod tokens;
mod users;

use std::error::Error;
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::StartError;
use crate::config::{ConfigErrors, FlagValue, Loaded, Profile, Purpose, ServerSecretError, Sources};
use crate::telemetry;

/// The command was called wrongly, or the settings are wrong; clap's code as well.
const USAGE: u8 = 2;

/// An import refused some of its lines and took all others.
const SOME_REFUSED: u8 = 3;

/// What a command ends with when it fails.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// A token service: issues, refreshes, revokes and validates tokens.
#[derive(Parser)]
#[command(name = "hallpass", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run for trying out: nothing to set up, on this machine alone
    Dev(dev::DevArgs),
    /// Run in production; refuses to start on anything unsafe
    Serve(ListenArgs),
    /// Check access tokens for services on this machine, by what a running service tells
    Sidecar(sidecar::SidecarArgs),
    /// Bring the database to the schema of this version
    Migrate(SettingsArgs),
    /// Accounts: make, import, show, list, change, shut, delete
    Users(users::UsersArgs),
    /// OAuth clients: make, list, delete them, rotate their secrets
    Clients(clients::ClientsArgs),
    /// Sessions: list and end them
    Sessions(sessions::SessionsArgs),
    /// Signing keys: list, make, move on, revoke
    Keys(keys::KeysArgs),
    /// Server secrets: from one to the next
    Secret(secret::SecretArgs),
    /// Tokens: what one says, whether it is good and why not, and taking it back
    Tokens(tokens::TokensArgs),
    /// Mails: whether they get out
    Mail(mail::MailArgs),
    /// Deployment: which one the database is that of, and making it another
    Deployment(deployment::DeploymentArgs),
    /// Copy database and embedded token store into one file, beside the running service
    Backup(backup::BackupArgs),
    /// Go back to a backup: everybody has to log in again
    Restore(restore::RestoreArgs),
    /// Look whether everything that the service stands on is fit for it
    Doctor(doctor::DoctorArgs),
    /// Look at the settings
    Config(config::ConfigArgs),
    /// Print an OpenAPI document, or write them all
    Openapi(openapi::OpenapiArgs),
    /// Ask the running service whether it is ready
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Measure from outside what a running service promises
    Selftest(selftest::SelftestArgs),
    /// Print the completions of a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual page
    Man,
    /// Print the version
    Version,
}

/// Where settings are to be found beside the environment: the same for every command, so `-h` is silent about
/// it and `--help` is not.
#[derive(Args, Clone, Debug)]
pub struct SettingsArgs {
    /// The settings file, in TOML
    #[arg(global = true, long, value_name = "FILE", help_heading = SETTINGS, hide_short_help = true)]
    config: Option<PathBuf>,
    /// The folder for everything kept in files
    #[arg(global = true, long, value_name = "FOLDER", help_heading = SETTINGS, hide_short_help = true)]
    data_dir: Option<String>,
    /// Any setting but a secret, like tokens.access_ttl=5m; may be repeated
    #[arg(global = true, long = "set", value_name = "KEY=VALUE", help_heading = SETTINGS, hide_short_help = true)]
    assignments: Vec<String>,
}

/// The heading of these flags.
const SETTINGS: &str = "Settings";

/// The same for a command to which it matters where the service listens.
#[derive(Args, Clone, Debug)]
pub struct ListenArgs {
    /// The address and port that the service listens on
    #[arg(global = true, long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl From<SettingsArgs> for ListenArgs {
    fn from(settings: SettingsArgs) -> Self {
        Self { listen: None, settings }
    }
}

impl SettingsArgs {
    /// The settings from these flags, the environment and the settings file.
    fn load(self, profile: Profile, purpose: Purpose) -> Result<Loaded, ConfigErrors> {
        ListenArgs::from(self).load(profile, purpose)
    }
}

impl ListenArgs {
    fn sources(self) -> Sources {
        let SettingsArgs { config, data_dir, assignments } = self.settings;
        let named = |flag, key, text: Option<String>| text.map(|text| FlagValue::Named { flag, key, text });
        let mut flags: Vec<FlagValue> = assignments.into_iter().map(FlagValue::Set).collect();
        flags.extend(named("--listen", "listen", self.listen));
        flags.extend(named("--data-dir", "data_dir", data_dir));
        Sources::from_process(config, flags)
    }

    /// The settings from these flags, the environment and the settings file. Flags win over the environment,
    /// and that over the file.
    fn load(self, profile: Profile, purpose: Purpose) -> Result<Loaded, ConfigErrors> {
        crate::config::load(profile, purpose, &self.sources())
    }
}

/// Runs the command that the process was called with.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Dev(args) => dev::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Sidecar(args) => sidecar::run(args),
        Command::Migrate(args) => migrate::run(args),
        Command::Config(args) => config::run(args),
        Command::Openapi(args) => openapi::run(&args),
        Command::Healthcheck(args) => healthcheck::run(args),
        Command::Users(args) => users::run(args),
        Command::Clients(args) => clients::run(args),
        Command::Sessions(args) => sessions::run(args),
        Command::Keys(args) => keys::run(args),
        Command::Secret(args) => secret::run(args),
        Command::Tokens(args) => tokens::run(args),
        Command::Mail(args) => mail::run(args),
        Command::Deployment(args) => deployment::run(args),
        Command::Backup(args) => backup::run(args),
        Command::Restore(args) => restore::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Selftest(args) => selftest::run(args),
        Command::Completions(args) => completions::completions(&args),
        Command::Man => completions::man(),
        Command::Version => {
            print_line(&format!("hallpass {}", env!("CARGO_PKG_VERSION")));
            Ok(ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|failure| report(failure.as_ref()))
}

/// Says on standard error why a command failed, with every cause, and picks the exit code.
fn report(failure: &(dyn Error + Send + Sync + 'static)) -> ExitCode {
    let mut message = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    eprintln!("hallpass: {message}");
    if is_config_error(failure) { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}

fn is_config_error(failure: &(dyn Error + Send + Sync + 'static)) -> bool {
    let secret = match failure.downcast_ref() {
        Some(StartError::ServerSecret(error)) => Some(error),
        _ => failure.downcast_ref(),
    };
    failure.is::<ConfigErrors>()
        || failure.is::<dev::SeedElsewhere>()
        || failure.is::<sidecar::UnknownVariable>()
        || matches!(secret, Some(ServerSecretError::Settings(_)))
}

/// Reads the settings to start a service with, sets up the log, and says there what deserves a
/// second thought.
fn load_to_start(args: ListenArgs, profile: Profile) -> Result<Loaded, Failure> {
    let loaded = args.load(profile, Purpose::Start)?;
    telemetry::init(&loaded.settings.log)?;
    for warning in &loaded.warnings {
        tracing::warn!(setting = warning.key, "{warning}");
    }
    Ok(loaded)
}

/// Prints to standard output; that nobody reads it is no reason to stop.
fn print_line(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Runs one future to its end on all cores.
fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(work)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_become_settings() {
        let command = [
            "hallpass",
            "dev",
            "--listen",
            "127.0.0.1:9",
            "--set",
            "log.level=warn",
            "--set",
            "reset.ttl=5m",
        ];
        let Command::Dev(args) = Cli::parse_from(command).command else { panic!("not dev") };
        let sources = Sources { environment: Default::default(), ..args.settings.sources() };
        let settings = crate::config::load(Profile::Dev, Purpose::Start, &sources).unwrap().settings;
        assert_eq!(settings.listen.port(), 9);
        assert_eq!(settings.log.level, "warn");
        assert_eq!(settings.reset.ttl.as_secs(), 300);
    }
}
