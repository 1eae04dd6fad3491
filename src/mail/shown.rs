//! Mails that go to no server: kept in memory, for the page of `hallpass dev` that shows them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::delivery::{DeliveryError, Transport};
use super::templates::Letter;
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;

/// How many mails are kept; the oldest give way.
pub const SHOWN_MAX: usize = 50;

/// A mail as it would have been sent. It holds a token, so no log line may print it.
#[derive(Clone)]
pub struct ShownMail {
    /// Whom it is to.
    pub to: Email,
    /// When it was written.
    pub date: Timestamp,
    /// Its words.
    pub letter: Letter,
}

/// The mails of one process. Cheap to clone.
#[derive(Clone, Default)]
pub struct ShownMails(Arc<Mutex<VecDeque<ShownMail>>>);

impl ShownMails {
    /// All that are kept, the newest first.
    pub fn list(&self) -> Vec<ShownMail> {
        self.lock().iter().cloned().collect()
    }

    fn keep(&self, mail: ShownMail) {
        let mut mails = self.lock();
        mails.truncate(SHOWN_MAX - 1);
        mails.push_front(mail);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<ShownMail>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for ShownMails {
    type Message = ShownMail;

    const IS_SHOWN: bool = true;

    fn write(
        &self,
        letter: Letter,
        to: &Email,
        _id: &str,
        date: Timestamp,
    ) -> Result<ShownMail, DeliveryError> {
        Ok(ShownMail { to: to.clone(), date, letter })
    }

    async fn deliver(&self, mail: &ShownMail) -> Result<(), DeliveryError> {
        self.keep(mail.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_mails_are_kept_and_no_more_than_that() {
        let mails = ShownMails::default();
        let to = Email::parse("ada@example.com").unwrap();
        for number in 0..SHOWN_MAX + 5 {
            let letter = Letter { subject: number.to_string(), text: String::new(), html: String::new() };
            let mail = mails.write(letter, &to, "id", Timestamp::from_millis(0)).unwrap();
            mails.deliver(&mail).await.unwrap();
        }
        let subjects: Vec<_> = mails.list().into_iter().map(|mail| mail.letter.subject).collect();
        let expected: Vec<_> = (5..SHOWN_MAX + 5).rev().map(|number| number.to_string()).collect();
        assert_eq!(subjects, expected);
    }
}
