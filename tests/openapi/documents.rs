//! The documents, and walks through them.

use serde_json::{Map, Value};

pub const JSON: &str = "application/json";
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The main API's document. What is asked of its errors and of who may call does not hold for the
/// dialects that are kept as other services shaped them.
const MAIN: &str = "hallpass.json";

/// Every document with the name of its file.
pub fn documents() -> Vec<(&'static str, Value)> {
    let documents = hallpass::api::documents().expect("the documents");
    assert!(!documents.is_empty());
    let parse = |text: String| serde_json::from_str(&text).expect("JSON");
    documents.into_iter().map(|(name, text)| (name, parse(text))).collect()
}

/// An operation of a document.
pub struct Operation<'a> {
    /// The document's name.
    pub document: &'static str,
    /// Document, method and path, for messages.
    pub place: String,
    pub path: &'a str,
    pub content: &'a Map<String, Value>,
}

impl<'a> Operation<'a> {
    pub fn text(&self, key: &str) -> &'a str {
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

    pub fn responses(&self) -> &'a Map<String, Value> {
        self.content["responses"].as_object().expect("responses")
    }

    pub fn documents_status(&self, status: &str) -> bool {
        self.responses().contains_key(status)
    }

    /// Media types of the body, by name.
    pub fn body(&self) -> Option<&'a Map<String, Value>> {
        self.content.get("requestBody").and_then(|body| body["content"].as_object())
    }
}

/// Calls `check` for each operation of each document.
pub fn for_each_operation(mut check: impl FnMut(&Operation<'_>)) {
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
pub fn for_each_main_operation(mut check: impl FnMut(&Operation<'_>)) {
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
