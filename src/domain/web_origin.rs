//! Origins of web pages (RFC 6454), as browsers write them.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

/// A page's origin, `scheme://host[:port]`, in the one spelling that browsers send.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebOrigin {
    text: String,
    is_loopback: bool,
}

/// Why a text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebOriginError {
    /// `null` stands for every page that has no origin: sandboxed ones, and files on a disk.
    #[error("is the origin of every page that has none")]
    Null,
    /// No `://`, or no scheme or no host around it.
    #[error("is no scheme://host")]
    NotAnOrigin,
    /// A path, a query, a fragment or a user name: an origin ends with its port.
    #[error("has more in it than scheme, host and port")]
    MoreThanAnOrigin,
    /// Browsers write the same origin in another way.
    #[error("is not how browsers write it")]
    Spelling {
        /// How they do.
        browsers: String,
    },
}

impl WebOrigin {
    /// Reads an origin. Any scheme will do, since pages inside of apps have schemes of their own
    /// (`capacitor://localhost`).
    ///
    /// # Errors
    /// [`WebOriginError`].
    pub fn parse(text: &str) -> Result<Self, WebOriginError> {
        if text == "null" {
            return Err(WebOriginError::Null);
        }
        if let Some(bare) = text.strip_suffix('/').filter(|bare| !bare.ends_with('/')) {
            return Err(match Self::parse(bare) {
                Ok(origin) => WebOriginError::Spelling { browsers: origin.text },
                Err(error) => error,
            });
        }
        let (scheme, authority) = text.split_once("://").ok_or(WebOriginError::NotAnOrigin)?;
        if !is_scheme(scheme) || authority.is_empty() {
            return Err(WebOriginError::NotAnOrigin);
        }
        if authority.contains(['/', '\\', '?', '#', '@']) {
            return Err(WebOriginError::MoreThanAnOrigin);
        }
        let url = Url::parse(text).map_err(|_| WebOriginError::NotAnOrigin)?;
        let browsers = match scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") {
            true => url.origin().ascii_serialization(),
            false if is_plain_authority(authority) => text.to_ascii_lowercase(),
            false => return Err(WebOriginError::NotAnOrigin),
        };
        // A name with a `*` in it is one that no browser can send.
        if browsers.contains('*') {
            return Err(WebOriginError::NotAnOrigin);
        }
        if browsers != text {
            return Err(WebOriginError::Spelling { browsers });
        }
        Ok(Self { is_loopback: matches!(scheme, "http" | "https") && leads_here(&url), text: browsers })
    }

    /// The text, exactly as browsers send it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is a page that a web server on this machine serves.
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// Whether the page itself comes by `http://`, where anybody in between can write it anew.
    pub fn is_plaintext(&self) -> bool {
        self.text.starts_with("http://")
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// RFC 3986 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// A name and perhaps a port, of a scheme that has no rules of its own.
fn is_plain_authority(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "1"));
    let is_name =
        |host: &str| host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    !host.is_empty() && is_name(host) && port.parse::<u16>().is_ok() && !port.starts_with(['0', '+'])
}

fn leads_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_as_browsers_send_it() {
        for text in [
            "https://app.example.com",
            "https://app.example.com:8443",
            "http://localhost:5173",
            "http://127.0.0.1:8080",
            "http://[::1]:3000",
            "https://xn--bcher-kva.example",
            "capacitor://localhost",
            "tauri://localhost",
            "chrome-extension://mhjfbmdgcfjbbpaeojofohoefgiehjai",
        ] {
            assert_eq!(WebOrigin::parse(text).as_ref().map(WebOrigin::as_str), Ok(text));
        }
    }

    #[test]
    fn another_spelling_is_refused_with_that_of_browsers() {
        for (text, browsers) in [
            ("https://App.example.com", "https://app.example.com"),
            ("https://app.example.com/", "https://app.example.com"),
            ("https://App.example.com:443/", "https://app.example.com"),
            ("HTTPS://app.example.com", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("http://app.example.com:80", "http://app.example.com"),
            ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example"),
            ("http://127.1", "http://127.0.0.1"),
            ("http://[0:0::1]", "http://[::1]"),
            ("capacitor://LOCALHOST", "capacitor://localhost"),
        ] {
            let spelling = WebOriginError::Spelling { browsers: browsers.to_owned() };
            assert_eq!(WebOrigin::parse(text), Err(spelling), "{text}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        assert_eq!(WebOrigin::parse("null"), Err(WebOriginError::Null));
        for text in [
            "https://app.example.com/app",
            "https://app.example.com/app/",
            "https://app.example.com//",
            "https://app.example.com?x",
            "https://app.example.com#x",
            "https://ada@app.example.com",
            "https://app.example.com\\",
        ] {
            assert_eq!(WebOrigin::parse(text), Err(WebOriginError::MoreThanAnOrigin), "{text}");
        }
        for text in [
            "",
            "*",
            "app.example.com",
            "localhost:5173",
            "//app.example.com",
            "://app.example.com",
            "https://",
            "file://",
            "https://*.example.com",
            "https://app.example.com:99999",
            "https://a b",
            "1x://app",
            "capacitor://local host",
            "capacitor://localhost:0x",
        ] {
            assert_eq!(WebOrigin::parse(text), Err(WebOriginError::NotAnOrigin), "{text}");
        }
    }

    #[test]
    fn a_page_of_this_machine_is_told_from_one_that_only_looks_like_it() {
        let is_loopback = |text| WebOrigin::parse(text).expect("an origin").is_loopback();
        for text in [
            "http://localhost:5173",
            "https://localhost",
            "http://app.localhost:1",
            "http://127.0.0.2",
            "http://[::1]:1",
        ] {
            assert!(is_loopback(text), "{text}");
        }
        for text in [
            "http://localhost.evil.example",
            "http://notlocalhost",
            "http://127.0.0.1.evil.example",
            "http://192.168.0.7",
            "capacitor://localhost",
            "httpx://localhost",
        ] {
            assert!(!is_loopback(text), "{text}");
        }
    }
}
