//! What clients read to find out where things are.

use serde_json::{Value, json};

use crate::support::{Actor, Answer, ISSUER, TestApp};

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";
const RESOURCE: &str = "/.well-known/oauth-protected-resource";

async fn get(app: &TestApp, path: &str) -> Answer {
    app.anonymous().get(path).send().await
}

#[tokio::test]
async fn both_names_lead_to_one_document_with_the_exact_issuer() {
    let app = TestApp::spawn().await;
    let metadata = get(&app, OAUTH).await.json(200);
    assert_eq!(metadata, get(&app, OPENID).await.json(200));
    assert_eq!(metadata["issuer"], ISSUER);
    let jwks = metadata["jwks_uri"].as_str().and_then(|url| url.strip_prefix(ISSUER)).expect("our own");
    let keys = get(&app, jwks).await.json(200);
    let algorithms: Vec<&Value> =
        keys["keys"].as_array().expect("keys").iter().map(|key| &key["alg"]).collect();
    assert_eq!(algorithms, ["ES256", "ES256"]);
    // go-oidc takes RS256 alone where this is missing.
    assert_eq!(metadata["id_token_signing_alg_values_supported"], json!(["ES256"]));
    assert_eq!(metadata["subject_types_supported"], json!(["public"]));
    assert_eq!(metadata["response_types_supported"], json!([]));
    let nulls = metadata.as_object().expect("an object").iter().filter(|(_, value)| value.is_null()).count();
    assert_eq!(nulls, 0, "{metadata}");
}

#[tokio::test]
async fn pages_of_any_origin_may_read_it_and_ask_again_by_tag() {
    let app = TestApp::spawn().await;
    for path in [OAUTH, OPENID, RESOURCE] {
        let answer = get(&app, path).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
        let tag = answer.header("etag").expect("a tag").to_owned();
        let again = app.anonymous().get(path).header("if-none-match", &tag).send().await;
        assert_eq!((again.status, again.text()), (304, String::new()));
        assert_eq!(again.header("etag"), Some(tag.as_str()));
    }
}

#[tokio::test]
async fn every_grant_that_there_is_is_named() {
    let grants = get(&TestApp::spawn().await, OAUTH).await.json(200)["grant_types_supported"].clone();
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    assert_eq!(grants, json!(["client_credentials", "refresh_token", exchange]));
}

#[tokio::test]
async fn the_resource_tells_for_whom_its_tokens_are_and_who_issues_them() {
    let app = TestApp::set(&["tokens.audience=https://api.example.com"]).await;
    let told = json!({
        "resource": "https://api.example.com",
        "authorization_servers": [ISSUER],
        "jwks_uri": format!("{ISSUER}/.well-known/jwks.json"),
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["revocations:read", "tokens:introspect"],
    });
    assert_eq!(get(&app, RESOURCE).await.json(200), told);
    let moved = TestApp::set(&["public_url=https://example.com/auth"]).await;
    let told = get(&moved, RESOURCE).await.json(200);
    assert_eq!(told["resource"], "https://example.com/auth");
    assert_eq!(get(&moved, &format!("{RESOURCE}/auth")).await.json(200), told);
    get(&moved, &format!("{RESOURCE}/other")).await.assert_refused(404, "not_found");
    get(&app, &format!("{RESOURCE}/auth")).await.assert_refused(404, "not_found");
}

/// RFC 9728 5.1. The answers of the contracts stay as they are.
#[tokio::test]
async fn a_proxys_question_that_is_refused_says_where_that_is_and_nothing_else_does() {
    let app = TestApp::spawn().await;
    let ask = async |path: &str, token: Option<&str>| {
        let request = app.anonymous().get(path);
        let request = if let Some(token) = token { request.access(token) } else { request };
        request.send().await.header("www-authenticate").map(str::to_owned)
    };
    let metadata = format!("resource_metadata=\"{ISSUER}{RESOURCE}\"");
    let invalid = "Bearer error=\"invalid_token\", error_description=\"The access token is not valid.\"";
    for path in ["/forward-auth", "/forward-auth/any/path"] {
        assert_eq!(ask(path, None).await, Some(format!("Bearer {metadata}")));
        assert_eq!(ask(path, Some("junk")).await, Some(format!("{invalid}, {metadata}")));
    }
    assert_eq!(ask("/users/me", None).await.as_deref(), Some("Bearer"));
    assert_eq!(ask("/auth/auth-me", Some("junk")).await.as_deref(), Some(invalid));
    // Whoever lacks a role needs no other token.
    let ada = app.member("ada").await;
    let told = ask("/forward-auth?role=admin", Some(&ada.tokens.access)).await;
    assert_eq!(told.as_deref(), Some("Bearer error=\"insufficient_scope\""));
}

/// RFC 8414 3.1 puts the well-known part before the path, OpenID behind it; what is in front of the
/// service takes the path off there.
#[tokio::test]
async fn an_issuer_with_a_path_is_found_in_either_way() {
    let app = TestApp::set(&["public_url=https://example.com/auth/eu"]).await;
    let metadata = get(&app, OPENID).await.json(200);
    assert_eq!(metadata["issuer"], "https://example.com/auth/eu");
    assert_eq!(metadata["jwks_uri"], "https://example.com/auth/eu/.well-known/jwks.json");
    for name in [OAUTH, OPENID] {
        let found = get(&app, &format!("{name}/auth/eu")).await;
        assert_eq!(found.json(200), metadata);
        let tag = found.header("etag").expect("a tag").to_owned();
        let again = app.anonymous().get(&format!("{name}/auth/eu")).header("if-none-match", &tag);
        assert_eq!(again.send().await.status, 304);
        for other in ["/auth", "/auth/eu/", "/auth/eu/x", "/elsewhere", "/"] {
            get(&app, &format!("{name}{other}")).await.assert_refused(404, "not_found");
        }
    }
    let rootless = TestApp::spawn().await;
    get(&rootless, &format!("{OAUTH}/auth")).await.assert_refused(404, "not_found");
}

#[tokio::test]
async fn it_is_there_while_the_stores_are_away() {
    let app = TestApp::on_servers_of_its_own().await;
    app.redis().kill();
    app.stop_postgres();
    for path in [OAUTH, OPENID, "/.well-known/jwks.json"] {
        get(&app, path).await.json(200);
    }
}

#[tokio::test]
async fn it_names_the_algorithms_of_all_published_keys() {
    let app = TestApp::spawn().await;
    let algorithm = "RS256".parse().expect("an algorithm");
    app.services().signing_keys.create(Some(algorithm)).await.expect("a key");
    app.catch_up().await;
    let metadata = get(&app, OAUTH).await.json(200);
    assert_eq!(metadata["id_token_signing_alg_values_supported"], json!(["ES256", "RS256"]));
}
