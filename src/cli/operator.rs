//! What commands share that an operator runs beside the service.

use std::future::Future;
use std::io::{IsTerminal, Read};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::table::Table;
use super::{Failure, ListenArgs};
use crate::app::{self, BesideService};
use crate::config::{LogFormat, LogSettings, Profile, Purpose, Settings};
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::plain_text::plain_text;
use crate::domain::session::Session;
use crate::domain::user::User;
use crate::service;
use crate::service::administration::Administration;
use crate::service::caller::Administrator;
use crate::telemetry;

/// Accounts that are read at a time.
const PAGE: u32 = 500;

/// A bar that moves at every account of a few would only flicker.
const WORTH_A_BAR: usize = 20;

/// Who runs commands.
pub(super) const OPERATOR: Administrator = Administrator::Operator;

/// How a command is to answer.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct OutputArgs {
    /// Answer in JSON, for programs
    #[arg(global = true, long)]
    pub(super) json: bool,
}

/// Runs `work` over the stores that the settings name.
pub(super) fn run<F>(
    args: impl Into<ListenArgs>,
    work: impl FnOnce(BesideService) -> F,
) -> Result<ExitCode, Failure>
where
    F: Future<Output = Result<ExitCode, Failure>>,
{
    let settings = args.into().load(Profile::Serve, Purpose::Inspect)?.settings;
    log_for_people(&settings, "warn")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let opened = app::open_beside_service(&settings).await?;
        let audit = opened.services.audit.clone();
        let outcome = work(opened).await;
        app::close_audit(&audit, settings.shutdown_grace).await;
        outcome
    })
}

/// Sends what is worth `level` to standard error. Whoever runs a command reads it there, however the service
/// logs.
pub(super) fn log_for_people(settings: &Settings, level: &str) -> Result<(), Failure> {
    let log = LogSettings { level: level.to_owned(), format: LogFormat::Pretty, ..settings.log.clone() };
    Ok(telemetry::init(&log)?)
}

/// An account by its id or its e-mail address.
pub(super) async fn find(administration: &Administration, account: &str) -> Result<User, Failure> {
    let found = match account.parse::<UserId>() {
        Ok(id) => administration.get(OPERATOR, id).await,
        Err(_) => administration.find(OPERATOR, &Email::parse(account)?).await,
    };
    found.map_err(|error| match error {
        service::Error::NotFound => format!("there is no account {account}").into(),
        error => error.into(),
    })
}

/// All of them, or none: a misspelt one is found before anything is done to the others.
pub(super) async fn find_all(
    administration: &Administration,
    accounts: &[String],
) -> Result<Vec<User>, Failure> {
    let mut users = Vec::with_capacity(accounts.len());
    for account in accounts {
        users.push(find(administration, account).await?);
    }
    Ok(users)
}

/// Every account there is, page by page.
pub(super) async fn everybody(administration: &Administration) -> Result<Vec<User>, Failure> {
    let (mut users, mut after) = (Vec::new(), None);
    loop {
        let page = administration.list(OPERATOR, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(users) };
        after = Some(last.id);
        users.extend(page);
    }
}

/// How a change that ends sessions turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// All has ended.
    Done,
    /// The change stands, and whatever has to end is written down: the running service sees to it within
    /// seconds.
    LeftToService,
}

impl Ending {
    /// What to say behind the message of the command.
    pub(super) fn remark(self) -> &'static str {
        match self {
            Self::Done => "",
            Self::LeftToService => {
                " (that it holds everywhere is not confirmed from here: the running service sees to it within seconds)"
            }
        }
    }
}

/// Takes apart whether the change was made and whether its sessions have ended already.
pub(super) fn ending<T>(outcome: Result<T, service::Error>) -> Result<Ending, Failure> {
    match outcome {
        Ok(_) => Ok(Ending::Done),
        Err(service::Error::RevocationPending(_)) => Ok(Ending::LeftToService),
        Err(error) => Err(error.into()),
    }
}

/// The first line of standard input.
pub(super) fn line_of_stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin().take(64 * 1024).read_to_end(&mut bytes)?;
    let text = plain_text(bytes).map_err(|error| format!("standard input cannot be read: {error}"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// A bar on standard error for work on many things; none where nobody sees it.
pub(super) fn progress(steps: usize) -> ProgressBar {
    if steps < WORTH_A_BAR || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(
        Some(u64::try_from(steps).unwrap_or(u64::MAX)),
        ProgressDrawTarget::stderr_with_hz(5),
    );
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// An account for programs.
pub(super) fn account_json(user: &User) -> Value {
    json!({
        "id": user.id.get(),
        "email": user.email.as_str(),
        "external_id": user.external_id.as_ref().map(|id| id.as_str()),
        "first_name": user.first_name.as_ref().map(|name| name.as_str()),
        "last_name": user.last_name.as_ref().map(|name| name.as_str()),
        "role": user.role().as_str(),
        "roles": user.roles.names(),
        "metadata": user.metadata.members(),
        "disabled": user.disabled,
        "email_verified": user.email_verified,
        "created_at": user.created_at.as_secs(),
    })
}

/// Accounts for people.
pub(super) fn account_table<'a>(users: impl IntoIterator<Item = &'a User>) -> Table<5> {
    let row = |user: &User| {
        let state = if user.disabled { "disabled" } else { "enabled" };
        let external_id = user.external_id.as_ref().map(ToString::to_string).unwrap_or_default();
        [
            user.id.to_string(),
            user.roles.names().join(","),
            state.to_owned(),
            user.email.to_string(),
            external_id,
        ]
    };
    Table::of(["ID", "ROLE", "STATE", "EMAIL", "EXTERNAL ID"], users.into_iter().map(row))
}

/// A session for programs.
pub(super) fn session_json(session: &Session) -> Value {
    json!({
        "id": session.id.to_string(),
        "user": session.user.get(),
        "createdAt": session.created_at.as_secs(),
        "lastUsedAt": session.issued_at.as_secs(),
        "idleExpiresAt": session.idle_deadline.as_secs(),
        "absoluteExpiresAt": session.absolute_deadline.as_secs(),
        "address": session.carried.origin.address.map(|address| address.to_string()),
        "userAgent": session.carried.origin.user_agent,
        "client": session.carried.origin.client,
    })
}

/// Sessions for people.
pub(super) fn session_table<'a>(sessions: impl IntoIterator<Item = &'a Session>) -> Table<5> {
    let row = |session: &Session| {
        let origin = &session.carried.origin;
        [
            session.id.to_string(),
            session.user.to_string(),
            moment(session.issued_at),
            origin.address.map_or_else(|| "-".to_owned(), |address| address.to_string()),
            origin.user_agent.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    Table::of(["SESSION", "USER", "LAST USED", "ADDRESS", "USER AGENT"], sessions.into_iter().map(row))
}

/// A moment for people (RFC 3339, UTC).
pub(super) fn moment(at: Timestamp) -> String {
    humantime::format_rfc3339_seconds(at.to_system_time()).to_string()
}

/// The session id in an argument.
pub(super) fn session_id(text: &str) -> Result<SessionId, Failure> {
    let id = text.parse::<uuid::Uuid>().map_err(|_| format!("{text:?} is no session id"))?;
    Ok(SessionId::from(id))
}
