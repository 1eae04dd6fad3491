//! Buckets and known places in Redis.

use std::time::Duration;

use async_trait::async_trait;
use redis::{ScriptInvocation, Value};

use super::codec::{Answer, Entry};
use super::connection::At;
use super::errors::store_error;
use super::scripts;
use super::store::RedisTokenStore;
use super::time::{Time, lies_after, span};
use crate::domain::clock::Timestamp;
use crate::domain::rate_limit::{AccountMark, Bucket, Fill, Level, PlaceMark};
use crate::store::error::{StoreError, StoreResult};
use crate::store::rate_limits::{PLACE_MEMORY_DAYS, PLACES_MAX, RateLimitStore, Take};
use crate::store::vouching::BackendError;

const BUCKET: &str = "bucket";
const PLACES: &str = "places";

#[async_trait]
impl RateLimitStore for RedisTokenStore {
    async fn take(&self, bucket: &Bucket) -> StoreResult<Take> {
        let key = self.keys.bucket(bucket.id);
        let entry = Entry { place: BUCKET, key: &key };
        let answer = self.change_bucket(entry, bucket, "take").await?;
        let level = level(entry, bucket, &answer)?;
        match answer.verdict.as_str() {
            "admitted" => Ok(Take { admitted: true, level }),
            "refused" => Ok(Take { admitted: false, level }),
            _ => Err(unreadable(entry, &answer)),
        }
    }

    async fn give_back(&self, bucket: &Bucket) -> StoreResult<Level> {
        let key = self.keys.bucket(bucket.id);
        let entry = Entry { place: BUCKET, key: &key };
        let answer = self.change_bucket(entry, bucket, "give_back").await?;
        match answer.verdict.as_str() {
            "given_back" => level(entry, bucket, &answer),
            _ => Err(unreadable(entry, &answer)),
        }
    }

    async fn is_known_place(&self, account: AccountMark, place: PlaceMark) -> StoreResult<bool> {
        let key = self.keys.places(account);
        let entry = Entry { place: PLACES, key: &key };
        let mut pipeline = redis::pipe();
        pipeline.cmd("ZSCORE").arg(&key).arg(place.to_string()).cmd("TIME");
        let answer: Value = self
            .connection
            .run(At::key(&key), |mut redis| async move { pipeline.query_async(&mut redis).await })
            .await
            .map_err(|error| store_error(entry, error))?;
        let (deadline, shown): (Option<f64>, Time) = entry.convert(answer)?;
        Ok(deadline.is_some_and(|deadline| lies_after(deadline, self.time.shown(shown))))
    }

    async fn remember_place(&self, account: AccountMark, place: PlaceMark) -> StoreResult<()> {
        let key = self.keys.places(account);
        let entry = Entry { place: PLACES, key: &key };
        let mut script = scripts::REMEMBER_PLACE.prepare_invoke();
        script
            .key(&key)
            .arg(self.time.argument_of_any_time())
            .arg(place.to_string())
            .arg(span(Duration::from_secs(PLACE_MEMORY_DAYS * 24 * 60 * 60)))
            .arg(PLACES_MAX);
        let answer = self.count(entry, script).await?;
        match answer.verdict.as_str() {
            "remembered" => Ok(()),
            _ => Err(unreadable(entry, &answer)),
        }
    }
}

impl RedisTokenStore {
    /// Runs a script on whatever server answers: what was counted in data that went back is counted from
    /// there.
    pub(super) async fn count(
        &self,
        entry: Entry<'_>,
        script: ScriptInvocation<'static>,
    ) -> StoreResult<Answer> {
        match self.connection.call(At::key(entry.key), entry, script).await {
            Ok(answer) => Ok(answer),
            Err(BackendError::Store(error)) => Err(error),
            Err(BackendError::Unvouched) => Err(entry.corrupt("another server answers than was asked")),
        }
    }

    async fn change_bucket(&self, entry: Entry<'_>, bucket: &Bucket, what: &str) -> StoreResult<Answer> {
        let mut script = scripts::TAKE_FROM_BUCKET.prepare_invoke();
        script
            .key(entry.key)
            .arg(self.time.argument_of_any_time())
            .arg(bucket.rate.burst())
            .arg(span(bucket.rate.period()))
            .arg(what);
        let answer = self.count(entry, script).await?;
        if answer.verdict == "corrupt" { Err(unreadable(entry, &answer)) } else { Ok(answer) }
    }
}

/// What can be taken, by the units that the script answered.
fn level(entry: Entry<'_>, bucket: &Bucket, answer: &Answer) -> StoreResult<Level> {
    let units = answer.fields.first().and_then(|units| units.as_deref());
    Ok(Fill { units: entry.read("units", units)?, at: Timestamp::from_millis(0) }.level(bucket.rate))
}

fn unreadable(entry: Entry<'_>, answer: &Answer) -> StoreError {
    let field = answer.fields.get(1).and_then(|field| field.as_deref());
    match answer.verdict.as_str() {
        "corrupt" => entry.corrupt(format!("`{}` is missing or malformed", field.unwrap_or("a field"))),
        verdict => entry.corrupt(format!("unexpected verdict `{verdict}`")),
    }
}
