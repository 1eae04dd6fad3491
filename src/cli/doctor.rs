//! `hallpass doctor`: is everything that the service stands on fit for it?

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::config::ProfileName;
use super::operator::{self, OutputArgs};
use super::{Failure, ListenArgs, print_line};
use crate::app::Environment;
use crate::app::checkup::{self, Condition, Finding};
use crate::config::{Profile, Purpose, Settings};

/// The arguments of the command.
#[derive(Args)]
pub(super) struct DoctorArgs {
    /// The command whose defaults and rules hold
    #[arg(long = "for", value_name = "COMMAND", default_value = "serve")]
    command: ProfileName,
    #[command(flatten)]
    settings: ListenArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the command: exit code 1 when something is bad, 0 otherwise.
pub(super) fn run(args: DoctorArgs) -> Result<ExitCode, Failure> {
    let profile = args.command.into();
    let mut findings = check_settings(&args.settings, profile);
    // What is merely unsafe to start with can still be looked at.
    if let Ok(loaded) = args.settings.load(profile, Purpose::Inspect) {
        findings.extend(check_surroundings(loaded.settings)?);
    }
    if args.output.json {
        print_line(&Value::Array(findings.iter().map(finding_json).collect()).to_string());
    } else {
        findings.iter().for_each(|finding| print_line(&finding_line(finding)));
    }
    let bad = findings.iter().any(|finding| finding.condition == Condition::Bad);
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn check_settings(args: &ListenArgs, profile: Profile) -> Vec<Finding> {
    const SUBJECT: &str = "settings";
    match args.clone().load(profile, Purpose::Start) {
        Ok(loaded) if loaded.warnings.is_empty() => {
            vec![Finding::new(SUBJECT, Condition::Good, format!("fit for `hallpass {}`", profile.as_str()))]
        }
        Ok(loaded) => {
            let warning = |warning: &_| Finding::new(SUBJECT, Condition::Warning, format!("{warning}"));
            loaded.warnings.iter().map(warning).collect()
        }
        Err(mistakes) => {
            let mistakes = mistakes.as_slice().iter();
            mistakes.map(|mistake| Finding::new(SUBJECT, Condition::Bad, mistake.to_string())).collect()
        }
    }
}

fn check_surroundings(settings: Settings) -> Result<Vec<Finding>, Failure> {
    operator::log_for_people(&settings, "error")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(checkup::checkup(&settings, &Environment::real())))
}

pub(super) fn finding_json(finding: &Finding) -> Value {
    json!({"subject": finding.subject, "condition": finding.condition.as_str(), "text": finding.text})
}

pub(super) fn finding_line(finding: &Finding) -> String {
    format!("{:<7}  {:<13}  {}", finding.condition.as_str(), finding.subject, finding.text)
}
