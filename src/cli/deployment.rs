//! `hallpass deployment`: which deployment the database is that of.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::operator::{self, OutputArgs};
use super::{Failure, SettingsArgs, print_line};
use crate::app::deployment::{self, Deployment};
use crate::app::{self, SystemRandom};
use crate::config::{Profile, Purpose, Settings};

/// The arguments of the command.
#[derive(Args)]
pub(super) struct DeploymentArgs {
    #[command(subcommand)]
    command: DeploymentCommand,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Subcommand)]
enum DeploymentCommand {
    /// Show its id, and what its keys in Redis begin with
    Show,
    /// Make it another one, as for a copy of another deployment's database: everybody has to log in again
    NewId {
        /// Do it
        #[arg(long)]
        yes: bool,
    },
}

/// Runs the command. It needs the database alone, so nothing that only a service needs is asked for.
pub(super) fn run(args: DeploymentArgs) -> Result<ExitCode, Failure> {
    let DeploymentArgs { command, settings, output } = args;
    let settings = settings.load(Profile::Serve, Purpose::Inspect)?.settings;
    operator::log_for_people(&settings, "warn")?;
    super::block_on(async {
        let (database, _) = app::open_database(&settings).await?;
        let now = deployment::identify(&settings, &database, &SystemRandom).await?;
        match command {
            DeploymentCommand::Show => show(&now, output),
            DeploymentCommand::NewId { yes: false } => {
                return Err(format!("{} Say --yes if you mean it.", consequences(&settings, &now)).into());
            }
            DeploymentCommand::NewId { yes: true } => {
                let new = deployment::make_another(&settings, &database, &SystemRandom).await?;
                show(&new, output);
                if !output.json {
                    print_line(&consequences(&settings, &now));
                }
            }
        }
        Ok(())
    })
}

fn show(deployment: &Deployment, output: OutputArgs) {
    let Deployment { id, mark, is_mark_set } = deployment;
    if output.json {
        let answer = json!({"id": id.to_string(), "mark": mark.as_str(), "prefixSet": is_mark_set});
        print_line(&answer.to_string());
        return;
    }
    let origin = if *is_mark_set { "as `redis.prefix` says" } else { "made of the id" };
    print_line(&format!("{id}\nits keys in Redis begin with {mark}, {origin}"));
}

/// What another id does, whose old one was that of `now`.
fn consequences(settings: &Settings, now: &Deployment) -> String {
    if settings.token_store.is_in_process() {
        return format!(
            "The {} token store does not go by the id of the deployment: nobody has to log in again.",
            settings.token_store.name()
        );
    }
    if now.is_mark_set {
        return format!(
            "The keys in Redis begin with {} in any case, since `redis.prefix` is set: nobody has to log in again.",
            now.mark
        );
    }
    format!(
        "With another id the keys in Redis begin with another mark than {}: EVERYBODY HAS TO LOG IN AGAIN, and \
         reset tokens, limits and known places are forgotten. Stop all replicas before, and start them after: \
         one that runs on keeps to the old mark.",
        now.mark
    )
}
