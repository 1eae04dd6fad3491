//! The URL of a Redis Cluster: `redis+cluster://[[user]:password@]host[:port][,host[:port]…]`, as redis-py's users and
//! others write it. One host is enough to find all others; several are there for when one is away. User and password are
//! those of every node. `rediss+cluster://` is TLS.

use std::fmt;

use url::Url;

use super::url_hosts;

/// Where a Redis listens that does not say so.
const DEFAULT_PORT: u16 = 6_379;

/// More than anybody needs to find one that is there.
const HOSTS_MAX: usize = 64;

const PLAIN: &str = "redis+cluster";
const TLS: &str = "rediss+cluster";

/// Such a URL, read. Holds a password: `Debug` shows none.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterUrl {
    tls: bool,
    /// As it was written, percent-encoded.
    account: Option<String>,
    hosts: Vec<Url>,
}

/// Such a URL cannot be used. Never repeats any of it: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterUrlError {
    /// Another scheme.
    #[error("is no redis+cluster:// or rediss+cluster:// URL")]
    Scheme,
    /// A host that is none.
    #[error("names no nodes: hosts with commas between, each with its port where that is not 6379")]
    Hosts,
    /// The same address more than once.
    #[error("names a node twice")]
    Twice,
    /// More than anybody needs.
    #[error("names more than {HOSTS_MAX} nodes")]
    TooMany,
    /// A database.
    #[error("has something behind the hosts: a Cluster has the database 0 alone")]
    Database,
    /// Something behind `?` or `#`.
    #[error("has a query, of which nothing is known here")]
    Query,
}

impl ClusterUrl {
    /// Whether it is such a URL by its scheme.
    pub fn is_meant(text: &str) -> bool {
        text.split_once("://").is_some_and(|(scheme, _)| [PLAIN, TLS].contains(&scheme))
    }

    /// Reads a URL.
    ///
    /// # Errors
    /// [`ClusterUrlError`].
    pub fn parse(text: &str) -> Result<Self, ClusterUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(ClusterUrlError::Scheme)?;
        let tls = match scheme {
            PLAIN => false,
            TLS => true,
            _ => return Err(ClusterUrlError::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(ClusterUrlError::Query);
        }
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        if !["", "0"].contains(&database) {
            return Err(ClusterUrlError::Database);
        }
        let (account, hosts) = match authority.rsplit_once('@') {
            Some((account, hosts)) => (Some(account.to_owned()), hosts),
            None => (None, authority),
        };
        let hosts = url_hosts::parse(hosts, DEFAULT_PORT).ok_or(ClusterUrlError::Hosts)?;
        if hosts.len() > HOSTS_MAX {
            return Err(ClusterUrlError::TooMany);
        }
        match url_hosts::has_twins(&hosts) {
            true => Err(ClusterUrlError::Twice),
            false => Ok(Self { tls, account, hosts }),
        }
    }

    /// Whether nodes are spoken to over TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The nodes that are named, each as a URL that has a host and a port and nothing else.
    pub fn hosts(&self) -> &[Url] {
        &self.hosts
    }

    /// Host and port of each, as they are connected to.
    pub fn nodes(&self) -> impl Iterator<Item = (String, u16)> {
        self.hosts.iter().map(url_hosts::place)
    }

    /// How a node is spoken to: a `redis://` or `rediss://` URL with user and password, of which the host means nothing.
    /// Holds the password.
    pub fn redis_url(&self) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let account = self.account.as_ref().map(|account| format!("{account}@")).unwrap_or_default();
        format!("{scheme}://{account}localhost")
    }

    /// As it may be shown: hosts, and no user or password.
    pub fn shown(&self) -> String {
        self.masked(|_| String::new())
    }

    /// The same with the user's name, and with that mark in the place of the password.
    pub fn masked_by(&self, mark: &str) -> String {
        self.masked(|account| url_hosts::masked(account, mark))
    }

    fn masked(&self, account: impl Fn(&str) -> String) -> String {
        let scheme = if self.tls { TLS } else { PLAIN };
        let account = self.account.as_deref().map(account).unwrap_or_default();
        format!("{scheme}://{account}{}", url_hosts::shown(&self.hosts))
    }
}

/// Hosts only.
impl fmt::Debug for ClusterUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterUrl({})", self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_account_are_read() {
        let url = "redis+cluster://ada:hunter2@one,two:7000,[::1]:7001";
        let read = ClusterUrl::parse(url).expect(url);
        let expected = [("one", 6_379), ("two", 7_000), ("::1", 7_001)];
        let nodes: Vec<_> = read.nodes().collect();
        assert_eq!(nodes, expected.map(|(host, port)| (host.to_owned(), port)));
        assert_eq!(read.redis_url(), "redis://ada:hunter2@localhost");
        assert_eq!(read.shown(), "redis+cluster://one:6379,two:7000,[::1]:7001");
        assert_eq!(read.masked_by("…"), "redis+cluster://ada:…@one:6379,two:7000,[::1]:7001");
        assert!(!format!("{read:?}").contains("ada"), "{read:?}");
        let tls = ClusterUrl::parse("rediss+cluster://:a%40b@one/0").expect("a URL");
        assert!(tls.is_tls() && !read.is_tls());
        assert_eq!(tls.redis_url(), "rediss://:a%40b@localhost");
    }

    #[test]
    fn what_is_amiss_is_said_without_repeating_it() {
        use ClusterUrlError::{Database, Hosts, Query, Scheme, TooMany, Twice};
        let many = (0..=HOSTS_MAX).map(|number| format!("h{number}")).collect::<Vec<_>>().join(",");
        let many = format!("redis+cluster://{many}");
        for (url, error) in [
            ("redis://:hunter2@one", Scheme),
            ("redis+cluster://:hunter2@", Hosts),
            ("redis+cluster://:hunter2@one,,two", Hosts),
            ("redis+cluster://:hunter2@one:port", Hosts),
            ("redis+cluster://:hunter2@one,two,one:6379", Twice),
            ("redis+cluster://:hunter2@one/1", Database),
            ("redis+cluster://:hunter2@one/main/0", Database),
            ("redis+cluster://:hunter2@one?x=hunter2", Query),
            ("redis+cluster://:hunter2@one#hunter2", Query),
            (&many, TooMany),
        ] {
            let refused = ClusterUrl::parse(url).expect_err(url);
            assert_eq!(refused, error, "{url}");
            assert!(!format!("{refused} {refused:?}").contains("hunter2"));
        }
    }
}
