//! `verify/vectors`, which validators in other languages run as well.

#[path = "../../examples/vectors/cases.rs"]
mod cases;
#[path = "../../examples/vectors/feeds/mod.rs"]
mod feeds;
#[path = "../../examples/vectors/files.rs"]
mod files;
#[path = "../../examples/vectors/keys.rs"]
mod keys;
#[path = "../../examples/vectors/probe.rs"]
mod probe;
#[path = "../../examples/vectors/tokens/mod.rs"]
mod tokens;

use std::fs;
use std::path::Path;

use serde_json::Value;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))
}

fn lines(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder().join(file)).expect("a file of vectors");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn the_files_are_what_would_be_written() {
    for (file, text) in files::files(folder()) {
        let written = fs::read_to_string(folder().join(file)).expect("a file of vectors");
        let other = text.lines().zip(written.lines()).find(|(right, written)| right != written);
        assert!(text == written, "{file} is out of date: write the vectors anew; see {other:?}");
    }
}

#[test]
fn the_answers_are_those_that_the_files_expect() {
    let mut probe = probe::Probe::default();
    for file in ["tokens.jsonl", "feeds.jsonl"] {
        for line in lines(file) {
            let answer = probe.answer(&line);
            assert!(probe::agrees(&answer, &line["expect"]), "{line} is answered {answer}");
        }
    }
}

/// What a set of vectors is worth depends on what is in it.
#[test]
fn there_are_a_thousand_tokens_and_each_verdict_is_among_them() {
    let tokens = lines("tokens.jsonl");
    let count = |member: &str, value: &str| {
        tokens.iter().filter(|line| line["kind"] != "keys" && line["expect"][member] == value).count()
    };
    assert!(tokens.iter().filter(|line| line["kind"] != "keys").count() >= 1_000);
    assert!(count("verdict", "ok") >= 150, "{}", count("verdict", "ok"));
    for (code, least) in [
        ("invalid_token", 700),
        ("token_expired", 30),
        ("authentication_required", 10),
        ("forbidden", 10),
        ("insufficient_scope", 10),
        ("dependency_unavailable", 25),
    ] {
        assert!(count("code", code) >= least, "{code}: {}", count("code", code));
    }
}
