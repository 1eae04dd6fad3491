//! What an operation answers when it was not done, and the headers that clients act on.

use std::collections::BTreeSet;

use poem::http::StatusCode;
use serde_json::Value;

use crate::documents::{FORM, JSON, documents, for_each_main_operation, for_each_operation};

const PROBLEM_JSON: &str = "application/problem+json";

/// Operations that ask no store, so never answer 503.
const WITHOUT_STORES: &[&str] = &[
    "live",
    "getJwks",
    "getAuthorizationServerMetadata",
    "getOpenIdConfiguration",
    "getProtectedResourceMetadata",
];

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

/// What OAuth's errors are called, by their status (RFC 6749 5.2; RFC 6750 has none of 429).
const OAUTH: &[(&str, &[&str])] = &[
    (
        "400",
        &[
            "invalid_request",
            "unsupported_grant_type",
            "invalid_grant",
            "invalid_scope",
            "invalid_target",
            "unauthorized_client",
        ],
    ),
    ("401", &["invalid_client"]),
    ("408", &["invalid_request"]),
    ("413", &["invalid_request"]),
    ("415", &["invalid_request"]),
    ("429", &["rate_limited"]),
    ("500", &["server_error"]),
    ("503", &["temporarily_unavailable"]),
];

/// Of all operations of all documents: what an answer shows is what comes with its status.
#[test]
fn every_error_shows_examples_of_its_own_status() {
    let documents: Vec<_> = documents().collect();
    let resolve = |document: &str, example: &Value| {
        let (_, content) = documents.iter().find(|(name, _)| *name == document).expect("the document");
        let target = example["$ref"].as_str().and_then(|reference| content.pointer(&reference[1..]));
        target.unwrap_or(example)["value"].clone()
    };
    let (mut problems, mut oauth, mut booms) = (0, 0, 0);
    for_each_operation(|operation| {
        for (status, answer) in
            operation.responses().iter().filter(|(status, _)| status.starts_with(['4', '5']))
        {
            let at = format!("{}: {status}", operation.place);
            let described = answer["description"].as_str().unwrap_or_default();
            for (media_type, media) in
                answer["content"].as_object().unwrap_or_else(|| panic!("{at} has no body"))
            {
                let schema = media["schema"]["$ref"].as_str().unwrap_or_default();
                let examples =
                    media["examples"].as_object().unwrap_or_else(|| panic!("{at} has no examples"));
                assert!(!examples.is_empty(), "{at} has no examples");
                assert!(media.get("example").is_none(), "{at} has one example beside the others");
                for (name, example) in examples {
                    let body = resolve(operation.document, example);
                    match schema.rsplit('/').next() {
                        Some("Problem") => {
                            // One generator takes no other kind of JSON for errors.
                            let is_plain = operation.document.starts_with("progenitor/");
                            assert_eq!(media_type, if is_plain { JSON } else { PROBLEM_JSON }, "{at}");
                            assert!(
                                described.contains(&format!("`{name}`"))
                                    || matches!(status.as_str(), "408" | "413" | "415" | "500"),
                                "{at}: {name} is not in {described:?}"
                            );
                            assert_eq!(body["code"], name.as_str(), "{at}");
                            assert_eq!(body["status"].to_string(), *status, "{at}: {name}");
                            assert_eq!(body["title"], reason(status), "{at}: {name}");
                            problems += 1;
                        }
                        Some("OAuthError") => {
                            assert_eq!(body["error"], name.as_str(), "{at}");
                            let fitting = OAUTH.iter().find(|(of, _)| of == status).map(|(_, names)| *names);
                            assert!(
                                fitting.is_some_and(|names| names.contains(&name.as_str())),
                                "{at}: {name}"
                            );
                            assert!(
                                described.contains(&format!("`{name}`")) || status == "408",
                                "{at}: {name}"
                            );
                            oauth += 1;
                        }
                        Some("Boom") => {
                            assert_eq!(body["statusCode"].to_string(), *status, "{at}: {name}");
                            assert_eq!(body["error"], reason(status), "{at}: {name}");
                            booms += 1;
                        }
                        _ => panic!("{at} has a body of {schema:?}"),
                    }
                }
            }
        }
    });
    assert!(problems > 300 && oauth >= 24 && booms >= 35, "{problems}, {oauth}, {booms}");
}

/// The status in words.
fn reason(status: &str) -> &'static str {
    let status = StatusCode::from_bytes(status.as_bytes()).expect("a status");
    status.canonical_reason().expect("a status that everybody knows")
}

#[test]
fn a_challenge_is_of_the_scheme_that_an_operation_takes() {
    let documents: Vec<_> = documents().collect();
    for_each_main_operation(|operation| {
        let Some(header) =
            operation.responses().get("401").map(|answer| &answer["headers"]["WWW-Authenticate"])
        else {
            return;
        };
        let (_, document) =
            documents.iter().find(|(name, _)| *name == operation.document).expect("the document");
        let header =
            document.pointer(&header["$ref"].as_str().expect("a reference")[1..]).expect("the header");
        let scheme = if operation.speaks_oauth() { "Basic" } else { "Bearer" };
        let example = header["schema"]["example"].as_str().expect("an example");
        assert_eq!(example.split(' ').next(), Some(scheme), "{}", operation.place);
    });
}

/// The docs page fills forms in field by field; a field without an example says "string".
#[test]
fn every_field_of_a_form_has_an_example() {
    let documents: Vec<_> = documents().collect();
    let mut fields = 0;
    for_each_operation(|operation| {
        let Some(media) = operation.body().and_then(|body| body.get(FORM)) else { return };
        let (_, document) =
            documents.iter().find(|(name, _)| *name == operation.document).expect("the document");
        let schema =
            document.pointer(&media["schema"]["$ref"].as_str().expect("a reference")[1..]).expect("a schema");
        for (name, field) in schema["properties"].as_object().expect("properties") {
            let example = field["example"].as_str().unwrap_or_else(|| panic!("{}: {name}", operation.place));
            // What a form is filled in with narrows no token.
            let narrows = matches!(name.as_str(), "resource" | "audience");
            assert!(example.is_empty() == narrows && example != "string", "{}: {name}", operation.place);
            let values = field["enum"].as_array();
            assert!(values.is_none_or(|all| all.contains(&example.into())), "{}: {name}", operation.place);
            fields += 1;
        }
    });
    assert!(fields >= 15, "{fields}");
}

/// The documents are the same everywhere: what opens `hallpass dev` is for its own docs page to fill in.
#[test]
fn no_example_is_an_account_that_somebody_may_have() {
    for (name, document) in documents() {
        let text = document.to_string();
        for sample in ["johndoe", "books-dev-secret", "\"password\":\"password\""] {
            assert!(!text.contains(sample), "{name}: {sample}");
        }
    }
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

#[test]
fn the_page_of_errors_is_made_from_the_codes_and_the_document() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md");
    let document = hallpass::api::main_document().expect("a document");
    let wanted = hallpass::api::pages::errors::markdown(&document);
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == wanted, "docs/errors.md is out of date; it should be:\n\n{wanted}");
    for code in document["components"]["schemas"]["ErrorCode"]["enum"].as_array().expect("codes") {
        assert!(page.contains(&format!("\n## {}\n", code.as_str().expect("a name"))), "{code}");
    }
    let nowhere = page.matches("Answered before any operation").count();
    assert!(nowhere < 6, "{nowhere} codes that no operation shows");
}
