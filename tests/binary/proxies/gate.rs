//! What every proxy that asks must do.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::echo::{BROKEN, Echo, WEBSOCKET_ACCEPT, WEBSOCKET_KEY, told};
use super::{Proxy, Write};
use crate::client::{Answer, Call, Client, Tokens, get, login, post};
use crate::process::{PATIENCE, Service, dev, eventually};

/// How long a proxy may wait for a hallpass that says nothing: 5 seconds by the recipes, on a busy machine.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// hallpass, a service, and a proxy that lets those through to it whom hallpass knows.
pub struct Gate {
    pub hallpass: Service,
    pub service: Echo,
    pub proxy: Proxy,
    _folder: TempDir,
}

impl Gate {
    pub async fn open(write: Write) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // As nginx calls it.
        let hallpass = dev(folder.path())
            .variable("HALLPASS_DEV__ALLOWED_HOSTS", "hallpass")
            .variable("HALLPASS_TRUSTED_PROXIES", "127.0.0.1")
            .variable("HALLPASS_LOG__REQUESTS", "all")
            .variable("HALLPASS_LOG__FORMAT", "json")
            .start();
        let service = Echo::start().await;
        let proxy = Proxy::before(write, hallpass.address(), service.address()).await;
        Self { hallpass, service, proxy, _folder: folder }
    }

    /// Logged in with hallpass itself, not through the proxy.
    pub async fn member(&self) -> (Tokens, String) {
        let tokens = self.hallpass.client().logged_in("ada@example.com").await;
        let user = self.hallpass.client().auth_me(&tokens.access).await.json()["user"]["id"].to_string();
        (tokens, user)
    }

    pub async fn admin(&self) -> Tokens {
        Tokens::of(&self.hallpass.client().send(login("johndoe@example.com", "password")).await)
    }
}

/// Fails unless the service was told who sends the request, and nothing besides.
#[track_caller]
pub fn assert_served(answer: &Answer, user: &str, email: &str, groups: &str) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let request = answer.json();
    assert_eq!(told(&request, "remote-user"), [user], "{request}");
    assert_eq!(told(&request, "remote-groups"), [groups], "{request}");
    match told(&request, "remote-email")[..] {
        // As good as an empty one.
        [] => assert_eq!(email, "", "{request}"),
        [told] => assert_eq!(told, email, "{request}"),
        _ => panic!("{request}"),
    }
    for name in
        ["authorization", "x-refresh-token", "x-access-token", "remote_user", "remote_email", "remote_groups"]
    {
        assert!(told(&request, name).is_empty(), "{name}: {request}");
    }
    request
}

#[track_caller]
pub fn assert_kept_out(answer: &Answer, status: u16, challenge: &str) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert!(answer.header("www-authenticate").starts_with(challenge), "{answer:?}");
    assert_eq!(answer.header("x-access-token"), "", "{answer:?}");
}

/// Method and target reach the service as they were sent; nobody else's request does.
pub async fn lets_through_whom_hallpass_knows(write: Write) {
    let gate = Gate::open(write).await;
    let (proxy, (tokens, user)) = (&gate.proxy, gate.member().await);
    for (method, target) in [
        (Method::GET, "/"),
        (Method::POST, "/a/b?c=d"),
        (Method::DELETE, "/forward-auth"),
        (Method::PUT, "/a%2Fb/%7Euser?role=admin&q=d%20e&q=f"),
        (Method::GET, "/search?role=king"),
    ] {
        let call = Call::new(method.clone(), target).bearer(&tokens.access);
        let call = if method == Method::GET { call } else { call.body("a body") };
        let answer = proxy.send(call).await;
        let request = assert_served(&answer, &user, "", "member");
        assert_eq!((&request["method"], &request["target"]), (&method.as_str().into(), &target.into()));
        assert_eq!(answer.header("cache-control"), "");
        let served = gate.service.requests();
        let nobody = proxy.send(Call::new(method, target)).await;
        assert_kept_out(&nobody, 401, "Bearer");
        let challenge = nobody.header("www-authenticate");
        let metadata = "/.well-known/oauth-protected-resource\"";
        assert!(
            challenge.starts_with("Bearer resource_metadata=\"http") && challenge.ends_with(metadata),
            "{challenge}"
        );
        assert_eq!(gate.service.requests(), served, "{target}");
    }
    let head = proxy.send(Call::new(Method::HEAD, "/").bearer(&tokens.access)).await;
    assert_eq!(head.status, StatusCode::OK);
    let junk = proxy.send(get("/").bearer("junk")).await;
    assert_kept_out(&junk, 401, "Bearer error=\"invalid_token\"");
    let admin = gate.admin().await;
    let answer = proxy.send(get("/").bearer(&admin.access)).await;
    assert_served(&answer, "1", "johndoe@example.com", "admin");
}

pub async fn lets_clients_say_nothing_of_themselves(write: Write) {
    let gate = Gate::open(write).await;
    let (proxy, (tokens, user)) = (&gate.proxy, gate.member().await);
    let forged = [
        ("remote-user", "4711"),
        ("remote-email", "johndoe@example.com"),
        ("remote-groups", "admin"),
        // What becomes the same name to services that are told in variables (CGI, WSGI).
        ("remote_user", "4711"),
        ("remote_groups", "admin"),
        ("x-refresh-token", "mine"),
    ];
    for times in 1..=2 {
        let (mut with_token, mut without) = (get("/").bearer(&tokens.access), get("/"));
        for (name, value) in forged.iter().filter(|(name, _)| times == 1 || *name != "x-refresh-token") {
            for _ in 0..times {
                (with_token, without) = (with_token.header(name, value), without.header(name, value));
            }
        }
        let answer = proxy.send(with_token).await;
        assert_served(&answer, &user, "", "member");
        assert!(!answer.text().contains("4711") && !answer.text().contains("johndoe"), "{answer:?}");
        assert_kept_out(&proxy.send(without).await, 401, "Bearer");
    }
    // Nor does it come back as if it were hallpass'.
    let answer = proxy.send(get("/").bearer(&tokens.access).header("x-access-token", "eyJforged")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.header("x-access-token"), "", "{answer:?}");
}

/// Whatever a client says of it.
pub async fn tells_hallpass_where_clients_are(write: Write) {
    let gate = Gate::open(write).await;
    let (tokens, user) = gate.member().await;
    let elsewhere = gate.proxy.client().at("127.0.0.2".parse().expect("an address"));
    let call = get("/").bearer(&tokens.access).header("x-forwarded-for", "203.0.113.9");
    let answer = elsewhere.send(call.header("forwarded", "for=203.0.113.9")).await;
    assert_served(&answer, &user, "", "member");
    let log = gate.hallpass.log();
    let asked = |line: &&str| line.contains("\"operation\":\"forwardAuth\"");
    eventually("the question is logged", async || log.text().lines().any(|line| asked(&line))).await;
    let text = log.text();
    let line = text.lines().find(asked).expect("a line");
    assert!(line.contains("\"address\":\"127.0.0.2\""), "{line}");
}

/// Also where the proxy keeps its connections: each request is asked about by its own tokens.
pub async fn shuts_out_whoever_has_logged_out_at_once(write: Write) {
    let gate = Gate::open(write).await;
    let (tokens, user) = gate.member().await;
    let other = gate.hallpass.client().log_in("ada@example.com").await;
    let admin = gate.admin().await;
    let mut connection = gate.proxy.client().connect().await;
    let mut ask = async |access: &str| {
        let call = if access.is_empty() { get("/") } else { get("/").bearer(access) };
        connection.send(call).await.expect("an answer")
    };
    assert_served(&ask(&tokens.access).await, &user, "", "member");
    assert_served(&ask(&admin.access).await, "1", "johndoe@example.com", "admin");
    assert_served(&ask(&other.access).await, &user, "", "member");
    assert_kept_out(&ask("").await, 401, "Bearer");
    assert_eq!(gate.hallpass.client().log_out(&tokens.access).await.status, StatusCode::OK);
    assert_kept_out(&ask(&tokens.access).await, 401, "Bearer error=\"invalid_token\"");
    assert_served(&ask(&other.access).await, &user, "", "member");
}

pub async fn brings_the_client_a_new_access_token(write: Write) {
    let gate = Gate::open(write).await;
    let (proxy, (tokens, user)) = (&gate.proxy, gate.member().await);
    let answer = proxy.send(post("/").header("x-refresh-token", &tokens.refresh)).await;
    assert_served(&answer, &user, "", "member");
    assert_eq!(answer.header("cache-control"), "no-store");
    let access = answer.header("x-access-token");
    assert!(!access.is_empty() && access != tokens.access, "{answer:?}");
    let answer = proxy.send(get("/").bearer(access)).await;
    assert_served(&answer, &user, "", "member");
    assert_eq!(answer.header("x-access-token"), "", "{answer:?}");
    let junk = proxy.send(get("/").header("x-refresh-token", "junk")).await;
    assert_kept_out(&junk, 401, "Bearer error=\"invalid_token\"");
}

pub async fn lets_nobody_through_without_hallpass(write: Write) {
    let Gate { hallpass, service, proxy, _folder } = Gate::open(write).await;
    let tokens = hallpass.client().logged_in("ada@example.com").await;
    assert_eq!(proxy.send(get("/").bearer(&tokens.access)).await.status, StatusCode::OK);
    let served = service.requests();
    hallpass.kill().await;
    for call in [get("/").bearer(&tokens.access), get("/")] {
        let answer = proxy.send(call).await;
        assert_kept_out(&answer, 503, "");
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(service.requests(), served);
}

/// One that is connected to and says nothing. The proxy's own patience ends this, which nothing here can hurry.
pub async fn gives_a_silent_hallpass_up(write: Write) {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let service = Echo::start().await;
    let proxy = Proxy::before(write, silent.local_addr().expect("its address"), service.address()).await;
    let asked = tokio::time::timeout(SILENCE_MAX, proxy.send(get("/").bearer("a token"))).await;
    let answer = asked.expect("an answer in time");
    assert_kept_out(&answer, 503, "");
    assert_eq!((answer.header("retry-after"), service.requests()), ("1", 0));
}

/// "Cannot tell" is what hallpass says, not what becomes of the service.
pub async fn leaves_errors_of_the_service_alone(write: Write) {
    let Gate { hallpass, service, proxy, _folder } = Gate::open(write).await;
    let tokens = hallpass.client().logged_in("ada@example.com").await;
    let answer = proxy.send(get(BROKEN).bearer(&tokens.access)).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{answer:?}");
    assert_eq!((&answer.json()["target"], answer.header("retry-after")), (&BROKEN.into(), ""));
    service.stop().await;
    let answer = proxy.send(get("/").bearer(&tokens.access)).await;
    assert!([502, 503].contains(&answer.status.as_u16()), "{answer:?}");
    assert_eq!(answer.header("retry-after"), "", "{answer:?}");
    assert_kept_out(&proxy.send(get("/")).await, 401, "Bearer");
}

/// By a recipe that asks for administrators.
pub async fn lets_administrators_alone_through(write: Write) {
    let gate = Gate::open(write).await;
    let (proxy, (tokens, _)) = (&gate.proxy, gate.member().await);
    let admin = gate.admin().await;
    for target in ["/", "/?role=member&q=1"] {
        let answer = proxy.send(get(target).bearer(&tokens.access)).await;
        assert_kept_out(&answer, 403, "Bearer error=\"insufficient_scope\"");
        let answer = proxy.send(get(target).bearer(&admin.access)).await;
        let request = assert_served(&answer, "1", "johndoe@example.com", "admin");
        assert_eq!(request["target"], target);
        assert_kept_out(&proxy.send(get(target)).await, 401, "Bearer");
    }
}

/// Sends the head of a WebSocket's request; answers the connection and the head that came back.
pub async fn open_websocket(client: Client, headers: &str) -> (TcpStream, String) {
    let mut stream = client.dial().await.expect("a connection");
    let head = format!(
        "GET /live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {WEBSOCKET_KEY}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("a request is sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("an answer");
        answer.push(byte.expect("an answer"));
    }
    (stream, String::from_utf8(answer).expect("text").to_ascii_lowercase())
}

/// Fails unless what is sent comes back, time and again.
pub async fn assert_echoes(mut stream: TcpStream) {
    // Text frames with a mask (RFC 6455 5.7).
    let frame = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    for _ in 0..3 {
        stream.write_all(&frame).await.expect("a frame is sent");
        let mut back = [0; 11];
        let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut back)).await;
        read.expect("an answer").expect("a frame");
        assert_eq!(back, frame);
    }
}

pub async fn upgrades_websockets(write: Write) {
    let gate = Gate::open(write).await;
    let (tokens, user) = gate.member().await;
    let bearer = format!("Authorization: Bearer {}\r\nRemote-User: 4711\r\n", tokens.access);
    let (stream, head) = open_websocket(gate.proxy.client(), &bearer).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    let accept = WEBSOCKET_ACCEPT.to_ascii_lowercase();
    assert!(head.contains(&format!("sec-websocket-accept: {accept}\r\n")), "{head}");
    assert!(head.contains(&format!("x-told-user: {user}\r\n")), "{head}");
    assert_echoes(stream).await;
    let served = gate.service.requests();
    let (_, head) = open_websocket(gate.proxy.client(), "").await;
    let challenge = "www-authenticate: bearer resource_metadata=";
    assert!(head.starts_with("http/1.1 401 ") && head.contains(challenge), "{head}");
    assert_eq!(gate.service.requests(), served);
}

pub async fn takes_cookies_of_16_kib(write: Write) {
    let gate = Gate::open(write).await;
    let (tokens, user) = gate.member().await;
    let cookie = format!("a={}", "x".repeat(16 * 1024));
    let answer = gate.proxy.send(get("/").bearer(&tokens.access).header("cookie", &cookie)).await;
    let request = assert_served(&answer, &user, "", "member");
    assert_eq!(told(&request, "cookie"), [cookie.as_str()]);
    let nobody = gate.proxy.send(get("/").header("cookie", &cookie)).await;
    assert_kept_out(&nobody, 401, "Bearer");
}

/// What a proxy that asks must do.
macro_rules! asks_about_each_request {
    ($write:expr) => {
        $crate::proxies::gate::asks_about_each_request! {
            $write;
            lets_through_whom_hallpass_knows
            lets_clients_say_nothing_of_themselves
            tells_hallpass_where_clients_are
            shuts_out_whoever_has_logged_out_at_once
            brings_the_client_a_new_access_token
            lets_nobody_through_without_hallpass
            gives_a_silent_hallpass_up
            leaves_errors_of_the_service_alone
            upgrades_websockets
            takes_cookies_of_16_kib
        }
    };
    ($write:expr; $($name:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            $crate::proxies::gate::$name($write).await;
        }
    )+};
}
pub(super) use asks_about_each_request;
