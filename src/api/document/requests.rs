//! What requests may hold, where no derive can say it.
//!
//! poem-openapi's validators take literals, and only for bodies that poem-openapi parses. Here the limits
//! are the very constants that are enforced, by the names of the fields: a field of one name means the
//! same in every body. Limits that are settings are not in the document, nor is the length of a token:
//! one that is too long is refused like any other that is none.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::walk::{component, content_of, each_operation, each_response, object_in};
use crate::api::document::known_names::is_exact;
use crate::domain::audiences::Audiences;
use crate::domain::audit::{AuditAction, Reason};
use crate::domain::client::Audience;
use crate::domain::email::EMAIL_MAX_BYTES;
use crate::domain::ids::UserId;
use crate::domain::name::NAME_MAX_CHARS;
use crate::domain::password::PASSWORD_MAX_BYTES;

/// No C0 or C1 control character and no DEL: those of `char::is_control`.
const NO_CONTROL_CHARACTERS: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

/// `user:7`, `client:books`, or one of those there is one of.
const ACTOR: &str = r"^(user:[1-9][0-9]{0,15}|client:[a-z][a-z0-9._-]{0,63}|operator|service|anonymous)$";

/// That of `ClientId`.
const CLIENT_ID: &str = r"^[a-z][a-z0-9._-]{0,63}$";

/// A word of `Scopes` (RFC 6749 3.3).
const SCOPE: &str = r"^[!#-\[\]-~]+$";

/// Takes back the `null` of [`describe`], so that what stands for answers (there only what is always
/// sent is nullable) does not take it for its own.
pub(super) fn take_back_nulls(spec: &mut Value) {
    each_body(spec, &mut |schema| {
        for property in object_in(schema, "properties").into_iter().flat_map(Map::values_mut) {
            if let Some(property) = property.as_object_mut() {
                property.shift_remove("nullable");
            }
        }
    });
}

/// Says what the fields of request bodies and what parameters may hold.
pub(super) fn describe(spec: &mut Value) {
    each_body(spec, &mut |schema| {
        let required: BTreeSet<String> = names(schema.get("required"));
        for (name, property) in object_in(schema, "properties").into_iter().flatten() {
            let Some(property) = property.as_object_mut() else { continue };
            property.extend(field(name));
            // A field that may be left out may be `null` as well. Those of a component's type may not:
            // in OpenAPI 3.0 a reference cannot be nullable.
            if !required.contains(name) && property.contains_key("type") {
                property.insert("nullable".to_owned(), true.into());
            }
        }
    });
    each_operation(spec, &mut |operation| {
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        for described in parameters.into_iter().flatten() {
            let name = described.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            if let Some(schema) = described.get_mut("schema").and_then(Value::as_object_mut) {
                let is_number = schema.get("type").and_then(Value::as_str) == Some("integer");
                schema.extend(parameter(&name, is_number));
            }
        }
    });
}

/// Says of the bodies of exact operations that they take no other members than those that are named.
pub(super) fn refuse_unknown_members(spec: &mut Value) {
    let mut exact = BTreeSet::new();
    each_operation(spec, &mut |operation| {
        if !is_exact(operation) {
            return;
        }
        let content = content_of(operation.get_mut("requestBody")).into_iter().flat_map(|all| all.values());
        exact.extend(content.filter_map(|media| component(media.get("schema")?)).map(str::to_owned));
    });
    let Some(schemas) = spec.pointer_mut("/components/schemas") else { return };
    for name in exact {
        if let Some(schema) = schemas.get_mut(&name).and_then(Value::as_object_mut) {
            schema.insert("additionalProperties".to_owned(), false.into());
        }
    }
}

/// What a field of a request holds, by its name.
fn field(name: &str) -> Map<String, Value> {
    keywords(match name {
        "email" => json!({ "format": "email", "maxLength": EMAIL_MAX_BYTES }),
        "password" | "newPassword" | "currentPassword" => {
            json!({ "format": "password", "minLength": 1, "maxLength": PASSWORD_MAX_BYTES })
        }
        "first_name" | "last_name" => {
            json!({ "maxLength": NAME_MAX_CHARS, "pattern": NO_CONTROL_CHARACTERS })
        }
        "name" => json!({ "pattern": NO_CONTROL_CHARACTERS }),
        "id" => json!({ "pattern": CLIENT_ID }),
        "scopes" => json!({ "items": { "type": "string", "pattern": SCOPE } }),
        "audience" => {
            // Empty where a client's own is taken back.
            json!({ "maxLength": Audience::MAX_BYTES, "pattern": NO_CONTROL_CHARACTERS })
        }
        "grant_type" => json!({ "enum": ["client_credentials", "refresh_token"] }),
        _ => Value::Null,
    })
}

/// What a parameter holds, by its name. A number by these names is an account's id.
fn parameter(name: &str, is_number: bool) -> Map<String, Value> {
    keywords(match name {
        "id" | "user" | "after" if is_number => json!({ "maximum": UserId::MAX }),
        "actor" => json!({ "pattern": ACTOR }),
        "audience" => {
            json!({ "minLength": 1, "maxLength": Audiences::MAX_BYTES, "pattern": NO_CONTROL_CHARACTERS })
        }
        "action" => {
            json!({ "enum": AuditAction::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>() })
        }
        "reason" => json!({ "enum": Reason::ALL.iter().map(|reason| reason.as_str()).collect::<Vec<_>>() }),
        _ => Value::Null,
    })
}

fn keywords(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(keywords) => keywords,
        _ => Map::new(),
    }
}

fn names(list: Option<&Value>) -> BTreeSet<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Visits the schemas of request bodies, which are components that no answer has.
fn each_body(spec: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    let (mut asked, mut answered) = (BTreeSet::new(), BTreeSet::new());
    let note = |content: Option<&mut Map<String, Value>>, names: &mut BTreeSet<String>| {
        let schemas =
            content.into_iter().flat_map(|content| content.values()).filter_map(|m| m.get("schema"));
        names.extend(schemas.filter_map(component).map(str::to_owned));
    };
    each_operation(spec, &mut |operation| {
        note(content_of(operation.get_mut("requestBody")), &mut asked);
        each_response(operation, &mut |_, response| note(object_in(response, "content"), &mut answered));
    });
    let Some(schemas) = spec.pointer_mut("/components/schemas") else { return };
    for name in asked.difference(&answered) {
        if let Some(schema) = schemas.get_mut(name).and_then(Value::as_object_mut) {
            visit(schema);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::AuditActor;

    /// A document of one operation that takes and answers.
    fn document(body: Value, answer: Value) -> Value {
        let media = |name: &str| json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{name}") } } });
        json!({
            "paths": { "/": { "post": {
                "requestBody": { "content": media("Body") },
                "responses": { "200": { "content": media("Answer") } },
            } } },
            "components": { "schemas": { "Body": body, "Answer": answer } }
        })
    }

    #[test]
    fn what_may_be_left_out_of_a_body_may_be_null_and_answers_stay_as_they_are() {
        let schema = json!({
            "required": ["token"],
            "properties": {
                "token": { "type": "string" },
                "hint": { "type": "string" },
                "role": { "allOf": [{ "$ref": "#/components/schemas/Role" }] },
            }
        });
        let plain = document(schema.clone(), schema.clone());
        let mut described = plain.clone();
        describe(&mut described);
        let schemas = &described["components"]["schemas"];
        assert_eq!(schemas["Body"]["properties"]["hint"], json!({ "type": "string", "nullable": true }));
        for untouched in ["token", "role"] {
            assert_eq!(schemas["Body"]["properties"][untouched], schema["properties"][untouched]);
        }
        assert_eq!(schemas["Answer"], schema);
        take_back_nulls(&mut described);
        assert_eq!(described, plain);
    }

    #[test]
    fn bodies_of_exact_operations_take_what_is_named_and_nothing_else() {
        for (id, is_exact) in [("updateUser", true), ("login", false)] {
            let mut document = document(json!({ "type": "object" }), json!({ "type": "object" }));
            document["paths"]["/"]["post"]["operationId"] = id.into();
            refuse_unknown_members(&mut document);
            let schemas = &document["components"]["schemas"];
            let said = &schemas["Body"]["additionalProperties"];
            assert_eq!(said, &if is_exact { json!(false) } else { Value::Null }, "{id}");
            assert_eq!(schemas["Answer"], json!({ "type": "object" }), "{id}");
        }
    }

    #[test]
    fn fields_of_a_body_have_the_limits_that_are_enforced() {
        let schema = json!({ "required": ["email"], "properties": { "email": { "type": "string" } } });
        let mut described = document(schema.clone(), schema.clone());
        describe(&mut described);
        let email = &described["components"]["schemas"]["Body"]["properties"]["email"];
        assert_eq!(email, &json!({ "type": "string", "format": "email", "maxLength": 254 }));
        assert_eq!(described["components"]["schemas"]["Answer"], schema);
    }

    #[test]
    fn the_number_of_an_account_has_an_end_and_a_name_has_none() {
        for (kind, maximum) in [("integer", json!(9_007_199_254_740_991_i64)), ("string", Value::Null)] {
            let mut document = json!({ "paths": { "/users/{id}": { "get": {
                "parameters": [{ "name": "id", "schema": { "type": kind } }]
            } } } });
            describe(&mut document);
            let schema = &document["paths"]["/users/{id}"]["get"]["parameters"][0]["schema"];
            assert_eq!(schema["maximum"], maximum, "{kind}");
        }
    }

    #[test]
    fn the_pattern_of_an_actor_takes_what_is_an_actor() {
        let pattern = ACTOR.trim_start_matches("^(").trim_end_matches(")$");
        for word in ["operator", "service", "anonymous"] {
            assert!(pattern.split('|').any(|alternative| alternative == word), "{word}");
            assert!(word.parse::<AuditActor>().is_ok(), "{word}");
        }
        let longest = format!("client:{}", "a".repeat(64));
        assert!(longest.parse::<AuditActor>().is_ok());
        assert!(format!("{longest}a").parse::<AuditActor>().is_err());
        let client = CLIENT_ID.trim_start_matches('^').trim_end_matches('$');
        assert!(pattern.split('|').any(|alternative| alternative == format!("client:{client}")), "{client}");
    }

    #[test]
    fn each_scope_of_a_list_has_the_pattern_of_a_word() {
        let schema =
            json!({ "properties": { "scopes": { "type": "array", "items": { "type": "string" } } } });
        let mut described = document(schema, json!({}));
        describe(&mut described);
        let scopes = &described["components"]["schemas"]["Body"]["properties"]["scopes"];
        assert_eq!(scopes["items"], json!({ "type": "string", "pattern": SCOPE }));
    }
}
