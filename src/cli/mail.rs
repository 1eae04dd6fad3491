//! `hallpass mail`: whether mails get out, from the machine that the service runs on.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::doctor::{finding_json, finding_line};
use super::operator::{self, OutputArgs};
use super::{Failure, SettingsArgs, print_line};
use crate::app::checkup::Condition;
use crate::app::{self, Environment};
use crate::config::{Profile, Purpose};
use crate::domain::email::Email;

/// The arguments of the command.
#[derive(Args)]
pub(super) struct MailArgs {
    #[command(subcommand)]
    command: MailCommand,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Subcommand)]
enum MailCommand {
    /// Send a test mail by the settings, here and now, and say how each step went
    Test {
        /// Where it goes
        address: String,
    },
}

/// Runs the command: exit code 0 when the server has taken the mail, 1 otherwise. The service need not run.
pub(super) fn run(args: MailArgs) -> Result<ExitCode, Failure> {
    let MailArgs { command: MailCommand::Test { address }, settings, output } = args;
    let to = Email::parse(&address).map_err(|error| format!("{address:?} {error}"))?;
    let settings = settings.load(Profile::Serve, Purpose::Inspect)?.settings;
    operator::log_for_people(&settings, "error")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let steps = runtime.block_on(app::send_test_mail(&settings, &to, &Environment::real()))?;
    let sent = steps.iter().all(|step| step.condition == Condition::Good);
    if output.json {
        let steps: Vec<Value> = steps.iter().map(finding_json).collect();
        print_line(&json!({"sent": sent, "to": to.as_str(), "steps": steps}).to_string());
    } else {
        steps.iter().for_each(|step| print_line(&finding_line(step)));
        print_line(&match sent {
            true => format!("sent to {to}: whether it arrives is for its reader to see"),
            false => format!("not sent to {to}"),
        });
    }
    Ok(if sent { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
