//! Redis as the token store: how it is opened, and whether it is fit to be used.

mod check;
mod clocks;
mod cluster;
mod owner;
mod sentinels;

use std::sync::Arc;

use async_trait::async_trait;

use super::{Backend, Opening, SUBJECT, TokenStores};
use crate::app::database::Database;
use crate::app::deployment::{self, Deployment};
use crate::app::error::StartError;
use crate::app::finding::Finding;
use crate::config::{RedisSettings, Settings};
use crate::domain::causes::with_causes;
use crate::domain::clock::Clock;
use crate::domain::secret_mark::Presence;
use crate::store::presence::PresenceStore;
use crate::store::redis::{
    self, EvictionPolicy, Persistence, RedisInspection, RedisOptions, RedisTls, RedisTokenStore, StoreTime,
};
use crate::store::{StoreError, StoreResult};

pub use self::owner::OwnRedis;

/// What the restart of a Redis does that has no log and takes no snapshots.
const KEEPS_NOTHING: &str = "Redis keeps nothing on disk: its restart logs everybody out";

/// The same of one that takes snapshots alone. Without the log its data may be older than what was
/// acknowledged.
const KEEPS_SNAPSHOTS: &str = "Redis keeps snapshots and no log: its restart goes back to the last one, \
    which logs out whoever came since; the journal in the database makes good what was revoked since";

/// The same of one that may not be asked whether it takes snapshots.
const KEEPS_NO_LOG: &str = "Redis keeps no log: its restart logs out everybody, or whoever came since its \
    last snapshot; whether it takes any is not known, since it may not be asked (CONFIG GET)";

/// The Redis that the settings name.
pub(super) struct Redis;

#[async_trait]
impl Backend for Redis {
    /// One that does not answer yet is no mistake: what needs it answers 503 until it comes.
    async fn open(&self, opening: Opening<'_>) -> Result<TokenStores, StartError> {
        let Opening { settings, database, environment, keeper, warns } = &opening;
        let url = settings.redis_url().ok_or(StartError::NoRedisUrl)?;
        let identifying = deployment::identify(settings, database, &*environment.random);
        let Deployment { id, mark, .. } = identifying.await.map_err(StartError::Deployment)?;
        let redis = &settings.redis;
        let store = RedisTokenStore::connect_lazy(url.expose(), &mark, options(redis))?;
        inspect(&store, redis, *warns).await?;
        let laid_over = environment.laid_over.token_store.clone();
        let store = Arc::new(store.with_time(StoreTime { keeper: Some(keeper.clone()), laid_over }));
        Ok(TokenStores { redis: Some(OwnRedis { store: store.clone(), id }), ..opening.keep_whole(store) })
    }

    async fn check(
        &self,
        settings: &Settings,
        database: Option<&Database>,
        clock: Arc<dyn Clock>,
    ) -> Vec<Finding> {
        match settings.redis_url() {
            Some(url) => check::check(url.expose(), settings, database, clock).await,
            None => vec![Finding::bad(SUBJECT, &StartError::NoRedisUrl)],
        }
    }

    async fn presences(
        &self,
        settings: &Settings,
        database: &Database,
    ) -> Option<StoreResult<Vec<Presence>>> {
        let url = settings.redis_url()?;
        let listing = async {
            // A database that has no id yet has had no replica.
            let Some(id) = database.deployment.find_deployment_id().await? else { return Ok(Vec::new()) };
            let mark = Deployment::new(settings, id).mark;
            match RedisTokenStore::connect_lazy(url.expose(), &mark, options(&settings.redis)) {
                Ok(store) => store.list_presences().await,
                Err(error) => Err(StoreError::Unavailable { store: "token store", source: error.into() }),
            }
        };
        Some(listing.await)
    }
}

/// What is to be said where revocations wait for more replicas than there are.
fn lack_of_replicas(wanted: u32, replicas: u32) -> String {
    format!(
        "redis.wait_replicas is {wanted} and Redis has {replicas}: revocations are carried out and not acknowledged \
         (503 revocation_pending) until it has enough"
    )
}

/// How Redis is used by these settings.
fn options(settings: &RedisSettings) -> RedisOptions {
    let tls = &settings.tls;
    let identity = tls.cert_file.clone().zip(tls.key_file.clone());
    RedisOptions {
        tls: RedisTls { ca_file: tls.ca_file.clone(), identity },
        wait_replicas: settings.wait_replicas,
        ..RedisOptions::default()
    }
}

/// Refuses a Redis that is unfit; where it `warns`, the log is told what is merely doubtful.
async fn inspect(store: &RedisTokenStore, settings: &RedisSettings, warns: bool) -> Result<(), StartError> {
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
    if let EvictionPolicy::Evicts(policy) = &inspection.eviction {
        if !settings.danger_allow_eviction {
            return Err(StartError::EvictingRedis { policy: policy.clone() });
        }
        if warns {
            tracing::warn!(policy, "Redis may throw sessions and revocations away");
        }
    }
    if warns {
        warn_of(&inspection, settings.wait_replicas);
    }
    Ok(())
}

fn warn_of(inspection: &RedisInspection, wait_replicas: u32) {
    match inspection.persistence {
        Persistence::Nothing => tracing::warn!("{KEEPS_NOTHING} (appendonly yes)"),
        Persistence::Snapshots => tracing::warn!("{KEEPS_SNAPSHOTS} (appendonly yes)"),
        Persistence::NoLog => tracing::warn!("{KEEPS_NO_LOG} (appendonly yes)"),
        Persistence::Log | Persistence::Unknown => {}
    }
    if let Some(replicas) = inspection.replicas.filter(|replicas| *replicas < wait_replicas) {
        tracing::warn!("{}", lack_of_replicas(wait_replicas, replicas));
    }
}
