//! Which deployment a database is that of, in SQL.

use async_trait::async_trait;

use super::error::StoreResult;
use crate::domain::ids::DeploymentId;

/// What keeps the id of the deployment. A copy of the database has the same.
#[async_trait]
pub trait DeploymentStore: Send + Sync + 'static {
    /// The id; `None` where there is none yet.
    async fn find_deployment_id(&self) -> StoreResult<Option<DeploymentId>>;

    /// The id, which is `candidate` where there was none: replicas that ask at once are all answered
    /// the same.
    async fn deployment_id(&self, candidate: DeploymentId) -> StoreResult<DeploymentId>;

    /// Makes this another deployment.
    async fn replace_deployment_id(&self, new: DeploymentId) -> StoreResult<()>;
}
