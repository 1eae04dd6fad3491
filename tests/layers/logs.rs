//! Errors are logged with their causes, and in one way: a log format that keeps the causes of an error
//! handed over as such is not the only one there is.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::rust_files;

/// The one way.
const WAY: &str = "error = %with_causes(";

/// What stands between the parentheses of each `tracing::…!(…)`, without string literals.
fn events(source: &str) -> Vec<String> {
    let mut events = Vec::new();
    for level in ["error", "warn", "info", "debug", "trace"] {
        for (start, opening) in source.match_indices(&format!("tracing::{level}!(")) {
            let (mut depth, mut in_text, mut event) = (1, false, String::new());
            let mut letters = source[start + opening.len()..].chars();
            while let Some(letter) = letters.next() {
                match letter {
                    '\\' if in_text => drop(letters.next()),
                    '"' => in_text = !in_text,
                    _ if in_text => {}
                    '(' => depth += 1,
                    ')' if depth == 1 => break,
                    ')' => depth -= 1,
                    _ => {}
                }
                if !in_text {
                    event.push(letter);
                }
            }
            events.push(event);
        }
    }
    events
}

/// Whether an error is logged in another way.
fn is_offence(event: &str) -> bool {
    let mut rest = event.to_owned();
    while let Some(start) = rest.find(WAY) {
        let end = rest[start..].find(')').map_or(rest.len(), |end| start + end);
        rest.replace_range(start..end, "");
    }
    let mut words = rest.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
    words.any(|word| matches!(word, "error" | "dyn" | "err"))
}

#[test]
fn every_error_is_logged_with_its_causes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut report, mut found) = (String::new(), 0);
    for file in rust_files(&root.join("src")) {
        let source = fs::read_to_string(&file).expect("a source file");
        for event in events(&source) {
            found += usize::from(event.contains(WAY));
            if is_offence(&event) {
                writeln!(report, "{}: {event}", file.display()).expect("a string takes text");
            }
        }
    }
    assert!(found > 10, "hardly an error is logged");
    assert!(report.is_empty(), "log errors as `{WAY}&error)` (domain::causes):\n{report}");
}

#[test]
fn another_way_is_found_and_the_one_is_not() {
    for source in [
        "tracing::warn!(%error, \"x\");",
        "tracing::warn!(user = %id, error, \"an error (of ours)\");",
        "tracing::debug!(error = &error as &dyn Error, \"x\");",
        "tracing::error!(?error);",
        "tracing::error!(error = %with_causes(&error), error);",
    ] {
        assert!(events(source).iter().any(|event| is_offence(event)), "{source}");
    }
    for source in [
        "tracing::warn!(error = %with_causes(&error), \"no error\");",
        "tracing::warn!(user = %id, error = %with_causes(error), \"x\"); let error = 1;",
        "tracing::info!(\"an error\");",
    ] {
        assert!(!events(source).iter().any(|event| is_offence(event)), "{source}");
    }
}

/// What `log.client_address = false` keeps out of the log goes by these names (`telemetry::fields`).
const ADDRESS_NAMES: [&str; 2] = ["address", "peer"];

/// The fields of an event that hold where a client is and are called otherwise.
fn misnamed_addresses(event: &str) -> Vec<String> {
    let is_address = |word: &str| matches!(word, "address" | "peer" | "visitor" | "remote_addr");
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
        words.map(str::to_owned).filter(|word| !word.is_empty()).collect()
    };
    let mut misnamed = Vec::new();
    for field in event.split(',') {
        let (name, value) = field.split_once('=').unwrap_or((field, field));
        let name = name.trim().trim_start_matches(['%', '?']);
        if words(value).iter().any(|word| is_address(word)) && !ADDRESS_NAMES.contains(&name) {
            misnamed.push(field.trim().to_owned());
        }
    }
    misnamed
}

#[test]
fn every_address_of_a_client_is_logged_by_a_name_that_can_be_left_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut report, mut found) = (String::new(), 0);
    for file in rust_files(&root.join("src")) {
        let source = fs::read_to_string(&file).expect("a source file");
        for event in events(&source) {
            found += usize::from(event.contains("peer") || event.contains("address"));
            for field in misnamed_addresses(&event) {
                writeln!(report, "{}: {field}", file.display()).expect("a string takes text");
            }
        }
    }
    assert!(found >= 4, "hardly an address is logged");
    assert!(report.is_empty(), "log addresses of clients as `address` or `peer`:\n{report}");
}

#[test]
fn an_address_by_another_name_is_found() {
    for source in ["from = %peer", "ip = address.map(display)", "x = 1, whom = visitor.address()"] {
        assert_eq!(misnamed_addresses(source).len(), 1, "{source}");
    }
    for source in ["%peer", "address = address.map(display)", "address = %peer", "%bound", "user = %id"] {
        assert!(misnamed_addresses(source).is_empty(), "{source}");
    }
}
