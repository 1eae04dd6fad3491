//! Which accounts a list has, and in which order.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use super::email::Email;
use super::external_id::ExternalId;
use super::user::Role;

/// How an address, a first name or a last name begins, as somebody typed it: in lower case, composed
/// (NFC), with no white space around it.
#[derive(Clone, PartialEq, Eq)]
pub struct UserPrefix(String);

/// Why a text is no beginning that could be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserPrefixError {
    /// Nothing but white space.
    #[error("is empty")]
    Empty,
    /// More than [`UserPrefix::MAX_CHARS`].
    #[error("is longer than {} characters", UserPrefix::MAX_CHARS)]
    TooLong,
    /// Nothing that is looked for has one.
    #[error("has a control character")]
    ControlCharacter,
}

impl UserPrefix {
    /// The most characters of it.
    pub const MAX_CHARS: usize = 100;

    /// Reads what somebody typed.
    ///
    /// # Errors
    /// [`UserPrefixError`].
    pub fn parse(text: &str) -> Result<Self, UserPrefixError> {
        let text: String = text.trim().to_lowercase().nfc().collect();
        if text.is_empty() {
            return Err(UserPrefixError::Empty);
        }
        if text.chars().count() > Self::MAX_CHARS {
            return Err(UserPrefixError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(UserPrefixError::ControlCharacter);
        }
        Ok(Self(text))
    }

    /// What begins so is not below this, in the order of code points.
    pub fn first(&self) -> String {
        self.0.clone()
    }

    /// What begins so is below this, in the order of code points; `None` where nothing is above it.
    pub fn end(&self) -> Option<String> {
        let mut end = self.0.clone();
        while let Some(last) = end.pop() {
            // What lies between the two is no character.
            let next =
                if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
            if let Some(next) = next {
                end.push(next);
                return Some(end);
            }
        }
        None
    }

    /// The pattern of SQL's `LIKE … ESCAPE '\'` that finds what begins so.
    pub fn like_pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.0.len() + 1);
        for c in self.0.chars() {
            if matches!(c, '\\' | '%' | '_') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern.push('%');
        pattern
    }
}

/// It may be somebody's name or address.
impl fmt::Debug for UserPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserPrefix(…)")
    }
}

/// Which end of the list comes first: ids grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserOrder {
    /// The smallest id.
    #[default]
    Oldest,
    /// The largest id.
    Newest,
}

/// What the accounts of a list have in common; all of them, where nothing is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// The mailbox.
    pub email: Option<Email>,
    /// What the address, the first name or the last name begins with.
    pub prefix: Option<UserPrefix>,
    /// What they may do.
    pub role: Option<Role>,
    /// Whether they are disabled.
    pub disabled: Option<bool>,
    /// What other databases refer to it by.
    pub external_id: Option<ExternalId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_text_and_never_a_pattern() {
        for (typed, pattern) in [
            (" Ada ", "ada%"),
            ("100%_\\", "100\\%\\_\\\\%"),
            ("rene\u{301}", "ren\u{e9}%"),
            ("O'Brien", "o'brien%"),
        ] {
            assert_eq!(UserPrefix::parse(typed).map(|prefix| prefix.like_pattern()).as_deref(), Ok(pattern));
        }
        assert_eq!(UserPrefix::parse(" "), Err(UserPrefixError::Empty));
        assert_eq!(UserPrefix::parse(&"a".repeat(101)), Err(UserPrefixError::TooLong));
        assert_eq!(UserPrefix::parse("a\u{0}"), Err(UserPrefixError::ControlCharacter));
    }

    #[test]
    fn what_begins_so_lies_between_it_and_its_end() {
        for (typed, end) in [
            ("ada", Some("adb")),
            ("z", Some("{")),
            ("\u{d7ff}", Some("\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}\u{10ffff}", None),
        ] {
            let prefix = UserPrefix::parse(typed).expect("a beginning");
            assert_eq!(prefix.end().as_deref(), end, "{typed:?}");
            for follows in ["", "\u{1}", "\u{10ffff}"] {
                let text = format!("{}{follows}", prefix.first());
                assert!(text >= prefix.first() && end.is_none_or(|end| text.as_str() < end), "{text:?}");
            }
            assert!(end.is_none_or(|end| !end.starts_with(&prefix.first())));
        }
    }
}
