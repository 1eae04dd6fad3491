//! Buckets in memory, known places in the file.

use std::time::Duration;

use async_trait::async_trait;

use super::fault::bounded;
use super::store::EmbeddedTokenStore;
use crate::domain::rate_limit::{AccountMark, Bucket, Level, PlaceMark};
use crate::store::error::StoreResult;
use crate::store::rate_limits::{PLACE_MEMORY_DAYS, PLACES_MAX, RateLimitStore, Take};

#[async_trait]
impl RateLimitStore for EmbeddedTokenStore {
    async fn take(&self, bucket: &Bucket) -> StoreResult<Take> {
        let (fill, admitted) = self.buckets.take(bucket, self.time.shown());
        Ok(Take { admitted, level: fill.level(bucket.rate) })
    }

    async fn give_back(&self, bucket: &Bucket) -> StoreResult<Level> {
        Ok(self.buckets.give_back(bucket, self.time.shown()).level(bucket.rate))
    }

    async fn is_known_place(&self, account: AccountMark, place: PlaceMark) -> StoreResult<bool> {
        Ok(bounded(async {
            let known = sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM places WHERE account = ?1 AND place = ?2 AND expires_at > ?3)",
            )
            .bind(account.as_bytes().as_slice())
            .bind(place.as_bytes().as_slice())
            .bind(self.time.shown().as_millis())
            .fetch_one(self.reader())
            .await?;
            Ok(known)
        })
        .await?)
    }

    async fn remember_place(&self, account: AccountMark, place: PlaceMark) -> StoreResult<()> {
        let expires_at = self.time.shown().after(Duration::from_secs(PLACE_MEMORY_DAYS * 24 * 60 * 60));
        bounded(async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "INSERT INTO places (account, place, expires_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET expires_at = max(expires_at, excluded.expires_at)",
            )
            .bind(account.as_bytes().as_slice())
            .bind(place.as_bytes().as_slice())
            .bind(expires_at.as_millis())
            .execute(&mut *tx)
            .await?;
            sqlx::query(
                "DELETE FROM places WHERE account = ?1 AND place NOT IN (
                   SELECT place FROM places WHERE account = ?1 ORDER BY expires_at DESC, place DESC LIMIT ?2)",
            )
            .bind(account.as_bytes().as_slice())
            .bind(PLACES_MAX)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(())
        })
        .await?;
        self.purge.expect(expires_at);
        Ok(())
    }
}
