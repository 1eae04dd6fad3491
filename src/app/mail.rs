//! From the settings to a running queue of mails, or to a server that is asked here and now.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::environment::{Environment, random_password};
use super::finding::{Condition, Finding};
use crate::config::{PublicUrl, Settings};
use crate::domain::causes::with_causes;
use crate::domain::email::Email;
use crate::mail::{
    DeliveryError, Links, MailQueue, QueueOptions, RunningQueue, ShownMails, SmtpOptions, SmtpSetupError,
    SmtpTransport, Transport, Trial, test_letter,
};

/// Why no mail can be sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The settings name no server.
    #[error("there is no mail server: set `smtp.host` and `smtp.from`")]
    NoServer,
    /// The authorities of the mail server cannot be read.
    #[error("smtp.ca_file {} cannot be read", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The mail server cannot be talked to as the settings say.
    #[error(transparent)]
    Setup(#[from] SmtpSetupError),
    /// There is no mail to such an address.
    #[error(transparent)]
    Unwritable(DeliveryError),
}

/// Starts the queue of mails: to the page that shows them, if there is `shown`, else to the server that the
/// settings name, if they name one.
///
/// # Errors
/// [`MailError`].
pub(super) async fn start(
    settings: &Settings,
    issuer: &PublicUrl,
    environment: &Environment,
    shown: Option<ShownMails>,
) -> Result<Option<(MailQueue, RunningQueue)>, MailError> {
    let links = Links {
        service: settings.app_name(issuer),
        app: settings.app.url.clone(),
        reset: settings.reset_link(issuer),
        verification: settings.verification_link(issuer),
    };
    let options = QueueOptions::default();
    let (clock, random) = (environment.clock.clone(), environment.random.clone());
    if let Some(shown) = shown {
        return Ok(Some(MailQueue::start(shown, links, options, clock, random)));
    }
    let transport = transport(settings, settings.smtp.timeout).await?;
    Ok(transport.map(|transport| MailQueue::start(transport, links, options, clock, random)))
}

/// Asks the mail server for all that comes before a mail, each step within `patience`; `None` if the settings name
/// none.
///
/// # Errors
/// [`MailError`].
pub(super) async fn probe(settings: &Settings, patience: Duration) -> Result<Option<Trial>, MailError> {
    match transport(settings, patience).await? {
        Some(transport) => Ok(Some(transport.try_session().await)),
        None => Ok(None),
    }
}

/// Sends a test mail, here and now, and says how each step went; the last one says why it went no further, if it
/// did not.
///
/// # Errors
/// [`MailError`].
pub async fn send_test_mail(
    settings: &Settings,
    to: &Email,
    environment: &Environment,
) -> Result<Vec<Finding>, MailError> {
    let transport = transport(settings, settings.smtp.timeout).await?.ok_or(MailError::NoServer)?;
    let name = settings.app_name(&settings.issuer(settings.listen));
    let written = transport.write(test_letter(&name, to), to, &random_password(), environment.clock.now());
    let trial = transport.try_delivery(&written.map_err(MailError::Unwritable)?).await;
    let done = trial.done.iter().map(|step| Finding::new(step.name(), Condition::Good, step.to_string()));
    let failed = trial.failed.iter();
    let failed =
        failed.map(|error| Finding::new(error.step(), Condition::Bad, with_causes(error).to_string()));
    Ok(done.chain(failed).collect())
}

/// The server that the settings name, if they name one.
async fn transport(settings: &Settings, timeout: Duration) -> Result<Option<SmtpTransport>, MailError> {
    let smtp = &settings.smtp;
    let (Some(host), Some(from)) = (&smtp.host, &smtp.from) else { return Ok(None) };
    let authorities = match &smtp.ca_file {
        None => None,
        Some(path) => {
            let read = tokio::fs::read(path).await;
            Some(read.map_err(|source| MailError::Authorities { path: path.clone(), source })?)
        }
    };
    let options = SmtpOptions {
        host: host.clone(),
        port: smtp.port.unwrap_or(smtp.tls.default_port()),
        tls: smtp.tls,
        authorities,
        credentials: smtp
            .username
            .clone()
            .zip(smtp.password.as_ref().map(|password| password.expose().to_owned())),
        timeout,
        from: from.clone(),
        helo_name: smtp.helo_name.clone(),
    };
    Ok(Some(SmtpTransport::new(options)?))
}
