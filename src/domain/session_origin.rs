//! Where a session was opened: what its owner recognises it by.

use std::net::IpAddr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::client::FIRST_PARTY_CLIENT_ID;
use super::user_agent;

/// Where and with what a session was opened, as it looked at login. It decides nothing: addresses
/// change under way, and anybody can write any `User-Agent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOrigin {
    /// The client's address: that of the connection, or what trusted proxies say it is; `None` where
    /// the connection has none.
    #[serde(rename = "a", default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The `User-Agent` that came, without control characters and [shortened](user_agent::shorten) to 64 bytes;
    /// `None` where nothing is left of it.
    #[serde(
        rename = "u",
        default,
        deserialize_with = "kept_user_agent",
        skip_serializing_if = "Option::is_none"
    )]
    pub user_agent: Option<String>,
    /// Who opened it for the user: claim `client_id` of its access tokens. As text, absence stands for the first
    /// party.
    #[serde(
        rename = "c",
        default = "first_party",
        deserialize_with = "plain",
        skip_serializing_if = "is_first_party"
    )]
    pub client: String,
}

impl SessionOrigin {
    /// Notes what came. An IPv4 address in IPv6 clothes (`::ffff:192.0.2.1`) is noted as IPv4.
    pub fn new(address: Option<IpAddr>, user_agent: Option<&str>, client: impl Into<String>) -> Self {
        Self {
            address: address.map(|address| address.to_canonical()),
            user_agent: user_agent.and_then(clean),
            client: client.into(),
        }
    }
}

fn clean(user_agent: &str) -> Option<String> {
    let printable: String = user_agent.chars().filter(|c| !c.is_control()).collect();
    Some(user_agent::shorten(printable.trim())).filter(|text| !text.is_empty())
}

/// A text that was stored: without control characters.
fn plain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.chars().any(char::is_control) {
        true => Err(D::Error::custom("a control character")),
        false => Ok(text),
    }
}

/// Builds before kept more of it.
fn kept_user_agent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(clean(&plain(deserializer)?))
}

/// What may be absent: `null` is not absence.
fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn first_party() -> String {
    FIRST_PARTY_CLIENT_ID.to_owned()
}

fn is_first_party(client: &str) -> bool {
    client == FIRST_PARTY_CLIENT_ID
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user_agent(text: &str) -> Option<String> {
        SessionOrigin::new(None, Some(text), "hallpass").user_agent
    }

    #[test]
    fn a_user_agent_is_kept_without_control_characters() {
        assert_eq!(user_agent(" curl/8.5.0\r\n\u{1b}[31m\u{85} "), Some("curl/8.5.0[31m".to_owned()));
        assert_eq!(user_agent("Müller/1.0 🦀"), Some("Müller/1.0 🦀".to_owned()));
    }

    #[test]
    fn a_user_agent_is_shortened_once_what_is_not_printed_is_gone() {
        let printed = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let kept = Some("(X11; Linux x86_64; rv:140.0) Firefox/140.0".to_owned());
        assert_eq!(user_agent(&format!("\t {}\r\n ", printed.replace('/', "\u{7f}/"))), kept);
        assert_eq!(user_agent(&format!("{}\u{7f}", "a".repeat(64))), Some("a".repeat(64)));
    }

    #[test]
    fn a_user_agent_of_which_nothing_is_left_is_none() {
        assert_eq!(user_agent(""), None);
        assert_eq!(user_agent("\t \u{7f}"), None);
    }

    #[test]
    fn an_ipv4_address_is_noted_as_one() {
        let noted = |text: &str| {
            SessionOrigin::new(text.parse().ok(), None, "hallpass").address.map(|address| address.to_string())
        };
        assert_eq!(noted("::ffff:192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(noted("2001:db8::1").as_deref(), Some("2001:db8::1"));
    }
}
