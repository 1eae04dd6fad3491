//! `smtp.helo_name`: what a client calls itself (RFC 5321 4.1.1.1).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::config::engine::{Parsed, problem};

/// The most bytes of a host name, and of each of its labels (RFC 1035 2.3.4).
const NAME_MAX_BYTES: usize = 253;
const LABEL_MAX_BYTES: usize = 63;

/// A host name or an address literal (RFC 5321 4.1.2, 4.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeloName {
    /// A host name in ASCII.
    Domain(String),
    /// `[192.0.2.1]`
    Ipv4(Ipv4Addr),
    /// `[IPv6:2001:db8::1]`
    Ipv6(Ipv6Addr),
}

pub(super) fn helo_name(text: &str) -> Parsed<HeloName> {
    const HELP: &str = "write it like auth.example.com, [192.0.2.1] or [IPv6:2001:db8::1]";
    let read = match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(literal) => address(literal),
        // A name of any script is sent as its A-label; of 192.0.2.1 that is no name.
        None => match url::Host::parse(text) {
            Ok(url::Host::Domain(name)) if is_host_name(&name) => Some(HeloName::Domain(name)),
            _ => None,
        },
    };
    read.map_or_else(|| problem("is neither a host name nor an address in brackets", HELP), Ok)
}

fn address(literal: &str) -> Option<HeloName> {
    const TAG: &str = "IPv6:";
    match literal.get(..TAG.len()) {
        Some(tag) if tag.eq_ignore_ascii_case(TAG) => literal[TAG.len()..].parse().ok().map(HeloName::Ipv6),
        _ => literal.parse().ok().map(HeloName::Ipv4),
    }
}

fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        plain
            && (1..=LABEL_MAX_BYTES).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= NAME_MAX_BYTES && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_a_host_name_or_an_address_in_brackets() {
        let name = |text: &str| Ok(HeloName::Domain(text.to_owned()));
        assert_eq!(helo_name("auth.example.com"), name("auth.example.com"));
        assert_eq!(helo_name("Mail-1.Example.com"), name("mail-1.example.com"));
        assert_eq!(helo_name("localhost"), name("localhost"));
        assert_eq!(helo_name("bücher.example"), name("xn--bcher-kva.example"));
        assert_eq!(helo_name("[192.0.2.1]"), Ok(HeloName::Ipv4([192, 0, 2, 1].into())));
        let ipv6 = HeloName::Ipv6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into());
        assert_eq!(helo_name("[IPv6:2001:db8::1]"), Ok(ipv6.clone()));
        assert_eq!(helo_name("[ipv6:2001:db8::1]"), Ok(ipv6));
        for bad in [
            "",
            "192.0.2.1",
            "2001:db8::1",
            "[2001:db8::1]",
            "[IPv6:192.0.2.1]",
            "[auth.example.com]",
            "[192.0.2.1",
            "auth.example.com:25",
            "auth_1.example.com",
            "-auth.example.com",
            "auth-.example.com",
            "auth..example.com",
            "auth.example.com.",
            "a b",
            "a\r\nMAIL FROM:<x@y.example>",
            "a\r\n",
            &format!("{}.example.com", "a".repeat(64)),
            &"a.".repeat(200),
        ] {
            assert!(helo_name(bad).is_err(), "{bad:?}");
        }
    }
}
