//! `public_url`: where clients reach the service.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use crate::config::engine::{Parsed, Values, problem};

/// Where clients reach this service: absolute, http or https, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    https: bool,
    loopback: bool,
}

impl PublicUrl {
    fn from_parsed(url: &Url, text: &str) -> Self {
        Self { text: text.to_owned(), https: url.scheme() == "https", loopback: is_loopback_host(url) }
    }

    /// `http://` and the address: what a service is reached by that has no other name.
    pub fn of_address(address: SocketAddr) -> Self {
        let loopback = address.ip().to_canonical().is_loopback();
        Self { text: format!("http://{address}"), https: false, loopback }
    }

    /// The URL exactly as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its host, without port and path: what people call the service.
    pub fn host(&self) -> &str {
        let behind_scheme = self.text.split_once("://").map_or(&*self.text, |(_, rest)| rest);
        let authority = behind_scheme.split('/').next().unwrap_or(behind_scheme);
        match authority.rsplit_once(':') {
            // In [::1] the last colon is none in front of a port.
            Some((host, port)) if !port.ends_with(']') => host,
            _ => authority,
        }
    }

    /// Whether it is `https://`.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether it leads to this machine.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a URL leads to this machine; one without a host does.
pub(super) fn is_loopback_host(url: &Url) -> bool {
    let ip = match url.host() {
        None => return true,
        Some(Host::Domain(name)) => match name.parse() {
            Ok(ip) => ip,
            Err(_) => return name.is_empty() || name == "localhost" || name.ends_with(".localhost"),
        },
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
    };
    ip.to_canonical().is_loopback()
}

/// Whether an address is this machine's own.
pub(crate) fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// What it will be, as far as the address to listen on tells.
pub(crate) fn by_listen(values: &Values) -> Option<String> {
    let listen: SocketAddr = values.text("listen")?.parse().ok()?;
    (listen.port() != 0 && !listen.ip().is_unspecified()).then(|| format!("http://{listen}"))
}

/// `scheme://host[:port][/path]`, in the spelling that any client computes as well: the issuer is
/// compared as text (RFC 8414 3.3).
pub(crate) fn public_url(text: &str) -> Parsed<PublicUrl> {
    const HELP: &str = "write it like https://auth.example.com";
    let Ok(url) = Url::parse(text) else {
        return problem("is no absolute URL", HELP);
    };
    if !matches!(url.scheme(), "http" | "https") {
        return problem("is neither http:// nor https://", HELP);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return problem("holds a user name", HELP);
    }
    if text.contains(['?', '#']) {
        return problem("holds a query or a fragment (RFC 8414 2)", HELP);
    }
    if text.ends_with('/') {
        return problem("ends in a slash", "leave the last slash out");
    }
    let canonical = url.as_str().trim_end_matches('/');
    if canonical != text {
        return problem("is not in its canonical spelling", format!("write {canonical}"));
    }
    Ok(PublicUrl::from_parsed(&url, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_has_one_spelling() {
        for good in ["https://auth.example.com", "http://127.0.0.1:8080", "https://example.com/auth"] {
            assert_eq!(public_url(good).map(|url| url.as_str().to_owned()).as_deref(), Ok(good));
        }
        for bad in [
            "auth.example.com",
            "https://auth.example.com/",
            "https://example.com/auth/",
            "https://auth.example.com?x=1",
            "https://auth.example.com/#top",
            "https://user@auth.example.com",
            "https://Auth.Example.com",
            "https://auth.example.com:443",
            "ftp://auth.example.com",
            "https://",
            " https://auth.example.com",
        ] {
            assert!(public_url(bad).is_err(), "{bad:?}");
        }
    }
}
