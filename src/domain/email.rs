//! E-mail addresses, one spelling each.

use std::fmt;

use email_address::{EmailAddress, Options};

/// The most bytes an address may have (RFC 5321 4.5.3.1.3, less the two angle brackets).
pub const EMAIL_MAX_BYTES: usize = 254;

/// An address in its one spelling: lower case, no display name, no white space around it.
///
/// RFC 5321 2.4 lets a mail server tell cases apart; none in use does, and two accounts that
/// differ by case only are a trap, so `Ada@Example.com` and `ada@example.com` are one account.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Longer than [`EMAIL_MAX_BYTES`].
    #[error("is longer than {EMAIL_MAX_BYTES} bytes")]
    TooLong,
    /// Not of the form `local@domain` (RFC 5321 4.1.2).
    #[error("is not an e-mail address")]
    Malformed,
}

impl Email {
    /// Reads an address and brings it into its one spelling.
    ///
    /// # Errors
    /// [`EmailError`] when the text is over-long or no address.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        check(text)?;
        // Lower case can be longer, and of "İ" it is no address any more: what is kept must be one.
        let canonical = text.to_lowercase();
        check(&canonical)?;
        Ok(Self(canonical))
    }

    /// The address in its one spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(text: &str) -> Result<(), EmailError> {
    if text.len() > EMAIL_MAX_BYTES {
        return Err(EmailError::TooLong);
    }
    let options = Options::default().without_display_text().without_domain_literal();
    let plain = text.chars().all(|c| !c.is_control() && !c.is_whitespace());
    match EmailAddress::parse_with_options(text, options) {
        Ok(_) if plain => Ok(()),
        _ => Err(EmailError::Malformed),
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An address is personal data: a log line that prints a struct does not spell it out.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_per_address() {
        let email = Email::parse("Ada.Lovelace@Example.COM").map(|e| e.to_string());
        assert_eq!(email.as_deref(), Ok("ada.lovelace@example.com"));
    }

    #[test]
    fn the_one_spelling_of_an_address_is_an_address() {
        for text in ["İstanbul@example.com", "ada@İstanbul.example"] {
            if let Ok(email) = Email::parse(text) {
                assert_eq!(Email::parse(email.as_str()), Ok(email));
            }
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(250));
        assert_eq!(Email::parse(&long), Err(EmailError::TooLong));
        for bad in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a b@example.com",
            "ada@example.com\n",
            " ada@example.com",
            "Ada <ada@example.com>",
            "ada@[127.0.0.1]",
            "ada\0@example.com",
            "a@b@c",
            "\"a b\"@example.com",
        ] {
            assert_eq!(Email::parse(bad), Err(EmailError::Malformed), "{bad:?}");
        }
    }
}
