//! TLS and logins: without them nothing is sent.

use hallpass::config::SmtpTls;
use hallpass::mail::SmtpOptions;

use crate::queue::{Post, options};
use crate::support::certificates::Certificates;
use crate::support::smtp::{Protection, SmtpServer};

pub const LOGIN: (&str, &str) = ("hallpass", "tqjzkvwm");

/// With the tests' own authority, by name and password.
pub fn protected(server: &SmtpServer, tls: SmtpTls) -> SmtpOptions {
    let authorities = std::fs::read(Certificates::shared().authority()).expect("a certificate");
    SmtpOptions {
        tls,
        authorities: Some(authorities),
        credentials: Some((LOGIN.0.to_owned(), LOGIN.1.to_owned())),
        ..options(server)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_goes_through_tls_to_a_server_that_wants_a_login() {
    for (tls, security) in
        [(Protection::StartTls, SmtpTls::StartTls), (Protection::Implicit, SmtpTls::Implicit)]
    {
        let server = SmtpServer::with(tls, Some(LOGIN));
        let post = Post::to(protected(&server, security));
        post.mail("ada@example.com");
        let mail = server.received();
        assert!(mail.was_protected());
        assert_eq!(mail.login(), Some(LOGIN.0));
        assert_eq!(post.finish().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_a_certificate_of_somebody_else_gets_nothing() {
    for (tls, security) in
        [(Protection::StartTls, SmtpTls::StartTls), (Protection::Implicit, SmtpTls::Implicit)]
    {
        let server = SmtpServer::with(tls, None);
        // The system's authorities do not know the tests' own; nor is the certificate for this name.
        let strangers = SmtpOptions { authorities: None, credentials: None, ..protected(&server, security) };
        let misnamed =
            SmtpOptions { host: "localhost".to_owned(), credentials: None, ..protected(&server, security) };
        for options in [strangers, misnamed] {
            let log = crate::log::Log::keep();
            let mark = log.text().len();
            let post = Post::to(options);
            post.mail("ada@example.com");
            until(|| log.text()[mark..].contains("invalid peer certificate")).await;
            assert_eq!(post.give_up().await, 1);
        }
        assert_eq!(server.unread(), 0);
    }
}

/// Whoever sits in between can take the offer of STARTTLS away: then nothing is sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_offers_no_tls_gets_nothing() {
    let log = crate::log::Log::keep();
    let server = SmtpServer::with(Protection::None, Some(LOGIN));
    let post = Post::to(protected(&server, SmtpTls::StartTls));
    post.mail("ada@example.com");
    until(|| log.text().contains("does not offer STARTTLS")).await;
    assert_eq!(post.give_up().await, 1);
    assert_eq!(server.unread(), 0);
    assert!(!log.text().contains(LOGIN.1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_not_tried_again() {
    let server = SmtpServer::with(Protection::StartTls, Some(LOGIN));
    let credentials = Some((LOGIN.0.to_owned(), "wrong".to_owned()));
    let post = Post::to(SmtpOptions { credentials, ..protected(&server, SmtpTls::StartTls) });
    post.mail("ada@example.com");
    assert!(!server.login());
    assert_eq!(post.finish().await, 0, "given up, not lost");
    assert_eq!(server.unread(), 0);
}

/// Asks again and again until the answer is yes.
pub async fn until(mut ask: impl FnMut() -> bool) {
    let asking = async {
        while !ask() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::queue::PATIENT, asking).await.expect("it stays so that not");
}
