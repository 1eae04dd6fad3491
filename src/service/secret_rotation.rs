//! From one server secret to the next: what is kept encrypted moves on to the one that mints, once every replica
//! knows that.

use crate::crypto::keys::{SigningKey, SigningKeyError};
use crate::crypto::sealed::{self, SealedValueError};
use crate::crypto::secret::DerivedKeys;
use crate::domain::audit::{AuditAction, AuditActor, AuditEntry};
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::KeyId;
use crate::domain::random::Random;
use crate::domain::sealed_value::{LIMIT_MARKS, SealedBytes, SealedValue};
use crate::domain::secret_mark::{Presence, SecretMark};
use crate::domain::signing_key::{RingKey, SealedKey};
use crate::store::presence::PresenceStore;
use crate::store::sealed_values::SealedValueStore;
use crate::store::signing_keys::SigningKeyStore;
use crate::store::{AuditStore, StoreError, StoreResult};

/// How often what stands there is looked at again: a replica that still minted with the secret before may have
/// made a key meanwhile.
const ROUNDS: usize = 3;

/// Why nothing was encrypted anew, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// A store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not known which replicas run.
    #[error(
        "which replicas run, and which secrets they know, cannot be read here: stop the service, or say --force if \
         all of them accept the secret {minting}"
    )]
    Unseen {
        /// The secret that mints here.
        minting: SecretMark,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// Replicas would not be able to read what is encrypted anew, nor take what is minted here.
    #[error(
        "not every replica accepts the secret {minting}, which mints here: {}; set it as `secret_accepted` there \
         first (--force goes on without them)", .replicas.join(", ")
    )]
    Unaware {
        /// The secret that mints here.
        minting: SecretMark,
        /// Which replicas do not know it.
        replicas: Vec<String>,
    },
    /// Replicas go on making things under the secret before.
    #[error(
        "another secret than {minting}, which mints here, still mints at: {}; let {minting} mint there too first \
         (--force goes on meanwhile)", .replicas.join(", ")
    )]
    Minting {
        /// The secret that mints here.
        minting: SecretMark,
        /// Where another one does.
        replicas: Vec<String>,
    },
    /// The cryptography library refuses.
    #[error("a key cannot be encrypted")]
    Key(#[from] SigningKeyError),
    /// The same.
    #[error("a value cannot be encrypted")]
    Value(#[from] SealedValueError),
}

/// One thing that is kept encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A signing key.
    SigningKey(KeyId),
    /// A value of that name.
    Value(String),
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SigningKey(id) => write!(f, "signing key {id}"),
            Self::Value(name) => write!(f, "value {name}"),
        }
    }
}

/// What stands in the database encrypted, and under which secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtRest {
    /// How many things are under the secret that mints.
    pub current: u64,
    /// What is under another that is accepted.
    pub older: Vec<(Kept, SecretMark)>,
    /// What is under none that is known, and is needed.
    pub unreadable: Vec<Kept>,
    /// Since when the value of the limits is under the secret that mints: since when that one does, to within a
    /// rotation.
    pub since: Option<Timestamp>,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// What was encrypted anew.
    pub sealed_anew: Vec<Kept>,
    /// What could be read by no secret, and stands as it stood.
    pub unreadable: Vec<Kept>,
    /// How many things are under the secret that mints now.
    pub current: u64,
    /// Whether the limits begin anew.
    pub forgot_limits: bool,
}

/// What the operator has said besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct RotationOptions {
    /// Go on whatever replicas run.
    pub force: bool,
    /// Make another value for the limits where theirs can be read by no secret.
    pub forget_limits: bool,
}

/// What a rotation stands on.
pub struct SecretRotation<'a> {
    /// Signing keys.
    pub signing_keys: &'a dyn SigningKeyStore,
    /// Values.
    pub values: &'a dyn SealedValueStore,
    /// Which replicas run.
    pub presence: &'a dyn PresenceStore,
    /// What happened.
    pub audit_log: &'a dyn AuditStore,
    /// The secret that mints, and those that are accepted.
    pub secrets: &'a DerivedKeys,
    /// Chance.
    pub random: &'a dyn Random,
    /// Time.
    pub clock: &'a dyn Clock,
}

impl SecretRotation<'_> {
    /// Encrypts anew, under the secret that mints, whatever is under another one that is accepted. Each thing is
    /// replaced by one guarded statement: cut off, the next call does the rest, and done twice it finds nothing.
    ///
    /// # Errors
    /// [`RotationError`]; refused for the sake of a replica, nothing was done.
    pub async fn rotate(&self, options: RotationOptions) -> Result<Rotation, RotationError> {
        if !options.force {
            self.require_all_to_know().await?;
        }
        let mut done = Rotation::default();
        for _ in 0..ROUNDS {
            let before = done.sealed_anew.len();
            self.seal_keys(&mut done).await?;
            self.seal_values(&mut done, options).await?;
            if done.sealed_anew.len() == before {
                break;
            }
        }
        let now = look(self.signing_keys, self.values, self.secrets).await?;
        done.current = now.current;
        done.unreadable = now.unreadable;
        let entry =
            AuditEntry::new(AuditAction::SecretRotated, AuditActor::Operator, self.clock.now(), self.random);
        let count = Some(done.sealed_anew.len() as u64);
        self.audit_log.append_audit(&[AuditEntry { count, ..entry }]).await?;
        Ok(done)
    }

    async fn require_all_to_know(&self) -> Result<(), RotationError> {
        let minting = self.secrets.mark();
        let unseen = |source| RotationError::Unseen { minting, source };
        let present = self.presence.list_presences().await.map_err(unseen)?;
        let unaware = ignorant_of(&present, minting);
        if !unaware.is_empty() {
            return Err(RotationError::Unaware { minting, replicas: unaware });
        }
        let replicas = minting_other(&present, minting);
        if !replicas.is_empty() {
            return Err(RotationError::Minting { minting, replicas });
        }
        Ok(())
    }

    async fn seal_keys(&self, done: &mut Rotation) -> Result<(), RotationError> {
        for RingKey { key, .. } in self.signing_keys.list_signing_keys().await? {
            match SigningKey::sealed_under(&key, self.secrets) {
                Ok(mark) if mark != self.secrets.mark() => {}
                // It is where it belongs, or nobody can read it.
                Ok(_) | Err(_) => continue,
            }
            let sealed: SealedKey = SigningKey::seal_anew(&key, self.secrets, self.random)?;
            if self.signing_keys.replace_sealed_key(&key.id, &key.sealed, &sealed).await? {
                done.sealed_anew.push(Kept::SigningKey(key.id));
            }
        }
        Ok(())
    }

    async fn seal_values(&self, done: &mut Rotation, options: RotationOptions) -> Result<(), RotationError> {
        for SealedValue { name, sealed, .. } in self.values.list_sealed_values().await? {
            let value = match sealed::open_value(self.secrets, &name, &sealed) {
                Ok((value, mark)) if mark != self.secrets.mark() => value,
                Ok(_) => continue,
                Err(_) if name == LIMIT_MARKS && options.forget_limits => {
                    done.forgot_limits = true;
                    crate::crypto::rate_limit::MarkKey::make(self.random).to_vec()
                }
                Err(_) => continue,
            };
            let anew: SealedBytes = sealed::seal_value(self.secrets, &name, &value, self.random)?;
            let new = SealedValue { name, sealed: anew, sealed_at: self.clock.now() };
            if self.values.replace_sealed_value(&sealed, &new).await? {
                done.sealed_anew.push(Kept::Value(new.name));
            }
        }
        Ok(())
    }
}

/// The replicas that do not take what was minted with that secret.
pub fn ignorant_of(present: &[Presence], secret: SecretMark) -> Vec<String> {
    let ignorant = present.iter().filter(|presence| !presence.knows(secret));
    ignorant.map(|presence| presence.replica.clone()).collect()
}

/// The replicas that mint with another secret.
pub fn minting_other(present: &[Presence], secret: SecretMark) -> Vec<String> {
    let other = present.iter().filter(|presence| presence.mints != secret);
    other.map(|presence| presence.replica.clone()).collect()
}

/// What stands in the database encrypted. Changes nothing.
///
/// # Errors
/// [`StoreError`].
pub async fn look(
    signing_keys: &dyn SigningKeyStore,
    values: &dyn SealedValueStore,
    secrets: &DerivedKeys,
) -> StoreResult<AtRest> {
    let mut found = AtRest::default();
    for RingKey { key, state } in signing_keys.list_signing_keys().await? {
        let under = SigningKey::sealed_under(&key, secrets).ok();
        // A key that counts no more is missed by nobody.
        found.count(Kept::SigningKey(key.id), under, state.is_trusted(), secrets);
    }
    for SealedValue { name, sealed, sealed_at } in values.list_sealed_values().await? {
        let under = sealed::open_value(secrets, &name, &sealed).ok().map(|(_, mark)| mark);
        if name == LIMIT_MARKS && under == Some(secrets.mark()) {
            found.since = Some(sealed_at);
        }
        found.count(Kept::Value(name), under, true, secrets);
    }
    Ok(found)
}

impl AtRest {
    fn count(&mut self, what: Kept, under: Option<SecretMark>, is_needed: bool, secrets: &DerivedKeys) {
        match under {
            Some(mark) if mark == secrets.mark() => self.current += 1,
            Some(mark) => self.older.push((what, mark)),
            None if is_needed => self.unreadable.push(what),
            None => {}
        }
    }
}
