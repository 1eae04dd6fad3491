//! What arrives.

use hallpass::config::SmtpFrom;
use hallpass::domain::email::Email;
use hallpass::mail::SmtpOptions;

use crate::queue::{PAGE, Post, TOKEN, options};
use crate::support::smtp::SmtpServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_arrives_whole_as_text_and_as_html() {
    let server = SmtpServer::start();
    let post = Post::to(options(&server));
    post.mail("ada+x@example.com");
    let mail = server.received();
    assert_eq!(mail.from(), "no-reply@example.com");
    assert_eq!(mail.to(), ["ada+x@example.com"]);
    assert_eq!(mail.header("From"), "Żółw & Co <no-reply@example.com>");
    assert_eq!(mail.header("To"), "ada+x@example.com");
    assert_eq!(mail.header("Subject"), "Choose a new password for auth.example.com");
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert!(mail.header("Message-ID").ends_with("@example.com>"), "{}", mail.header("Message-ID"));
    assert!(mail.header("Date").ends_with("+0000"), "{}", mail.header("Date"));
    assert_eq!(mail.token(PAGE), TOKEN);
    assert!(mail.text().lines().next() == Some("Hello Ada <b>,"), "{}", mail.text());
    assert!(mail.html().contains("Hello Ada &lt;b&gt;,"), "{}", mail.html());
    assert!(!mail.was_protected() && mail.login().is_none());
    assert_eq!(post.finish().await, 0);
    assert_eq!(server.unread(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_any_script_is_reached() {
    let server = SmtpServer::start();
    let post = Post::to(options(&server));
    post.mail("żółw@exämple.com");
    assert_eq!(server.received().to(), ["żółw@xn--exmple-cua.com"]);
    post.mail("ada@exämple.com");
    assert_eq!(server.received().to(), ["ada@xn--exmple-cua.com"]);
    assert_eq!(post.finish().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_is_read_as_it_was_written() {
    let server = SmtpServer::start();
    for name in [
        "Example, Inc.",
        "Example (Support)",
        r#"The "Example" \ Co"#,
        r"A\",
        "a <b@c.example> d",
        "Żółw & Co; ąęśćź: ŻÓŁĆ, żółć, żółć, żółć, żółć, żółć, żółć, żółć",
        "A name that is longer than what a line of a header holds, and then some more, so that it is folded twice",
        "=?utf-8?q?=22?=",
        "東京",
    ] {
        let address = Email::parse("no-reply@example.com").expect("an address");
        let from = SmtpFrom { name: Some(name.to_owned()), address };
        let post = Post::to(SmtpOptions { from, ..options(&server) });
        post.mail("ada@example.com");
        assert_eq!(server.received().sender(), (name, "no-reply@example.com"));
        assert_eq!(post.finish().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_mails_arrive_once_each() {
    let server = SmtpServer::start();
    let post = Post::to(options(&server));
    let mut expected: Vec<String> = (0..50).map(|number| format!("ada{number}@example.com")).collect();
    for address in &expected {
        post.mail(address);
    }
    let mut arrived: Vec<String> = expected.iter().map(|_| server.received().to()[0].to_owned()).collect();
    arrived.sort();
    expected.sort();
    assert_eq!(arrived, expected);
    assert_eq!(post.finish().await, 0);
    assert_eq!(server.unread(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_waits_for_mails_that_are_under_way() {
    let server = SmtpServer::start();
    let post = Post::to(options(&server));
    for number in 0..10 {
        post.mail(&format!("ada{number}@example.com"));
    }
    assert_eq!(post.finish().await, 0);
    for _ in 0..10 {
        server.received();
    }
}
