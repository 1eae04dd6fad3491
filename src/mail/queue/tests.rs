use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use tokio::time::Instant;

use super::super::templates::Letter;
use super::*;
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::link::LinkTemplate;
use crate::domain::tokens::{ResetToken, VerificationToken};

const MINUTE: Duration = Duration::from_secs(60);

/// A server that answers each try from a list of status codes, 250 when that is empty, and takes
/// as long as it is told. It takes nothing to evil.test for now.
struct Server {
    answers: Mutex<VecDeque<u16>>,
    takes: Duration,
    began: Instant,
    tries: mpsc::UnboundedSender<(String, Duration)>,
}

#[async_trait]
impl Transport for Server {
    type Message = String;

    fn write(&self, _: Letter, to: &Email, id: &str, _: Timestamp) -> Result<String, DeliveryError> {
        Ok(format!("{id} {to}"))
    }

    async fn deliver(&self, message: &String) -> Result<(), DeliveryError> {
        let at = self.began.elapsed();
        self.tries.send((message.clone(), at)).unwrap();
        tokio::time::sleep(self.takes).await;
        if message.ends_with("@evil.test") {
            return Err(DeliveryError::status(450));
        }
        match self.answers.lock().unwrap().pop_front() {
            None | Some(250) => Ok(()),
            Some(code) => Err(DeliveryError::status(code)),
        }
    }
}

/// The clock of tokio's paused timers.
struct Timers(Instant);

impl Clock for Timers {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0).after(self.0.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

struct Highest;

impl Random for Highest {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(255);
    }
}

type Tries = mpsc::UnboundedReceiver<(String, Duration)>;

fn queue(answers: &[u16], takes: Duration, options: QueueOptions) -> (MailQueue, RunningQueue, Tries) {
    let (tell, tries) = mpsc::unbounded_channel();
    let server = Server {
        answers: Mutex::new(answers.iter().copied().collect()),
        takes,
        began: Instant::now(),
        tries: tell,
    };
    let page = LinkTemplate::to_page("https://auth.example.com/page");
    let links =
        Links { service: "auth.example.com".to_owned(), app: None, reset: page.clone(), verification: page };
    let (queue, running) =
        MailQueue::start(server, links, options, Arc::new(Timers(Instant::now())), Arc::new(Highest));
    (queue, running, tries)
}

fn mail(number: u64) -> Mail {
    Mail {
        user: UserId::try_from(7).unwrap(),
        // Of one domain less would be sent at once.
        to: Email::parse(&format!("ada@example{number}.com")).unwrap(),
        name: None,
        notice: Notice::PasswordReset(ResetToken::new("hp_pr_A")),
        valid_for: 10 * MINUTE,
        deadline: Timestamp::from_millis(600_000),
    }
}

/// When tries were made, in seconds.
fn seconds(mut tries: Tries) -> Vec<u64> {
    std::iter::from_fn(|| tries.try_recv().ok()).map(|(_, at)| at.as_secs()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_passing_refusal_is_tried_again_later_and_later_with_the_same_bytes() {
    let (queue, running, mut tries) = queue(&[451, 421, 450], Duration::ZERO, QueueOptions::default());
    queue.post(mail(1));
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(tries.recv().await.unwrap());
    }
    assert_eq!(running.finish(MINUTE).await, 0);
    assert!(sent.iter().all(|(message, _)| *message == sent[0].0));
    let at: Vec<u64> = sent.iter().map(|(_, at)| at.as_secs()).collect();
    assert_eq!(at, [0, 1, 3, 7]);
    assert!(tries.try_recv().is_err(), "no try after the one that worked");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_not_tried_again() {
    let (queue, running, tries) = queue(&[550, 250], Duration::ZERO, QueueOptions::default());
    queue.post(mail(1));
    assert_eq!(running.finish(60 * MINUTE).await, 0);
    assert_eq!(seconds(tries), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_mail_is_given_up_when_what_it_carries_has_expired() {
    let (queue, running, tries) = queue(&[451; 100], Duration::ZERO, QueueOptions::default());
    queue.post(mail(1));
    assert_eq!(running.finish(60 * MINUTE).await, 0);
    assert_eq!(seconds(tries), [0, 1, 3, 7, 15, 31, 63, 127, 255, 511], "none at 600 s or later");
}

fn verification(number: u64, domain: &str) -> Mail {
    Mail {
        to: Email::parse(&format!("ada{number}@{domain}")).unwrap(),
        notice: Notice::VerifyEmail(VerificationToken::new("hp_ev_A")),
        valid_for: 24 * 60 * MINUTE,
        deadline: Timestamp::from_millis(24 * 3_600_000),
        ..mail(number)
    }
}

#[tokio::test(start_paused = true)]
async fn a_verification_that_is_refused_for_now_is_given_up_after_a_quarter_of_an_hour() {
    let (queue, running, tries) = queue(&[450; 100], Duration::ZERO, QueueOptions::default());
    queue.post(verification(1, "example.com"));
    assert_eq!(running.finish(24 * 60 * MINUTE).await, 0);
    assert_eq!(seconds(tries), [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1111]);
}

/// A server that is not there has no opinion about a mail.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_gone_is_asked_again_for_as_long_as_the_mail_is_of_use() {
    let (queue, running, tries) = queue(&[421; 1_000], Duration::ZERO, QueueOptions::default());
    queue.post(verification(1, "example.com"));
    assert_eq!(running.finish(25 * 60 * MINUTE).await, 0);
    assert!(seconds(tries).last().is_some_and(|last| *last > 23 * 3_600));
}

/// Each takes a place for as long as it is tried, and the server as long as it can.
#[tokio::test(start_paused = true)]
async fn a_thousand_verifications_that_nobody_takes_keep_no_other_mail_back() {
    let (queue, running, mut tries) = queue(&[], Duration::from_secs(9), QueueOptions::default());
    for number in 0..1_010 {
        queue.post(verification(number, "evil.test"));
    }
    for minute in 0..20 {
        let reset = Mail { deadline: Timestamp::from_millis(24 * 3_600_000), ..mail(minute) };
        let (other, evil) = (verification(minute, "example.com"), verification(minute, "evil.test"));
        [&reset, &other, &evil].into_iter().for_each(|mail| queue.post(mail.clone()));
        let mut wanted = vec![format!(" {}", reset.to), format!(" {}", other.to)];
        let delivering = async {
            while !wanted.is_empty() {
                let (message, _) = tries.recv().await.unwrap();
                wanted.retain(|end| !message.ends_with(end));
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(10), delivering).await;
        in_time.expect("one turn of whoever was there, at most");
        tokio::time::sleep(MINUTE).await;
    }
    drop(queue);
    running.finish(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn one_mail_that_waits_holds_up_no_other() {
    let options = QueueOptions { at_once: 1, ..QueueOptions::default() };
    let (queue, running, mut tries) = queue(&[451, 250], Duration::ZERO, options);
    queue.post(mail(1));
    let first = tries.recv().await.unwrap();
    queue.post(mail(2));
    let second = tries.recv().await.unwrap();
    assert!(first.0.ends_with("ada@example1.com") && second.0.ends_with("ada@example2.com"));
    assert_eq!(second.1, Duration::ZERO);
    assert_eq!(running.finish(MINUTE).await, 0);
    assert_eq!(seconds(tries), [1]);
}

#[tokio::test(start_paused = true)]
async fn no_more_are_sent_at_once_than_the_server_grants() {
    let options = QueueOptions { at_once: 2, ..QueueOptions::default() };
    let (queue, running, tries) = queue(&[], Duration::from_secs(5), options);
    for number in 0..4 {
        queue.post(mail(number));
    }
    assert_eq!(running.finish(MINUTE).await, 0);
    assert_eq!(seconds(tries), [0, 0, 5, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_what_comes_and_a_finished_mail_frees_its_place() {
    // Two for resets, and two for others.
    let options = QueueOptions { capacity: 4, ..QueueOptions::default() };
    let (queue, running, mut tries) = queue(&[], Duration::from_secs(5), options);
    for number in 0..4 {
        queue.post(mail(number));
    }
    for _ in 0..2 {
        tries.recv().await.unwrap();
    }
    tokio::time::timeout(4 * MINUTE, tries.recv()).await.expect_err("the others were dropped");
    queue.post(mail(5));
    let (message, _) = tries.recv().await.unwrap();
    assert!(message.ends_with("ada@example5.com"));
    assert_eq!(running.finish(MINUTE).await, 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_what_is_there_but_not_longer_than_it_may() {
    let (queue, running, mut tries) = queue(&[], Duration::from_secs(20), QueueOptions::default());
    for number in 0..5 {
        queue.post(mail(number));
    }
    tries.recv().await.unwrap();
    let began = Instant::now();
    assert_eq!(running.finish(Duration::from_secs(30)).await, 1, "four at once, and no time for the fifth");
    assert_eq!(began.elapsed(), Duration::from_secs(30));
    queue.post(mail(6));
    assert!(tries.recv().await.is_some_and(|(message, _)| !message.ends_with("ada@example6.com")));
}
