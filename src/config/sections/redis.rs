//! `redis.*` and `token_store`: what keeps sessions and revocations.

use std::path::PathBuf;

use url::Url;

use super::public_url::is_loopback_host;
use crate::config::engine::{
    Always, Later, Nothing, Parsed, Review, Secret, Values, parse, problem, settings,
};
use crate::domain::cluster_url::ClusterUrl;
use crate::domain::deployment::{DEPLOYMENT_MARK_MAX, DeploymentMark};
use crate::domain::sentinel_url::SentinelUrl;
use crate::store::TokenStoreKind;

const URL: &str = "redis.url";
const TOKEN_STORE: &str = "token_store";
const CA: &str = "redis.tls.ca_file";
const CERTIFICATE: &str = "redis.tls.cert_file";
const KEY: &str = "redis.tls.key_file";

/// The most replicas that a revocation can wait for: more than any deployment has.
const WAIT_REPLICAS_MAX: u32 = 100;

/// How to get a token store.
const HELP: &str = "set `redis.url` (REDIS_URL), or `token_store` = \"embedded\" for a single process";

settings! {
    /// The Redis that keeps sessions and revocations.
    #[derive(Clone, Debug)]
    pub struct RedisSettings {
        /// The Redis that keeps sessions and revocations: `redis://`, `rediss://` for TLS, `unix://` and the path of a
        /// socket, `redis+sentinel://host,host,host/master`, `rediss+sentinel://` for TLS, where Sentinels say which
        /// one it is, or `redis+cluster://host,host,host`, `rediss+cluster://` for TLS, of a Cluster; see
        /// [docs/stores.md](docs/stores.md).
        url: Option<Secret> = "redis.url" {
            alias: "REDIS_URL", kind: SecretUrl, parse: url, default: Nothing, example: "redis://127.0.0.1:6379/0",
        },
        /// What connections over TLS trust and show.
        tls: RedisTlsSettings,
        /// Start although Redis may evict keys when its memory is full, which forgets sessions and revocations; a
        /// warning is logged instead.
        danger_allow_eviction: bool = "redis.danger_allow_eviction" {
            kind: Boolean, parse: parse::boolean, default: Always("false"), example: "true",
        },
        /// What all keys in Redis begin with (1 to 32 characters of a-z, 0-9 and -). Deployments that share one Redis
        /// database need different ones; changing it logs everybody out.
        prefix: Option<DeploymentMark> = "redis.prefix" {
            kind: Text, parse: prefix,
            default: Later::unknown("made of the deployment's id, see `hallpass deployment show`"),
            example: "staging",
        },
        /// How many replicas of Redis must have a revocation before it is acknowledged (WAIT); too few within 250ms are
        /// 503 `revocation_pending`. Where Redis can tell (7.2 or later, `appendonly yes`, and `appendfsync` not `no`),
        /// its log on disk must have it as well (WAITAOF), which takes up to a second with `everysec`. `0` waits for
        /// neither.
        wait_replicas: u32 = "redis.wait_replicas" {
            kind: Number, parse: parse::number(0..=WAIT_REPLICAS_MAX), default: Always("0"), example: "1",
        },
    }
}

settings! {
    /// What connections to Redis over TLS trust and show, as files in PEM.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct RedisTlsSettings {
        /// A PEM file with the certificate authorities to trust for Redis instead of the system's; read at start.
        ca_file: Option<PathBuf> = "redis.tls.ca_file" {
            kind: Text, parse: parse::readable_file("name a readable PEM file"), default: Nothing,
            example: "/etc/hallpass/redis-ca.pem",
        },
        /// A PEM file with the certificate to show to Redis, where that asks for one; read at start.
        cert_file: Option<PathBuf> = "redis.tls.cert_file" {
            kind: Text, parse: parse::readable_file("name a readable PEM file"), default: Nothing,
            example: "/etc/hallpass/redis-client.pem",
        },
        /// A PEM file with that certificate's key; read at start.
        key_file: Option<PathBuf> = "redis.tls.key_file" {
            kind: Text, parse: parse::readable_file("name a readable PEM file"), default: Nothing,
            example: "/etc/hallpass/redis-client.key",
        },
    }
}

/// The parser of `token_store`.
pub(crate) fn token_store(text: &str) -> Parsed<TokenStoreKind> {
    let kinds = TokenStoreKind::ALL.map(|kind| (kind.name(), kind));
    parse::choice("is no token store", kinds)(text)
}

/// The default of `token_store`.
pub(crate) fn token_store_by_url(values: &Values) -> Option<String> {
    let is_redis = values.text(URL).is_some();
    let kind = if is_redis { TokenStoreKind::Redis } else { TokenStoreKind::Embedded };
    Some(kind.name().to_owned())
}

const HELP_SENTINEL: &str = "write it like redis+sentinel://:password@host,host,host:26379/master/0, or rediss+sentinel:// \
    for TLS; what the Sentinels ask for themselves is ?sentinel_username=…&sentinel_password=…";

const HELP_CLUSTER: &str = "write it like redis+cluster://:password@host,host:7000,host, or rediss+cluster:// for TLS; one \
    host of the Cluster is enough, several are there for when one is away";

fn prefix(text: &str) -> Parsed<DeploymentMark> {
    DeploymentMark::parse(text).or_else(|_| {
        problem("is no prefix", format!("write 1 to {DEPLOYMENT_MARK_MAX} characters of a-z, 0-9 and -"))
    })
}

fn url(text: &str) -> Parsed<Secret> {
    const HELP: &str = "write it like redis://127.0.0.1:6379/0, rediss:// for TLS, unix:///run/redis/redis.sock, \
         redis+sentinel://host,host,host/master, or redis+cluster://host,host,host";
    match text.split_once("://").map(|(scheme, _)| scheme) {
        Some("redis" | "rediss") if Url::parse(text).is_ok_and(|url| url.has_host()) => Ok(Secret::new(text)),
        Some("redis" | "rediss") => problem("is no URL with a host", HELP),
        Some("unix" | "redis+unix")
            if Url::parse(text).is_ok_and(|url| url.path().len() > 1 && url.host().is_none()) =>
        {
            Ok(Secret::new(text))
        }
        Some("unix" | "redis+unix") => problem(
            "names no socket by its whole path",
            "write it like unix:///run/redis/redis.sock (with ?db=1&user=…&pass=… where they are needed)",
        ),
        Some(_) if SentinelUrl::is_meant(text) => match SentinelUrl::parse(text) {
            Ok(_) => Ok(Secret::new(text)),
            Err(error) => problem(error.to_string(), HELP_SENTINEL),
        },
        Some(_) if ClusterUrl::is_meant(text) => match ClusterUrl::parse(text) {
            Ok(_) => Ok(Secret::new(text)),
            Err(error) => problem(error.to_string(), HELP_CLUSTER),
        },
        Some("valkey") => problem("is written for Valkey, which is spoken to as Redis is", "write redis://"),
        Some("valkeys") => {
            problem("is written for Valkey, which is spoken to as Redis is", "write rediss://")
        }
        Some("valkey+unix") => {
            problem("is written for Valkey, which is spoken to as Redis is", "write unix://")
        }
        Some("redis+tls" | "redis+ssl" | "tls") => {
            problem("asks for TLS under another name", "write rediss://")
        }
        Some(other) if other.contains("sentinel") => {
            problem("asks for Sentinel under another name", HELP_SENTINEL)
        }
        Some(other) if other.contains("cluster") => {
            problem("asks for Cluster under another name", HELP_CLUSTER)
        }
        _ => problem("is no Redis URL", HELP),
    }
}

impl RedisSettings {
    /// What must hold between these and the kind of the token store.
    pub(crate) fn review(&self, kind: TokenStoreKind, review: &mut Review<'_>) {
        let is_redis = kind == TokenStoreKind::Redis;
        if is_redis && !review.is_set(URL) {
            review.refuse(TOKEN_STORE, "is `redis`, but `redis.url` is not set", HELP);
        }
        if !is_redis && self.url.is_some() && review.sound(&[TOKEN_STORE]) {
            let problem = format!("is `{}`, but `redis.url` is set as well", kind.name());
            review.refuse(TOKEN_STORE, problem, "leave one of the two out");
        }
        self.review_tls(review);
    }

    fn review_tls(&self, review: &mut Review<'_>) {
        for key in [CA, CERTIFICATE, KEY] {
            if !review.is_set(key) || !review.sound(&[key, URL, TOKEN_STORE]) {
                continue;
            }
            match &self.url {
                None => review.refuse(key, "is set, and no Redis is", "set `redis.url`, or leave it out"),
                Some(url) if !asks_for_tls(url.expose()) => {
                    let help = "write rediss:// there, rediss+sentinel://, or rediss+cluster://";
                    review.refuse(key, "is set, and `redis.url` asks for no TLS", help);
                }
                Some(_) => {}
            }
        }
        review.both_or_neither(CERTIFICATE, KEY);
    }

    /// What deserves a second thought: another machine that is spoken to without TLS.
    pub(crate) fn review_plaintext(&self, review: &mut Review<'_>) {
        let Some(url) = &self.url else { return };
        if review.sound(&[URL]) && is_spoken_to_in_the_clear(url.expose()) {
            review.warn(
                URL,
                "leads to another machine without TLS: its password and everybody's sessions travel in the clear; \
                 write rediss://, rediss+sentinel:// or rediss+cluster://",
            );
        }
    }

    /// What keeps `serve` from starting, or deserves a second thought there.
    pub(crate) fn review_production(&self, kind: TokenStoreKind, review: &mut Review<'_>) {
        if kind.is_in_process() && !review.is_set(TOKEN_STORE) && review.sound(&[TOKEN_STORE, URL]) {
            review.refuse(URL, "is not set", HELP);
        }
        if kind == TokenStoreKind::Redis && self.danger_allow_eviction {
            review.warn("redis.danger_allow_eviction", "is on: a full Redis may forget revocations");
        }
    }
}

fn asks_for_tls(url: &str) -> bool {
    match (SentinelUrl::parse(url), ClusterUrl::parse(url)) {
        (Ok(url), _) => url.is_tls(),
        (_, Ok(url)) => url.is_tls(),
        _ => url.starts_with("rediss://"),
    }
}

fn is_spoken_to_in_the_clear(url: &str) -> bool {
    let leads_away = |hosts: &[Url]| !hosts.iter().all(is_loopback_host);
    match (SentinelUrl::parse(url), ClusterUrl::parse(url)) {
        (Ok(url), _) => !url.is_tls() && leads_away(url.hosts()),
        (_, Ok(url)) => !url.is_tls() && leads_away(url.hosts()),
        _ => Url::parse(url).is_ok_and(|url| url.scheme() == "redis" && !is_loopback_host(&url)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_is_one_server_the_one_that_sentinels_name_or_a_cluster() {
        for good in [
            "redis://localhost",
            "rediss://:pw@host:6380/1",
            "unix:///run/redis/redis.sock",
            "redis+unix:///run/redis.sock?db=1&user=a&pass=hunter2",
            "redis+sentinel://a:hunter2@h,i:1,j/m/1?sentinel_username=b&sentinel_password=hunter2",
            "rediss+sentinel://h/m",
            "redis+cluster://a:hunter2@h,i:1,j",
            "rediss+cluster://h",
        ] {
            assert!(url(good).is_ok(), "{good}");
        }
        for (bad, said) in [
            ("localhost:6379", "no Redis URL"),
            ("redis://", "with a host"),
            ("http://:hunter2@h", "no Redis URL"),
            ("unix://redis.sock", "whole path"),
            ("unix:///", "whole path"),
            ("valkey://:hunter2@h", "write redis://"),
            ("valkeys://h", "write rediss://"),
            ("redis+sentinel://:hunter2@h", "names no master"),
            ("redis+sentinel://:hunter2@h/m?sentinel_password=hunter2&x=hunter2", "more than"),
            ("redis-sentinel://:hunter2@h/m", "redis+sentinel://"),
            ("sentinel://h/m", "redis+sentinel://"),
            ("redis+cluster://:hunter2@h/1", "database 0 alone"),
            ("redis+cluster://:hunter2@h,", "names no nodes"),
            ("redis-cluster://:hunter2@h", "redis+cluster://"),
        ] {
            let problem = format!("{:?}", url(bad).expect_err(bad));
            assert!(problem.contains(said) && !problem.contains("hunter2"), "{problem}");
        }
    }
}
