//! The OpenAPI document as it is served and checked in.
//!
//! poem-openapi derives the document from the code but leaves in it what breaks client generators
//! and what no derive can say (a public operation, a header that an extractor sets). [`repair`] is
//! the one place that mends it, so that `/openapi.json`, the docs page and the file in the
//! repository are the same text.

use poem::http::StatusCode;
use serde_json::{Map, Number, Value, json};

mod announce;
mod enums;
mod examples;
pub mod known_names;
mod outline;
mod parse;
pub mod profiles;
mod requests;
pub mod tags;
mod walk;

#[cfg(test)]
mod tests;

pub(crate) use outline::outline;

use announce::{announce_headers, announce_timeout, announce_unknown_parameters};
use walk::{component, content_of, each_operation, each_response, each_schema, object_in};

const JSON: &str = "application/json";
const PROBLEM_JSON: &str = "application/problem+json";

/// The document that `OpenApiService::spec` means, mended.
///
/// # Errors
/// When it is no JSON object; a defect of poem-openapi.
pub fn of(spec: &str) -> Result<Value, serde_json::Error> {
    parse::parse(spec).map(repair)
}

/// Mends what `OpenApiService::spec` emits. Order of keys is kept, and a second time changes nothing.
pub fn repair(mut spec: Value) -> Value {
    serve_from_the_root(&mut spec);
    requests::take_back_nulls(&mut spec);
    each_schema(&mut spec, &mut |schema| {
        drop_repeated_all_of_members(schema);
        write_whole_bounds_as_integers(schema);
        require_what_may_be_null(schema);
    });
    let descriptions = described_components(&spec);
    let mut shared = Map::new();
    each_operation(&mut spec, &mut |operation| {
        drop_default_parameter_flags(operation);
        name_plain_media_types(operation);
        each_response(operation, &mut |status, response| {
            describe_by_content_or_status(status, response, &descriptions);
            answer_problems_as_problem_json(status, response);
            examples::unpack(status, response, &mut shared);
            spell_header_names(response);
        });
        announce_timeout(operation, &mut shared);
        announce_unknown_parameters(operation, &mut shared);
        mark_as_public_unless_secured(operation);
    });
    enums::write_shared_values_in_place(&mut spec);
    give_flows_their_scopes(&mut spec);
    add_components(&mut spec, "examples", shared);
    examples::lift(&mut spec);
    examples::fill_in_forms(&mut spec);
    each_operation(&mut spec, &mut examples::show_that_the_body_may_be_empty);
    requests::describe(&mut spec);
    requests::refuse_unknown_members(&mut spec);
    announce_headers(&mut spec);
    keep_used_tags(&mut spec);
    spec
}

/// The document as text: two spaces deep, a line end at the end.
pub fn to_pretty_json(document: &Value) -> String {
    format!("{document:#}\n")
}

/// An absolute URL makes the docs page call another origin than its own (localhost or 127.0.0.1), and
/// no server at all is an error to linters.
fn serve_from_the_root(spec: &mut Value) {
    if let Some(root) = spec.as_object_mut() {
        root.insert("servers".into(), json!([{ "url": "/" }]));
    }
}

/// Has the paths of a document stand below this one: that of the public URL, where the document is served to whoever
/// generates a client from it.
pub fn serve_below(path: &str, document: &mut Value) {
    if !path.is_empty()
        && let Some(root) = document.as_object_mut()
    {
        root.insert("servers".into(), json!([{ "url": path }]));
    }
}

/// A documented field of a component type comes as `allOf: [{$ref}, {description}]` and `description`
/// again beside it. Generators take the second member for a second type; it says nothing new.
fn drop_repeated_all_of_members(schema: &mut Map<String, Value>) {
    let members = schema.get_mut("allOf").and_then(Value::as_array_mut).map(std::mem::take);
    let Some(mut members) = members else { return };
    members.retain(|member| match member.as_object() {
        Some(keywords) => !keywords.iter().all(|(key, value)| schema.get(key) == Some(value)),
        None => true,
    });
    schema.insert("allOf".into(), members.into());
}

/// Bounds are floating point inside poem-openapi: `"minimum": 1.0` of an integer.
fn write_whole_bounds_as_integers(schema: &mut Map<String, Value>) {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53: whole numbers below are exact in an f64
    for bound in ["minimum", "maximum", "multipleOf"] {
        let Some(Value::Number(number)) = schema.get_mut(bound) else { continue };
        match number.as_f64() {
            Some(value) if number.is_f64() && value.fract() == 0.0 && value.abs() < EXACT => {
                *number = Number::from(value as i64);
            }
            _ => {}
        }
    }
}

/// Only what is always sent is declared nullable: `null` says that there is nothing. poem-openapi
/// takes every `Option` for one that may be left out.
fn require_what_may_be_null(schema: &mut Map<String, Value>) {
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let nullable = properties.filter(|(_, property)| property.get("nullable") == Some(&Value::Bool(true)));
    let nullable: Vec<Value> = nullable.map(|(name, _)| name.as_str().into()).collect();
    if nullable.is_empty() {
        return;
    }
    let required = schema.entry("required").or_insert_with(|| json!([]));
    if let Some(required) = required.as_array_mut() {
        required.extend(nullable.into_iter().filter(|name| !required.contains(name)).collect::<Vec<_>>());
    }
}

/// `deprecated: false` and `explode: true` stand on every parameter, where they say nothing.
fn drop_default_parameter_flags(operation: &mut Map<String, Value>) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten().filter_map(Value::as_object_mut) {
        drop_if(parameter, "deprecated", &Value::Bool(false));
        let kind = parameter.get("schema").and_then(|schema| schema.get("type")).and_then(Value::as_str);
        if !matches!(kind, Some("array" | "object")) {
            drop_if(parameter, "explode", &Value::Bool(true));
        }
    }
}

/// `application/json; charset=utf-8` is another key than `application/json` to generators, and JSON
/// has no charset parameter (RFC 8259 11).
fn name_plain_media_types(operation: &mut Map<String, Value>) {
    let plain = |content: &mut Map<String, Value>| {
        rename_keys(content, |name| match name.split_once(';') {
            Some((JSON, _)) => JSON.to_owned(),
            _ => name.to_owned(),
        });
    };
    if let Some(content) = content_of(operation.get_mut("requestBody")) {
        plain(content);
    }
    each_response(operation, &mut |_, response| {
        if let Some(content) = object_in(response, "content") {
            plain(content);
        }
    });
}

/// The descriptions of the component schemas by their names.
fn described_components(spec: &Value) -> Map<String, Value> {
    let schemas = spec.pointer("/components/schemas").and_then(Value::as_object).into_iter().flatten();
    schemas.filter_map(|(name, schema)| Some((name.clone(), schema.get("description")?.clone()))).collect()
}

/// Descriptions are required; poem-openapi leaves them empty where the code has no doc comment. An
/// answer is what it carries, or else what its status says.
fn describe_by_content_or_status(
    status: &str,
    response: &mut Map<String, Value>,
    descriptions: &Map<String, Value>,
) {
    let described = response.get("description").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if described {
        return;
    }
    let media = object_in(response, "content").and_then(|content| content.values().next());
    let carried = media.and_then(|media| descriptions.get(component(media.get("schema")?)?));
    let description = carried.cloned().unwrap_or_else(|| {
        let code = status.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
        code.and_then(|code| code.canonical_reason()).unwrap_or("Any other answer").into()
    });
    response.insert("description".into(), description);
}

/// Errors are sent as `application/problem+json` (RFC 9457 3), whatever their type derives.
fn answer_problems_as_problem_json(status: &str, response: &mut Map<String, Value>) {
    if is_success(status) {
        return;
    }
    let Some(content) = object_in(response, "content") else { return };
    let is_problem = content
        .get(JSON)
        .and_then(|media| component(media.get("schema")?))
        .is_some_and(|name| name == "Problem");
    if is_problem {
        rename_keys(content, |name| if name == JSON { PROBLEM_JSON } else { name }.to_owned());
    }
}

/// poem-openapi writes header names in capitals.
fn spell_header_names(response: &mut Map<String, Value>) {
    let Some(headers) = object_in(response, "headers") else { return };
    rename_keys(headers, usual_spelling);
    for header in headers.values_mut().filter_map(Value::as_object_mut) {
        drop_if(header, "deprecated", &Value::Bool(false));
    }
}

/// Absence of `security` and an empty list mean the same only where the document has no default;
/// linters ask for the list. poem-openapi cannot write an empty one.
fn mark_as_public_unless_secured(operation: &mut Map<String, Value>) {
    operation.entry("security").or_insert_with(|| json!([]));
}

/// `scopes` is required in a flow (OpenAPI 3.0.3, OAuth Flow Object), an empty one too.
fn give_flows_their_scopes(spec: &mut Value) {
    let schemes = spec.pointer_mut("/components/securitySchemes").and_then(Value::as_object_mut);
    let flows = schemes.into_iter().flat_map(Map::values_mut).filter_map(|scheme| scheme.get_mut("flows"));
    for flow in flows.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        if let Some(flow) = flow.as_object_mut() {
            flow.entry("scopes").or_insert_with(|| json!({}));
        }
    }
}

/// Adds `members` to the components of a kind.
fn add_components(spec: &mut Value, kind: &str, members: Map<String, Value>) {
    let components = spec.get_mut("components").and_then(Value::as_object_mut);
    if let Some(components) = components.filter(|_| !members.is_empty()) {
        let known = components.entry(kind).or_insert_with(|| json!({}));
        if let Some(known) = known.as_object_mut() {
            known.extend(members);
        }
    }
}

/// Every variant of a Tags enum is in every document, used or not. Tags stand in the order in which
/// the operations first use them, which is the order of the docs page.
fn keep_used_tags(spec: &mut Value) {
    let mut used: Vec<String> = Vec::new();
    each_operation(spec, &mut |operation| {
        let tags = operation.get("tags").and_then(Value::as_array).into_iter().flatten();
        for tag in tags.filter_map(Value::as_str) {
            if !used.iter().any(|known| known == tag) {
                used.push(tag.to_owned());
            }
        }
    });
    if let Some(tags) = spec.get_mut("tags").and_then(Value::as_array_mut) {
        let place = |tag: &Value| used.iter().position(|name| tag.get("name") == Some(&name.as_str().into()));
        tags.retain(|tag| place(tag).is_some());
        tags.sort_by_key(place);
    }
}

fn is_success(status: &str) -> bool {
    status.starts_with('2')
}

fn drop_if(object: &mut Map<String, Value>, key: &str, value: &Value) {
    if object.get(key) == Some(value) {
        object.shift_remove(key);
    }
}

fn rename_keys(object: &mut Map<String, Value>, rename: impl Fn(&str) -> String) {
    *object = std::mem::take(object).into_iter().map(|(key, value)| (rename(&key), value)).collect();
}

/// `X-ACCESS-TOKEN` as people write it; a name that is not all capitals stays as it is.
fn usual_spelling(name: &str) -> String {
    match name {
        "WWW-AUTHENTICATE" => return "WWW-Authenticate".into(),
        "ETAG" => return "ETag".into(),
        mixed if mixed.bytes().any(|b| b.is_ascii_lowercase()) => return mixed.into(),
        _ => {}
    }
    let mut at_start = true;
    let spell = |c: char| {
        let spelt = if at_start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        at_start = c == '-';
        spelt
    };
    name.chars().map(spell).collect()
}
