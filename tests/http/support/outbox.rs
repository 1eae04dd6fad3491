//! Mails that would have been sent, kept to be read.

use std::sync::{Mutex, PoisonError};

use hallpass::service::mail::{Mail, Mailer, Notice};

/// Takes every mail and sends none.
#[derive(Default)]
pub struct Outbox(Mutex<Vec<Mail>>);

impl Outbox {
    /// All mails since this was last asked.
    pub fn take(&self) -> Vec<Mail> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The one mail since this was last asked, which must be to this address.
    #[track_caller]
    pub fn only(&self, to: &str) -> Mail {
        let mut mails = self.take();
        assert_eq!(mails.len(), 1, "{mails:?}");
        let mail = mails.remove(0);
        assert_eq!(mail.to.as_str(), to);
        mail
    }

    /// The reset token in the one mail to this address.
    #[track_caller]
    pub fn reset_token(&self, to: &str) -> String {
        match self.only(to).notice {
            Notice::PasswordReset(token) => token.expose().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    /// The verification token in the one mail to this address.
    #[track_caller]
    pub fn verification_token(&self, to: &str) -> String {
        match self.only(to).notice {
            Notice::VerifyEmail(token) => token.expose().to_owned(),
            other => panic!("{other:?}"),
        }
    }
}

impl Mailer for Outbox {
    fn post(&self, mail: Mail) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
    }
}
