//! What is known of all settings.

use std::collections::BTreeSet;

use super::*;

const START: &str = "<!-- settings:start -->\n";
const END: &str = "<!-- settings:end -->";

#[test]
fn every_name_is_used_once() {
    let mut seen = BTreeSet::new();
    for setting in catalogue().iter() {
        for name in setting.variables().into_iter().chain(setting.file_variables()) {
            assert!(seen.insert(name.clone()), "{name} is used twice");
        }
    }
}

#[test]
fn levels_are_parted_by_two_underscores() {
    let setting = catalogue().find("tokens.refresh.idle_ttl").unwrap();
    assert_eq!(setting.variable(), "HALLPASS_TOKENS__REFRESH__IDLE_TTL");
}

#[test]
fn only_secrets_have_a_file_twin() {
    assert_eq!(catalogue().find("secret").unwrap().file_variables(), ["HALLPASS_SECRET_FILE"]);
    assert_eq!(
        catalogue().find("database.url").unwrap().file_variables(),
        ["HALLPASS_DATABASE__URL_FILE", "DATABASE_URL_FILE"]
    );
    assert!(catalogue().find("listen").unwrap().file_variables().is_empty());
}

#[test]
fn the_page_lists_exactly_these_settings() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md");
    let page = fs::read_to_string(path).expect("docs/settings.md is there");
    let (_, rest) = page.split_once(START).expect("docs/settings.md has the marker settings:start");
    let (table, _) = rest.split_once(END).expect("docs/settings.md has the marker settings:end");
    let wanted = catalogue().markdown();
    assert!(
        table.trim() == wanted.trim(),
        "the table in docs/settings.md is out of date; put this between its markers:\n\n{wanted}"
    );
}
