//! The server's secrets, and what is kept under them.

use std::net::SocketAddr;

use super::database::Database;
use super::environment::Environment;
use super::error::StartError;
use super::token_stores;
use crate::config::{self, Secret, Settings};
use crate::crypto::keys::SigningKey;
use crate::crypto::rate_limit::MarkKey;
use crate::crypto::sealed::{SealedValueError, open_value, seal_value};
use crate::crypto::secret::{DerivedKeys, SecretError};
use crate::domain::sealed_value::{LIMIT_MARKS, SealedValue};
use crate::domain::secret_mark::Presence;
use crate::domain::user_filter::{UserFilter, UserOrder};
use crate::service::secret_rotation::{Rotation, RotationError, RotationOptions, SecretRotation, look};
use crate::store::{StoreError, StoreResult};

/// The value that limits are keyed by cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MarkKeyError {
    /// The database does not answer.
    #[error("the value that limits are keyed by cannot be loaded")]
    Store(#[from] StoreError),
    /// It is under none of the secrets.
    #[error(
        "the value that limits are keyed by cannot be read (`hallpass secret rotate --forget-limits` makes another one)"
    )]
    Sealed(#[from] SealedValueError),
}

/// Why the secret was not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateSecretError {
    /// The stores cannot be opened, or there is no secret.
    #[error(transparent)]
    Open(#[from] StartError),
    /// It was refused, or a store did not answer.
    #[error(transparent)]
    Rotation(#[from] RotationError),
}

/// The keys of the secret that mints and of those that the settings accept besides.
pub(super) fn derive(settings: &Settings, minting: &Secret) -> Result<DerivedKeys, SecretError> {
    let accepted = settings.secret_accepted.iter().map(|secret| secret.expose().as_bytes());
    DerivedKeys::derive_all(minting.expose().as_bytes(), accepted)
}

/// What limits are keyed by; made where there is none. A database that is in use already has counted and
/// remembered by a key that earlier builds derived from the secret: it goes on by that one.
pub(super) async fn open_mark_key(
    secrets: &DerivedKeys,
    database: &Database,
    environment: &Environment,
) -> Result<MarkKey, MarkKeyError> {
    let values = &database.sealed_values;
    let found = values.list_sealed_values().await?.into_iter().find(|value| value.name == LIMIT_MARKS);
    let kept = match found {
        Some(kept) => kept,
        None => {
            let bytes = first_mark_key(secrets, database, environment).await?;
            let sealed = seal_value(secrets, LIMIT_MARKS, &bytes, &*environment.random)?;
            let (name, sealed_at) = (LIMIT_MARKS.to_owned(), environment.clock.now());
            values.sealed_value(&SealedValue { name, sealed, sealed_at }).await?
        }
    };
    let (bytes, _) = open_value(secrets, LIMIT_MARKS, &kept.sealed)?;
    MarkKey::new(&bytes).ok_or_else(|| SealedValueError(LIMIT_MARKS.to_owned()).into())
}

async fn first_mark_key(
    secrets: &DerivedKeys,
    database: &Database,
    environment: &Environment,
) -> StoreResult<[u8; 32]> {
    let ring = database.signing_keys.list_signing_keys().await?;
    let anybody = database.users.list_users(&UserFilter::default(), UserOrder::Oldest, None, 1).await?;
    if ring.is_empty() && anybody.is_empty() {
        return Ok(MarkKey::make(&*environment.random));
    }
    let before = ring.iter().find_map(|key| SigningKey::sealed_under(&key.key, secrets).ok());
    let keys = secrets.all().find(|keys| Some(keys.mark()) == before);
    Ok(MarkKey::of_before(keys.unwrap_or(secrets)))
}

/// What this replica says of itself: the name of its host and the port, and which secrets it knows.
pub(super) fn presence(secrets: &DerivedKeys, bound: SocketAddr) -> Presence {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.as_deref().map(str::trim).filter(|host| !host.is_empty());
    let host = host.map_or_else(|| bound.ip().to_string(), str::to_owned);
    Presence::new(&format!("{host}:{}", bound.port()), secrets.mark(), secrets.accepted_marks())
}

/// How much that is kept encrypted is under none of the secrets; `None` where there is no secret.
pub(super) async fn count_unreadable(
    settings: &Settings,
    database: &Database,
    environment: &Environment,
) -> StoreResult<Option<usize>> {
    let secret = config::existing_secret(settings, &*environment.random).ok();
    let Some(secrets) = secret.and_then(|secret| derive(settings, &secret).ok()) else { return Ok(None) };
    let at_rest = look(&*database.signing_keys, &*database.sealed_values, &secrets).await?;
    Ok(Some(at_rest.unreadable.len()))
}

/// Encrypts anew, under the secret that mints, what the stores of these settings keep encrypted.
///
/// # Errors
/// [`RotateSecretError`].
pub async fn rotate_secret(
    settings: &Settings,
    options: RotationOptions,
    environment: &Environment,
) -> Result<(DerivedKeys, Rotation), RotateSecretError> {
    let secret = config::existing_secret(settings, &*environment.random).map_err(StartError::from)?;
    let secrets = derive(settings, &secret).map_err(StartError::from)?;
    let (database, _) = super::open_database(settings).await.map_err(StartError::from)?;
    let (tokens, _) = token_stores::open_beside_service(settings, &database, environment).await?;
    let rotation = SecretRotation {
        signing_keys: &*database.signing_keys,
        values: &*database.sealed_values,
        presence: &*tokens.presence,
        audit_log: &*database.audit_log,
        secrets: &secrets,
        random: &*environment.random,
        clock: &*environment.clock,
    };
    let done = rotation.rotate(options).await?;
    Ok((secrets, done))
}
