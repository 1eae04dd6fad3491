//! What a Redis says about itself, as far as keeping tokens depends on it.

/// What keeping sessions and revocations in this Redis is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisInspection {
    /// Major and minor version; `None` when it does not say.
    pub version: Option<(u32, u32)>,
    /// What it does when its memory is full.
    pub eviction: EvictionPolicy,
    /// Whether writes are logged to disk (`appendonly`); `None` when it does not say.
    pub append_only: Option<bool>,
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

/// The oldest Redis that knows every command in use (`ZMSCORE`, `XADD … MINID`).
const OLDEST: (u32, u32) = (6, 2);

impl RedisInspection {
    /// What is known when Redis tells nothing.
    pub(super) const UNKNOWN: Self =
        Self { version: None, eviction: EvictionPolicy::Unknown, append_only: None };

    /// Whether it is known to lack commands that are needed.
    pub fn is_too_old(&self) -> bool {
        self.version.is_some_and(|version| version < OLDEST)
    }

    /// Reads the answer to `INFO`: lines of `name:value`.
    pub(super) fn parse(info: &str) -> Self {
        let value = |name: &str| {
            let mut pairs = info.lines().filter_map(|line| line.split_once(':'));
            pairs.find(|(found, _)| *found == name).map(|(_, value)| value.trim())
        };
        let version = value("redis_version").and_then(|version| {
            let mut parts = version.split('.').map(|part| part.parse().ok());
            Some((parts.next()??, parts.next()??))
        });
        let eviction = match value("maxmemory_policy") {
            None => EvictionPolicy::Unknown,
            Some("noeviction") => EvictionPolicy::NoEviction,
            Some(policy) => EvictionPolicy::Evicts(policy.to_owned()),
        };
        Self { version, eviction, append_only: value("aof_enabled").map(|enabled| enabled == "1") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read_line_by_line() {
        let info = "# Server\r\nredis_version:7.0.15\r\n# Memory\r\nmaxmemory_policy:volatile-lru\r\naof_enabled:1\r\n";
        let inspection = RedisInspection::parse(info);
        assert_eq!(inspection.version, Some((7, 0)));
        assert_eq!(inspection.eviction, EvictionPolicy::Evicts("volatile-lru".to_owned()));
        assert_eq!(inspection.append_only, Some(true));
        assert_eq!(RedisInspection::parse(""), RedisInspection::UNKNOWN);
    }

    #[test]
    fn before_6_2_commands_are_missing() {
        let at = |version| RedisInspection { version, ..RedisInspection::UNKNOWN };
        assert!(at(Some((6, 0))).is_too_old() && at(Some((5, 9))).is_too_old());
        assert!(!at(Some((6, 2))).is_too_old() && !at(Some((7, 0))).is_too_old() && !at(None).is_too_old());
    }
}
