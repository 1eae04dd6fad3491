//! What buckets, accounts and places are known by.

use std::fmt;
use std::str::FromStr;

/// The text is not 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not 32 hexadecimal digits")]
pub struct NoMark;

/// Declares what something is known by in a store: 128 bits of a keyed hash, so that the
/// store tells no address of any kind.
macro_rules! marks {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// From the bytes of a keyed hash.
            pub const fn new(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NoMark;

            /// Reads what [`Display`](fmt::Display) writes.
            fn from_str(text: &str) -> Result<Self, NoMark> {
                let mut bytes = [0; 16];
                let digits = text.as_bytes();
                if digits.len() != 2 * bytes.len() {
                    return Err(NoMark);
                }
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(NoMark);
                    *byte = u8::try_from(16 * digit(pair[0])? + digit(pair[1])?).map_err(|_| NoMark)?;
                }
                Ok(Self(bytes))
            }
        }

        /// Hexadecimal.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    )+};
}

marks! {
    /// What a bucket is known by: what is limited, at which rate, and for whom.
    BucketId
    /// What an account is known by: its e-mail address, whether there is such an account or not.
    AccountMark
    /// What a place is known by, to one account: it does not tell that two accounts share one.
    PlaceMark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_written_in_hexadecimal() {
        let mark = BucketId::new([0xa5; 16]);
        assert_eq!(mark.to_string(), "a5".repeat(16));
        assert_eq!(mark.to_string().parse(), Ok(mark));
        for bad in [String::new(), "a5".repeat(15), "a5".repeat(17), "g5".repeat(16), "\u{e9}".repeat(16)] {
            assert_eq!(bad.parse::<BucketId>(), Err(NoMark), "{bad}");
        }
    }
}
