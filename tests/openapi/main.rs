//! The OpenAPI documents: the files in `openapi/` are what this version serves, and what they say
//! is enough to generate a client from and to call an operation by.

mod access;
mod components;
mod documents;
mod errors;
mod operations;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What rewrites the files.
const REWRITE: &str = "cargo run -- openapi";

#[test]
fn the_files_are_what_this_version_serves() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi");
    let documents = hallpass::api::documents().expect("the documents");
    for (name, document) in &documents {
        let file = fs::read_to_string(folder.join(name)).unwrap_or_default();
        let first = file.lines().zip(document.lines()).position(|(old, new)| old != new);
        assert!(
            file == *document,
            "openapi/{name} has drifted (line {}); rewrite it by\n\n    {REWRITE}\n",
            first.map_or_else(|| "count".to_owned(), |n| (n + 1).to_string())
        );
    }
    let names: BTreeSet<String> = documents.iter().map(|(name, _)| (*name).to_owned()).collect();
    let files = fs::read_dir(&folder).expect("the folder openapi").map(|file| file.expect("a file"));
    let files = files.filter(|file| file.file_type().is_ok_and(|kind| kind.is_file()));
    let files: BTreeSet<String> =
        files.map(|file| file.file_name().into_string().expect("a plain name")).collect();
    assert_eq!(files, names, "openapi/ holds a file that is no document of this version");
}
