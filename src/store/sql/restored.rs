//! Accounts of a database that was restored: one text for both engines.

use async_trait::async_trait;

use super::postgres::PostgresStore;
use super::rows;
use super::sqlite::SqliteStore;
use crate::domain::clock::Timestamp;
use crate::domain::ids::UserId;
use crate::store::error::StoreResult;
use crate::store::restored::RestoredAccounts;

macro_rules! restore_accounts {
    ($store:ty) => {
        #[async_trait]
        impl RestoredAccounts for $store {
            /// To versions that are no smaller than the time (model: VersionsAreNew).
            async fn advance_security_versions(
                &self,
                after: Option<UserId>,
                limit: u32,
                now: Timestamp,
            ) -> StoreResult<Vec<UserId>> {
                let update = sqlx::query_scalar::<_, i64>(
                    "UPDATE users SET security_version =
                       CASE WHEN security_version >= $1 THEN security_version + 1 ELSE $1 END
                     WHERE id IN (SELECT id FROM users WHERE id > $2 ORDER BY id LIMIT $3)
                     RETURNING id",
                )
                .bind(now.as_millis())
                .bind(after.map_or(0, UserId::get))
                .bind(i64::from(limit));
                let moved = self.within(update.fetch_all(self.writer())).await?;
                let mut ids = moved.into_iter().map(rows::user_id).collect::<StoreResult<Vec<UserId>>>()?;
                // In which order they are answered, no engine promises.
                ids.sort_unstable();
                Ok(ids)
            }
        }
    };
}

restore_accounts!(PostgresStore);
restore_accounts!(SqliteStore);
