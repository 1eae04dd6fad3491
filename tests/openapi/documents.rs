//! The documents, and walks through them.

use std::sync::LazyLock;

use hallpass::api::document::profiles::Profile;
use serde_json::{Map, Value};

pub const JSON: &str = "application/json";
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The main API's document. What is asked of its errors and of who may call does not hold for the
/// dialects that are kept as other services shaped them.
const MAIN: &str = "hallpass.json";

/// Every document with its file's place in `openapi/`: as it is served without a question, and for each generator.
pub fn files() -> Vec<(String, String)> {
    let served = hallpass::api::documents().expect("the documents");
    assert_eq!(served.len(), 3);
    let mut files: Vec<_> = served.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    for profile in Profile::ALL {
        let shaped = hallpass::api::documents_for(profile).expect("the documents").into_iter();
        files.extend(shaped.map(|(name, text)| (format!("{}/{name}", profile.name()), text)));
    }
    files
}

/// Every document with the place of its file.
pub fn documents() -> impl Iterator<Item = (&'static str, &'static Value)> {
    static DOCUMENTS: LazyLock<Vec<(String, Value)>> = LazyLock::new(|| {
        let parse = |(name, text): (String, String)| (name, serde_json::from_str(&text).expect("JSON"));
        files().into_iter().map(parse).collect()
    });
    DOCUMENTS.iter().map(|(name, document)| (name.as_str(), document))
}

/// An operation of a document.
pub struct Operation {
    /// The place of the document's file.
    pub document: &'static str,
    /// Document, method and path, for messages.
    pub place: String,
    pub path: &'static str,
    pub content: &'static Map<String, Value>,
}

impl Operation {
    pub fn text(&self, key: &str) -> &'static str {
        self.content.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn is_secured(&self) -> bool {
        let security = self.content.get("security").and_then(Value::as_array);
        !security.unwrap_or_else(|| panic!("{}: `security` is left out", self.place)).is_empty()
    }

    /// Whether errors have OAuth's shape (RFC 6749 5.2).
    pub fn speaks_oauth(&self) -> bool {
        self.path.starts_with("/oauth2/")
    }

    /// Whether a refresh token in its header buys a new access token along the way.
    pub fn renews(&self) -> bool {
        let alternatives = self.content["security"].as_array().into_iter().flatten();
        self.demands_tokens()
            && alternatives.filter_map(Value::as_object).any(|scheme| scheme.contains_key("RefreshToken"))
    }

    /// Whether nobody gets in without a token in a header: an operation that takes one in the body
    /// instead lists the empty alternative.
    pub fn demands_tokens(&self) -> bool {
        let alternatives = self.content["security"].as_array().into_iter().flatten();
        self.is_secured() && !alternatives.filter_map(Value::as_object).any(Map::is_empty)
    }

    pub fn responses(&self) -> &'static Map<String, Value> {
        self.content["responses"].as_object().expect("responses")
    }

    pub fn documents_status(&self, status: &str) -> bool {
        self.responses().contains_key(status)
    }

    /// What it answers when it was done: the media type and the schema of each answer, none where it has no body.
    pub fn good_answers(&self) -> Vec<Option<(&'static str, &'static Value)>> {
        self.answers(|status| status.starts_with('2'))
    }

    /// What it answers when it was not done, as [`Self::good_answers`].
    pub fn errors(&self) -> Vec<Option<(&'static str, &'static Value)>> {
        self.answers(|status| status.starts_with(['4', '5']))
    }

    fn answers(&self, is_meant: impl Fn(&str) -> bool) -> Vec<Option<(&'static str, &'static Value)>> {
        let meant = self.responses().iter().filter(|(status, _)| is_meant(status));
        let contents = meant.map(|(_, answer)| answer["content"].as_object());
        let typed = |content: &'static Map<String, Value>| -> Vec<_> {
            content.iter().map(|(media_type, media)| Some((media_type.as_str(), &media["schema"]))).collect()
        };
        contents.flat_map(|content| content.map_or_else(|| vec![None], typed)).collect()
    }

    /// Media types of the body, by name.
    pub fn body(&self) -> Option<&'static Map<String, Value>> {
        self.content.get("requestBody").and_then(|body| body["content"].as_object())
    }
}

/// Calls `check` for each operation of each document.
pub fn for_each_operation(mut check: impl FnMut(&Operation)) {
    let mut count = 0;
    for (document, content) in documents() {
        for (path, methods) in content["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                let place = format!("{document}: {} {path}", method.to_uppercase());
                let content = operation.as_object().expect("an operation");
                check(&Operation { document, place, path, content });
                count += 1;
            }
        }
    }
    assert!(count >= 14, "only {count} operations were looked at");
}

/// Calls `check` for each operation of the main document.
pub fn for_each_main_operation(mut check: impl FnMut(&Operation)) {
    for_each_operation(|operation| {
        if operation.document == MAIN {
            check(operation);
        }
    });
}

/// Calls `visit` for every value in a document, with the keys that lead there.
pub fn for_each_value<'a>(value: &'a Value, place: &str, visit: &mut dyn FnMut(&str, &'a Value)) {
    visit(place, value);
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, member)| for_each_value(member, &format!("{place}/{key}"), visit));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(n, item)| for_each_value(item, &format!("{place}/{n}"), visit));
        }
        _ => {}
    }
}
