//! One message to one SMTP server (RFC 5321), over a connection of its own.
//!
//! lettre bounds the time of connecting only, so each step here has its own bound: a server that
//! falls silent in the middle of a session costs one timeout and not the worker.

mod helo;
mod session;
mod trial;

use std::time::Duration;

use async_trait::async_trait;
use lettre::Address;
use lettre::address::AddressError;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

pub use self::session::Step;
pub use self::trial::Trial;
use super::delivery::{DeliveryError, Transport};
use super::templates::Letter;
use crate::config::{HeloName, SmtpFrom, SmtpTls};
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;

/// How long the server gets to hear goodbye: by then the mail is delivered.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The server that takes our mails, and how to talk to it.
#[derive(Clone)]
pub struct SmtpOptions {
    /// Its name or address; its certificate must be for this.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// Certificates (PEM) of the authorities to trust instead of the system's.
    pub authorities: Option<Vec<u8>>,
    /// User name and password, if it wants any.
    pub credentials: Option<(String, String)>,
    /// How long the server may take for each step.
    pub timeout: Duration,
    /// Whom mails are from.
    pub from: SmtpFrom,
    /// What we call ourselves; the sender's domain unless it is said.
    pub helo_name: Option<HeloName>,
}

/// The settings name no server that could be talked to.
#[derive(Debug, thiserror::Error)]
pub enum SmtpSetupError {
    /// The authorities' certificates cannot be read, or the host can have no certificate.
    #[error("TLS to the SMTP server cannot be set up")]
    Tls(#[source] smtp::Error),
    /// The sender's address is none that SMTP can carry.
    #[error("smtp.from cannot be used as a sender")]
    Sender(#[source] AddressError),
}

/// Delivers messages, each over a connection of its own.
pub struct SmtpTransport {
    host: String,
    port: u16,
    tls: SmtpTls,
    parameters: Option<TlsParameters>,
    credentials: Option<Credentials>,
    timeout: Duration,
    sender: Mailbox,
    hello: ClientId,
}

impl SmtpTransport {
    /// Prepares for a server; it is not asked anything yet.
    ///
    /// # Errors
    /// [`SmtpSetupError`].
    pub fn new(options: SmtpOptions) -> Result<Self, SmtpSetupError> {
        let parameters = match options.tls {
            SmtpTls::None => None,
            SmtpTls::StartTls | SmtpTls::Implicit => {
                Some(tls(&options.host, options.authorities.as_deref()).map_err(SmtpSetupError::Tls)?)
            }
        };
        let sender = wire_address(&options.from.address).map_err(SmtpSetupError::Sender)?;
        Ok(Self {
            hello: match options.helo_name {
                None => ClientId::Domain(sender.domain().to_owned()),
                Some(HeloName::Domain(name)) => ClientId::Domain(name),
                Some(HeloName::Ipv4(ip)) => ClientId::Ipv4(ip),
                Some(HeloName::Ipv6(ip)) => ClientId::Ipv6(ip),
            },
            host: options.host,
            port: options.port,
            tls: options.tls,
            parameters,
            credentials: options.credentials.map(|(name, password)| Credentials::new(name, password)),
            timeout: options.timeout,
            sender: Mailbox::new(options.from.name, sender),
        })
    }
}

/// A message as it goes over the wire. Each try sends the same bytes, so that a mailbox which gets
/// them twice, after an acknowledgement that was lost, can tell by the Message-ID.
pub struct Written {
    from: Address,
    to: Address,
    bytes: Vec<u8>,
}

#[async_trait]
impl Transport for SmtpTransport {
    type Message = Written;

    fn write(&self, letter: Letter, to: &Email, id: &str, date: Timestamp) -> Result<Written, DeliveryError> {
        let unwritable = DeliveryError::unwritable;
        // Parsed, so nothing in it can end the header and begin another.
        let to = wire_address(to).map_err(|_| unwritable(lettre::error::Error::MissingTo))?;
        let plain = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(letter.text);
        let html = SinglePart::builder().header(ContentType::TEXT_HTML).body(letter.html);
        let message = Message::builder()
            .from(self.sender.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(letter.subject)
            .date(date.to_system_time())
            .message_id(Some(format!("<{id}@{}>", self.sender.email.domain())))
            .raw_header(lettre::message::header::HeaderValue::new(
                // RFC 3834 5: no out-of-office answers to this.
                lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .multipart(MultiPart::alternative().singlepart(plain).singlepart(html))
            .map_err(unwritable)?;
        Ok(Written { from: self.sender.email.clone(), to, bytes: message.formatted() })
    }

    async fn deliver(&self, message: &Written) -> Result<(), DeliveryError> {
        let mut done = Vec::new();
        let mut session = self.connect(&mut done).await?;
        self.hand_over(&mut session, message, &mut done).await?;
        // Delivered, whatever comes now.
        self.part(session).await;
        Ok(())
    }
}

/// An address as mail servers have it: the domain in its ASCII spelling (RFC 5891), so that only a
/// mailbox's own name can ask for SMTPUTF8.
fn wire_address(email: &Email) -> Result<Address, AddressError> {
    let (local, domain) = email.as_str().rsplit_once('@').ok_or(AddressError::MissingParts)?;
    match url::Host::parse(domain) {
        Ok(url::Host::Domain(domain)) => Address::new(local, domain),
        _ => email.as_str().parse(),
    }
}

fn tls(host: &str, authorities: Option<&[u8]>) -> Result<TlsParameters, smtp::Error> {
    let builder = TlsParameters::builder(host.to_owned());
    match authorities {
        None => builder.build(),
        Some(pem) => builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(pem)?)
            .build(),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn transport(name: Option<&str>, from: &str) -> SmtpTransport {
        SmtpTransport::new(SmtpOptions {
            host: "127.0.0.1".to_owned(),
            port: 25,
            tls: SmtpTls::None,
            authorities: None,
            credentials: None,
            timeout: Duration::from_secs(1),
            from: SmtpFrom { name: name.map(str::to_owned), address: Email::parse(from).unwrap() },
            helo_name: None,
        })
        .unwrap()
    }

    fn written(to: &str, subject: &str) -> String {
        let letter =
            Letter { subject: subject.to_owned(), text: "text".to_owned(), html: "<p>html</p>".to_owned() };
        let to = Email::parse(to).unwrap();
        let date = Timestamp::from_millis(1_796_169_600_000);
        let message = transport(Some("Hallpass"), "no-reply@example.com")
            .write(letter, &to, "some-id", date)
            .ok()
            .unwrap();
        String::from_utf8(message.bytes).unwrap()
    }

    #[test]
    fn a_message_names_sender_reader_time_and_itself() {
        let message = written("ada@example.com", "A subject");
        for line in [
            "From: Hallpass <no-reply@example.com>\r\n",
            "To: ada@example.com\r\n",
            "Subject: A subject\r\n",
            "Date: Wed, 02 Dec 2026 00:00:00 +0000\r\n",
            "Message-ID: <some-id@example.com>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "MIME-Version: 1.0\r\n",
        ] {
            assert!(message.contains(line), "{line:?} is missing in:\n{message}");
        }
    }

    /// Our own parser takes no such address, and no setting such a subject; this is the net below.
    #[test]
    fn no_value_begins_a_header_of_its_own() {
        let message = written("ada@example.com", "A subject\r\nBcc: eve@example.com\r\n\r\nbody");
        let (headers, _) = message.split_once("\r\n\r\n").unwrap();
        assert!(!headers.lines().any(|line| line.starts_with("Bcc:")), "{headers}");
    }

    #[test]
    fn a_domain_goes_over_the_wire_in_ascii() {
        let address = |text| wire_address(&Email::parse(text).unwrap()).map(|address| address.to_string());
        assert_eq!(address("ada@exämple.com").as_deref(), Ok("ada@xn--exmple-cua.com"));
        assert_eq!(address("żółć@example.com").as_deref(), Ok("żółć@example.com"));
    }

    #[test]
    fn a_server_that_quotes_the_reader_is_not_repeated() {
        let error = DeliveryError::status(550);
        assert_eq!(error.to_string(), "the SMTP server answered DATA with 550");
        assert!(error.source().is_none() && error.is_final());
        assert!(!DeliveryError::status(451).is_final());
    }
}
