//! What breaks the clients that generators make of a document, be it when they are made, compiled or used. Each rule is
//! one that a document of ours did not hold, or that its generator is known for.

use std::collections::{BTreeMap, BTreeSet};

use hallpass::api::document::profiles::Profile;
use serde_json::{Value, json};

use crate::documents::{JSON, Operation, documents, for_each_operation, for_each_value};

/// Whether the document is the one for this generator.
fn is_for(document: &str, profile: Profile) -> bool {
    document.split_once('/').is_some_and(|(folder, _)| folder == profile.name())
}

/// Calls `check` for each operation of the documents for this generator.
fn for_each_operation_for(profile: Profile, mut check: impl FnMut(&Operation)) {
    let mut count = 0;
    for_each_operation(|operation| {
        if is_for(operation.document, profile) {
            check(operation);
            count += 1;
        }
    });
    assert!(count > 40, "only {count} operations for {}", profile.name());
}

/// openapi-generator's Go client has one package with a constant for each value of each enum, and a type for each
/// component: `ADMIN` of two enums does not compile, nor do two types that differ by their underscores.
#[test]
fn no_value_of_an_enum_is_that_of_another_and_types_differ_by_more_than_their_case() {
    let constant = |value: &Value| value.as_str().expect("text").to_uppercase().replace(['-', '.'], "_");
    for (document, content) in documents() {
        let (mut constants, mut types) = (BTreeMap::new(), BTreeMap::new());
        for (name, schema) in content["components"]["schemas"].as_object().expect("schemas") {
            let plain = name.replace('_', "").to_lowercase();
            let other = types.insert(plain, name);
            assert_eq!(other, None, "{document}: the types {name} and {other:?} are one");
            for value in schema["enum"].as_array().into_iter().flatten() {
                let other = constants.insert(constant(value), name);
                assert_eq!(other, None, "{document}: {value} of {name} and of {other:?} are one constant");
            }
        }
    }
}

/// The Go client has types of its own beside those of the components.
#[test]
fn no_type_is_called_like_what_a_client_has_beside_it() {
    for (document, content) in documents() {
        let schemas = content["components"]["schemas"].as_object().expect("schemas");
        let own: BTreeSet<&str> =
            ["APIClient", "APIKey", "APIResponse", "BasicAuth", "Configuration", "ServerConfiguration"]
                .into();
        for name in schemas.keys() {
            assert!(!own.contains(name.as_str()), "{document}: {name}");
            let wrapped = name.strip_prefix("Nullable").filter(|inner| schemas.contains_key(*inner));
            assert_eq!(wrapped, None, "{document}: {name} is what holds a null of {wrapped:?}");
        }
        for_each_value(&content["paths"], "", &mut |_, value| {
            let Some(id) = value.get("operationId").and_then(Value::as_str) else { return };
            let request = format!("Api{}{}Request", id[..1].to_uppercase(), &id[1..]);
            assert!(!schemas.contains_key(&request), "{document}: {request}");
        });
    }
}

/// progenitor panics at a second one (`response_types.len() <= 1`), no body among them; openapi-generator reads every
/// good answer as the first.
#[test]
fn operations_answer_one_schema_where_a_generator_takes_no_second() {
    for profile in Profile::ALL {
        for_each_operation_for(profile, |operation| {
            let answers: BTreeSet<String> =
                operation.good_answers().into_iter().map(|answer| format!("{answer:?}")).collect();
            assert!(answers.len() <= 1, "{}: {answers:?}", operation.place);
        });
    }
}

/// The same of errors, in every document: the dialects' are of one kind, too.
#[test]
fn errors_of_an_operation_have_one_schema_and_one_media_type() {
    for_each_operation(|operation| {
        let errors: BTreeSet<String> =
            operation.errors().into_iter().map(|answer| format!("{answer:?}")).collect();
        assert_eq!(errors.len(), 1, "{}: {errors:?}", operation.place);
    });
}

/// progenitor's clients hand over what is not `application/json` as bytes: errors without their codes.
#[test]
fn errors_for_progenitor_are_json_of_a_component() {
    for_each_operation_for(Profile::Progenitor, |operation| {
        for error in operation.errors() {
            let (media_type, schema) = error.unwrap_or_else(|| panic!("{}: no body", operation.place));
            assert_eq!(media_type, JSON, "{}", operation.place);
            assert!(schema["$ref"].is_string(), "{}: {schema}", operation.place);
        }
    });
}

/// openapi-generator's clients read an answer to its end, and its Rust client takes JSON alone.
#[test]
fn answers_for_openapi_generator_are_json_that_ends() {
    for_each_operation_for(Profile::OpenapiGenerator, |operation| {
        for (media_type, _) in operation.good_answers().into_iter().flatten() {
            assert_eq!(media_type, JSON, "{}", operation.place);
        }
    });
}

/// Its Go client refuses members that a later version answers (`DisallowUnknownFields`), unless a schema takes any.
#[test]
fn answers_for_openapi_generator_may_have_further_members() {
    let mut objects = 0;
    for (document, content) in documents() {
        if !is_for(document, Profile::OpenapiGenerator) {
            continue;
        }
        let mut waiting: Vec<&Value> = Vec::new();
        for operation in content["paths"].as_object().into_iter().flat_map(|paths| paths.values()) {
            waiting.extend(
                operation.as_object().into_iter().flatten().map(|(_, operation)| &operation["responses"]),
            );
        }
        let mut seen = BTreeSet::new();
        while let Some(value) = waiting.pop() {
            for_each_value(value, "", &mut |_, inner| {
                let Some(reference) = inner.get("$ref").and_then(Value::as_str) else { return };
                if seen.insert(reference) {
                    let component = content.pointer(&reference[1..]).expect("a component");
                    waiting.push(component);
                    if reference.starts_with("#/components/schemas/") && component["type"] == "object" {
                        assert_eq!(component["additionalProperties"], json!(true), "{document}: {reference}");
                        objects += 1;
                    }
                }
            });
        }
    }
    assert!(objects > 30, "only {objects} objects were looked at");
}

/// A profile is for those that cannot do otherwise: what all others read is exact.
#[test]
fn a_document_that_nobody_asked_a_form_of_is_the_exact_one() {
    let (_, main) = documents().find(|(name, _)| *name == "hallpass.json").expect("the main document");
    let register = &main["paths"]["/auth/register"]["post"]["responses"];
    let schema = |status: &str| register[status]["content"][JSON]["schema"]["$ref"].clone();
    assert_eq!(schema("201"), "#/components/schemas/Registered");
    assert_eq!(schema("202"), "#/components/schemas/RegistrationTaken");
    assert!(main["paths"]["/revocations/stream"].is_object());
    assert_eq!(main["components"]["schemas"]["Login"].get("additionalProperties"), None);
    let role = &main["paths"]["/forward-auth"]["get"]["parameters"][0];
    assert_eq!((&role["name"], &role["schema"]), (&json!("role"), &json!({"type": "string"})));
}

/// docs/sdk.md says what a form has less than the document: nothing else is lost.
#[test]
fn a_form_is_what_the_page_about_clients_says() {
    let page = include_str!("../../docs/sdk.md");
    let operations = |content: &Value| -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        for_each_value(&content["paths"], "", &mut |_, value| {
            ids.extend(value.get("operationId").and_then(Value::as_str).map(str::to_owned));
        });
        ids
    };
    let of = |file: &str| documents().find(|(name, _)| *name == file).expect("a document").1;
    for profile in Profile::ALL {
        let name = profile.name();
        let row = format!("`/openapi.json?for={name}` | `openapi/{name}/hallpass.json`");
        assert!(page.contains(&row), "{row}");
        assert!(
            page.contains("`register` answers `RegisterAnswer`, of which `message` alone is always there")
        );
        let register = &of(&format!("{name}/hallpass.json"))["components"]["schemas"]["RegisterAnswer"];
        assert_eq!(register["required"], json!(["message"]), "{name}");
        for file in ["hallpass.json", "nest.json", "access-tokens.json"] {
            let (exact, form) = (operations(of(file)), operations(of(&format!("{name}/{file}"))));
            let left_out: Vec<&str> = exact.difference(&form).map(String::as_str).collect();
            let streams = file == "hallpass.json" && profile == Profile::OpenapiGenerator;
            assert_eq!(left_out, if streams { vec!["streamRevocations"] } else { vec![] }, "{name}/{file}");
        }
    }
    assert!(page.contains("`streamRevocations` is left out"));
}
