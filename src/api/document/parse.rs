//! Reads what `OpenApiService::spec` emits, which is not quite JSON's idea of an object.
//!
//! A path whose operations are methods of two API structs comes twice, once for each, and any other
//! reader keeps the last of two equal keys: operations would be lost.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Reads a document; a path that comes twice has the operations of both.
///
/// # Errors
/// When the text is no JSON object.
pub(super) fn parse(spec: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(spec).map(|Document(document)| Value::Object(document))
}

struct Document(Map<String, Value>);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members).map(Self)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an OpenAPI document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut document = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let value = match key.as_str() {
                "paths" => Value::Object(members.next_value::<Paths>()?.0),
                _ => members.next_value()?,
            };
            document.insert(key, value);
        }
        Ok(document)
    }
}

struct Paths(Map<String, Value>);

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MergedPaths).map(Self)
    }
}

struct MergedPaths;

impl<'de> Visitor<'de> for MergedPaths {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("paths")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut paths: A) -> Result<Self::Value, A::Error> {
        let mut merged = Map::<String, Value>::new();
        while let Some((path, mut operations)) = paths.next_entry::<String, Map<String, Value>>()? {
            match merged.get_mut(&path).and_then(Value::as_object_mut) {
                Some(known) => known.append(&mut operations),
                None => drop(merged.insert(path, operations.into())),
            }
        }
        Ok(merged)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_that_comes_twice_has_the_operations_of_both() {
        let spec = r#"{"openapi":"3.0.0","paths":{"/a":{"get":1},"/b":{"get":2},"/a":{"put":3}},"tags":[]}"#;
        let document = parse(spec).unwrap();
        let expected = json!({ "/a": { "get": 1, "put": 3 }, "/b": { "get": 2 } });
        assert_eq!(document["paths"], expected);
        let keys: Vec<_> = document.as_object().into_iter().flat_map(Map::keys).collect();
        assert_eq!(keys, ["openapi", "paths", "tags"]);
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in ["", "[]", r#"{"paths":[]}"#, r#"{"paths":{"/a":7}}"#] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
