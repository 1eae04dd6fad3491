//! `smtp.*`: the server that takes mails.

mod helo_name;
mod sender;

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

pub use self::helo_name::HeloName;
pub use self::sender::SmtpFrom;
use crate::config::engine::{
    Always, Computed, Later, Nothing, Parsed, Review, Secret, Values, parse, problem, settings,
};
use crate::domain::link::LinkTemplate;

const TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(5 * 60);

/// How to get mails out.
pub(crate) const SMTP_HELP: &str = "set `smtp.host` and `smtp.from`";

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// In the clear first, then STARTTLS (RFC 3207), without which nothing is sent.
    StartTls,
    /// TLS from the first byte (RFC 8314 3.3).
    Implicit,
    /// Not at all: password, addresses and tokens travel in the clear.
    None,
}

impl SmtpTls {
    /// The port where servers offer this (RFC 8314 7.3, RFC 5321 4.5.4.2).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

settings! {
    /// The server that takes mails; there is one if `host` is set.
    #[derive(Clone, Debug)]
    pub struct SmtpSettings {
        /// The mail server that takes hallpass' mails.
        host: Option<String> = "smtp.host" {
            kind: Text, parse: host, default: Nothing, example: "smtp.example.com",
        },
        /// Its port.
        port: Option<u16> = "smtp.port" {
            kind: Number, parse: parse::number(1..=u16::MAX),
            default: Computed { says: "by `smtp.tls`: 587, 465 or 25", by: port }, example: "2525",
        },
        /// How the connection to it is protected: `starttls` (nothing is sent without), `implicit` (TLS from the first
        /// byte), or `none` (in `serve` for a server on this machine only).
        tls: SmtpTls = "smtp.tls" {
            kind: Text, parse: tls, default: Always("starttls"), example: "implicit",
        },
        /// Allow `smtp.tls = "none"` in `serve` to a server elsewhere: whoever listens in the network in between can
        /// then take over any account.
        danger_plaintext: bool = "smtp.danger_plaintext" {
            kind: Boolean, parse: parse::boolean, default: Always("false"), example: "true",
        },
        /// A PEM file with the certificate authorities to trust for the mail server instead of the system's.
        ca_file: Option<PathBuf> = "smtp.ca_file" {
            kind: Text, parse: parse::readable_file("name a readable PEM file"), default: Nothing,
            example: "/etc/hallpass/mail-ca.pem",
        },
        /// The user name at the mail server, if it wants one.
        username: Option<String> = "smtp.username" {
            kind: Text, parse: parse::text, default: Nothing, example: "hallpass",
        },
        /// The password at the mail server.
        password: Option<Secret> = "smtp.password" {
            kind: Secret, parse: parse::secret, default: Nothing, example: "(a password)",
        },
        /// Whom mails are from: an address, alone or in angle brackets behind a name (RFC 5322 3.4).
        from: Option<SmtpFrom> = "smtp.from" {
            kind: Text, parse: sender::sender, default: Nothing, example: "Example <no-reply@example.com>",
        },
        /// What hallpass calls itself at the mail server (EHLO): the host name that its address resolves to, or that
        /// address in brackets (`[192.0.2.1]`, `[IPv6:2001:db8::1]`).
        helo_name: Option<HeloName> = "smtp.helo_name" {
            kind: Text, parse: helo_name::helo_name,
            default: Later { says: "the domain of `smtp.from`", by: sender::domain },
            example: "auth.example.com",
        },
        /// How long the mail server may take for each step (1s to 5m).
        timeout: Duration = "smtp.timeout" {
            kind: Text, parse: parse::span(TIMEOUT), default: Always("10s"), example: "30s",
        },
    }
}

fn port(values: &Values) -> Option<String> {
    values.text("smtp.host")?;
    Some(tls(values.text("smtp.tls")?).ok()?.default_port().to_string())
}

fn host(text: &str) -> Parsed<String> {
    match url::Host::parse(text) {
        Ok(url::Host::Ipv6(ip)) => Ok(ip.to_string()),
        Ok(host) => Ok(host.to_string()),
        Err(_) => match text.parse::<IpAddr>() {
            Ok(ip) => Ok(ip.to_string()),
            Err(_) => problem("is no host name", "write it like smtp.example.com; the port is `smtp.port`"),
        },
    }
}

fn tls(text: &str) -> Parsed<SmtpTls> {
    const CHOICES: [(&str, SmtpTls); 3] =
        [("starttls", SmtpTls::StartTls), ("implicit", SmtpTls::Implicit), ("none", SmtpTls::None)];
    parse::choice("is no way to protect the connection", CHOICES)(text)
}

/// The parser of links in mails.
pub(super) fn link(text: &str) -> Parsed<LinkTemplate> {
    const HELP: &str = "write it like https://app.example.com/reset#token={token}";
    LinkTemplate::parse(text).or_else(|error| problem(error.to_string(), HELP))
}

/// What production is warned of about a link in mails.
pub(crate) fn review_link(key: &'static str, link: Option<&LinkTemplate>, review: &mut Review<'_>) {
    let Some(link) = link else { return };
    if !link.is_https() {
        review.warn(key, "is http://: tokens travel in the clear");
    } else if !link.keeps_token_from_servers() {
        review.warn(key, "has the token in front of a `#`: it ends up in the logs of servers and proxies");
    }
}

impl SmtpSettings {
    pub(crate) fn review(&self, review: &mut Review<'_>) {
        review.both_or_neither("smtp.username", "smtp.password");
        if review.is_set("smtp.host") && !review.is_set("smtp.from") {
            let help = "set it to an address that the server may send from, like no-reply@example.com";
            review.refuse("smtp.from", "is not set", help);
        }
    }

    /// What keeps `serve` from starting, or deserves a second thought there.
    pub(crate) fn review_production(&self, review: &mut Review<'_>) {
        let Some(host) = &self.host else { return };
        if self.tls != SmtpTls::None || is_here(host) {
            return;
        }
        if self.danger_plaintext {
            let text = "is on: reset tokens travel to the mail server in the clear";
            review.warn("smtp.danger_plaintext", text);
        } else if review.sound(&["smtp.tls"]) {
            let problem = "= \"none\" sends reset tokens through the network in the clear";
            let help = "write starttls or implicit, or set `smtp.danger_plaintext` = true if you mean it";
            review.refuse("smtp.tls", problem, help);
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
