//! Addresses of the service that answers name. Where the public URL has a path, the proxy in front takes it off, so
//! that requests come without it; whoever is told an address needs it with it.

use crate::service::Services;

/// The path of an issuer, with the slash that it begins with; empty where there is none.
pub(crate) fn path_of(issuer: &str) -> &str {
    let host_and_path = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    host_and_path.find('/').map_or("", |slash| &host_and_path[slash..])
}

/// The origin of an issuer: what stands before that path.
pub(crate) fn origin_of(issuer: &str) -> &str {
    &issuer[..issuer.len() - path_of(issuer).len()]
}

/// The value of a `Link` header that leads to the next page (RFC 8288 3), at this path and query of the service.
pub(crate) fn next_page(services: &Services, target: &str) -> String {
    link_to_next(services.issuer(), target)
}

fn link_to_next(issuer: &str, target: &str) -> String {
    format!("<{}{target}>; rel=\"next\"", path_of(issuer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_an_issuer_is_what_stands_behind_the_host() {
        for (issuer, path) in [
            ("https://auth.example.com", ""),
            ("http://127.0.0.1:8080", ""),
            ("https://example.com/auth", "/auth"),
            ("https://[::1]:8443/a/b", "/a/b"),
        ] {
            assert_eq!(path_of(issuer), path, "{issuer}");
            assert_eq!(format!("{}{path}", origin_of(issuer)), issuer);
        }
    }

    #[test]
    fn the_next_page_is_below_the_issuers_path() {
        for (issuer, link) in [
            ("https://auth.example.com", "</users?limit=1&after=2>; rel=\"next\""),
            ("https://example.com/auth", "</auth/users?limit=1&after=2>; rel=\"next\""),
        ] {
            assert_eq!(link_to_next(issuer, "/users?limit=1&after=2"), link);
        }
    }
}
