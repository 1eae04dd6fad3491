//! Which deployment this is, what its keys in Redis begin with, and whether they are its own.

use std::sync::Arc;
use std::time::Duration;

use super::database::Database;
use crate::config::Settings;
use crate::crypto::deployment::mark_of;
use crate::domain::causes::with_causes;
use crate::domain::deployment::{DeploymentMark, Owner};
use crate::domain::ids::DeploymentId;
use crate::domain::random::Random;
use crate::store::StoreResult;
use crate::store::redis::RedisTokenStore;

/// How often a running service sees to it that its keys have an owner: whoever has emptied Redis has
/// taken that away as well.
const CLAIM_EVERY: Duration = Duration::from_secs(60);

/// How soon it tries again when Redis does not answer.
const CLAIM_AGAIN: Duration = Duration::from_secs(5);

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

/// The Redis of a deployment, for what concerns no token.
#[derive(Clone, Debug)]
pub struct OwnRedis {
    pub(super) store: Arc<RedisTokenStore>,
    pub(super) id: DeploymentId,
}

impl OwnRedis {
    /// Sees to it that the keys are known as this deployment's, and warns when they are another's.
    /// `public_url` is `None` where it is another one after each start.
    pub(super) async fn keep_claiming(self, issuer: String, public_url: Option<String>) {
        let owner = Owner { deployment: self.id, public_url: issuer };
        let mut warned = None;
        loop {
            let pause = match self.store.claim(&owner).await {
                Ok(found) => {
                    let dispute = dispute(&found, self.id, public_url.as_deref(), &self.store.owner_key());
                    if let Some(dispute) = dispute.as_ref().filter(|_| warned != dispute) {
                        tracing::warn!("{dispute}");
                    }
                    warned = dispute;
                    CLAIM_EVERY
                }
                Err(error) => {
                    tracing::debug!(error = %with_causes(&error), "the keys in Redis are not known as this deployment's yet");
                    CLAIM_AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
}

/// What is wrong about the owner of the keys, and what mends it; `None` when it is this deployment.
pub(super) fn dispute(
    found: &Owner,
    id: DeploymentId,
    public_url: Option<&str>,
    key: &str,
) -> Option<String> {
    let theirs = &found.public_url;
    if found.deployment != id {
        let other = found.deployment;
        return Some(format!(
            "the keys in Redis belong to another deployment, {other} at {theirs}: both end each other's sessions; \
             set another `redis.prefix` for one of them (if {other} was this one before `hallpass deployment \
             new-id`, delete the key {key} instead)"
        ));
    }
    let ours = public_url.filter(|ours| ours != theirs)?;
    Some(format!(
        "the keys in Redis belong to the deployment at {theirs}, and this one, at {ours}, has the same id: if this \
         database is a copy of that one's, both end each other's sessions; run `hallpass deployment new-id` here or \
         set `redis.prefix` (if it is this deployment's public_url that has changed, delete the key {key} instead)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> DeploymentId {
        uuid::Uuid::from_u128(number).into()
    }

    #[test]
    fn keys_are_ones_own_by_the_id_and_the_public_url() {
        let owner = Owner { deployment: id(1), public_url: "https://a.example".to_owned() };
        let judged = |number, url| dispute(&owner, id(number), url, "prod:{all}:owner");
        assert_eq!(judged(1, Some("https://a.example")), None);
        assert_eq!(judged(1, None), None, "nobody says what it is");
        let copy = judged(1, Some("https://b.example")).expect("a copy");
        for part in ["https://a.example", "https://b.example", "redis.prefix", "new-id", "prod:{all}:owner"] {
            assert!(copy.contains(part), "{part} is missing in {copy}");
        }
        for url in [Some("https://a.example"), Some("https://b.example"), None] {
            let other = judged(2, url).expect("another deployment");
            assert!(other.contains("redis.prefix") && other.contains(&id(1).to_string()), "{other}");
        }
    }
}
