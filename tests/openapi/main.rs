//! The OpenAPI documents: the files in `openapi/` are what this version serves, and what they say
//! is enough to generate a client from and to call an operation by.

mod access;
mod components;
mod documents;
mod errors;
mod generators;
mod names;
mod operations;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What rewrites the files.
const REWRITE: &str = "cargo run -- openapi --dir openapi";

#[test]
fn the_files_are_what_this_version_serves() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi");
    let documents = documents::files();
    for (name, document) in &documents {
        let file = fs::read_to_string(folder.join(name)).unwrap_or_default();
        let first = file.lines().zip(document.lines()).position(|(old, new)| old != new);
        assert!(
            file == *document,
            "openapi/{name} has drifted (line {}); rewrite it by\n\n    {REWRITE}\n",
            first.map_or_else(|| "count".to_owned(), |n| (n + 1).to_string())
        );
    }
    let names: BTreeSet<String> = documents.iter().map(|(name, _)| name.clone()).collect();
    let mut files = BTreeSet::new();
    note_files(&folder, "", &mut files);
    // Those of releases stay as they were.
    files.retain(|file| !file.starts_with("released/"));
    assert_eq!(files, names, "openapi/ holds a file that is no document of this version");
}

fn note_files(folder: &Path, place: &str, files: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        let name = format!("{place}{}", entry.file_name().into_string().expect("a plain name"));
        match entry.file_type().expect("a type").is_dir() {
            true => note_files(&entry.path(), &format!("{name}/"), files),
            false => files.extend([name]),
        }
    }
}
