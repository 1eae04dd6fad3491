//! What pages of other origins may read, in browsers (the Fetch standard's CORS protocol).
//!
//! poem's own middleware answers strangers with an error where they are to get what everybody gets, and
//! tells caches of the `Origin` only now and then.

use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use poem::Request;
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::api::main::forward_auth;
use crate::domain::web_origin::WebOrigin;

/// Where answers are for everyone, so that pages of any origin may read them: keys and documents.
const PUBLIC_DOCUMENTS: [&str; 2] = ["/.well-known/", "/openapi"];

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// What a page may send beside the headers that any may.
const REQUEST_HEADERS: &str = "Authorization, Content-Type, X-Refresh-Token, X-Access-Token, Hallpass-Mode, \
    If-None-Match, Last-Event-ID, X-Request-Id, traceparent";

/// What a page may read beside the headers that any may.
const EXPOSED_HEADERS: &str = "X-Access-Token, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, Link, \
    X-Total-Count, ETag, WWW-Authenticate";

/// How long a browser keeps the answer to a preflight, seconds: the most that Chromium takes.
const MAX_AGE: &str = "7200";

/// The pages that may read answers, besides those of the service itself.
#[derive(Clone, Debug)]
pub enum AllowedOrigins {
    /// Those of any origin, without credentials.
    Any,
    /// Those of these origins.
    Listed {
        /// Which.
        origins: Vec<WebOrigin>,
        /// Whether the pages of this machine may besides.
        loopback: bool,
    },
}

/// Says who may read an answer.
#[derive(Clone, Debug)]
pub struct Cors(Arc<ArcSwap<Rules>>);

#[derive(Debug)]
enum Rules {
    Any,
    Listed { origins: HashSet<String>, loopback: bool },
}

/// Who asks, as far as that decides who may read the answer.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    reader: Reader,
    /// Whether the browser asks on its own account, before it sends a page's request.
    pub(crate) is_preflight: bool,
}

impl Asked {
    /// Whether a page of a listed origin asks, which may send credentials.
    pub(crate) fn is_of_a_listed_page(&self) -> bool {
        matches!(self.reader, Reader::Page(_))
    }
}

/// Who may read the answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reader {
    /// Pages of the service itself alone.
    Nobody,
    /// Pages of any origin, as it has always been with keys and documents.
    AnybodyOfDocuments,
    /// Pages of any origin.
    Anybody,
    /// Pages of the origin that asks, with credentials.
    Page(HeaderValue),
}

impl Rules {
    fn of(allowed: AllowedOrigins) -> Self {
        match allowed {
            AllowedOrigins::Any => Self::Any,
            AllowedOrigins::Listed { origins, loopback } => {
                Self::Listed { origins: origins.iter().map(ToString::to_string).collect(), loopback }
            }
        }
    }
}

impl Cors {
    /// By the settings.
    pub fn new(allowed: AllowedOrigins) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Rules::of(allowed))))
    }

    /// By other settings from now on, as all its clones.
    pub fn change(&self, allowed: AllowedOrigins) {
        self.0.store(Arc::new(Rules::of(allowed)));
    }

    /// Looks at a request before anything is done about it.
    pub(crate) fn look_at(&self, request: &Request) -> Asked {
        let (path, headers) = (request.uri().path(), request.headers());
        // A proxy's question is about tokens whatever the method: an answer of 2xx lets the request in.
        let is_preflight = request.method() == Method::OPTIONS
            && headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
            && !forward_auth::is_asked(path);
        Asked { reader: self.reader(path, headers), is_preflight }
    }

    fn reader(&self, path: &str, headers: &HeaderMap) -> Reader {
        if PUBLIC_DOCUMENTS.iter().any(|place| path.starts_with(place)) {
            return Reader::AnybodyOfDocuments;
        }
        match &**self.0.load() {
            Rules::Any => Reader::Anybody,
            Rules::Listed { origins, loopback } => {
                let mut lines = headers.get_all(header::ORIGIN).iter();
                let (Some(origin), None) = (lines.next(), lines.next()) else { return Reader::Nobody };
                let is_of_this_machine =
                    |text: &str| *loopback && WebOrigin::parse(text).is_ok_and(|origin| origin.is_loopback());
                match origin.to_str() {
                    Ok(text) if origins.contains(text) || is_of_this_machine(text) => {
                        Reader::Page(origin.clone())
                    }
                    _ => Reader::Nobody,
                }
            }
        }
    }

    /// Whether an answer may differ by the origin that asks.
    fn is_on(&self) -> bool {
        match &**self.0.load() {
            Rules::Any => true,
            Rules::Listed { origins, loopback } => *loopback || !origins.is_empty(),
        }
    }

    /// Says in the answer who may read it. Browsers of pages that may not get the same answer without.
    pub(crate) fn describe(&self, asked: &Asked, headers: &mut HeaderMap) {
        let mut set = |name: HeaderName, value: &'static str| {
            headers.insert(name, HeaderValue::from_static(value));
        };
        match asked.reader {
            Reader::Nobody => {}
            Reader::AnybodyOfDocuments | Reader::Anybody => set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            Reader::Page(_) => set(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
        }
        match (&asked.reader, asked.is_preflight) {
            (Reader::Nobody, _) | (Reader::AnybodyOfDocuments, false) => {}
            (_, true) => {
                set(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
                set(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
                set(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
            }
            (_, false) => set(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS),
        }
        if let Reader::Page(origin) = &asked.reader {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
        if self.is_on() {
            vary_by_origin(headers);
        }
    }
}

impl Default for Cors {
    /// Pages of the service itself alone.
    fn default() -> Self {
        Self::new(AllowedOrigins::Listed { origins: Vec::new(), loopback: false })
    }
}

/// So that no cache hands one page's answer to another (RFC 9110 12.5.5); all in one line.
fn vary_by_origin(headers: &mut HeaderMap) {
    let known = headers.get_all(header::VARY).iter().filter_map(|line| line.to_str().ok());
    let all = known.chain(["Origin"]).collect::<Vec<_>>().join(", ");
    if let Ok(all) = HeaderValue::try_from(all) {
        headers.insert(header::VARY, all);
    }
}

#[cfg(test)]
mod tests {
    use poem::Endpoint;
    use poem::http::StatusCode;

    use super::*;
    use crate::domain::random::Random;

    const APP: &str = "https://app.example.com";

    fn listed(loopback: bool) -> Cors {
        let origins = vec![WebOrigin::parse(APP).expect("an origin")];
        Cors::new(AllowedOrigins::Listed { origins, loopback })
    }

    fn request(method: Method, path: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder().method(method).uri(path.parse().expect("a path"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.finish()
    }

    fn reader(cors: &Cors, path: &str, origins: &[&str]) -> Reader {
        let headers: Vec<_> = origins.iter().map(|origin| ("origin", *origin)).collect();
        cors.look_at(&request(Method::GET, path, &headers)).reader
    }

    #[test]
    fn an_origin_is_compared_to_the_byte() {
        let page = Reader::Page(HeaderValue::from_static(APP));
        assert_eq!(reader(&listed(false), "/users/me", &[APP]), page);
        for others in [
            &[][..],
            &["null"],
            &["https://app.example.com.evil.example"],
            &["https://app.example.com:8443"],
            &["https://App.example.com"],
            &["https://app.example.com/"],
            &["http://app.example.com"],
            &["http://localhost:5173"],
            &[APP, APP],
            &["https://app.example.com, https://app.example.com"],
        ] {
            assert_eq!(reader(&listed(false), "/users/me", others), Reader::Nobody, "{others:?}");
        }
    }

    #[test]
    fn pages_of_this_machine_may_where_that_is_so() {
        for page in ["http://localhost:5173", "http://127.0.0.1:3000", "https://[::1]"] {
            let reader = reader(&listed(true), "/users/me", &[page]);
            assert_eq!(reader, Reader::Page(HeaderValue::from_str(page).expect("a value")));
        }
        for other in ["http://localhost.evil.example", "null", "http://192.168.0.7", "http://LOCALHOST"] {
            assert_eq!(reader(&listed(true), "/users/me", &[other]), Reader::Nobody, "{other}");
        }
    }

    #[test]
    fn documents_are_for_everybody_whatever_is_set() {
        for cors in [Cors::default(), listed(false), Cors::new(AllowedOrigins::Any)] {
            for path in ["/.well-known/jwks.json", "/openapi.json", "/openapi/nest.json"] {
                assert_eq!(reader(&cors, path, &[APP]), Reader::AnybodyOfDocuments, "{path}");
            }
        }
    }

    #[test]
    fn a_preflight_is_a_browsers_own_question_and_never_a_proxys() {
        let asked = |method, path, headers: &[(&str, &str)]| {
            listed(false).look_at(&request(method, path, headers)).is_preflight
        };
        let headers = [("origin", APP), ("access-control-request-method", "POST")];
        for path in ["/auth/login", "/nowhere", "/", "/forward-authority"] {
            assert!(asked(Method::OPTIONS, path, &headers), "{path}");
        }
        assert!(!asked(Method::POST, "/auth/login", &headers));
        assert!(!asked(Method::OPTIONS, "/auth/login", &headers[..1]));
        assert!(!asked(Method::OPTIONS, "/auth/login", &headers[1..]));
        for path in ["/forward-auth", "/forward-auth/", "/forward-auth/books"] {
            assert!(!asked(Method::OPTIONS, path, &headers), "{path}");
        }
    }

    /// A page can tell that the service only starts.
    #[tokio::test]
    async fn a_page_reads_that_the_service_is_not_there_yet() {
        #[derive(Debug)]
        struct Zeros;
        impl Random for Zeros {
            fn fill(&self, bytes: &mut [u8]) {
                bytes.fill(0);
            }
        }
        let starting = crate::api::starting(Arc::new(Zeros), false, listed(false), Default::default());
        for (origin, reads) in [(APP, Some(APP)), ("https://evil.example", None)] {
            for path in ["/auth/login", "/health/ready"] {
                let asked = request(Method::GET, path, &[("origin", origin)]);
                let answer = starting.get_response(asked).await;
                assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
                assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), reads, "{path} {origin}");
                assert_eq!(answer.header(header::VARY), Some("Origin"), "{path} {origin}");
            }
        }
    }

    #[test]
    fn what_an_answer_varies_by_is_said_in_one_line() {
        let mut headers = HeaderMap::new();
        vary_by_origin(&mut headers);
        assert_eq!(headers[header::VARY], "Origin");
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        vary_by_origin(&mut headers);
        assert_eq!(headers[header::VARY], "Accept-Encoding, Origin");
    }
}
