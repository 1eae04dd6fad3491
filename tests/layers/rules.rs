//! The code names the rules of the model that it carries out, behind a mark in a comment: `Model:` at the
//! head of a script, `model:` in the text about a function. Names stand in one line, with commas between.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::rust_files;

/// Where the code is, beside the model.
const SOURCES: [&str; 2] = ["src", "verify/src"];

const SCRIPTS: &str = "src/store/redis/scripts";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names in the table of the model.
fn rules() -> BTreeSet<String> {
    let source = fs::read_to_string(root().join("model/src/rules.rs")).expect("the rules of the model");
    let (_, table) = source.split_once("\nrules! {\n").expect("where the table begins");
    let (table, _) = table.split_once("\n}\n").expect("where the table ends");
    let name = |line: &str| Some(line.strip_prefix("    ")?.strip_suffix(':')?.to_owned());
    table.lines().filter_map(name).collect()
}

fn sources() -> Vec<PathBuf> {
    let mut files: Vec<_> = SOURCES.iter().flat_map(|folder| rust_files(&root().join(folder))).collect();
    let scripts = fs::read_dir(root().join(SCRIPTS)).expect("the folder of the scripts");
    files.extend(scripts.map(|entry| entry.expect("a script").path()));
    files
}

/// The comment that a line is or ends with.
fn comment(line: &str) -> Option<&str> {
    let start = ["//", "-- "].iter().filter_map(|mark| line.find(mark)).min()?;
    Some(&line[start..])
}

/// The names behind each mark in a source text; one that is empty or cut off is among them as it is.
fn named(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    for comment in source.lines().filter_map(comment) {
        for mark in ["Model:", "model:"] {
            for (start, _) in comment.match_indices(mark) {
                for name in comment[start + mark.len()..].split(',') {
                    let name = name.trim_start();
                    let end = name.find(|letter: char| !letter.is_ascii_alphanumeric());
                    names.push(name[..end.unwrap_or(name.len())].to_owned());
                    if end.is_some() {
                        break;
                    }
                }
            }
        }
    }
    names
}

#[test]
fn every_rule_is_named_where_it_is_carried_out() {
    let mut named_somewhere = BTreeSet::new();
    for file in sources() {
        named_somewhere.extend(named(&fs::read_to_string(&file).expect("a source file")));
    }
    let rules = rules();
    assert!(rules.len() > 30, "hardly a rule is read");
    let missing: Vec<_> = rules.difference(&named_somewhere).collect();
    assert!(missing.is_empty(), "no code says that it carries out {missing:?}");
}

#[test]
fn every_name_is_a_rule_of_the_model() {
    let rules = rules();
    for file in sources() {
        let names = named(&fs::read_to_string(&file).expect("a source file"));
        let unknown: Vec<_> = names.iter().filter(|name| !rules.contains(*name)).collect();
        assert!(unknown.is_empty(), "{} names what is no rule: {unknown:?}", file.display());
    }
}

/// But for those that only read or write what is about no revocation.
#[test]
fn every_script_names_its_rules() {
    const NONE: [&str; 5] =
        ["end_lease.lua", "list_presences.lua", "note_presence.lua", "remember_place.lua", "take_lease.lua"];
    for entry in fs::read_dir(root().join(SCRIPTS)).expect("the folder of the scripts") {
        let file = entry.expect("a script").path();
        let name = file.file_name().and_then(|name| name.to_str()).expect("a plain name");
        let names = named(&fs::read_to_string(&file).expect("a script"));
        assert_eq!(names.is_empty(), NONE.contains(&name), "{name}");
    }
}

#[test]
fn names_are_found_however_they_stand() {
    for (source, expected) in [
        ("-- Model: One, Two", &["One", "Two"][..]),
        ("/// Moves on (model: One, Two), and more.", &["One", "Two"]),
        ("/// - This (model: One)\n    /// and that (model: Two).", &["One", "Two"]),
        ("let x = 1; // Kept (model: One).", &["One"]),
        ("let model: One = one(\"model: Two\");", &[]),
        ("/// The model says so.", &[]),
        ("/// (model: One,\n/// Two)", &["One", ""]),
        ("-- Model:", &[""]),
    ] {
        assert_eq!(named(source), expected, "{source}");
    }
}
