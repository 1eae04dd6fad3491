//! Values that all replicas share and nobody else may know, in SQL: one text for both engines.

use async_trait::async_trait;

use super::calls::Work;
use super::postgres::PostgresStore;
use super::sqlite::SqliteStore;
use crate::domain::clock::Timestamp;
use crate::domain::sealed_value::{SealedBytes, SealedValue};
use crate::store::error::{StoreError, StoreResult};
use crate::store::sealed_values::SealedValueStore;

/// A row: name, value, since when.
type Row = (String, Vec<u8>, i64);

fn value((name, sealed, sealed_at): Row) -> SealedValue {
    SealedValue { name, sealed: SealedBytes::new(sealed), sealed_at: Timestamp::from_millis(sealed_at) }
}

macro_rules! keep_sealed_values {
    ($store:ty) => {
        #[async_trait]
        impl SealedValueStore for $store {
            async fn list_sealed_values(&self) -> StoreResult<Vec<SealedValue>> {
                let select = sqlx::query_as("SELECT name, sealed, sealed_at FROM sealed_values ORDER BY name");
                let rows: Vec<Row> = self.on(Work::KeyReads, select.fetch_all(self.reader())).await?;
                Ok(rows.into_iter().map(value).collect())
            }

            async fn sealed_value(&self, candidate: &SealedValue) -> StoreResult<SealedValue> {
                let insert = sqlx::query(
                    "INSERT INTO sealed_values (name, sealed, sealed_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                )
                .bind(candidate.name.as_str())
                .bind(candidate.sealed.as_bytes())
                .bind(candidate.sealed_at.as_millis());
                self.on(Work::KeyWrites, insert.execute(self.writer())).await?;
                // Never the candidate itself: another replica may have been first.
                let kept = self.list_sealed_values().await?.into_iter().find(|value| value.name == candidate.name);
                kept.ok_or_else(|| StoreError::Corrupt {
                    place: "sealed_values",
                    key: candidate.name.clone(),
                    problem: "is not there right after it was written".to_owned(),
                })
            }

            async fn replace_sealed_value(&self, before: &SealedBytes, new: &SealedValue) -> StoreResult<bool> {
                let update = sqlx::query(
                    "UPDATE sealed_values SET sealed = $3, sealed_at = $4 WHERE name = $1 AND sealed = $2",
                )
                .bind(new.name.as_str())
                .bind(before.as_bytes())
                .bind(new.sealed.as_bytes())
                .bind(new.sealed_at.as_millis());
                Ok(self.on(Work::KeyWrites, update.execute(self.writer())).await?.rows_affected() == 1)
            }
        }
    };
}

keep_sealed_values!(PostgresStore);
keep_sealed_values!(SqliteStore);
