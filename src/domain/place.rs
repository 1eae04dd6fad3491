//! Where somebody is, as far as their address tells.

use std::net::{IpAddr, Ipv4Addr};

/// How many bytes of an IPv6 address name a network: one household or one server has 2^64
/// addresses, so a single one means nothing (RFC 6177 2).
const IPV6_NETWORK_BYTES: usize = 8;

/// Who is taken for one and the same: an IPv4 address, or an IPv6 network of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address.
    Ipv6([u8; IPV6_NETWORK_BYTES]),
    /// A connection without an address: all of them are one place.
    Unknown,
}

impl Place {
    /// The place of an address. An IPv4 address in IPv6 clothes (`::ffff:192.0.2.1`) is IPv4.
    pub fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Unknown,
            Some(IpAddr::V4(address)) => Self::Ipv4(address),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::Ipv6([a, b, c, d, e, f, g, h])
            }
        }
    }

    /// The place as bytes, of which no two places have the same.
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Ipv4(address) => address.octets().to_vec(),
            Self::Ipv6(network) => network.to_vec(),
            Self::Unknown => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(address: &str) -> Place {
        Place::of(Some(address.parse().expect("an address")))
    }

    #[test]
    fn an_ipv6_network_is_one_place() {
        assert_eq!(place("2001:db8:1:2::1"), place("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
    }

    #[test]
    fn each_ipv4_address_is_a_place_in_whatever_clothes() {
        assert_ne!(place("192.0.2.1"), place("192.0.2.2"));
        assert_eq!(place("::ffff:192.0.2.1"), place("192.0.2.1"));
        assert_ne!(place("::ffff:192.0.2.1"), place("::ffff:192.0.2.2"));
    }

    #[test]
    fn no_two_places_have_the_same_bytes() {
        let places = [place("0.0.0.0"), place("192.0.2.1"), place("::"), place("2001:db8::"), Place::Unknown];
        for (i, one) in places.iter().enumerate() {
            for other in &places[i + 1..] {
                assert_ne!(one.to_bytes(), other.to_bytes(), "{one:?} {other:?}");
            }
        }
    }
}
