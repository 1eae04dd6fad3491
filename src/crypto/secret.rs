//! The server's secrets and the keys that come of them: one mints, others may be accepted besides.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use aws_lc_rs::{aead, hkdf, hmac};

use crate::domain::secret_mark::SecretMark;

/// The fewest bytes of a server secret: what an HMAC-SHA-256 key needs (RFC 2104 3).
pub const SECRET_MIN_BYTES: usize = 32;

/// The secret is too short to derive keys from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret has fewer than {SECRET_MIN_BYTES} bytes")]
pub struct SecretError;

/// The keys of the secret that mints, which it stands for, and of those that are accepted besides. Cheap to
/// clone.
#[derive(Clone)]
pub struct DerivedKeys(Arc<Ring>);

struct Ring {
    minting: Keys,
    accepted: Vec<Keys>,
}

/// The keys derived from one secret by HKDF-SHA-256 (RFC 5869), one per purpose, so that none can stand in
/// for another.
pub struct Keys {
    pub(super) refresh_token: hmac::Key,
    pub(super) reset_token: hmac::Key,
    pub(super) reset_token_mask: hmac::Key,
    pub(super) verification_token: hmac::Key,
    pub(super) verified_address: hmac::Key,
    pub(super) key_encryption: aead::LessSafeKey,
    pub(super) value_encryption: aead::LessSafeKey,
    /// What the marks of limits were keyed by before that was a value of its own.
    pub(super) limit_marks: [u8; 32],
    mark: SecretMark,
}

impl Keys {
    /// How the secret is told from others.
    pub fn mark(&self) -> SecretMark {
        self.mark
    }
}

impl Deref for DerivedKeys {
    type Target = Keys;

    fn deref(&self) -> &Keys {
        &self.0.minting
    }
}

impl DerivedKeys {
    /// Derives all keys from `secret`, which mints and is accepted alone.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn derive(secret: &[u8]) -> Result<Self, SecretError> {
        Self::derive_all(secret, [])
    }

    /// Derives all keys from `minting`, and from those that are accepted besides. One that is there twice
    /// counts once.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn derive_all<'s>(
        minting: &'s [u8],
        accepted: impl IntoIterator<Item = &'s [u8]>,
    ) -> Result<Self, SecretError> {
        let mut seen = vec![minting];
        let mut keys = Vec::new();
        for secret in accepted {
            if !seen.contains(&secret) {
                keys.push(Keys::derive(secret)?);
                seen.push(secret);
            }
        }
        Ok(Self(Arc::new(Ring { minting: Keys::derive(minting)?, accepted: keys })))
    }

    /// The keys of every secret that is known, of the one that mints first.
    pub fn all(&self) -> impl Iterator<Item = &Keys> {
        std::iter::once(&self.0.minting).chain(&self.0.accepted)
    }

    /// How the secrets are told from others that are accepted besides the one that mints.
    pub fn accepted_marks(&self) -> Vec<SecretMark> {
        self.0.accepted.iter().map(Keys::mark).collect()
    }
}

impl Keys {
    fn derive(secret: &[u8]) -> Result<Self, SecretError> {
        if secret.len() < SECRET_MIN_BYTES {
            return Err(SecretError);
        }
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"hallpass").extract(secret);
        let mac_key = |purpose: &[&[u8]]| {
            let okm = root.expand(purpose, hmac::HMAC_SHA256).map_err(|_| SecretError)?;
            Ok(hmac::Key::from(okm))
        };
        let refresh_token = mac_key(&[b"refresh token mac v1"])?;
        let reset_token = mac_key(&[b"reset token mac v1"])?;
        let reset_token_mask = mac_key(&[b"reset token mask v1"])?;
        let verification_token = mac_key(&[b"verification token mac v1"])?;
        let verified_address = mac_key(&[b"verified address mac v1"])?;
        let key_encryption =
            root.expand(&[b"signing key encryption v1"], &aead::AES_256_GCM).map_err(|_| SecretError)?;
        let key_encryption = aead::LessSafeKey::new(key_encryption.into());
        let value_encryption =
            root.expand(&[b"value encryption v1"], &aead::AES_256_GCM).map_err(|_| SecretError)?;
        let value_encryption = aead::LessSafeKey::new(value_encryption.into());
        let (mut limit_marks, mut mark) = ([0; 32], [0; 32]);
        for (bytes, purpose) in
            [(&mut limit_marks, &b"rate limit mark v1"[..]), (&mut mark, &b"secret mark v1"[..])]
        {
            let info = [purpose];
            let okm = root.expand(&info, hmac::HMAC_SHA256).map_err(|_| SecretError)?;
            okm.fill(bytes).map_err(|_| SecretError)?;
        }
        let [a, b, c, d, ..] = mark;
        Ok(Self {
            refresh_token,
            reset_token,
            reset_token_mask,
            verification_token,
            verified_address,
            key_encryption,
            value_encryption,
            limit_marks,
            mark: SecretMark::new([a, b, c, d]),
        })
    }
}

impl fmt::Debug for DerivedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedKeys(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_short_secret_is_refused() {
        assert_eq!(DerivedKeys::derive(&[1; 31]).err(), Some(SecretError));
        assert!(DerivedKeys::derive(&[1; 32]).is_ok());
    }

    #[test]
    fn each_purpose_has_its_own_key() {
        let keys = DerivedKeys::derive(&[1; 32]).expect("long enough");
        let tag = |key| hmac::sign(key, b"message").as_ref().to_vec();
        let keys = [
            &keys.refresh_token,
            &keys.reset_token,
            &keys.reset_token_mask,
            &keys.verification_token,
            &keys.verified_address,
            &hmac::Key::new(hmac::HMAC_SHA256, &keys.limit_marks),
        ];
        let tags: BTreeSet<_> = keys.map(tag).into();
        assert_eq!(tags.len(), keys.len());
    }

    /// Another derivation would log everybody out and lock the signing keys away. The expected
    /// keys are worked out here by RFC 5869 2.2 and 2.3, with nothing but HMAC.
    #[test]
    fn the_derivation_is_hkdf_and_stays_the_same() {
        let mac = |key: &[u8], message: &[u8]| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
        };
        let secret = [1; 32];
        let root = mac(b"hallpass", &secret);
        let expected = |purpose: &str| mac(&root, &[purpose.as_bytes(), &[1]].concat());

        let keys = DerivedKeys::derive(&secret).expect("long enough");
        for (key, purpose) in [
            (&keys.refresh_token, "refresh token mac v1"),
            (&keys.reset_token, "reset token mac v1"),
            (&keys.reset_token_mask, "reset token mask v1"),
            (&keys.verification_token, "verification token mac v1"),
            (&keys.verified_address, "verified address mac v1"),
        ] {
            let tag = hmac::sign(key, b"message");
            assert_eq!(tag.as_ref(), mac(&expected(purpose), b"message"), "{purpose}");
        }
        assert_eq!(keys.limit_marks.as_slice(), expected("rate limit mark v1"));
        let again = |purpose| {
            let unbound = aead::UnboundKey::new(&aead::AES_256_GCM, &expected(purpose));
            unbound.map(aead::LessSafeKey::new).expect("32 bytes")
        };
        let sealed = |key: &aead::LessSafeKey| {
            let mut text = b"message".to_vec();
            let nonce = aead::Nonce::assume_unique_for_key([0; aead::NONCE_LEN]);
            key.seal_in_place_append_tag(nonce, aead::Aad::empty(), &mut text).expect("seals");
            text
        };
        assert_eq!(sealed(&keys.key_encryption), sealed(&again("signing key encryption v1")));
        assert_eq!(sealed(&keys.value_encryption), sealed(&again("value encryption v1")));
        let mark: String = expected("secret mark v1")[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(keys.mark().to_string(), mark);
    }

    #[test]
    fn a_secret_that_is_there_twice_counts_once() {
        let (one, two) = ([1; 32], [2; 32]);
        let keys = DerivedKeys::derive_all(&one, [&two[..], &one, &two]).expect("long enough");
        let marks: Vec<_> = keys.all().map(Keys::mark).collect();
        let alone = |secret| DerivedKeys::derive(secret).expect("long enough").mark();
        assert_eq!(marks, [alone(&one), alone(&two)]);
        assert_eq!((keys.mark(), keys.accepted_marks()), (marks[0], vec![marks[1]]));
        assert_eq!(DerivedKeys::derive_all(&one, [&[2; 31][..]]).err(), Some(SecretError));
    }
}
