//! The guard as a poem middleware.

use hallpass_verify::AccessClaims;
use hallpass_verify::guard::Guard;
use poem::http::HeaderName;
use poem::test::{TestClient, TestResponse};
use poem::web::Data;
use poem::{Endpoint, EndpointExt, Route, get, handler};

use crate::issuer::*;
use crate::support::*;
use crate::tokens::*;

#[handler]
fn greet(claims: Data<&AccessClaims>) -> String {
    format!("hello {}", claims.sub)
}

#[handler]
fn delete(claims: Data<&AccessClaims>) -> poem::Result<String> {
    claims.require_scope("orders:delete").map_err(hallpass_verify::guard::Refusal::from)?;
    Ok("deleted".to_owned())
}

async fn answer(app: &TestClient<impl Endpoint>, path: &str, authorization: &[&str]) -> TestResponse {
    let mut request = app.get(path);
    for value in authorization {
        request = request.header(HeaderName::from_static("authorization"), *value);
    }
    request.send().await
}

#[tokio::test]
async fn the_middleware_lets_in_and_refuses_as_the_layer_does() {
    let issuer = Issuer::start(&[es256()]);
    let validator = patient(&issuer).await;
    let app = Route::new()
        .at("/", get(greet).with(Guard::new(validator.clone())))
        .at("/orders", get(delete).with(Guard::new(validator.clone())))
        .at("/services", get(greet).with(Guard::new(validator.clone()).allow_machines()))
        .at("/admin", get(greet).with(Guard::new(validator).require_role("admin")));
    let app = TestClient::new(app);
    let right = format!("Bearer {}", token(&issuer, es256()));

    let accepted = answer(&app, "/", &[&right]).await;
    accepted.assert_status_is_ok();
    accepted.assert_text("hello 42").await;
    let machine = format!("Bearer {}", machine_token(&issuer, es256()));
    answer(&app, "/services", &[&machine]).await.assert_text("hello orders").await;

    for (path, authorization, status, challenge) in [
        ("/", &[][..], 401, "Bearer"),
        (
            "/",
            &["Bearer a.b.c"],
            401,
            r#"Bearer error="invalid_token", error_description="the token is malformed""#,
        ),
        (
            "/",
            &[&right, &right],
            401,
            r#"Bearer error="invalid_token", error_description="the token is malformed""#,
        ),
        ("/", &[&machine], 403, r#"Bearer error="insufficient_scope""#),
        ("/admin", &[&right], 403, r#"Bearer error="insufficient_scope""#),
        ("/orders", &[&right], 403, r#"Bearer error="insufficient_scope", scope="orders:delete""#),
    ] {
        let refused = answer(&app, path, authorization).await;
        assert_eq!(refused.0.status(), status, "{path}");
        refused.assert_content_type("application/problem+json");
        refused.assert_header("www-authenticate", challenge);
        let body = refused.json().await;
        body.value().object().get("status").assert_i64(status.into());
    }
}

#[tokio::test]
async fn the_middleware_says_503_for_what_cannot_be_told() {
    let mut issuer = Issuer::start(&[es256()]);
    issuer.die();
    let validator = builder(&issuer).connect_lazy().expect("built");
    let app = TestClient::new(Route::new().at("/", get(greet).with(Guard::new(validator))));
    let refused = answer(&app, "/", &[&format!("Bearer {}", token(&issuer, es256()))]).await;
    assert_eq!(refused.0.status(), 503);
    refused.assert_header("retry-after", "1");
    refused.assert_header_is_not_exist("www-authenticate");
}
