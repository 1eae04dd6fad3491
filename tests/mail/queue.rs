//! A queue in front of a mail server of the tests' own.

use std::sync::Arc;
use std::time::Duration;

use hallpass::app::SystemRandom;
use hallpass::config::{SmtpFrom, SmtpTls};
use hallpass::domain::clock::{Clock, SystemClock};
use hallpass::domain::email::Email;
use hallpass::domain::ids::UserId;
use hallpass::domain::link::LinkTemplate;
use hallpass::domain::name::Name;
use hallpass::domain::tokens::ResetToken;
use hallpass::mail::{Links, MailQueue, QueueOptions, RunningQueue, SmtpOptions, SmtpTransport};
use hallpass::service::mail::{Mail, Mailer, Notice};

use crate::support::smtp::SmtpServer;

/// The page that links lead to.
pub const PAGE: &str = "https://auth.example.com/reset-password";

/// A token as a mail carries it.
pub const TOKEN: &str = "hp_pr_AWlAabbrqZkVtQx0";

/// How long a mail is worth sending: as long as a test may last, and more.
const USEFUL: Duration = Duration::from_secs(600);

/// More than any step takes on a busy machine.
pub const PATIENT: Duration = Duration::from_secs(30);

/// What a server is told to take too long for.
pub const IMPATIENT: Duration = Duration::from_millis(300);

/// How to talk to a server that protects nothing.
pub fn options(server: &SmtpServer) -> SmtpOptions {
    SmtpOptions {
        host: "127.0.0.1".to_owned(),
        port: server.port(),
        tls: SmtpTls::None,
        authorities: None,
        credentials: None,
        timeout: PATIENT,
        from: SmtpFrom {
            name: Some("Żółw & Co".to_owned()),
            address: Email::parse("no-reply@example.com").expect("an address"),
        },
        helo_name: None,
    }
}

/// A running queue.
pub struct Post {
    queue: MailQueue,
    running: RunningQueue,
}

impl Post {
    /// In front of this server, with pauses that a test can wait for.
    pub fn to(options: SmtpOptions) -> Self {
        let transport = SmtpTransport::new(options).expect("options that can be used");
        let page = LinkTemplate::to_page(PAGE);
        let links = Links {
            service: "auth.example.com".to_owned(),
            app: None,
            reset: page.clone(),
            verification: page,
        };
        let pauses = QueueOptions {
            first_pause: Duration::from_millis(20),
            longest_pause: Duration::from_millis(100),
            ..QueueOptions::default()
        };
        let (queue, running) =
            MailQueue::start(transport, links, pauses, Arc::new(SystemClock), Arc::new(SystemRandom));
        Self { queue, running }
    }

    /// Posts a reset mail.
    pub fn mail(&self, to: &str) {
        self.queue.post(Mail {
            user: UserId::try_from(7).expect("an id"),
            to: Email::parse(to).expect("an address"),
            name: Name::parse("Ada <b>").expect("a name"),
            notice: Notice::PasswordReset(ResetToken::new(TOKEN)),
            valid_for: USEFUL,
            deadline: SystemClock.now().after(USEFUL),
        });
    }

    /// Sees the mails through; answers how many are lost.
    pub async fn finish(self) -> usize {
        self.running.finish(PATIENT).await
    }

    /// Gives up at once; answers how many are lost.
    pub async fn give_up(self) -> usize {
        self.running.finish(Duration::ZERO).await
    }
}
