//! Names of enum values.
//!
//! openapi-generator's Go client has one constant for each value of each enum that is a component, by the name of the
//! value alone: two that share a value do not compile.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::walk::{component, each_operation, each_reference};

/// Writes an enum that shares a value with another where it is used, so that it has no constants, if parameters alone
/// use it. One that bodies use as well stays: they are built by the name of its type.
pub(super) fn write_shared_values_in_place(spec: &mut Value) {
    let clashing = clashing(spec);
    if clashing.is_empty() {
        return;
    }
    let (mut everywhere, mut in_parameters) = (Counts::new(), Counts::new());
    count(spec, &mut everywhere);
    each_operation(spec, &mut |operation| {
        operation.get("parameters").into_iter().for_each(|parameters| count(parameters, &mut in_parameters));
    });
    let movable = clashing.iter().filter(|name| everywhere.get(*name) == in_parameters.get(*name));
    let Some(schemas) = spec.pointer_mut("/components/schemas").and_then(Value::as_object_mut) else {
        return;
    };
    let moved: Map<String, Value> =
        movable.filter_map(|name| Some((name.clone(), schemas.shift_remove(name)?))).collect();
    each_operation(spec, &mut |operation| {
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        for schema in parameters.into_iter().flatten().filter_map(|parameter| parameter.get_mut("schema")) {
            if let Some(values) = component(schema).and_then(|name| moved.get(name)) {
                *schema = values.clone();
            }
        }
    });
}

/// The components that are enums and share a constant with another.
fn clashing(spec: &Value) -> BTreeSet<String> {
    let schemas = spec.pointer("/components/schemas").and_then(Value::as_object).into_iter().flatten();
    let enums: Vec<(&String, BTreeSet<String>)> = schemas
        .filter_map(|(name, schema)| Some((name, schema.get("enum")?.as_array()?)))
        .map(|(name, values)| (name, values.iter().filter_map(Value::as_str).map(constant).collect()))
        .collect();
    let clashes = |(name, values): &&(&String, BTreeSet<String>)| {
        enums.iter().any(|(other, others)| other != name && !others.is_disjoint(values))
    };
    enums.iter().filter(clashes).map(|(name, _)| (*name).clone()).collect()
}

/// A value as the name of a constant: `token_revoked` and `token-revoked` are one.
fn constant(value: &str) -> String {
    value.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// The names of components with how often they are referred to.
type Counts = BTreeMap<String, usize>;

fn count(value: &Value, counts: &mut Counts) {
    each_reference(value, &mut |reference| {
        if let Some(name) = reference.strip_prefix("#/components/schemas/") {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A document of one operation with a parameter and an answer.
    fn document(parameter: &str, answer: &str) -> Value {
        let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        json!({
            "paths": { "/": { "get": {
                "parameters": [{ "name": "role", "schema": reference(parameter) }],
                "responses": { "200": { "content": { "application/json": { "schema": reference(answer) } } } },
            } } },
            "components": { "schemas": {
                "Role": { "type": "string", "enum": ["admin", "member"] },
                "RequiredRole": { "type": "string", "enum": ["Admin"] },
                "Scope": { "type": "string", "enum": ["local"] },
            } }
        })
    }

    #[test]
    fn an_enum_of_parameters_that_shares_a_value_is_written_where_it_is_used() {
        let mut mended = document("RequiredRole", "Role");
        write_shared_values_in_place(&mut mended);
        let schema = &mended["paths"]["/"]["get"]["parameters"][0]["schema"];
        assert_eq!(schema, &json!({ "type": "string", "enum": ["Admin"] }));
        let left: Vec<_> =
            mended["components"]["schemas"].as_object().into_iter().flat_map(Map::keys).collect();
        assert_eq!(left, ["Role", "Scope"]);
        let once = mended.clone();
        write_shared_values_in_place(&mut mended);
        assert_eq!(mended, once);
    }

    #[test]
    fn an_enum_of_its_own_values_stays_a_component_and_so_does_one_of_bodies() {
        let mut own = document("Scope", "Role");
        own["components"]["schemas"].as_object_mut().expect("schemas").shift_remove("RequiredRole");
        for document in [own, document("Role", "RequiredRole")] {
            let mut mended = document.clone();
            write_shared_values_in_place(&mut mended);
            let schemas = |document: &Value| document["components"]["schemas"]["RequiredRole"].clone();
            assert_eq!(schemas(&mended), schemas(&document));
            assert_eq!(mended["paths"]["/"]["get"]["responses"], document["paths"]["/"]["get"]["responses"]);
        }
    }
}
