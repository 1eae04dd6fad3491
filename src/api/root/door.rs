//! Who is turned away before any operation is looked for.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use poem::Request;
use poem::http::header;
use poem::http::uri::Authority;

use crate::api::errors::ApiError;
use crate::api::main::health;
use crate::domain::crowd::BeyondBounds;

/// The names by which a service lets itself be called that is for this machine alone.
///
/// A web page can have its own name lead to this machine (DNS rebinding); to a browser the service is
/// then part of that page. Whoever calls it by an address cannot have come by that way, nor by a name
/// that leads here in any case.
#[derive(Clone, Debug)]
pub struct AllowedHosts(Arc<HashSet<String>>);

impl AllowedHosts {
    /// Addresses and `localhost` always are; these names as well.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(Arc::new(names.into_iter().map(|name| canonical(&name)).collect()))
    }

    /// Whether a name, perhaps with a port, is one of them.
    fn contain(&self, authority: &[u8]) -> bool {
        let Ok(authority) = Authority::try_from(authority) else { return false };
        let host = canonical(authority.host());
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        bare.unwrap_or(&host).parse::<IpAddr>().is_ok()
            || host == "localhost"
            || host.ends_with(".localhost")
            || self.0.contains(&host)
    }
}

/// A name in lower case, without the dot of the root.
fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Looks at each request first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Door {
    hosts: Option<AllowedHosts>,
}

impl Door {
    /// With names where not any name will do.
    pub(crate) fn new(hosts: Option<AllowedHosts>) -> Self {
        Self { hosts }
    }

    /// Why a request is turned away, if it is.
    pub(crate) fn refusal(&self, request: &Request) -> Option<ApiError> {
        let is_beyond = request.extensions().get::<BeyondBounds>().is_some();
        if is_beyond && !health::is_check(request.uri().path()) {
            return Some(ApiError::crowded());
        }
        let hosts = self.hosts.as_ref()?;
        // HTTP/2 has the name in its target, as requests to proxies have.
        let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
        let lines = request.headers().get_all(header::HOST).iter().map(|line| line.as_bytes());
        let is_called_otherwise = target.into_iter().chain(lines).any(|name| !hosts.contain(name));
        is_called_otherwise.then(ApiError::misdirected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> AllowedHosts {
        AllowedHosts::new(["auth.test", "Hallpass."].map(str::to_owned))
    }

    #[test]
    fn addresses_localhost_and_what_was_named_are_allowed() {
        for name in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "192.0.2.1",
            "127.0.0.1.",
            "[::1]",
            "[::1]:8080",
            "localhost",
            "LocalHost:8080",
            "localhost.",
            "a.localhost:1",
            "auth.test",
            "AUTH.test.:8080",
            "hallpass",
        ] {
            assert!(hosts().contain(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn other_names_are_not_however_they_are_written() {
        for name in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "notlocalhost",
            "127.0.0.1.evil.example",
            "127.1",
            "auth.test.evil.example",
            "evil.auth.test",
            "localhost@evil.example",
            "localhost evil.example",
            "localhost,evil.example",
            "[evil.example]",
            "auth.test/",
        ] {
            assert!(!hosts().contain(name.as_bytes()), "{name}");
        }
        assert!(!hosts().contain(b"\xff"));
    }

    #[test]
    fn every_name_that_a_request_bears_is_looked_at() {
        let door = Door::new(Some(hosts()));
        let refused = |uri: &str, names: &[&str]| {
            let mut request = Request::builder().uri(uri.parse().expect("a target"));
            for name in names {
                request = request.header("host", *name);
            }
            door.refusal(&request.finish()).map(|error| error.status_code().as_u16())
        };
        assert_eq!(refused("/", &[]), None, "no browser goes without");
        assert_eq!(refused("/", &["auth.test:8080"]), None);
        assert_eq!(refused("http://auth.test/", &[]), None);
        for (uri, names) in [
            ("/", &["evil.example"][..]),
            ("/health/live", &["evil.example"]),
            ("/", &["auth.test", "evil.example"]),
            ("http://evil.example/", &["auth.test"]),
            ("http://auth.test/", &["evil.example"]),
        ] {
            assert_eq!(refused(uri, names), Some(421), "{uri} {names:?}");
        }
        assert!(Door::default().refusal(&Request::builder().header("host", "any").finish()).is_none());
    }
}
