//! Passwords as they arrive, passwords that may be chosen, and what we keep of them.

mod common;

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// The most bytes a password may have; longer ones are refused before any hashing
/// (CVE-2013-1443 shows why).
pub const PASSWORD_MAX_BYTES: usize = 1024;

/// A password as received: not trimmed, not folded (ASVS 5.0 6.2.8).
#[derive(Clone)]
pub struct Password(String);

/// Why a password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// More than [`PASSWORD_MAX_BYTES`].
    #[error("is longer than {PASSWORD_MAX_BYTES} bytes")]
    TooLong,
    /// Fewer characters than the policy asks for.
    #[error("is shorter than {min_length} characters")]
    TooShort {
        /// The policy's minimum, in characters.
        min_length: usize,
    },
    /// A well-known password, a single word, or the account's own e-mail address.
    #[error("is too common: it is among the first an attacker tries")]
    Common,
}

impl Password {
    /// Takes a password that somebody claims is theirs; only its size is checked.
    ///
    /// # Errors
    /// [`PasswordError::TooLong`].
    pub fn parse(text: impl Into<String>) -> Result<Self, PasswordError> {
        let text = text.into();
        if text.len() > PASSWORD_MAX_BYTES {
            return Err(PasswordError::TooLong);
        }
        Ok(Self(text))
    }

    /// The same password with its letters composed (Unicode's NFC), as NIST SP 800-63B-4 3.1.1.2 would
    /// have them; `None` where they are. Keyboards and operating systems differ in how they send an "ö".
    pub fn composed(&self) -> Option<Self> {
        let composed: String = self.0.nfc().collect();
        (composed != self.0).then_some(Self(composed))
    }

    /// The secret itself, for hashing.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What a newly chosen password must satisfy. There are no composition rules (ASVS 5.0 6.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// The fewest characters (Unicode code points, NIST SP 800-63B-4 3.1.1.2).
    pub min_length: usize,
    /// Whether common passwords are refused (ASVS 5.0 6.2.4).
    pub reject_common: bool,
}

impl PasswordPolicy {
    /// Decides whether `text` may become the password of an account with this address. That costs
    /// microseconds, whatever the text.
    ///
    /// # Errors
    /// The first rule that it breaks, as a [`PasswordError`].
    pub fn choose(&self, text: impl Into<String>, email: &str) -> Result<NewPassword, PasswordError> {
        let NewPassword(password) = NewPassword::exempt(Password::parse(text)?);
        if password.0.chars().count() < self.min_length {
            return Err(PasswordError::TooShort { min_length: self.min_length });
        }
        if self.reject_common && is_common(&password.0, email) {
            return Err(PasswordError::Common);
        }
        Ok(NewPassword(password))
    }
}

/// A password that passed the policy, composed ([`Password::composed`]): what a hash is made of.
#[derive(Clone, Debug)]
pub struct NewPassword(Password);

impl NewPassword {
    /// A password that no policy judges: the operator set it, or the account has it already.
    pub fn exempt(password: Password) -> Self {
        Self(password.composed().unwrap_or(password))
    }

    /// The password, for hashing.
    pub fn as_password(&self) -> &Password {
        &self.0
    }
}

/// One entry of the lists (leaked passwords, words, names; also reversed or in "l33t") or the
/// account's own address makes up the whole password.
fn is_common(text: &str, email: &str) -> bool {
    let local_part = email.split('@').next().unwrap_or(email);
    common::is_common(text, &[email, local_part])
}

/// What we keep of a password: a PHC string (salt and cost parameters within), or a mark that there is
/// none yet.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// What stands in place of a hash where there is no password: none hashes to it.
    pub const UNUSABLE: &str = "!";

    /// Of an account that came without a password: its owner has to set one by a reset.
    pub fn unusable() -> Self {
        Self(Self::UNUSABLE.to_owned())
    }

    /// Whether there is a password at all.
    pub fn is_usable(&self) -> bool {
        self.0 != Self::UNUSABLE
    }

    /// From a PHC string that our hasher made or that a store kept.
    pub fn from_phc(phc: impl Into<String>) -> Self {
        Self(phc.into())
    }

    /// The PHC string, for the hasher and the store.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: PasswordPolicy = PasswordPolicy { min_length: 8, reject_common: true };

    fn verdict(text: &str) -> Result<(), PasswordError> {
        POLICY.choose(text, "ada@example.com").map(|_| ())
    }

    #[test]
    fn length_counts_characters_and_the_cap_counts_bytes() {
        assert_eq!(verdict("żółćżół"), Err(PasswordError::TooShort { min_length: 8 }));
        assert_eq!(verdict("żółćżółw"), Ok(()));
        assert_eq!(verdict(&"é".repeat(512)), Ok(()));
        assert_eq!(verdict(&"é".repeat(513)), Err(PasswordError::TooLong));
    }

    #[test]
    fn common_passwords_and_the_own_address_are_refused() {
        for bad in ["password", "PASSWORD", "12345678", "iloveyou", "ada@example.com"] {
            assert_eq!(verdict(bad), Err(PasswordError::Common), "{bad}");
        }
        assert_eq!(verdict("correct horse battery staple"), Ok(()));
    }

    /// 64 characters, each of which may stand for a letter: what a strength meter takes longest for.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "how long it takes is what is asked")]
    fn no_text_takes_long_to_judge() {
        let costly = "4@8({[<3691!|170$5+%24@8({[<3691!|170$5+%24@8({[<3691!|170$5+%2".repeat(16);
        let began = std::time::Instant::now();
        for _ in 0..100 {
            assert_eq!(verdict(&costly[..64]), Ok(()));
            assert_eq!(verdict(&costly[..PASSWORD_MAX_BYTES - 16]), Ok(()));
        }
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }

    #[test]
    fn no_composition_rules() {
        assert_eq!(verdict("tqjzkvwm"), Ok(()));
        assert_eq!(verdict(" leading and trailing "), Ok(()));
    }

    #[test]
    fn an_account_without_a_password_is_told_from_one_with_any_other() {
        assert!(!PasswordHash::unusable().is_usable());
        assert!(!PasswordHash::from_phc(PasswordHash::unusable().expose()).is_usable(), "as a store kept it");
        assert!(PasswordHash::from_phc("$argon2id$nonsense").is_usable());
    }

    #[test]
    fn debug_shows_no_secret() {
        let password = Password::parse("tqjzkvwm").map(|p| format!("{p:?}"));
        assert_eq!(password.as_deref(), Ok("Password(…)"));
        assert_eq!(format!("{:?}", PasswordHash::from_phc("$x$")), "PasswordHash(…)");
    }
}
