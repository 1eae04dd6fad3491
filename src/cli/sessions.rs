//! `hallpass sessions`: who is logged in, and ending that.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::operator::{self, OPERATOR, OutputArgs};
use super::{Failure, ListenArgs, print_line};
use crate::app::BesideService;
use crate::domain::user::User;
use crate::service::administration::Administration;

/// The arguments of the command.
#[derive(Args)]
pub(super) struct SessionsArgs {
    #[command(subcommand)]
    command: SessionsCommand,
    #[command(flatten)]
    settings: ListenArgs,
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
    operator::run(settings, |beside| async move {
        let administration = &beside.services.administration;
        match command {
            SessionsCommand::List { account } => list(&beside, &account, output).await?,
            SessionsCommand::Revoke { account: Some(account), session: Some(session), dry_run, .. } => {
                let user = operator::find(administration, &account).await?;
                let session = operator::session_id(&session)?;
                let (done, ending) = if dry_run {
                    ("would be ended", operator::Ending::Done)
                } else {
                    let outcome = administration.end_session(OPERATOR, user.id, session).await;
                    ("ended", operator::ending(outcome)?)
                };
                if output.json {
                    let left = ending == operator::Ending::LeftToService;
                    let answer = json!({
                        "user": user.id.get(),
                        "session": session.to_string(),
                        "leftToService": left,
                        "dryRun": dry_run,
                    });
                    print_line(&answer.to_string());
                } else {
                    let remark = ending.remark();
                    print_line(&format!("{done}: session {session} of {} {}{remark}", user.id, user.email));
                }
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

async fn list(beside: &BesideService, account: &str, output: OutputArgs) -> Result<(), Failure> {
    let administration = &beside.services.administration;
    let user = operator::find(administration, account).await?;
    if beside.store_is_in_service {
        let issuer = beside.services.issuer();
        return Err(format!(
            "the embedded token store is in the process of the running service, which alone can list sessions: \
             curl {issuer}/users/{}/sessions -H \"Authorization: Bearer $ACCESS_TOKEN\", with the token of an \
             administrator",
            user.id
        )
        .into());
    }
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
        operator::session_table(&sessions).print();
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
        print_line(&json!({"accounts": accounts, "leftToService": left, "dryRun": dry_run}).to_string());
    } else {
        let done = if dry_run { "would end" } else { "ended" };
        let remark = if left > 0 { operator::Ending::LeftToService.remark() } else { "" };
        print_line(&format!("{done}: all sessions of {accounts} accounts{remark}"));
    }
    Ok(())
}
