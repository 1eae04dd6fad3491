//! SIGTERM: what runs is finished, what waits for nothing is closed.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{PASSWORD, Tokens, get, login, post};
use crate::process::{Service, dev, eventually};

/// Logins that run when the signal comes.
const IN_FLIGHT: usize = 8;

/// The default of `shutdown_grace`.
const GRACE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn requests_in_flight_are_answered_before_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    // One worker, a queue for all but one of the logins, and hashes that take a while: once a
    // further login is refused, all the others are known to be inside.
    let service = dev(folder.path())
        .variable("HALLPASS_PUBLIC_URL", "http://localhost:8080")
        .variable("HALLPASS_PASSWORDS__ARGON2__ITERATIONS", "12")
        .variable("HALLPASS_PASSWORDS__HASH_WORKERS", "1")
        .variable("HALLPASS_PASSWORDS__HASH_QUEUE", (IN_FLIGHT - 1).to_string())
        .start();
    let client = service.client();
    assert_eq!(client.register("ada@example.com").await.status, StatusCode::CREATED);

    let mut logins = JoinSet::new();
    for _ in 0..=IN_FLIGHT {
        let mut connection = client.connect().await;
        logins.spawn(async move { connection.send(login("ada@example.com", PASSWORD)).await });
    }
    let refused = logins.join_next().await.expect("nine of them").expect("no panic").expect("an answer");
    refused.assert_problem(503, "overloaded");
    service.terminate();
    let mut acknowledged = Vec::new();
    while let Some(answer) = logins.join_next().await {
        let answer = answer.expect("no panic").expect("an answer");
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        acknowledged.push(Tokens::of(&answer));
    }
    assert_eq!(acknowledged.len(), IN_FLIGHT);
    assert_eq!(service.ended().await.0, Some(0));

    let service = dev(folder.path()).variable("HALLPASS_PUBLIC_URL", "http://localhost:8080").start();
    for tokens in acknowledged {
        assert_eq!(service.client().auth_me(&tokens.access).await.status, StatusCode::OK);
        assert_eq!(service.client().refresh(&tokens.refresh).await.status, StatusCode::OK);
    }
    service.stop().await;
}

/// Those that have connected and asked, and were not looked at when the signal came. All of them stand at the door by
/// then; one alone might be let in first.
#[tokio::test]
async fn who_has_come_before_the_end_is_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let client = service.client();
    assert!(client.is_ready().await);
    service.freeze();
    let mut visitors = Vec::new();
    for _ in 0..4 * IN_FLIGHT {
        let mut stream = TcpStream::connect(service.address()).await.expect("the kernel takes it");
        stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("bytes go");
        visitors.push(stream);
    }
    service.terminate();
    service.thaw();
    for mut stream in visitors {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer, and no reset");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(service.ended().await.0, Some(0));
}

/// How long a service goes on that was told to stop, in the tests of that: time enough to ask it things.
const DELAY: &str = "3s";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_stops_is_not_ready_first_and_answers_until_nobody_asks() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path())
        .variable("HALLPASS_PUBLIC_URL", "http://localhost:8080")
        .variable("HALLPASS_SHUTDOWN_DELAY", DELAY)
        .variable("HALLPASS_PASSWORDS__ARGON2__ITERATIONS", "12")
        .variable("HALLPASS_PASSWORDS__HASH_WORKERS", "1")
        .start();
    let client = service.client();
    let ada = client.logged_in("ada@example.com").await;
    let mut kept = client.connect().await;
    let mut unused = TcpStream::connect(service.address()).await.expect("a connection");
    assert_eq!(kept.send(get("/health/live")).await.expect("an answer").header("connection"), "");
    let mut reader = feed(&service).await;
    let mut logins = JoinSet::new();
    for _ in 0..4 {
        let mut connection = client.connect().await;
        logins.spawn(async move { connection.send(login("ada@example.com", PASSWORD)).await });
    }

    let told = Instant::now();
    service.terminate();
    let mut not_ready = client.send(get("/health/ready")).await;
    while not_ready.status == StatusCode::OK {
        not_ready = client.send(get("/health/ready")).await;
    }
    assert_eq!(not_ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(not_ready.json()["checks"]["shutdown"], "stopping", "{not_ready:?}");
    for path in ["/readyz", "/health/ready/validate", "/health/ready/login"] {
        assert_eq!(client.send(get(path)).await.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
    // It lives, and does what it is asked; who keeps a connection is told to open another one.
    assert_eq!(client.send(get("/livez")).await.status, StatusCode::OK);
    assert_eq!(client.auth_me(&ada.access).await.status, StatusCode::OK);
    let last = kept.send(get("/health/live")).await.expect("an answer");
    assert_eq!((last.status, last.header("connection")), (StatusCode::OK, "close"));
    let renewed = Tokens::of(&client.refresh(&ada.refresh).await);
    while let Some(answer) = logins.join_next().await {
        assert_eq!(answer.expect("no panic").expect("an answer").status, StatusCode::OK);
    }

    // Then its readers are led elsewhere, and idle connections are closed, in no order that is promised.
    let mut told_last = String::new();
    reader.read_to_string(&mut told_last).await.expect("a clean end");
    assert!(told.elapsed() >= Duration::from_secs(3), "{:?}", told.elapsed());
    let (_, last) = told_last.rsplit_once("event: ").expect("events");
    assert!(last.starts_with("reconnect\nid: "), "{told_last}");
    assert_eq!(unused.read(&mut [0; 1]).await.expect("a clean end"), 0);
    let log = service.log().clone();
    assert_eq!(service.ended().await.0, Some(0));
    assert!(told.elapsed() < Duration::from_secs(3) + GRACE / 2, "{:?}", told.elapsed());
    assert!(log.text().contains("not ready from now on"), "{}", log.text());
    assert!(!log.text().contains("still running"), "{}", log.text());

    let service = dev(folder.path()).variable("HALLPASS_PUBLIC_URL", "http://localhost:8080").start();
    assert_eq!(service.client().auth_me(&renewed.access).await.status, StatusCode::OK);
    service.stop().await;
}

#[tokio::test]
async fn a_second_signal_ends_the_delay() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).variable("HALLPASS_SHUTDOWN_DELAY", "5m").start();
    let client = service.client();
    service.terminate();
    while client.is_ready().await {}
    let told = Instant::now();
    // Only what comes after the first one is a second one: the service listens for it once it is not ready.
    eventually("it notes that it was told", async || service.log().text().contains("told to stop")).await;
    service.terminate();
    assert_eq!(service.ended().await.0, Some(0));
    assert!(told.elapsed() < GRACE, "{:?}", told.elapsed());
}

/// A reader of the revocation feed, over a connection of its own, in what came since its answer began.
async fn feed(service: &Service) -> TcpStream {
    let credentials = format!("Basic {}", STANDARD.encode("books:books-dev-secret"));
    let call = post("/oauth2/token").header("authorization", credentials);
    let answer = service.client().send(call.json(&json!({"grant_type": "client_credentials"}))).await;
    let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
    let mut stream = TcpStream::connect(service.address()).await.expect("a connection");
    let head = format!(
        "GET /revocations/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("bytes go");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("an answer"));
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    stream
}

#[tokio::test]
async fn connections_that_wait_for_nothing_do_not_hold_up_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let mut kept_alive = service.client().connect().await;
    assert_eq!(kept_alive.send(get("/health/live")).await.expect("an answer").status, StatusCode::OK);
    let mut never_used = TcpStream::connect(service.address()).await.expect("a connection");
    // Connections are accepted in turn, so once this one is answered the one before is in.
    assert!(service.client().is_ready().await);

    let told = Instant::now();
    service.terminate();
    let log = service.log().clone();
    assert_eq!(service.ended().await.0, Some(0));
    assert!(told.elapsed() < GRACE / 2, "{:?}", told.elapsed());
    assert!(!log.text().contains("still running"), "{}", log.text());
    assert_eq!(never_used.read(&mut [0; 1]).await.expect("a clean end"), 0);
    assert!(kept_alive.send(get("/health/live")).await.is_err());
}

#[tokio::test]
async fn the_grace_is_the_longest_that_a_stop_takes() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path())
        .variable("HALLPASS_SHUTDOWN_GRACE", "1s")
        .variable("HALLPASS_PASSWORDS__HASH_WORKERS", "1")
        .start();
    let client = service.client();
    // A body that never comes to its end.
    let mut stuck = TcpStream::connect(service.address()).await.expect("a connection");
    let head = "POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{";
    stuck.write_all(head.as_bytes()).await.expect("bytes go");
    assert!(client.is_ready().await);
    let told = Instant::now();
    service.terminate();
    let log = service.log().clone();
    assert_eq!(service.ended().await.0, Some(0));
    assert!(told.elapsed() < GRACE / 2, "{:?}", told.elapsed());
    assert!(log.text().contains("still running"), "{}", log.text());
}
