//! The pages: what they lead to is there, and so are the tests that they name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README, CONTRIBUTING and the pages of `docs`.
fn pages() -> Vec<(PathBuf, String)> {
    let docs = fs::read_dir(root().join("docs")).expect("docs is there");
    let docs = docs.map(|entry| entry.expect("an entry").path());
    let all = ["README.md", "CONTRIBUTING.md"].map(|name| root().join(name)).into_iter().chain(docs);
    let pages = all.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.map(|path| (path.clone(), fs::read_to_string(path).expect("text"))).collect()
}

/// Where the links of a page lead that leave it and stay in the repository.
fn targets(page: &str) -> Vec<&str> {
    let links = page.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    let inside = links.filter(|target| !target.contains("://") && !target.starts_with(['#', '?']));
    inside.map(|target| target.split('#').next().unwrap_or(target)).collect()
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut links = 0;
    for (path, page) in pages() {
        let folder = path.parent().expect("a folder");
        for target in targets(&page) {
            assert!(folder.join(target).exists(), "{} leads to {target}, which is not there", path.display());
            links += 1;
        }
    }
    assert!(links > 40, "{links}");
}

/// The names of all tests and functions below a folder.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("text");
            let found = source.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            names.extend(found.map(|name| name.trim().to_owned()));
        }
    }
}

#[test]
fn every_invariant_names_a_test_that_there_is() {
    let page =
        fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md is there");
    let (_, invariants) = page.split_once("## Invariants").expect("the chapter");
    assert_names_tests(invariants, 12);
}

/// The names of tests between backticks are of tests that there are; other names are shorter.
fn assert_names_tests(text: &str, at_least: usize) {
    let mut known = BTreeSet::new();
    for folder in ["src", "tests", "argon2", "verify", "model"] {
        functions(&root().join(folder), &mut known);
    }
    let pieces = text.split('`').skip(1).step_by(2);
    let is_name = |piece: &&str| {
        piece.matches('_').count() > 2 && piece.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    let named: Vec<&str> = pieces.filter(is_name).collect();
    assert!(named.len() >= at_least, "{named:?}");
    for name in named {
        assert!(known.contains(name), "there is no test {name}");
    }
}

#[test]
fn every_answer_of_the_faq_names_a_page_and_a_test_that_there_is() {
    let page = fs::read_to_string(root().join("docs/faq.md")).expect("docs/faq.md is there");
    let answers: Vec<&str> = page.split("\n## ").skip(1).collect();
    assert!(answers.len() >= 8, "{}", answers.len());
    for answer in answers {
        assert!(!targets(answer).is_empty(), "no page says more: {answer}");
        assert_names_tests(answer, 1);
    }
}
