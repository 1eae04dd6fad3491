//! One type per thing that has an id; how each looks on the wire is the dialect's business.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::random::{self, Random};

/// A user: a positive whole number that fits a JavaScript number (below 2^53), never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct UserId(i64);

/// The text or number is no user id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a user id is a whole number from 1 to 9007199254740991, digits only")]
pub struct UserIdError;

impl UserId {
    /// The greatest id: the greatest whole number that JavaScript holds exactly.
    pub const MAX: i64 = (1 << 53) - 1;

    /// How many ids at the end of the range are nobody's.
    pub const NOBODIES: u16 = 4096;

    /// The id as a number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// An id that no account gets, for work that must look like work on an account. There are
    /// [`Self::NOBODIES`] of them; databases give ids from 1 on and never come so far.
    pub const fn nobody(number: u16) -> Self {
        Self(Self::MAX - (number % Self::NOBODIES) as i64)
    }

    /// Whether this is one of [`Self::nobody`]'s.
    pub const fn is_nobody(self) -> bool {
        self.0 > Self::MAX - Self::NOBODIES as i64
    }
}

impl TryFrom<i64> for UserId {
    type Error = UserIdError;

    fn try_from(id: i64) -> Result<Self, UserIdError> {
        if (1..=Self::MAX).contains(&id) { Ok(Self(id)) } else { Err(UserIdError) }
    }
}

impl FromStr for UserId {
    type Err = UserIdError;

    /// Digits only: Rust's own integer parse would take a leading plus.
    fn from_str(text: &str) -> Result<Self, UserIdError> {
        let canonical = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse::<i64>() {
            Ok(id) if canonical => Self::try_from(id),
            _ => Err(UserIdError),
        }
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Uuid);

        impl $name {
            /// A new one out of `random`.
            pub fn generate(random: &dyn Random) -> Self {
                Self(random::uuid(random))
            }

            /// The id's UUID.
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id! {
    /// A session: one login on one device, and every token that came of it (claim `sid`).
    SessionId
}
uuid_id! {
    /// A deployment: one database, and all replicas that share it.
    DeploymentId
}
uuid_id! {
    /// One access token (claim `jti`, RFC 7519 4.1.7).
    Jti
}

/// A signing key: the RFC 7638 thumbprint of its public half (header `kid`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId(String);

impl KeyId {
    /// From a thumbprint that was computed or stored by us.
    pub fn new(thumbprint: impl Into<String>) -> Self {
        Self(thumbprint.into())
    }

    /// The thumbprint, base64url.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobodies_are_told_from_users() {
        for number in [0, 1, UserId::NOBODIES - 1, UserId::NOBODIES, u16::MAX] {
            assert!(UserId::nobody(number).is_nobody(), "{number}");
        }
        let last = UserId::MAX - i64::from(UserId::NOBODIES);
        assert!([1, 2, last].into_iter().all(|id| UserId::try_from(id).is_ok_and(|id| !id.is_nobody())));
    }

    #[test]
    fn a_user_id_is_digits_only() {
        assert_eq!("17".parse::<UserId>().map(UserId::get), Ok(17));
        for bad in ["", "0", "007", "+7", "-7", " 7", "7 ", "７", "1e3", "9007199254740992"] {
            assert_eq!(bad.parse::<UserId>(), Err(UserIdError), "{bad:?}");
        }
    }
}
