//! The document in the forms that generators need which cannot make a client of it as it is.
//!
//! A profile leaves the service as it is: it says less, or less exactly, what the document says.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::walk::{component, each_operation, each_reference, each_response, object_in};
use super::{JSON, PROBLEM_JSON, is_success, keep_used_tags, rename_keys};

/// A form of the document, by the generator that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// openapi-generator, whatever the language.
    OpenapiGenerator,
    /// progenitor (Rust).
    Progenitor,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::OpenapiGenerator, Self::Progenitor];

    /// What `?for=` and `--for` call it, and the folder of its files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenapiGenerator => "openapi-generator",
            Self::Progenitor => "progenitor",
        }
    }

    /// The profile of a name; none where there is no such one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The mended document in this form.
    pub fn shape(self, mut document: Value) -> Value {
        answer_one_schema(&mut document);
        match self {
            Self::OpenapiGenerator => {
                leave_out_streams(&mut document);
                take_further_members(&mut document);
            }
            Self::Progenitor => answer_errors_as_json(&mut document),
        }
        drop_unused_components(&mut document);
        keep_used_tags(&mut document);
        document
    }
}

/// One function answers one type: progenitor takes no second schema of good answers, and openapi-generator's functions
/// read every good answer as the first. They become one object, with what each has, of which is required what
/// all have. Answers that have no such object stay.
fn answer_one_schema(document: &mut Value) {
    let schemas =
        document.pointer("/components/schemas").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut merged = Map::new();
    each_operation(document, &mut |operation| {
        let mut answered: Vec<String> = Vec::new();
        each_good_media(operation, &mut |media| {
            let name = media.get("schema").and_then(component);
            if let Some(name) = name.filter(|name| !answered.iter().any(|known| known == name)) {
                answered.push(name.to_owned());
            }
        });
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        let name = format!(
            "{}{}Answer",
            id.get(..1).unwrap_or_default().to_ascii_uppercase(),
            id.get(1..).unwrap_or_default()
        );
        let parts: Vec<&Map<String, Value>> =
            answered.iter().filter_map(|name| schemas.get(name)?.as_object()).collect();
        let Some(schema) = merge(&name, &parts).filter(|_| !schemas.contains_key(&name)) else { return };
        each_good_media(operation, &mut |media| {
            if let Some(known) = media.get_mut("schema").filter(|schema| component(schema).is_some()) {
                *known = json!({ "$ref": schema_reference(&name) });
            }
        });
        merged.insert(name, schema);
    });
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        schemas.extend(merged);
    }
}

/// One object for several; none where there is one only, or where they differ about a property.
fn merge(name: &str, parts: &[&Map<String, Value>]) -> Option<Value> {
    let (first, others) = parts.split_first().filter(|(_, others)| !others.is_empty())?;
    let (mut properties, mut descriptions) = (Map::new(), Vec::new());
    for part in parts {
        for (name, property) in part.get("properties")?.as_object()? {
            if properties.entry(name).or_insert_with(|| property.clone()) != property {
                return None;
            }
        }
        descriptions.extend(part.get("description").and_then(Value::as_str));
    }
    let requires = |part: &Map<String, Value>, name: &Value| {
        part.get("required").and_then(Value::as_array).is_some_and(|required| required.contains(name))
    };
    let required = first.get("required").and_then(Value::as_array).into_iter().flatten();
    let required: Vec<&Value> =
        required.filter(|name| others.iter().all(|other| requires(other, name))).collect();
    let mut schema = json!({
        "type": "object",
        "title": name,
        "description": format!("One of these. {}", descriptions.join(" ")),
        "properties": properties,
    });
    if let Some(schema) = schema.as_object_mut() {
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        schema.extend(first.get("example").map(|example| ("example".to_owned(), example.clone())));
    }
    Some(schema)
}

/// Visits the media types of the good answers of an operation.
fn each_good_media(operation: &mut Map<String, Value>, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    each_response(operation, &mut |status, response| {
        let content = object_in(response, "content").filter(|_| is_success(status));
        content.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut).for_each(&mut *visit);
    });
}

/// openapi-generator's clients read an answer to its end before they give it to anybody, and its Rust client takes
/// none but JSON: an operation that streams events is not one they can call.
fn leave_out_streams(document: &mut Value) {
    let streams = |operation: &Value| {
        let answers = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
        let contents = answers.filter_map(|(_, answer)| answer.get("content")?.as_object());
        contents.flat_map(Map::keys).any(|media_type| media_type == "text/event-stream")
    };
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return };
    for operations in paths.values_mut().filter_map(Value::as_object_mut) {
        operations.retain(|_, operation| !streams(operation));
    }
    paths.retain(|_, operations| operations.as_object().is_none_or(|operations| !operations.is_empty()));
}

/// A later version may answer more members than it does today. openapi-generator's Go client refuses them
/// (`DisallowUnknownFields`) where a schema does not say that there may be some.
fn take_further_members(document: &mut Value) {
    let mut answered = BTreeSet::new();
    let note = |value: &Value, answered: &mut BTreeSet<String>| {
        each_reference(value, &mut |reference| answered.extend([reference.to_owned()]));
    };
    each_operation(document, &mut |operation| {
        operation.get("responses").into_iter().for_each(|answers| note(answers, &mut answered));
    });
    let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) else {
        return;
    };
    // What an answer refers to refers to others.
    let mut before = 0;
    while answered.len() > before {
        before = answered.len();
        let known = schemas.iter().filter(|(name, _)| answered.contains(&schema_reference(name)));
        let known: Vec<&Value> = known.map(|(_, schema)| schema).collect();
        known.into_iter().for_each(|schema| note(schema, &mut answered));
    }
    for (name, schema) in schemas.iter_mut() {
        let is_object = schema.get("type") == Some(&json!("object"));
        if let Some(schema) =
            schema.as_object_mut().filter(|_| is_object && answered.contains(&schema_reference(name)))
        {
            schema.entry("additionalProperties").or_insert(true.into());
        }
    }
}

/// progenitor types what is `application/json` alone. Its clients do not compare the media type that comes.
fn answer_errors_as_json(document: &mut Value) {
    each_operation(document, &mut |operation| {
        each_response(operation, &mut |_, response| {
            if let Some(content) =
                object_in(response, "content").filter(|content| !content.contains_key(JSON))
            {
                rename_keys(content, |name| if name == PROBLEM_JSON { JSON } else { name }.to_owned());
            }
        });
    });
}

/// Takes away the components that nothing refers to any more.
fn drop_unused_components(document: &mut Value) {
    loop {
        let mut used = BTreeSet::new();
        each_reference(document, &mut |reference| used.extend([reference.to_owned()]));
        let mut dropped = false;
        for kind in ["schemas", "headers", "examples"] {
            let place = format!("/components/{kind}");
            let Some(components) = document.pointer_mut(&place).and_then(Value::as_object_mut) else {
                continue;
            };
            let before = components.len();
            components.retain(|name, _| used.contains(&format!("#{place}/{name}")));
            dropped |= components.len() < before;
        }
        if !dropped {
            return;
        }
    }
}

fn schema_reference(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A document of one operation, `getThing`, with these answers by their status.
    fn document(answers: Value, schemas: Value) -> Value {
        json!({
            "tags": [{ "name": "Things" }],
            "paths": { "/things": { "get": { "operationId": "getThing", "tags": ["Things"], "responses": answers } } },
            "components": { "schemas": schemas }
        })
    }

    fn answer(media_type: &str, schema: &str) -> Value {
        json!({ "content": { media_type: { "schema": { "$ref": schema_reference(schema) }, "example": {} } } })
    }

    fn answers(document: &Value) -> &Value {
        &document["paths"]["/things"]["get"]["responses"]
    }

    #[test]
    fn a_profile_is_known_by_its_name() {
        for profile in Profile::ALL {
            assert_eq!(Profile::named(profile.name()), Some(profile));
        }
        for none in ["", "Progenitor", "go"] {
            assert_eq!(Profile::named(none), None, "{none}");
        }
    }

    #[test]
    fn two_good_answers_become_one_object_that_requires_what_both_have() {
        let schemas = json!({
            "Made": {
                "type": "object", "description": "It is made.", "required": ["message", "id"],
                "properties": { "message": { "type": "string" }, "id": { "type": "integer" } },
                "example": { "message": "made", "id": 1 }
            },
            "Taken": {
                "type": "object", "description": "It is taken.", "required": ["message"],
                "properties": { "message": { "type": "string" }, "later": { "type": "string" } },
                "example": { "message": "taken" }
            },
        });
        let document =
            document(json!({ "201": answer(JSON, "Made"), "202": answer(JSON, "Taken") }), schemas);
        let shaped = Profile::Progenitor.shape(document);
        let expected = json!({ "GetThingAnswer": {
            "type": "object", "title": "GetThingAnswer", "description": "One of these. It is made. It is taken.",
            "properties": { "message": { "type": "string" }, "id": { "type": "integer" }, "later": { "type": "string" } },
            "required": ["message"],
            "example": { "message": "made", "id": 1 }
        } });
        assert_eq!(shaped["components"]["schemas"], expected);
        for status in ["201", "202"] {
            assert_eq!(answers(&shaped)[status], answer(JSON, "GetThingAnswer"), "{status}");
        }
    }

    #[test]
    fn answers_that_have_no_object_in_common_stay() {
        let object = |kind: &str| json!({ "type": "object", "properties": { "id": { "type": kind } } });
        let schemas = json!({ "Made": object("integer"), "Taken": object("string") });
        let document =
            document(json!({ "201": answer(JSON, "Made"), "202": answer(JSON, "Taken") }), schemas);
        assert_eq!(Profile::Progenitor.shape(document.clone()), document);
    }

    #[test]
    fn errors_are_json_to_progenitor() {
        let schemas = json!({ "Problem": { "type": "object" }, "Thing": { "type": "object" } });
        let errors =
            |media_type| json!({ "200": answer(JSON, "Thing"), "404": answer(media_type, "Problem") });
        let with_problems = document(errors(PROBLEM_JSON), schemas.clone());
        let shaped = Profile::Progenitor.shape(with_problems.clone());
        assert_eq!(shaped, document(errors(JSON), schemas));
        let shaped = Profile::OpenapiGenerator.shape(with_problems);
        assert_eq!(answers(&shaped), &errors(PROBLEM_JSON));
    }

    #[test]
    fn answers_may_have_further_members_and_bodies_stay_as_they_are() {
        let schemas = json!({
            "Thing": { "type": "object", "properties": { "part": { "$ref": schema_reference("Part") } } },
            "Part": { "type": "object", "properties": { "kind": { "$ref": schema_reference("Kind") } } },
            "Kind": { "type": "string", "enum": ["a"] },
            "Change": { "type": "object", "additionalProperties": false },
        });
        let mut document = document(json!({ "200": answer(JSON, "Thing") }), schemas);
        document["paths"]["/things"]["get"]["requestBody"] = answer(JSON, "Change");
        let shaped = Profile::OpenapiGenerator.shape(document.clone());
        for (name, further) in
            [("Thing", json!(true)), ("Part", json!(true)), ("Kind", Value::Null), ("Change", json!(false))]
        {
            assert_eq!(shaped["components"]["schemas"][name]["additionalProperties"], further, "{name}");
        }
        assert_eq!(Profile::Progenitor.shape(document.clone()), document);
    }

    #[test]
    fn what_streams_is_not_for_openapi_generator_nor_is_what_only_that_uses() {
        let schemas = json!({ "Thing": { "type": "object" }, "Event": { "type": "object" } });
        let mut document = document(json!({ "200": answer(JSON, "Thing") }), schemas);
        document["paths"]["/stream"] = json!({ "get": {
            "operationId": "streamThings", "tags": ["Streams"],
            "responses": { "200": answer("text/event-stream", "Event") }
        } });
        document["tags"] = json!([{ "name": "Things" }, { "name": "Streams" }]);
        let shaped = Profile::OpenapiGenerator.shape(document.clone());
        assert_eq!(
            shaped["paths"].as_object().map(|paths| paths.keys().collect::<Vec<_>>()),
            Some(vec![&"/things".to_owned()])
        );
        assert_eq!(
            shaped["components"]["schemas"],
            json!({ "Thing": { "type": "object", "additionalProperties": true } })
        );
        assert_eq!(shaped["tags"], json!([{ "name": "Things" }]));
        assert_eq!(Profile::Progenitor.shape(document.clone()), document);
    }
}
