//! `hallpass sessions`: who is logged in, and ending that.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::operator::{self, OPERATOR, OutputArgs};
use super::{Failure, SettingsArgs, print_line};
use crate::domain::user::User;
use crate::service::administration::Administration;

/// The arguments of the command.
#[derive(Args)]
pub(super) struct SessionsArgs {
    #[command(subcommand)]
    command: SessionsCommand,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Subcommand)]
enum SessionsCommand {
    /// List the live sessions of an account, newest first
    List {
        /// Its id or e-mail address
        account: String,
    },
    /// End sessions, at once and for all their tokens
    Revoke {
        /// The account's id or e-mail address
        #[arg(required_unless_present = "everybody")]
        account: Option<String>,
        /// This session alone
        #[arg(long, value_name = "SID", requires = "account")]
        session: Option<String>,
        /// Those of all accounts
        #[arg(long, conflicts_with = "account")]
        everybody: bool,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs the command.
pub(super) fn run(args: SessionsArgs) -> Result<ExitCode, Failure> {
    let SessionsArgs { command, settings, output } = args;
    operator::run(settings, |services| async move {
        let administration = &services.administration;
        match command {
            SessionsCommand::List { account } => list(administration, &account, output).await?,
            SessionsCommand::Revoke { account: Some(account), session: Some(session), dry_run, .. } => {
                let user = operator::find(administration, &account).await?;
                let session = operator::session_id(&session)?;
                let (done, ending) = if dry_run {
                    ("would be ended", operator::Ending::Done)
                } else {
                    let outcome = administration.end_session(OPERATOR, user.id, session).await;
                    ("ended", operator::ending(outcome)?)
                };
                let remark = ending.remark();
                print_line(&format!("{done}: session {session} of {} {}{remark}", user.id, user.email));
            }
            SessionsCommand::Revoke { account, everybody, dry_run, .. } => {
                let users = match account {
                    Some(account) => vec![operator::find(administration, &account).await?],
                    None if everybody => operator::everybody(administration).await?,
                    None => Vec::new(),
                };
                revoke(administration, &users, dry_run, output).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Sessions that are read at a time.
const PAGE: u32 = 500;

async fn list(administration: &Administration, account: &str, output: OutputArgs) -> Result<(), Failure> {
    let user = operator::find(administration, account).await?;
    let mut sessions = Vec::new();
    let mut after = None;
    loop {
        let page = administration.sessions(OPERATOR, user.id, after, PAGE).await?;
        sessions.extend(page.sessions);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if output.json {
        let sessions: Vec<Value> = sessions.iter().map(operator::session_json).collect();
        print_line(&Value::Array(sessions).to_string());
    } else {
        sessions.iter().for_each(|session| print_line(&operator::session_line(session)));
    }
    Ok(())
}

async fn revoke(
    administration: &Administration,
    users: &[User],
    dry_run: bool,
    output: OutputArgs,
) -> Result<(), Failure> {
    let bar = operator::progress(users.len());
    let (mut accounts, mut left) = (0_u64, 0_u64);
    for user in users {
        if !dry_run {
            let outcome = administration.end_sessions(OPERATOR, user.id).await;
            left += u64::from(operator::ending(outcome)? == operator::Ending::LeftToService);
        }
        accounts += 1;
        bar.inc(1);
    }
    bar.finish_and_clear();
    if output.json {
        print_line(&json!({"accounts": accounts, "left_to_service": left, "dry_run": dry_run}).to_string());
    } else {
        let done = if dry_run { "would end" } else { "ended" };
        let remark = if left > 0 { operator::Ending::LeftToService.remark() } else { "" };
        print_line(&format!("{done}: all sessions of {accounts} accounts{remark}"));
    }
    Ok(())
}
