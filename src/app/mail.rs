//! From the settings to a running queue of mails.

use std::io;
use std::path::PathBuf;

use super::environment::Environment;
use crate::config::{PublicUrl, Settings};
use crate::mail::{Links, MailQueue, QueueOptions, RunningQueue, SmtpOptions, SmtpSetupError, SmtpTransport};

/// Why no mail can be sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
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
}

/// Starts the queue of mails, if the settings name a server that takes any.
///
/// # Errors
/// [`MailError`].
pub(super) async fn start(
    settings: &Settings,
    issuer: &PublicUrl,
    environment: &Environment,
) -> Result<Option<(MailQueue, RunningQueue)>, MailError> {
    let smtp = &settings.smtp;
    let (Some(host), Some(from)) = (&smtp.host, &smtp.from) else { return Ok(None) };
    let authorities = match &smtp.ca_file {
        None => None,
        Some(path) => {
            let read = tokio::fs::read(path).await;
            Some(read.map_err(|source| MailError::Authorities { path: path.clone(), source })?)
        }
    };
    let transport = SmtpTransport::new(SmtpOptions {
        host: host.clone(),
        port: smtp.port.unwrap_or(smtp.tls.default_port()),
        tls: smtp.tls,
        authorities,
        credentials: smtp
            .username
            .clone()
            .zip(smtp.password.as_ref().map(|password| password.expose().to_owned())),
        timeout: smtp.timeout,
        from: from.clone(),
    })?;
    let links = Links {
        service: issuer.host().to_owned(),
        reset: settings.reset_link(issuer),
        verification: settings.verification_link(issuer),
    };
    let options = QueueOptions::default();
    Ok(Some(MailQueue::start(
        transport,
        links,
        options,
        environment.clock.clone(),
        environment.random.clone(),
    )))
}
