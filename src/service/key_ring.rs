//! The keys that sign access tokens, and what the world may know of them.

use hallpass_verify::{KeySet, KeySetError};
use jsonwebtoken::jwk::JwkSet;

use crate::crypto::keys::{SigningKey, SigningKeyError};
use crate::crypto::secret::DerivedKeys;
use crate::domain::clock::Clock;
use crate::domain::random::Random;
use crate::domain::signing_key::SigningAlgorithm;
use crate::store::{Repository, StoreError};

/// The key ring could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The database could not answer.
    #[error("the signing keys cannot be loaded")]
    Store(#[from] StoreError),
    /// A key cannot be made, read or decrypted.
    #[error("a signing key cannot be used")]
    Key(#[from] SigningKeyError),
    /// The public keys do not form a key set.
    #[error("the public keys cannot be published")]
    Publish(#[from] KeySetError),
}

/// The signing key and all published keys.
#[derive(Debug)]
pub struct KeyRing {
    signing: SigningKey,
    jwks: JwkSet,
    key_set: KeySet,
}

impl KeyRing {
    /// A ring that signs with `signing` and publishes it beside `others`.
    ///
    /// # Errors
    /// [`KeyRingError::Publish`] when a public key cannot be read back.
    pub fn new(signing: SigningKey, others: &[SigningKey]) -> Result<Self, KeyRingError> {
        let mut keys = vec![signing.public().clone()];
        keys.extend(others.iter().map(|key| key.public().clone()));
        let jwks = JwkSet { keys };
        let key_set = KeySet::from_jwk_set(&jwks)?;
        Ok(Self { signing, jwks, key_set })
    }

    /// Opens the ring that the database keeps; makes the first key of `algorithm` where there is
    /// none. Replicas that start at once sign with the same key.
    ///
    /// # Errors
    /// [`KeyRingError`], among others when the server's secret is not the one that the keys were
    /// sealed under.
    pub async fn open(
        algorithm: SigningAlgorithm,
        repository: &dyn Repository,
        secrets: &DerivedKeys,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<Self, KeyRingError> {
        let mut stored = repository.list_signing_keys().await?;
        if !stored.iter().any(|key| key.algorithm == algorithm) {
            let key = SigningKey::generate(algorithm)?.seal(secrets, random, clock.now())?;
            stored = repository.insert_signing_key_if_none(&key).await?;
        }
        let mut keys: Vec<SigningKey> =
            stored.iter().map(|key| SigningKey::open(key, secrets)).collect::<Result<_, _>>()?;
        let newest = keys.iter().rposition(|key| key.algorithm() == algorithm);
        let signing = keys.remove(newest.ok_or(SigningKeyError::Generation(algorithm))?);
        Self::new(signing, &keys)
    }

    /// The key that signs.
    pub fn signing_key(&self) -> &SigningKey {
        &self.signing
    }

    /// The public keys (RFC 7517 5).
    pub fn jwks(&self) -> &JwkSet {
        &self.jwks
    }

    /// The public keys as the verifier takes them.
    pub fn key_set(&self) -> &KeySet {
        &self.key_set
    }
}
