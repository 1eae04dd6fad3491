//! The OpenAPI documents: the files in `openapi/` are what this version serves, and what they say
//! is enough to generate a client from and to call an operation by.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

const JSON: &str = "application/json";
const PROBLEM_JSON: &str = "application/problem+json";
const FORM: &str = "application/x-www-form-urlencoded";

/// The main API's document. What is asked of its errors and of who may call does not hold for the
/// dialects that are kept as other services shaped them.
const MAIN: &str = "hallpass.json";

/// What rewrites the files.
const REWRITE: &str = "cargo run -- openapi";

/// Operations that ask no store, so never answer 503.
const WITHOUT_STORES: &[&str] =
    &["live", "getJwks", "getAuthorizationServerMetadata", "getOpenIdConfiguration"];

/// Public operations that check credentials in the body, so answer 401 all the same.
const CHECKS_CREDENTIALS: &[&str] = &["login"];

/// Every document with the name of its file.
fn documents() -> Vec<(&'static str, Value)> {
    let documents = hallpass::api::documents().expect("the documents");
    assert!(!documents.is_empty());
    let parse = |text: String| serde_json::from_str(&text).expect("JSON");
    documents.into_iter().map(|(name, text)| (name, parse(text))).collect()
}

/// An operation of a document.
struct Operation<'a> {
    /// The document's name.
    document: &'static str,
    /// Document, method and path, for messages.
    place: String,
    path: &'a str,
    content: &'a Map<String, Value>,
}

impl<'a> Operation<'a> {
    fn text(&self, key: &str) -> &'a str {
        self.content.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn is_secured(&self) -> bool {
        let security = self.content.get("security").and_then(Value::as_array);
        !security.unwrap_or_else(|| panic!("{}: `security` is left out", self.place)).is_empty()
    }

    /// Whether errors have OAuth's shape (RFC 6749 5.2).
    fn speaks_oauth(&self) -> bool {
        self.path.starts_with("/oauth2/")
    }

    /// Whether a refresh token in its header buys a new access token along the way.
    fn renews(&self) -> bool {
        let alternatives = self.content["security"].as_array().into_iter().flatten();
        self.demands_tokens()
            && alternatives.filter_map(Value::as_object).any(|scheme| scheme.contains_key("RefreshToken"))
    }

    /// Whether nobody gets in without a token in a header: an operation that takes one in the body
    /// instead lists the empty alternative.
    fn demands_tokens(&self) -> bool {
        let alternatives = self.content["security"].as_array().into_iter().flatten();
        self.is_secured() && !alternatives.filter_map(Value::as_object).any(Map::is_empty)
    }

    fn responses(&self) -> &'a Map<String, Value> {
        self.content["responses"].as_object().expect("responses")
    }

    fn documents_status(&self, status: &str) -> bool {
        self.responses().contains_key(status)
    }

    /// Media types of the body, by name.
    fn body(&self) -> Option<&'a Map<String, Value>> {
        self.content.get("requestBody").and_then(|body| body["content"].as_object())
    }
}

/// Calls `check` for each operation of each document.
fn for_each_operation(mut check: impl FnMut(&Operation<'_>)) {
    let mut count = 0;
    for (document, content) in documents() {
        for (path, methods) in content["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                let place = format!("{document}: {} {path}", method.to_uppercase());
                let content = operation.as_object().expect("an operation");
                check(&Operation { document, place, path, content });
                count += 1;
            }
        }
    }
    assert!(count >= 14, "only {count} operations were looked at");
}

/// Calls `check` for each operation of the main document.
fn for_each_main_operation(mut check: impl FnMut(&Operation<'_>)) {
    for_each_operation(|operation| {
        if operation.document == MAIN {
            check(operation);
        }
    });
}

/// Calls `visit` for every value in a document, with the keys that lead there.
fn for_each_value<'a>(value: &'a Value, place: &str, visit: &mut dyn FnMut(&str, &'a Value)) {
    visit(place, value);
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, member)| for_each_value(member, &format!("{place}/{key}"), visit));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(n, item)| for_each_value(item, &format!("{place}/{n}"), visit));
        }
        _ => {}
    }
}

#[test]
fn the_files_are_what_this_version_serves() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi");
    let documents = hallpass::api::documents().expect("the documents");
    for (name, document) in &documents {
        let file = fs::read_to_string(folder.join(name)).unwrap_or_default();
        let first = file.lines().zip(document.lines()).position(|(old, new)| old != new);
        assert!(
            file == *document,
            "openapi/{name} has drifted (line {}); rewrite it by\n\n    {REWRITE}\n",
            first.map_or_else(|| "count".to_owned(), |n| (n + 1).to_string())
        );
    }
    let names: BTreeSet<String> = documents.iter().map(|(name, _)| (*name).to_owned()).collect();
    let files = fs::read_dir(&folder).expect("the folder openapi").map(|file| file.expect("a file"));
    let files = files.filter(|file| file.file_type().is_ok_and(|kind| kind.is_file()));
    let files: BTreeSet<String> =
        files.map(|file| file.file_name().into_string().expect("a plain name")).collect();
    assert_eq!(files, names, "openapi/ holds a file that is no document of this version");
}

#[test]
fn every_operation_has_a_name_that_generators_can_use() {
    let mut seen = BTreeSet::new();
    for_each_operation(|operation| {
        let id = operation.text("operationId");
        let camel_case =
            id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(|c| c.is_ascii_alphanumeric());
        assert!(camel_case, "{}: operationId {id:?} is not camelCase", operation.place);
        assert!(
            seen.insert((operation.document, id.to_owned())),
            "{}: operationId {id} is taken",
            operation.place
        );
    });
}

#[test]
fn every_operation_says_what_it_does_and_where_it_belongs() {
    for_each_operation(|operation| {
        for key in ["summary", "description"] {
            assert!(!operation.text(key).is_empty(), "{}: no {key}", operation.place);
        }
        let tags = operation.content.get("tags").and_then(Value::as_array).map_or(0, Vec::len);
        assert_eq!(tags, 1, "{}: tags", operation.place);
    });
}

#[test]
fn every_tag_is_described_and_used() {
    for (name, document) in documents() {
        let mut declared = BTreeSet::new();
        for tag in document["tags"].as_array().expect("tags") {
            let text = tag["name"].as_str().expect("a name");
            assert!(tag["description"].as_str().is_some_and(|text| !text.is_empty()), "{name}: tag {text}");
            declared.insert(text.to_owned());
        }
        let mut used = BTreeSet::new();
        for_each_operation(|operation| {
            if operation.document == name {
                used.extend(
                    operation.content["tags"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .map(str::to_owned),
                );
            }
        });
        assert_eq!(declared, used, "{name}");
    }
}

#[test]
fn every_json_body_and_every_good_answer_has_an_example() {
    let mut examples = 0;
    for_each_operation(|operation| {
        let answers = operation.responses().iter().filter(|(status, _)| status.starts_with('2'));
        let answers = answers.filter_map(|(_, answer)| answer["content"].as_object());
        for (media_type, media) in operation.body().into_iter().chain(answers).flatten() {
            if media_type == JSON {
                let has_one = media.get("example").or_else(|| media.get("examples")).is_some();
                assert!(has_one, "{}: no example of {}", operation.place, media["schema"]);
                examples += 1;
            }
        }
    });
    assert!(examples >= 14, "only {examples} examples");
}

#[test]
fn every_object_has_an_example_and_every_enum_its_values() {
    for (name, document) in documents() {
        for (schema, content) in document["components"]["schemas"].as_object().expect("schemas") {
            let shown = if content["type"] == "object" { "example" } else { "enum" };
            assert!(content.get(shown).is_some(), "{name}: {schema} has no {shown}");
        }
    }
}

#[test]
fn any_operation_can_take_too_long() {
    for_each_operation(|operation| {
        assert!(operation.documents_status("408"), "{}: no 408", operation.place);
    });
}

#[test]
fn examples_have_the_fields_of_their_schema() {
    for (name, document) in documents() {
        let schema_of = |media: &Value| {
            let reference = media["schema"]["$ref"].as_str()?;
            document.pointer(reference.strip_prefix('#')?)
        };
        for_each_value(&document, name, &mut |place, media| {
            let Some(example) = media.get("example").and_then(Value::as_object) else { return };
            let Some(schema) = schema_of(media) else { return };
            let properties = schema["properties"].as_object().expect("an object");
            for field in example.keys() {
                assert!(properties.contains_key(field), "{place}: the schema has no {field}");
            }
            for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                assert!(example.contains_key(field), "{place}: the example has no {field}");
            }
        });
    }
}

#[test]
fn secured_operations_document_401_and_public_ones_say_that_they_are() {
    let (mut secured, mut public) = (0, 0);
    for_each_main_operation(|operation| {
        let id = operation.text("operationId");
        if operation.is_secured() {
            secured += 1;
            assert!(operation.documents_status("401"), "{}: no 401", operation.place);
        } else {
            public += 1;
            let checks = CHECKS_CREDENTIALS.contains(&id);
            assert_eq!(operation.documents_status("401"), checks, "{}: 401", operation.place);
        }
    });
    assert!(secured > 0 && public > 0);
}

#[test]
fn the_public_operations_are_these() {
    let mut public = BTreeSet::new();
    for_each_main_operation(|operation| {
        if !operation.is_secured() {
            public.insert(format!("{} {}", operation.text("operationId"), operation.path));
        }
    });
    let expected = [
        "getAuthorizationServerMetadata /.well-known/oauth-authorization-server",
        "getJwks /.well-known/jwks.json",
        "getOpenIdConfiguration /.well-known/openid-configuration",
        "live /health/live",
        "login /auth/login",
        "ready /health/ready",
        "register /auth/register",
        "requestEmailVerification /auth/verify-email-request",
        "requestPasswordReset /auth/reset-password-request",
        "resetPassword /auth/reset-password",
        "verifyEmail /auth/verify-email",
    ];
    assert_eq!(public, expected.into_iter().map(str::to_owned).collect());
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
fn operations_take_one_kind_of_body_and_document_what_is_wrong_with_it() {
    for_each_main_operation(|operation| {
        let Some(body) = operation.body() else { return };
        let kind = if operation.speaks_oauth() { FORM } else { JSON };
        assert_eq!(body.keys().collect::<Vec<_>>(), [kind], "{}", operation.place);
        // A malformed login is a failed login.
        let malformed = if operation.text("operationId") == "login" { "401" } else { "400" };
        for status in [malformed, "413", "415"] {
            assert!(operation.documents_status(status), "{}: no {status}", operation.place);
        }
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
    let documents = documents();
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
fn tokens_that_a_body_can_carry_are_optional_in_the_headers() {
    let mut optional = BTreeSet::new();
    for_each_main_operation(|operation| {
        if operation.is_secured() && !operation.demands_tokens() {
            optional.insert(operation.text("operationId").to_owned());
        }
    });
    let expected = ["createToken", "introspectToken", "logout", "refreshToken", "revokeToken"];
    assert_eq!(optional, expected.map(str::to_owned).into());
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
            limited.insert(format!("{} {}", operation.document, operation.text("operationId")));
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
fn every_reference_leads_somewhere_and_every_component_is_used() {
    for (name, document) in documents() {
        let mut used = BTreeSet::new();
        for_each_value(&document, name, &mut |place, value| {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return };
            let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            assert!(target.is_some(), "{place}: {reference} leads nowhere");
            used.insert(reference.to_owned());
        });
        for kind in ["schemas", "headers", "examples"] {
            for component in
                document["components"][kind].as_object().into_iter().flatten().map(|(key, _)| key)
            {
                let reference = format!("#/components/{kind}/{component}");
                assert!(used.contains(&reference), "{name}: nothing uses {reference}");
            }
        }
        for scheme in document["components"]["securitySchemes"].as_object().expect("schemes").values() {
            assert!(scheme["description"].as_str().is_some_and(|text| !text.is_empty()), "{name}: {scheme}");
        }
    }
}

#[test]
fn every_property_and_parameter_is_described() {
    for (name, document) in documents() {
        let mut properties = 0;
        let described = |value: &Value| value["description"].as_str().is_some_and(|text| !text.is_empty());
        for (schema, content) in document["components"]["schemas"].as_object().expect("schemas") {
            if content.get("properties").is_some() {
                assert!(described(content), "{name}: {schema}");
            }
            for (property, content) in content["properties"].as_object().into_iter().flatten() {
                assert!(described(content), "{name}: {schema}.{property}");
                properties += 1;
            }
        }
        assert!(properties >= 15, "{name}: only {properties} properties");
    }
    for_each_operation(|operation| {
        for parameter in operation.content.get("parameters").and_then(Value::as_array).into_iter().flatten() {
            let text = parameter["description"].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{}: parameter {}", operation.place, parameter["name"]);
        }
    });
}

#[test]
fn no_description_is_empty_and_no_media_type_has_a_charset() {
    for (name, document) in documents() {
        for_each_value(&document, name, &mut |place, value| {
            let Some(object) = value.as_object() else { return };
            for (key, member) in object {
                assert!(!key.contains("charset"), "{place}/{key}");
                let empty =
                    key == "description" && member.as_str().is_some_and(|text| text.trim().is_empty());
                assert!(!empty, "{place}: an empty description");
            }
        });
    }
}
