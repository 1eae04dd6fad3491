//! Where a session was opened: what its owner recognises it by.

use std::net::IpAddr;

/// How much of a `User-Agent` is kept, in characters: enough to tell devices apart.
const USER_AGENT_MAX: usize = 256;

/// Where and with what a session was opened, as it looked at login. It decides nothing: addresses
/// change under way, and anybody can write any `User-Agent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOrigin {
    /// The client's address: that of the connection, or what trusted proxies say it is; `None` where
    /// the connection has none.
    pub address: Option<IpAddr>,
    /// The `User-Agent` that came, without control characters and cut to 256 characters; `None`
    /// where nothing is left of it.
    pub user_agent: Option<String>,
    /// Who opened it for the user: claim `client_id` of its access tokens.
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
    let kept: String = printable.trim().chars().take(USER_AGENT_MAX).collect();
    Some(kept).filter(|text| !text.is_empty())
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
    fn a_user_agent_is_cut_by_characters() {
        assert_eq!(user_agent(&"ü".repeat(256)), Some("ü".repeat(256)));
        assert_eq!(user_agent(&"ü".repeat(257)), Some("ü".repeat(256)));
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
