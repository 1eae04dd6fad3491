//! SIGTERM: what runs is finished, what waits for nothing is closed.

use std::time::Duration;

use hyper::StatusCode;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{PASSWORD, Tokens, get, login};
use crate::process::dev;

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
    tokio::io::AsyncWriteExt::write_all(&mut stuck, head.as_bytes()).await.expect("bytes go");
    assert!(client.is_ready().await);
    let told = Instant::now();
    service.terminate();
    let log = service.log().clone();
    assert_eq!(service.ended().await.0, Some(0));
    assert!(told.elapsed() < GRACE / 2, "{:?}", told.elapsed());
    assert!(log.text().contains("still running"), "{}", log.text());
}
