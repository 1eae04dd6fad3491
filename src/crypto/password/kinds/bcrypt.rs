//! Bcrypt in its modular crypt form, `$2b$12$` with 22 characters of salt and 31 of hash. Rails,
//! Laravel, Spring, Node, PHP … Django writes `bcrypt$` before it, and for `bcrypt_sha256$` hashes the
//! hexadecimal SHA-256 of the password, so that more than 72 bytes count. WordPress from 6.8 on writes
//! `$wp` before it, and hashes the base64 of an HMAC of the password.
//!
//! `$2a$`, `$2b$` and `$2y$` name versions of implementations; for passwords below 255 bytes all of
//! them compute the same. `$2x$` marks hashes that a faulty implementation made, and is not known here.

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{HashKind, HashProblem, same};

/// What the format has to say with its two digits begins at 4; 15 takes about three seconds.
const COST_MIN: u32 = 4;
const COST_MAX: u32 = 15;

/// What bcrypt reads of a password, its final NUL included, bytes.
const KEY_MAX_BYTES: usize = 72;

const SALT_CHARS: usize = 22;
const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 23;

/// Salts that were made as text have bits set in their last character that nobody reads.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// A hash by bcrypt.
pub(in super::super) struct BcryptHash {
    kind: HashKind,
    cost: u32,
    salt: [u8; SALT_BYTES],
    output: [u8; OUTPUT_BYTES],
}

impl BcryptHash {
    /// Reads the modular crypt form.
    pub(super) fn parse(text: &str) -> Result<Self, HashProblem> {
        let text = text.strip_prefix('$').ok_or(HashProblem::Malformed(HashKind::Bcrypt))?;
        Self::parse_after_dollar(text)
    }

    /// Reads what follows the first dollar.
    pub(super) fn parse_after_dollar(text: &str) -> Result<Self, HashProblem> {
        let malformed = HashProblem::Malformed(HashKind::Bcrypt);
        let mut parts = text.split('$');
        let (Some("2a" | "2b" | "2y"), Some(cost), Some(rest), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed);
        };
        let two_digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
        let cost = cost.parse::<u32>().ok().filter(|_| two_digits).ok_or(malformed)?;
        if cost < COST_MIN {
            return Err(HashProblem::BadCost(HashKind::Bcrypt));
        }
        if cost > COST_MAX {
            let limit = "its cost may be 15 at most";
            return Err(HashProblem::TooDear { kind: HashKind::Bcrypt, limit });
        }
        let (salt, output) = rest.split_at_checked(SALT_CHARS).ok_or(malformed)?;
        let decode = |text: &str| BASE64.decode(text).ok();
        let salt = decode(salt).and_then(|bytes| bytes.try_into().ok()).ok_or(malformed)?;
        let output = decode(output).and_then(|bytes| bytes.try_into().ok()).ok_or(malformed)?;
        Ok(Self { kind: HashKind::Bcrypt, cost, salt, output })
    }

    /// Reads Django's form of a hash of a hash, behind `bcrypt_sha256$`.
    pub(super) fn parse_django_sha256(text: &str) -> Result<Self, HashProblem> {
        Self::parse(text).map(|hash| Self { kind: HashKind::DjangoBcryptSha256, ..hash })
    }

    /// Reads what follows WordPress' `$wp$`.
    pub(super) fn parse_wordpress(text: &str) -> Result<Self, HashProblem> {
        Self::parse_after_dollar(text).map(|hash| Self { kind: HashKind::WordpressBcrypt, ..hash })
    }

    pub(super) fn kind(&self) -> HashKind {
        self.kind
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        match self.kind {
            HashKind::DjangoBcryptSha256 => self.is_of(hexadecimal_sha256(password).as_bytes()),
            HashKind::WordpressBcrypt => self.is_of(wordpress_digest(password).as_bytes()),
            _ => self.is_of(password),
        }
    }

    fn is_of(&self, password: &[u8]) -> bool {
        // The key ends in a NUL, and is cut where bcrypt's own state ends, the NUL first.
        let key: Vec<u8> = password.iter().copied().chain([0]).take(KEY_MAX_BYTES).collect();
        let [computed @ .., _] = ::bcrypt::bcrypt(self.cost, self.salt, &key);
        same(&computed, &self.output)
    }
}

fn hexadecimal_sha256(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// WordPress trims a password before it hashes it, of what PHP's `trim` takes for blanks.
fn wordpress_digest(password: &[u8]) -> String {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0 | 0x0b);
    let start = password.iter().position(|byte| !is_blank(byte)).unwrap_or(password.len());
    let end = password.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    let key = hmac::Key::new(hmac::HMAC_SHA384, b"wp-sha384");
    STANDARD.encode(hmac::sign(&key, password.get(start..end).unwrap_or_default()))
}
