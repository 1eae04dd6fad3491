//! What a Redis says about itself, as far as keeping tokens depends on it.

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, RedisResult};

use crate::store::error::StoreError;

/// Who answers.
pub(super) struct Identity {
    /// Which server, and which history of it: its run (a restart has another, and may have read an
    /// older snapshot) and its replication id (a replica that is promoted, or that begins to follow another
    /// master, has another).
    pub(super) server: String,
    /// Whether it follows nobody.
    pub(super) is_master: bool,
    /// What it is.
    pub(super) mode: Mode,
}

/// What a server is, by its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It has all keys.
    Standalone,
    /// It has those of its slots, and sends those who ask for others elsewhere.
    NodeOfCluster,
    /// It keeps nothing.
    Sentinel,
}

impl Mode {
    /// Refuses a server of another kind than is meant: waiting mends nothing.
    pub(super) fn must_be(self, meant: Self) -> RedisResult<()> {
        let is_another = match self {
            _ if self == meant => return Ok(()),
            Self::Standalone => IS_STANDALONE,
            Self::NodeOfCluster => OF_CLUSTER,
            Self::Sentinel => IS_SENTINEL,
        };
        Err(RedisError::from((ErrorKind::InvalidClientConfig, is_another)))
    }
}

/// Which server answers, and which history of it.
pub(super) async fn server_of(redis: &mut MultiplexedConnection) -> RedisResult<String> {
    Ok(identity_of(redis).await?.server)
}

/// Who answers.
pub(super) async fn identity_of(redis: &mut MultiplexedConnection) -> RedisResult<Identity> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("INFO").arg("server").cmd("INFO").arg("replication");
    let (server, replication): (String, String) = pipeline.query_async(redis).await?;
    // Redis' own word, and Valkey's.
    let mode = match value(&server, "redis_mode").or_else(|| value(&server, "server_mode")) {
        Some("cluster") => Mode::NodeOfCluster,
        Some("sentinel") => Mode::Sentinel,
        _ => Mode::Standalone,
    };
    let (run, history) = (value(&server, "run_id"), value(&replication, "master_replid"));
    match (run, history) {
        (Some(run), Some(history)) => Ok(Identity {
            server: format!("{run}:{history}"),
            is_master: value(&replication, "role") == Some("master"),
            mode,
        }),
        // It has no data, and so no history.
        _ if mode == Mode::Sentinel => Err(RedisError::from((ErrorKind::InvalidClientConfig, IS_SENTINEL))),
        _ => {
            Err(RedisError::from((ErrorKind::UnexpectedReturnType, "INFO names no run_id or master_replid")))
        }
    }
}

/// A node of a Cluster has a part of the keys, and sends those who ask for others elsewhere.
const OF_CLUSTER: &str = "this is a node of a Redis Cluster, which has a part of the keys: to use all of its nodes, \
    write redis+cluster://host,host,host";

/// Nobody has given it slots.
const IS_STANDALONE: &str =
    "this is a Redis with `cluster-enabled no`, and no node of a Cluster: write redis://";

/// A Sentinel keeps nothing.
const IS_SENTINEL: &str = "this is a Sentinel, which keeps no data: to be led to the master by it, write \
    redis+sentinel://host,host,host/master";

/// Whether an answer, or what we were to show, says that this Redis can never be used as it is set up:
/// waiting mends nothing.
pub fn is_unfit(error: &StoreError) -> bool {
    let StoreError::Unavailable { source, .. } = error else { return false };
    source.downcast_ref::<RedisError>().is_some_and(|error| error.kind() == ErrorKind::InvalidClientConfig)
}

/// What `INFO` says of one thing: it answers lines of `name:value`.
fn value<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = info.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.trim())
}

/// What keeping sessions and revocations in this Redis is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisInspection {
    /// Major and minor version; `None` when it does not say.
    pub version: Option<(u32, u32)>,
    /// What it does when its memory is full.
    pub eviction: EvictionPolicy,
    /// What it keeps on disk, hence what its restart does.
    pub persistence: Persistence,
    /// How many replicas follow it and are in step with it; `None` when it does not say.
    pub replicas: Option<u32>,
    /// Whether it refuses writes when too few replicas follow it (`min-replicas-to-write`): a master that was left
    /// behind by a failover takes none then. `None` when it does not say.
    pub refuses_alone: Option<bool>,
}

/// What a restart of Redis finds on disk, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Persistence {
    /// Every write (`appendonly yes`).
    Log,
    /// It does not say (`INFO` is forbidden).
    Unknown,
    /// What was there when the last snapshot was taken (`save`).
    Snapshots,
    /// No log. Whether it keeps snapshots it does not say (`CONFIG` is forbidden).
    NoLog,
    /// Nothing.
    Nothing,
}

/// What Redis does when `maxmemory` is reached (`maxmemory-policy`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvictionPolicy {
    /// It refuses writes: logins fail, nothing is forgotten.
    NoEviction,
    /// It forgets keys, and with them revocations: not fit for tokens. Which policy.
    Evicts(String),
    /// It does not say (`INFO` is forbidden).
    Unknown,
}

impl EvictionPolicy {
    fn worse_of(self, other: Self) -> Self {
        match (self, other) {
            (Self::Evicts(policy), _) | (_, Self::Evicts(policy)) => Self::Evicts(policy),
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::NoEviction, Self::NoEviction) => Self::NoEviction,
        }
    }
}

/// The oldest Redis that knows every command in use (`ZMSCORE`, `XADD … MINID`).
const OLDEST: (u32, u32) = (6, 2);

/// The first Redis that knows `WAITAOF`.
const WAITAOF_SINCE: (u32, u32) = (7, 2);

impl RedisInspection {
    /// What is known when Redis tells nothing.
    pub(super) const UNKNOWN: Self = Self {
        version: None,
        eviction: EvictionPolicy::Unknown,
        persistence: Persistence::Unknown,
        replicas: None,
        refuses_alone: None,
    };

    /// Whether it is known to lack commands that are needed.
    pub fn is_too_old(&self) -> bool {
        self.version.is_some_and(|version| version < OLDEST)
    }

    /// Reads the answer to `INFO`, lines of `name:value`, and the setting `save`: when snapshots are
    /// taken, as seconds and changes in turn. `None` is what it may not be asked.
    pub(super) fn read(info: Option<&str>, save_points: Option<&str>) -> Self {
        let Some(info) = info else { return Self::UNKNOWN };
        let value = |name: &str| value(info, name);
        let version = value("redis_version").and_then(|version| {
            let mut parts = version.split('.').map(|part| part.parse().ok());
            Some((parts.next()??, parts.next()??))
        });
        let eviction = match value("maxmemory_policy") {
            None => EvictionPolicy::Unknown,
            Some("noeviction") => EvictionPolicy::NoEviction,
            Some(policy) => EvictionPolicy::Evicts(policy.to_owned()),
        };
        let persistence = match (value("aof_enabled"), save_points.map(str::trim)) {
            (None, _) => Persistence::Unknown,
            (Some("1"), _) => Persistence::Log,
            (Some(_), None) => Persistence::NoLog,
            (Some(_), Some("")) => Persistence::Nothing,
            (Some(_), Some(_)) => Persistence::Snapshots,
        };
        // `connected_slaves` counts those as well that are still being sent the whole of it.
        let replicas = value("connected_slaves").map(|_| {
            let online = info.lines().filter(|line| is_replica_in_step(line)).count();
            u32::try_from(online).unwrap_or(u32::MAX)
        });
        // Redis says how many it counts only where it is to count them.
        let refuses_alone = value("role").is_some().then(|| value("min_slaves_good_slaves").is_some());
        Self { version, eviction, persistence, replicas, refuses_alone }
    }

    /// What two servers are worth together, of which each keeps a part.
    pub(super) fn worse_of(self, other: Self) -> Self {
        Self {
            version: self.version.zip(other.version).map(|(one, two)| one.min(two)),
            eviction: self.eviction.worse_of(other.eviction),
            persistence: self.persistence.max(other.persistence),
            replicas: self.replicas.zip(other.replicas).map(|(one, two)| one.min(two)),
            refuses_alone: self.refuses_alone.zip(other.refuses_alone).map(|(one, two)| one && two),
        }
    }

    /// Whether it knows `WAITAOF`, and has a log to wait for.
    pub(super) fn can_wait_for_log(&self) -> bool {
        self.version.is_some_and(|version| version >= WAITAOF_SINCE) && self.persistence == Persistence::Log
    }
}

/// Whether a line of `INFO` is about a replica that has all but the newest: `slave0:ip=…,state=online,…`.
fn is_replica_in_step(line: &str) -> bool {
    let Some((name, said)) = line.split_once(':') else { return false };
    let number = name.strip_prefix("slave");
    number.is_some_and(|number| number.parse::<u32>().is_ok())
        && said.split(',').any(|word| word.trim() == "state=online")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read_line_by_line() {
        let info = "# Server\r\nredis_version:7.0.15\r\n# Memory\r\nmaxmemory_policy:volatile-lru\r\naof_enabled:1\r\n";
        let inspection = RedisInspection::read(Some(info), None);
        assert_eq!(inspection.version, Some((7, 0)));
        assert_eq!(inspection.eviction, EvictionPolicy::Evicts("volatile-lru".to_owned()));
        assert_eq!(inspection.persistence, Persistence::Log);
        assert_eq!(RedisInspection::read(Some(""), None), RedisInspection::UNKNOWN);
        assert_eq!(RedisInspection::read(None, Some("")), RedisInspection::UNKNOWN);
    }

    #[test]
    fn a_log_snapshots_and_nothing_are_told_apart() {
        let of = |aof, save| RedisInspection::read(Some(&format!("aof_enabled:{aof}")), save).persistence;
        assert_eq!(of("1", Some("")), Persistence::Log);
        assert_eq!(of("1", Some("3600 1")), Persistence::Log);
        assert_eq!(of("0", Some("3600 1 300 100 60 10000")), Persistence::Snapshots);
        assert_eq!(of("0", Some("")), Persistence::Nothing);
        assert_eq!(of("0", None), Persistence::NoLog);
    }

    #[test]
    fn replicas_that_are_in_step_are_counted() {
        let of = |info: &str| RedisInspection::read(Some(info), None).replicas;
        assert_eq!(of("role:master\r\n"), None);
        assert_eq!(of("connected_slaves:0\r\nslave_read_only:1\r\n"), Some(0));
        let some = "connected_slaves:2\r\nslave0:ip=10.0.0.1,port=6379,state=online,offset=14,lag=0\r\n\
                    slave1:ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0,lag=0\r\n";
        assert_eq!(of(some), Some(1));
    }

    #[test]
    fn a_master_that_refuses_writes_alone_is_told_by_what_it_counts() {
        let of = |info: &str| RedisInspection::read(Some(info), None).refuses_alone;
        assert_eq!(of("redis_version:7.0.15\r\n"), None);
        assert_eq!(of("role:master\r\nconnected_slaves:1\r\n"), Some(false));
        assert_eq!(of("role:master\r\nconnected_slaves:1\r\nmin_slaves_good_slaves:0\r\n"), Some(true));
    }

    #[test]
    fn of_several_servers_the_worst_counts() {
        let one = RedisInspection {
            version: Some((7, 2)),
            eviction: EvictionPolicy::NoEviction,
            persistence: Persistence::Log,
            replicas: Some(2),
            refuses_alone: Some(true),
        };
        let other = RedisInspection {
            version: Some((7, 0)),
            eviction: EvictionPolicy::Evicts("allkeys-lru".to_owned()),
            persistence: Persistence::Nothing,
            replicas: Some(0),
            refuses_alone: Some(false),
        };
        assert_eq!(one.clone().worse_of(other.clone()), other);
        assert_eq!(other.clone().worse_of(one.clone()), other);
        assert_eq!(one.clone().worse_of(one.clone()), one);
        assert_eq!(one.worse_of(RedisInspection::UNKNOWN), RedisInspection::UNKNOWN);
    }

    #[test]
    fn a_log_can_be_waited_for_since_7_2() {
        let of = |version: &str, aof: &str| {
            let info = format!("redis_version:{version}\r\naof_enabled:{aof}\r\n");
            RedisInspection::read(Some(&info), None).can_wait_for_log()
        };
        assert!(of("7.2.0", "1") && of("8.0.3", "1"));
        assert!(!of("7.0.15", "1") && !of("7.2.0", "0"));
    }

    #[test]
    fn before_6_2_commands_are_missing() {
        let at = |version| RedisInspection { version, ..RedisInspection::UNKNOWN };
        assert!(at(Some((6, 0))).is_too_old() && at(Some((5, 9))).is_too_old());
        assert!(!at(Some((6, 2))).is_too_old() && !at(Some((7, 0))).is_too_old() && !at(None).is_too_old());
    }
}
