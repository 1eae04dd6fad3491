//! Unsafe code stands in two crates, and in one file of each.

use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

use crate::rust_files;

/// The crates that may, each with the file that does.
const CRATES: [(&str, &str); 2] = [("argon2", "src/avx512.rs"), ("heap", "src/lib.rs")];

/// Lints of those crates alone: what unsafe code has to have.
const OF_UNSAFE_CODE: [(&str, &str); 2] =
    [("rust", "unsafe_op_in_unsafe_fn"), ("clippy", "undocumented_unsafe_blocks")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn manifest(folder: &str) -> Table {
    let path = root().join(folder).join("Cargo.toml");
    fs::read_to_string(path).expect("a manifest").parse().expect("TOML")
}

fn members() -> Vec<String> {
    let members = manifest(".")["workspace"]["members"].as_array().expect("a list").clone();
    members.iter().map(|member| member.as_str().expect("a folder").to_owned()).collect()
}

#[test]
fn all_crates_but_two_have_the_lints_of_the_workspace() {
    assert_eq!(manifest(".")["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    let apart = |folder: &String| manifest(folder)["lints"].get("workspace").is_none();
    assert_eq!(members().into_iter().filter(apart).collect::<Vec<_>>(), CRATES.map(|(name, _)| name));
}

#[test]
fn the_two_have_them_too_but_for_unsafe_code() {
    for (name, _) in CRATES {
        let mut own = manifest(name)["lints"].as_table().expect("lints").clone();
        for (tool, lint) in OF_UNSAFE_CODE {
            let removed = own[tool].as_table_mut().expect("lints").remove(lint);
            assert_eq!(removed.as_ref().and_then(toml::Value::as_str), Some("deny"), "{lint} of {name}");
        }
        let deny = own["rust"].as_table_mut().expect("lints").insert("unsafe_code".into(), "forbid".into());
        assert_eq!(deny.as_ref().and_then(toml::Value::as_str), Some("deny"), "{name}");
        assert_eq!(Some(&own), manifest(".")["workspace"]["lints"].as_table(), "{name}");
    }
}

#[test]
fn unsafe_code_stands_in_one_file_of_each() {
    let has_any = |file: &PathBuf| {
        let source = fs::read_to_string(file).expect("a source file");
        // Behind a comment's mark it is a word.
        let code = source.lines().filter_map(|line| line.split("//").next());
        code.flat_map(|line| line.split(|letter: char| !(letter.is_alphanumeric() || letter == '_')))
            .any(|word| word == "unsafe")
    };
    for (name, file) in CRATES {
        let folder = root().join(name);
        let found: Vec<_> = rust_files(&folder).into_iter().filter(has_any).collect();
        assert_eq!(found, [folder.join(file)]);
    }
}
