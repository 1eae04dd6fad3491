//! What an operation answers when it was not done, and the headers that clients act on.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::documents::{JSON, documents, for_each_main_operation, for_each_operation};

const PROBLEM_JSON: &str = "application/problem+json";

/// Operations that ask no store, so never answer 503.
const WITHOUT_STORES: &[&str] =
    &["live", "getJwks", "getAuthorizationServerMetadata", "getOpenIdConfiguration"];

#[test]
fn any_operation_can_take_too_long() {
    for_each_operation(|operation| {
        assert!(operation.documents_status("408"), "{}: no 408", operation.place);
    });
}

#[test]
fn operations_document_the_service_at_fault() {
    for_each_main_operation(|operation| {
        assert!(operation.documents_status("500"), "{}: no 500", operation.place);
        let needs_stores = !WITHOUT_STORES.contains(&operation.text("operationId"));
        assert_eq!(operation.documents_status("503"), needs_stores, "{}: 503", operation.place);
    });
}

#[test]
fn errors_are_problem_details_and_nothing_else() {
    for_each_main_operation(|operation| {
        for (status, answer) in operation.responses() {
            if !status.starts_with(['4', '5']) {
                continue;
            }
            let content = answer["content"].as_object();
            let content = content.unwrap_or_else(|| panic!("{}: {status} has no body", operation.place));
            if operation.speaks_oauth() {
                assert_eq!(content[JSON]["schema"]["$ref"], "#/components/schemas/OAuthError");
                continue;
            }
            assert_eq!(content.keys().collect::<Vec<_>>(), [PROBLEM_JSON], "{}: {status}", operation.place);
            assert_eq!(content[PROBLEM_JSON]["schema"]["$ref"], "#/components/schemas/Problem");
        }
    });
}

#[test]
fn every_error_shows_a_problem_for_each_of_its_codes() {
    let documents: Vec<_> = documents().collect();
    let resolve = |document: &str, example: &Value| {
        let (_, content) = documents.iter().find(|(name, _)| *name == document).expect("the document");
        let target = example["$ref"].as_str().and_then(|reference| content.pointer(&reference[1..]));
        target.unwrap_or(example)["value"].clone()
    };
    for_each_main_operation(|operation| {
        if operation.speaks_oauth() {
            return;
        }
        for (status, answer) in operation.responses() {
            if !status.starts_with(['4', '5']) {
                continue;
            }
            let examples = answer["content"][PROBLEM_JSON]["examples"].as_object();
            let examples = examples.unwrap_or_else(|| panic!("{}: no example of {status}", operation.place));
            for (code, example) in examples {
                let problem = resolve(operation.document, example);
                assert_eq!(problem["code"], code.as_str(), "{}: {status}", operation.place);
                assert_eq!(problem["status"].to_string(), *status, "{}: {code}", operation.place);
            }
        }
    });
}

#[test]
fn headers_that_clients_act_on_are_documented() {
    for_each_main_operation(|operation| {
        for (status, answer) in operation.responses() {
            let header = match status.as_str() {
                "401" => "WWW-Authenticate",
                "429" | "503" => "Retry-After",
                "200" if operation.renews() => "X-Access-Token",
                _ => continue,
            };
            assert!(answer["headers"].get(header).is_some(), "{}: {status} has no {header}", operation.place);
        }
    });
}

#[test]
fn limited_operations_document_it_with_what_is_left_and_no_others_do() {
    let mut limited = BTreeSet::new();
    for_each_operation(|operation| {
        let is_limited = operation.documents_status("429");
        if is_limited {
            // The same in each form of a document.
            let (_, name) = operation.document.rsplit_once('/').unwrap_or(("", operation.document));
            limited.insert(format!("{name} {}", operation.text("operationId")));
        }
        for (status, answer) in operation.responses() {
            let told = is_limited && !matches!(status.as_str(), "413" | "415") && !status.starts_with('5');
            for header in ["RateLimit-Policy", "RateLimit"] {
                let documented = answer["headers"].get(header).is_some();
                assert_eq!(documented, told, "{}: {header} with {status}", operation.place);
            }
        }
    });
    let expected = [
        "access-tokens.json createAccessToken",
        "access-tokens.json createUser",
        "access-tokens.json refreshAccessToken",
        "hallpass.json changePassword",
        "hallpass.json createToken",
        "hallpass.json introspectToken",
        "hallpass.json login",
        "hallpass.json refreshToken",
        "hallpass.json register",
        "hallpass.json requestEmailVerification",
        "hallpass.json requestPasswordReset",
        "hallpass.json resetPassword",
        "hallpass.json revokeToken",
        "nest.json refresh",
        "nest.json signIn",
        "nest.json signUp",
    ];
    assert_eq!(limited, expected.map(str::to_owned).into());
}
