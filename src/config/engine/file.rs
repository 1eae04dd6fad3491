//! The settings file: TOML, flattened to keys and texts, with the line of each.

use std::path::Path;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::error::{ConfigError, Origin};
use super::setting::{Catalogue, Kind, Setting};
use super::suggest::suggestion;

/// One setting, its text, and where it stands.
pub(crate) type Entry = (&'static Setting, String, Origin);

/// Reads a settings file to its end: one mistake does not hide the next.
pub(crate) fn entries(
    catalogue: &'static Catalogue,
    path: &Path,
    text: &str,
) -> (Vec<Entry>, Vec<ConfigError>) {
    let mut reader = FileReader { catalogue, path, text, entries: Vec::new(), mistakes: Vec::new() };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        // The error's Display would quote the line, and with it perhaps a secret.
        let origin = reader.origin(error.span().map_or(0, |span| span.start));
        reader.refuse(
            "the settings file",
            origin,
            format!("is not TOML: {}", error.message()),
            "correct the line",
        );
    }
    reader.table("", document.get_ref());
    (reader.entries, reader.mistakes)
}

struct FileReader<'a> {
    catalogue: &'static Catalogue,
    path: &'a Path,
    text: &'a str,
    entries: Vec<Entry>,
    mistakes: Vec<ConfigError>,
}

impl FileReader<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Origin::File { path: self.path.to_owned(), line: Some(line) }
    }

    fn refuse(&mut self, key: &str, origin: Origin, problem: impl Into<String>, help: impl Into<String>) {
        self.mistakes.push(ConfigError::new(key, origin, problem, help));
    }

    fn table(&mut self, level: &str, table: &DeTable<'_>) {
        let mut members: Vec<_> = table.iter().collect();
        members.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in members {
            let key = match level {
                "" => name.get_ref().to_string(),
                level => format!("{level}.{}", name.get_ref()),
            };
            let origin = self.origin(name.span().start);
            self.member(&key, value.get_ref(), origin);
        }
    }

    fn member(&mut self, key: &str, value: &DeValue<'_>, origin: Origin) {
        let is_level =
            self.catalogue.iter().any(|s| s.key.strip_prefix(key).is_some_and(|r| r.starts_with('.')));
        match (self.catalogue.find(key), value) {
            (_, DeValue::Table(table)) if is_level => self.table(key, table),
            (_, _) if is_level => {
                let help = format!("write it as a table, [{key}]");
                self.refuse(key, origin, "is a group of settings, not a setting", help);
            }
            (None, _) => self.refuse(key, origin, "is no setting", suggestion(self.catalogue, key)),
            (Some(setting), value) => match text_of(setting, value) {
                Some(text) => self.entries.push((setting, text, origin)),
                None => {
                    let problem = format!("must not be of the kind {}", value.type_str());
                    let help = match setting.kind {
                        Kind::Table => format!("write a table, [{key}], of texts, numbers, lists and tables"),
                        _ => format!("write a single value, like {}", setting.example),
                    };
                    self.refuse(key, origin, problem, help);
                }
            },
        }
    }
}

/// A value as text: of a list its items, with commas between.
fn text_of(setting: &Setting, value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Array(items) if setting.kind == Kind::List => {
            let items: Option<Vec<String>> = items.iter().map(|item| scalar(item.get_ref())).collect();
            Some(items?.join(","))
        }
        table @ DeValue::Table(_) if setting.kind == Kind::Table => json(table).map(|json| json.to_string()),
        value => scalar(value),
    }
}

/// A value as JSON; of a moment there is none.
fn json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(truth) => Value::from(*truth),
        DeValue::Integer(_) => Value::from(scalar(value)?.parse::<i64>().ok()?),
        DeValue::Float(number) => Value::from(number.as_str().replace('_', "").parse::<f64>().ok()?),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect::<Option<Value>>()?,
        DeValue::Table(members) => {
            let member = |(name, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
                Some((name.get_ref().to_string(), json(value.get_ref())?))
            };
            Value::Object(members.iter().map(member).collect::<Option<_>>()?)
        }
        DeValue::Datetime(_) => return None,
    })
}

/// A single value as text. Whole numbers come in decimal whatever their notation.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            Some(i128::from_str_radix(&digits, number.radix()).map_or(digits, |number| number.to_string()))
        }
        // A fraction is never right; its text lets the parser of the setting say so.
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
