//! From the settings to the stores.

use std::sync::Arc;

use super::StartError;
use crate::config::{Settings, TokenStoreSettings};
use crate::domain::clock::Clock;
use crate::store::clients::ClientRegistry;
use crate::store::embedded::{self, EmbeddedTokenStore};
use crate::store::feed::RevocationFeed;
use crate::store::redis::{EvictionPolicy, RedisOptions, RedisTokenStore};
use crate::store::signing_keys::SigningKeyStore;
use crate::store::sql::DatabaseError;
use crate::store::sql::postgres::{PostgresOptions, PostgresRepository};
use crate::store::sql::sqlite::{SqliteOptions, SqliteRepository};
use crate::store::unreachable::UnreachableTokenStore;
use crate::store::{AuditLog, RateLimitStore, Repository, TokenStore};

/// The file of the embedded token store, in the data folder.
pub(super) const TOKENS_FILE: &str = "tokens.db";

/// What keeps things, behind the traits.
#[derive(Clone)]
pub struct Stores {
    /// What lasts.
    pub database: Database,
    /// What is short-lived.
    pub tokens: TokenStores,
}

/// What is kept in SQL, by the part of the service that asks for it.
#[derive(Clone)]
pub struct Database {
    /// Accounts.
    pub repository: Arc<dyn Repository>,
    /// Signing keys.
    pub signing_keys: Arc<dyn SigningKeyStore>,
    /// OAuth clients.
    pub clients: Arc<dyn ClientRegistry>,
    /// What happened.
    pub audit_log: Arc<dyn AuditLog>,
}

impl Database {
    pub(super) fn of<R: Repository + SigningKeyStore + ClientRegistry + AuditLog>(repository: R) -> Self {
        let repository = Arc::new(repository);
        Self {
            repository: repository.clone(),
            signing_keys: repository.clone(),
            clients: repository.clone(),
            audit_log: repository,
        }
    }
}

/// What is kept in the token store, by the part of the service that asks for it.
#[derive(Clone)]
pub struct TokenStores {
    /// Sessions, the denylist and reset tokens.
    pub token_store: Arc<dyn TokenStore>,
    /// What tells of revocations.
    pub revocation_feed: Arc<dyn RevocationFeed>,
    /// What counts attempts.
    pub rate_limits: Arc<dyn RateLimitStore>,
}

impl TokenStores {
    fn of<S: TokenStore + RevocationFeed + RateLimitStore>(store: S) -> Self {
        let store = Arc::new(store);
        Self { token_store: store.clone(), revocation_feed: store.clone(), rate_limits: store }
    }

    /// What stands in for a token store that belongs to another process: whatever is asked of it fails
    /// for that cause.
    pub(super) fn unreachable(cause: embedded::OpenError) -> Self {
        Self::of(UnreachableTokenStore::new(cause))
    }
}

/// Opens the database that the settings name and brings its schema up to date; answers the names
/// of the steps that were taken as well.
///
/// # Errors
/// [`DatabaseError`].
pub async fn open_database(settings: &Settings) -> Result<(Database, Vec<String>), DatabaseError> {
    let url = settings.database.url.expose();
    if url.starts_with("postgres") {
        let repository = PostgresRepository::connect(url, PostgresOptions::default()).await?;
        let steps = repository.migrate().await?;
        Ok((Database::of(repository), steps))
    } else {
        let repository = SqliteRepository::connect(url, SqliteOptions::default()).await?;
        let steps = repository.migrate().await?;
        Ok((Database::of(repository), steps))
    }
}

/// Opens the token store that the settings name, and with it what tells of revocations and what counts
/// attempts. A Redis that does not answer yet is no mistake: what needs it answers 503 until it comes.
///
/// # Errors
/// [`StartError`] when the store cannot be opened, or when Redis is set to forget keys.
pub async fn open_token_store(settings: &Settings, clock: Arc<dyn Clock>) -> Result<TokenStores, StartError> {
    match &settings.token_store {
        TokenStoreSettings::Embedded => {
            let path = settings.data_dir.join(TOKENS_FILE);
            Ok(TokenStores::of(EmbeddedTokenStore::open(&path, clock).await?))
        }
        TokenStoreSettings::Redis { url, danger_allow_eviction } => {
            let store = RedisTokenStore::connect_lazy(url.expose(), RedisOptions::default())?;
            inspect_redis(&store, *danger_allow_eviction).await?;
            Ok(TokenStores::of(store))
        }
    }
}

async fn inspect_redis(store: &RedisTokenStore, allow_eviction: bool) -> Result<(), StartError> {
    let inspection = match store.inspect().await {
        Ok(inspection) => inspection,
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "Redis does not answer yet");
            return Ok(());
        }
    };
    if inspection.is_too_old() {
        return Err(StartError::OldRedis);
    }
    if let EvictionPolicy::Evicts(policy) = inspection.eviction {
        if !allow_eviction {
            return Err(StartError::EvictingRedis { policy });
        }
        tracing::warn!(policy, "Redis may throw sessions and revocations away");
    }
    if inspection.append_only == Some(false) {
        tracing::warn!("Redis keeps nothing on disk: its restart logs everybody out (appendonly yes)");
    }
    Ok(())
}
