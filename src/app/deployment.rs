//! Which deployment this is, and what its keys in Redis begin with.

use super::database::Database;
use crate::config::Settings;
use crate::crypto::deployment::mark_of;
use crate::domain::deployment::DeploymentMark;
use crate::domain::ids::DeploymentId;
use crate::domain::random::Random;
use crate::store::StoreResult;

/// A deployment: one database, and all replicas that share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Its id, which a copy of its database has as well.
    pub id: DeploymentId,
    /// What its keys in Redis begin with.
    pub mark: DeploymentMark,
    /// Whether that is set (`redis.prefix`) and not made of the id.
    pub is_mark_set: bool,
}

impl Deployment {
    pub(super) fn new(settings: &Settings, id: DeploymentId) -> Self {
        let set = settings.redis_url().and(settings.redis.prefix.clone());
        Self { id, is_mark_set: set.is_some(), mark: set.unwrap_or_else(|| mark_of(id)) }
    }
}

/// Which deployment the database is that of. Its id is made where there is none.
///
/// # Errors
/// [`StoreError`](crate::store::StoreError).
pub async fn identify(
    settings: &Settings,
    database: &Database,
    random: &dyn Random,
) -> StoreResult<Deployment> {
    let id = database.deployment.deployment_id(DeploymentId::generate(random)).await?;
    Ok(Deployment::new(settings, id))
}

/// Makes the database that of another deployment.
///
/// # Errors
/// [`StoreError`](crate::store::StoreError).
pub async fn make_another(
    settings: &Settings,
    database: &Database,
    random: &dyn Random,
) -> StoreResult<Deployment> {
    let id = DeploymentId::generate(random);
    database.deployment.replace_deployment_id(id).await?;
    Ok(Deployment::new(settings, id))
}
