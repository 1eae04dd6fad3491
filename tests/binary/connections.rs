//! One rude visitor: how many connections one place may have, and how long.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::{Client, Connection, get, post};
use crate::process::{Program, dev};

/// Of the rude one, and of somebody else.
const RUDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const POLITE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// What nobody waits longer for than beyond the bounds, and as much again for a busy machine.
const SOON: Duration = Duration::from_secs(2);

/// The fewest that can be set; 64 of them are kept for health checks.
const CONNECTIONS: usize = 128;
const KEPT_FOR_HEALTH: usize = 64;
const PER_ADDRESS: usize = 20;

/// A service that is easily full.
fn small(folder: &Path) -> Program {
    dev(folder)
        .variable("HALLPASS_HTTP__MAX_CONNECTIONS", CONNECTIONS.to_string())
        .variable("HALLPASS_HTTP__MAX_CONNECTIONS_PER_ADDRESS", PER_ADDRESS.to_string())
}

/// Opens connections that are answered once and then do nothing.
async fn occupy(client: Client, count: usize) -> Vec<Connection> {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut connection = client.connect().await;
        let answer = connection.send(get("/auth/auth-me")).await.expect("an answer");
        answer.assert_problem(401, "authentication_required");
        held.push(connection);
    }
    held
}

/// Reads to the end, whichever it is.
async fn end_of(stream: &mut TcpStream) -> Result<usize, ErrorKind> {
    let mut rest = Vec::new();
    timeout(SOON, stream.read_to_end(&mut rest)).await.expect("an end").map_err(|error| error.kind())
}

#[tokio::test]
async fn one_place_has_its_share_of_connections_and_others_have_theirs() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = small(folder.path()).start();
    let (rude, polite) = (service.client().at(RUDE), service.client().at(POLITE));
    let mut held = occupy(rude, PER_ADDRESS).await;

    let refused = rude.send(post("/auth/login").json(&serde_json::json!({}))).await;
    refused.assert_problem(503, "overloaded");
    let seconds: u32 = refused.header("retry-after").parse().expect("a number");
    assert!((1..=3).contains(&seconds) && refused.header("connection") == "close", "{refused:?}");
    assert_eq!(rude.send(get("/health/ready")).await.status, StatusCode::OK);
    // Who says nothing, or half of something, is reset and not left waiting.
    for bytes in [&b""[..], b"GET /hea", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = rude.dial().await.expect("a connection");
        stream.write_all(bytes).await.expect("bytes go");
        assert_eq!(end_of(&mut stream).await, Err(ErrorKind::ConnectionReset), "{bytes:?}");
    }

    // It goes on and on, also where nothing is left for it but a reset at once.
    let mut rudeness = JoinSet::new();
    for _ in 0..100 {
        rudeness.spawn(async move { rude.try_send(get("/users/me")).await });
    }
    let mut served = occupy(polite, PER_ADDRESS).await;
    for number in 0..200 {
        let answer = served[number % PER_ADDRESS].send(get("/health/ready")).await.expect("an answer");
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
    while let Some(answer) = rudeness.join_next().await {
        if let Ok(answer) = answer.expect("no panic") {
            answer.assert_problem(503, "overloaded");
        }
    }
    // Who leaves makes room, and those that were within the bound are as they were.
    held.pop();
    let answer = held[0].send(get("/auth/auth-me")).await.expect("an answer");
    answer.assert_problem(401, "authentication_required");
    crate::process::eventually("there is room", async || {
        rude.try_send(get("/auth/auth-me")).await.is_ok_and(|answer| answer.status == 401)
    })
    .await;

    let log = service.log().text();
    let told: Vec<_> = log.lines().filter(|line| line.contains("trusted_proxies")).collect();
    assert!(told.len() == 1 && told[0].contains("127.0.0.2"), "once a minute: {told:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_full_service_answers_health_checks_and_refuses_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = small(folder.path()).start();
    let mut held = Vec::new();
    for host in 10.. {
        let left = CONNECTIONS - KEPT_FOR_HEALTH - held.len();
        if left == 0 {
            break;
        }
        let place = Ipv4Addr::new(127, 0, 0, host);
        held.extend(occupy(service.client().at(place), left.min(PER_ADDRESS)).await);
    }
    let polite = service.client().at(POLITE);
    for path in ["/health/live", "/health/ready", "/livez", "/readyz", "/healthz"] {
        assert_eq!(polite.send(get(path)).await.status, StatusCode::OK, "{path}");
    }
    polite.send(get("/auth/auth-me")).await.assert_problem(503, "overloaded");
    let oauth = polite.send(post("/oauth2/token")).await;
    assert_eq!(
        (oauth.status.as_u16(), oauth.json()["error"].as_str()),
        (503, Some("temporarily_unavailable"))
    );

    // What is kept for health checks nobody has alone: one place fills its part and keeps it full.
    let mut hoarders = Vec::new();
    for _ in 0..CONNECTIONS {
        // One that is reset at once may be so before it is known to be open.
        hoarders.extend(service.client().at(RUDE).dial().await.ok());
    }
    assert!(!hoarders.is_empty());
    assert_eq!(polite.send(get("/health/live")).await.status, StatusCode::OK);
    for mut stream in hoarders {
        assert_eq!(end_of(&mut stream).await, Err(ErrorKind::ConnectionReset));
    }
    // Requests on connections that are open are served as ever.
    for connection in &mut held {
        let answer = connection.send(get("/auth/auth-me")).await.expect("an answer");
        answer.assert_problem(401, "authentication_required");
    }
    assert!(service.log().text().contains("http.max_connections is reached"));
    service.stop().await;
}

#[tokio::test]
async fn trusted_proxies_speak_for_many() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = small(folder.path()).variable("HALLPASS_TRUSTED_PROXIES", RUDE.to_string()).start();
    let held = occupy(service.client().at(RUDE), 2 * PER_ADDRESS).await;
    assert_eq!(held.len(), 2 * PER_ADDRESS);
    service.stop().await;
}

#[tokio::test]
async fn connections_end_when_nothing_goes_on_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path())
        .variable("HALLPASS_HTTP__KEEP_ALIVE", "1s")
        .variable("HALLPASS_HTTP__HEADER_TIMEOUT", "1s")
        .variable("HALLPASS_HTTP__WRITE_TIMEOUT", "1s")
        .start();
    let client = service.client();
    let patience = 10 * SOON;

    let mut idle = client.dial().await.expect("a connection");
    idle.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("bytes go");
    let mut answer = String::new();
    timeout(patience, idle.read_to_string(&mut answer)).await.expect("an end").expect("a clean one");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    // HTTP/2, with empty SETTINGS and nothing after that.
    let mut idle = client.dial().await.expect("a connection");
    idle.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("bytes go");
    let mut frames = Vec::new();
    // It is told to go (GOAWAY is frame type 7), and what it says to that is not waited for long.
    let _ = timeout(patience, idle.read_to_end(&mut frames)).await.expect("an end");
    assert!(frames.windows(5).any(|header| header == [8, 7, 0, 0, 0]), "{frames:?}");

    // More than the kernel takes, and nobody reads it.
    let mut stalled = client.dial().await.expect("a connection");
    let request = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(64);
    stalled.write_all(&request).await.expect("bytes go");
    crate::process::eventually("it is reset", async || {
        // Writing tells, without reading anything.
        stalled.write_all(b"G").await.is_err()
    })
    .await;
    assert!(client.is_ready().await);
    service.stop().await;
}
