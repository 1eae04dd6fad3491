//! The setting `compat`: what it takes away.

use poem::http::Method;

use super::request;
use crate::support::TestApp;

/// A request that each API alone answers, its document, and what the docs page calls it.
const NEST: (Method, &str, &str) = (Method::POST, "/auth/signin", "nest.json");
const ACCESS_TOKENS: (Method, &str, &str) = (Method::POST, "/access-tokens", "access-tokens.json");

async fn is_there(app: &TestApp, (method, path, document): (Method, &str, &str)) -> bool {
    let operation = request(app, method, path).send().await.status != 404;
    let served = request(app, Method::GET, &format!("/openapi/{document}")).send().await.status == 200;
    let page = request(app, Method::GET, "/docs").send().await.text();
    assert_eq!((operation, page.contains(document)), (served, served), "{document}");
    served
}

#[tokio::test]
async fn an_api_that_is_not_named_is_not_there() {
    for (setting, nest, access_tokens) in [
        ("compat=nest,access-tokens", true, true),
        ("compat=nest", true, false),
        ("compat=access-tokens", false, true),
        ("compat=", false, false),
    ] {
        let app = TestApp::set(&[setting]).await;
        assert_eq!(is_there(&app, NEST).await, nest, "{setting}");
        assert_eq!(is_there(&app, ACCESS_TOKENS).await, access_tokens, "{setting}");
    }
}

#[tokio::test]
async fn both_are_there_by_default_and_not_in_the_main_document() {
    let app = TestApp::spawn().await;
    assert!(is_there(&app, NEST).await);
    assert!(is_there(&app, ACCESS_TOKENS).await);
    let main = request(&app, Method::GET, "/openapi.json").send().await.json(200);
    for path in ["/auth/signup", "/auth/signin", "/auth/signout", "/auth/refresh", "/access-tokens", "/me"] {
        assert!(main["paths"].get(path).is_none(), "{path}");
    }
    assert_eq!(main["paths"]["/users"]["post"]["operationId"], "createAccount", "that of administrators");
}

#[tokio::test]
async fn the_documents_are_those_of_the_repository() {
    let app = TestApp::spawn().await;
    for document in ["nest.json", "access-tokens.json"] {
        let path = format!("{}/openapi/{document}", env!("CARGO_MANIFEST_DIR"));
        let file = std::fs::read_to_string(path).expect("the document");
        let served = request(&app, Method::GET, &format!("/openapi/{document}")).send().await;
        assert!(served.text() == file, "{document}");
    }
}

#[tokio::test]
async fn without_the_access_tokens_api_its_paths_are_the_main_apis() {
    let app = TestApp::set(&["compat="]).await;
    let users = request(&app, Method::POST, "/users").send().await;
    users.assert_refused(401, "authentication_required");
    request(&app, Method::GET, "/me").send().await.assert_refused(404, "not_found");
    request(&app, Method::POST, "/access-tokens/x").send().await.assert_refused(404, "not_found");
    let page = request(&app, Method::GET, "/docs").send().await.text();
    assert!(!page.contains("<nav") && !page.contains("<!--"), "{page}");
}
