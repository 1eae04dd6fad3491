//! One session with the server: who is there, protection, login, and the message.

use std::fmt;

use lettre::Address;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Mechanism;
#[expect(deprecated, reason = "lettre has no other way to talk to a server that knows no EHLO")]
use lettre::transport::smtp::client::AsyncNetworkStream;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Quit, Rcpt};
use lettre::transport::smtp::extension::{Extension, MailBodyParameter, MailParameter};

use super::helo::{self, Helo};
use super::{QUIT_TIMEOUT, SmtpTransport, Written};
use crate::config::SmtpTls;
use crate::mail::delivery::DeliveryError;

/// What a server must offer where the settings ask for it.
const STARTTLS: &str = "STARTTLS";
const AUTH: &str = "AUTH with PLAIN or LOGIN";

/// A step of a session that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The server is there.
    Connected {
        /// Whether TLS began with the first byte.
        encrypted: bool,
    },
    /// It has said which extensions it has.
    Ehlo,
    /// It knows no extensions (RFC 5321 3.2).
    Helo {
        /// With what it refused EHLO.
        refusal: u16,
    },
    /// From here on TLS.
    StartTls,
    /// It let us in.
    LoggedIn,
    /// It takes mails from the sender.
    Sender,
    /// It takes mails to the reader.
    Recipient,
    /// It has taken the message.
    Message,
}

impl Step {
    /// What the step is called: the command, mostly.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected { .. } => "connection",
            Self::Ehlo => "EHLO",
            Self::Helo { .. } => "HELO",
            Self::StartTls => "STARTTLS",
            Self::LoggedIn => "AUTH",
            Self::Sender => "MAIL",
            Self::Recipient => "RCPT",
            Self::Message => "DATA",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { encrypted: true } => f.write_str("connected, with TLS from the first byte"),
            Self::Connected { encrypted: false } => f.write_str("connected"),
            Self::Ehlo => f.write_str("the server has said what it offers"),
            Self::Helo { refusal } => write!(f, "taken, since EHLO was refused with {refusal}"),
            Self::StartTls => f.write_str("encrypted"),
            Self::LoggedIn => f.write_str("logged in"),
            Self::Sender => f.write_str("the sender is taken"),
            Self::Recipient => f.write_str("the recipient is taken"),
            Self::Message => f.write_str("the message is taken"),
        }
    }
}

/// A session that is fit for messages.
pub(super) struct Session {
    connection: AsyncSmtpConnection,
    /// With what the server refused EHLO, if it did.
    refusal: Option<u16>,
}

impl Session {
    fn lacking(&self, what: &'static str, permanent: bool) -> DeliveryError {
        DeliveryError::lacking(what, self.refusal, permanent)
    }

    fn offers(&self, extension: Extension) -> bool {
        self.connection.server_info().supports_feature(extension)
    }
}

impl SmtpTransport {
    /// Bounds one step of a session.
    async fn step<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, smtp::Error>>,
    ) -> Result<T, DeliveryError> {
        match tokio::time::timeout(self.timeout, work).await {
            Ok(done) => done.map_err(|error| DeliveryError::new(name, error)),
            Err(_) => Err(DeliveryError::silence(name)),
        }
    }

    /// A session that is fit for messages; `done` is told what went well.
    pub(super) async fn connect(&self, done: &mut Vec<Step>) -> Result<Session, DeliveryError> {
        let mut session = self.greet(done).await?;
        if let (SmtpTls::StartTls, Some(parameters)) = (self.tls, &self.parameters) {
            if !session.connection.can_starttls() {
                return Err(session.lacking(STARTTLS, false));
            }
            self.step("STARTTLS", session.connection.starttls(parameters.clone(), &self.hello)).await?;
            done.push(Step::StartTls);
        }
        if let Some(credentials) = &self.credentials {
            const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];
            if session.connection.server_info().get_auth_mechanism(&MECHANISMS).is_none() {
                return Err(session.lacking(AUTH, false));
            }
            self.step("AUTH", session.connection.auth(&MECHANISMS, credentials)).await?;
            done.push(Step::LoggedIn);
        }
        Ok(session)
    }

    /// Says who we are: by EHLO, and by HELO where the server refuses that for good (RFC 5321 3.2).
    async fn greet(&self, done: &mut Vec<Step>) -> Result<Session, DeliveryError> {
        let server = (self.host.as_str(), self.port);
        let wrapped = self.parameters.clone().filter(|_| self.tls == SmtpTls::Implicit);
        let connected = Step::Connected { encrypted: wrapped.is_some() };
        let connecting =
            AsyncSmtpConnection::connect_tokio1(server, None, &self.hello, wrapped.clone(), None);
        let refusal = match self.step("the connection", connecting).await {
            Ok(connection) => {
                done.extend([connected, Step::Ehlo]);
                return Ok(Session { connection, refusal: None });
            }
            Err(error) => error.refusal().ok_or(error)?,
        };
        // On a connection of its own, since lettre has closed the other. Should it have been the greeting that
        // refused us, it will do so again.
        #[expect(deprecated, reason = "lettre has no other way to talk to a server that knows no EHLO")]
        let connecting = AsyncNetworkStream::connect_tokio1(server, None, wrapped, None);
        let stream = self.step("the connection", connecting).await?;
        done.push(connected);
        let mut connection = self.step("the connection", helo::unspoken(stream, &self.hello)).await?;
        self.step("the greeting", connection.read_response()).await?;
        // Without EHLO there is neither. Whoever sits in between can have it refused, so this is not for good.
        for (needed, what) in [(self.tls == SmtpTls::StartTls, STARTTLS), (self.credentials.is_some(), AUTH)]
        {
            if needed {
                return Err(DeliveryError::lacking(what, Some(refusal), false));
            }
        }
        self.step("HELO", connection.command(Helo(&self.hello))).await?;
        done.push(Step::Helo { refusal });
        Ok(Session { connection, refusal: Some(refusal) })
    }

    /// Hands a message over; `done` is told what went well.
    pub(super) async fn hand_over(
        &self,
        session: &mut Session,
        message: &Written,
        done: &mut Vec<Step>,
    ) -> Result<(), DeliveryError> {
        let mut parameters = Vec::new();
        let ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
        if !ascii(&message.from) || !ascii(&message.to) {
            if !session.offers(Extension::SmtpUtfEight) {
                return Err(session.lacking("SMTPUTF8, which the address needs", true));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !message.bytes.is_ascii() {
            if !session.offers(Extension::EightBitMime) {
                return Err(session.lacking("8BITMIME, which the address needs", true));
            }
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let connection = &mut session.connection;
        self.step("MAIL", connection.command(Mail::new(Some(message.from.clone()), parameters))).await?;
        done.push(Step::Sender);
        self.step("RCPT", connection.command(Rcpt::new(message.to.clone(), Vec::new()))).await?;
        done.push(Step::Recipient);
        self.step("DATA", connection.command(Data)).await?;
        self.step("the message", connection.message(&message.bytes)).await?;
        done.push(Step::Message);
        Ok(())
    }

    /// Says goodbye; what comes of it does not matter.
    pub(super) async fn part(&self, mut session: Session) {
        let _ = tokio::time::timeout(QUIT_TIMEOUT.min(self.timeout), session.connection.command(Quit)).await;
    }
}
