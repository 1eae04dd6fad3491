//! How far a server lets somebody come who asks here and now.

use hallpass::app::SystemRandom;
use hallpass::config::SmtpTls;
use hallpass::domain::clock::{Clock, SystemClock};
use hallpass::domain::email::Email;
use hallpass::domain::random;
use hallpass::mail::smtp::Step;
use hallpass::mail::{SmtpOptions, SmtpTransport, Transport, test_letter};

use crate::protection::{LOGIN, protected};
use crate::queue::options;
use crate::support::smtp::{Protection, SmtpServer};

const BEFORE_A_MAIL: [Step; 4] =
    [Step::Connected { encrypted: false }, Step::Ehlo, Step::StartTls, Step::LoggedIn];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_as_far_as_the_login_and_leaves_no_mail() {
    let server = SmtpServer::with(Protection::StartTls, Some(LOGIN));
    let transport = SmtpTransport::new(protected(&server, SmtpTls::StartTls)).expect("options");
    let trial = transport.try_session().await;
    assert!(trial.failed.is_none(), "{trial:?}");
    assert_eq!(trial.done, BEFORE_A_MAIL);
    assert!(server.login());
    assert_eq!(server.unread(), 0);

    let server = SmtpServer::with(Protection::Implicit, None);
    let options = SmtpOptions { credentials: None, ..protected(&server, SmtpTls::Implicit) };
    let trial = SmtpTransport::new(options).expect("options").try_session().await;
    assert!(trial.failed.is_none(), "{trial:?}");
    assert_eq!(trial.done, [Step::Connected { encrypted: true }, Step::Ehlo]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_went_wrong_stands_behind_what_went_well() {
    let server = SmtpServer::with(Protection::StartTls, Some(LOGIN));
    let credentials = Some((LOGIN.0.to_owned(), "wrong hunter2".to_owned()));
    let options = SmtpOptions { credentials, ..protected(&server, SmtpTls::StartTls) };
    let trial = SmtpTransport::new(options).expect("options").try_session().await;
    assert_eq!(trial.done, BEFORE_A_MAIL[..3]);
    let failed = trial.failed.expect("a failure");
    assert_eq!((failed.step(), failed.to_string().contains("AUTH with 535")), ("AUTH", true), "{failed}");
    assert!(!format!("{failed:?}").contains("hunter2"), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_is_a_session_and_a_mail() {
    let mut server = SmtpServer::start();
    let transport = SmtpTransport::new(options(&server)).expect("options");
    let to = Email::parse("ada@example.com").expect("an address");
    let id = random::uuid(&SystemRandom).to_string();
    let message =
        transport.write(test_letter("Example", &to), &to, &id, SystemClock.now()).expect("a message");
    let trial = transport.try_delivery(&message).await;
    assert!(trial.failed.is_none(), "{trial:?}");
    let steps =
        [Step::Connected { encrypted: false }, Step::Ehlo, Step::Sender, Step::Recipient, Step::Message];
    assert_eq!(trial.done, steps);
    assert_eq!(server.received().header("Subject"), "A test mail of Example");

    server.answer("EHLO", "502 5.5.2 What?", 1);
    server.answer("DATA", "554 5.6.0 Not this", 1);
    let trial = transport.try_delivery(&message).await;
    let steps =
        [Step::Connected { encrypted: false }, Step::Helo { refusal: 502 }, Step::Sender, Step::Recipient];
    assert_eq!(trial.done, steps);
    assert!(trial.failed.expect("a failure").to_string().contains("with 554"));
}
