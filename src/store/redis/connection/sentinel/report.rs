//! What a Sentinel says when it is asked.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{ConnectionAddr, ErrorKind, RedisError, RedisResult, ServerErrorKind};

use crate::store::patience::TooSlow;

/// Where the master is, by how many failovers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store::redis) struct Place {
    pub(in crate::store::redis) address: ConnectionAddr,
    pub(in crate::store::redis) epoch: u64,
}

/// Host and port.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// What one Sentinel knows of a master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelReport {
    /// Where it says that the master is, as host and port.
    pub master: String,
    /// How many Sentinels must find a master dead before it is replaced.
    pub quorum: u32,
    /// How many other Sentinels of it this one knows.
    pub others: u32,
    /// How many replicas it knows.
    pub replicas: u32,
    /// Whether it finds the master alive.
    pub is_up: bool,
}

/// The same, and where to connect.
pub(super) struct Heard {
    pub(super) place: Arc<Place>,
    pub(super) report: SentinelReport,
}

/// What it answers to both commands.
pub(super) type Told = (HashMap<String, String>, Option<(String, u16)>);

/// Asks for all of it.
pub(super) async fn ask(redis: &mut MultiplexedConnection, master: &str) -> RedisResult<Told> {
    let mut pipeline = redis::pipe();
    // The address by its own command: while a failover is under way that one names the new master first.
    pipeline.cmd("SENTINEL").arg("MASTER").arg(master);
    pipeline.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    pipeline.query_async(redis).await
}

impl Heard {
    /// Reads the answers.
    ///
    /// # Errors
    /// They lack something.
    pub(super) fn read(
        (known, address): &Told,
        to_address: impl Fn(&str, u16) -> ConnectionAddr,
    ) -> RedisResult<Self> {
        const LACKS: &str = "a Sentinel names no address or no config-epoch";
        let lacks = || RedisError::from((ErrorKind::UnexpectedReturnType, LACKS));
        let (host, port) = address.as_ref().ok_or_else(lacks)?;
        let text = |name: &str| known.get(name).map(String::as_str);
        let number = |name: &str| text(name).and_then(|text| text.parse().ok()).unwrap_or_default();
        let epoch = text("config-epoch").and_then(|text| text.parse().ok()).ok_or_else(lacks)?;
        let flags = text("flags").unwrap_or_default();
        let address = to_address(host, *port);
        let report = SentinelReport {
            master: address.to_string(),
            quorum: number("quorum"),
            others: number("num-other-sentinels"),
            replicas: number("num-slaves"),
            is_up: !flags.split(',').any(|flag| ["s_down", "o_down", "disconnected"].contains(&flag)),
        };
        Ok(Self { place: Arc::new(Place { address, epoch }), report })
    }
}

/// Why one has not said where the master is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Silence {
    /// There is none of that number.
    #[error("is not known")]
    Unknown,
    #[error("does not answer within {:?}", .0.0)]
    TooSlow(#[from] TooSlow),
    #[error("knows no master of that name")]
    NoSuchMaster,
    #[error("is a Redis and no Sentinel")]
    NoSentinel,
    #[error("asks for a password, or for another one (?sentinel_password=)")]
    NoEntry,
    #[error("does not let this user ask (see docs/stores.md)")]
    NoRight,
    #[error("does not answer: {0}")]
    Away(RedisError),
}

impl Silence {
    /// Whether waiting mends nothing.
    pub(super) fn is_mistake(&self) -> bool {
        matches!(self, Self::NoSuchMaster | Self::NoSentinel | Self::NoEntry | Self::NoRight)
    }
}

impl From<RedisError> for Silence {
    fn from(error: RedisError) -> Self {
        let text = error.to_string();
        let says = |part: &str| text.to_ascii_lowercase().contains(part);
        match error.kind() {
            ErrorKind::AuthenticationFailed => Self::NoEntry,
            ErrorKind::Server(ServerErrorKind::NoPerm) => Self::NoRight,
            _ if says("noauth") || says("wrongpass") => Self::NoEntry,
            ErrorKind::Server(_) | ErrorKind::Extension if says("no such master") => Self::NoSuchMaster,
            ErrorKind::Server(_) | ErrorKind::Extension if says("unknown command") => Self::NoSentinel,
            _ => Self::Away(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pairs: &[(&str, &str)], address: Option<(&str, u16)>) -> Told {
        let known = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        (known, address.map(|(host, port)| (host.to_owned(), port)))
    }

    fn read(told: &Told) -> RedisResult<Heard> {
        Heard::read(told, |host, port| ConnectionAddr::Tcp(host.to_owned(), port))
    }

    #[test]
    fn the_master_is_where_the_address_says_by_the_epoch() {
        let said = [
            ("ip", "10.0.0.1"),
            ("config-epoch", "7"),
            ("quorum", "2"),
            ("num-other-sentinels", "2"),
            ("num-slaves", "1"),
        ];
        let flags = |flags| read(&told(&[&said[..], &[("flags", flags)]].concat(), Some(("10.0.0.2", 6379))));
        let Heard { place, report } = flags("master").expect("a report");
        assert_eq!((report.master.as_str(), place.epoch), ("10.0.0.2:6379", 7));
        assert_eq!((report.quorum, report.others, report.replicas, report.is_up), (2, 2, 1, true));
        assert!(!flags("s_down,master").expect("a report").report.is_up);
    }

    #[test]
    fn an_answer_without_an_address_or_an_epoch_is_none() {
        assert!(read(&told(&[("config-epoch", "7")], None)).is_err());
        assert!(read(&told(&[("quorum", "2")], Some(("10.0.0.2", 6379)))).is_err());
        assert!(read(&told(&[("config-epoch", "x")], Some(("10.0.0.2", 6379)))).is_err());
    }
}
