//! Which commands the user of Redis needs (`ACL SETUSER`), and which of them it lacks.

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use super::codec::Entry;
use super::connection::{At, WaitingConnection};
use super::errors::store_error;
use super::store::RedisTokenStore;
use crate::domain::partition::Partition;
use crate::store::error::StoreResult;

/// In the place of the key.
const KEY: &str = "\u{1}key";

/// The commands that every service sends, those of its scripts included, each with arguments that Redis takes.
const NEEDED: [(&str, &[&str]); 39] = [
    ("del", &[KEY]),
    ("eval", &["return 1", "0"]),
    ("evalsha", &["ffffffffffffffffffffffffffffffffffffffff", "0"]),
    ("exists", &[KEY]),
    ("get", &[KEY]),
    ("hdel", &[KEY, "f"]),
    ("hexists", &[KEY, "f"]),
    ("hget", &[KEY, "f"]),
    ("hgetall", &[KEY]),
    ("hincrby", &[KEY, "f", "1"]),
    ("hmget", &[KEY, "f"]),
    ("hscan", &[KEY, "0"]),
    ("hset", &[KEY, "f", "1"]),
    ("hsetnx", &[KEY, "f", "1"]),
    ("info", &["server"]),
    ("pexpire", &[KEY, "1"]),
    ("ping", &[]),
    ("pttl", &[KEY]),
    ("role", &[]),
    ("script|load", &["return 1"]),
    ("set", &[KEY, "1"]),
    ("time", &[]),
    ("unlink", &[KEY]),
    ("xadd", &[KEY, "*", "f", "1"]),
    ("xread", &["STREAMS", KEY, "0"]),
    ("xrevrange", &[KEY, "+", "-"]),
    ("xtrim", &[KEY, "MAXLEN", "1"]),
    ("zadd", &[KEY, "1", "m"]),
    ("zcard", &[KEY]),
    ("zcount", &[KEY, "0", "0"]),
    ("zmscore", &[KEY, "m"]),
    ("zrange", &[KEY, "0", "0"]),
    ("zrangebyscore", &[KEY, "0", "0"]),
    ("zrem", &[KEY, "m"]),
    ("zremrangebyrank", &[KEY, "1", "0"]),
    ("zremrangebyscore", &[KEY, "1", "0"]),
    ("zrevrangebyscore", &[KEY, "0", "0"]),
    ("zscan", &[KEY, "0"]),
    ("zscore", &[KEY, "m"]),
];

/// What the user of a Sentinel may do that is asked where the master is, as `user` in sentinel.conf takes it.
pub const SENTINEL_RIGHTS: &str = "+sentinel|master +sentinel|get-master-addr-by-name";

/// What the user of a Cluster's nodes may do besides, as `ACL SETUSER` takes it.
pub const CLUSTER_RIGHTS: &str = "+cluster|slots +cluster|info +asking";

/// What a user may not do that the service does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisLack {
    /// Commands that it may not run.
    pub commands: Vec<&'static str>,
    /// Whether it may not touch the keys, and what those begin with.
    pub keys: Option<String>,
}

impl RedisLack {
    /// Whether it lacks nothing.
    pub fn is_nothing(&self) -> bool {
        self.commands.is_empty() && self.keys.is_none()
    }
}

/// The commands that the user needs, as `ACL SETUSER` takes them.
pub fn needed_commands() -> impl Iterator<Item = String> {
    NEEDED.iter().map(|(name, _)| format!("+{name}"))
}

impl RedisTokenStore {
    /// What the user lacks; `None` when that cannot be found out, since it may not open a transaction. Nothing
    /// is done: the commands are queued (MULTI), which is when Redis looks at rights, and dropped.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable).
    pub async fn lacking_rights(&self) -> StoreResult<Option<RedisLack>> {
        let probe = self.keys.everybody().partition().probe();
        let begin = probe.split(':').next().map(|mark| format!("{mark}:")).unwrap_or_default();
        let mut connection =
            WaitingConnection::new(self.connection.clone(), At::partition(Partition::EVERYBODY));
        let asked = connection.run(None, std::time::Duration::from_secs(2), |mut redis| async move {
            let redis = &mut redis;
            match redis::cmd("MULTI").query_async::<Value>(redis).await {
                Err(error) if is_no_permission(&error) => return Ok(None),
                answer => answer?,
            };
            let mut lack = RedisLack { commands: Vec::new(), keys: None };
            for (name, arguments) in NEEDED {
                let mut command = redis::Cmd::new();
                name.split('|').for_each(|word| {
                    command.arg(word);
                });
                for argument in arguments {
                    command.arg(if *argument == KEY { probe.as_str() } else { argument });
                }
                // QUEUED, or a refusal.
                let queued: RedisResult<Value> = command.query_async(redis).await;
                match queued {
                    Err(error) if is_no_permission(&error) && error.to_string().contains("keys") => {
                        lack.keys = Some(begin.clone());
                    }
                    Err(error) if is_no_permission(&error) => lack.commands.push(name),
                    answer => drop(answer?),
                }
            }
            // Where it may not be dropped, the end of the connection drops it.
            match redis::cmd("DISCARD").query_async::<Value>(redis).await {
                Err(error) if !is_no_permission(&error) => Err(error),
                _ => Ok(Some(lack)),
            }
        });
        asked.await.map_err(|error| store_error(Entry { place: "server", key: "MULTI" }, error))
    }
}

fn is_no_permission(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The words in capital letters behind each mark in the sources below a folder.
    fn sent(folder: &Path, marks: &[&str]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(folder).expect("the folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                found.extend(sent(&path, marks));
                continue;
            }
            if path.ends_with("acl.rs") {
                continue;
            }
            let source = fs::read_to_string(path).expect("a source");
            for (start, mark) in marks.iter().flat_map(|mark| source.match_indices(mark)) {
                let rest = &source[start + mark.len()..];
                let word: String = rest.chars().take_while(char::is_ascii_uppercase).collect();
                assert!(!word.is_empty(), "{mark}{}", rest.lines().next().unwrap_or_default());
                found.insert(word.to_ascii_lowercase());
            }
        }
        found
    }

    #[test]
    fn every_command_that_is_sent_is_known_to_be_needed() {
        // Of Sentinels and Clusters, of an operator's commands, of replicas that are waited for, and asked only where
        // it is allowed.
        const OTHERS: [&str; 7] = ["asking", "cluster", "config", "scan", "sentinel", "wait", "waitaof"];
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/redis"));
        let mut sent_by_us = sent(folder, &["cmd(\"", "cmd(b\""]);
        sent_by_us.extend(sent(&folder.join("scripts"), &["redis.call('"]));
        sent_by_us.extend(["evalsha", "script|load"].map(str::to_owned));
        for other in OTHERS {
            assert!(sent_by_us.remove(other), "{other} is not sent any more");
        }
        let needed: BTreeSet<String> = NEEDED.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(needed, sent_by_us);
    }

    #[test]
    fn the_docs_have_the_commands_as_they_are() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/stores.md");
        let docs = fs::read_to_string(path).expect("docs/stores.md");
        let wanted = needed_commands().collect::<Vec<_>>().join(" ");
        let words = docs.split_whitespace().collect::<Vec<_>>().join(" ").replace("\\|", "|");
        assert!(words.contains(&wanted), "docs/stores.md has other commands than: {wanted}");
        for rights in [SENTINEL_RIGHTS, CLUSTER_RIGHTS] {
            assert!(words.contains(rights), "docs/stores.md has other rights than: {rights}");
        }
    }
}
