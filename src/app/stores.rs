//! From the settings to the stores.

use std::sync::Arc;
use std::time::Duration;

use super::database::Database;
use super::deployment::{self, Deployment, OwnRedis};
use super::{Environment, StartError};
use crate::config::{RedisSettings, Settings};
use crate::domain::causes::with_causes;
use crate::domain::timekeeper::Timekeeper;
use crate::store::backend::TokenBackend;
use crate::store::embedded::{self, EmbeddedTime, EmbeddedTokenStore};
use crate::store::journaled::{JournaledTokenStore, Parts};
use crate::store::redis::{
    self, EvictionPolicy, Persistence, RedisOptions, RedisTls, RedisTokenStore, StoreTime,
};
use crate::store::revocations::RevocationStore;
use crate::store::unreachable::UnreachableTokenStore;
use crate::store::{RateLimitStore, TokenStore};

/// What the restart of a Redis does that has no log and takes no snapshots.
pub(super) const KEEPS_NOTHING: &str = "Redis keeps nothing on disk: its restart logs everybody out";

/// The same of one that takes snapshots alone. Without the log its data may be older than what was
/// acknowledged.
pub(super) const KEEPS_SNAPSHOTS: &str = "Redis keeps snapshots and no log: its restart goes back to the last one, \
    which logs out whoever came since; the journal in the database makes good what was revoked since";

/// The same of one that may not be asked whether it takes snapshots.
pub(super) const KEEPS_NO_LOG: &str = "Redis keeps no log: its restart logs out everybody, or whoever came since its \
    last snapshot; whether it takes any is not known, since it may not be asked (CONFIG GET)";

/// How long the first look at the token store is waited for.
const FIRST_LOOK: Duration = Duration::from_secs(2);

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

/// What is kept in the token store, by the part of the service that asks for it.
#[derive(Clone)]
pub struct TokenStores {
    /// Sessions, the denylist and reset tokens.
    pub token_store: Arc<dyn TokenStore>,
    /// What tells of revocations.
    pub revocation_feed: Arc<dyn RevocationStore>,
    /// What counts attempts.
    pub rate_limits: Arc<dyn RateLimitStore>,
    /// The same token store, to be kept whole.
    pub journaled: JournaledTokenStore,
    /// What is known of the clocks.
    pub keeper: Arc<Timekeeper>,
    /// The Redis behind them, where it is one.
    pub redis: Option<OwnRedis>,
}

/// Knows the clocks of a process with these settings.
fn timekeeper(settings: &Settings, environment: &Environment) -> Arc<Timekeeper> {
    Arc::new(Timekeeper::new(environment.clock.clone(), settings.tokens.lifetimes.leeway))
}

impl TokenStores {
    /// A backend that the journal of a database keeps whole.
    fn of<S>(
        store: Arc<S>,
        keeper: Arc<Timekeeper>,
        settings: &Settings,
        database: &Database,
        environment: &Environment,
    ) -> Self
    where
        S: TokenBackend + RateLimitStore,
    {
        let journaled = JournaledTokenStore::new(Parts {
            backend: store.clone(),
            journal: database.journal.clone(),
            users: database.users.clone(),
            keeper: keeper.clone(),
            random: environment.random.clone(),
            spans: (&settings.tokens.lifetimes).into(),
        });
        let shared = Arc::new(journaled.clone());
        let (token_store, revocation_feed) = (shared.clone(), shared);
        Self { token_store, revocation_feed, rate_limits: store, journaled, keeper, redis: None }
    }

    /// What stands in for a token store that belongs to another process: whatever is asked of it fails
    /// for that cause, and what it is to revoke stands in the journal.
    pub(super) fn unreachable(
        cause: embedded::OpenError,
        settings: &Settings,
        database: &Database,
        environment: &Environment,
    ) -> Self {
        let store = Arc::new(UnreachableTokenStore::new(cause));
        Self::of(store, timekeeper(settings, environment), settings, database, environment)
    }
}

/// Opens the token store that the settings name, and with it what tells of revocations and what counts
/// attempts. A Redis that does not answer yet is no mistake: what needs it answers 503 until it comes.
///
/// # Errors
/// [`StartError`] when the store cannot be opened, when Redis is set to forget keys, or when `database`
/// does not tell what the keys in Redis begin with.
pub async fn open_token_store(
    settings: &Settings,
    database: &Database,
    environment: &Environment,
) -> Result<TokenStores, StartError> {
    let keeper = timekeeper(settings, environment);
    match settings.redis_url() {
        None => {
            let path = settings.data_dir.join(TOKENS_FILE);
            let clock = environment.laid_over.token_store.as_ref().unwrap_or(&environment.clock).clone();
            let time = EmbeddedTime { clock, keeper: Some(keeper.clone()) };
            let store = EmbeddedTokenStore::open(&path, time, &*environment.random).await?;
            let stores = TokenStores::of(Arc::new(store), keeper, settings, database, environment);
            look_first(&stores.journaled).await;
            Ok(stores)
        }
        Some(url) => {
            let identifying = deployment::identify(settings, database, &*environment.random);
            let Deployment { id, mark, .. } = identifying.await.map_err(StartError::Deployment)?;
            let redis = &settings.redis;
            let store = RedisTokenStore::connect_lazy(url.expose(), &mark, redis_options(redis))?;
            inspect_redis(&store, redis.danger_allow_eviction, redis.wait_replicas).await?;
            let laid_over = environment.laid_over.token_store.clone();
            let store = Arc::new(store.with_time(StoreTime { keeper: Some(keeper.clone()), laid_over }));
            let stores = TokenStores::of(store.clone(), keeper, settings, database, environment);
            look_first(&stores.journaled).await;
            Ok(TokenStores { redis: Some(OwnRedis { store, id }), ..stores })
        }
    }
}

/// The first look at a store takes longer than a request waits for one: 65 partitions may begin, or be made
/// whole. What it does not bring about in this time goes on beside the requests.
async fn look_first(journaled: &JournaledTokenStore) {
    let journaled = journaled.clone();
    let look = tokio::spawn(async move { journaled.keep().await });
    match tokio::time::timeout(FIRST_LOOK, look).await {
        Ok(Ok(Ok(_))) => {}
        Ok(Ok(Err(error))) => {
            tracing::debug!(error = %with_causes(&error), "the token store cannot be looked at just now");
        }
        Ok(Err(_)) | Err(_) => tracing::debug!("the first look at the token store goes on"),
    }
}

/// What is to be said where revocations wait for more replicas than there are.
pub(super) fn lack_of_replicas(wanted: u32, replicas: u32) -> String {
    format!(
        "redis.wait_replicas is {wanted} and Redis has {replicas}: revocations are carried out and not acknowledged \
         (503 revocation_pending) until it has enough"
    )
}

/// How Redis is used by these settings.
pub(super) fn redis_options(settings: &RedisSettings) -> RedisOptions {
    let tls = &settings.tls;
    let identity = tls.cert_file.clone().zip(tls.key_file.clone());
    RedisOptions {
        tls: RedisTls { ca_file: tls.ca_file.clone(), identity },
        wait_replicas: settings.wait_replicas,
        ..RedisOptions::default()
    }
}

async fn inspect_redis(
    store: &RedisTokenStore,
    allow_eviction: bool,
    wait_replicas: u32,
) -> Result<(), StartError> {
    let inspection = match store.inspect().await {
        Ok(inspection) => inspection,
        Err(error) if redis::is_unfit(&error) => return Err(StartError::UnfitRedis(error)),
        Err(error) => {
            tracing::warn!(error = %with_causes(&error), "Redis does not answer yet");
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
    match inspection.persistence {
        Persistence::Nothing => tracing::warn!("{KEEPS_NOTHING} (appendonly yes)"),
        Persistence::Snapshots => tracing::warn!("{KEEPS_SNAPSHOTS} (appendonly yes)"),
        Persistence::NoLog => tracing::warn!("{KEEPS_NO_LOG} (appendonly yes)"),
        Persistence::Log | Persistence::Unknown => {}
    }
    if let Some(replicas) = inspection.replicas.filter(|replicas| *replicas < wait_replicas) {
        tracing::warn!("{}", lack_of_replicas(wait_replicas, replicas));
    }
    Ok(())
}
