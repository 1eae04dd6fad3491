//! Bytes on the wire that no well-behaved client sends. Whatever they are, the service goes on, and
//! none is an error of its own (5xx).

use std::net::SocketAddr;
use std::time::Duration;

use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::get;
use crate::process::{Service, dev};

/// Longer than the service lets a client take for its headers.
const END_TIMEOUT: Duration = Duration::from_secs(20);

/// What came back for bytes that were sent, up to the end of the connection.
#[derive(Debug)]
struct Reply(String);

impl Reply {
    /// The status of every answer in it; the tests' paths have no such text in their bodies.
    fn statuses(&self) -> Vec<u16> {
        let lines = self.0.split("HTTP/1.").skip(1);
        lines.filter_map(|answer| answer.get(2..5)?.parse().ok()).collect()
    }
}

/// Sends bytes, ends the sending side where asked, and reads to the end.
async fn exchange(address: SocketAddr, bytes: &[u8], hang_up: bool) -> Reply {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    // The service may refuse, and close, before it has read everything.
    let _ = stream.write_all(bytes).await;
    if hang_up {
        let _ = stream.shutdown().await;
    }
    let mut reply = Vec::new();
    // A reset after a refusal that left bytes unread still leaves what came before.
    let _ = tokio::time::timeout(END_TIMEOUT, stream.read_to_end(&mut reply)).await.expect("an end");
    Reply(String::from_utf8_lossy(&reply).into_owned())
}

/// Sends one request and asks for the connection to be closed after it.
async fn request(address: SocketAddr, line: &str, headers: &str) -> Reply {
    let text = format!("{line}\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    exchange(address, text.as_bytes(), false).await
}

/// Fails unless the service is as well as before.
async fn assert_well(service: &Service) {
    assert_eq!(service.client().send(get("/health/ready")).await.status, StatusCode::OK);
    let log = service.log().text();
    assert!(!log.contains("panicked"), "{log}");
}

fn start() -> (tempfile::TempDir, Service) {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    (folder, service)
}

#[tokio::test]
async fn headers_over_16_kib_are_refused() {
    let (_folder, service) = start();
    let address = service.address();
    for line in ["GET /health/live HTTP/1.1", "POST /auth/login HTTP/1.1"] {
        let fits = request(address, line, &format!("X-Filler: {}\r\n", "a".repeat(12 * 1024))).await;
        assert_ne!(fits.statuses(), [431], "{fits:?}");
        for headers in [
            format!("X-Filler: {}\r\n", "a".repeat(17 * 1024)),
            format!("Authorization: Bearer {}\r\n", "a".repeat(64 * 1024)),
            (0..1000).map(|n| format!("X-Filler-{n}: {n}-{n}-{n}\r\n")).collect(),
        ] {
            let refused = request(address, line, &headers).await;
            assert_eq!(refused.statuses(), [431], "{refused:?}");
        }
    }
    assert_well(&service).await;
    service.stop().await;
}

#[tokio::test]
async fn half_sent_requests_block_nobody_and_are_cut_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path())
        .variable("HALLPASS_HTTP__HEADER_TIMEOUT", "1s")
        .variable("HALLPASS_HTTP__KEEP_ALIVE", "2s")
        .start();
    let address = service.address();
    let mut half_sent = Vec::new();
    // Nothing, and what may become an HTTP/2 connection, are half sent as well.
    let beginnings: [&[u8]; 6] =
        [b"", b"P", b"PRI * HTTP/2.0\r\n\r\n", b"G", b"GET /hea", b"POST /auth/login HTTP/1.1\r\nHost: h"];
    for n in 0..120 {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let bytes = beginnings[n % beginnings.len()];
        stream.write_all(bytes).await.expect("bytes go");
        half_sent.push(stream);
    }
    assert_well(&service).await;
    for mut stream in half_sent {
        let mut reply = Vec::new();
        let end = tokio::time::timeout(END_TIMEOUT, stream.read_to_end(&mut reply)).await;
        assert!(end.is_ok(), "a half-sent request stays open");
    }
    assert_well(&service).await;
    service.stop().await;
}

#[tokio::test]
async fn a_message_has_one_reading_or_none() {
    let (_folder, service) = start();
    let address = service.address();
    // The second request rides on whatever a lenient reader would take for the end of the first.
    let rider = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for headers in [
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: 2, 3",
        "Content-Length: +2",
        "Content-Length: -2",
        "Content-Length: 0x2",
        "Content-Length: 2 2",
        "Content-Length: 99999999999999999999",
        "Content-Length: ",
        "Content-Length : 2",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "X-Folded: a\r\n b",
        "X-Nul: a\0b",
        " X-Leading: a",
        "No colon",
        ": no name",
    ] {
        let text = format!(
            "POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\r\n\r\n{{}}{rider}"
        );
        let reply = exchange(address, text.as_bytes(), true).await;
        assert_eq!(reply.statuses(), [400], "{headers:?}: {reply:?}");
    }
    assert_well(&service).await;
    service.stop().await;
}

#[tokio::test]
async fn both_framings_at_once_smuggle_nothing() {
    let (_folder, service) = start();
    // By its chunks the body ends before the rider, by its length the rider is part of it. Taking
    // the chunks is allowed if the connection ends there (RFC 9112 6.3).
    let rider = "GET /.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let body = format!("2\r\n{{}}\r\n0\r\n\r\n{rider}");
    for headers in [
        "Content-Length: 80\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 80",
    ] {
        let text = format!(
            "POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\r\n\r\n{body}"
        );
        let reply = exchange(service.address(), text.as_bytes(), true).await;
        assert_eq!(reply.statuses().len(), 1, "{headers:?}: {reply:?}");
        assert!(!reply.0.contains("\"keys\""), "{headers:?}: {reply:?}");
    }
    assert_well(&service).await;
    service.stop().await;
}

#[tokio::test]
async fn bad_chunks_are_refused() {
    let (_folder, service) = start();
    for body in [
        "zz\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n{}",
        "2\r\n{}x\r\n0\r\n\r\n",
        "2\r\n{",
    ] {
        let head = "POST /auth/register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        let reply = exchange(service.address(), format!("{head}{body}").as_bytes(), true).await;
        // Whoever hung up in the middle may get no answer at all.
        assert!(matches!(reply.statuses()[..], [] | [400]), "{body:?}: {reply:?}");
        assert!(!reply.0.contains("chunk"), "the reader's own text: {reply:?}");
    }
    assert_well(&service).await;
    service.stop().await;
}

#[tokio::test]
async fn other_versions_and_methods_get_an_answer() {
    let (_folder, service) = start();
    let address = service.address();
    let old = exchange(address, b"GET /health/live HTTP/1.0\r\n\r\n", false).await;
    assert_eq!(old.statuses(), [200], "{old:?}");
    assert!(old.0.starts_with("HTTP/1.0 200"), "{old:?}");
    for (line, status) in [
        ("GET /health/live HTTP/3.0", 400),
        ("GET /health/live HTTPS/1.1", 400),
        ("GET /health/live", 400),
        ("GET  /health/live HTTP/1.1", 400),
        ("GET /health live HTTP/1.1", 400),
        ("\u{7f}\u{1} / HTTP/1.1", 400),
        ("BREW /health/live HTTP/1.1", 405),
        ("DELETE /auth/login HTTP/1.1", 405),
        ("TRACE /health/live HTTP/1.1", 405),
        ("CONNECT localhost:80 HTTP/1.1", 404),
        ("OPTIONS * HTTP/1.1", 404),
        ("GET http://localhost/health/live HTTP/1.1", 200),
        ("GET http://elsewhere.test/health/live HTTP/1.1", 421),
    ] {
        let reply = request(address, line, "").await;
        assert_eq!(reply.statuses(), [status], "{line:?}: {reply:?}");
    }
    let head = request(address, "HEAD /health/live HTTP/1.1", "").await;
    assert!(head.0.ends_with("\r\n\r\n"), "an answer to HEAD has no body: {head:?}");
    assert_well(&service).await;
    service.stop().await;
}

#[tokio::test]
async fn odd_paths_are_not_found() {
    let (_folder, service) = start();
    let address = service.address();
    let long = format!("/{}", "a/".repeat(6 * 1024));
    for path in [
        "/%ff",
        "/%",
        "/%zz",
        "//",
        "///",
        "/..",
        "/../..",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/.",
        "/users/%00",
        "/users/%ff",
        "/users/..",
        "/users//",
        "/users/1/",
        "/users/+1",
        "/users/-1",
        "/users/1e3",
        "/users/99999999999999999999",
        "/users/1%20",
        "/users/%F0%9F%98%80",
        "/auth",
        "/auth/",
        "/auth//login",
        "/AUTH/LOGIN",
        "/auth/login/",
        "/auth/login%00",
        "/auth/login;x=1",
        "/docs/..%2f..%2fCargo.toml",
        "/docs/../../Cargo.toml",
        "/:id",
        "/*",
        "/users/:id",
        "/{id}",
        "/\u{fffd}",
        "/<script>",
        "/a?b=%ff&c",
        "/.well-known/",
        "/.well-known/../users",
        long.as_str(),
    ] {
        let reply = request(address, &format!("GET {path} HTTP/1.1"), "").await;
        let statuses = reply.statuses();
        // /users/… says first who may ask; some of these are no request line at all.
        assert!(matches!(statuses[..], [400 | 401 | 404 | 405 | 307]), "{path:?}: {reply:?}");
        assert!(!reply.0.contains("[package]") && !reply.0.contains("root:"), "{path:?}: {reply:?}");
    }
    let reply = request(address, &format!("GET /{} HTTP/1.1", "a".repeat(20 * 1024)), "").await;
    assert!(matches!(reply.statuses()[..], [414 | 431]), "{reply:?}");
    assert_well(&service).await;
    service.stop().await;
}

#[tokio::test]
async fn header_values_of_any_bytes_are_no_error_of_the_service() {
    let (_folder, service) = start();
    let mut cases = Vec::new();
    for name in [
        "authorization",
        "x-refresh-token",
        "content-type",
        "x-request-id",
        "if-none-match",
        "host",
        "accept",
        "origin",
        "cookie",
    ] {
        for value in [&b"\xff\xfe"[..], b"Bearer \x80", b"", b"\t", b"Bearer Bearer Bearer", b"a\tb"] {
            cases.push((name, value));
        }
    }
    for path in ["/auth/auth-me", "/auth/logout", "/.well-known/jwks.json", "/docs", "/health/ready"] {
        for (name, value) in &cases {
            let method = if path == "/auth/logout" { "POST" } else { "GET" };
            let mut bytes = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n{name}: ").into_bytes();
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n\r\n");
            let reply = exchange(service.address(), &bytes, false).await;
            assert!(matches!(reply.statuses()[..], [200..=499]), "{path} {name}: {value:?}: {reply:?}");
        }
    }
    assert_well(&service).await;
    service.stop().await;
}
