//! Examples where tools look for them: of the bodies of each operation and of the fields of each form.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::is_success;
use super::walk::{component, component_or_list, content_of, each_operation, each_response, object_in};
use crate::api::wire::dto::{ACCESS_TOKEN_EXAMPLE, REFRESH_TOKEN_EXAMPLE};
use crate::api::wire::form::FORM;

/// poem-openapi has no place for the examples of an answer, so `Refusal` sends them, by name, as the
/// example of a schema around the error's. They go to `shared`, for most are the same everywhere;
/// another one of the same name stays where it is.
pub(super) fn unpack(status: &str, response: &mut Map<String, Value>, shared: &mut Map<String, Value>) {
    if is_success(status) {
        return;
    }
    let content = object_in(response, "content").into_iter().flat_map(Map::values_mut);
    for media in content.filter_map(Value::as_object_mut) {
        let Some(schema) = media.get("schema").cloned() else { continue };
        let reference = schema.pointer("/allOf/0").filter(|reference| reference.get("$ref").is_some());
        let named = schema.get("example").and_then(Value::as_object);
        let (Some(reference), Some(named)) = (reference, named) else { continue };
        let placed = |(name, example): (&String, &Value)| (name.clone(), place(name, example, shared));
        let examples: Map<_, _> = named.iter().map(placed).collect();
        media.insert("schema".into(), reference.clone());
        media.insert("examples".into(), examples.into());
    }
}

/// What stands at an answer for one of its examples: a reference to the one in `shared`, where it goes unless
/// another one of that name is there.
pub(super) fn place(name: &str, example: &Value, shared: &mut Map<String, Value>) -> Value {
    match shared.entry(name).or_insert_with(|| example.clone()) == example {
        true => json!({ "$ref": format!("#/components/examples/{name}") }),
        false => example.clone(),
    }
}

/// poem-openapi has examples of types only; tools look for examples of bodies first, and for those of
/// types in forms and in the code that generators write.
pub(super) fn lift(spec: &mut Value) {
    let schemas = spec.pointer("/components/schemas").and_then(Value::as_object);
    let examples: Map<String, Value> = schemas
        .into_iter()
        .flatten()
        .filter_map(|(name, schema)| Some((name.clone(), schema.get("example")?.clone())))
        .collect();
    let lift = |content: &mut Map<String, Value>| {
        for media in content.values_mut().filter_map(Value::as_object_mut) {
            let Some((name, is_list)) = media.get("schema").and_then(component_or_list) else { continue };
            let Some(example) = examples.get(name).cloned() else { continue };
            if !media.contains_key("examples") {
                media.entry("example").or_insert(if is_list { json!([example]) } else { example });
            }
        }
    };
    each_operation(spec, &mut |operation| {
        if let Some(content) = content_of(operation.get_mut("requestBody")) {
            lift(content);
        }
        each_response(operation, &mut |status, response| {
            if let Some(content) = object_in(response, "content").filter(|_| is_success(status)) {
                lift(content);
            }
        });
    });
}

/// The docs page fills a form field by field, out of the examples of the fields: a field without one would say
/// `string`.
pub(super) fn fill_in_forms(spec: &mut Value) {
    let mut forms = BTreeSet::new();
    each_operation(spec, &mut |operation| {
        let form = content_of(operation.get_mut("requestBody")).and_then(|content| content.get(FORM));
        if let Some(name) = form.and_then(|media| component(media.get("schema")?)) {
            forms.insert(name.to_owned());
        }
    });
    let Some(schemas) = spec.pointer_mut("/components/schemas") else { return };
    for name in forms {
        let Some(schema) = schemas.get_mut(&name).and_then(Value::as_object_mut) else { continue };
        let whole = schema.get("example").cloned().unwrap_or_default();
        for (name, field) in object_in(schema, "properties").into_iter().flatten() {
            let example = whole.get(name).cloned().or_else(|| beside_the_whole(name));
            if let (Some(field), Some(example)) = (field.as_object_mut(), example) {
                field.entry("example").or_insert(example);
            }
        }
    }
}

/// The example of a field that the example of the whole form leaves out, since only one of them is needed.
fn beside_the_whole(name: &str) -> Option<Value> {
    const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
    let example = match name {
        "refresh_token" => REFRESH_TOKEN_EXAMPLE,
        // What a form is filled in with narrows no token.
        "resource" | "audience" => "",
        "subject_token" | "actor_token" => ACCESS_TOKEN_EXAMPLE,
        "subject_token_type" | "actor_token_type" | "requested_token_type" => ACCESS_TOKEN,
        _ => return None,
    };
    Some(example.into())
}

/// The bodies that may be left out carry a token that a header can carry as well. The empty one comes
/// first, so that the docs page sends it: the token of an example opens nothing.
pub(super) fn show_that_the_body_may_be_empty(operation: &mut Map<String, Value>) {
    let Some(body) = object_in(operation, "requestBody") else { return };
    if body.get("required") != Some(&Value::Bool(false)) {
        return;
    }
    for media in object_in(body, "content").into_iter().flat_map(Map::values_mut) {
        let Some(media) = media.as_object_mut() else { continue };
        if let Some(example) = media.shift_remove("example") {
            let examples = json!({
                "tokenInHeader": { "summary": "The token is in a header", "value": {} },
                "tokenInBody": { "summary": "The token is in the body", "value": example },
            });
            media.insert("examples".into(), examples);
        }
    }
}
