//! Whether an access token still stands: a user's by [`checks`](super::checks), a machine's by one pipeline as well.

use async_trait::async_trait;
use redis::Value;

use super::codec::{DENYLIST, Entry, Fields};
use super::connection::At;
use super::keys;
use super::standing::{STANDING_FIELDS, standing_incarnation};
use super::store::RedisTokenStore;
use super::time::{Time, lies_after};
use crate::domain::ids::Jti;
use crate::domain::partition::Partition;
use crate::store::denylist::{AccessStatus, AccessSubject, DenylistBackend};
use crate::store::vouching::{BackendResult, Vouched};

#[async_trait]
impl DenylistBackend for RedisTokenStore {
    async fn access_status(&self, by: &Vouched, token: &AccessSubject) -> BackendResult<AccessStatus> {
        self.check(by, token).await
    }

    /// Whether a machine's access token stands: nobody has revoked it, and it was minted in this incarnation.
    async fn machine_status(
        &self,
        by: &Vouched,
        token: Jti,
        incarnation: i64,
    ) -> BackendResult<AccessStatus> {
        let keys = self.keys.everybody();
        let key = keys.denied();
        let entry = Entry { place: DENYLIST, key: &key };
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("ZSCORE")
            .arg(&key)
            .arg(keys::denied_token(token))
            .cmd("HMGET")
            .arg(keys.partition().state())
            .arg(&STANDING_FIELDS)
            .cmd("TIME");
        let answers = self.connection.read(At::vouched(by, Partition::EVERYBODY), entry, pipeline).await?;
        let (denied_until, standing, shown): (Option<f64>, Fields, Time) =
            entry.convert(Value::Array(answers))?;
        let now = self.time.decisive(shown)?;
        let stands_in = standing_incarnation(entry, by.of(Partition::EVERYBODY), &standing)?;
        Ok(if incarnation != stands_in {
            AccessStatus::StoreLost
        } else if denied_until.is_some_and(|until| lies_after(until, now)) {
            AccessStatus::Revoked
        } else {
            AccessStatus::Live
        })
    }
}
