//! `hallpass users verify-email`: for whom no mail gets through.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::cli::operator::{self, OPERATOR, OutputArgs};
use crate::cli::{Failure, SettingsArgs, print_line};

/// Accounts whose owners the operator knows.
#[derive(Args)]
pub(super) struct VerifyArgs {
    /// Their ids or e-mail addresses
    #[arg(required = true)]
    accounts: Vec<String>,
}

/// Runs the command. Their sessions go on.
pub(super) fn run(args: VerifyArgs, settings: SettingsArgs, output: OutputArgs) -> Result<ExitCode, Failure> {
    operator::run(settings, |beside| async move {
        const DONE: &str = "e-mail address verified";
        for user in operator::find_all(&beside.services.administration, &args.accounts).await? {
            beside.services.verifications.vouch(OPERATOR, &user).await?;
            print_line(&match output.json {
                true => json!({"done": DONE, "id": user.id.get(), "email": user.email.as_str()}).to_string(),
                false => format!("{DONE}: {} {}", user.id, user.email),
            });
        }
        Ok(ExitCode::SUCCESS)
    })
}
