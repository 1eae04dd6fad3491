//! The Lua scripts: one file per operation, each preceded by what they share.
//!
//! [`Script`] sends the hash, and with [`OrEval`] the text when Redis does not know it (NOSCRIPT), so
//! nothing has to be loaded at start and `SCRIPT FLUSH` or a restart goes unnoticed.

use std::sync::LazyLock;

use futures_util::FutureExt;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Script, ScriptInvocation, Value};

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

/// Calls of scripts that are sent together. The scripts must have been loaded: should Redis have forgotten
/// one, the pipeline fails.
pub(super) struct ScriptPipeline(Pipeline);

impl ScriptPipeline {
    pub(super) fn new() -> Self {
        Self(redis::pipe())
    }

    /// Adds a call.
    pub(super) fn add(&mut self, call: &ScriptInvocation<'_>) {
        // The driver gives a script's command to connections alone, and this one takes note of it at once.
        let noted = call.invoke_async::<Value>(self).now_or_never();
        debug_assert!(matches!(noted, Some(Ok(_))), "it waits for nobody");
    }

    /// Sends all of them, and hears how each went.
    ///
    /// # Errors
    /// One of them failed; others may have been carried out.
    pub(super) async fn query_async(&self, redis: &mut impl ConnectionLike) -> RedisResult<()> {
        self.0.query_async::<Vec<Value>>(redis).await.map(drop)
    }
}

impl ConnectionLike for ScriptPipeline {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        self.0.add_command(command.clone());
        Box::pin(async { Ok(Value::Nil) })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        for command in commands.cmd_iter().skip(offset).take(count) {
            self.0.add_command(command.clone());
        }
        Box::pin(async { Ok(Vec::new()) })
    }

    fn get_db(&self) -> i64 {
        0
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
    CHECK_TOKENS = "check_tokens.lua";
    EVICT_SESSION = "evict_session.lua";
    REVOKE_SESSION = "revoke_session.lua";
    REVOKE_ACCESS_TOKEN = "revoke_access_token.lua";
    CUT_OFF_USER = "cut_off_user.lua";
    END_CLIENT = "end_client.lua";
    INSERT_RESET_TOKEN = "insert_reset_token.lua";
    TAKE_RESET_TOKEN = "take_reset_token.lua";
    RESTORE_RESET_TOKEN = "restore_reset_token.lua";
    TAKE_FROM_BUCKET = "take_from_bucket.lua";
    REMEMBER_PLACE = "remember_place.lua";
    NOTE_PRESENCE = "note_presence.lua";
    LIST_PRESENCES = "list_presences.lua";
    ANNOUNCE = "announce.lua";
    JOIN_MIRRORS = "join_mirrors.lua";
    RAISE_BARRIER = "raise_barrier.lua";
    ACKNOWLEDGE_BARRIER = "acknowledge_barrier.lua";
    REMOVE_MIRROR = "remove_mirror.lua";
    BEGIN_PARTITION = "begin_partition.lua";
    CONDEMN_PARTITION = "condemn_partition.lua";
    SEAL_PARTITION = "seal_partition.lua";
    MOVE_MARK = "move_mark.lua";
    REPLAY_ENTRIES = "replay_entries.lua";
    TAKE_LEASE = "take_lease.lua";
    END_LEASE = "end_lease.lua";
    WRITE_FENCE = "write_fence.lua";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::SOURCES;

    const PRELUDE: &str = include_str!("scripts/prelude.lua");

    const AND_ON: &str = " and on";

    /// The comment that a file opens with, and the rest.
    fn split(source: &str) -> (Vec<&str>, Vec<&str>) {
        let lines: Vec<_> = source.lines().collect();
        let length = lines.iter().take_while(|line| line.starts_with("--")).count();
        (lines[..length].to_vec(), lines[length..].to_vec())
    }

    /// Every `KEYS[n]` and `ARGV[n]` in the lines, and `KEYS[n] and on` where as many follow as there are:
    /// in a header in these words, in a body `in_turn(KEYS, n)`.
    fn parameters(lines: &[&str]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for line in lines {
            for name in ["KEYS", "ARGV"] {
                for (start, opening) in line.match_indices(&format!("{name}[")) {
                    let number = start + opening.len();
                    let end = number + line[number..].find(']').expect("a closing bracket");
                    let on = if line[end..].starts_with("] and on") { AND_ON } else { "" };
                    found.insert(format!("{name}[{}]{on}", &line[number..end]));
                }
                for (start, opening) in line.match_indices(&format!("in_turn({name}, ")) {
                    let number = start + opening.len();
                    let end = number + line[number..].find(')').expect("a closing bracket");
                    found.insert(format!("{name}[{}]{AND_ON}", &line[number..end]));
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
                    let one = format!("{name}[{number}]");
                    // As many as there are: behind all others.
                    let is_last = number == count && used.contains(&format!("{one}{AND_ON}"));
                    assert!(used.contains(&one) || is_last, "{file}: {one}");
                }
            }
        }
    }

    #[test]
    fn parameters_are_found_however_they_stand() {
        for (line, expected) in [
            ("-- KEYS[1] lease   KEYS[2] state", &["KEYS[1]", "KEYS[2]"][..]),
            ("-- ARGV[3] and on: ids", &["ARGV[3] and on"]),
            ("local next = in_turn(ARGV, 3)", &["ARGV[3] and on"]),
            ("return {KEYS[1], #KEYS}", &["KEYS[1]"]),
            ("KEYS[at]", &["KEYS[at]"]),
        ] {
            let expected = expected.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(parameters(&[line]), expected, "{line}");
        }
    }

    #[test]
    fn the_shared_part_names_no_key_and_no_argument() {
        assert_eq!(parameters(&PRELUDE.lines().collect::<Vec<_>>()), BTreeSet::new());
        assert!(!PRELUDE.contains("hallpass"), "keys are built in keys.rs");
    }

    #[test]
    fn no_script_builds_a_key_or_asks_for_the_time_but_through_the_shared_part() {
        for (file, source) in SOURCES {
            for banned in ["hallpass:", "'TIME'", "'*'"] {
                assert!(!source.contains(banned), "{file}: {banned}");
            }
        }
        // Where it decides, and where it tells which ids of the feed are old, which are Redis' own.
        assert_eq!(PRELUDE.matches("'TIME'").count(), 2);
    }

    #[test]
    fn a_script_that_is_given_the_time_does_nothing_before_it_is_found_plausible() {
        let guard = "local now = moment(ARGV[1])\nif not now then return {'implausible'} end\n";
        for (file, source) in SOURCES {
            let (header, body) = split(source);
            let is_given = header.iter().any(|line| line.starts_with("-- ARGV[1] time: "));
            let body = body.join("\n");
            assert_eq!(body.trim_start().starts_with(guard), is_given, "{file}");
            assert_eq!(body.contains("moment("), is_given, "{file}");
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
