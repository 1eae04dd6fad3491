//! `trusted_proxies` and `forwarded_header`: who is believed about where requests come from.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::engine::{Parsed, Review, parse, problem};

/// The header in which proxies say where a request comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

pub(crate) fn forwarded_header(text: &str) -> Parsed<ForwardedHeader> {
    const CHOICES: [(&str, ForwardedHeader); 2] =
        [("x-forwarded-for", ForwardedHeader::XForwardedFor), ("forwarded", ForwardedHeader::Forwarded)];
    parse::choice("is no header that says where a request comes from", CHOICES)(text)
}

/// An address or a network. An IPv4 network in IPv6 clothes is IPv4, as the addresses are that it is compared with.
pub(crate) fn network(text: &str) -> Parsed<IpNet> {
    const HELP: &str = "write addresses and networks like 10.0.0.1, 10.0.0.0/8 or 2001:db8::/32";
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().or_else(|_| problem("names something else than networks", HELP))?,
    };
    if network.trunc() != network {
        return problem(
            "names a network by an address that is not its first",
            format!("write {} if you mean all of it", network.trunc()),
        );
    }
    let mapped = match network.addr() {
        IpAddr::V6(address) if network.prefix_len() >= 96 => address.to_ipv4_mapped(),
        _ => None,
    };
    let unwrapped = mapped.and_then(|address| IpNet::new(address.into(), network.prefix_len() - 96).ok());
    Ok(unwrapped.unwrap_or(network))
}

pub(crate) fn review(trusted: &[IpNet], review: &mut Review<'_>) {
    if trusted.iter().any(|network| network.prefix_len() == 0) {
        review.warn("trusted_proxies", "holds every address: anybody can claim to come from anywhere");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_addresses_or_prefixes() {
        let texts = |text| {
            let networks = parse::list(network)(text);
            networks.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        for (text, found) in [
            ("", ""),
            (" ", ""),
            ("127.0.0.1", "127.0.0.1/32"),
            ("::1", "::1/128"),
            ("10.0.0.0/8, 2001:db8::/32", "10.0.0.0/8 2001:db8::/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("::/0,0.0.0.0/0", "::/0 0.0.0.0/0"),
        ] {
            assert_eq!(texts(text).as_deref(), Ok(found), "{text:?}");
        }
        for bad in
            ["10.0.0.1/8", "10.0.0.0/33", "10.0.0", "proxy.internal", "10.0.0.0/8,", "10.0.0.0/8 ::1", "*"]
        {
            assert!(texts(bad).is_err(), "{bad:?}");
        }
    }
}
