//! Whose the keys in Redis are.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::causes::with_causes;
use crate::domain::deployment::Owner;
use crate::domain::ids::DeploymentId;
use crate::store::redis::RedisTokenStore;

/// How often a running service sees to it that its keys have an owner: emptying Redis takes that
/// away as well.
const CLAIM_EVERY: Duration = Duration::from_secs(60);

/// How soon it tries again when Redis does not answer.
const CLAIM_AGAIN: Duration = Duration::from_secs(5);

/// The Redis of a deployment, for what concerns no token.
#[derive(Clone, Debug)]
pub struct OwnRedis {
    pub(in crate::app) store: Arc<RedisTokenStore>,
    pub(in crate::app) id: DeploymentId,
}

impl OwnRedis {
    /// Sees to it that the keys are known as this deployment's, and warns when they are another's.
    /// `public_url` is `None` where it is another one after each start.
    pub(in crate::app) async fn keep_claiming(self, issuer: String, public_url: Option<String>) {
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

/// What is wrong about the owner of the keys, and what to do about it; `None` when it is this deployment.
pub(in crate::app) fn dispute(
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
