//! The rights in Postgres that the service says it needs are those that its statements take.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::sources::files;

const STATEMENTS: &str = "src/store/sql";
const RIGHTS: &str = "src/store/sql/postgres/rights.rs";
const PAGE: &str = "docs/stores.md";

/// How a statement begins that takes a right, beside SELECT, which all tables need.
const WRITES: [(&str, &str); 3] =
    [("INSERT INTO ", "INSERT"), ("UPDATE ", "UPDATE"), ("DELETE FROM ", "DELETE")];

/// What a migration does, and its owner alone.
const OF_MIGRATIONS: &str = "_sqlx_migrations";

/// A table, and what is done to it.
type Right = (String, &'static str);

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_lowercase() || matches!(c, '_' | '0'..='9')).collect()
}

/// An INSERT that may find the row there and change it takes both rights.
fn changed_instead(text: &str) -> impl Iterator<Item = Right> {
    let statements = text.split("INSERT INTO ").skip(1).filter_map(|rest| rest.split('"').next());
    let changing = statements.filter(|statement| statement.contains("DO UPDATE"));
    changing.map(|statement| (word(statement), "UPDATE"))
}

fn taken_by(text: &str) -> BTreeSet<Right> {
    let of = |(begin, right): (&str, &'static str)| {
        let tables = text.split(begin).skip(1).map(word);
        tables
            .filter(|table| !table.is_empty() && table != OF_MIGRATIONS)
            .map(move |table| (table, right))
            .collect::<Vec<_>>()
    };
    WRITES.into_iter().flat_map(of).chain(changed_instead(text)).collect()
}

/// Tables and their rights, by lines like `("users", &["SELECT", "INSERT"]),`.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.split_once("\", &["))
}

fn given_by(text: &str) -> BTreeSet<Right> {
    let of = |(table, rights): (&str, &str)| {
        let has = |right: &str| rights.contains(&format!("\"{right}\""));
        let given = WRITES.into_iter().map(|(_, right)| right).filter(|right| has(right));
        given.map(|right| (table.to_owned(), right)).collect::<Vec<_>>()
    };
    lines(text).flat_map(of).collect()
}

#[test]
fn every_statement_has_its_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| fs::read_to_string(path).expect("a source");
    let statements = files(&root.join(STATEMENTS));
    let statements = statements.iter().filter(|path| {
        !path.ends_with(RIGHTS) && !path.components().any(|part| part.as_os_str() == "sqlite")
    });
    let taken: BTreeSet<Right> = statements.flat_map(|path| taken_by(&read(path))).collect();
    assert!(taken.len() > 15, "{taken:?}");
    let given = given_by(&read(&root.join(RIGHTS)));
    let lacking: Vec<_> = taken.difference(&given).collect();
    assert!(lacking.is_empty(), "not in {RIGHTS}: {lacking:?}");
}

/// By the rows of the page: "| `users`, `clients` | SELECT, INSERT |".
fn told_by(page: &str) -> BTreeMap<String, String> {
    let rows =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "));
    let rows = rows.filter(|(_, rights)| rights.starts_with("SELECT"));
    rows.flat_map(|(tables, rights)| {
        tables.split("`, `").map(move |table| (table.to_owned(), rights.to_owned()))
    })
    .collect()
}

#[test]
fn the_page_says_the_same_rights() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).expect("a file");
    let rights = read(RIGHTS);
    let needed: BTreeMap<String, String> = lines(&rights)
        .map(|(table, rights)| (table.to_owned(), rights.trim_end_matches("]),").replace('"', "")))
        .collect();
    assert!(needed.len() > 10, "{needed:?}");
    assert_eq!(told_by(&read(PAGE)), needed);
}

#[test]
fn statements_and_rights_are_found() {
    let statements = "\"UPDATE clients SET a = 1\" \"INSERT INTO users (a)\" \"DELETE FROM journal WHERE\" \
                      \"INSERT INTO deployment (a) ON CONFLICT DO UPDATE SET a = 1\"";
    let taken = [
        ("clients", "UPDATE"),
        ("deployment", "INSERT"),
        ("deployment", "UPDATE"),
        ("journal", "DELETE"),
        ("users", "INSERT"),
    ];
    assert_eq!(taken_by(statements), taken.map(|(table, right)| (table.to_owned(), right)).into());
    let rights = "    (\"clients\", &[\"SELECT\", \"UPDATE\"]),\n    (\"users\", &[\"SELECT\"]),";
    assert_eq!(given_by(rights), [("clients".to_owned(), "UPDATE")].into());
}
