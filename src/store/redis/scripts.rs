//! The Lua scripts: one file per operation, each preceded by what they share.
//!
//! [`Script`] sends the hash, and with [`OrEval`] the text when Redis does not know it (NOSCRIPT), so
//! nothing has to be loaded at start and `SCRIPT FLUSH` or a restart goes unnoticed.

use std::sync::LazyLock;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Script, Value};

/// Makes of the driver's "load the script and send its hash again" one command that sends the text.
/// Between the driver's two commands the script can be forgotten once more.
pub(super) struct OrEval<C> {
    redis: C,
    /// The hash that was sent.
    hash: Vec<u8>,
    /// The text, once Redis was found not to know it.
    text: Option<Vec<u8>>,
}

impl<C> OrEval<C> {
    /// Over `redis`.
    pub(super) fn new(redis: C) -> Self {
        Self { redis, hash: Vec::new(), text: None }
    }
}

impl<C: ConnectionLike + Send> ConnectionLike for OrEval<C> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let mut words = command.args_iter().filter_map(|word| match word {
            redis::Arg::Simple(word) => Some(word),
            _ => None,
        });
        match (words.next(), &self.text) {
            (Some(b"SCRIPT"), _) => {
                self.text = words.nth(1).map(<[u8]>::to_vec);
                let hash = self.hash.clone();
                Box::pin(async { Ok(Value::BulkString(hash)) })
            }
            (Some(b"EVALSHA"), Some(text)) => {
                let mut eval = redis::cmd("EVAL");
                eval.arg(text.as_slice());
                words.skip(1).for_each(|word| {
                    eval.arg(word);
                });
                Box::pin(async move { self.redis.req_packed_command(&eval).await })
            }
            (Some(b"EVALSHA"), None) => {
                self.hash = words.next().unwrap_or_default().to_vec();
                self.redis.req_packed_command(command)
            }
            _ => self.redis.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.redis.req_packed_commands(commands, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.redis.get_db()
    }
}

macro_rules! scripts {
    ($($name:ident = $file:literal;)+) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(include_str!("scripts/prelude.lua"), "\n", include_str!(concat!("scripts/", $file))))
        });)+

        /// Each script's file name and text, without the shared part.
        #[cfg(test)]
        const SOURCES: &[(&str, &str)] = &[$(($file, include_str!(concat!("scripts/", $file))),)+];
    };
}

scripts! {
    OPEN_SESSION = "open_session.lua";
    ROTATE_SESSION = "rotate_session.lua";
    CHECK_SESSION = "check_session.lua";
    REVOKE_SESSION = "revoke_session.lua";
    REVOKE_ACCESS_TOKEN = "revoke_access_token.lua";
    CUT_OFF_USER = "cut_off_user.lua";
    INSERT_RESET_TOKEN = "insert_reset_token.lua";
    TAKE_RESET_TOKEN = "take_reset_token.lua";
    RESTORE_RESET_TOKEN = "restore_reset_token.lua";
    TAKE_FROM_BUCKET = "take_from_bucket.lua";
    REMEMBER_PLACE = "remember_place.lua";
    ANNOUNCE = "announce.lua";
    JOIN_MIRRORS = "join_mirrors.lua";
    RAISE_BARRIER = "raise_barrier.lua";
    ACKNOWLEDGE_BARRIER = "acknowledge_barrier.lua";
    REMOVE_MIRROR = "remove_mirror.lua";
    BEGIN_PARTITION = "begin_partition.lua";
    CONDEMN_PARTITION = "condemn_partition.lua";
    SEAL_PARTITION = "seal_partition.lua";
    MOVE_MARK = "move_mark.lua";
    TAKE_LEASE = "take_lease.lua";
    WRITE_FENCE = "write_fence.lua";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::SOURCES;

    const PRELUDE: &str = include_str!("scripts/prelude.lua");

    /// The comment that a file opens with, and the rest.
    fn split(source: &str) -> (Vec<&str>, Vec<&str>) {
        let lines: Vec<_> = source.lines().collect();
        let length = lines.iter().take_while(|line| line.starts_with("--")).count();
        (lines[..length].to_vec(), lines[length..].to_vec())
    }

    /// Every `KEYS[n]` and `ARGV[n]` in the lines.
    fn parameters(lines: &[&str]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for line in lines {
            for name in ["KEYS[", "ARGV["] {
                for (start, _) in line.match_indices(name) {
                    let rest = &line[start..];
                    let end = rest.find(']').expect("a closing bracket");
                    found.insert(rest[..=end].to_owned());
                }
            }
        }
        found
    }

    #[test]
    fn every_header_declares_what_its_body_uses_and_nothing_else() {
        for (file, source) in SOURCES {
            let (header, body) = split(source);
            assert_eq!(parameters(&header), parameters(&body), "{file}");
        }
    }

    #[test]
    fn every_header_says_what_comes_back_and_who_loses_a_race() {
        for (file, source) in SOURCES {
            let (header, _) = split(source);
            let opens = |word: &str| header.iter().filter(|line| line.starts_with(word)).count();
            assert!(header[0].ends_with('.') || header[0].contains('('), "{file}: first, one sentence");
            assert!(header[1].starts_with("-- KEYS[1] "), "{file}: the keys come second");
            assert_eq!((opens("-- Returns {"), opens("-- Atomic: ")), (1, 1), "{file}");
        }
    }

    #[test]
    fn parameters_are_numbered_without_a_gap() {
        for (file, source) in SOURCES {
            let used = parameters(&split(source).1);
            for name in ["KEYS", "ARGV"] {
                let count = used.iter().filter(|parameter| parameter.starts_with(name)).count();
                for number in 1..=count {
                    assert!(used.contains(&format!("{name}[{number}]")), "{file}: {name}[{number}]");
                }
            }
        }
    }

    #[test]
    fn the_shared_part_names_no_key_and_no_argument() {
        assert_eq!(parameters(&PRELUDE.lines().collect::<Vec<_>>()), BTreeSet::new());
        assert!(!PRELUDE.contains("hallpass"), "keys are built in keys.rs");
    }

    #[test]
    fn no_script_builds_a_key_or_decides_by_redis_own_time() {
        // The feed's ids are Redis' own, and so is when they are old.
        let (start, rest) = PRELUDE.split_once("local function announce").expect("the function");
        let (_, end) = rest.split_once("\nend\n").expect("its end");
        for (file, source) in SOURCES.iter().chain(&[("prelude.lua", start), ("prelude.lua", end)]) {
            for banned in ["hallpass:", "'TIME'", "'*'"] {
                assert!(!source.contains(banned), "{file}: {banned}");
            }
        }
    }

    #[test]
    fn every_file_in_the_folder_is_loaded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/redis/scripts");
        let names: BTreeSet<_> = std::fs::read_dir(folder)
            .expect("the folder of the scripts")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        let mut loaded: BTreeSet<_> = SOURCES.iter().map(|(file, _)| (*file).to_owned()).collect();
        loaded.insert("prelude.lua".to_owned());
        assert_eq!(names, loaded);
    }
}
