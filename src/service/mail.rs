//! What the service tells people by mail, and the one thing it asks of whoever carries it.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::name::Name;
use crate::domain::tokens::{ResetToken, VerificationToken};

/// What a mail is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A link that buys a new password.
    PasswordReset(ResetToken),
    /// A link that proves the address.
    VerifyEmail(VerificationToken),
    /// Somebody tried to register with the address of this account, which nobody has proven yet: a link that proves it.
    RegisteredAgain(VerificationToken),
    /// Somebody tried to register with the address of this account.
    AlreadyRegistered,
}

impl Notice {
    /// The notice's name in a log: never what it carries.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::PasswordReset(_) => "password_reset",
            Self::VerifyEmail(_) => "verify_email",
            Self::RegisteredAgain(_) => "registered_again",
            Self::AlreadyRegistered => "already_registered",
        }
    }
}

/// A mail to the owner of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Whose account it is about: all that a log may say.
    pub user: UserId,
    /// Where it goes.
    pub to: Email,
    /// The name to greet by. Only of a proven address: a stranger who registers somebody else's
    /// address must not choose words that we then send there.
    pub name: Option<Name>,
    /// What it says.
    pub notice: Notice,
    /// How long what it carries is good for, as the reader is told.
    pub valid_for: Duration,
    /// From when on it is of no use and must not be sent any more.
    pub deadline: Timestamp,
}

/// Where mails are posted, whether or not there is a way to send any. Cheap to clone.
#[derive(Clone)]
pub struct Outbox(pub(super) Option<Arc<dyn Mailer>>);

impl Outbox {
    /// Hands a mail over for delivery.
    pub(super) fn post(&self, mail: Mail) {
        if let Some(mailer) = &self.0 {
            mailer.post(mail);
        }
    }

    /// Whether mails are shown to whoever develops, beside what answers say.
    pub(super) fn is_shown(&self) -> bool {
        self.0.as_ref().is_some_and(|mailer| mailer.is_shown())
    }
}

/// Carries mails. The service neither waits for one nor learns what became of it: whether a mail
/// went out must not show in any answer.
pub trait Mailer: Send + Sync + 'static {
    /// Takes a mail over and returns at once. It is sent as soon as that works, until its deadline;
    /// one that cannot be taken over is dropped, and the log says so.
    fn post(&self, mail: Mail);

    /// Whether mails go no further than to a page of this process: then there is one also of what the answer
    /// has told already.
    fn is_shown(&self) -> bool {
        false
    }
}
