//! One request and its answer.

use std::net::{IpAddr, SocketAddr};

use poem::http::uri::Scheme;
use poem::http::{self, HeaderMap, HeaderName, HeaderValue, Method, header};
use poem::web::{LocalAddr, RemoteAddr};
use serde_json::Value;

use super::TestApp;

/// A request that is being put together.
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    app: TestApp,
    method: Method,
    path: String,
    headers: HeaderMap,
    peer: Option<IpAddr>,
    body: Vec<u8>,
}

impl Request {
    pub(super) fn new(app: TestApp, method: Method, path: impl Into<String>) -> Self {
        let headers = HeaderMap::new();
        Self { app, method, path: path.into(), headers, peer: None, body: Vec::new() }
    }

    /// Comes over a connection from that address, instead of one that has none.
    pub fn sent_from(mut self, peer: &str) -> Self {
        self.peer = Some(peer.parse().expect("an address"));
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        let value = HeaderValue::from_bytes(value.as_ref()).expect("a header value");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    /// `Authorization: Bearer …`
    pub fn access(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// `X-Refresh-Token: Bearer …`
    pub fn refresh(self, token: &str) -> Self {
        self.header("x-refresh-token", format!("Bearer {token}"))
    }

    /// A JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.text("application/json", body.to_string())
    }

    /// A body of any kind.
    pub fn text(mut self, content_type: &'static str, body: impl Into<String>) -> Self {
        self.body = body.into().into_bytes();
        self.header("content-type", content_type)
    }

    /// A body with no word on what it is.
    pub fn untyped(mut self, body: &str) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it. What every answer must have is checked here.
    pub async fn send(self) -> Answer {
        let request = http::Request::builder().method(self.method.clone()).uri(&self.path).body(());
        let (mut parts, ()) = request.expect("a path").into_parts();
        parts.headers = self.headers;
        let peer = self.peer.map(|address| RemoteAddr(SocketAddr::from((address, 4711)).into()));
        let parts = (parts, LocalAddr::default(), peer.unwrap_or_default(), Scheme::HTTP).into();
        let request = poem::Request::from_parts(parts, self.body.into());
        let (parts, body) = self.app.call(request).await.into_parts();
        let answer = Answer {
            what: format!("{} {}", self.method, self.path),
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.into_vec().await.expect("a body"),
        };
        for name in ["x-request-id", "cache-control"] {
            assert!(answer.header(name).is_some(), "{answer:?} lacks {name}");
        }
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer:?}");
        answer
    }
}

/// What came back.
#[derive(Clone)]
pub struct Answer {
    what: String,
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// The value of a header that comes once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().expect("text"));
        assert!(values.next().is_none(), "{name} twice in {self:?}");
        value
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body of an answer of this status, as JSON.
    #[track_caller]
    pub fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The body of an answer that hands out tokens: nobody on the way may keep it (RFC 6749 5.1).
    #[track_caller]
    pub fn tokens(&self, status: u16) -> Value {
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        self.json(status)
    }

    /// The code of a refusal, whichever it is.
    pub fn code(&self) -> Option<String> {
        let problem: Value = serde_json::from_slice(&self.body).ok()?;
        Some(problem.get("code")?.as_str()?.to_owned())
    }

    /// Asserts that this is a refusal of this status and code, whole in every part.
    #[track_caller]
    pub fn assert_refused(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.code().as_deref(), Some(code), "{self:?}");
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        assert!(status != 401 || self.header("x-access-token").is_none(), "{self:?}");
        let problem: Value = serde_json::from_slice(&self.body).expect("JSON");
        assert_eq!(problem["type"], format!("urn:hallpass:error:{code}"), "{self:?}");
        assert_eq!(problem["status"], status, "{self:?}");
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{self:?}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{self:?}");
        self.assert_challenge(status, code);
        let retry_after = self.header("retry-after").map(str::parse::<u32>);
        let waits = matches!(status, 429 | 503);
        assert_eq!(retry_after.is_some_and(|seconds| seconds.is_ok()), waits, "{self:?}");
        problem
    }

    /// RFC 6750 3: the challenge names an error only when a token came.
    #[track_caller]
    fn assert_challenge(&self, status: u16, code: &str) {
        let challenge = self.header(header::WWW_AUTHENTICATE.as_str());
        match (status, code) {
            // A proxy's question is answered with the place of the metadata (RFC 9728 5.1).
            (401, "authentication_required") if self.what.contains(" /forward-auth") => {
                let metadata = format!(
                    "Bearer resource_metadata=\"{}",
                    super::ISSUER.split(':').next().unwrap_or_default()
                );
                assert!(challenge.is_some_and(|text| text.starts_with(&metadata)), "{self:?}");
            }
            (401, "authentication_required" | "invalid_credentials") => {
                assert_eq!(challenge, Some("Bearer"), "{self:?}");
            }
            (401, _) => {
                let says = challenge.is_some_and(|text| text.starts_with("Bearer error=\"invalid_token\""));
                assert!(says, "{self:?}");
            }
            // No token would change anything: the password was right, or nobody may.
            (
                403,
                "account_disabled" | "email_not_verified" | "registration_disabled" | "csrf_check_failed",
            ) => {
                assert_eq!(challenge, None, "{self:?}")
            }
            (403, _) => assert_eq!(challenge, Some("Bearer error=\"insufficient_scope\""), "{self:?}"),
            _ => assert_eq!(challenge, None, "{self:?}"),
        }
    }
}

/// Everything that a failed assertion should show.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} {:?} {}", self.what, self.status, self.headers, self.text())
    }
}
