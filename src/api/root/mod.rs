//! What every request passes, whatever it asks for: request id, log line, time limit, security
//! headers, and one shape for every error.

pub mod cors;
pub mod door;
mod operations;
mod request_ids;
mod request_log;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, ready};
use poem::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use poem::{Endpoint, EndpointExt, IntoResponse, Request, Response};
use serde_json::Value;
use tracing::Instrument;
use uuid::Uuid;

use self::cors::Cors;
use self::door::Door;
use self::request_ids::RequestIds;
use self::request_log::{Asked, RequestLog};
use crate::api::callers::refresh_cookie::{CookieJar, CookieRules};
use crate::api::callers::renewed_token::RenewedToken;
use crate::api::callers::security::X_ACCESS_TOKEN;
use crate::api::errors::{ApiError, problem_of};
use crate::api::main::at_once::Look;
use crate::api::wire::allow::AllowedMethods;
use crate::api::wire::client_address::TrustedProxies;
use crate::api::wire::rate_limit_headers;
use crate::api::wire::run_to_completion::RunToCompletion;
use crate::config::LoggedRequests;
use crate::domain::random::Random;
use crate::domain::tokens::AccessToken;
use crate::service::visitor::Visitor;

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
pub(crate) type ErrorShape = fn(ApiError) -> Response;

/// What stands between clients and the operations.
#[derive(Default)]
pub(crate) struct Entrance {
    /// Believed about who a request comes from.
    pub(crate) proxies: TrustedProxies,
    /// Turns some away.
    pub(crate) door: Door,
    /// Says which pages may read the answer.
    pub(crate) cors: Cors,
    /// Which requests have a line in the log.
    pub(crate) logged: LoggedRequests,
    /// The cookie of pages that ask for it.
    pub(crate) cookie: CookieRules,
    /// The origin of the service's own pages.
    pub(crate) own_origin: Option<String>,
}

/// What every request meets.
struct Root {
    ids: RequestIds,
    https: bool,
    proxies: TrustedProxies,
    door: Door,
    cors: Cors,
    allowed: AllowedMethods,
    log: RequestLog,
    cookie: Arc<CookieRules>,
    own_origin: Option<String>,
}

/// Wraps the routes of the service, which `documents` describe. `shape_of` says how errors look where a
/// request goes. What `look_at` answers, a validation that said yes, goes no further.
pub(crate) fn wrap<R, S, A>(
    routes: R,
    random: Arc<dyn Random>,
    https: bool,
    entrance: Entrance,
    documents: &[Value],
    shape_of: S,
    look_at: A,
) -> impl Endpoint<Output = Response> + 'static + use<R, S, A>
where
    R: Endpoint + 'static,
    S: Fn(&Request) -> ErrorShape + Send + Sync + 'static,
    A: Fn(&Request) -> Look + Send + Sync + 'static,
{
    let Entrance { proxies, door, cors, logged, cookie, own_origin } = entrance;
    let (allowed, log) = (AllowedMethods::of(documents), RequestLog::of(documents, logged));
    let cookie = Arc::new(cookie);
    let ids = RequestIds::new(&*random);
    let root = Arc::new(Root { ids, https, proxies, door, cors, allowed, log, cookie, own_origin });
    let shape_of = Arc::new(shape_of);
    routes.map_to_response().around(move |routes, mut request| {
        let began = tokio::time::Instant::now();
        let look = match root.answers_at_once(&request) {
            true => look_at(&request),
            false => Look::Other,
        };
        match look {
            Look::Answered(response) => {
                Either::Left(ready(Ok(root.answer_at_once(&request, response, began))))
            }
            Look::Asking(asking) => {
                let (root, shape_of) = (root.clone(), shape_of.clone());
                // Nothing is changed by asking: it need not go on where nobody waits for it.
                let asking = async move {
                    match asking.await {
                        Ok(response) => Ok(root.answer_at_once(&request, response, began)),
                        Err(judged) => {
                            request.set_data(judged);
                            the_long_way(&root, routes, shape_of(&request), request).await
                        }
                    }
                };
                Either::Right(Either::Left(asking.boxed()))
            }
            Look::Judged(judged) => {
                request.set_data(judged);
                let shape = shape_of(&request);
                Either::Right(Either::Right(the_long_way(&root, routes, shape, request)))
            }
            Look::Other => {
                let shape = shape_of(&request);
                Either::Right(Either::Right(the_long_way(&root, routes, shape, request)))
            }
        }
    })
}

/// By the operation that a request asks for. Begun, it is finished.
fn the_long_way<R>(
    root: &Arc<Root>,
    routes: Arc<R>,
    shape: ErrorShape,
    request: Request,
) -> RunToCompletion<impl Future<Output = poem::Result<Response>> + Send + use<R>>
where
    R: Endpoint<Output = Response> + 'static,
{
    let root = root.clone();
    RunToCompletion::new(async move { Ok(root.receive(&*routes, request, shape).await) })
}

impl Root {
    /// Whether a request may be answered before it has come in: none that is turned away, and none that has a line of
    /// its own in the log.
    fn answers_at_once(&self, request: &Request) -> bool {
        !self.log.has_lines_for_validations() && self.door.refusal(request).is_none()
    }

    /// An answer to a validation, with all that answers have.
    fn answer_at_once(
        &self,
        request: &Request,
        mut response: Response,
        began: tokio::time::Instant,
    ) -> Response {
        let now = tokio::time::Instant::now();
        self.log.validated(request.method(), request.uri().path(), now - began);
        self.log.report(now);
        finish(response.headers_mut(), self.name(request.headers()), None, self.https);
        self.cors.describe(&self.cors.look_at(request), response.headers_mut());
        response
    }

    async fn receive(
        &self,
        routes: &impl Endpoint<Output = Response>,
        mut request: Request,
        shape: ErrorShape,
    ) -> Response {
        let peer = request.remote_addr().as_socket_addr().map(std::net::SocketAddr::ip);
        let visitor = Visitor::new(self.proxies.client_address(peer, request.headers()));
        let from_page = self.cors.look_at(&request);
        let decided = match self.door.refusal(&request) {
            Some(refusal) => Some(Err(refusal)),
            None => from_page.is_preflight.then(|| Ok(StatusCode::NO_CONTENT.into_response())),
        };
        let uri = request.uri().clone();
        let id = self.name(request.headers());
        let name = id.to_str().unwrap_or_default();
        let asked = self.log.look_at(request.method(), uri.path());
        let trace_id = request_log::trace_id(request.headers());
        let span = asked.span(name, trace_id, request.method(), uri.path(), visitor.address());
        let renewed = RenewedToken::default();
        request.set_data(renewed.clone());
        let is_trusted = from_page.is_of_a_listed_page() || self.is_own_page(request.headers());
        let jar = CookieJar::new(self.cookie.clone(), is_trusted);
        request.set_data(jar.clone());
        request.set_data(visitor.clone());
        let mut response = self.answer(routes, request, decided, &asked, shape).instrument(span).await;
        self.log.report(tokio::time::Instant::now());
        finish(response.headers_mut(), id, renewed.get(), self.https);
        if let Some(cookie) = jar.to_set() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        if !response.status().is_server_error() {
            rate_limit_headers::announce(response.headers_mut(), visitor.quota_log());
        }
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, self.allowed.at(uri.path()));
        }
        self.cors.describe(&from_page, response.headers_mut());
        response
    }

    /// What a request is known by.
    fn name(&self, headers: &HeaderMap) -> HeaderValue {
        let given = request_id(headers).cloned();
        given.unwrap_or_else(|| {
            let mut text = Uuid::encode_buffer();
            let text = self.ids.next().hyphenated().encode_lower(&mut text);
            // Digits, letters and hyphens are the value of a header.
            HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
        })
    }

    /// Whether a request comes from a page of the service itself, by its one `Origin`.
    fn is_own_page(&self, headers: &HeaderMap) -> bool {
        let mut lines = headers.get_all(header::ORIGIN).iter();
        match (lines.next(), lines.next(), &self.own_origin) {
            (Some(origin), None, Some(own)) => origin.as_bytes() == own.as_bytes(),
            _ => false,
        }
    }

    /// Answers a request, by what was `decided` about it already or else by the operation that it asks for.
    async fn answer(
        &self,
        routes: &impl Endpoint<Output = Response>,
        request: Request,
        decided: Option<Result<Response, ApiError>>,
        asked: &Asked<'_>,
        shape: ErrorShape,
    ) -> Response {
        let began = tokio::time::Instant::now();
        let admitted = async {
            match decided {
                Some(decided) => decided.map_err(poem::Error::from),
                None => routes.call(request).await,
            }
        };
        let answering = AssertUnwindSafe(admitted).catch_unwind();
        let response = match tokio::time::timeout(REQUEST_TIMEOUT, answering).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(error))) => shape(problem_of(error)),
            // The panic's own message goes to the log by way of the panic hook.
            Ok(Err(_)) => shape(ApiError::internal("a handler panicked")),
            Err(_) => shape(ApiError::request_timeout()),
        };
        self.log.answered(asked, &response, began.elapsed());
        response
    }
}

/// A proxy's request id, if it is one that a log can hold as it is.
fn request_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    let value = headers.get(X_REQUEST_ID)?;
    let id = value.to_str().ok()?;
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    (plain && !id.is_empty() && id.len() <= REQUEST_ID_MAX_BYTES).then_some(value)
}

fn finish(headers: &mut HeaderMap, id: HeaderValue, renewed: Option<AccessToken>, https: bool) {
    for (name, value) in DEFAULT_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if https {
        headers
            .insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(STRICT_TRANSPORT_SECURITY));
    }
    headers.insert(X_REQUEST_ID, id);
    if let Some(mut token) = renewed.and_then(|token| HeaderValue::from_str(token.expose()).ok()) {
        token.set_sensitive(true);
        headers.insert(X_ACCESS_TOKEN, token);
    }
}

#[cfg(test)]
mod tests {
    use poem::{Body, Route, get, handler};
    use serde_json::json;

    use super::*;

    #[handler]
    fn here() -> &'static str {
        "here"
    }

    async fn asked(method: &str, path: &str) -> Response {
        #[derive(Debug)]
        struct Zeros;
        impl Random for Zeros {
            fn fill(&self, bytes: &mut [u8]) {
                bytes.fill(0);
            }
        }
        let routes = Route::new().at("/users/:id", get(here)).at("/.well-known/keys", get(here));
        let document = json!({ "paths": { "/users/{id}": { "get": {} } } });
        let shape = |_: &Request| -> ErrorShape { IntoResponse::into_response };
        let endpoint =
            wrap(routes, Arc::new(Zeros), false, Entrance::default(), &[document], shape, |_: &Request| {
                Look::Other
            });
        let method = method.parse().expect("a method");
        let request = Request::builder().method(method).uri(path.parse().expect("a path"));
        endpoint.get_response(request.body(Body::empty())).await
    }

    #[tokio::test]
    async fn a_method_that_a_path_does_not_take_is_answered_with_those_it_does() {
        let response = asked("DELETE", "/users/7").await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.header(header::ALLOW), Some("GET, HEAD"));
        for method in ["GET", "HEAD"] {
            let response = asked(method, "/users/7").await;
            assert!(response.status().is_success(), "{method}");
            assert_eq!(response.header(header::ALLOW), None);
        }
    }

    #[tokio::test]
    async fn pages_of_any_origin_may_read_public_documents_and_nothing_else() {
        let origin = header::ACCESS_CONTROL_ALLOW_ORIGIN;
        assert_eq!(asked("GET", "/.well-known/keys").await.header(&origin), Some("*"));
        assert_eq!(asked("GET", "/users/7").await.header(&origin), None);
    }

    #[test]
    fn a_request_id_is_taken_over_only_when_a_log_can_hold_it() {
        let id = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_static(text));
            request_id(&headers).cloned()
        };
        assert_eq!(id("a-1_b.2"), Some(HeaderValue::from_static("a-1_b.2")));
        assert_eq!(id(""), None);
        assert_eq!(id("a b"), None);
        assert_eq!(id("a\"b"), None);
        assert_eq!(id("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), None);
    }
}
