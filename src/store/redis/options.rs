//! Where Redis is, how long it is waited for, and when it is not asked any more.

use std::time::Duration;

use redis::{ConnectionInfo, IntoConnectionInfo as _, RedisError};
use url::Url;

use super::connection::{Seeds, Watched};
use super::wire::RedisTls;
use crate::domain::cluster_url::{ClusterUrl, ClusterUrlError};
use crate::domain::sentinel_url::{SentinelUrl, SentinelUrlError};

/// How long to wait for Redis, and when to stop asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisOptions {
    /// The longest that one operation takes, connecting included. A write that ran into it may
    /// have been made all the same.
    pub operation_timeout: Duration,
    /// After this many failures in a row Redis is not asked for `breaker_pause`.
    pub breaker_threshold: u32,
    /// How long calls fail at once before one may try again.
    pub breaker_pause: Duration,
    /// How many replicas must have a revocation before it is acknowledged; with 0 nothing is waited for.
    pub wait_replicas: u32,
    /// What connections over TLS trust and show.
    pub tls: RedisTls,
}

impl Default for RedisOptions {
    /// 400 ms, 5 failures, 500 ms: every request that needs Redis is answered within a second. No replica is
    /// waited for.
    fn default() -> Self {
        Self {
            operation_timeout: Duration::from_millis(400),
            breaker_threshold: 5,
            breaker_pause: Duration::from_millis(500),
            wait_replicas: 0,
            tls: RedisTls::default(),
        }
    }
}

/// The address of a Redis cannot be used. Never repeats the address: it may hold a
/// password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisUrlError {
    /// Not a URL, or one that lacks something.
    #[error("the Redis address is not a valid URL: {0}")]
    Malformed(String),
    /// What TLS needs cannot be read.
    #[error("{0}")]
    Tls(String),
    /// The address of Sentinels that cannot be used.
    #[error("the address of Sentinels {0}")]
    Sentinel(#[from] SentinelUrlError),
    /// The address of a Cluster that cannot be used.
    #[error("the address of a Cluster {0}")]
    Cluster(#[from] ClusterUrlError),
    /// Another scheme.
    #[error(
        "`{0}` is not supported: give the address of one Redis, redis:// or rediss://, of Sentinels, redis+sentinel://, \
         or of a Cluster, redis+cluster://"
    )]
    Unsupported(String),
}

/// An address that can be used.
pub(super) struct Address {
    /// How it is reached; holds the password.
    pub(super) info: ConnectionInfo,
    /// Who says where it is.
    pub(super) led_by: LedBy,
    /// As it may be shown: no user, no password, no query.
    pub(super) shown: String,
}

/// Who says where Redis is. But for nobody, the address beside this means nothing.
pub(super) enum LedBy {
    /// The address.
    Nobody,
    /// Sentinels.
    Sentinels(Watched),
    /// The nodes of a Cluster.
    Cluster(Seeds),
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// All of [`RedisUrlError`] but what TLS needs.
    pub(super) fn parse(url: &str) -> Result<Self, RedisUrlError> {
        if SentinelUrl::is_meant(url) {
            let url = SentinelUrl::parse(url)?;
            let behind = Self::parse(&url.redis_url())?;
            return Ok(Self { led_by: LedBy::Sentinels(Watched::by(&url)), shown: url.shown(), ..behind });
        }
        if ClusterUrl::is_meant(url) {
            let url = ClusterUrl::parse(url)?;
            let behind = Self::parse(&url.redis_url())?;
            return Ok(Self { led_by: LedBy::Cluster(Seeds::by(&url)), shown: url.shown(), ..behind });
        }
        let parsed = Url::parse(url).map_err(|error| RedisUrlError::Malformed(error.to_string()))?;
        let scheme = parsed.scheme();
        if !["redis", "rediss", "unix", "redis+unix"].contains(&scheme) {
            return Err(RedisUrlError::Unsupported(scheme.to_owned()));
        }
        let shown = without_secrets(&parsed);
        // Not the library's own words: they may repeat parts of the address.
        let malformed = |_: RedisError| {
            RedisUrlError::Malformed("its host, database number or an option is missing or wrong".to_owned())
        };
        let info = parsed.into_connection_info().map_err(malformed)?;
        if !info.addr().is_supported() {
            return Err(RedisUrlError::Malformed("such a connection is not made here".to_owned()));
        }
        Ok(Self { info, led_by: LedBy::Nobody, shown })
    }
}

fn without_secrets(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> RedisUrlError {
        Address::parse(url).err().expect("a refusal")
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        for scheme in ["redis-sentinel", "redis-cluster", "http"] {
            let error = refusal(&format!("{scheme}://:hunter2@localhost:6379"));
            assert_eq!(error, RedisUrlError::Unsupported(scheme.to_owned()));
            assert!(error.to_string().contains(scheme));
        }
    }

    #[test]
    fn no_error_repeats_the_password() {
        for url in [
            "redis://:hunter2@",
            "redis://:hunter2@localhost:port",
            "redis://:hunter2@localhost/first",
            "redis://:hunter2@localhost/?protocol=hunter2",
            "redis+cluster://:hunter2@localhost/1",
            "redis+cluster://:hunter2%ff@localhost",
            "redis+cluster://:hunter2@",
            "redis+sentinel://:hunter2@localhost",
            "redis+sentinel://:hunter2@localhost/main?sentinel_password=hunter2&x",
            "redis+sentinel://:hunter2%ff@localhost/main",
            "hunter2",
        ] {
            let error = refusal(url);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{url}: {error:?}");
        }
    }
}
