//! Settings of mails: the server that takes them, where their links lead, and what needs them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::build::Reader;
use super::parse::{self, Parsed, Problem};
use super::rules::Review;
use super::{Profile, PublicUrl, ResetDelivery, Secret, Settings};
use crate::domain::email::Email;
use crate::domain::link::LinkTemplate;

/// The page of hallpass' own where a new password is chosen, below the public URL.
pub const RESET_PAGE: &str = "/reset-password";

/// The page of hallpass' own where an address is confirmed, below the public URL.
pub const VERIFICATION_PAGE: &str = "/verify-email";

const TIMEOUT_MIN: Duration = Duration::from_secs(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(5 * 60);
const VERIFICATION_TTL_MIN: Duration = Duration::from_secs(60);
const VERIFICATION_TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// How to get mails out.
const SMTP_MEND: &str = "set `smtp.host` and `smtp.from`";

/// The server that takes mails.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// Whether [`SmtpTls::None`] is allowed in production.
    pub danger_plaintext: bool,
    /// A PEM file with the authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// User name and password.
    pub credentials: Option<(String, Secret)>,
    /// Whom mails are from.
    pub from: SmtpFrom,
    /// How long the server may take for each step.
    pub timeout: Duration,
}

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// STARTTLS, and nothing is sent without it.
    StartTls,
    /// TLS from the first byte.
    Implicit,
    /// Not at all.
    None,
}

impl SmtpTls {
    /// The port where servers offer this (RFC 8314 7.3, RFC 5321 4.5.4.2).
    const fn default_port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

/// Whom mails are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpFrom {
    /// The name beside the address.
    pub name: Option<String>,
    /// The address.
    pub address: Email,
}

/// Proving e-mail addresses.
#[derive(Clone, Debug)]
pub struct VerificationSettings {
    /// How long a verification token lives.
    pub ttl: Duration,
    /// The page that its link leads to, if set. See [`Settings::verification_link`].
    pub url: Option<LinkTemplate>,
}

/// How accounts come to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrationSettings {
    /// Whether one has to prove the address before one can log in.
    pub verify_email: bool,
    /// Whether a registration is answered alike for addresses that have an account.
    pub conceal_existing: bool,
}

impl Settings {
    /// Where the link in a reset mail leads.
    pub fn reset_link(&self, issuer: &PublicUrl) -> LinkTemplate {
        let own_page = || LinkTemplate::to_page(&format!("{issuer}{RESET_PAGE}"));
        self.reset.url.clone().unwrap_or_else(own_page)
    }

    /// Where the link in a verification mail leads.
    pub fn verification_link(&self, issuer: &PublicUrl) -> LinkTemplate {
        let own_page = || LinkTemplate::to_page(&format!("{issuer}{VERIFICATION_PAGE}"));
        self.verification.url.clone().unwrap_or_else(own_page)
    }
}

/// The defaults that follow from other settings.
pub(super) fn compute_defaults(values: &mut super::Values) {
    let delivery = match values.profile() {
        Profile::Dev => "response",
        Profile::Serve if values.get("smtp.host").is_some() => "smtp",
        Profile::Serve => "off",
    };
    values.computed("reset.delivery", delivery);
    let tls = values.get("smtp.tls").and_then(|found| smtp_tls(found.text.expose()).ok());
    if let Some(tls) = tls.filter(|_| values.get("smtp.host").is_some()) {
        values.computed("smtp.port", tls.default_port().to_string());
    }
    if let Some(url) = values.get("public_url").map(|found| found.text.expose().to_owned()) {
        values.computed("reset.url", format!("{url}{RESET_PAGE}#token={{token}}"));
        values.computed("verification.url", format!("{url}{VERIFICATION_PAGE}#token={{token}}"));
    }
}

/// The server, if one is named; all that was set about it is read in any case.
pub(super) fn smtp(read: &mut Reader<'_>) -> Option<SmtpSettings> {
    let host = read.find("smtp.host", host);
    let tls = read.get("smtp.tls", smtp_tls, SmtpTls::StartTls);
    let port = read.find("smtp.port", parse::number(1..=u16::MAX)).unwrap_or(tls.default_port());
    let from = read.find("smtp.from", from);
    let username = read.find("smtp.username", parse::text);
    let password = read.find("smtp.password", |text| Ok(Secret::new(text)));
    match (read.is_set("smtp.username"), read.is_set("smtp.password")) {
        (true, false) => {
            read.refuse("smtp.username", "is set without `smtp.password`", "set both or neither");
        }
        (false, true) => {
            read.refuse("smtp.password", "is set without `smtp.username`", "set both or neither");
        }
        _ => {}
    }
    if read.is_set("smtp.host") && !read.is_set("smtp.from") {
        let mend = "set it to an address that the server may send from, like no-reply@example.com";
        read.refuse("smtp.from", "is not set", mend);
    }
    let settings = SmtpSettings {
        port,
        tls,
        danger_plaintext: read.get("smtp.danger_plaintext", parse::boolean, false),
        ca_file: read.find("smtp.ca_file", parse::path),
        credentials: username.zip(password),
        timeout: read.get("smtp.timeout", parse::duration, Duration::ZERO),
        host: host?,
        // Refused above, and further mistakes shall show nevertheless.
        from: from
            .or_else(|| Some(SmtpFrom { name: None, address: Email::parse("nobody@localhost").ok()? }))?,
    };
    Some(settings)
}

pub(super) fn verification(read: &mut Reader<'_>) -> VerificationSettings {
    VerificationSettings {
        ttl: read.get("verification.ttl", parse::seconds, Duration::ZERO),
        url: read.find_set("verification.url", link),
    }
}

pub(super) fn registration(read: &mut Reader<'_>) -> RegistrationSettings {
    RegistrationSettings {
        verify_email: read.get("registration.verify_email", parse::boolean, false),
        conceal_existing: read.get("registration.conceal_existing", parse::boolean, false),
    }
}

fn refused<T>(problem: impl Into<String>, mend: &str) -> Parsed<T> {
    Err(Problem { problem: problem.into(), mend: mend.to_owned() })
}

fn host(text: &str) -> Parsed<String> {
    match url::Host::parse(text) {
        Ok(host) => Ok(match host {
            url::Host::Ipv6(ip) => ip.to_string(),
            host => host.to_string(),
        }),
        Err(_) => {
            let ip = text.parse::<IpAddr>().map(|ip| ip.to_string());
            ip.or_else(|_| {
                refused("is no host name", "write it like smtp.example.com; the port is `smtp.port`")
            })
        }
    }
}

fn smtp_tls(text: &str) -> Parsed<SmtpTls> {
    match text {
        "starttls" => Ok(SmtpTls::StartTls),
        "implicit" => Ok(SmtpTls::Implicit),
        "none" => Ok(SmtpTls::None),
        _ => refused("is no way to protect the connection", "write starttls, implicit or none"),
    }
}

/// `ada@example.com`, or `Ada Lovelace <ada@example.com>`.
fn from(text: &str) -> Parsed<SmtpFrom> {
    let (name, address) = match text.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((name, address)) => (name.trim(), address),
        None => ("", text),
    };
    let plain = |c: char| !c.is_control() && !matches!(c, '<' | '>' | '"');
    match Email::parse(address) {
        Ok(address) if name.chars().all(plain) => {
            Ok(SmtpFrom { name: (!name.is_empty()).then(|| name.to_owned()), address })
        }
        _ => refused("is no sender", "write it like no-reply@example.com or Example <no-reply@example.com>"),
    }
}

pub(super) fn link(text: &str) -> Parsed<LinkTemplate> {
    const MEND: &str = "write it like https://app.example.com/reset#token={token}";
    LinkTemplate::parse(text).or_else(|error| refused(error.to_string(), MEND))
}

impl Review<'_> {
    /// What holds for every command.
    pub(super) fn mail_contradictions(&mut self) {
        let verification_ttl = self.settings.verification.ttl;
        self.within("verification.ttl", verification_ttl, VERIFICATION_TTL_MIN, VERIFICATION_TTL_MAX);
        let Some(smtp) = &self.settings.smtp else { return };
        self.within("smtp.timeout", smtp.timeout, TIMEOUT_MIN, TIMEOUT_MAX);
        if let Some(path) = &smtp.ca_file
            && let Err(error) = std::fs::File::open(path)
        {
            self.refuse(
                "smtp.ca_file",
                format!("= {path:?} cannot be read: {error}"),
                "name a readable PEM file",
            );
        }
    }

    /// What keeps a service from starting, whichever: mails that are asked for and cannot be sent.
    pub(super) fn unsendable_mail(&mut self) {
        let settings = self.settings;
        let no_smtp = settings.smtp.is_none() && self.sound(&["smtp.host"]);
        if no_smtp && settings.reset.delivery == ResetDelivery::Smtp {
            self.refuse("reset.delivery", "= \"smtp\", but `smtp.host` is not set", SMTP_MEND);
        }
        if no_smtp && settings.registration.verify_email {
            let problem = "is on, but `smtp.host` is not set: nobody who registers could ever log in";
            self.refuse("registration.verify_email", problem, SMTP_MEND);
        }
        if settings.registration.conceal_existing && !settings.registration.verify_email {
            let problem = "is on, but `registration.verify_email` is not: whoever can log in right after \
                registering knows that the address was free";
            self.refuse("registration.conceal_existing", problem, "turn both on, or this one off");
        }
    }

    /// What keeps `serve` from starting, or deserves a second thought there.
    pub(super) fn unsafe_mail(&mut self) {
        let settings = self.settings;
        if let Some(smtp) =
            settings.smtp.as_ref().filter(|smtp| smtp.tls == SmtpTls::None && !is_here(&smtp.host))
        {
            if smtp.danger_plaintext {
                self.warn(
                    "smtp.danger_plaintext",
                    "is on: reset tokens travel to the mail server in the clear",
                );
            } else if self.sound(&["smtp.tls"]) {
                let problem = "= \"none\" sends reset tokens through the network in the clear";
                let mend = "write starttls or implicit, or set `smtp.danger_plaintext` = true if you mean it";
                self.refuse("smtp.tls", problem, mend);
            }
        }
        for (key, link) in
            [("reset.url", &settings.reset.url), ("verification.url", &settings.verification.url)]
        {
            let Some(link) = link else { continue };
            if !link.is_https() {
                self.warn(key, "is http://: tokens travel in the clear");
            } else if !link.keeps_token_from_servers() {
                self.warn(
                    key,
                    "has the token in front of a `#`: it ends up in the logs of servers and proxies",
                );
            }
        }
    }
}

/// Whether a host is this machine.
fn is_here(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        let read = |text| from(text).ok().map(|from| (from.name, from.address.to_string()));
        let address = || "no-reply@example.com".to_owned();
        assert_eq!(read("no-reply@example.com"), Some((None, address())));
        assert_eq!(read("<no-reply@example.com>"), Some((None, address())));
        assert_eq!(
            read("Example, Inc. <no-reply@example.com>"),
            Some((Some("Example, Inc.".to_owned()), address()))
        );
        for bad in [
            "",
            "example.com",
            "Example no-reply@example.com",
            "A\r\nBcc: x <a@b.example>",
            "<a>b <a@b.example>",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_without_a_port() {
        for (text, read) in [
            ("smtp.example.com", Some("smtp.example.com")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("::1", Some("::1")),
            ("[::1]", Some("::1")),
            ("smtp.example.com:25", None),
            ("smtp://smtp.example.com", None),
            ("a b", None),
        ] {
            assert_eq!(host(text).ok().as_deref(), read, "{text}");
        }
    }
}
