//! Signing keys by an operator's hand: what the ring does by itself, sooner.

use std::sync::Arc;

use hallpass_verify::{KeySet, KeySetError};
use jsonwebtoken::jwk::JwkSet;

use super::key_ring::{KeyRing, KeyRingDependencies, KeyRingError};
use crate::crypto::keys::{SigningKey, SigningKeyError};
use crate::crypto::private_key::{PrivateKeyError, to_pkcs8_pem};
use crate::domain::audit::{AuditAction, AuditActor};
use crate::domain::causes::with_causes;
use crate::domain::ids::KeyId;
use crate::domain::signing_key::{
    KeyRefusal, KeyStep, PlannedStep, RingKey, SigningAlgorithm, StoredSigningKey,
};
use crate::store::StoreError;
use crate::store::signing_keys::AddNext;

/// Why nothing was done to the keys.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeysError {
    /// The rules speak against it.
    #[error(transparent)]
    Refused(#[from] KeyRefusal),
    /// Another process has changed the ring at the same moment.
    #[error("the key ring has just been changed by somebody else; look at it and try again")]
    Overtaken,
    /// There is no ring: the key comes from a file.
    #[error("`keys.signing_key_file` is set: that one key signs, and there is no key ring")]
    NoRing,
    /// The file holds no private key that could sign.
    #[error(transparent)]
    NoKey(#[from] PrivateKeyError),
    /// The key is too weak, or broken.
    #[error("the key cannot be used")]
    Unusable(#[source] KeySetError),
    /// The ring cannot be read or changed.
    #[error(transparent)]
    Ring(#[from] KeyRingError),
}

impl From<StoreError> for SigningKeysError {
    fn from(error: StoreError) -> Self {
        Self::Ring(error.into())
    }
}

impl From<SigningKeyError> for SigningKeysError {
    fn from(error: SigningKeyError) -> Self {
        Self::Ring(error.into())
    }
}

/// The result of an operation on keys.
pub type SigningKeysResult<T> = Result<T, SigningKeysError>;

/// The keys, and what happens to them by itself.
#[derive(Clone, Debug)]
pub struct Overview {
    /// All keys, oldest first.
    pub keys: Vec<RingKey>,
    /// What is planned, the earliest first.
    pub plan: Vec<PlannedStep>,
}

/// How a revocation turned out: the key counts for nothing any more, here at once and at every
/// replica within seconds.
#[derive(Clone, Debug)]
pub struct RevokedKey {
    /// The key that signs now.
    pub signing: KeyId,
    /// Whether the revocation feed has it already. If not, the running service announces it within
    /// seconds.
    pub announced: bool,
}

/// The operations. Cheap to clone.
#[derive(Clone)]
pub struct SigningKeys {
    ring: Arc<KeyRing>,
}

impl SigningKeys {
    pub(super) fn new(ring: Arc<KeyRing>) -> Self {
        Self { ring }
    }

    fn dependencies(&self) -> SigningKeysResult<&KeyRingDependencies> {
        self.ring.dependencies().ok_or(SigningKeysError::NoRing)
    }

    /// All keys, and what is planned for them.
    ///
    /// # Errors
    /// [`SigningKeysError`].
    pub async fn overview(&self) -> SigningKeysResult<Overview> {
        let dependencies = self.dependencies()?;
        let keys = dependencies.store.list_signing_keys().await?;
        let plan = dependencies.life.plan(&keys);
        Ok(Overview { keys, plan })
    }

    /// Makes a key that may sign next; by the settings' algorithm where none is given.
    ///
    /// # Errors
    /// [`SigningKeysError`].
    pub async fn create(&self, algorithm: Option<SigningAlgorithm>) -> SigningKeysResult<KeyId> {
        let dependencies = self.dependencies()?;
        let key = dependencies.generate(algorithm.unwrap_or(dependencies.life.algorithm)).await?;
        self.add(dependencies, key).await
    }

    /// Takes a private key in PEM or DER ([`to_pkcs8_pem`]) from elsewhere as one that may sign next.
    ///
    /// # Errors
    /// [`SigningKeysError::NoKey`], [`SigningKeysError::Unusable`], or [`KeyRefusal::Present`], also for
    /// a key that was revoked.
    pub async fn import(&self, file: &[u8]) -> SigningKeysResult<KeyId> {
        let dependencies = self.dependencies()?;
        let pem = to_pkcs8_pem(file)?;
        let key = SigningAlgorithm::ALL
            .into_iter()
            .find_map(|algorithm| SigningKey::from_pem(algorithm, pem.as_str()).ok())
            .ok_or(PrivateKeyError::Unreadable)?;
        // What validators could not read would keep the whole ring from being published.
        KeySet::from_jwk_set(&JwkSet { keys: vec![key.public().clone()] })
            .map_err(SigningKeysError::Unusable)?;
        self.add(dependencies, dependencies.seal(&key)?).await
    }

    async fn add(
        &self,
        dependencies: &KeyRingDependencies,
        sealed: StoredSigningKey,
    ) -> SigningKeysResult<KeyId> {
        if dependencies.store.insert_next_signing_key(&sealed, AddNext::Anyway).await? {
            tracing::info!(key = %sealed.id, by = %AuditActor::Operator, "signing key added, to sign next");
            dependencies.record(AuditAction::SigningKeyAdded, &AuditActor::Operator, &sealed.id);
            return Ok(sealed.id);
        }
        let ring = dependencies.store.list_signing_keys().await?;
        let present = ring.iter().find(|key| key.key.id == sealed.id).ok_or(SigningKeysError::Overtaken)?;
        Err(KeyRefusal::Present { key: sealed.id, state: present.state.as_str() }.into())
    }

    /// Lets a next key sign from now on: the one that is named, or the one that has waited longest.
    /// Answers which. `force` does without the time that it must have been published.
    ///
    /// # Errors
    /// [`SigningKeysError`].
    pub async fn promote(&self, key: Option<&KeyId>, force: bool) -> SigningKeysResult<KeyId> {
        let dependencies = self.dependencies()?;
        let ring = dependencies.store.list_signing_keys().await?;
        let step = dependencies.life.promote(&ring, key, dependencies.clock.now(), force)?;
        self.take(dependencies, &step).await
    }

    /// No longer publishes a key. `force` does so while tokens that it signed are in use.
    ///
    /// # Errors
    /// [`SigningKeysError`].
    pub async fn retire(&self, key: &KeyId, force: bool) -> SigningKeysResult<KeyId> {
        let dependencies = self.dependencies()?;
        let ring = dependencies.store.list_signing_keys().await?;
        let step = dependencies.life.retire(&ring, key, dependencies.clock.now(), force)?;
        self.take(dependencies, &step).await
    }

    async fn take(&self, dependencies: &KeyRingDependencies, step: &KeyStep) -> SigningKeysResult<KeyId> {
        if !dependencies.take(step, AuditActor::Operator).await? {
            return Err(SigningKeysError::Overtaken);
        }
        self.ring.catch_up_with_a_signer().await?;
        match step {
            KeyStep::Promote { next: key, .. } | KeyStep::Retire(key) | KeyStep::Forget(key) => {
                Ok(key.clone())
            }
            KeyStep::Begin | KeyStep::AddNext => Err(SigningKeysError::Overtaken),
        }
    }

    /// Revokes a key that has leaked. Nothing that it signed counts any more: at this process from this
    /// moment on, at the others when they have read the ring, and at validators that follow the
    /// revocation feed when they have read that. Where it was the one that signs, the next one does,
    /// published for long or not. Revoking it again changes nothing.
    ///
    /// # Errors
    /// [`SigningKeysError`]. That the feed could not be told is none: that is owed then.
    pub async fn revoke(&self, key: &KeyId) -> SigningKeysResult<RevokedKey> {
        let dependencies = self.dependencies()?;
        if dependencies.store.revoke_signing_key(key, dependencies.clock.now()).await? {
            tracing::warn!(%key, by = %AuditActor::Operator, "signing key revoked");
            dependencies.record(AuditAction::SigningKeyRevoked, &AuditActor::Operator, key);
        } else {
            let ring = dependencies.store.list_signing_keys().await?;
            if !ring.iter().any(|known| known.key.id == *key) {
                return Err(KeyRefusal::Unknown(key.clone()).into());
            }
        }
        self.ring.catch_up_with_a_signer().await?;
        let announced = match self.ring.announce_owed().await {
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(error = %with_causes(&error), "the revocation of a key could not be announced yet");
                false
            }
        };
        Ok(RevokedKey { signing: self.ring.current().signing_key().id().clone(), announced })
    }
}
