//! The URL of a Redis that Sentinels lead to:
//! `redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/master[/database]`.
//!
//! As the field writes it (the `Redis-Sentinel-Url` package, redisvl, Prefect): the hosts are those of the
//! Sentinels, user and password those of the Redis servers behind them, and what the Sentinels ask for themselves is
//! in the query, `sentinel_username` and `sentinel_password`. `rediss+sentinel://` is TLS to both.

use std::fmt;

use url::{Url, form_urlencoded};

use super::url_hosts;

/// Where a Sentinel listens that does not say so (`port` in sentinel.conf).
const DEFAULT_PORT: u16 = 26_379;

/// More Sentinels than anybody runs for one master; each is asked twice a second.
const SENTINELS_MAX: usize = 16;

const PLAIN: &str = "redis+sentinel";
const TLS: &str = "rediss+sentinel";

/// Such a URL, read. Holds passwords: `Debug` shows none.
#[derive(Clone, PartialEq, Eq)]
pub struct SentinelUrl {
    tls: bool,
    /// As it was written, percent-encoded.
    account: Option<String>,
    hosts: Vec<Url>,
    master: String,
    database: u32,
    sentinel_account: Option<SentinelAccount>,
}

/// As whom the Sentinels are asked.
#[derive(Clone, PartialEq, Eq)]
pub struct SentinelAccount {
    /// `None` is the default user.
    pub username: Option<String>,
    /// In plain text.
    pub password: String,
}

/// Such a URL cannot be used. Never repeats any of it but a number: it may hold passwords.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SentinelUrlError {
    /// Another scheme.
    #[error("is no redis+sentinel:// or rediss+sentinel:// URL")]
    Scheme,
    /// A host that is none.
    #[error("names no Sentinels: hosts with commas between, each with its port where that is not 26379")]
    Hosts,
    /// The same address more than once.
    #[error("names a Sentinel twice")]
    Twice,
    /// More than anybody needs.
    #[error("names more than {SENTINELS_MAX} Sentinels")]
    TooMany,
    /// No master, or not as Sentinel takes one.
    #[error(
        "names no master behind the hosts, in letters, digits, `.`, `-` and `_`, as `sentinel monitor` does"
    )]
    Master,
    /// Something behind the master.
    #[error("has something else than the number of a database behind the master")]
    Database,
    /// Something in the query, or behind `#`.
    #[error(
        "has more than `sentinel_username` and `sentinel_password` in its query (write & in a password as %26)"
    )]
    Query,
    /// Half of an account.
    #[error("has a `sentinel_username` without a `sentinel_password`")]
    NoPassword,
}

impl SentinelUrl {
    /// Whether it is such a URL by its scheme.
    pub fn is_meant(text: &str) -> bool {
        text.split_once("://").is_some_and(|(scheme, _)| [PLAIN, TLS].contains(&scheme))
    }

    /// Reads a URL.
    ///
    /// # Errors
    /// [`SentinelUrlError`].
    pub fn parse(text: &str) -> Result<Self, SentinelUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(SentinelUrlError::Scheme)?;
        let tls = match scheme {
            PLAIN => false,
            TLS => true,
            _ => return Err(SentinelUrlError::Scheme),
        };
        if rest.contains('#') {
            return Err(SentinelUrlError::Query);
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = place.split_once('/').ok_or(SentinelUrlError::Master)?;
        let (account, hosts) = match authority.rsplit_once('@') {
            Some((account, hosts)) => (Some(account.to_owned()), hosts),
            None => (None, authority),
        };
        let hosts = url_hosts::parse(hosts, DEFAULT_PORT).ok_or(SentinelUrlError::Hosts)?;
        if hosts.len() > SENTINELS_MAX {
            return Err(SentinelUrlError::TooMany);
        }
        if url_hosts::has_twins(&hosts) {
            return Err(SentinelUrlError::Twice);
        }
        let (master, database) = path.split_once('/').unwrap_or((path, "0"));
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
        if master.is_empty() || !master.chars().all(is_name) {
            return Err(SentinelUrlError::Master);
        }
        let database = database.parse().map_err(|_| SentinelUrlError::Database)?;
        let sentinel_account = sentinel_account(query)?;
        Ok(Self { tls, account, hosts, master: master.to_owned(), database, sentinel_account })
    }

    /// Whether both the Sentinels and the Redis servers are spoken to over TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The Sentinels, each as a URL that has a host and a port and nothing else.
    pub fn hosts(&self) -> &[Url] {
        &self.hosts
    }

    /// Host and port of each Sentinel, as they are connected to.
    pub fn sentinels(&self) -> impl Iterator<Item = (String, u16)> {
        self.hosts.iter().map(url_hosts::place)
    }

    /// What the Sentinels call the master (`sentinel monitor <master>`).
    pub fn master(&self) -> &str {
        &self.master
    }

    /// As whom the Sentinels are asked; `None` where they ask for nothing.
    pub fn sentinel_account(&self) -> Option<&SentinelAccount> {
        self.sentinel_account.as_ref()
    }

    /// How a Redis server is spoken to: a `redis://` or `rediss://` URL with user, password and database, of which
    /// only the host means nothing. Holds the password.
    pub fn redis_url(&self) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let account = self.account.as_ref().map(|account| format!("{account}@")).unwrap_or_default();
        format!("{scheme}://{account}localhost/{}", self.database)
    }

    /// As it may be shown: hosts, master and database, and no user, password or query.
    pub fn shown(&self) -> String {
        self.masked(|_| String::new(), "")
    }

    /// The same with the user's name, and with that mark in the place of what is secret.
    pub fn masked_by(&self, mark: &str) -> String {
        let account = |account: &str| url_hosts::masked(account, mark);
        let query = if self.sentinel_account.is_some() { format!("?{mark}") } else { String::new() };
        self.masked(account, &query)
    }

    fn masked(&self, account: impl Fn(&str) -> String, query: &str) -> String {
        let scheme = if self.tls { TLS } else { PLAIN };
        let account = self.account.as_deref().map(account).unwrap_or_default();
        let database = if self.database == 0 { String::new() } else { format!("/{}", self.database) };
        format!("{scheme}://{account}{}/{}{database}{query}", url_hosts::shown(&self.hosts), self.master)
    }
}

fn sentinel_account(query: &str) -> Result<Option<SentinelAccount>, SentinelUrlError> {
    let (mut username, mut password) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let place = match &*name {
            "sentinel_username" => &mut username,
            "sentinel_password" => &mut password,
            _ => return Err(SentinelUrlError::Query),
        };
        if place.replace(value.into_owned()).is_some() {
            return Err(SentinelUrlError::Query);
        }
    }
    match (username, password) {
        (username, Some(password)) => Ok(Some(SentinelAccount { username, password })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(SentinelUrlError::NoPassword),
    }
}

/// Hosts, master and database only.
impl fmt::Debug for SentinelUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SentinelUrl({})", self.shown())
    }
}

/// Nothing of it.
impl fmt::Debug for SentinelAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SentinelAccount(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_master_and_database_are_read() {
        let url = "redis+sentinel://ada:hunter2@one,two:5000,[::1]:5001/main/3";
        let read = SentinelUrl::parse(url).expect(url);
        let sentinels: Vec<_> = read.sentinels().collect();
        let expected = [("one", 26_379), ("two", 5_000), ("::1", 5_001)];
        assert_eq!(sentinels, expected.map(|(host, port)| (host.to_owned(), port)));
        assert_eq!((read.master(), read.is_tls(), read.sentinel_account()), ("main", false, None));
        assert_eq!(read.redis_url(), "redis://ada:hunter2@localhost/3");
        assert_eq!(read.shown(), "redis+sentinel://one:26379,two:5000,[::1]:5001/main/3");
        assert_eq!(read.masked_by("…"), "redis+sentinel://ada:…@one:26379,two:5000,[::1]:5001/main/3");
    }

    #[test]
    fn the_sentinels_own_account_is_in_the_query() {
        let url = "rediss+sentinel://:a%40b@one/main?sentinel_username=w&sentinel_password=p%26+q";
        let read = SentinelUrl::parse(url).expect(url);
        let account = SentinelAccount { username: Some("w".to_owned()), password: "p& q".to_owned() };
        assert_eq!(read.sentinel_account(), Some(&account));
        assert_eq!(read.redis_url(), "rediss://:a%40b@localhost/0");
        assert_eq!(read.masked_by("…"), "rediss+sentinel://:…@one:26379/main?…");
        let shown = format!("{read:?} {account:?} {}", read.shown());
        assert!(!shown.contains("p&") && !shown.contains("a%40b"), "{shown}");
        let without_name =
            SentinelUrl::parse("redis+sentinel://one/main?sentinel_password=p").expect("a URL");
        assert!(without_name.sentinel_account().is_some_and(|account| account.username.is_none()));
    }

    #[test]
    fn what_is_wrong_is_said_and_no_password_repeated() {
        use SentinelUrlError::{Database, Hosts, Master, NoPassword, Query, Scheme, TooMany, Twice};
        let many = (0..17).map(|number| format!("h{number}")).collect::<Vec<_>>().join(",");
        for (url, wrong) in [
            ("redis://:hunter2@one/main", Scheme),
            ("redis+sentinel:hunter2", Scheme),
            ("redis+sentinel://:hunter2@/main", Hosts),
            ("redis+sentinel://:hunter2@one,,two/main", Hosts),
            ("redis+sentinel://:hunter2@one:port/main", Hosts),
            ("redis+sentinel://one:hunter2/main", Hosts),
            ("redis+sentinel://one:0/main", Hosts),
            ("redis+sentinel://one:26379,two,one/main", Twice),
            (&format!("redis+sentinel://{many}/main"), TooMany),
            ("redis+sentinel://:hunter2@one", Master),
            ("redis+sentinel://:hunter2@one/", Master),
            ("redis+sentinel://one/hunter%20", Master),
            ("redis+sentinel://one/main/hunter2", Database),
            ("redis+sentinel://one/main/", Database),
            ("redis+sentinel://one/main/-1", Database),
            ("redis+sentinel://one/main?hunter2", Query),
            ("redis+sentinel://one/main?sentinel_password=a&hunter2", Query),
            ("redis+sentinel://one/main?sentinel_password=a&sentinel_password=hunter2", Query),
            ("redis+sentinel://one/main#hunter2", Query),
            ("redis+sentinel://one/main?sentinel_username=hunter2", NoPassword),
        ] {
            let error = SentinelUrl::parse(url).expect_err(url);
            assert_eq!(error, wrong, "{url}");
            assert!(!format!("{error} {error:?}").contains("hunter"), "{error:?}");
        }
    }
}
