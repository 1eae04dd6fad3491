//! E-mail addresses: what is typed, and the mailbox that it stands for.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use email_address::{EmailAddress, Options};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// The most bytes an address may have (RFC 5321 4.5.3.1.3, less the two angle brackets).
pub const EMAIL_MAX_BYTES: usize = 254;

/// The most bytes that are looked at, white space around the address and decomposed letters included.
const TYPED_MAX_BYTES: usize = 4 * EMAIL_MAX_BYTES;

/// An address in lower case, composed (NFC), with no display name and no white space around it.
///
/// RFC 5321 2.4 lets a mail server tell cases apart; none in use does, and two accounts that
/// differ by case only are a trap, so `Ada@Example.com` and `ada@example.com` are one account.
/// So are `ada@bücher.example` and `ada@xn--bcher-kva.example`, since mail for both goes to one place:
/// two addresses are equal when their [mailboxes](Self::mailbox) are. Each is shown as it was typed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Email {
    text: String,
    /// Where it is another text.
    mailbox: Option<Box<str>>,
}

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
    /// Reads an address that somebody typed.
    ///
    /// # Errors
    /// [`EmailError`] when the text is over-long or no address.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        if text.len() > TYPED_MAX_BYTES {
            return Err(EmailError::TooLong);
        }
        let typed: String = text.trim().nfc().collect();
        check(&typed)?;
        // Lower case can be longer, and of "İ" it is no address any more: what is kept must be one.
        Self::kept(typed.to_lowercase().nfc().collect())
    }

    /// An address as a store has kept it.
    ///
    /// # Errors
    /// [`EmailError`] when the text is over-long or no address.
    pub fn kept(text: String) -> Result<Self, EmailError> {
        check(&text)?;
        let mailbox = mailbox(&text).filter(|mailbox| *mailbox != text).map(String::into_boxed_str);
        Ok(Self { text, mailbox })
    }

    /// The address, as it was typed but for case.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The mailbox that it stands for, by which addresses are compared: the domain is its A-label
    /// (UTS 46, non-transitional).
    pub fn mailbox(&self) -> &str {
        self.mailbox.as_deref().unwrap_or(&self.text)
    }
}

/// `None` for a domain that has no A-label: it is compared as it is.
fn mailbox(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let (local, domain) = text.rsplit_once('@')?;
    let domain = idna::domain_to_ascii_cow(domain.as_bytes(), idna::AsciiDenyList::EMPTY).ok()?;
    let local: String = local.nfc().collect();
    Some(format!("{local}@{domain}"))
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.text
    }
}

impl TryFrom<String> for Email {
    type Error = EmailError;

    fn try_from(text: String) -> Result<Self, EmailError> {
        Self::kept(text)
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

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.mailbox() == other.mailbox()
    }
}

impl Eq for Email {}

impl PartialOrd for Email {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Email {
    fn cmp(&self, other: &Self) -> Ordering {
        self.mailbox().cmp(other.mailbox())
    }
}

impl Hash for Email {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.mailbox().hash(state);
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
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
    fn white_space_around_it_is_no_part_of_an_address() {
        for typed in [" ada@example.com", "ada@example.com\r\n", "\u{a0}ada@example.com\t"] {
            assert_eq!(Email::parse(typed).map(|email| email.to_string()).as_deref(), Ok("ada@example.com"));
        }
    }

    #[test]
    fn one_mailbox_is_one_address_shown_as_it_was_typed() {
        for (typed, shown, mailbox) in [
            ("Grace@Bücher.example", "grace@bücher.example", "grace@xn--bcher-kva.example"),
            ("grace@bu\u{308}cher.example", "grace@bücher.example", "grace@xn--bcher-kva.example"),
            ("grace@XN--bcher-kva.example", "grace@xn--bcher-kva.example", "grace@xn--bcher-kva.example"),
            ("x@ｅxample.com", "x@ｅxample.com", "x@example.com"),
            ("x@例.com", "x@例.com", "x@xn--fsq.com"),
            // Non-transitional: two domains that belong to two people.
            ("x@straße.example", "x@straße.example", "x@xn--strae-oqa.example"),
            ("rene\u{301}@example.com", "rené@example.com", "rené@example.com"),
            ("RENÉ@bücher.example", "rené@bücher.example", "rené@xn--bcher-kva.example"),
        ] {
            let email = Email::parse(typed).unwrap_or_else(|error| panic!("{typed}: {error}"));
            assert_eq!((email.as_str(), email.mailbox()), (shown, mailbox), "{typed}");
            let again = Email::kept(email.to_string()).expect("kept as it is shown");
            assert_eq!((again.as_str(), again.mailbox()), (shown, mailbox), "{typed}");
        }
        let [typed, label] = ["grace@bücher.example", "grace@xn--bcher-kva.example"].map(Email::parse);
        assert_eq!(typed, label);
        assert_ne!(Email::parse("x@strasse.example"), Email::parse("x@straße.example"));
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
            "ada@exam ple.com",
            "ada\n@example.com",
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
