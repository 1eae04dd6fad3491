//! Whether the keys can be read by which tokens are signed and checked.

use crate::app::finding::{Condition, Finding};
use crate::config::Settings;
use crate::crypto::keys::SigningKey;
use crate::crypto::secret::DerivedKeys;
use crate::domain::causes::with_causes;
use crate::domain::signing_key::RingKey;
use crate::store::signing_keys::SigningKeyStore;

const SUBJECT: &str = "signing keys";

/// What is to be said of the file of the settings, or else of the keys in the database.
pub(super) async fn check(
    settings: &Settings,
    ring: &dyn SigningKeyStore,
    secrets: Option<&DerivedKeys>,
) -> Finding {
    if let Some(path) = &settings.keys.signing_key_file {
        let read = match tokio::fs::read(path).await {
            Ok(file) => SigningKey::from_file(settings.keys.algorithm, &file),
            Err(error) => {
                let text = format!("{} cannot be read: {error}", path.display());
                return Finding::new(SUBJECT, Condition::Bad, text);
            }
        };
        return match read {
            Ok(_) => Finding::new(SUBJECT, Condition::Good, format!("{} can be used", path.display())),
            Err(error) => Finding::bad(SUBJECT, &error),
        };
    }
    let Some(secrets) = secrets else {
        return Finding::new(SUBJECT, Condition::Unknown, "without the secret they cannot be read");
    };
    let stored = match ring.list_signing_keys().await {
        Ok(stored) => stored,
        Err(error) => return Finding::bad(SUBJECT, &error),
    };
    // A revoked key is not looked at any more.
    let trusted: Vec<_> = stored.iter().filter(|key| key.state.is_trusted()).collect();
    for RingKey { key, .. } in &trusted {
        if let Err(error) = SigningKey::open(key, secrets) {
            let text = format!("{} cannot be opened with this secret: {}", key.id, with_causes(&error));
            return Finding::new(SUBJECT, Condition::Bad, text);
        }
    }
    let text = match trusted.len() {
        0 => "none yet: the first start makes one".to_owned(),
        count => format!("{count}, all of which open with the secret"),
    };
    Finding::new(SUBJECT, Condition::Good, text)
}
