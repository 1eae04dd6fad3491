//! Every operation of every document, called by nobody.

use std::collections::BTreeSet;

use poem::http::Method;
use serde_json::Value;

use crate::support::{Actor, TestApp};

/// What may be called without a token. This list is to shrink, not to grow.
const PUBLIC: [&str; 15] = [
    "createAccessToken",
    "createUser",
    "getAuthorizationServerMetadata",
    "getJwks",
    "getOpenIdConfiguration",
    "getProtectedResourceMetadata",
    "live",
    "login",
    "register",
    "requestEmailVerification",
    "requestPasswordReset",
    "resetPassword",
    "signIn",
    "signUp",
    "verifyEmail",
];

/// The document whose errors have no code.
const WITHOUT_CODES: &str = "access-tokens.json";

struct Operation {
    document: &'static str,
    id: String,
    method: Method,
    path: String,
    is_public: bool,
}

fn operations() -> Vec<Operation> {
    let mut operations = Vec::new();
    for (name, document) in hallpass::api::documents().expect("the documents") {
        let document: Value = serde_json::from_str(&document).expect("JSON");
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                let Ok(method) = method.to_uppercase().parse() else { continue };
                let security = operation["security"].as_array().expect("a list of requirements");
                operations.push(Operation {
                    document: name,
                    id: operation["operationId"].as_str().expect("an id").to_owned(),
                    method,
                    path: path.replace("{id}", "1").replace("{sid}", "00000000-0000-0000-0000-000000000001"),
                    is_public: security.is_empty(),
                });
            }
        }
    }
    operations
}

#[tokio::test]
async fn every_operation_but_those_listed_wants_a_token() {
    let app = TestApp::spawn().await;
    let alone = TestApp::set(&["compat="]).await;
    let mut public = BTreeSet::new();
    for Operation { document, id, method, path, is_public } in operations() {
        assert!(!path.contains('{'), "{path}: this test does not know what to put in");
        // Where the access-tokens API is there, this is its sign-up for whoever comes without a token.
        let asked = if id == "createAccount" { &alone } else { &app };
        let answer = asked.anonymous().request(method, &path).send().await;
        if path.starts_with("/oauth2/") {
            // A client proves itself; the body is read first, and here there is none.
            assert_eq!(answer.json(400)["error"], "invalid_request", "{answer:?}");
        } else if is_public {
            assert_ne!(answer.code().as_deref(), Some("authentication_required"), "{answer:?}");
            public.insert(id);
        } else if document == WITHOUT_CODES {
            assert_eq!(answer.json(401)["statusCode"], 401, "{answer:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{answer:?}");
        } else {
            answer.assert_refused(401, "authentication_required");
        }
    }
    assert_eq!(public, PUBLIC.map(str::to_owned).into());
}

/// RFC 6750 2: a token elsewhere than in its header is no token.
#[tokio::test]
async fn a_token_counts_in_its_header_alone() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let access = &ada.tokens.access;
    let by_query = app.anonymous().get(&format!("/users/me?access_token={access}"));
    by_query.send().await.assert_refused(401, "authentication_required");
    for (name, value) in [
        ("cookie", format!("access_token={access}; accessToken={access}")),
        ("x-access-token", access.clone()),
        ("proxy-authorization", format!("Bearer {access}")),
    ] {
        let answer = app.anonymous().get("/users/me").header(name, value).send().await;
        answer.assert_refused(401, "authentication_required");
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_of_the_same_shape() {
    let app = TestApp::spawn().await;
    for path in ["/nowhere", "/auth", "/auth/", "/auth/login/", "/users/me/", "/users/1/2", "//", "/%00"] {
        let answer = app.anonymous().get(path).send().await;
        assert!(answer.status == 404 || answer.status == 405, "{answer:?}");
        let code = if answer.status == 404 { "not_found" } else { "method_not_allowed" };
        answer.assert_refused(answer.status, code);
    }
    for (method, path) in [
        (Method::GET, "/auth/login"),
        (Method::DELETE, "/users/me"),
        (Method::PUT, "/auth/refresh-token"),
        (Method::POST, "/.well-known/jwks.json"),
    ] {
        let answer = app.anonymous().request(method, path).send().await;
        answer.assert_refused(405, "method_not_allowed");
    }
}
