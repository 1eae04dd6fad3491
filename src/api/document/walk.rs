//! Ways through an OpenAPI document, for the repairs.

use serde_json::{Map, Value};

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Visits every operation of every path.
pub(super) fn each_operation(spec: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    let paths = spec.get_mut("paths").and_then(Value::as_object_mut);
    for path in paths.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        for (_, operation) in path.iter_mut().filter(|(key, _)| METHODS.contains(&key.as_str())) {
            if let Some(operation) = operation.as_object_mut() {
                visit(operation);
            }
        }
    }
}

/// Visits every answer of an operation, with its status code, range or `default`.
pub(super) fn each_response(
    operation: &mut Map<String, Value>,
    visit: &mut dyn FnMut(&str, &mut Map<String, Value>),
) {
    for (status, response) in object_in(operation, "responses").into_iter().flatten() {
        if let Some(response) = response.as_object_mut() {
            visit(status, response);
        }
    }
}

/// Visits every schema and the schemas inside it, innermost first.
pub(super) fn each_schema(spec: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    let schemas = spec.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    for schema in schemas.into_iter().flat_map(Map::values_mut) {
        within_schema(schema, visit);
    }
    each_operation(spec, &mut |operation| {
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        let holders = parameters.into_iter().flatten();
        holders.filter_map(|holder| holder.get_mut("schema")).for_each(|schema| within_schema(schema, visit));
        if let Some(content) = content_of(operation.get_mut("requestBody")) {
            schemas_of(content).for_each(|schema| within_schema(schema, visit));
        }
        each_response(operation, &mut |_, response| {
            for holders in ["content", "headers"] {
                if let Some(holders) = object_in(response, holders) {
                    schemas_of(holders).for_each(|schema| within_schema(schema, visit));
                }
            }
        });
    });
}

fn within_schema(schema: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    let Some(schema) = schema.as_object_mut() else { return };
    for (keyword, value) in schema.iter_mut() {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(inner)) => {
                inner.values_mut().for_each(|schema| within_schema(schema, visit));
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(inner)) => {
                inner.iter_mut().for_each(|schema| within_schema(schema, visit));
            }
            ("items" | "additionalProperties" | "not", inner) => within_schema(inner, visit),
            _ => {}
        }
    }
    visit(schema);
}

/// Visits the target of every reference within a value, as often as there is one.
pub(super) fn each_reference(value: &Value, visit: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(members) => {
            members.get("$ref").and_then(Value::as_str).into_iter().for_each(&mut *visit);
            members.values().for_each(|member| each_reference(member, visit));
        }
        Value::Array(items) => items.iter().for_each(|item| each_reference(item, visit)),
        _ => {}
    }
}

/// The schemas of media types or headers.
fn schemas_of(holders: &mut Map<String, Value>) -> impl Iterator<Item = &mut Value> {
    holders.values_mut().filter_map(|holder| holder.get_mut("schema"))
}

/// The object at `key`.
pub(super) fn object_in<'a>(
    parent: &'a mut Map<String, Value>,
    key: &str,
) -> Option<&'a mut Map<String, Value>> {
    parent.get_mut(key)?.as_object_mut()
}

/// The media types of a request body.
pub(super) fn content_of(body: Option<&mut Value>) -> Option<&mut Map<String, Value>> {
    body?.get_mut("content")?.as_object_mut()
}

/// The name of the component that a schema refers to, directly or as the sole member of an allOf.
pub(super) fn component(schema: &Value) -> Option<&str> {
    let target = match schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
        Some([only]) => only,
        _ => schema,
    };
    target.get("$ref")?.as_str()?.strip_prefix("#/components/schemas/")
}

/// As [`component`], for a list of them too; says which.
pub(super) fn component_or_list(schema: &Value) -> Option<(&str, bool)> {
    let single = component(schema).map(|name| (name, false));
    single.or_else(|| Some((component(schema.get("items")?)?, true)))
}
