//! The server's one secret and the keys that come of it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use aws_lc_rs::{aead, hkdf, hmac};

/// The fewest bytes of a server secret: what an HMAC-SHA-256 key needs (RFC 2104 3).
pub const SECRET_MIN_BYTES: usize = 32;

/// The secret is too short to derive keys from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret has fewer than {SECRET_MIN_BYTES} bytes")]
pub struct SecretError;

/// Keys derived from the server's secret by HKDF-SHA-256 (RFC 5869), one per purpose, so that
/// none can stand in for another. Cheap to clone.
#[derive(Clone)]
pub struct DerivedKeys(Arc<Keys>);

/// The keys themselves.
pub struct Keys {
    pub(super) refresh_token: hmac::Key,
    pub(super) reset_token: hmac::Key,
    pub(super) reset_token_mask: hmac::Key,
    pub(super) verification_token: hmac::Key,
    pub(super) verified_address: hmac::Key,
    pub(super) rate_limit: hmac::Key,
    pub(super) key_encryption: aead::LessSafeKey,
}

impl Deref for DerivedKeys {
    type Target = Keys;

    fn deref(&self) -> &Keys {
        &self.0
    }
}

impl DerivedKeys {
    /// Derives all keys from `secret`.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn derive(secret: &[u8]) -> Result<Self, SecretError> {
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
        let rate_limit = mac_key(&[b"rate limit mark v1"])?;
        let verification_token = mac_key(&[b"verification token mac v1"])?;
        let verified_address = mac_key(&[b"verified address mac v1"])?;
        let key_encryption =
            root.expand(&[b"signing key encryption v1"], &aead::AES_256_GCM).map_err(|_| SecretError)?;
        let key_encryption = aead::LessSafeKey::new(key_encryption.into());
        Ok(Self(Arc::new(Keys {
            refresh_token,
            reset_token,
            reset_token_mask,
            verification_token,
            verified_address,
            rate_limit,
            key_encryption,
        })))
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
            &keys.rate_limit,
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
            (&keys.rate_limit, "rate limit mark v1"),
        ] {
            let tag = hmac::sign(key, b"message");
            assert_eq!(tag.as_ref(), mac(&expected(purpose), b"message"), "{purpose}");
        }
        let again = aead::UnboundKey::new(&aead::AES_256_GCM, &expected("signing key encryption v1"))
            .map(aead::LessSafeKey::new)
            .expect("32 bytes");
        let sealed = |key: &aead::LessSafeKey| {
            let mut text = b"message".to_vec();
            let nonce = aead::Nonce::assume_unique_for_key([0; aead::NONCE_LEN]);
            key.seal_in_place_append_tag(nonce, aead::Aad::empty(), &mut text).expect("seals");
            text
        };
        assert_eq!(sealed(&keys.key_encryption), sealed(&again));
    }
}
