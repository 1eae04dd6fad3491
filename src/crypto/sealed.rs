//! Encryption at rest (AES-256-GCM) under the server's secrets: sealed with the one that mints, opened with
//! whichever it was.

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};

use super::secret::{DerivedKeys, Keys};
use crate::domain::random::Random;
use crate::domain::sealed_value::SealedBytes;
use crate::domain::secret_mark::SecretMark;

/// A value cannot be decrypted with any of the secrets, or not be encrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the value {0} cannot be decrypted with this secret; was the secret changed? Then set the one before as \
     `secret_accepted`"
)]
pub struct SealedValueError(pub String);

/// Which of a secret's keys is used.
pub(super) type Purpose = fn(&Keys) -> &LessSafeKey;

/// Encrypts `text`, which nobody can pass off as what goes by another name.
pub(super) fn seal(
    keys: &Keys,
    purpose: Purpose,
    name: &str,
    mut text: Vec<u8>,
    random: &dyn Random,
) -> Option<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    random.fill(&mut nonce);
    let aad = Aad::from(name.as_bytes());
    purpose(keys).seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text).ok()?;
    let mut sealed = nonce.to_vec();
    sealed.append(&mut text);
    Some(sealed)
}

/// Decrypts what [`seal`] has made under one of the secrets, and says under which.
pub(super) fn open<'k>(
    keys: &'k DerivedKeys,
    purpose: Purpose,
    name: &str,
    sealed: &[u8],
) -> Option<(Vec<u8>, &'k Keys)> {
    let (nonce, encrypted) = sealed.split_first_chunk::<NONCE_LEN>()?;
    keys.all().find_map(|keys| {
        let mut buffer = encrypted.to_vec();
        let aad = Aad::from(name.as_bytes());
        let text =
            purpose(keys).open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut buffer).ok()?;
        Some((text.to_vec(), keys))
    })
}

/// Encrypts a value under the secret that mints.
///
/// # Errors
/// [`SealedValueError`] when the cryptography library refuses.
pub fn seal_value(
    keys: &DerivedKeys,
    name: &str,
    value: &[u8],
    random: &dyn Random,
) -> Result<SealedBytes, SealedValueError> {
    let sealed = seal(keys, |keys| &keys.value_encryption, name, value.to_vec(), random);
    sealed.map(SealedBytes::new).ok_or_else(|| SealedValueError(name.to_owned()))
}

/// Decrypts a value; answers as well which secret it is under.
///
/// # Errors
/// [`SealedValueError`] under none of the secrets.
pub fn open_value(
    keys: &DerivedKeys,
    name: &str,
    sealed: &SealedBytes,
) -> Result<(Vec<u8>, SecretMark), SealedValueError> {
    let opened = open(keys, |keys| &keys.value_encryption, name, sealed.as_bytes());
    opened.map(|(value, keys)| (value, keys.mark())).ok_or_else(|| SealedValueError(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(5);
        }
    }

    fn keys(minting: u8, accepted: &[u8]) -> DerivedKeys {
        let accepted: Vec<_> = accepted.iter().map(|byte| [*byte; 32]).collect();
        let accepted = accepted.iter().map(|secret| secret.as_slice());
        DerivedKeys::derive_all(&[minting; 32], accepted).expect("long enough")
    }

    #[test]
    fn a_value_is_opened_with_the_secret_that_it_is_under_and_with_no_other() {
        let sealed = seal_value(&keys(1, &[]), "name", b"value", &Fixed).expect("seals");
        let mark = keys(1, &[]).mark();
        for knowing in [keys(1, &[]), keys(2, &[1]), keys(2, &[3, 1])] {
            assert_eq!(open_value(&knowing, "name", &sealed), Ok((b"value".to_vec(), mark)));
        }
        for ignorant in [keys(2, &[]), keys(2, &[3])] {
            assert!(open_value(&ignorant, "name", &sealed).is_err());
        }
        assert!(open_value(&keys(1, &[]), "another", &sealed).is_err(), "it passes for no other");
        assert!(!sealed.as_bytes().windows(5).any(|bytes| bytes == b"value"));
    }

    #[test]
    fn no_altered_or_cut_byte_survives() {
        let keys = keys(1, &[]);
        let sealed = seal_value(&keys, "name", b"value", &Fixed).expect("seals");
        let sealed = sealed.as_bytes();
        for at in 0..sealed.len() {
            let mut altered = sealed.to_vec();
            altered[at] ^= 1;
            assert!(open_value(&keys, "name", &SealedBytes::new(altered)).is_err(), "altered at {at}");
            let cut = SealedBytes::new(sealed[..at].to_vec());
            assert!(open_value(&keys, "name", &cut).is_err(), "cut at {at}");
        }
    }
}
