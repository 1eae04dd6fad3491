//! The kinds of password hash that are understood: hallpass's own, and those that people bring along
//! from other systems.
//!
//! Each is judged where it is read, the same way when it is imported and when it is checked: a row
//! that somebody smuggled in costs no gigabytes and no minutes either. The bounds are several times
//! what any system recommends; at each of them one check takes a few seconds of one core.

mod argon2;
mod bcrypt;
mod firebase;
mod keycloak;
mod pbkdf2;
mod phpass;
mod scrypt;
mod spring;

use std::fmt;

use super::HashMemory;

use self::bcrypt::BcryptHash;
use self::firebase::FirebaseHash;
use self::pbkdf2::Pbkdf2Hash;
use self::phpass::PhpassHash;
use self::scrypt::ScryptHash;

pub(super) use self::argon2::Argon2Hash;
pub(super) use self::keycloak::phc_of_keycloak;

/// The most memory that checking one hash may take, KiB: what libsodium calls "moderate", twice what
/// OWASP asks of scrypt, two and a half times Django's argon2.
pub const LEGACY_MEMORY_MAX_KIB: u32 = 256 * 1024;

/// Longer texts are no hash, bytes.
const TEXT_MAX_BYTES: usize = 512;

/// What a password hash was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashKind {
    /// RFC 9106; what hallpass itself makes.
    Argon2id,
    /// RFC 9106.
    Argon2i,
    /// RFC 9106.
    Argon2d,
    /// `$2a$`, `$2b$` and `$2y$`, Django's `bcrypt$` too.
    Bcrypt,
    /// Django's `bcrypt_sha256$`.
    DjangoBcryptSha256,
    /// WordPress' `$wp$2y$`.
    WordpressBcrypt,
    /// RFC 8018 with HMAC-SHA-1.
    Pbkdf2Sha1,
    /// RFC 8018 with HMAC-SHA-256.
    Pbkdf2Sha256,
    /// RFC 8018 with HMAC-SHA-512.
    Pbkdf2Sha512,
    /// RFC 7914.
    Scrypt,
    /// Firebase's, of scrypt and AES.
    FirebaseScrypt,
    /// Rounds of MD5: WordPress' `$P$` until version 6.8, phpBB's `$H$`.
    Phpass,
}

impl HashKind {
    /// Its name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Argon2id => "argon2id",
            Self::Argon2i => "argon2i",
            Self::Argon2d => "argon2d",
            Self::Bcrypt => "bcrypt",
            Self::DjangoBcryptSha256 => "bcrypt_sha256",
            Self::WordpressBcrypt => "wordpress_bcrypt",
            Self::Pbkdf2Sha1 => "pbkdf2-sha1",
            Self::Pbkdf2Sha256 => "pbkdf2-sha256",
            Self::Pbkdf2Sha512 => "pbkdf2-sha512",
            Self::Scrypt => "scrypt",
            Self::FirebaseScrypt => "firebase_scrypt",
            Self::Phpass => "phpass",
        }
    }
}

impl fmt::Display for HashKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is no password hash that can be checked. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashProblem {
    /// It begins like no kind of hash that is understood.
    #[error("is of no known format")]
    UnknownFormat,
    /// It begins like one, but something is missing, too short or too long.
    #[error("is not well-formed for {0}")]
    Malformed(HashKind),
    /// It asks for more than one login may cost.
    #[error("costs too much to check for {kind}: {limit}")]
    TooDear {
        /// What it was made with.
        kind: HashKind,
        /// What is allowed.
        limit: &'static str,
    },
    /// It asks for less than its function can do.
    #[error("has cost parameters that {0} does not have")]
    BadCost(HashKind),
}

/// A password hash, taken apart.
pub(super) enum ParsedHash {
    /// By argon2 of any variant.
    Argon2(Argon2Hash),
    /// By bcrypt.
    Bcrypt(BcryptHash),
    /// By PBKDF2.
    Pbkdf2(Pbkdf2Hash),
    /// By scrypt.
    Scrypt(ScryptHash),
    /// By Firebase.
    Firebase(FirebaseHash),
    /// By phpass.
    Phpass(PhpassHash),
}

/// What a check may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Memory, KiB.
    pub(super) memory_kib: u32,
    /// Argon2: memory times passes, KiB.
    pub(super) argon2_work_kib: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { memory_kib: LEGACY_MEMORY_MAX_KIB, argon2_work_kib: argon2::WORK_MAX_KIB }
    }
}

impl ParsedHash {
    /// Takes a hash apart and checks what it would cost.
    pub(super) fn parse(text: &str, bounds: &Bounds) -> Result<Self, HashProblem> {
        if text.len() > TEXT_MAX_BYTES {
            return Err(HashProblem::UnknownFormat);
        }
        if let Some(text) = text.strip_prefix('{') {
            return spring::parse(text, bounds);
        }
        let Some((algorithm, rest)) = text.split_once('$') else {
            return Pbkdf2Hash::parse_aspnet(text).map(Self::Pbkdf2);
        };
        match algorithm {
            "" => Self::parse_modular(rest, bounds),
            // Django: its own name of the algorithm, a dollar, and mostly the hash as others write it.
            "argon2" => Argon2Hash::parse_django(rest, bounds).map(Self::Argon2),
            "bcrypt" => BcryptHash::parse(rest).map(Self::Bcrypt),
            "bcrypt_sha256" => BcryptHash::parse_django_sha256(rest).map(Self::Bcrypt),
            "pbkdf2_sha1" => Pbkdf2Hash::parse_django(HashKind::Pbkdf2Sha1, rest).map(Self::Pbkdf2),
            "pbkdf2_sha256" => Pbkdf2Hash::parse_django(HashKind::Pbkdf2Sha256, rest).map(Self::Pbkdf2),
            "scrypt" => ScryptHash::parse_django(rest, bounds).map(Self::Scrypt),
            // Werkzeug: the name with the cost after colons.
            _ => match algorithm.split_once(':') {
                Some(("pbkdf2", cost)) => Pbkdf2Hash::parse_werkzeug(cost, rest).map(Self::Pbkdf2),
                Some(("scrypt", cost)) => ScryptHash::parse_werkzeug(cost, rest, bounds).map(Self::Scrypt),
                _ => Err(HashProblem::UnknownFormat),
            },
        }
    }

    /// Reads what follows the first dollar of a PHC string, or of the modular crypt form.
    fn parse_modular(text: &str, bounds: &Bounds) -> Result<Self, HashProblem> {
        let (id, rest) = text.split_once('$').ok_or(HashProblem::UnknownFormat)?;
        match id {
            "argon2id" | "argon2i" | "argon2d" => Argon2Hash::parse(text, bounds).map(Self::Argon2),
            "2a" | "2b" | "2y" => BcryptHash::parse_after_dollar(text).map(Self::Bcrypt),
            "wp" => BcryptHash::parse_wordpress(rest).map(Self::Bcrypt),
            "pbkdf2" | "pbkdf2-sha1" => Pbkdf2Hash::parse(HashKind::Pbkdf2Sha1, rest).map(Self::Pbkdf2),
            "pbkdf2-sha256" => Pbkdf2Hash::parse(HashKind::Pbkdf2Sha256, rest).map(Self::Pbkdf2),
            "pbkdf2-sha512" => Pbkdf2Hash::parse(HashKind::Pbkdf2Sha512, rest).map(Self::Pbkdf2),
            "scrypt" => ScryptHash::parse(rest, bounds).map(Self::Scrypt),
            "firescrypt" => FirebaseHash::parse_kratos(rest, bounds).map(Self::Firebase),
            "fbscrypt" => FirebaseHash::parse_supabase(rest, bounds).map(Self::Firebase),
            "P" | "H" => PhpassHash::parse(rest).map(Self::Phpass),
            _ => Err(HashProblem::UnknownFormat),
        }
    }

    /// What it was made with.
    pub(super) fn kind(&self) -> HashKind {
        match self {
            Self::Argon2(hash) => hash.kind(),
            Self::Bcrypt(hash) => hash.kind(),
            Self::Pbkdf2(hash) => hash.kind(),
            Self::Scrypt(_) => HashKind::Scrypt,
            Self::Firebase(_) => HashKind::FirebaseScrypt,
            Self::Phpass(_) => HashKind::Phpass,
        }
    }

    /// How much memory a check takes, KiB. Bcrypt, PBKDF2 and phpass take next to none.
    pub(super) fn memory_kib(&self) -> u32 {
        match self {
            Self::Argon2(hash) => hash.memory_kib(),
            Self::Scrypt(hash) => hash.memory_kib(),
            Self::Firebase(hash) => hash.memory_kib(),
            Self::Bcrypt(_) | Self::Pbkdf2(_) | Self::Phpass(_) => 0,
        }
    }

    /// Whether `password` is the one behind the hash, compared in constant time. `None` when the
    /// system has not the memory to tell.
    pub(super) fn verify(&self, password: &[u8], memory: &mut HashMemory) -> Option<bool> {
        match self {
            Self::Argon2(hash) => hash.verify(password, memory),
            Self::Bcrypt(hash) => Some(hash.verify(password)),
            Self::Pbkdf2(hash) => Some(hash.verify(password)),
            Self::Scrypt(hash) => hash.verify(password),
            Self::Firebase(hash) => hash.verify(password),
            Self::Phpass(hash) => Some(hash.verify(password)),
        }
    }
}

/// Whether both are the same bytes, in a time that tells nothing about them.
fn same(left: &[u8], right: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(left, right).is_ok()
}

#[cfg(test)]
mod vectors;
