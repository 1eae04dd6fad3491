//! Schemas, examples, and what leads from one part of a document to another.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::documents::{JSON, documents, for_each_operation, for_each_value};

#[test]
fn every_json_body_and_every_good_answer_has_an_example() {
    let mut examples = 0;
    for_each_operation(|operation| {
        let answers = operation.responses().iter().filter(|(status, _)| status.starts_with('2'));
        let answers = answers.filter_map(|(_, answer)| answer["content"].as_object());
        for (media_type, media) in operation.body().into_iter().chain(answers).flatten() {
            if media_type == JSON {
                let has_one = media.get("example").or_else(|| media.get("examples")).is_some();
                assert!(has_one, "{}: no example of {}", operation.place, media["schema"]);
                examples += 1;
            }
        }
    });
    assert!(examples >= 14, "only {examples} examples");
}

#[test]
fn every_object_has_an_example_and_every_enum_its_values() {
    for (name, document) in documents() {
        for (schema, content) in document["components"]["schemas"].as_object().expect("schemas") {
            let shown = if content["type"] == "object" { "example" } else { "enum" };
            assert!(content.get(shown).is_some(), "{name}: {schema} has no {shown}");
        }
    }
}

#[test]
fn examples_have_the_fields_of_their_schema() {
    for (name, document) in documents() {
        let schema_of = |media: &Value| {
            let reference = media["schema"]["$ref"].as_str()?;
            document.pointer(reference.strip_prefix('#')?)
        };
        for_each_value(document, name, &mut |place, media| {
            let Some(example) = media.get("example").and_then(Value::as_object) else { return };
            let Some(schema) = schema_of(media) else { return };
            let properties = schema["properties"].as_object().expect("an object");
            for field in example.keys() {
                assert!(properties.contains_key(field), "{place}: the schema has no {field}");
            }
            for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                assert!(example.contains_key(field), "{place}: the example has no {field}");
            }
        });
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    for (name, document) in documents() {
        let mut used = BTreeSet::new();
        for_each_value(document, name, &mut |place, value| {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return };
            let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            assert!(target.is_some(), "{place}: {reference} leads nowhere");
            used.insert(reference.to_owned());
        });
        for kind in ["schemas", "headers", "examples"] {
            for component in
                document["components"][kind].as_object().into_iter().flatten().map(|(key, _)| key)
            {
                let reference = format!("#/components/{kind}/{component}");
                assert!(used.contains(&reference), "{name}: nothing uses {reference}");
            }
        }
        for scheme in document["components"]["securitySchemes"].as_object().expect("schemes").values() {
            assert!(scheme["description"].as_str().is_some_and(|text| !text.is_empty()), "{name}: {scheme}");
        }
    }
}

#[test]
fn every_property_and_parameter_is_described() {
    for (name, document) in documents() {
        let mut properties = 0;
        let described = |value: &Value| value["description"].as_str().is_some_and(|text| !text.is_empty());
        for (schema, content) in document["components"]["schemas"].as_object().expect("schemas") {
            if content.get("properties").is_some() {
                assert!(described(content), "{name}: {schema}");
            }
            for (property, content) in content["properties"].as_object().into_iter().flatten() {
                assert!(described(content), "{name}: {schema}.{property}");
                properties += 1;
            }
        }
        assert!(properties >= 15, "{name}: only {properties} properties");
    }
    for_each_operation(|operation| {
        for parameter in operation.content.get("parameters").and_then(Value::as_array).into_iter().flatten() {
            let text = parameter["description"].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{}: parameter {}", operation.place, parameter["name"]);
        }
    });
}

#[test]
fn no_description_is_empty_and_no_media_type_has_a_charset() {
    for (name, document) in documents() {
        for_each_value(document, name, &mut |place, value| {
            let Some(object) = value.as_object() else { return };
            for (key, member) in object {
                assert!(!key.contains("charset"), "{place}/{key}");
                let empty =
                    key == "description" && member.as_str().is_some_and(|text| text.trim().is_empty());
                assert!(!empty, "{place}: an empty description");
            }
        });
    }
}
