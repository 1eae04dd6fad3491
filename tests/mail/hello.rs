//! Who we say we are, also to servers that know no EHLO (RFC 5321 3.2).

use hallpass::config::{HeloName, SmtpTls};
use hallpass::mail::SmtpOptions;

use crate::log::Log;
use crate::protection::{LOGIN, protected, until};
use crate::queue::{Post, options};
use crate::support::smtp::{Protection, SmtpServer};

const UNKNOWN: &str = "502 5.5.2 Command not recognized";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn we_are_who_the_settings_say_or_else_of_the_senders_domain() {
    let server = SmtpServer::start();
    for (helo_name, said) in [
        (None, "example.com"),
        (Some(HeloName::Domain("auth.example.net".to_owned())), "auth.example.net"),
        (Some(HeloName::Ipv4([192, 0, 2, 1].into())), "[192.0.2.1]"),
        (Some(HeloName::Ipv6("2001:db8::1".parse().expect("an address"))), "[IPv6:2001:db8::1]"),
    ] {
        let post = Post::to(SmtpOptions { helo_name, ..options(&server) });
        post.mail("ada@example.com");
        assert_eq!(server.received().hello(), ("EHLO", said));
        assert_eq!(post.finish().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_knows_no_ehlo_gets_the_mail_by_helo() {
    let mut server = SmtpServer::start();
    for refusal in [UNKNOWN, "500 5.5.1 What?", "550 Not here"] {
        server.answer("EHLO", refusal, 1);
        let helo_name = Some(HeloName::Domain("auth.example.net".to_owned()));
        let post = Post::to(SmtpOptions { helo_name, ..options(&server) });
        post.mail("ada@example.com");
        server.ordered();
        let mail = server.received();
        assert_eq!((mail.hello(), mail.to()), (("HELO", "auth.example.net"), vec!["ada@example.com"]));
        assert_eq!(post.finish().await, 0);
    }
    let mut server = SmtpServer::with(Protection::Implicit, None);
    server.answer("EHLO", UNKNOWN, 1);
    let post = Post::to(SmtpOptions { credentials: None, ..protected(&server, SmtpTls::Implicit) });
    post.mail("ada@example.com");
    server.ordered();
    let mail = server.received();
    assert!(mail.was_protected() && mail.hello().0 == "HELO");
    assert_eq!(post.finish().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_helo_as_well_is_not_asked_again() {
    let log = Log::keep();
    let mut server = SmtpServer::start();
    server.answer("EHLO", UNKNOWN, 1);
    server.answer("HELO", "550 5.7.1 Not you", 1);
    let post = Post::to(options(&server));
    post.mail("ada@example.com");
    until(|| log.text().contains("answered HELO with 550")).await;
    assert_eq!(post.finish().await, 0, "given up, not lost");
    assert_eq!(server.unread(), 0);
}

/// Whoever sits in between can have EHLO refused: that takes neither TLS nor login away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_ehlo_offers_is_not_gone_without() {
    let log = Log::keep();
    let mut server = SmtpServer::with(Protection::StartTls, Some(LOGIN));
    server.answer("EHLO", UNKNOWN, 1);
    let post = Post::to(protected(&server, SmtpTls::StartTls));
    post.mail("ada@example.com");
    until(|| log.text().contains("refuses EHLO with 502, so it does not offer STARTTLS")).await;
    server.ordered();
    let mail = server.received();
    assert!(mail.was_protected() && mail.hello().0 == "EHLO" && mail.login() == Some(LOGIN.0));
    assert_eq!(post.finish().await, 0);

    let mut server = SmtpServer::with(Protection::Implicit, Some(LOGIN));
    server.answer("EHLO", UNKNOWN, 1);
    let post = Post::to(protected(&server, SmtpTls::Implicit));
    post.mail("ada@example.com");
    until(|| log.text().contains("refuses EHLO with 502, so it does not offer AUTH")).await;
    assert_eq!(server.received().login(), Some(LOGIN.0));
    assert_eq!(post.finish().await, 0);

    let mut server = SmtpServer::start();
    server.answer("EHLO", UNKNOWN, 1);
    let post = Post::to(options(&server));
    post.mail("żółw@example.com");
    until(|| log.text().contains("refuses EHLO with 502, so it does not offer SMTPUTF8")).await;
    assert_eq!(post.finish().await, 0, "given up, not lost");
    assert_eq!(server.unread(), 0);
}
