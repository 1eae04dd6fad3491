//! How a server secret is told from others without telling anything of it, and which ones a replica knows.

use std::fmt;
use std::str::FromStr;

const BYTES: usize = 4;

/// The first 32 bits of a key that is derived from a server secret for nothing else: enough to tell one's few
/// secrets apart, in a log or at a glance, and not enough to try a guess of the secret on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretMark([u8; BYTES]);

/// The text is not eight hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not 8 hexadecimal digits")]
pub struct NoSecretMark;

impl SecretMark {
    /// From the derived bytes.
    pub const fn new(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }
}

impl FromStr for SecretMark {
    type Err = NoSecretMark;

    /// Reads what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, NoSecretMark> {
        let is_hex = text.len() == 2 * BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u32::from_str_radix(text, 16).ok().filter(|_| is_hex).ok_or(NoSecretMark)?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// Hexadecimal.
impl fmt::Display for SecretMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// What a replica says of itself: that it runs, and which secrets it knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Presence {
    /// Its name, without a blank: the host's, and the port.
    pub replica: String,
    /// The secret that it mints with.
    pub mints: SecretMark,
    /// Those that it accepts besides.
    pub accepts: Vec<SecretMark>,
}

/// The text is none that a replica of this version leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no name and marks of secrets with blanks between")]
pub struct NoPresence;

impl Presence {
    /// A replica of that name; what a name may not have becomes a dash.
    pub fn new(replica: &str, mints: SecretMark, accepts: Vec<SecretMark>) -> Self {
        let plain = |c: char| if c.is_ascii_graphic() { c } else { '-' };
        Self { replica: replica.chars().map(plain).collect(), mints, accepts }
    }

    /// Whether it takes what was minted with that secret.
    pub fn knows(&self, secret: SecretMark) -> bool {
        self.mints == secret || self.accepts.contains(&secret)
    }
}

/// Its name, the mark of the secret that it mints with and those of the others, with blanks between.
impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.replica, self.mints)?;
        self.accepts.iter().try_for_each(|mark| write!(f, " {mark}"))
    }
}

impl FromStr for Presence {
    type Err = NoPresence;

    /// Reads what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, NoPresence> {
        let mut words = text.split(' ');
        let replica = words.next().filter(|name| !name.is_empty()).ok_or(NoPresence)?.to_owned();
        let mut marks = words.map(|word| word.parse().map_err(|NoSecretMark| NoPresence));
        let mints = marks.next().ok_or(NoPresence)??;
        Ok(Self { replica, mints, accepts: marks.collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(byte: u8) -> SecretMark {
        SecretMark::new([byte, 0, 0, 1])
    }

    #[test]
    fn a_mark_is_eight_hexadecimal_digits() {
        assert_eq!(mark(0xab).to_string(), "ab000001");
        assert_eq!("ab000001".parse(), Ok(mark(0xab)));
        for bad in ["", "ab00000", "ab0000011", "gb000001", "+b000001", "\u{e9}b00001"] {
            assert_eq!(bad.parse::<SecretMark>(), Err(NoSecretMark), "{bad}");
        }
    }

    #[test]
    fn a_presence_is_read_as_it_was_written() {
        for accepts in [vec![], vec![mark(2)], vec![mark(2), mark(3)]] {
            let presence = Presence::new("auth-0:8080", mark(1), accepts);
            assert_eq!(presence.to_string().parse(), Ok(presence));
        }
        for bad in ["", "auth-0", " 01000001", "auth-0 ", "auth-0 01000001 x"] {
            assert_eq!(bad.parse::<Presence>(), Err(NoPresence), "{bad:?}");
        }
    }

    #[test]
    fn a_name_has_no_blank() {
        assert_eq!(Presence::new("a b\n\u{e9}", mark(1), vec![]).replica, "a-b--");
    }

    #[test]
    fn a_replica_knows_what_it_mints_with_and_what_it_accepts() {
        let presence = Presence::new("a", mark(1), vec![mark(2)]);
        assert_eq!([1, 2, 3].map(|byte| presence.knows(mark(byte))), [true, true, false]);
    }
}
