//! By which names `hallpass dev` lets itself be called.

use hallpass::config::Profile;
use serde_json::json;

use crate::support::{ADMIN_EMAIL, ADMIN_PASSWORD, Actor, Answer, TestApp};

async fn log_in_at(app: &TestApp, host: &str) -> Answer {
    let body = json!({"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD});
    app.anonymous().post("/auth/login").header("host", host).json(&body).send().await
}

/// A web page elsewhere can have its own name lead to this machine. To a browser the developer's service,
/// with its known administrator, is then part of that page.
#[tokio::test]
async fn dev_does_not_answer_to_a_name_that_is_not_its_own() {
    let app = TestApp::spawn().await;
    for host in ["evil.example", "evil.example:8080", "localhost.evil.example", "hallpass.test"] {
        log_in_at(&app, host).await.assert_refused(421, "misdirected_request");
    }
    for host in ["localhost:8080", "127.0.0.1", "[::1]:8080", "192.168.0.7", "dev.localhost"] {
        log_in_at(&app, host).await.tokens(200);
    }
    for path in ["/docs", "/health/live", "/nowhere"] {
        let answer = app.anonymous().get(path).header("host", "evil.example").send().await;
        answer.assert_refused(421, "misdirected_request");
    }
    // In the shape of whatever is asked for.
    let oauth = app.anonymous().post("/oauth2/token").header("host", "evil.example").send().await;
    assert_eq!((oauth.status, oauth.json(421)["error"].as_str()), (421, Some("invalid_request")));
    let boom = app.anonymous().get("/me").header("host", "evil.example").send().await;
    assert_eq!(boom.json(421)["statusCode"], 421);
}

#[tokio::test]
async fn dev_answers_to_its_public_url_and_to_names_that_were_set() {
    let settings = ["public_url=http://hallpass.test:8080", "dev.allowed_hosts=auth.test,Hallpass"];
    let app = TestApp::set(&settings).await;
    for host in ["hallpass.test:8080", "hallpass.test", "AUTH.test", "hallpass:80"] {
        log_in_at(&app, host).await.tokens(200);
    }
    log_in_at(&app, "evil.example").await.assert_refused(421, "misdirected_request");
}

/// In production a proxy in front may call it as it likes.
#[tokio::test]
async fn serve_answers_to_any_name() {
    let app = TestApp::spawn().await.another_instance(|settings| settings.profile = Profile::Serve).await;
    log_in_at(&app, "hallpass-7f9c.internal").await.tokens(200);
}
