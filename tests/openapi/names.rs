//! One rule for names: members of a person are snake_case, as are OAuth's and a token's; all else of the main API
//! is camelCase.

use serde_json::Value;

use crate::documents::{documents, for_each_operation};

/// Members of a person, whatever schema they are in.
const OF_PERSONS: &[&str] = &["first_name", "last_name", "email_verified", "external_id", "created_at"];

/// What RFCs name: OAuth's requests and answers, its metadata, and the claims of tokens (RFC 6749, 7662, 8414, 7519);
/// and the feed of revocations, which speaks of claims.
const OF_RFCS: &[&str] = &[
    "Introspection",
    "OAuthError",
    "ResourceMetadata",
    "Revocations",
    "ServerMetadata",
    "TokenInQuestion",
    "TokenRequest",
    "TokenResponse",
];

fn is_camel_case(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
}

#[test]
fn members_of_persons_are_in_snake_case_and_all_else_in_camel_case() {
    let (_, main) = documents().find(|(name, _)| *name == "hallpass.json").expect("the main API");
    let mut exceptions: Vec<&str> = OF_RFCS.to_vec();
    for (schema, content) in main["components"]["schemas"].as_object().expect("schemas") {
        let mut members =
            content["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        if OF_RFCS.contains(&schema.as_str()) {
            assert!(members.any(|name| name.contains('_')), "{schema} needs no exception");
            exceptions.retain(|name| name != schema);
            continue;
        }
        for name in members {
            assert!(OF_PERSONS.contains(&name) || is_camel_case(name), "{schema}.{name}");
        }
    }
    assert_eq!(exceptions, [""; 0], "schemas that are not there");
    for_each_operation(|operation| {
        if operation.place.starts_with("hallpass.json") {
            let parameters =
                operation.content.get("parameters").and_then(Value::as_array).into_iter().flatten();
            for parameter in parameters.filter(|parameter| parameter["in"] != "header") {
                let name = parameter["name"].as_str().expect("a name");
                assert!(OF_PERSONS.contains(&name) || is_camel_case(name), "{}: {name}", operation.place);
            }
        }
    });
}
