//! The sources as people check them out and build them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry of it").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    // As on a system that writes CRLF, with no configuration of whoever runs this.
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", folder);
    command.args(["-c", "core.autocrlf=true", "-c", "user.name=a", "-c", "user.email=a@example.com"]);
    let output = command.args(arguments).output().expect("the program `git`");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The image is built from what `.dockerignore` lets in: cargo needs every crate of the workspace.
#[test]
fn the_image_is_built_from_every_crate() {
    let read = |file: &str| fs::read_to_string(Path::new(ROOT).join(file)).expect("a file");
    let manifest: toml::Table = read("Cargo.toml").parse().expect("TOML");
    let members = manifest["workspace"]["members"].as_array().expect("a list");
    let ignored = read(".dockerignore");
    for member in members.iter().filter_map(toml::Value::as_str).filter(|member| *member != ".") {
        let lets_in = format!("!{member}");
        assert!(ignored.lines().any(|line| line == lets_in), ".dockerignore keeps {member}/ out");
    }
}

/// A database knows the migrations that it has had by the digests of their bytes.
#[test]
fn a_checkout_with_crlf_has_the_migrations_byte_for_byte() {
    let checkout = tempfile::tempdir().expect("a folder");
    let copy = |file: &Path| {
        let path = checkout.path().join(file.strip_prefix(ROOT).expect("a file of ours"));
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        fs::copy(file, &path).expect("a copy");
        path
    };
    let root = Path::new(ROOT);
    copy(&root.join(".gitattributes"));
    let mut originals = files(&root.join("migrations"));
    let migrations = originals.len();
    assert!(migrations > 10, "{originals:?}");
    originals.extend(files(&root.join("scripts")));
    originals.extend([root.join("openapi/hallpass.json"), root.join("docs/screenshot-docs-page.png")]);
    let copies: Vec<PathBuf> = originals.iter().map(|file| copy(file)).collect();
    // What git leaves to the system changes, or this shows nothing.
    fs::write(checkout.path().join("left-to-git.txt"), "a\nb\n").expect("a file");
    let rule = fs::OpenOptions::new().append(true).open(checkout.path().join(".gitattributes"));
    std::io::Write::write_all(&mut rule.expect("a file"), b"left-to-git.txt !text !eol\n").expect("a line");

    git(checkout.path(), &["init", "--quiet"]);
    git(checkout.path(), &["add", "--all"]);
    git(checkout.path(), &["commit", "--quiet", "--message", "All"]);
    for file in &copies {
        fs::remove_file(file).expect("a file");
    }
    fs::remove_file(checkout.path().join("left-to-git.txt")).expect("a file");
    git(checkout.path(), &["checkout", "--quiet", "--", "."]);
    for (original, copy) in originals.iter().zip(&copies) {
        let same = fs::read(original).expect("a file") == fs::read(copy).expect("a file");
        assert!(same, "{} is another after a checkout", original.display());
    }
    assert_eq!(fs::read(checkout.path().join("left-to-git.txt")).expect("a file"), b"a\r\nb\r\n");
}

/// `CARGO_TARGET_DIR`, a cargo configuration or a target of one's own lead elsewhere.
#[test]
fn nothing_guesses_where_cargo_puts_programs() {
    let root = Path::new(ROOT);
    let mut all: Vec<PathBuf> =
        [".ci", "scripts", "tests", "benches"].map(|folder| files(&root.join(folder))).concat();
    // It speaks of another checkout.
    all.retain(|file| !file.ends_with("tests/fixtures/80b13e8/make.py"));
    assert!(all.len() > 100, "hardly a file");
    for file in all {
        // What is no text runs nothing.
        let text = fs::read_to_string(&file).unwrap_or_default();
        for profile in ["debug", "release"] {
            let guess = format!("target/{profile}");
            assert!(!text.contains(&guess), "{}: {guess}", file.display());
        }
    }
}
