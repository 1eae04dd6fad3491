//! Names that hallpass does not know: what changes or administers refuses them, what keeps another service's
//! contract ignores them.

use std::collections::BTreeSet;

use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{Actor, Answer, Request, TestApp, on_both_flavours};

on_both_flavours! {
    a_list_is_not_answered_to_a_question_that_was_not_understood,
    nothing_is_changed_by_a_body_that_was_not_understood,
    nobody_passes_by_a_question_that_is_not_exactly_right,
}

/// Operations that take names they do not know. A new operation that is to be among them is added here, and to
/// the list in the code.
const LENIENT: [&str; 23] = [
    "authMe",
    "authMePost",
    "createAccessToken",
    "createToken",
    "createUser",
    "deleteAccessToken",
    "getAuthorizationServerMetadata",
    "getJwks",
    "getMe",
    "getOpenIdConfiguration",
    "getProfile",
    "getProtectedResourceMetadata",
    "introspectToken",
    "live",
    "login",
    "refresh",
    "refreshAccessToken",
    "refreshToken",
    "register",
    "revokeToken",
    "signIn",
    "signOut",
    "signUp",
];

/// Operations that refuse them.
const EXACT: [&str; 29] = [
    "changePassword",
    "createAccount",
    "createClient",
    "createClientSecret",
    "deleteClient",
    "deleteUser",
    "forwardAuth",
    "getClient",
    "getUser",
    "listAudit",
    "listClients",
    "listRevocations",
    "listSessions",
    "listUserSessions",
    "listUsers",
    "logout",
    "requestEmailVerification",
    "requestPasswordReset",
    "requestUserPasswordReset",
    "resetPassword",
    "revokeOtherSessions",
    "revokeSession",
    "revokeUserSession",
    "revokeUserSessions",
    "streamRevocations",
    "updateClient",
    "updateMe",
    "updateUser",
    "verifyEmail",
];

/// What no operation takes.
const UNKNOWN: &str = "s3cret";

struct Operation {
    id: String,
    method: Method,
    path: String,
    content: Value,
    /// The schema of its body, if it takes one.
    body: Option<Value>,
}

impl Operation {
    fn is_exact(&self) -> bool {
        EXACT.contains(&self.id.as_str())
    }

    fn ask(&self, who: &impl Actor, query: &str) -> Request {
        let request = who.request(self.method.clone(), &format!("{}{query}", self.path));
        // Without it the request would be a sign-up of the access-tokens API.
        if self.id == "createAccount" { request.header("authorization", "Bearer x") } else { request }
    }

    /// The names that it takes in the query.
    fn parameters(&self) -> impl Iterator<Item = &str> {
        let parameters = self.content["parameters"].as_array().into_iter().flatten();
        parameters.filter(|one| one["in"] == "query").map(|one| one["name"].as_str().expect("a name"))
    }

    /// Whether its document says that it may answer so.
    fn documents_unknown_parameters(&self) -> bool {
        let problems = &self.content["responses"]["400"]["content"]["application/problem+json"];
        !problems["examples"]["unknown_parameter"].is_null()
    }
}

fn operations() -> Vec<Operation> {
    let mut operations = Vec::new();
    for (_, document) in hallpass::api::documents().expect("the documents") {
        let document: Value = serde_json::from_str(&document).expect("JSON");
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, content) in item.as_object().expect("operations") {
                let media = content["requestBody"]["content"].as_object();
                let media = media.and_then(|media| media.values().next());
                let body = media.map(|media| {
                    let reference = media["schema"]["$ref"].as_str().expect("a component");
                    document.pointer(&reference[1..]).expect("a schema").clone()
                });
                operations.push(Operation {
                    id: content["operationId"].as_str().expect("an id").to_owned(),
                    method: method.to_uppercase().parse().expect("a method"),
                    path: path.replace("{id}", "1").replace("{sid}", "00000000-0000-0000-0000-000000000001"),
                    content: content.clone(),
                    body,
                });
            }
        }
    }
    operations
}

/// What an answer says, in whatever shape, without what differs each time.
fn verdict(answer: &Answer) -> (u16, Option<String>) {
    (answer.status, answer.code())
}

#[test]
fn every_operation_has_decided_what_it_makes_of_names_it_does_not_know() {
    let all: BTreeSet<String> = operations().into_iter().map(|operation| operation.id).collect();
    let decided: BTreeSet<String> = LENIENT.iter().chain(&EXACT).map(|id| (*id).to_owned()).collect();
    assert_eq!(all, decided);
    assert_eq!(decided.len(), LENIENT.len() + EXACT.len(), "one is in both lists");
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_or_ignored_as_each_operation_says() {
    let app = TestApp::spawn().await;
    let nobody = app.anonymous();
    for operation in operations() {
        let is_exact = operation.is_exact();
        assert_eq!(operation.documents_unknown_parameters(), is_exact, "{}", operation.id);
        let plain = operation.ask(&nobody, "").send().await;
        for query in [format!("?{UNKNOWN}=1"), format!("?{UNKNOWN}"), "?=".to_owned()] {
            let answer = operation.ask(&nobody, &query).send().await;
            if is_exact {
                let problem = answer.assert_refused(400, "unknown_parameter");
                let detail = problem["detail"].as_str().expect("words");
                assert!(!detail.contains(UNKNOWN), "{detail}");
                let known: Vec<_> = operation.parameters().collect();
                assert!(known.iter().all(|name| detail.contains(name)), "{known:?}: {detail}");
            } else {
                assert_eq!(verdict(&answer), verdict(&plain), "{answer:?}");
            }
        }
        for name in operation.parameters() {
            let twice = operation.ask(&nobody, &format!("?{name}=1&{name}=1")).send().await;
            let problem = twice.assert_refused(400, "unknown_parameter");
            assert_eq!(problem["errors"][0]["field"], name, "{twice:?}");
        }
    }
}

#[tokio::test]
async fn an_unknown_member_is_refused_or_ignored_as_each_operation_says() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let mut exact = 0;
    for operation in operations() {
        let Some(schema) = &operation.body else { continue };
        let is_exact = operation.is_exact();
        let said = schema["additionalProperties"] == json!(false);
        assert_eq!(said, is_exact, "{}: what its document says", operation.id);
        let request = match operation.id.as_str() {
            "createUser" => operation.ask(&app.anonymous(), ""),
            "createAccount" => admin.post("/users"),
            _ => operation.ask(&admin, ""),
        };
        let answer = request.json(&json!({ UNKNOWN: true })).send().await;
        if is_exact {
            let problem = answer.assert_refused(400, "invalid_request");
            let nearest = problem["errors"][0]["field"].as_str().expect("a name");
            let detail = problem["detail"].as_str().expect("words");
            assert!(detail.contains(&format!("the nearest known name is {nearest}")), "{detail}");
            assert!(!answer.text().contains(UNKNOWN), "{answer:?}");
            let names = schema["properties"].as_object().expect("properties");
            assert!(names.contains_key(nearest) || nearest == "refresh_token", "{answer:?}");
            exact += 1;
        } else {
            assert!(!answer.text().contains("not known here"), "{answer:?}");
        }
    }
    assert_eq!(exact, 12, "bodies that are exact, one of them in two documents");
    admin.get("/users/me").send().await.json(200);
}

/// Pages, documents and health checks take whatever is appended to them, as trackers and caches do.
#[tokio::test]
async fn what_is_merely_looked_at_takes_any_query() {
    let app = TestApp::spawn().await;
    for path in [
        "/docs",
        "/docs/docs.js",
        "/openapi.json",
        "/openapi/nest.json",
        "/.well-known/jwks.json",
        "/health/live",
        "/health/ready",
        "/health/ready/login",
        "/livez",
        "/readyz",
        "/healthz",
        "/reset-password",
        "/verify-email",
        "/pages/pages.js",
    ] {
        let answer = app.anonymous().get(&format!("{path}?utm_source=mail&v=1&v=2")).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

async fn a_list_is_not_answered_to_a_question_that_was_not_understood(app: TestApp) {
    let admin = app.admin().await;
    app.member("ada").await;
    for query in ["?mail=ada@example.com", "?limit=1&limit=2", "?Limit=1", "?limit=1&offset=1"] {
        admin.get(&format!("/users{query}")).send().await.assert_refused(400, "unknown_parameter");
    }
    let one = admin.get("/users?limit=1&after=0").send().await.json(200);
    assert_eq!(one.as_array().map(Vec::len), Some(1));
    for path in ["/audit?users=1", "/audit?user=1&user=2", "/clients?id=books", "/auth/sessions?all=true"] {
        admin.get(path).send().await.assert_refused(400, "unknown_parameter");
    }
    for path in ["/clients/books?force=true", "/auth/sessions?scope=global", "/users/2?soft=true"] {
        admin.delete(path).send().await.assert_refused(400, "unknown_parameter");
    }
    admin.post("/auth/logout?scope=global&scope=local").send().await.assert_refused(400, "unknown_parameter");
    admin.get("/users/2").send().await.json(200);
    admin.get("/clients/books").send().await.json(200);
}

async fn nothing_is_changed_by_a_body_that_was_not_understood(app: TestApp) {
    let (admin, ada) = (app.admin().await, app.member("ada").await);
    let path = format!("/users/{}", ada.id);
    let before = admin.get(&path).send().await.json(200);
    for (body, nearest) in [
        (json!({"enabled": false}), "disabled"),
        (json!({"Disabled": true}), "disabled"),
        (json!({"disabled": true, "rolls": ["admin"]}), "roles"),
        (json!({"mail": "ada@example.org"}), "email"),
    ] {
        let answer = admin.patch(&path).json(&body).send().await;
        let problem = answer.assert_refused(400, "invalid_request");
        assert_eq!(problem["errors"][0]["field"], nearest, "{body}");
        assert_eq!(admin.get(&path).send().await.json(200), before, "{body}");
    }
    for (body, nearest) in [
        (json!({"id": "orders", "scope": "orders:read"}), "scopes"),
        (json!({"id": "orders", "aud": "https://api.example.com"}), "audience"),
    ] {
        let problem = admin.post("/clients").json(&body).send().await.assert_refused(400, "invalid_request");
        assert_eq!(problem["errors"][0]["field"], nearest, "{body}");
    }
    admin.get("/clients/orders").send().await.assert_refused(404, "not_found");
    // Where a scope is no more than an unknown member of the body, nobody is told that all sessions have ended.
    ada.post("/auth/logout")
        .json(&json!({"scope": "global"}))
        .send()
        .await
        .assert_refused(400, "invalid_request");
    let body = json!({
        "currentPassword": ada.password, "newPassword": "a better one this time", "logoutOthers": false,
    });
    ada.post("/auth/change-password").json(&body).send().await.assert_refused(400, "invalid_request");
    ada.assert_lives().await;
}

/// The query of a longer path is the client's own: it can neither open the door nor keep it shut.
async fn nobody_passes_by_a_question_that_is_not_exactly_right(app: TestApp) {
    let admin = app.admin().await;
    for query in [
        "?roles=admin",
        "?Role=admin",
        "?role=admin&role=admin",
        "?role=admin&role=member",
        "?role=admin&x",
        "?x=1",
        "?%72ole=admin&role=admin",
        "?ro%6de=admin",
    ] {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS] {
            let path = format!("/forward-auth{query}");
            let answer = admin.request(method.clone(), &path).send().await;
            assert_eq!(answer.status, 400, "{method}: {answer:?}");
            assert_eq!(answer.header("remote-user"), None, "{answer:?}");
            assert_eq!(app.anonymous().request(method, &path).send().await.status, 400, "{path}");
        }
    }
    for right in ["/forward-auth", "/forward-auth?", "/forward-auth?role=admin", "/forward-auth?%72ole=admin"]
    {
        assert_eq!(admin.get(right).send().await.status, 200, "{right}");
    }
    for clients in ["/forward-auth/?roles=admin&x=1&x=2", "/forward-auth/books?role=nobody"] {
        assert_eq!(admin.get(clients).send().await.status, 200, "{clients}");
        assert_eq!(app.anonymous().get(clients).send().await.status, 401, "{clients}");
    }
}
