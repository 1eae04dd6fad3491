//! What other systems export. Each format has a file of its own here, and one line in [`FORMATS`].

mod auth0;
mod cognito;
mod django;
mod firebase;
mod jsonl;
mod keycloak;
mod supabase;

use std::fmt;

use serde_json::{Map, Value};

use super::entries::{Entry, Layout};
use super::problem::LineProblem;
use super::record::Given;
use crate::domain::clock::Timestamp;

pub use firebase::FirebaseProject;

/// All formats. The first one is taken where none is named.
pub const FORMATS: [&Format; 7] = [
    &jsonl::FORMAT,
    &auth0::FORMAT,
    &cognito::FORMAT,
    &django::FORMAT,
    &firebase::FORMAT,
    &keycloak::FORMAT,
    &supabase::FORMAT,
];

/// The members of a JSON object, or the columns of a row.
type Members = Map<String, Value>;

/// A kind of file that people come in.
pub struct Format {
    /// Its name on the command line.
    pub name: &'static str,
    /// What file that is, in a few words.
    pub about: &'static str,
    /// Whether the hashes cannot be checked without the parameters of a Firebase project.
    pub needs_firebase_project: bool,
    /// How people stand in it.
    pub(super) layout: Layout,
    /// What an entry says about a person; `None`: it is about something else.
    read: fn(&Entry, &Circumstances<'_>) -> Result<Option<Given>, LineProblem>,
}

/// What an entry is read under.
pub(super) struct Circumstances<'a> {
    pub(super) now: Timestamp,
    pub(super) firebase: Option<&'a FirebaseProject>,
}

impl Format {
    /// What the entry says about a person; `None` when it is about something else.
    pub(super) fn read(
        &self,
        entry: &Entry,
        circumstances: &Circumstances<'_>,
    ) -> Result<Option<Given>, LineProblem> {
        match entry {
            Entry::TooLong { max } => Err(LineProblem::TooLong { max: *max }),
            Entry::BrokenRow => Err(LineProblem::BrokenRow),
            Entry::Text(_) | Entry::Row(_) => (self.read)(entry, circumstances),
        }
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The members of an entry, however it stands in the file.
fn members(entry: &Entry) -> Result<Members, LineProblem> {
    match entry {
        Entry::Row(row) => Ok(row.clone()),
        Entry::Text(text) => serde_json::from_slice(text).map_err(|_| LineProblem::NotAnObject),
        Entry::TooLong { .. } | Entry::BrokenRow => Err(LineProblem::NotAnObject),
    }
}

/// The first of these members that is there, and neither `null` nor empty text.
fn first(members: &Members, names: &[&str]) -> Option<Value> {
    let is_something = |value: &&Value| !value.is_null() && value.as_str() != Some("");
    names.iter().find_map(|name| members.get(*name).filter(is_something)).cloned()
}

/// A member, if it is text that is not empty.
fn text<'a>(members: &'a Members, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A member, if it is an object.
fn object<'a>(members: &'a Members, name: &str) -> Option<&'a Members> {
    members.get(name).and_then(Value::as_object)
}

/// A flag as tables write it; any other text is left as it is, to be refused.
fn flag_of_text(value: Option<Value>) -> Option<Value> {
    let value = value?;
    let flag = match value.as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("true" | "t" | "1") => true,
        Some("false" | "f" | "0") => false,
        _ => return Some(value),
    };
    Some(Value::Bool(flag))
}

/// The opposite of a flag; what is none is left as it is, to be refused.
fn not(value: Option<Value>) -> Option<Value> {
    value.map(|value| value.as_bool().map_or(value, |flag| Value::Bool(!flag)))
}

/// First and last name. A name in one piece is a first name: where one part of it ends, no program can tell.
/// Nobody is called by the address.
fn names(
    first: Option<Value>,
    last: Option<Value>,
    whole: Option<Value>,
    email: Option<&Value>,
) -> [Option<Value>; 2] {
    if first.is_some() || last.is_some() {
        return [first, last];
    }
    [whole.filter(|whole| Some(whole) != email), None]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_format_has_a_name_of_its_own() {
        let mut names: Vec<_> = FORMATS.iter().map(|format| format.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FORMATS.len());
    }

    #[test]
    fn a_flag_of_a_table_is_a_word() {
        for (text, flag) in
            [("true", true), ("TRUE", true), ("t", true), ("1", true), ("False", false), ("f", false)]
        {
            assert_eq!(flag_of_text(Some(json!(text))), Some(json!(flag)), "{text}");
        }
        assert_eq!(flag_of_text(Some(json!("maybe"))), Some(json!("maybe")));
        assert_eq!(not(Some(json!("maybe"))), Some(json!("maybe")));
        assert_eq!((not(Some(json!(true))), not(None)), (Some(json!(false)), None));
    }

    #[test]
    fn a_name_in_one_piece_is_a_first_name_unless_it_is_the_address() {
        let given = |text: &str| Some(json!(text));
        assert_eq!(names(given("Ada"), None, given("x"), None), [given("Ada"), None]);
        assert_eq!(names(None, given("Lovelace"), given("x"), None), [None, given("Lovelace")]);
        let email = json!("ada@example.com");
        assert_eq!(names(None, None, given("Ada Lovelace"), Some(&email)), [given("Ada Lovelace"), None]);
        assert_eq!(names(None, None, given("ada@example.com"), Some(&email)), [None, None]);
    }
}
