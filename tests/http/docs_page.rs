//! The docs page and the documents: whether there is a page, what it fills in, and what is sent packed.

use hallpass::config::{AdminSettings, Profile};
use hallpass::domain::email::Email;
use hallpass::domain::password::Password;
use serde_json::json;

use crate::support::{ADMIN_EMAIL, ADMIN_PASSWORD, Actor, PASSWORD, TestApp};

const PAGE: &[&str] = &["/docs", "/docs/", "/docs/docs.js", "/docs/docs.css", "/docs/swagger-ui-bundle.js"];
const DOCUMENTS: &[&str] = &["/openapi.json", "/openapi/nest.json", "/openapi/access-tokens.json"];

#[tokio::test]
async fn dev_fills_in_what_everybody_knows_of_it_and_nothing_that_somebody_chose() {
    let page = TestApp::spawn().await.anonymous().get("/docs").send().await.text();
    for sample in [ADMIN_EMAIL, "books-dev-secret"] {
        assert!(page.contains(sample), "{sample}");
    }
    let own = TestApp::with(|settings| {
        settings.admin = AdminSettings {
            email: Some(Email::parse("ada@example.com").expect("an address")),
            password: Some(Password::parse(PASSWORD).expect("a password")),
        };
    });
    let own = own.await;
    let page = own.anonymous().get("/docs").send().await.text();
    for chosen in ["ada@example.com", "weaves", "johndoe"] {
        assert!(!page.contains(chosen), "{chosen}");
    }
    assert!(page.contains("books-dev-secret"));
}

#[tokio::test]
async fn serve_fills_nothing_in() {
    // Even with an administrator of that very name.
    let app = TestApp::with(|settings| settings.profile = Profile::Serve).await;
    let texts = PAGE[..4].iter().chain(DOCUMENTS);
    for path in texts {
        let text = app.anonymous().get(path).send().await.text();
        for sample in ["johndoe", "books-dev-secret", "&quot;password&quot;"] {
            assert!(!text.contains(sample), "{sample} in {path}");
        }
    }
}

#[tokio::test]
async fn a_page_that_is_off_is_not_there_and_the_documents_are() {
    let app = TestApp::set(&["docs.enabled=false"]).await;
    let anonymous = app.anonymous();
    for path in PAGE.iter().chain(&["/"]) {
        anonymous.get(path).send().await.assert_refused(404, "not_found");
    }
    for path in DOCUMENTS {
        anonymous.get(path).send().await.json(200);
    }
    let on = TestApp::spawn().await;
    for path in PAGE {
        assert_eq!(on.anonymous().get(path).send().await.status, 200, "{path}");
    }
    assert_eq!(on.anonymous().get("/").send().await.header("location"), Some("docs"));
}

#[tokio::test]
async fn documents_and_pages_are_sent_packed_and_no_answer_with_a_secret_is() {
    let app = TestApp::spawn().await;
    let anonymous = app.anonymous();
    let packed =
        |request: crate::support::Request| request.header("accept-encoding", "gzip, deflate, br").send();
    let pages = ["/pages/pages.css", "/pages/pages.js"];
    for path in PAGE.iter().chain(DOCUMENTS).chain(&pages) {
        let answer = packed(anonymous.get(path)).await;
        assert_eq!(answer.header("content-encoding"), Some("gzip"), "{answer:?}");
        assert!(answer.header("vary").is_some_and(|by| by.contains("Accept-Encoding")), "{answer:?}");
        let plain = anonymous.get(path).send().await;
        assert_eq!(plain.header("content-encoding"), None, "{plain:?}");
        assert!(plain.header("vary").is_some_and(|by| by.contains("Accept-Encoding")), "{plain:?}");
        let tag = answer.header("etag").expect("a tag").to_owned();
        assert_ne!(Some(&*tag), plain.header("etag"), "{path}");
        let known = packed(anonymous.get(path).header("if-none-match", &tag)).await;
        assert_eq!(known.status, 304, "{known:?}");
    }

    let login = packed(
        anonymous.post("/auth/login").json(&json!({"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD})),
    )
    .await;
    let tokens = login.tokens(200);
    let refresh = json!({ "refreshToken": tokens["refreshToken"] });
    let grant = json!({"grant_type": "client_credentials", "client_id": "books", "client_secret": "books-dev-secret"});
    let access = tokens["accessToken"].as_str().expect("a token");
    for answer in [
        login,
        packed(anonymous.get("/auth/auth-me").access(access)).await,
        packed(anonymous.get("/users").access(access)).await,
        packed(anonymous.post("/auth/refresh-token").json(&refresh)).await,
        packed(anonymous.post("/oauth2/token").json(&grant)).await,
    ] {
        answer.json(200);
        assert_eq!(answer.header("content-encoding"), None, "{answer:?}");
    }
}
