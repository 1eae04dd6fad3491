//! `hallpass tokens`: what a token says, whether it is good, and why not.
//!
//! A token on a command line can be read by others on the machine: `-` takes it from standard input.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::operator::{self, Ending, OPERATOR, OutputArgs, moment};
use super::{Failure, ListenArgs, print_line};
use crate::app::BesideService;
use crate::domain::audit::Reason;
use crate::domain::clock::Timestamp;
use crate::service::explain::{Content, Explanation, Invalidation, Revoked, RevokedItem, TokenOrId, Verdict};
use crate::service::{self, Services};

/// The arguments of the command.
#[derive(Args)]
pub(super) struct TokensArgs {
    #[command(subcommand)]
    command: TokensCommand,
    #[command(flatten)]
    settings: ListenArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Subcommand)]
enum TokensCommand {
    /// Show what a token says and whether it is good
    Inspect {
        /// An access token or a refresh token; `-` reads it from standard input, where others cannot see it
        token: String,
    },
    /// Take back an access token, or end the session of a refresh token or of a session's id
    Revoke {
        /// The token, or the id of the session (`sid`); `-` reads it from standard input
        token: String,
    },
    /// Say whether a token or a session is good, and if not why, since when and by whom
    Explain {
        /// A token, or the id of a session (`sid`) or of an access token (`jti`); `-` reads it from standard
        /// input
        token: String,
    },
}

/// Runs the command.
pub(super) fn run(args: TokensArgs) -> Result<ExitCode, Failure> {
    let TokensArgs { command, settings, output } = args;
    operator::run(settings, |beside| async move {
        let services = &beside.services;
        match command {
            TokensCommand::Inspect { token } => {
                let explanation = explain(services, &token).await?;
                let mut lines = inspection_lines(&explanation);
                lines.extend(way_on(&beside, &explanation.verdict));
                say(output, &inspection_json(&explanation), &lines);
            }
            TokensCommand::Explain { token } => {
                let explanation = explain(services, &token).await?;
                let mut lines = verdict_lines(&explanation);
                lines.extend(way_on(&beside, &explanation.verdict));
                say(output, &verdict_json(&explanation), &lines);
            }
            TokensCommand::Revoke { token } => revoke(services, &token, output).await?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// What an argument holds. No message repeats it: it may be a secret that only looks like none.
fn presented(argument: &str) -> Result<TokenOrId, Failure> {
    let text = if argument == "-" { operator::line_of_stdin()? } else { argument.to_owned() };
    TokenOrId::of(&text).ok_or_else(|| "that is no access token, no refresh token and no id".into())
}

async fn explain(services: &Services, argument: &str) -> Result<Explanation, Failure> {
    Ok(services.inspector.explain(OPERATOR, &presented(argument)?).await?)
}

async fn revoke(services: &Services, argument: &str, output: OutputArgs) -> Result<(), Failure> {
    let outcome = services.inspector.revoke(OPERATOR, &presented(argument)?).await;
    let Revoked { what, is_confirmed } = outcome.map_err(|error| -> Failure {
        match error {
            service::Error::NotFound => {
                "there is no such live session, or the audit log does not know whose".into()
            }
            service::Error::Store(error) => format!("nothing was taken back: {error}").into(),
            error => error.into(),
        }
    })?;
    let (mut json, line) = match what {
        RevokedItem::Token(user, token) => (
            json!({"revoked": "access_token", "user": user.get(), "token": token.to_string()}),
            format!("revoked: access token {token} of {user}"),
        ),
        RevokedItem::MachineToken(client, token) => (
            json!({"revoked": "access_token", "client": client.to_string(), "token": token.to_string()}),
            format!("revoked: access token {token} of {client}"),
        ),
        RevokedItem::Session(user, session) => (
            json!({"revoked": "session", "user": user.get(), "session": session.to_string()}),
            format!("revoked: session {session} of {user}"),
        ),
    };
    let ending = if is_confirmed { Ending::Done } else { Ending::LeftToService };
    json["leftToService"] = (ending == Ending::LeftToService).into();
    say(output, &json, &[format!("{line}{}", ending.remark())]);
    Ok(())
}

fn say(output: OutputArgs, json: &Value, lines: &[String]) {
    if output.json {
        print_line(&json.to_string());
    } else {
        lines.iter().for_each(|line| print_line(line));
    }
}

fn inspection_json(explanation: &Explanation) -> Value {
    let mut json = verdict_json(explanation);
    json["says"] = match &explanation.content {
        // The claims are JSON already; what cannot be written is not there.
        Content::Access(claims) => serde_json::to_value(claims).unwrap_or_default(),
        Content::Refresh(claims) => json!({
            "user": claims.user.get(),
            "session": claims.session.to_string(),
            "generation": claims.generation.get(),
        }),
        Content::Session(..) | Content::Token(_) | Content::Nothing => Value::Null,
    };
    json["sessionDetails"] = explanation.session.as_ref().map_or(Value::Null, operator::session_json);
    json
}

fn inspection_lines(explanation: &Explanation) -> Vec<String> {
    let mut lines = verdict_lines(explanation);
    if let Some(says) = inspection_json(explanation)["says"].as_object() {
        lines.extend(says.iter().map(|(name, value)| format!("  {name}: {value}")));
    }
    let session = explanation.session.iter();
    lines.extend(
        session.flat_map(|session| operator::session_table([session]).rows()).map(|row| format!("  {row}")),
    );
    lines
}

/// What whoever reads a verdict can do where it is about this command more than about the token.
fn way_on(beside: &BesideService, verdict: &Verdict) -> Option<String> {
    let issuer = beside.services.issuer();
    match verdict {
        Verdict::CannotTell if beside.store_is_in_service => Some(format!(
            "  the embedded token store is in the process of the running service: ask that, \
             curl {issuer}/oauth2/introspect -u CLIENT_ID:CLIENT_SECRET -d token=$TOKEN"
        )),
        Verdict::Invalid(Invalidation { reason: Reason::WrongIssuer, .. }) => Some(format!(
            "  by the settings the issuer is {issuer}: see public_url, or --listen where that is not set"
        )),
        Verdict::CannotTell | Verdict::Invalid(_) | Verdict::Live => None,
    }
}

/// What it is, and whom it belongs to.
fn content_json(content: &Content) -> Value {
    match content {
        Content::Access(claims) => json!({
            "kind": "access_token",
            "subject": claims.sub,
            "session": claims.sid,
            "token": claims.jti,
        }),
        Content::Refresh(claims) => json!({
            "kind": "refresh_token",
            "subject": claims.user.to_string(),
            "session": claims.session.to_string(),
        }),
        Content::Session(user, session) => json!({
            "kind": "session",
            "subject": user.to_string(),
            "session": session.to_string(),
        }),
        Content::Token(token) => json!({ "kind": "access_token", "token": token.to_string() }),
        Content::Nothing => json!({ "kind": "unknown" }),
    }
}

fn verdict_json(explanation: &Explanation) -> Value {
    let mut json = content_json(&explanation.content);
    match &explanation.verdict {
        Verdict::Live => json["verdict"] = "live".into(),
        Verdict::CannotTell => json["verdict"] = "unknown".into(),
        Verdict::Invalid(Invalidation { reason, at, entry }) => {
            json["verdict"] = "dead".into();
            json["reason"] = reason.as_str().into();
            json["since"] = at.map(Timestamp::as_secs).into();
            let entry = entry.as_ref();
            json["by"] = entry.map(|entry| entry.entry.actor.to_string()).into();
            json["address"] = entry.and_then(|entry| entry.entry.address).map(|at| at.to_string()).into();
            json["auditEntry"] = entry.map(|entry| entry.id.get()).into();
        }
    }
    json
}

fn verdict_lines(explanation: &Explanation) -> Vec<String> {
    let what = match &explanation.content {
        Content::Access(claims) => format!("access token {} of {}", claims.jti, claims.sub),
        Content::Refresh(claims) => format!("refresh token of {}, session {}", claims.user, claims.session),
        Content::Session(user, session) => format!("session {session} of {user}"),
        Content::Token(token) => format!("access token {token}"),
        Content::Nothing => "nothing of ours".to_owned(),
    };
    match &explanation.verdict {
        Verdict::Live => vec![format!("live: {what}")],
        Verdict::CannotTell => vec![
            format!("unknown: {what}"),
            "  nothing is known against it, but the token store is out of reach from here".to_owned(),
        ],
        Verdict::Invalid(Invalidation { reason, at, entry }) => {
            let mut lines = vec![format!("dead: {what}"), format!("  reason: {reason}")];
            lines.extend(at.map(|at| format!("  since: {}", moment(at))));
            if let Some(entry) = entry {
                let from = entry.entry.address.map(|address| format!(" from {address}")).unwrap_or_default();
                lines.push(format!("  by: {}{from}", entry.entry.actor));
                lines.push(format!("  audit entry: {}", entry.id));
            }
            lines
        }
    }
}
