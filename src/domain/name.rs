//! First and last names.

use std::fmt;

/// The most characters a name may have.
pub const NAME_MAX_CHARS: usize = 100;

/// A person's first or last name: text as given, without control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(String);

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Longer than [`NAME_MAX_CHARS`].
    #[error("is longer than {NAME_MAX_CHARS} characters")]
    TooLong,
    /// Holds a control character (a line break, a NUL).
    #[error("holds a control character")]
    ControlCharacter,
}

impl Name {
    /// Reads a name; a text of white space alone is no name at all, hence `None`.
    ///
    /// # Errors
    /// [`NameError`] when the text is over-long or holds a control character.
    pub fn parse(text: &str) -> Result<Option<Self>, NameError> {
        if text.chars().any(char::is_control) {
            return Err(NameError::ControlCharacter);
        }
        let text = text.trim();
        if text.chars().count() > NAME_MAX_CHARS {
            return Err(NameError::TooLong);
        }
        Ok((!text.is_empty()).then(|| Self(text.to_owned())))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_as_given() {
        let name = Name::parse(" Żółć O'Brien ").map(|n| n.map(|n| n.as_str().to_owned()));
        assert_eq!(name, Ok(Some("Żółć O'Brien".to_owned())));
        assert_eq!(Name::parse("  "), Ok(None));
    }

    #[test]
    fn over_long_and_control_characters_are_refused() {
        assert_eq!(Name::parse(&"é".repeat(101)), Err(NameError::TooLong));
        assert!(Name::parse(&"é".repeat(100)).is_ok());
        assert_eq!(Name::parse("a\0b"), Err(NameError::ControlCharacter));
        assert_eq!(Name::parse("a\u{85}b"), Err(NameError::ControlCharacter));
    }
}
