//! Mails of the real program, over a real mail server.

use std::path::Path;
use std::time::Duration;

use hyper::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use crate::client::{Client, get, login, post};
use crate::process::{Program, dev, eventually};
use crate::support::smtp::SmtpServer;

const NEW: &str = "a better one this time";

/// A service for trying out that mails reset tokens to this server.
fn mailing(folder: &Path, server: &SmtpServer) -> Program {
    dev(folder)
        .variable("HALLPASS_PUBLIC_URL", "http://localhost:8080")
        .variable("HALLPASS_RESET__DELIVERY", "smtp")
        .variable("HALLPASS_SMTP__HOST", "127.0.0.1")
        .variable("HALLPASS_SMTP__PORT", server.port().to_string())
        .variable("HALLPASS_SMTP__TLS", "none")
        .variable("HALLPASS_SMTP__FROM", "no-reply@example.com")
        .variable("HALLPASS_SMTP__TIMEOUT", "1s")
}

async fn request_reset(client: &Client, email: &str) {
    let answer = client.send(post("/auth/reset-password-request").json(&json!({"email": email}))).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert!(answer.json().get("passwordResetToken").is_none(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailed_link_leads_to_a_new_password_however_often_it_was_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = SmtpServer::start();
    let service = mailing(folder.path(), &server).start();
    let client = service.client();
    assert_eq!(client.register("tqjzkvwm@example.com").await.status, StatusCode::CREATED);
    // Of the Host header (localhost, without a port) and of others nothing shows: links come of the settings alone.
    let request = post("/auth/reset-password-request")
        .header("x-forwarded-host", "evil.example")
        .header("forwarded", "host=evil.example")
        .header("origin", "https://evil.example")
        .json(&json!({"email": "tqjzkvwm@example.com"}));
    assert_eq!(client.send(request).await.status, StatusCode::OK);
    let mail = server.received();
    assert_eq!(mail.to(), ["tqjzkvwm@example.com"]);
    let token = mail.token("http://localhost:8080/reset-password");

    for _ in 0..3 {
        let page = client.send(get("/reset-password")).await;
        assert_eq!(page.status, StatusCode::OK);
        for (name, value) in [("cache-control", "no-store"), ("referrer-policy", "no-referrer")] {
            assert_eq!(page.header(name), value, "{page:?}");
        }
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    }
    let redeemed = client
        .send(post("/auth/reset-password").json(&json!({"resetToken": token, "newPassword": NEW})))
        .await;
    assert_eq!(redeemed.status, StatusCode::OK, "{redeemed:?}");
    assert_eq!(client.send(login("tqjzkvwm@example.com", NEW)).await.status, StatusCode::OK);

    let log = service.log().clone();
    service.stop().await;
    let log = log.text();
    assert!(log.contains("mail sent"), "{log}");
    for secret in ["tqjzkvwm", &token, &token[token.len() - 20..], "#token"] {
        assert!(!log.contains(secret), "{secret:?} in:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_that_are_under_way_are_sent_before_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = SmtpServer::start();
    let service = mailing(folder.path(), &server).start();
    let client = service.client();
    server.pause();
    request_reset(&client, "johndoe@example.com").await;
    service.terminate();
    let log = service.log().clone();
    // Told to stop, and waiting for the mail alone.
    eventually("it listens no more", async || client.try_send(get("/health/live")).await.is_err()).await;
    server.resume();
    assert_eq!(server.received().to(), ["johndoe@example.com"]);
    assert_eq!(service.ended().await.0, Some(0));
    assert!(log.text().contains("mail sent"), "{}", log.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_mail_server_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = SmtpServer::start();
    let service = mailing(folder.path(), &server)
        .variable("HALLPASS_SHUTDOWN_GRACE", "2s")
        // All requests come from one place, which has a third of it.
        .variable("HALLPASS_RATE_LIMITS__RESET_REQUEST__PER_ACCOUNT", "60/15m")
        .start();
    let client = service.client();
    server.pause();
    let began = Instant::now();
    for _ in 0..20 {
        request_reset(&client, "johndoe@example.com").await;
    }
    assert_eq!(client.send(login("johndoe@example.com", "password")).await.status, StatusCode::OK);
    assert!(client.is_ready().await);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());

    let told = Instant::now();
    service.terminate();
    let log = service.log().clone();
    assert_eq!(service.ended().await.0, Some(0));
    assert!(told.elapsed() < Duration::from_secs(8), "{:?}", told.elapsed());
    assert!(log.text().contains("stopped with mails that were not sent"), "{}", log.text());
}

#[tokio::test]
async fn a_mail_server_that_cannot_be_trusted_is_known_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .expect("a file");
    let outcome = dev(folder.path())
        .variable("HALLPASS_SMTP__HOST", "127.0.0.1")
        .variable("HALLPASS_SMTP__FROM", "no-reply@example.com")
        .variable("HALLPASS_SMTP__CA_FILE", &authority)
        .run()
        .await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("TLS to the SMTP server cannot be set up"), "{outcome:?}");
}

#[tokio::test]
async fn a_selftest_measures_a_running_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).variable("HALLPASS_RATE_LIMITS__ENABLED", "false").start();
    let url = format!("http://{}", service.address());
    let arguments =
        ["selftest", "enumeration", "--url", &url, "--known", "johndoe@example.com", "--samples", "20"];
    let outcome = Program::new(folder.path(), &arguments).run().await;
    // What the times are is this machine's business: it may be busy with other tests.
    for part in ["login with a wrong password", "request of a password reset", "ratio", "20 samples each"] {
        assert!(outcome.stdout.contains(part), "{part:?} is missing: {outcome:?}");
    }
    assert_eq!(outcome.stdout.matches("answers alike").count(), 2, "{outcome:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_selftest_says_that_limits_leave_nothing_to_measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).variable("HALLPASS_RATE_LIMITS__LOGIN__PER_IP", "5/1m").start();
    let url = format!("http://{}", service.address());
    let arguments = ["selftest", "enumeration", "--url", &url, "--known", "johndoe@example.com"];
    let outcome = Program::new(folder.path(), &arguments).run().await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("HALLPASS_RATE_LIMITS__ENABLED=false"), "{outcome:?}");
    service.stop().await;
}
