//! What operations are called, where they belong, and what they take.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::documents::{FORM, JSON, documents, for_each_main_operation, for_each_operation};

#[test]
fn every_operation_has_a_name_that_generators_can_use() {
    let mut seen = BTreeSet::new();
    for_each_operation(|operation| {
        let id = operation.text("operationId");
        let camel_case =
            id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(|c| c.is_ascii_alphanumeric());
        assert!(camel_case, "{}: operationId {id:?} is not camelCase", operation.place);
        assert!(
            seen.insert((operation.document.to_owned(), id.to_owned())),
            "{}: operationId {id} is taken",
            operation.place
        );
    });
}

#[test]
fn every_operation_says_what_it_does_and_where_it_belongs() {
    for_each_operation(|operation| {
        for key in ["summary", "description"] {
            assert!(!operation.text(key).is_empty(), "{}: no {key}", operation.place);
        }
        let tags = operation.content.get("tags").and_then(Value::as_array).map_or(0, Vec::len);
        assert_eq!(tags, 1, "{}: tags", operation.place);
    });
}

#[test]
fn every_tag_is_described_and_used() {
    for (name, document) in documents() {
        let mut declared = BTreeSet::new();
        for tag in document["tags"].as_array().expect("tags") {
            let text = tag["name"].as_str().expect("a name");
            assert!(tag["description"].as_str().is_some_and(|text| !text.is_empty()), "{name}: tag {text}");
            declared.insert(text.to_owned());
        }
        let mut used = BTreeSet::new();
        for_each_operation(|operation| {
            if operation.document == name {
                used.extend(
                    operation.content["tags"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .map(str::to_owned),
                );
            }
        });
        assert_eq!(declared, used, "{name}");
    }
}

#[test]
fn operations_take_one_kind_of_body_and_document_what_is_wrong_with_it() {
    for_each_main_operation(|operation| {
        let Some(body) = operation.body() else { return };
        let kind = if operation.speaks_oauth() { FORM } else { JSON };
        assert_eq!(body.keys().collect::<Vec<_>>(), [kind], "{}", operation.place);
        // A malformed login is a failed login.
        let malformed = if operation.text("operationId") == "login" { "401" } else { "400" };
        for status in [malformed, "413", "415"] {
            assert!(operation.documents_status(status), "{}: no {status}", operation.place);
        }
    });
}
