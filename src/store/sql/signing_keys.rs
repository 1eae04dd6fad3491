//! The key ring, in SQL: one text for both engines.

use async_trait::async_trait;
use sqlx::query::Query;
use sqlx::{Database, Postgres, Sqlite};

use super::calls::Work;
use super::failure::Failure;
use super::postgres::PostgresStore;
use super::rows::{self, ring_key_columns};
use super::sqlite::SqliteStore;
use crate::domain::clock::Timestamp;
use crate::domain::ids::KeyId;
use crate::domain::signing_key::{RingKey, SealedKey, StoredSigningKey};
use crate::store::error::StoreResult;
use crate::store::signing_keys::{AddNext, SigningKeyStore};

macro_rules! keep_signing_keys {
    ($store:ty, $database:ty) => {
        #[async_trait]
        impl SigningKeyStore for $store {
            async fn list_signing_keys(&self) -> StoreResult<Vec<RingKey>> {
                let select = sqlx::query(concat!(
                    "SELECT ",
                    ring_key_columns!(),
                    " FROM signing_keys ORDER BY created_at, kid"
                ));
                let keys = self.on(Work::KeyReads, select.fetch_all(self.reader())).await?;
                keys.iter().map(rows::ring_key).collect()
            }

            async fn insert_first_signing_key(&self, key: &StoredSigningKey) -> StoreResult<bool> {
                let insert = sqlx::query(
                    "INSERT INTO signing_keys (kid, algorithm, sealed, created_at, activated_at, state)
                     SELECT $1, $2, $3, $4, $4, 'active'
                     WHERE NOT EXISTS (SELECT 1 FROM signing_keys WHERE state IN ('active', 'next'))
                     ON CONFLICT DO NOTHING",
                )
                .bind(key.id.as_str())
                .bind(key.algorithm.as_str())
                .bind(key.sealed.as_bytes())
                .bind(key.created_at.as_millis());
                self.change_ring(insert).await
            }

            async fn insert_next_signing_key(&self, key: &StoredSigningKey, condition: AddNext) -> StoreResult<bool> {
                let insert = sqlx::query(
                    "INSERT INTO signing_keys (kid, algorithm, sealed, created_at, state)
                     SELECT $1, $2, $3, $4, 'next'
                     WHERE $5 OR NOT EXISTS (SELECT 1 FROM signing_keys WHERE state = 'next' AND algorithm = $2)
                     ON CONFLICT DO NOTHING",
                )
                .bind(key.id.as_str())
                .bind(key.algorithm.as_str())
                .bind(key.sealed.as_bytes())
                .bind(key.created_at.as_millis())
                .bind(condition == AddNext::Anyway);
                self.change_ring(insert).await
            }

            async fn promote_signing_key(
                &self,
                next: &KeyId,
                instead_of: Option<&KeyId>,
                now: Timestamp,
            ) -> StoreResult<bool> {
                self.on(Work::KeyWrites, async {
                    let mut transaction = self.begin_ring_change().await?;
                    // Where another key signs by now this finds nothing, and the other is in the way below.
                    let retire = sqlx::query(
                        "UPDATE signing_keys SET state = 'retiring', retiring_at = $2 WHERE kid = $1 AND state = 'active'",
                    )
                    .bind(instead_of.map(KeyId::as_str))
                    .bind(now.as_millis());
                    let retired = retire.execute(transaction.as_mut()).await?.rows_affected();
                    let promote = sqlx::query(
                        "UPDATE signing_keys SET state = 'active', activated_at = $2
                         WHERE kid = $1 AND state = 'next'
                           AND NOT EXISTS (SELECT 1 FROM signing_keys WHERE state = 'active')",
                    )
                    .bind(next.as_str())
                    .bind(now.as_millis());
                    let promoted = promote.execute(transaction.as_mut()).await?.rows_affected();
                    let is_done = promoted == 1 && retired == u64::from(instead_of.is_some());
                    if is_done {
                        transaction.commit().await?;
                    }
                    Ok::<_, Failure>(is_done)
                })
                .await
            }

            async fn retire_signing_key(&self, key: &KeyId, now: Timestamp) -> StoreResult<bool> {
                let update = sqlx::query(
                    "UPDATE signing_keys SET state = 'retired', retired_at = $2
                     WHERE kid = $1 AND state IN ('next', 'retiring')",
                )
                .bind(key.as_str())
                .bind(now.as_millis());
                self.change_ring(update).await
            }

            async fn revoke_signing_key(&self, key: &KeyId, now: Timestamp) -> StoreResult<bool> {
                let update = sqlx::query(
                    "UPDATE signing_keys SET state = 'revoked', revoked_at = $2 WHERE kid = $1 AND state <> 'revoked'",
                )
                .bind(key.as_str())
                .bind(now.as_millis());
                self.change_ring(update).await
            }

            async fn note_signing_key_announced(&self, key: &KeyId, now: Timestamp) -> StoreResult<()> {
                let update = sqlx::query(
                    "UPDATE signing_keys SET announced_at = $2
                     WHERE kid = $1 AND state = 'revoked' AND (announced_at IS NULL OR announced_at < $2)",
                )
                .bind(key.as_str())
                .bind(now.as_millis());
                self.change_ring(update).await.map(drop)
            }

            async fn replace_sealed_key(&self, key: &KeyId, before: &SealedKey, new: &SealedKey) -> StoreResult<bool> {
                let update = sqlx::query("UPDATE signing_keys SET sealed = $3 WHERE kid = $1 AND sealed = $2")
                    .bind(key.as_str())
                    .bind(before.as_bytes())
                    .bind(new.as_bytes());
                self.change_ring(update).await
            }

            async fn forget_signing_key(&self, key: &KeyId) -> StoreResult<bool> {
                let delete =
                    sqlx::query("DELETE FROM signing_keys WHERE kid = $1 AND state = 'retired'").bind(key.as_str());
                self.change_ring(delete).await
            }
        }

        impl $store {
            /// Makes a change by one statement; answers whether it changed anything.
            async fn change_ring(
                &self,
                statement: Query<'_, $database, <$database as Database>::Arguments>,
            ) -> StoreResult<bool> {
                self.on(Work::KeyWrites, async {
                    let mut transaction = self.begin_ring_change().await?;
                    let changed = statement.execute(transaction.as_mut()).await?.rows_affected() > 0;
                    transaction.commit().await?;
                    Ok::<_, sqlx::Error>(changed)
                })
                .await
            }
        }
    };
}

keep_signing_keys!(PostgresStore, Postgres);
keep_signing_keys!(SqliteStore, Sqlite);
