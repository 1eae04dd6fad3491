//! Whoever generated a client from a release's document can go on with it, unless the changelog says so.
//!
//! `openapi/released/<version>.json` is the main document of a release, and those of the other APIs are in folders
//! of their names beside it. Every later document, that of the next release and at last today's, is compared with
//! the one before.

mod changelog;
mod compare;

use std::fs;
use std::path::Path;

use changelog::{Entry, entries};
use compare::{Break, breaks};
use serde_json::{Value, json};

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn document(name: &str) -> Value {
    serde_json::from_str(&file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The documents, and the folders of `openapi/released` that have those of releases.
const DOCUMENTS: [(&str, &str); 3] =
    [("hallpass.json", ""), ("nest.json", "nest/"), ("access-tokens.json", "access-tokens/")];

/// The breaks that an entry does not name.
fn unnamed(entry: &Entry<'_>, old: &Value, new: &Value) -> Vec<String> {
    let breaks = breaks(old, new).into_iter();
    breaks.filter(|found| !entry.names(&found.operation)).map(|found| found.to_string()).collect()
}

#[test]
fn what_breaks_clients_of_a_release_is_in_the_changelog() {
    let changelog = file("CHANGELOG.md");
    let entries = entries(&changelog);
    let (unreleased, released) = entries.split_first().expect("an entry");
    assert_eq!(unreleased.version, "Unreleased", "the first entry of the changelog");
    for (name, folder) in DOCUMENTS {
        let mut later = (unreleased, document(&format!("openapi/{name}")));
        for entry in released {
            let then = document(&format!("openapi/released/{folder}{}.json", entry.version));
            let unnamed = unnamed(later.0, &then, &later.1);
            assert!(
                unnamed.is_empty(),
                "this breaks clients of {name} of {}, and `### Breaking` of [{}] in CHANGELOG.md does not name the \
                 operations:\n{}",
                entry.version,
                later.0.version,
                unnamed.join("\n")
            );
            later = (entry, then);
        }
    }
}

#[test]
fn this_version_is_a_release_that_says_when_what_breaks_and_how_to_upgrade() {
    let changelog = file("CHANGELOG.md");
    let version = env!("CARGO_PKG_VERSION");
    let (_, rest) = changelog.split_once(&format!("\n## [{version}] - ")).expect("an entry of this version");
    let (date, rest) = rest.split_once('\n').expect("lines");
    let parts: Vec<usize> = date.split('-').map(str::len).collect();
    assert!(parts == [4, 2, 2] && date.chars().all(|c| c == '-' || c.is_ascii_digit()), "{date} is no date");
    let entry = rest.split("\n## [").next().unwrap_or_default();
    for section in ["Breaking", "Upgrading", "Added"] {
        assert!(entry.contains(&format!("\n### {section}\n")), "[{version}] has no section {section}");
    }
    for (_, folder) in DOCUMENTS {
        let then = document(&format!("openapi/released/{folder}{version}.json"));
        assert_eq!(then["info"]["version"], version);
    }
    // A generated crate has the version of its document.
    let locked = format!("name = \"hallpass\"\nversion = \"{version}\"\n");
    assert!(
        file("tests/sdk/rust/Cargo.lock").contains(&locked),
        "tests/sdk/rust/Cargo.lock has another version"
    );
}

#[test]
fn every_document_that_is_kept_is_that_of_a_release() {
    let changelog = file("CHANGELOG.md");
    let released = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/released");
    for (_, folder) in DOCUMENTS {
        let files = fs::read_dir(released.join(folder)).expect("a folder").map(|kept| kept.expect("a file"));
        for kept in files.filter(|kept| kept.file_type().expect("a type").is_file()) {
            let name = kept.file_name().into_string().expect("a plain name");
            let version = name.strip_suffix(".json").unwrap_or(&name);
            let is_released = entries(&changelog).iter().any(|entry| entry.version == version);
            assert!(is_released, "openapi/released/{folder}{name} is of no release in CHANGELOG.md");
        }
    }
}

#[test]
fn entries_of_a_changelog_have_a_version_and_what_breaks() {
    let text = "# Changelog\n\n## [Unreleased]\n\n### Breaking\n\n- `login` is gone.\n\n### Added\n\n- `logout`.\n\
                \n## [0.1.0] - 2026-12-01\n\n### Added\n\n- all\n";
    let entries = entries(text);
    assert_eq!(entries.iter().map(|entry| entry.version).collect::<Vec<_>>(), ["Unreleased", "0.1.0"]);
    assert!(entries[0].names("login"));
    assert!(!entries[0].names("logout") && !entries[0].names("log"));
    assert_eq!(entries[1].breaking, "");
}

/// A document of one operation.
fn sample() -> Value {
    json!({
        "paths": { "/users/{id}": { "patch": {
            "operationId": "updateUser",
            "security": [{ "AccessToken": [] }, { "RefreshToken": [] }],
            "parameters": [
                { "name": "id", "in": "path", "required": true, "schema": { "type": "integer", "maximum": 9 } },
                { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1 } },
            ],
            "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Update" } } } },
            "responses": {
                "200": { "content": { "application/json": {
                    "schema": { "type": "array", "items": { "$ref": "#/components/schemas/User" } }
                } } },
                "404": {},
            },
        } } },
        "components": { "schemas": {
            "Role": { "type": "string", "enum": ["admin", "member"] },
            "Update": { "type": "object", "required": ["email"], "properties": {
                "email": { "type": "string", "maxLength": 254 },
                "name": { "type": "string", "nullable": true },
                "role": { "allOf": [{ "$ref": "#/components/schemas/Role" }] },
            } },
            "User": { "type": "object", "required": ["id", "role"], "properties": {
                "id": { "type": "integer", "format": "int64" },
                "role": { "$ref": "#/components/schemas/Role" },
                "name": { "type": "string" },
            } },
        } }
    })
}

/// The breaks when the value at a place of the sample becomes another; `null` takes it away.
fn change(place: &str, value: Value) -> Vec<String> {
    let mut new = sample();
    let (parent, key) = place.rsplit_once('/').expect("a place");
    match new.pointer_mut(parent).expect("a parent") {
        Value::Object(members) if value.is_null() => drop(members.remove(key)),
        Value::Object(members) => drop(members.insert(key.to_owned(), value)),
        Value::Array(items) => items.push(value),
        other => panic!("{other}"),
    }
    assert_ne!(new, sample(), "{place}");
    let breaks = breaks(&sample(), &new).into_iter();
    breaks
        .map(|Break { operation, what }| {
            assert_eq!(operation, "updateUser");
            what
        })
        .collect()
}

const OPERATION: &str = "/paths/~1users~1{id}/patch";
const SCHEMAS: &str = "/components/schemas";

#[test]
fn what_is_gone_moved_or_asks_for_more_breaks_clients() {
    let operation = |place: &str, value| change(&format!("{OPERATION}{place}"), value);
    assert_eq!(change(OPERATION, Value::Null), ["is gone"]);
    assert_eq!(operation("/operationId", json!("changeUser")), ["is gone"]);
    let mut moved = sample();
    let paths = moved["paths"].as_object_mut().expect("paths");
    let path = paths.remove("/users/{id}").expect("the path");
    paths.insert("/accounts/{id}".to_owned(), path);
    assert_eq!(breaks(&sample(), &moved)[0].what, "was PATCH /users/{id} and is PATCH /accounts/{id}");
    assert_eq!(
        operation("/parameters", Value::Null),
        ["parameter id in path is gone", "parameter limit in query is gone"]
    );
    assert_eq!(
        operation("/parameters/1/required", json!(true)),
        ["parameter limit in query is required now"]
    );
    assert_eq!(
        operation("/parameters/1/schema/minimum", json!(2)),
        ["parameter limit in query has a higher minimum"]
    );
    assert_eq!(
        operation("/parameters/0/schema/maximum", json!(8)),
        ["parameter id in path has a lower maximum"]
    );
    let new = json!({ "name": "force", "in": "query", "required": true, "schema": {} });
    assert_eq!(operation("/parameters/-", new), ["parameter force in query is new and required"]);
    assert_eq!(operation("/requestBody/required", json!(true)), ["a body is required now"]);
    assert_eq!(
        operation("/requestBody/content", json!({ "text/plain": {} })),
        ["the body is no application/json any more"]
    );
    assert_eq!(operation("/responses/200", Value::Null), ["200 is gone"]);
    assert_eq!(
        operation("/security", json!([{ "AccessToken": [] }])),
        [r#"cannot be called with {"RefreshToken":[]} any more"#]
    );
}

#[test]
fn a_body_that_takes_less_breaks_clients() {
    let body = |place: &str, value| change(&format!("{SCHEMAS}/Update{place}"), value);
    assert_eq!(body("/required", json!(["email", "name"])), ["the body: name is required now"]);
    assert_eq!(body("/properties/name", Value::Null), ["the body: name is gone"]);
    assert_eq!(body("/properties/name/nullable", Value::Null), ["the body: name takes no null any more"]);
    assert_eq!(body("/properties/name/pattern", json!("^a")), ["the body: name has another pattern"]);
    assert_eq!(body("/properties/name/enum", json!(["a"])), ["the body: name has another enum"]);
    assert_eq!(body("/properties/name/maxLength", json!(10)), ["the body: name has a lower maxLength"]);
    assert_eq!(body("/properties/email/maxLength", json!(253)), ["the body: email has a lower maxLength"]);
    assert_eq!(
        body("/properties/email/type", json!("integer")),
        [r#"the body: email was "string" and is "integer""#]
    );
    assert_eq!(
        change(&format!("{SCHEMAS}/Role/enum"), json!(["admin"])),
        ["the body: role takes no member any more"]
    );
}

#[test]
fn an_answer_that_holds_less_or_something_else_breaks_clients() {
    let answer = |place: &str, value| change(&format!("{SCHEMAS}/User{place}"), value);
    assert_eq!(answer("/required", json!(["id"])), ["200: each: role is not always there any more"]);
    assert_eq!(answer("/properties/name", Value::Null), ["200: each: name is gone"]);
    assert_eq!(answer("/properties/name/nullable", json!(true)), ["200: each: name can be null now"]);
    assert_eq!(answer("/properties/id/format", json!("int32")), ["200: each: id has another format"]);
    assert_eq!(
        answer("/properties/id/type", json!("string")),
        [r#"200: each: id was "integer" and is "string""#]
    );
    let grown = json!(["admin", "member", "guest"]);
    assert_eq!(change(&format!("{SCHEMAS}/Role/enum"), grown), ["200: each: role can be guest now"]);
    assert_eq!(change(&format!("{SCHEMAS}/Role/enum"), Value::Null), ["200: each: role can be anything now"]);
}

#[test]
fn what_takes_or_holds_more_breaks_nobody() {
    for (place, value) in [
        (format!("{OPERATION}/parameters/-"), json!({ "name": "force", "in": "query", "schema": {} })),
        (format!("{OPERATION}/responses/404"), Value::Null),
        (format!("{OPERATION}/responses/201"), json!({})),
        (format!("{OPERATION}/summary"), json!("Change an account")),
        (format!("{OPERATION}/security"), json!([])),
        ("/paths/~1users".to_owned(), json!({ "get": { "operationId": "listUsers" } })),
        (format!("{SCHEMAS}/Update/required"), Value::Null),
        (format!("{SCHEMAS}/Update/properties/email/maxLength"), json!(300)),
        (format!("{SCHEMAS}/Update/properties/age"), json!({ "type": "integer" })),
        (format!("{SCHEMAS}/User/properties/age"), json!({ "type": "integer" })),
        (format!("{SCHEMAS}/User/required"), json!(["id", "role", "name"])),
    ] {
        assert_eq!(change(&place, value), Vec::<String>::new(), "{place}");
    }
}

#[test]
fn a_break_that_the_changelog_names_is_none() {
    let old = sample();
    let new = json!({ "paths": {} });
    let entry = |breaking| Entry { version: "Unreleased", breaking };
    assert_eq!(unnamed(&entry(""), &old, &new), ["updateUser: is gone"]);
    assert!(unnamed(&entry("- `updateUser` is gone: use another."), &old, &new).is_empty());
}
