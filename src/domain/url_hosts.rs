//! Several hosts in one URL, with commas between.

use url::{Host, Url};

/// Reads them; each becomes a URL that has a host and a port and nothing else. `None` where one is no host.
pub(super) fn parse(text: &str, default_port: u16) -> Option<Vec<Url>> {
    text.split(',').map(|host| parse_one(host, default_port)).collect()
}

fn parse_one(text: &str, default_port: u16) -> Option<Url> {
    let mut url = Url::parse(&format!("redis://{text}")).ok()?;
    let is_host_alone =
        url.has_host() && url.path().is_empty() && url.username().is_empty() && url.port() != Some(0);
    if !is_host_alone || url.host_str().is_none_or(str::is_empty) {
        return None;
    }
    url.set_port(Some(url.port().unwrap_or(default_port))).ok()?;
    Some(url)
}

/// Whether one stands there twice.
pub(super) fn has_twins(hosts: &[Url]) -> bool {
    hosts.iter().enumerate().any(|(index, host)| hosts[..index].contains(host))
}

/// Host and port, as they are connected to.
pub(super) fn place(url: &Url) -> (String, u16) {
    let host = match url.host() {
        Some(Host::Ipv6(ip)) => ip.to_string(),
        Some(host) => host.to_string(),
        None => String::new(),
    };
    (host, url.port().unwrap_or_default())
}

/// As one writes them: an IPv6 address in brackets.
pub(super) fn shown(hosts: &[Url]) -> String {
    let host_and_port =
        |url: &Url| format!("{}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or_default());
    hosts.iter().map(host_and_port).collect::<Vec<_>>().join(",")
}

/// User and password, as they were written, with that mark in the place of the password.
pub(super) fn masked(account: &str, mark: &str) -> String {
    match account.split_once(':') {
        Some((user, _)) => format!("{user}:{mark}@"),
        None => format!("{account}@"),
    }
}
