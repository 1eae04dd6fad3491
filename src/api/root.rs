//! What every request passes, whatever it asks for: request id, log line, time limit, security
//! headers, and one shape for every error.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use poem::{Endpoint, EndpointExt, Request, Response};
use tracing::Instrument;

use super::error::{ApiError, problem_of};
use super::security::{RenewedToken, X_ACCESS_TOKEN};
use crate::domain::random::{self, Random};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken over from a proxy, in bytes.
const REQUEST_ID_MAX_BYTES: usize = 64;

/// A request that has not come in and been answered by then is given up. The slowest honest one
/// is a login behind a full queue of password checks.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Headers that every answer gets unless it set its own.
const DEFAULT_HEADERS: &[(HeaderName, &str)] = &[
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// Sent when the service's public URL is https: a year, as browsers' preload lists ask for.
const STRICT_TRANSPORT_SECURITY: &str = "max-age=31536000";

/// How a dialect writes an error.
pub(super) type ErrorShape = fn(ApiError) -> Response;

/// Wraps the routes of the service. `shape_of` says how errors look where a request goes.
pub(super) fn wrap(
    routes: impl Endpoint + 'static,
    random: Arc<dyn Random>,
    https: bool,
    shape_of: impl Fn(&Method, &str) -> ErrorShape + Send + Sync + 'static,
) -> impl Endpoint<Output = Response> + 'static {
    let shape_of = Arc::new(shape_of);
    routes.map_to_response().around(move |routes, request| {
        let (random, shape) = (random.clone(), shape_of(request.method(), request.uri().path()));
        async move { Ok(answer(&*routes, request, &*random, https, shape).await) }
    })
}

async fn answer(
    routes: &impl Endpoint<Output = Response>,
    mut request: Request,
    random: &dyn Random,
    https: bool,
    shape: ErrorShape,
) -> Response {
    let id = request_id(request.headers()).unwrap_or_else(|| random::uuid(random).to_string());
    let span = tracing::info_span!(
        "request",
        id,
        method = %request.method(),
        path = request.uri().path(),
    );
    let renewed = RenewedToken::default();
    request.set_data(renewed.clone());
    let mut response = async {
        let began = tokio::time::Instant::now();
        let answering = AssertUnwindSafe(routes.call(request)).catch_unwind();
        let response = match tokio::time::timeout(REQUEST_TIMEOUT, answering).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(error))) => shape(problem_of(error)),
            // The panic's own message goes to the log by way of the panic hook.
            Ok(Err(_)) => shape(ApiError::internal("a handler panicked")),
            Err(_) => shape(ApiError::request_timeout()),
        };
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(status = response.status().as_u16(), elapsed_ms, "answered");
        response
    }
    .instrument(span)
    .await;
    finish(response.headers_mut(), &id, &renewed, https);
    response
}

/// A proxy's request id, if it is one that a log can hold as it is.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    (plain && !id.is_empty() && id.len() <= REQUEST_ID_MAX_BYTES).then(|| id.to_owned())
}

fn finish(headers: &mut HeaderMap, id: &str, renewed: &RenewedToken, https: bool) {
    for (name, value) in DEFAULT_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if https {
        headers
            .insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(STRICT_TRANSPORT_SECURITY));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, id);
    }
    if let Some(mut token) = renewed.get().and_then(|token| HeaderValue::from_str(token.expose()).ok()) {
        token.set_sensitive(true);
        headers.insert(X_ACCESS_TOKEN, token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_taken_over_only_when_a_log_can_hold_it() {
        let id = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_static(text));
            request_id(&headers)
        };
        assert_eq!(id("a-1_b.2").as_deref(), Some("a-1_b.2"));
        assert_eq!(id(""), None);
        assert_eq!(id("a b"), None);
        assert_eq!(id("a\"b"), None);
        assert_eq!(id("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), None);
    }
}
