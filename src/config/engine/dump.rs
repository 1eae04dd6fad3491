//! The settings in effect, as a settings file that says where each value came from.

use std::fmt::Write;

use url::Url;

use super::setting::{Catalogue, Kind};
use super::values::Values;
use crate::domain::cluster_url::ClusterUrl;
use crate::domain::sentinel_url::SentinelUrl;

/// What stands in the place of a secret.
const HIDDEN: &str = "…";

/// Every setting in TOML, its origin in a comment; secrets are left out. A setting without a
/// value is commented out.
pub fn dump(catalogue: &Catalogue, values: &Values) -> String {
    let mut dump = format!("# The settings in effect for `hallpass {}`.\n", values.profile().as_str());
    for setting in catalogue.iter() {
        let line = match values.get(setting.key) {
            None => format!("# {} is not set", setting.key),
            Some(found) => {
                let text = found.text.expose();
                let value = match setting.kind {
                    Kind::Number | Kind::Boolean => text.to_owned(),
                    Kind::Text | Kind::Table => quoted(text),
                    Kind::List => list(text),
                    Kind::Secret => quoted(HIDDEN),
                    Kind::SecretUrl => quoted(&without_password(text)),
                };
                format!("{} = {value} # {}", setting.key, one_line(&found.origin.to_string()))
            }
        };
        // Writing to a String cannot fail.
        let _ = writeln!(dump, "{line}");
    }
    dump
}

/// A URL without its password and its query (which may hold one too); all of it is hidden where
/// that is not certain.
fn without_password(text: &str) -> String {
    if let Ok(url) = SentinelUrl::parse(text) {
        return url.masked_by(HIDDEN);
    }
    if let Ok(url) = ClusterUrl::parse(text) {
        return url.masked_by(HIDDEN);
    }
    let Ok(mut url) = Url::parse(text) else { return HIDDEN.to_owned() };
    if url.cannot_be_a_base() || text.matches("://").count() != 1 {
        return HIDDEN.to_owned();
    }
    if url.password().is_some() && url.set_password(Some("HIDDEN")).is_err() {
        return HIDDEN.to_owned();
    }
    let (query, fragment) = (url.query().is_some(), url.fragment().is_some());
    url.set_query(query.then_some("HIDDEN"));
    url.set_fragment(fragment.then_some("HIDDEN"));
    url.as_str().replace("HIDDEN", HIDDEN)
}

/// A basic string (TOML 1.0).
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

/// An array of strings.
fn list(text: &str) -> String {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    format!("[{}]", items.map(quoted).collect::<Vec<_>>().join(", "))
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_what_may_be_secret() {
        for (url, shown) in [
            ("sqlite://hallpass-data/hallpass.db", "sqlite://hallpass-data/hallpass.db"),
            ("postgres://hallpass:hunter2@db/hallpass", "postgres://hallpass:…@db/hallpass"),
            ("postgres://db/hallpass?user=a&password=hunter2", "postgres://db/hallpass?…"),
            ("redis://:hunter2@redis:6379/0", "redis://:…@redis:6379/0"),
            ("redis://redis/0#hunter2", "redis://redis/0#…"),
            ("redis+sentinel://:hunter2@a:1,b:2/main", "redis+sentinel://:…@a:1,b:2/main"),
            (
                "rediss+sentinel://ada:hunter2@a/main/3?sentinel_password=hunter2",
                "rediss+sentinel://ada:…@a:26379/main/3?…",
            ),
            ("redis+sentinel://:hunter2@a:1,b:2", "…"),
            ("redis+cluster://ada:hunter2@a:1,b", "redis+cluster://ada:…@a:1,b:6379"),
            ("sqlite::memory:", "…"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn strings_are_escaped_as_toml_asks() {
        assert_eq!(quoted("a\"b\\c\nd"), r#""a\"b\\c\u000Ad""#);
    }
}
