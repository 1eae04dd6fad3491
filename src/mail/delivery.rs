//! What brings messages to their servers, and why one does not get there.
//!
//! What a server says is not repeated in errors, only its status code: it quotes the recipient, and
//! some quote the message.

use std::error::Error;
use std::fmt;

use async_trait::async_trait;
use lettre::transport::smtp;

use super::templates::Letter;
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;

/// What brings a message to its server.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// A message as it is sent, the same at each try.
    type Message: Send + Sync;

    /// Whether mails go no further than to a page of this process ([`Mailer::is_shown`](crate::service::mail::Mailer::is_shown)).
    const IS_SHOWN: bool = false;

    /// Puts a message together.
    ///
    /// # Errors
    /// When it cannot be written at all; that is final.
    fn write(
        &self,
        letter: Letter,
        to: &Email,
        id: &str,
        date: Timestamp,
    ) -> Result<Self::Message, DeliveryError>;

    /// Tries once; bounded in time.
    ///
    /// # Errors
    /// [`DeliveryError`], which says whether another try makes sense.
    async fn deliver(&self, message: &Self::Message) -> Result<(), DeliveryError>;
}

/// Why a message is not delivered.
#[derive(Debug)]
pub struct DeliveryError {
    step: &'static str,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    /// The server answered with a status that is no success.
    Status { code: u16, permanent: bool },
    /// No answer in time.
    Silence,
    /// The server does not offer what is needed: for this message, which is final, or for any, which
    /// somebody in between may have seen to.
    /// Where it refused EHLO, `refusal` is with what.
    Lacking { what: &'static str, refusal: Option<u16>, permanent: bool },
    /// The message cannot be put together; it never can.
    Unwritable(lettre::error::Error),
    /// The connection, its TLS, or what came over it was no good.
    Broken(smtp::Error),
}

impl DeliveryError {
    pub(super) fn new(step: &'static str, error: smtp::Error) -> Self {
        let problem = match error.status() {
            Some(code) => Problem::Status { code: code.into(), permanent: error.is_permanent() },
            None => Problem::Broken(error),
        };
        Self { step, problem }
    }

    pub(super) fn silence(step: &'static str) -> Self {
        Self { step, problem: Problem::Silence }
    }

    pub(super) fn lacking(what: &'static str, refusal: Option<u16>, permanent: bool) -> Self {
        Self { step: "EHLO", problem: Problem::Lacking { what, refusal, permanent } }
    }

    pub(super) fn unwritable(error: lettre::error::Error) -> Self {
        Self { step: "the message", problem: Problem::Unwritable(error) }
    }

    /// The status with which the server has refused the step for good.
    pub(super) fn refusal(&self) -> Option<u16> {
        match self.problem {
            Problem::Status { code, permanent: true } => Some(code),
            _ => None,
        }
    }

    /// The step that it failed at.
    pub fn step(&self) -> &'static str {
        self.step
    }

    /// Whether another try could not end otherwise (RFC 5321 4.2.1: a 5yz status).
    pub fn is_final(&self) -> bool {
        match self.problem {
            Problem::Status { permanent, .. } | Problem::Lacking { permanent, .. } => permanent,
            Problem::Unwritable(_) => true,
            Problem::Silence | Problem::Broken(_) => false,
        }
    }

    /// Whether the server has refused this message, or its reader, for now (RFC 5321 4.2.1: a 4yz status)
    /// while it takes others: 421 says that it takes none.
    pub fn is_about_the_mail(&self) -> bool {
        matches!(self.problem, Problem::Status { code, .. } if code != 421)
    }

    /// An error of a test's own.
    #[cfg(test)]
    pub(super) fn status(code: u16) -> Self {
        Self { step: "DATA", problem: Problem::Status { code, permanent: code >= 500 } }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = self.step;
        match &self.problem {
            Problem::Status { code, .. } => write!(f, "the SMTP server answered {step} with {code}"),
            Problem::Silence => write!(f, "the SMTP server did not answer {step} in time"),
            Problem::Lacking { what, refusal: None, .. } => {
                write!(f, "the SMTP server does not offer {what}")
            }
            Problem::Lacking { what, refusal: Some(code), .. } => {
                write!(f, "the SMTP server refuses EHLO with {code}, so it does not offer {what}")
            }
            Problem::Unwritable(_) => f.write_str("the message cannot be written"),
            // What a server said that is no SMTP may quote anything.
            Problem::Broken(error) if error.is_response() => {
                write!(f, "the SMTP server answered {step} with something that is no SMTP")
            }
            Problem::Broken(_) => write!(f, "the connection to the SMTP server failed at {step}"),
        }
    }
}

impl Error for DeliveryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            Problem::Broken(error) if !error.is_response() => error.source(),
            Problem::Unwritable(error) => Some(error),
            _ => None,
        }
    }
}
