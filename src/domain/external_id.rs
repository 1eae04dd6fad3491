//! The number by which another system refers to a person.

use std::fmt;

/// The most characters that one may have.
pub const EXTERNAL_ID_MAX_CHARS: usize = 128;

/// What other databases refer to an account by: a number, a UUID, any text on one line. Unique among all
/// accounts; small letters and capitals differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExternalId(String);

/// Why a text is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExternalIdError {
    /// Longer than [`EXTERNAL_ID_MAX_CHARS`].
    #[error("is longer than {EXTERNAL_ID_MAX_CHARS} characters")]
    TooLong,
    /// Holds a control character (a line break, a NUL).
    #[error("holds a control character")]
    ControlCharacter,
}

impl ExternalId {
    /// Reads one, without the blanks around it; a text of white space alone is none at all, hence `None`.
    ///
    /// # Errors
    /// [`ExternalIdError`] when the text is over-long or holds a control character.
    pub fn parse(text: &str) -> Result<Option<Self>, ExternalIdError> {
        if text.chars().any(char::is_control) {
            return Err(ExternalIdError::ControlCharacter);
        }
        let text = text.trim();
        if text.chars().count() > EXTERNAL_ID_MAX_CHARS {
            return Err(ExternalIdError::TooLong);
        }
        Ok((!text.is_empty()).then(|| Self(text.to_owned())))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_kept_as_given_but_for_blanks_around_it() {
        let id = |text| ExternalId::parse(text).map(|id| id.map(|id| id.to_string()));
        assert_eq!(id(" Auth0|5f7 \"x\" é "), Ok(Some("Auth0|5f7 \"x\" é".to_owned())));
        assert_eq!(id("  "), Ok(None));
        assert_ne!(ExternalId::parse("a"), ExternalId::parse("A"));
    }

    #[test]
    fn over_long_and_control_characters_are_refused() {
        assert!(ExternalId::parse(&"é".repeat(128)).is_ok());
        assert_eq!(ExternalId::parse(&"é".repeat(129)), Err(ExternalIdError::TooLong));
        for bad in ["a\0b", "a\n", "a\u{85}b"] {
            assert_eq!(ExternalId::parse(bad), Err(ExternalIdError::ControlCharacter), "{bad:?}");
        }
    }
}
