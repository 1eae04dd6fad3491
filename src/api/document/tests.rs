use poem_openapi::auth::{ApiKey, Bearer};
use poem_openapi::param::{Path, Query};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi, OpenApiService, SecurityScheme, Tags};

use super::*;
use crate::api::wire::dto::REFRESH_TOKEN_EXAMPLE;

/// Runs one repair of a schema.
fn schema(mut schema: Value, repair: fn(&mut Map<String, Value>)) -> Value {
    repair(schema.as_object_mut().expect("an object"));
    schema
}

/// Repairs a document of one operation, `GET /`, and answers the operation.
fn operation(operation: Value) -> Value {
    repair(json!({ "paths": { "/": { "get": operation } } }))["paths"]["/"]["get"].take()
}

#[test]
fn the_server_is_relative() {
    let document = repair(json!({ "servers": [{ "url": "http://127.0.0.1:8080" }] }));
    assert_eq!(document, json!({ "servers": [{ "url": "/" }] }));
}

#[test]
fn a_member_of_all_of_that_repeats_its_surroundings_goes() {
    let documented = json!({
        "description": "What the user may do.",
        "allOf": [{ "$ref": "#/components/schemas/Role" }, { "description": "What the user may do." }]
    });
    assert_eq!(
        schema(documented, drop_repeated_all_of_members),
        json!({
            "description": "What the user may do.",
            "allOf": [{ "$ref": "#/components/schemas/Role" }]
        })
    );
    let composed = json!({ "allOf": [{ "$ref": "#/components/schemas/A" }, { "type": "object" }] });
    assert_eq!(schema(composed.clone(), drop_repeated_all_of_members), composed);
}

#[test]
fn whole_bounds_are_integers_and_others_stay() {
    let bounds = json!({ "type": "integer", "minimum": 1.0, "maximum": 100.0, "multipleOf": 0.5 });
    let repaired = schema(bounds, write_whole_bounds_as_integers);
    assert_eq!(repaired.to_string(), r#"{"type":"integer","minimum":1,"maximum":100,"multipleOf":0.5}"#);
}

#[test]
fn a_property_that_is_named_like_a_keyword_is_no_keyword() {
    let document = json!({ "components": { "schemas": { "Range": { "properties": {
        "minimum": { "type": "integer", "minimum": 2.0 },
        "allOf": { "type": "string" },
    }, "example": { "minimum": 1.0 } } } } });
    let range = &repair(document)["components"]["schemas"]["Range"];
    assert_eq!(range["properties"]["minimum"].to_string(), r#"{"type":"integer","minimum":2}"#);
    assert_eq!(range["example"].to_string(), r#"{"minimum":1.0}"#);
}

#[test]
fn parameters_say_only_what_is_not_the_default() {
    let parameters = json!([
        { "name": "a", "schema": { "type": "string" }, "deprecated": false, "explode": true },
        { "name": "b", "schema": { "type": "array" }, "deprecated": true, "explode": true },
    ]);
    assert_eq!(
        operation(json!({ "parameters": parameters }))["parameters"],
        json!([
            { "name": "a", "schema": { "type": "string" } },
            { "name": "b", "schema": { "type": "array" }, "deprecated": true, "explode": true },
        ])
    );
}

#[test]
fn json_has_no_charset_and_errors_are_problems() {
    let content = |name: &str| json!({ "application/json; charset=utf-8": { "schema": { "$ref": format!("#/components/schemas/{name}") } } });
    let operation = operation(json!({
        "requestBody": { "content": content("Login") },
        "responses": {
            "200": { "description": "Fine", "content": content("User") },
            "400": { "description": "Bad", "content": content("Problem") },
            "401": { "description": "Bad", "content": content("Boom") },
        }
    }));
    let media_type = |body: &Value| body["content"].as_object().and_then(|c| c.keys().next()).cloned();
    assert_eq!(media_type(&operation["requestBody"]).as_deref(), Some(JSON));
    assert_eq!(media_type(&operation["responses"]["200"]).as_deref(), Some(JSON));
    assert_eq!(media_type(&operation["responses"]["400"]).as_deref(), Some(PROBLEM_JSON));
    assert_eq!(media_type(&operation["responses"]["401"]).as_deref(), Some(JSON));
}

#[test]
fn every_answer_is_described() {
    let responses =
        json!({ "200": { "description": "" }, "409": {}, "404": { "description": "Gone" }, "default": {} });
    let repaired = operation(json!({ "responses": responses }));
    let description = |status: &str| repaired["responses"][status]["description"].as_str();
    assert_eq!(description("200"), Some("OK"));
    assert_eq!(description("409"), Some("Conflict"));
    assert_eq!(description("404"), Some("Gone"));
    assert_eq!(description("default"), Some("Any other answer"));
}

#[test]
fn an_answer_without_words_is_described_by_what_it_carries() {
    let media = json!({ JSON: { "schema": { "$ref": "#/components/schemas/User" } } });
    let document = repair(json!({
        "paths": { "/": { "get": { "responses": {
            "200": { "description": "", "content": media },
            "201": { "description": "Made", "content": media },
        } } } },
        "components": { "schemas": { "User": { "description": "An account." } } }
    }));
    let responses = &document["paths"]["/"]["get"]["responses"];
    assert_eq!(responses["200"]["description"], "An account.");
    assert_eq!(responses["201"]["description"], "Made");
}

#[test]
fn what_may_be_null_is_always_there() {
    let properties = json!({ "a": {}, "b": { "nullable": true }, "c": { "nullable": true }, "d": {} });
    let repaired = schema(json!({ "required": ["b"], "properties": properties }), require_what_may_be_null);
    assert_eq!(repaired["required"], json!(["b", "c"]));
    let nothing = json!({ "properties": { "a": {} } });
    assert_eq!(schema(nothing.clone(), require_what_may_be_null), nothing);
}

#[test]
fn examples_of_errors_are_shared_unless_they_differ() {
    let problem = json!({ "$ref": "#/components/schemas/Problem" });
    let answer = |examples: Value| {
        let schema = json!({ "allOf": [problem], "example": examples });
        json!({ "responses": { "400": { "content": { PROBLEM_JSON: { "schema": schema } } } } })
    };
    let (email, limit) =
        (json!({ "value": { "detail": "email" } }), json!({ "value": { "detail": "limit" } }));
    let document = repair(json!({
        "paths": {
            "/1": { "get": answer(json!({ "invalid": email })) },
            "/2": { "get": answer(json!({ "invalid": email })) },
            "/3": { "get": answer(json!({ "invalid": limit })) },
        },
        "components": {}
    }));
    assert_eq!(document["components"]["examples"], json!({ "invalid": email }));
    let media = |path: &str| &document["paths"][path]["get"]["responses"]["400"]["content"][PROBLEM_JSON];
    let shared = json!({ "$ref": "#/components/examples/invalid" });
    for (path, example) in [("/1", &shared), ("/2", &shared), ("/3", &limit)] {
        assert_eq!(media(path), &json!({ "schema": problem, "examples": { "invalid": example } }));
    }
}

#[test]
fn a_body_that_may_be_left_out_comes_empty_first() {
    let body = |required: bool| {
        let content = json!({ JSON: { "schema": {}, "example": { "refreshToken": "hp_rt_" } } });
        let operation = operation(json!({ "requestBody": { "content": content, "required": required } }));
        operation["requestBody"]["content"][JSON].clone()
    };
    let values: Vec<_> =
        body(false)["examples"].as_object().into_iter().flatten().map(|(_, e)| e["value"].clone()).collect();
    assert_eq!(values, [json!({}), json!({ "refreshToken": "hp_rt_" })]);
    assert_eq!(body(true)["example"], json!({ "refreshToken": "hp_rt_" }));
}

#[test]
fn a_new_access_token_is_announced_where_tokens_are_demanded() {
    let announced = |security: Value| {
        let operation = json!({ "security": security, "responses": { "200": {} } });
        let refresh = json!({ "in": "header", "name": "X-Refresh-Token" });
        let document = repair(json!({
            "paths": { "/": { "get": operation } },
            "components": { "securitySchemes": { "Refresh": refresh } }
        }));
        document["paths"]["/"]["get"]["responses"]["200"]["headers"].get("X-Access-Token").is_some()
    };
    assert!(announced(json!([{ "Access": [] }, { "Refresh": [] }])));
    assert!(!announced(json!([{ "Access": [] }, { "Refresh": [] }, {}])));
    assert!(!announced(json!([{ "Access": [] }])));
}

#[test]
fn header_names_are_spelt_as_people_write_them() {
    for (capitals, usual) in [
        ("X-REQUEST-ID", "X-Request-Id"),
        ("WWW-AUTHENTICATE", "WWW-Authenticate"),
        ("ETAG", "ETag"),
        ("X-Already-OK", "X-Already-OK"),
    ] {
        assert_eq!(usual_spelling(capitals), usual);
    }
}

#[test]
fn an_operation_without_security_is_public_and_says_so() {
    assert_eq!(operation(json!({}))["security"], json!([]));
    let secured = json!([{ "Bearer": [] }]);
    assert_eq!(operation(json!({ "security": secured }))["security"], secured);
}

#[test]
fn a_flow_has_scopes() {
    let document = repair(json!({ "components": { "securitySchemes": { "OAuth": {
        "type": "oauth2", "flows": { "clientCredentials": { "tokenUrl": "/oauth2/token" } }
    } } } }));
    let flow = &document["components"]["securitySchemes"]["OAuth"]["flows"]["clientCredentials"];
    assert_eq!(flow["scopes"], json!({}));
}

#[test]
fn the_example_of_a_type_is_that_of_bodies_too() {
    let media = |name: &str| json!({ "schema": { "$ref": format!("#/components/schemas/{name}") } });
    let document = repair(json!({
        "paths": { "/": { "post": {
            "requestBody": { "content": { "application/x-www-form-urlencoded": media("Form") } },
            "responses": {
                "200": { "content": { JSON: { "schema": { "type": "array", "items": { "$ref": "#/components/schemas/User" } } } } },
                "400": { "content": { JSON: media("Problem") } },
            }
        } } },
        "components": { "schemas": {
            "Form": {
                "properties": {
                    "email": { "type": "string" },
                    "refresh_token": { "type": "string" },
                    "hint": { "type": "string" },
                },
                "example": { "email": "ada@example.com" },
            },
            "User": { "example": { "id": 1 } },
            "Problem": { "example": { "status": 401 } },
        } }
    }));
    let post = &document["paths"]["/"]["post"];
    let schemas = &document["components"]["schemas"];
    assert_eq!(post["responses"]["200"]["content"][JSON]["example"], json!([{ "id": 1 }]));
    assert_eq!(schemas["User"]["example"], json!({ "id": 1 }));
    let form = &post["requestBody"]["content"]["application/x-www-form-urlencoded"];
    assert_eq!(form["example"], schemas["Form"]["example"]);
    let field = |name: &str| &schemas["Form"]["properties"][name]["example"];
    assert_eq!(field("email"), "ada@example.com");
    assert_eq!(field("refresh_token"), REFRESH_TOKEN_EXAMPLE, "one that the whole leaves out");
    assert_eq!(field("hint"), &Value::Null);
    assert!(post["responses"]["400"]["content"][PROBLEM_JSON].get("example").is_none());
}

#[test]
fn a_request_that_takes_too_long_is_announced_in_the_shape_of_other_errors() {
    let answer = |media_type: &str, name: &str| {
        json!({ "description": "A defect", "content": { media_type: {
        "schema": { "$ref": format!("#/components/schemas/{name}") }, "example": {}
    } } })
    };
    let announced = |of_500: Value| {
        let responses = json!({ "200": {}, "500": of_500 });
        let document = repair(json!({
            "paths": { "/": { "get": { "responses": responses } } },
            "components": {}
        }));
        let responses = &document["paths"]["/"]["get"]["responses"];
        assert_eq!(
            responses.as_object().map(|all| all.keys().collect::<Vec<_>>()).unwrap(),
            ["200", "408", "500"]
        );
        (responses["408"]["content"].clone(), document["components"]["examples"].clone())
    };
    let (problem, examples) = announced(answer(PROBLEM_JSON, "Problem"));
    let reference = "#/components/examples/request_timeout";
    assert_eq!(problem[PROBLEM_JSON]["examples"], json!({ "request_timeout": { "$ref": reference } }));
    assert_eq!(examples["request_timeout"]["value"]["status"], 408);
    let (boom, examples) = announced(answer(JSON, "Boom"));
    let reference = json!({ "$ref": "#/components/examples/request_timeout" });
    let media = json!({ "schema": { "$ref": "#/components/schemas/Boom" }, "examples": { "request_timeout": reference } });
    assert_eq!(boom, json!({ JSON: media }));
    assert_eq!(examples["request_timeout"]["value"]["statusCode"], 408);
    let (other, examples) = announced(answer(JSON, "Other"));
    assert_eq!(other, json!({ JSON: { "schema": { "$ref": "#/components/schemas/Other" } } }));
    assert!(examples.is_null());
}

#[test]
fn tags_are_those_in_use_in_the_order_of_their_use() {
    let document = repair(json!({
        "tags": [{ "name": "a" }, { "name": "b" }, { "name": "c" }],
        "paths": { "/1": { "get": { "tags": ["c"] } }, "/2": { "get": { "tags": ["a"] } } },
    }));
    assert_eq!(document["tags"], json!([{ "name": "c" }, { "name": "a" }]));
}

#[test]
fn the_text_ends_with_a_line_end_and_keeps_the_order_of_keys() {
    assert_eq!(to_pretty_json(&json!({ "b": 1, "a": [] })), "{\n  \"b\": 1,\n  \"a\": []\n}\n");
}

#[derive(Tags)]
#[expect(dead_code, reason = "for the document alone")]
enum Tag {
    Unused,
    Users,
}

/// A role.
#[derive(Enum)]
#[oai(rename_all = "lowercase")]
enum Role {
    Member,
}

#[derive(Object)]
#[oai(example)]
struct User {
    #[oai(validator(minimum(value = "1")))]
    id: i64,
    /// What the user may do.
    role: Role,
}

impl poem_openapi::types::Example for User {
    fn example() -> Self {
        Self { id: 7, role: Role::Member }
    }
}

#[derive(Object)]
struct Problem {
    code: String,
}

#[derive(ApiResponse)]
#[expect(dead_code, reason = "for the document alone")]
enum Failure {
    /// Who are you?
    #[oai(status = 401)]
    Unauthenticated(poem_openapi::payload::Json<Problem>, #[oai(header = "X-Request-Id")] String),
}

#[derive(SecurityScheme)]
#[oai(ty = "bearer")]
struct AccessToken(#[expect(dead_code, reason = "for the document alone")] Bearer);

#[derive(SecurityScheme)]
#[oai(ty = "api_key", key_name = "X-Refresh-Token", key_in = "header")]
struct RefreshToken(#[expect(dead_code, reason = "for the document alone")] ApiKey);

#[derive(SecurityScheme)]
enum Caller {
    #[expect(dead_code, reason = "for the document alone")]
    Access(AccessToken),
    #[expect(dead_code, reason = "for the document alone")]
    Refresh(RefreshToken),
}

struct Api;

#[OpenApi]
impl Api {
    #[oai(path = "/users/:id", method = "get", operation_id = "getUser", tag = "Tag::Users")]
    async fn get_user(
        &self,
        _caller: Caller,
        id: Path<i64>,
    ) -> Result<poem_openapi::payload::Json<User>, Failure> {
        Ok(poem_openapi::payload::Json(User { id: id.0, role: Role::Member }))
    }

    #[oai(path = "/public", method = "get", operation_id = "getPublic")]
    async fn get_public(&self, _limit: Query<Option<u32>>) {}
}

fn derived() -> Value {
    parse::parse(&OpenApiService::new(Api, "test", "1").spec()).expect("JSON")
}

#[test]
fn a_second_repair_changes_nothing() {
    let once = repair(derived());
    assert_eq!(to_pretty_json(&repair(once.clone())), to_pretty_json(&once));
}

#[test]
fn what_poem_openapi_derives_comes_out_mended() {
    let document = repair(derived());
    let get_user = &document["paths"]["/users/{id}"]["get"];
    assert_eq!(document["tags"], json!([{ "name": "Users" }]));
    assert_eq!(
        get_user["parameters"].to_string(),
        r#"[{"name":"id","schema":{"type":"integer","format":"int64","maximum":9007199254740991},"in":"path","required":true}]"#
    );
    assert_eq!(get_user["security"], json!([{ "AccessToken": [] }, { "RefreshToken": [] }]));
    assert_eq!(
        get_user["responses"],
        json!({
            "200": {
                "description": "OK",
                "content": { JSON: {
                    "schema": { "$ref": "#/components/schemas/User" },
                    "example": { "id": 7, "role": "member" },
                } },
                "headers": { "X-Access-Token": { "$ref": "#/components/headers/X-Access-Token" } },
            },
            "401": {
                "description": "Who are you?",
                "content": { PROBLEM_JSON: { "schema": { "$ref": "#/components/schemas/Problem" } } },
                "headers": {
                    "X-Request-Id": { "required": true, "schema": { "type": "string" } },
                    "WWW-Authenticate": { "$ref": "#/components/headers/WWW-Authenticate" },
                },
            },
        })
    );
    assert_eq!(document["paths"]["/public"]["get"]["security"], json!([]));
    let headers = document["components"]["headers"].as_object().expect("headers");
    assert_eq!(headers.keys().collect::<Vec<_>>(), ["WWW-Authenticate", "X-Access-Token"]);
    assert_eq!(
        document["components"]["schemas"]["User"]["properties"].to_string(),
        r##"{"id":{"type":"integer","format":"int64","minimum":1},"role":{"description":"What the user may do.","allOf":[{"$ref":"#/components/schemas/Role"}]}}"##
    );
    assert_eq!(document["components"]["schemas"]["User"]["example"], json!({ "id": 7, "role": "member" }));
}
