//! The settings of Redis: where it is, and what is trusted there.

use std::path::PathBuf;

use url::Url;

use super::build::Reader;
use super::parse::{self, Parsed, Problem};
use super::rules::Review;
use super::{Secret, TokenStoreSettings};

/// What connections to Redis over TLS trust and show, as files in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisTlsSettings {
    /// The authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The certificate that we show.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
}

const CA: &str = "redis.tls.ca_file";
const CERTIFICATE: &str = "redis.tls.cert_file";
const KEY: &str = "redis.tls.key_file";

pub(super) fn tls(read: &mut Reader<'_>) -> RedisTlsSettings {
    RedisTlsSettings {
        ca_file: read.find(CA, parse::path),
        cert_file: read.find(CERTIFICATE, parse::path),
        key_file: read.find(KEY, parse::path),
    }
}

pub(super) fn url(text: &str) -> Parsed<Secret> {
    const MEND: &str =
        "write it like redis://127.0.0.1:6379/0, rediss:// for TLS, or unix:///run/redis/redis.sock";
    let problem =
        |problem: &str, mend: &str| Err(Problem { problem: problem.to_owned(), mend: mend.to_owned() });
    match text.split_once("://").map(|(scheme, _)| scheme) {
        Some("redis" | "rediss") if Url::parse(text).is_ok_and(|url| url.has_host()) => Ok(Secret::new(text)),
        Some("redis" | "rediss") => problem("is no URL with a host", MEND),
        Some("unix" | "redis+unix")
            if Url::parse(text).is_ok_and(|url| url.path().len() > 1 && url.host().is_none()) =>
        {
            Ok(Secret::new(text))
        }
        Some("unix" | "redis+unix") => problem(
            "names no socket by its whole path",
            "write it like unix:///run/redis/redis.sock (with ?db=1&user=…&pass=… where they are needed)",
        ),
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
        Some(other) if ["sentinel", "cluster"].iter().any(|kind| other.contains(kind)) => problem(
            "asks for Sentinel or Cluster, which this version cannot use",
            "give the address of one Redis, or one that always leads to the master",
        ),
        _ => problem("is no Redis URL", MEND),
    }
}

impl Review<'_> {
    /// What holds for every command.
    pub(super) fn redis_tls(&mut self) {
        let TokenStoreSettings::Redis { url, tls, .. } = &self.settings.token_store else {
            for key in [CA, CERTIFICATE, KEY] {
                if self.values.is_set(key) && self.sound(&[key, "redis.url", "token_store"]) {
                    self.refuse(key, "is set, and no Redis is", "set `redis.url`, or leave it out");
                }
            }
            return;
        };
        let files = [(CA, &tls.ca_file), (CERTIFICATE, &tls.cert_file), (KEY, &tls.key_file)];
        for (key, path) in files {
            let Some(path) = path else { continue };
            if self.sound(&["redis.url"]) && !url.expose().starts_with("rediss://") {
                self.refuse(key, "is set, and `redis.url` asks for no TLS", "write rediss:// there");
            }
            if let Err(error) = std::fs::File::open(path) {
                let problem = format!("= {path:?} cannot be read: {error}");
                self.refuse(key, problem, "name a readable PEM file");
            }
        }
        match (&tls.cert_file, &tls.key_file) {
            (Some(_), None) => {
                self.refuse(CERTIFICATE, "is set without `redis.tls.key_file`", "set both or neither")
            }
            (None, Some(_)) => {
                self.refuse(KEY, "is set without `redis.tls.cert_file`", "set both or neither")
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_is_a_single_server_for_now() {
        for good in [
            "redis://localhost",
            "rediss://:pw@host:6380/1",
            "unix:///run/redis/redis.sock",
            "redis+unix:///run/redis.sock?db=1&user=a&pass=hunter2",
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
            ("redis+sentinel://h/m", "Sentinel"),
            ("redis-sentinel://h/m", "Sentinel"),
            ("sentinel://h/m", "Sentinel"),
            ("redis+cluster://h", "Cluster"),
            ("redis-cluster://h", "Cluster"),
        ] {
            let problem = format!("{:?}", url(bad).expect_err(bad));
            assert!(problem.contains(said) && !problem.contains("hunter2"), "{problem}");
        }
    }
}
