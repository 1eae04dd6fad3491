//! The keys that sign access tokens, what the world may know of them, and how they come and go.
//!
//! The ring is in the database. Every replica follows it, and whichever finds a step due takes it;
//! the rules are [`KeyLife`]'s. While the database is away the ring goes on as it is.

mod generation;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hallpass_verify::KeySetError;
use tokio::sync::{Mutex, watch};

pub use generation::{Generation, PerGeneration};

use super::audit::Audit;
use crate::crypto::keys::{SigningKey, SigningKeyError};
use crate::crypto::secret::DerivedKeys;
use crate::domain::audit::{AuditAction, AuditActor, AuditEntry};
use crate::domain::causes::with_causes;
use crate::domain::clock::Clock;
use crate::domain::ids::KeyId;
use crate::domain::random::Random;
use crate::domain::signing_key::{KeyLife, KeyState, KeyStep, RingKey, SigningAlgorithm, StoredSigningKey};
use crate::domain::timekeeper::Timekeeper;
use crate::store::revocations::RevocationStore;
use crate::store::signing_keys::{AddNext, SigningKeyStore};
use crate::store::{StoreError, StoreResult};

/// How often a replica reads the ring: a revoked key is refused everywhere within this time, also where
/// the revocation feed does not tell of it sooner. The question costs a look at a table of a few rows.
const READ_EVERY: Duration = Duration::from_millis(500);

/// More steps than this are never due at once; a defect shall not keep the database busy.
const STEPS_AT_ONCE: usize = 100;

/// The key ring could not be opened, read or changed.
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
    /// The ring has no key that signs, and none could be made to.
    #[error("no key of the ring can sign")]
    NothingSigns,
}

/// What the ring stands on.
pub struct KeyRingDependencies {
    /// Where the ring is kept.
    pub store: Arc<dyn SigningKeyStore>,
    /// Where revoked keys are announced.
    pub feed: Arc<dyn RevocationStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Whose clock is odd.
    pub keeper: Arc<Timekeeper>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// What private keys are encrypted under.
    pub secrets: DerivedKeys,
    /// What happened, for later.
    pub audit: Audit,
    /// The rules by which keys come and go.
    pub life: KeyLife,
}

/// The ring as this process has it.
pub struct KeyRing {
    current: ArcSwap<Generation>,
    /// `None` for a single key from a file.
    dependencies: Option<KeyRingDependencies>,
    /// Whoever goes on with another ring: what was read earlier shall not come back.
    turn: Mutex<()>,
}

impl KeyRing {
    /// A ring of one key from elsewhere, which never changes.
    ///
    /// # Errors
    /// [`KeyRingError::Publish`] when its public key cannot be read back.
    pub fn fixed(signing: SigningKey) -> Result<Self, KeyRingError> {
        Ok(Self {
            current: ArcSwap::from_pointee(Generation::fixed(signing)?),
            dependencies: None,
            turn: Mutex::default(),
        })
    }

    /// Opens the ring that the database keeps; makes the first key where there is none. Replicas that
    /// start at once sign with the same key. No other step is taken here.
    ///
    /// # Errors
    /// [`KeyRingError`], among others when the server's secret is not the one that the keys were
    /// sealed under.
    pub async fn open(dependencies: KeyRingDependencies) -> Result<Self, KeyRingError> {
        let ring = dependencies.with_a_signer().await?;
        let mut opened = ring
            .iter()
            .filter(|key| key.state.is_trusted())
            .map(|key| Ok((key.key.id.clone(), SigningKey::open(&key.key, &dependencies.secrets)?)))
            .collect::<Result<HashMap<_, _>, SigningKeyError>>()?;
        // What does not open of the others is never missed.
        let revoked = ring.iter().filter(|key| matches!(key.state, KeyState::Revoked { .. }));
        opened.extend(revoked.filter_map(|RingKey { key, .. }| {
            Some((key.id.clone(), SigningKey::open(key, &dependencies.secrets).ok()?))
        }));
        let next_change = dependencies.life.next_change(&ring);
        let current = ArcSwap::from_pointee(Generation::new(ring, opened, next_change)?);
        Ok(Self { current, dependencies: Some(dependencies), turn: Mutex::default() })
    }

    /// The ring as it is now.
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// How long the published keys stay as they are, as far as that is planned; zero when a change is
    /// overdue.
    pub fn stays_for(&self) -> Option<Duration> {
        let now = self.dependencies.as_ref()?.clock.now();
        Some(self.current.load().next_change()?.since(now))
    }

    /// What the ring stands on; `None` for a single key from a file.
    pub(super) fn dependencies(&self) -> Option<&KeyRingDependencies> {
        self.dependencies.as_ref()
    }

    /// Takes the steps that are due, and goes on with the ring as it is then.
    ///
    /// # Errors
    /// [`KeyRingError`]; the ring goes on as it was.
    pub async fn catch_up(&self) -> Result<(), KeyRingError> {
        let Some(dependencies) = &self.dependencies else { return Ok(()) };
        let _turn = self.turn.lock().await;
        let ring = dependencies.with_due_steps_taken().await?;
        self.adopt(dependencies, ring)
    }

    /// Sees to it that something signs, and goes on with the ring as it is then. No other step is
    /// taken.
    ///
    /// # Errors
    /// [`KeyRingError`]; the ring goes on as it was.
    pub(super) async fn catch_up_with_a_signer(&self) -> Result<(), KeyRingError> {
        let Some(dependencies) = &self.dependencies else { return Ok(()) };
        let _turn = self.turn.lock().await;
        let ring = dependencies.with_a_signer().await?;
        self.adopt(dependencies, ring)
    }

    fn adopt(&self, dependencies: &KeyRingDependencies, ring: Vec<RingKey>) -> Result<(), KeyRingError> {
        let current = self.current.load();
        if current.ring == ring {
            return Ok(());
        }
        let mut opened = HashMap::new();
        let is_revoked = |state: &KeyState| matches!(state, KeyState::Revoked { .. });
        for RingKey { key, state } in
            ring.iter().filter(|key| key.state.is_trusted() || is_revoked(&key.state))
        {
            let known = current.opened.get(&key.id).cloned();
            match known.map_or_else(|| SigningKey::open(key, &dependencies.secrets), Ok) {
                Ok(signing) => drop(opened.insert(key.id.clone(), signing)),
                Err(_) if is_revoked(state) => {}
                // Without it the others still work, and above all a revoked one is gone.
                Err(error) => {
                    tracing::error!(key = %key.id, error = %with_causes(&error), "a signing key is left out");
                }
            }
        }
        let next_change = dependencies.life.next_change(&ring);
        let generation = Generation::new(ring, opened, next_change)?;
        if generation.jwks() != current.jwks() {
            let published = generation.jwks().keys.len();
            tracing::info!(signing = %generation.signing_key().id(), published, "key ring changed");
        }
        self.current.store(Arc::new(generation));
        Ok(())
    }

    /// Announces the revocations of keys that the feed is to be told: this process', and those that
    /// others left behind. Answers how many.
    ///
    /// # Errors
    /// A store that does not answer; what is left is still owed.
    pub async fn announce_owed(&self) -> StoreResult<usize> {
        let Some(dependencies) = &self.dependencies else { return Ok(0) };
        let (current, now) = (self.current(), dependencies.clock.now());
        let owed = current.ring.iter().filter(|key| dependencies.life.owes_announcement(key, now));
        let mut announced = 0;
        for key in owed {
            dependencies.announce(&key.key.id).await?;
            announced += 1;
        }
        Ok(announced)
    }

    /// Follows the ring for as long as it is polled, at once when `revoked` rings.
    pub async fn keep_up(self: Arc<Self>, mut revoked: watch::Receiver<()>) {
        let mut is_behind = false;
        loop {
            let outcome = match self.catch_up().await {
                Ok(()) => self.announce_owed().await.map(drop).map_err(KeyRingError::from),
                Err(error) => Err(error),
            };
            match &outcome {
                Ok(()) if is_behind => tracing::info!("the key ring is followed again"),
                Err(error) if !is_behind => {
                    tracing::warn!(error = %with_causes(error), "the key ring cannot be followed; it stays as it is");
                }
                Ok(()) | Err(_) => {}
            }
            is_behind = outcome.is_err();
            // Woken early, or not: either way it looks again. Without anybody to ring, it waits.
            let _ = tokio::time::timeout(READ_EVERY, async {
                if revoked.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
            .await;
        }
    }
}

impl KeyRingDependencies {
    /// The ring, after all that is due.
    async fn with_due_steps_taken(&self) -> Result<Vec<RingKey>, KeyRingError> {
        let mut ring = self.store.list_signing_keys().await?;
        if self.keeper.may_mint().is_err() {
            // Nothing comes and goes by a clock that is wrong.
            return Ok(ring);
        }
        for _ in 0..STEPS_AT_ONCE {
            let Some(step) = self.life.due(&ring, self.clock.now()) else { return Ok(ring) };
            self.take(&step, AuditActor::Service).await?;
            ring = self.store.list_signing_keys().await?;
        }
        Ok(ring)
    }

    /// The ring, with something that signs.
    async fn with_a_signer(&self) -> Result<Vec<RingKey>, KeyRingError> {
        let mut ring = self.store.list_signing_keys().await?;
        for _ in 0..STEPS_AT_ONCE {
            let Some(step) = self.life.urgent(&ring) else { return Ok(ring) };
            self.take(&step, AuditActor::Service).await?;
            ring = self.store.list_signing_keys().await?;
        }
        Ok(ring)
    }

    /// Takes a step, unless another replica has; answers whether it did. Whose it was is written down.
    pub(super) async fn take(&self, step: &KeyStep, by: AuditActor) -> Result<bool, KeyRingError> {
        let now = self.clock.now();
        let store = &self.store;
        let (key, taken) = match step {
            KeyStep::Begin => {
                let key = self.generate(self.life.algorithm).await?;
                let taken = store.insert_first_signing_key(&key).await?;
                (key.id, taken)
            }
            KeyStep::AddNext => {
                let key = self.generate(self.life.algorithm).await?;
                let taken = store.insert_next_signing_key(&key, AddNext::IfNone).await?;
                (key.id, taken)
            }
            KeyStep::Promote { next, instead_of } => {
                (next.clone(), store.promote_signing_key(next, instead_of.as_ref(), now).await?)
            }
            KeyStep::Retire(key) => (key.clone(), store.retire_signing_key(key, now).await?),
            KeyStep::Forget(key) => (key.clone(), store.forget_signing_key(key).await?),
        };
        if taken {
            use AuditAction::{SigningKeyAdded, SigningKeyDeleted, SigningKeyPromoted, SigningKeyRetired};
            let (what, actions) = match step {
                KeyStep::Begin => ("made, and signs", &[SigningKeyAdded, SigningKeyPromoted][..]),
                KeyStep::AddNext => ("made, to sign next", &[SigningKeyAdded][..]),
                KeyStep::Promote { .. } => ("signs", &[SigningKeyPromoted][..]),
                KeyStep::Retire(_) => ("retired", &[SigningKeyRetired][..]),
                KeyStep::Forget(_) => ("deleted", &[SigningKeyDeleted][..]),
            };
            tracing::info!(%key, %by, "signing key {what}");
            actions.iter().for_each(|action| self.record(*action, &by, &key));
        }
        Ok(taken)
    }

    /// Writes down what happened to a key.
    pub(super) fn record(&self, action: AuditAction, by: &AuditActor, key: &KeyId) {
        self.audit.record(AuditEntry::new(action, by.clone(), self.clock.now(), &*self.random).key(key));
    }

    /// A new key, as it is kept. An RSA key takes a while to find, during which requests go on.
    pub(super) async fn generate(
        &self,
        algorithm: SigningAlgorithm,
    ) -> Result<StoredSigningKey, SigningKeyError> {
        let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm)).await;
        self.seal(&made.map_err(|_| SigningKeyError::Generation(algorithm))??)
    }

    /// A key, as it is kept.
    pub(super) fn seal(&self, key: &SigningKey) -> Result<StoredSigningKey, SigningKeyError> {
        key.seal(&self.secrets, &*self.random, self.clock.now())
    }

    /// Announces the revocation of a key.
    pub(super) async fn announce(&self, key: &KeyId) -> StoreResult<()> {
        self.feed.announce_key(key, self.life.access_token).await?;
        self.store.note_signing_key_announced(key, self.clock.now()).await
    }
}
