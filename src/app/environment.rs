//! What comes from outside: time, chance and the way of mails.

use std::sync::Arc;

use base64::Engine;

use crate::domain::causes::with_causes;
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::random::Random;
use crate::mail::ShownMails;
use crate::service::mail::Mailer;

/// The operating system's source of chance.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the operating system for chance")]
    fn fill(&self, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            // Without chance every token could be guessed: nothing may go on.
            tracing::error!(error = %with_causes(&error), "the operating system gives no random bytes");
            std::process::abort();
        }
    }
}

/// A password that cannot be guessed: 24 characters, 144 bits.
pub fn random_password() -> String {
    let mut bytes = [0; 18];
    SystemRandom.fill(&mut bytes);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// What comes from outside.
#[derive(Clone)]
pub struct Environment {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// Where mails go, if anywhere.
    pub mailer: Option<Arc<dyn Mailer>>,
    /// The mails that are shown instead of sent: in `hallpass dev` without a mail server.
    pub shown_mails: Option<ShownMails>,
    /// Counts in place of the stores' own clocks: for tests, which move it.
    pub laid_over: ClockOverrides,
}

/// Clocks that are laid over those of the stores.
#[derive(Clone, Default)]
pub struct ClockOverrides {
    /// Over the token store's.
    pub token_store: Option<Arc<dyn Clock>>,
    /// Over the database's.
    pub database: Option<Arc<dyn Clock>>,
}

impl Environment {
    /// The machine's clock and the operating system's chance; no mails.
    pub fn real() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            mailer: None,
            shown_mails: None,
            laid_over: ClockOverrides::default(),
        }
    }
}
