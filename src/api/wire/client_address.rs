//! Where a request comes from, behind proxies or not.
//!
//! The client's address is the peer's, unless the peer is a trusted proxy: then what that one says
//! counts, and so on along the chain. It stands in one of two headers, `X-Forwarded-For` or `Forwarded`
//! (RFC 7239): that which the proxies write. It is read from the right, where the nearest proxy has
//! written; the first address that is no trusted proxy's is the client's. What stands left of it is the
//! client's own claim, and so is never looked at.
//!
//! - An entry that is malformed, `unknown` or obfuscated (RFC 7239 6.2, 6.3) ends the walk; the
//!   last address before it counts.
//! - The other header is ignored: proxies pass it on as the client sent it.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use ipnet::IpNet;
use poem::http::{HeaderMap, HeaderName, header};

use crate::config::ForwardedHeader;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl ForwardedHeader {
    const fn name(self) -> HeaderName {
        match self {
            Self::XForwardedFor => X_FORWARDED_FOR,
            Self::Forwarded => header::FORWARDED,
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::XForwardedFor => Self::Forwarded,
            Self::Forwarded => Self::XForwardedFor,
        }
    }
}

/// Which peers are believed about where a request comes from. Cheap to clone; clones change together.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    trust: Arc<ArcSwap<Trust>>,
    warned: Arc<AtomicBool>,
}

/// Who is believed, about what stands where.
#[derive(Debug, Default)]
struct Trust {
    networks: Box<[IpNet]>,
    header: ForwardedHeader,
}

impl TrustedProxies {
    /// Believes the peers in these networks about what stands in this header.
    pub fn new(networks: &[IpNet], header: ForwardedHeader) -> Self {
        let trust = Trust { networks: networks.into(), header };
        Self { trust: Arc::new(ArcSwap::from_pointee(trust)), warned: Arc::default() }
    }

    /// Believes others from now on. What is wrong with them is said anew.
    pub fn change(&self, networks: &[IpNet], header: ForwardedHeader) {
        self.trust.store(Arc::new(Trust { networks: networks.into(), header }));
        self.warned.store(false, Ordering::Relaxed);
    }

    /// The address of the client that a request comes from.
    pub fn client_address(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = peer?.to_canonical();
        let trust = self.trust.load();
        let has = |header: ForwardedHeader| headers.contains_key(header.name());
        if !trust.covers(peer) {
            if has(trust.header) || has(trust.header.other()) {
                self.warn_of(peer);
            }
            return Some(peer);
        }
        if !has(trust.header) {
            if has(trust.header.other()) {
                self.warn_of_other(peer, trust.header);
            }
            return Some(peer);
        }
        Some(match trust.header {
            ForwardedHeader::XForwardedFor => trust.walk(peer, x_forwarded_entries(headers)),
            ForwardedHeader::Forwarded => trust.walk(peer, forwarded_entries(headers)),
        })
    }

    /// A proxy that nobody has named makes all its clients share one address, and with it one rate
    /// limit. Said once; an address of the internet is no proxy of ours but somebody who pretends.
    fn warn_of(&self, peer: IpAddr) {
        if is_internal(peer) && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %peer,
                "a request says that it was forwarded, by a peer that is no trusted proxy: all clients behind it \
                 count as one; name it in trusted_proxies"
            );
        }
    }

    /// A proxy that writes the other header makes all its clients share one address as well. Said once.
    fn warn_of_other(&self, peer: IpAddr, header: ForwardedHeader) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %peer,
                expected = %header.name(),
                came = %header.other().name(),
                "a trusted proxy does not say where a request comes from in the header that forwarded_header names: \
                 all clients behind it count as one"
            );
        }
    }
}

impl Trust {
    fn covers(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// From the peer on, for as long as somebody trusted speaks of somebody else.
    fn walk(&self, peer: IpAddr, entries: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut address = peer;
        for entry in entries {
            let Some(before) = entry.filter(|_| self.covers(address)) else { break };
            address = before;
        }
        address
    }
}

/// Whether the address is of this machine or of a network of one's own.
fn is_internal(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

/// The entries of all `X-Forwarded-For`, the last one first; `None` for one that is no address.
fn x_forwarded_entries(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',').map(|entry| node(entry.trim_ascii())))
}

/// The `for` of all elements of all `Forwarded`, the last one first; `None` where it is no address.
fn forwarded_entries(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let lines = headers.get_all(header::FORWARDED).iter().rev();
    lines.flat_map(|line| {
        let elements = split(line.as_bytes(), b',');
        elements.into_iter().rev().map(forwarded_for).collect::<Vec<_>>()
    })
}

/// Splits at a delimiter outside of quoted strings (RFC 9110 5.6.4). A quotation that does not end
/// goes on to the end of the text, which is then no element.
fn split(text: &[u8], delimiter: u8) -> Vec<&[u8]> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            byte if *byte == delimiter && !is_quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The address in a `Forwarded` element (RFC 7239 4), if the element is well-formed and has one.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for pair in split(element, b';') {
        let pair = pair.trim_ascii();
        if pair.is_empty() {
            continue;
        }
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (&pair[..equals], value(&pair[equals + 1..])?);
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            return None;
        }
        if name.eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
            return None;
        }
    }
    node(&found?)
}

/// A token or a quoted string, without its quotation marks. Brackets and colons need these, but are
/// common without.
fn value(text: &[u8]) -> Option<Vec<u8>> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let plain = text.iter().all(|byte| is_token(*byte) || matches!(byte, b':' | b'[' | b']'));
        return (plain && !text.is_empty()).then(|| text.to_vec());
    };
    let (mut value, mut bytes) = (Vec::new(), quoted.iter());
    loop {
        match bytes.next()? {
            b'"' => return bytes.as_slice().is_empty().then_some(value),
            b'\\' => value.push(*bytes.next()?),
            byte => value.push(*byte),
        }
    }
}

/// A character of a token (RFC 9110 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The address of a node (RFC 7239 6), as proxies write it in either header: with a port or without,
/// IPv6 in brackets or bare.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let address = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        IpAddr::V6(address.parse::<Ipv6Addr>().ok().filter(|_| is_port)?)
    } else if let Some((address, port)) = text.split_once(':').filter(|(_, port)| !port.contains(':')) {
        IpAddr::V4(address.parse().ok().filter(|_| is_port(port))?)
    } else {
        text.parse().ok()?
    };
    Some(address.to_canonical())
}

/// A port, or an obfuscated one (RFC 7239 6).
fn is_port(text: &str) -> bool {
    let is_obfuscated = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    let is_number = || text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok();
    text.strip_prefix('_').map_or_else(is_number, is_obfuscated)
}

#[cfg(test)]
#[path = "client_address/tests.rs"]
mod tests;
