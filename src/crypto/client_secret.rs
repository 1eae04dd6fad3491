//! Secrets of OAuth clients: `hp_cs_` and 256 random bits in base64url.

use aws_lc_rs::{constant_time, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::client::{CLIENT_SECRETS_MAX, ClientSecretHash};
use crate::domain::random::Random;
use crate::domain::tokens::ClientSecret;

const PREFIX: &str = "hp_cs_";
const SECRET_BYTES: usize = 32;

/// A secret that nobody has had before.
pub fn generate(random: &dyn Random) -> ClientSecret {
    let mut bytes = [0; SECRET_BYTES];
    random.fill(&mut bytes);
    ClientSecret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// What is kept of a secret.
pub fn hash(secret: &ClientSecret) -> ClientSecretHash {
    let digest = digest::digest(&digest::SHA256, secret.expose().as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    ClientSecretHash::new(bytes)
}

/// Whether the secret is one of those that are kept. Takes the same time whichever it is, and for a
/// client that has none.
pub fn is_one_of(secret: &ClientSecret, kept: &[ClientSecretHash]) -> bool {
    let presented = hash(secret);
    let nobodys = ClientSecretHash::new([0; 32]);
    let mut found = false;
    for position in 0..CLIENT_SECRETS_MAX {
        let candidate = kept.get(position).unwrap_or(&nobodys);
        let equal =
            constant_time::verify_slices_are_equal(presented.as_bytes(), candidate.as_bytes()).is_ok();
        found |= equal && position < kept.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> ClientSecret {
        ClientSecret::new(text)
    }

    #[test]
    fn a_secret_is_known_by_either_of_two_hashes() {
        let kept = [hash(&secret("one")), hash(&secret("two"))];
        for good in ["one", "two"] {
            assert!(is_one_of(&secret(good), &kept));
        }
        assert!(!is_one_of(&secret("three"), &kept));
        assert!(!is_one_of(&secret("two"), &kept[..1]));
        assert!(!is_one_of(&secret(""), &[]));
    }

    #[test]
    fn the_hash_is_sha_256_of_the_text() {
        // FIPS 180-2 B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hex: String = hash(&secret("abc")).as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, expected);
    }
}
