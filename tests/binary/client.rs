//! A client of the service, over real connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The password of every account that the tests make.
pub const PASSWORD: &str = "an engine weaves patterns";

/// Speaks to one service; every call has a connection of its own.
#[derive(Clone, Copy)]
pub struct Client {
    address: SocketAddr,
    place: Ipv4Addr,
}

/// A connection that stays open.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

/// A pair of tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
}

impl Tokens {
    /// Out of the answer to a login or a refresh.
    pub fn of(answer: &Answer) -> Self {
        let body = answer.json();
        let text =
            |key: &str| body[key].as_str().unwrap_or_else(|| panic!("no {key}: {answer:?}")).to_owned();
        Self { access: text("accessToken"), refresh: text("refreshToken") }
    }
}

impl Client {
    /// A client of the service at this address.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, place: Ipv4Addr::UNSPECIFIED }
    }

    /// The same at another place: an address of this machine, such as `127.0.0.2`.
    pub fn at(self, place: Ipv4Addr) -> Self {
        Self { place, ..self }
    }

    /// Opens a connection on which nothing is said yet.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn dial(&self) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.place, 0).into())?;
        socket.connect(self.address).await
    }

    /// Opens a connection for several calls.
    pub async fn connect(&self) -> Connection {
        self.try_connect().await.expect("a connection")
    }

    /// The same with a service that may be gone.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn try_connect(&self) -> Result<Connection, Failed> {
        let stream = self.dial().await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with the connection; what went wrong shows in the answer.
        tokio::spawn(connection);
        Ok(Connection { sender })
    }

    /// Sends a call.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn send(&self, call: Call) -> Answer {
        self.try_send(call).await.expect("an answer")
    }

    /// Sends a call to a service that may be gone.
    pub async fn try_send(&self, call: Call) -> Result<Answer, Failed> {
        self.try_connect().await?.send(call).await
    }

    /// Makes an account with [`PASSWORD`].
    pub async fn register(&self, email: &str) -> Answer {
        self.send(post("/auth/register").json(&json!({ "email": email, "password": PASSWORD }))).await
    }

    /// Makes an account and logs in.
    pub async fn logged_in(&self, email: &str) -> Tokens {
        let answer = self.register(email).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        self.log_in(email).await
    }

    /// Logs in with [`PASSWORD`].
    pub async fn log_in(&self, email: &str) -> Tokens {
        let answer = self.send(login(email, PASSWORD)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        Tokens::of(&answer)
    }

    /// Asks who the access token belongs to.
    pub async fn auth_me(&self, access: &str) -> Answer {
        self.send(get("/auth/auth-me").bearer(access)).await
    }

    /// Redeems a refresh token.
    pub async fn refresh(&self, refresh: &str) -> Answer {
        self.send(post("/auth/refresh-token").header("x-refresh-token", refresh)).await
    }

    /// Ends the session of an access token.
    pub async fn log_out(&self, access: &str) -> Answer {
        self.send(post("/auth/logout").bearer(access)).await
    }

    /// Whether the service says that it can answer requests.
    pub async fn is_ready(&self) -> bool {
        self.try_send(get("/health/ready")).await.is_ok_and(|answer| answer.status == StatusCode::OK)
    }

    /// Whether the service tells of revocations by now, which it does a moment after it listens.
    pub async fn tells_of_revocations(&self) -> bool {
        self.try_send(get("/health/ready"))
            .await
            .is_ok_and(|answer| answer.text().contains("\"feed\":\"ok\""))
    }
}

/// No answer came.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Connection {
    /// Sends a call and waits for the answer.
    pub async fn send(&mut self, call: Call) -> Result<Answer, Failed> {
        let exchange = async {
            self.sender.ready().await?;
            let (head, body) = self.sender.send_request(call.into_request()).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        tokio::time::timeout(ANSWER_TIMEOUT, exchange).await?
    }
}

/// A request that is being put together.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// `GET` of a path.
pub fn get(path: &str) -> Call {
    Call::new(Method::GET, path)
}

/// `POST` to a path.
pub fn post(path: &str) -> Call {
    Call::new(Method::POST, path)
}

/// A login.
pub fn login(email: &str, password: &str) -> Call {
    post("/auth/login").json(&json!({ "email": email, "password": password }))
}

impl Call {
    /// A request without a body.
    pub fn new(method: Method, path: &str) -> Self {
        let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("localhost"))]);
        Self { method, path: path.to_owned(), headers, body: Bytes::new() }
    }

    /// Its path.
    #[allow(dead_code, reason = "not every test binary looks at it")]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// With a header.
    pub fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        let value = HeaderValue::from_bytes(value.as_ref()).expect("a header's value");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    /// At the same path below another one.
    pub fn below(mut self, prefix: &str) -> Self {
        self.path.insert_str(0, prefix);
        self
    }

    /// With an access token.
    pub fn bearer(self, access: &str) -> Self {
        self.header("authorization", format!("Bearer {access}"))
    }

    /// With a body of JSON.
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// With a body of whatever kind.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    fn into_request(self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.path.parse().expect("a path");
        *request.headers_mut() = self.headers;
        request
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header's value, empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// Fails unless this is an error of this status and code in the API's shape.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let body = self.json();
        assert_eq!(body["code"], code, "{self:?}");
        assert_eq!(body["status"], status, "{self:?}");
        assert_eq!(body["type"], format!("urn:hallpass:error:{code}"), "{self:?}");
    }
}
