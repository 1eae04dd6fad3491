//! Which deployment this is, in SQL: one text for both engines.

use async_trait::async_trait;

use super::postgres::PostgresStore;
use super::rows;
use super::sqlite::SqliteStore;
use crate::domain::ids::DeploymentId;
use crate::store::deployment::DeploymentStore;
use crate::store::error::{StoreError, StoreResult};

macro_rules! keep_deployment {
    ($store:ty) => {
        #[async_trait]
        impl DeploymentStore for $store {
            async fn find_deployment_id(&self) -> StoreResult<Option<DeploymentId>> {
                let select = sqlx::query_scalar("SELECT uuid FROM deployment WHERE id = 1");
                let found: Vec<String> = self.reading(select.fetch_all(self.reader())).await?;
                found.first().map(|text| rows::deployment_id(text)).transpose()
            }

            async fn deployment_id(&self, candidate: DeploymentId) -> StoreResult<DeploymentId> {
                let insert =
                    sqlx::query("INSERT INTO deployment (id, uuid) VALUES (1, $1) ON CONFLICT DO NOTHING")
                        .bind(candidate.to_string());
                self.within(insert.execute(self.writer())).await?;
                // Never the candidate itself: another replica may have been first.
                self.find_deployment_id().await?.ok_or_else(|| StoreError::Corrupt {
                    place: "deployment",
                    key: "1".to_owned(),
                    problem: "is not there right after it was written".to_owned(),
                })
            }

            async fn replace_deployment_id(&self, new: DeploymentId) -> StoreResult<()> {
                let upsert = sqlx::query(
                    "INSERT INTO deployment (id, uuid) VALUES (1, $1)
                     ON CONFLICT (id) DO UPDATE SET uuid = excluded.uuid",
                )
                .bind(new.to_string());
                self.within(upsert.execute(self.writer())).await.map(drop)
            }
        }
    };
}

keep_deployment!(PostgresStore);
keep_deployment!(SqliteStore);
