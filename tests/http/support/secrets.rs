//! Other server secrets over the same stores.

use hallpass::config::Secret;
use hallpass::crypto::secret::DerivedKeys;
use hallpass::domain::audit::{AuditFilter, RecordedEntry};
use hallpass::domain::sealed_value::SealedValue;
use hallpass::domain::secret_mark::Presence;
use hallpass::service::secret_rotation::{
    self, AtRest, Rotation, RotationError, RotationOptions, SecretRotation,
};
use hallpass::store::presence::PresenceStore;
use hallpass::store::sealed_values::SealedValueStore;

use super::{SERVER_SECRET, TestApp};

impl TestApp {
    /// Another instance over the same stores, which mints with that secret and accepts those besides.
    pub async fn minting_with(&self, minting: &str, accepted: &[&str]) -> Self {
        self.another_instance(|settings| {
            settings.secret = Some(Secret::new(minting));
            settings.secret_accepted = accepted.iter().copied().map(Secret::new).collect();
        })
        .await
    }

    /// The keys of its secrets.
    pub fn secrets(&self) -> DerivedKeys {
        let settings = &self.0.settings;
        let minting = settings.secret.as_ref().map_or(SERVER_SECRET, |secret| secret.expose());
        let accepted = settings.secret_accepted.iter().map(|secret| secret.expose().as_bytes());
        DerivedKeys::derive_all(minting.as_bytes(), accepted).expect("long enough")
    }

    /// `hallpass secret rotate` with its secrets.
    pub async fn rotate_secret(&self, options: RotationOptions) -> Result<Rotation, RotationError> {
        let database = &self.0.stores.database;
        let rotation = SecretRotation {
            signing_keys: &*database.signing_keys,
            values: &*database.sealed_values,
            presence: &*self.0.stores.tokens.presence,
            audit_log: &*database.audit_log,
            secrets: &self.secrets(),
            random: &hallpass::app::SystemRandom,
            clock: &*self.0.surroundings.clock,
        };
        rotation.rotate(options).await
    }

    /// What stands in the database encrypted, as this instance sees it.
    pub async fn at_rest(&self) -> AtRest {
        let database = &self.0.stores.database;
        let secrets = self.secrets();
        let looking = secret_rotation::look(&*database.signing_keys, self.sealed_values(), &secrets);
        looking.await.expect("a database that answers")
    }

    /// What was written down, newest first.
    pub async fn audited(&self, filter: &AuditFilter) -> Vec<RecordedEntry> {
        let listing = self.0.stores.database.audit_log.list_audit(filter, None, 10);
        listing.await.expect("a database that answers")
    }

    pub fn sealed_values(&self) -> &dyn SealedValueStore {
        &*self.0.stores.database.sealed_values
    }

    /// All that are kept.
    pub async fn kept_values(&self) -> Vec<SealedValue> {
        self.sealed_values().list_sealed_values().await.expect("a database that answers")
    }

    pub fn presence(&self) -> &dyn PresenceStore {
        &*self.0.stores.tokens.presence
    }

    /// Says that a replica of that name runs with this instance's secrets.
    pub async fn announce(&self, replica: &str) {
        let secrets = self.secrets();
        let presence = Presence::new(replica, secrets.mark(), secrets.accepted_marks());
        self.presence().announce_presence(&presence).await.expect("a token store that answers");
    }
}
