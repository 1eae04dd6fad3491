//! Mails of the real program, over a real mail server.

use std::path::Path;
use std::time::Duration;

use hyper::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use crate::client::{Client, PASSWORD, Tokens, get, login, post};
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

/// The settings of a server that protects nothing, for a command.
fn told_of(program: Program, server: &SmtpServer) -> Program {
    program
        .variable("HALLPASS_SMTP__HOST", "127.0.0.1")
        .variable("HALLPASS_SMTP__PORT", server.port().to_string())
        .variable("HALLPASS_SMTP__TLS", "none")
        .variable("HALLPASS_SMTP__FROM", "\"Example, Inc.\" <no-reply@example.com>")
        .variable("HALLPASS_SMTP__HELO_NAME", "auth.example.net")
        .variable("HALLPASS_SMTP__TIMEOUT", "2s")
        .variable("HALLPASS_APP__NAME", "Example & Co")
}

#[tokio::test]
async fn a_test_mail_says_how_each_step_went() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = SmtpServer::start();
    let send = async |arguments: &[&str], server: &SmtpServer| {
        told_of(Program::new(folder.path(), arguments), server).run().await
    };
    let sent = send(&["mail", "test", "tqjzkvwm@example.com"], &server).await;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    for step in ["connection", "EHLO", "MAIL", "RCPT", "DATA", "sent to tqjzkvwm@example.com"] {
        assert!(sent.stdout.contains(step), "{step} is missing: {sent:?}");
    }
    let mail = server.received();
    assert_eq!((mail.to(), mail.sender().0), (vec!["tqjzkvwm@example.com"], "Example, Inc."));
    assert_eq!(mail.hello(), ("EHLO", "auth.example.net"));
    assert_eq!(mail.header("Subject"), "A test mail of Example & Co");
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert!(mail.html().contains("of Example &amp; Co to"), "{}", mail.html());

    server.answer("EHLO", "502 5.5.2 What?", 1);
    server.answer("RCPT", "550 5.1.1 <tqjzkvwm@example.com> No such user", 1);
    let refused = send(&["mail", "test", "tqjzkvwm@example.com", "--json"], &server).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let answer: serde_json::Value = serde_json::from_str(&refused.stdout).expect("JSON");
    assert_eq!((&answer["sent"], &answer["to"]), (&json!(false), &json!("tqjzkvwm@example.com")));
    let steps = answer["steps"].as_array().expect("a list");
    let steps: Vec<_> =
        steps.iter().map(|step| (step["subject"].as_str(), step["condition"].as_str())).collect();
    let good = |step| (Some(step), Some("good"));
    assert_eq!(steps, [good("connection"), good("HELO"), good("MAIL"), (Some("RCPT"), Some("bad"))]);
    assert!(refused.stdout.contains("answered RCPT with 550"), "{refused:?}");

    for _ in 0..2 {
        server.ordered();
    }
    server.kill();
    let gone = send(&["mail", "test", "tqjzkvwm@example.com"], &server).await;
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert!(gone.stdout.contains("failed at the connection") && gone.stdout.contains("not sent"), "{gone:?}");
    // Nothing of this needs a service, or makes anything.
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[tokio::test]
async fn a_test_mail_needs_a_server_and_an_address() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = Program::new(folder.path(), &["mail", "test", "ada@example.com"]).run().await;
    assert_eq!(nowhere.code, Some(1), "{nowhere:?}");
    assert!(nowhere.stderr.contains("set `smtp.host` and `smtp.from`"), "{nowhere:?}");
    let nobody = Program::new(folder.path(), &["mail", "test", "ada"]).run().await;
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stderr.contains("\"ada\" is not an e-mail address"), "{nobody:?}");
}

#[tokio::test]
async fn the_doctor_asks_the_mail_server_and_sends_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    dev(folder.path()).start().stop().await;
    let doctor = || Program::new(folder.path(), &["doctor", "--for", "dev"]);
    let unasked = doctor().run().await;
    assert!(unasked.code == Some(0) && !unasked.stdout.contains("mail server"), "{unasked:?}");

    let mut server = SmtpServer::start();
    let well = told_of(doctor(), &server).run().await;
    assert_eq!(well.code, Some(0), "{well:?}");
    assert!(well.stdout.contains("lets us in (connection, EHLO)"), "{well:?}");
    server.answer("EHLO", "421 4.3.2 Come back later", 1);
    let refused = told_of(doctor(), &server).run().await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stdout.contains("mail server") && refused.stdout.contains("with 421"), "{refused:?}");
    server.ordered();
    assert_eq!(server.unread(), 0);

    server.pause();
    let began = Instant::now();
    let patient = told_of(doctor(), &server).variable("HALLPASS_SMTP__TIMEOUT", "5m");
    let hung = patient.run().await;
    server.resume();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(hung.code, Some(1), "{hung:?}");
    assert!(hung.stdout.contains("did not answer the connection in time"), "{hung:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_and_pages_have_the_name_of_the_app() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = SmtpServer::start();
    let service = mailing(folder.path(), &server)
        .variable("HALLPASS_APP__NAME", "Example & Co")
        .variable("HALLPASS_APP__URL", "https://www.example.com/login?a=1&b=2")
        .start();
    let client = service.client();
    request_reset(&client, "johndoe@example.com").await;
    let mail = server.received();
    assert_eq!(mail.header("Subject"), "Choose a new password for Example & Co");
    assert!(mail.text().contains("at Example & Co."), "{}", mail.text());
    for path in ["/reset-password", "/verify-email"] {
        let page = client.send(get(path)).await;
        assert_eq!((page.status, page.header("cache-control")), (StatusCode::OK, "no-store"));
        let html = page.text();
        let link = "<a href=\"https://www.example.com/login?a=1&amp;b=2\">Back to Example &amp; Co</a>";
        assert!(html.contains("Example &amp; Co</title>") && html.contains(link), "{html}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_lets_in_whom_no_mail_reaches() {
    const EMAIL: &str = "tqjzkvwm@example.com";
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = SmtpServer::start();
    server.answer("RCPT", "550 5.1.1 No such user", 1);
    let service =
        mailing(folder.path(), &server).variable("HALLPASS_REGISTRATION__VERIFY_EMAIL", "true").start();
    let client = service.client();
    assert_eq!(client.register(EMAIL).await.status, StatusCode::CREATED);
    server.ordered();
    assert_eq!(client.send(login(EMAIL, PASSWORD)).await.status, StatusCode::FORBIDDEN);
    for _ in 0..2 {
        let verified = Program::new(folder.path(), &["users", "verify-email", EMAIL]).run().await;
        assert_eq!(verified.code, Some(0), "{verified:?}");
        assert_eq!(verified.stdout, format!("e-mail address verified: 2 {EMAIL}\n"));
    }
    let answer = client.send(login(EMAIL, PASSWORD)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.json()["user"]["email_verified"], json!(true));
    let nobody = Program::new(folder.path(), &["users", "verify-email", "2", "eve@example.com"]).run().await;
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    // The audit log knows of it, once.
    let admin = Tokens::of(&client.send(login("johndoe@example.com", "password")).await).access;
    let log = client.send(get("/audit?action=email_verified").bearer(&admin)).await;
    let entries = log.json();
    let actors: Vec<_> = entries.as_array().expect("a list").iter().map(|entry| &entry["actor"]).collect();
    assert_eq!(actors, [&json!("operator")], "{entries}");
    service.stop().await;
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
