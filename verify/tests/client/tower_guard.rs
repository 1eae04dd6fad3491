//! The guard as a tower layer.

use std::convert::Infallible;
use std::future::{Ready, poll_fn, ready};
use std::task::{Context, Poll};
use std::time::Duration;

use hallpass_verify::AccessClaims;
use hallpass_verify::client::Validator;
use hallpass_verify::guard::Guard;
use http::{Request, Response};
use serde_json::{Value, json};
use tower_layer::Layer;
use tower_service::Service;

use crate::issuer::*;
use crate::support::*;
use crate::tokens::*;

/// Greets whoever the request's claims name. It must be polled before each call, as tower demands.
#[derive(Default)]
struct Greeter {
    ready: bool,
}

impl Clone for Greeter {
    /// Another one has not been polled.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<()>> for Greeter {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(self.ready, "called without being polled");
        let claims = request.extensions().get::<AccessClaims>().expect("the guard puts them there");
        ready(Ok(Response::new(format!("hello {}", claims.sub))))
    }
}

async fn answer(guard: &Guard, authorization: &[&str]) -> Response<String> {
    let mut request = Request::new(());
    for value in authorization {
        request.headers_mut().append("authorization", value.parse().expect("a header value"));
    }
    let mut service = guard.layer(Greeter::default());
    poll_fn(|cx| service.poll_ready(cx)).await.expect("ready");
    service.call(request).await.expect("an answer")
}

fn header<'a>(response: &'a Response<String>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().expect("text"))
}

/// Asserts the status, the code, and that the body is problem details.
fn assert_refused(response: &Response<String>, status: u16, code: &str) {
    assert_eq!(response.status(), status);
    assert_eq!(header(response, "content-type"), Some("application/problem+json"));
    let body: Value = serde_json::from_str(response.body()).expect("JSON");
    assert_eq!((&body["status"], &body["code"]), (&json!(status), &json!(code)));
    assert_eq!(header(response, "retry-after").is_some(), status == 503);
    assert_eq!(header(response, "www-authenticate").is_some(), status != 503);
}

#[tokio::test]
async fn a_right_token_brings_its_claims_along() {
    let issuer = Issuer::start(&[es256()]);
    let guard = Guard::new(patient(&issuer).await);
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let response = answer(&guard, &[&format!("{scheme} {}", token(&issuer, es256()))]).await;
        assert_eq!((response.status().as_u16(), response.body().as_str()), (200, "hello 42"));
    }
}

#[tokio::test]
async fn each_refusal_is_answered_as_its_standard_says() {
    let issuer = Issuer::start(&[es256()]);
    let validator = patient(&issuer).await;
    let guard = Guard::new(validator.clone());
    let right = format!("Bearer {}", token(&issuer, es256()));
    let expired = format!("Bearer {}", token_with(&issuer, es256(), "exp", NOW - 1_000));

    let none = answer(&guard, &[]).await;
    assert_refused(&none, 401, "authentication_required");
    assert_eq!(header(&none, "www-authenticate"), Some("Bearer"));
    assert_refused(&answer(&guard, &["Basic YTpi"]).await, 401, "authentication_required");

    let wrong = answer(&guard, &["Bearer a.b.c"]).await;
    assert_refused(&wrong, 401, "invalid_token");
    assert!(
        header(&wrong, "www-authenticate").is_some_and(|value| value.contains(r#"error="invalid_token""#))
    );
    assert_refused(&answer(&guard, &[&expired]).await, 401, "token_expired");
    assert_refused(&answer(&guard, &[&right, &right]).await, 401, "invalid_token");

    issuer.revoke(session(1));
    eventually("the revocation arrives", || validator.status().revocations == 1).await;
    let revoked = format!("Bearer {}", token_of_session(&issuer, es256(), 1));
    assert_refused(&answer(&guard, &[&revoked]).await, 401, "token_revoked");
}

#[tokio::test]
async fn roles_and_scopes_are_asked_for_together() {
    let issuer = Issuer::start(&[es256()]);
    let validator = patient(&issuer).await;
    let guard = || Guard::new(validator.clone());
    let member = format!("Bearer {}", token(&issuer, es256()));
    for (guard, code) in [
        (guard().require_role("member"), None),
        (guard().require_role("admin"), Some("forbidden")),
        (guard().require_role("member").require_role("admin"), Some("forbidden")),
        (guard().require_scope("orders:read"), None),
        (guard().require_scope("orders:write"), Some("insufficient_scope")),
        (guard().require_role("member").require_scope("orders:read"), None),
        (guard().require_role("admin").require_scope("orders:read"), Some("forbidden")),
    ] {
        let response = answer(&guard, &[&member]).await;
        let Some(code) = code else {
            assert_eq!(response.status(), 200);
            continue;
        };
        assert_refused(&response, 403, code);
        let challenge = header(&response, "www-authenticate").expect("a challenge");
        assert!(challenge.contains(r#"error="insufficient_scope""#), "{challenge}");
    }
}

/// Any client of the issuer can get such a token: nobody is logged in by it.
#[tokio::test]
async fn machines_are_let_in_where_that_is_said_and_nowhere_else() {
    let issuer = Issuer::start(&[es256()]);
    let validator = patient(&issuer).await;
    let guard = || Guard::new(validator.clone());
    let machine = format!("Bearer {}", machine_token(&issuer, es256()));
    for (guard, code) in [
        (guard(), Some("forbidden")),
        (guard().require_scope("orders:read"), Some("forbidden")),
        (guard().allow_machines(), None),
        (guard().allow_machines().require_scope("orders:read"), None),
        (guard().allow_machines().require_scope("orders:write"), Some("insufficient_scope")),
        (guard().require_role("member").allow_machines(), Some("forbidden")),
    ] {
        let response = answer(&guard, &[&machine]).await;
        match code {
            None => assert_eq!((response.status().as_u16(), response.body().as_str()), (200, "hello orders")),
            Some(code) => assert_refused(&response, 403, code),
        }
    }
    // Whoever lets machines in lets people in as before.
    let person = format!("Bearer {}", token(&issuer, es256()));
    assert_eq!(answer(&guard().allow_machines(), &[&person]).await.status(), 200);
}

#[tokio::test]
async fn what_cannot_be_told_is_503_with_a_time_to_come_back() {
    let mut issuer = Issuer::start(&[es256()]);
    issuer.die();
    let validator: Validator =
        builder(&issuer).request_timeout(Duration::from_millis(100)).connect_lazy().expect("built");
    let right = format!("Bearer {}", token(&issuer, es256()));
    let response = answer(&Guard::new(validator), &[&right]).await;
    assert_refused(&response, 503, "dependency_unavailable");
    assert_eq!(header(&response, "retry-after"), Some("1"));
}
