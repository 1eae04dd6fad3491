//! Tokens as they travel, and what each names.

use std::fmt;

use super::clock::Timestamp;
use super::ids::{SessionId, UserId};

/// The longest token that is looked at, in bytes.
pub const TOKEN_MAX_BYTES: usize = 8 * 1024;

macro_rules! secret_text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text; whether it is a token at all is for `crypto` to say.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The secret itself.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

secret_text! {
    /// A signed JWT (RFC 9068).
    AccessToken
}
secret_text! {
    /// `hp_rt_…`: opaque to clients, self-authenticating to us.
    RefreshToken
}
secret_text! {
    /// `hp_pr_…`: buys one password change.
    ResetToken
}
secret_text! {
    /// `hp_ev_…`: proves that whoever shows it reads the mails to an address.
    VerificationToken
}

secret_text! {
    /// `hp_cs_…`: by what an OAuth client is known.
    ClientSecret
}

/// How often a session's refresh token has been rotated; the first token is generation 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u32);

impl Generation {
    /// The token that a login hands out.
    pub const FIRST: Self = Self(0);

    /// From a stored or transported number.
    pub const fn new(generation: u32) -> Self {
        Self(generation)
    }

    /// The number to store or transport.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The generation that rotation leads to.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What an authentic refresh token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshClaims {
    /// Whose it is.
    pub user: UserId,
    /// The session it continues.
    pub session: SessionId,
    /// Which of the session's tokens it is.
    pub generation: Generation,
}

/// What an authentic reset token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetClaims {
    /// Whose password it may change.
    pub user: UserId,
    /// What the store keeps of it.
    pub hash: ResetTokenHash,
}

/// What an authentic verification token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationClaims {
    /// Whose address it proves.
    pub user: UserId,
    /// From when on it proves nothing any more.
    pub deadline: Timestamp,
    /// Which address it was sent to.
    pub address: AddressDigest,
}

/// A keyed digest of an address: which one it is can be asked, not read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AddressDigest([u8; 32]);

impl AddressDigest {
    /// From a computed or transported digest.
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest to transport.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for AddressDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressDigest(…)")
    }
}

/// What we keep of a reset token: its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ResetTokenHash([u8; 32]);

impl ResetTokenHash {
    /// From a computed or stored digest.
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest to store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ResetTokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetTokenHash(…)")
    }
}
