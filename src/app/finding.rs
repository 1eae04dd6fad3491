//! What a look at one thing has found.

use std::error::Error;

use crate::domain::causes::with_causes;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// As it should be.
    Good,
    /// Could not be looked at, for the sake of something else.
    Unknown,
    /// It works, and deserves a second thought.
    Warning,
    /// It does not work, or is not safe.
    Bad,
}

impl Condition {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// What was found out about one thing. The text holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub subject: &'static str,
    /// How it is.
    pub condition: Condition,
    /// In a sentence.
    pub text: String,
}

impl Finding {
    /// A finding about `subject`.
    pub fn new(subject: &'static str, condition: Condition, text: impl Into<String>) -> Self {
        Self { subject, condition, text: text.into() }
    }

    pub(super) fn bad(subject: &'static str, error: &(dyn Error + 'static)) -> Self {
        Self::new(subject, Condition::Bad, with_causes(error).to_string())
    }
}
