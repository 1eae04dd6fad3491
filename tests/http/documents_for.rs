//! Documents in the form that a generator needs.

use std::collections::BTreeSet;

use poem::http::Method;
use serde_json::json;

use crate::support::{Actor, TestApp};

const DOCUMENTS: [(&str, &str); 3] = [
    ("/openapi.json", "hallpass.json"),
    ("/openapi/nest.json", "nest.json"),
    ("/openapi/access-tokens.json", "access-tokens.json"),
];

fn file(name: &str) -> String {
    let path = format!("{}/openapi/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[tokio::test]
async fn each_document_comes_in_the_form_that_is_asked_for() {
    let app = TestApp::spawn().await;
    for (path, name) in DOCUMENTS {
        let mut tags = BTreeSet::new();
        for (query, folder) in [
            ("", ""),
            ("?for=progenitor", "progenitor/"),
            ("?utm_source=mail&for=openapi%2Dgenerator&v=1&v=2", "openapi-generator/"),
        ] {
            let answer = app.anonymous().get(&format!("{path}{query}")).send().await;
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
            assert!(answer.text() == file(&format!("{folder}{name}")), "{path}{query}");
            let tag = answer.header("etag").expect("an entity tag").to_owned();
            let again =
                app.anonymous().get(&format!("{path}{query}")).header("if-none-match", &tag).send().await;
            assert_eq!(again.status, 304, "{path}{query}");
            tags.insert(tag);
        }
        let texts: BTreeSet<_> =
            ["", "progenitor/", "openapi-generator/"].map(|folder| file(&format!("{folder}{name}"))).into();
        assert_eq!(tags.len(), texts.len(), "{path}: {tags:?}");
    }
}

#[tokio::test]
async fn a_form_that_there_is_not_is_refused_with_those_that_there_are() {
    let app = TestApp::spawn().await;
    for (path, _) in DOCUMENTS {
        for name in ["kiota", "", "Progenitor", "go"] {
            let problem = app.anonymous().get(&format!("{path}?for={name}")).send().await;
            let problem = problem.assert_refused(400, "invalid_request");
            let refused =
                json!([{ "field": "for", "detail": "must be openapi-generator or progenitor, or left out" }]);
            assert_eq!(problem["errors"], refused, "{path}: {name}");
        }
        let twice = app.anonymous().get(&format!("{path}?for=progenitor&for=progenitor")).send().await;
        twice.assert_refused(400, "unknown_parameter");
        let head = app.anonymous().request(Method::HEAD, &format!("{path}?for=progenitor")).send().await;
        assert_eq!(head.status, 200, "{head:?}");
        let post = app.anonymous().request(Method::POST, &format!("{path}?for=progenitor")).send().await;
        post.assert_refused(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn each_form_is_of_the_place_that_it_is_served_at() {
    let app = TestApp::set(&["public_url=https://example.com/auth"]).await;
    for (path, _) in DOCUMENTS {
        for query in ["", "?for=progenitor", "?for=openapi-generator"] {
            let document = app.anonymous().get(&format!("{path}{query}")).send().await.json(200);
            assert_eq!(document["servers"], json!([{ "url": "/auth" }]), "{path}{query}");
        }
    }
}
