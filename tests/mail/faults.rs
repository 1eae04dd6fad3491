//! Servers that are slow, hung, dead, or do not want the mail.

use hallpass::mail::SmtpOptions;

use crate::log::Log;
use crate::queue::{IMPATIENT, PAGE, Post, TOKEN, options};
use crate::support::smtp::SmtpServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passing_refusal_at_any_step_is_tried_again() {
    let mut server = SmtpServer::start();
    for step in ["EHLO", "MAIL", "RCPT", "DATA"] {
        server.answer(step, "451 4.3.0 Try again later", 2);
        let post = Post::to(options(&server));
        post.mail("ada@example.com");
        for _ in 0..2 {
            assert_eq!(server.ordered()["step"], step);
        }
        assert_eq!(server.received().token(PAGE), TOKEN);
        assert_eq!(post.finish().await, 0);
        assert_eq!(server.unread(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_for_good_at_any_step_is_not_tried_again() {
    let mut server = SmtpServer::start();
    for step in ["MAIL", "RCPT", "DATA"] {
        server.answer(step, "550 5.1.1 No such user", 1);
        let post = Post::to(options(&server));
        post.mail("ada@example.com");
        server.ordered();
        // Another one shows that the server is well, and comes after any second try of the first.
        assert_eq!(post.finish().await, 0);
        let post = Post::to(options(&server));
        post.mail("eve@example.com");
        assert_eq!(server.received().to(), ["eve@example.com"]);
        assert_eq!(post.finish().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_costs_one_timeout() {
    let mut server = SmtpServer::start();
    for step in ["EHLO", "MAIL", "RCPT", "DATA"] {
        server.fall_silent_at(step, 1);
        let post = Post::to(SmtpOptions { timeout: IMPATIENT, ..options(&server) });
        post.mail("ada@example.com");
        assert_eq!(server.ordered()["step"], step);
        assert_eq!(server.received().token(PAGE), TOKEN);
        assert_eq!(post.finish().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_delays_mails_and_loses_none() {
    let log = Log::keep();
    let server = SmtpServer::start();
    let post = Post::to(SmtpOptions { timeout: IMPATIENT, ..options(&server) });
    server.pause();
    for number in 0..8 {
        post.mail(&format!("ada{number}@example.com"));
    }
    crate::protection::until(|| log.text().contains("did not answer the connection in time")).await;
    server.resume();
    let mut arrived = std::collections::BTreeSet::new();
    while arrived.len() < 8 {
        arrived.insert(server.received().to()[0].to_owned());
    }
    assert_eq!(post.finish().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_that_comes_back_gets_what_has_waited() {
    let log = Log::keep();
    let mut server = SmtpServer::start();
    let post = Post::to(options(&server));
    server.kill();
    post.mail("ada@example.com");
    post.mail("eve@example.com");
    crate::protection::until(|| log.text().contains("failed at the connection")).await;
    server.restart();
    let mut arrived = [server.received(), server.received()].map(|mail| mail.to()[0].to_owned());
    arrived.sort();
    assert_eq!(arrived, ["ada@example.com", "eve@example.com"]);
    assert_eq!(post.finish().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_address_nor_link_nor_what_the_server_said_is_logged() {
    let log = Log::keep();
    let mut server = SmtpServer::start();
    let said = format!("451 <tqjzkvwm@example.com> not now: {PAGE}#token={TOKEN}");
    server.answer("RCPT", &said, 1);
    server.answer("DATA", &said.replace("451", "554"), 1);
    let post = Post::to(options(&server));
    post.mail("tqjzkvwm@example.com");
    for _ in 0..2 {
        server.ordered();
    }
    assert_eq!(post.finish().await, 0);
    let text = log.text();
    for line in
        ["answered RCPT with 451", "answered the message with 554", "user=7", "notice=\"password_reset\""]
    {
        assert!(text.contains(line), "{line:?} is not in the log:\n{text}");
    }
    for secret in ["tqjzkvwm@", TOKEN, &TOKEN[8..], "#token="] {
        assert!(!text.contains(secret), "{secret:?}");
    }
}
