//! What Spring Security's delegating encoder writes: an encoder's name in braces, and what that encoder
//! makes (`PasswordEncoderFactories`). `@SpringSecurity_v5_8` names the cost of Spring's later defaults.
//! Encoders that somebody gave a secret or a cost of their own are not told from their text.

use super::argon2::Argon2Hash;
use super::bcrypt::BcryptHash;
use super::pbkdf2::Pbkdf2Hash;
use super::scrypt::ScryptHash;
use super::{Bounds, HashKind, HashProblem, ParsedHash};

/// Reads what follows the opening brace.
pub(super) fn parse(text: &str, bounds: &Bounds) -> Result<ParsedHash, HashProblem> {
    let (encoder, hash) = text.split_once('}').ok_or(HashProblem::UnknownFormat)?;
    match encoder {
        "bcrypt" => BcryptHash::parse(hash).map(ParsedHash::Bcrypt),
        "argon2" | "argon2@SpringSecurity_v5_8" => {
            let hash = hash.strip_prefix('$').ok_or(HashProblem::Malformed(HashKind::Argon2id))?;
            Argon2Hash::parse_django(hash, bounds).map(ParsedHash::Argon2)
        }
        "scrypt" | "scrypt@SpringSecurity_v5_8" => {
            ScryptHash::parse_spring(hash, bounds).map(ParsedHash::Scrypt)
        }
        "pbkdf2" => Pbkdf2Hash::parse_spring(HashKind::Pbkdf2Sha1, 185_000, 8, hash).map(ParsedHash::Pbkdf2),
        "pbkdf2@SpringSecurity_v5_8" => {
            Pbkdf2Hash::parse_spring(HashKind::Pbkdf2Sha256, 310_000, 16, hash).map(ParsedHash::Pbkdf2)
        }
        _ => Err(HashProblem::UnknownFormat),
    }
}
