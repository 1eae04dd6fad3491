//! Whether an access token still stands: one pipeline, no script.

use redis::Value;

use super::codec::{Entry, Fields};
use super::connection::Connection;
use super::keys::{self, UserKeys};
use super::{CUTOFF, SESSION, store_error, time};
use crate::domain::clock::Timestamp;
use crate::domain::ids::UserId;
use crate::store::{AccessStatus, AccessSubject, StoreResult};

/// The fields of a cut-off.
pub(super) const CUTOFF_FIELDS: [&str; 2] = ["version", "not_before"];

/// What Redis knows about an access token, read in one round trip.
pub(super) struct AccessFacts {
    denied_until: Vec<Option<f64>>,
    session: Fields,
    cutoff: Fields,
    incarnation: Option<String>,
}

impl AccessFacts {
    /// The order matters, since other clients' scripts may run in between: a cut-off and a
    /// revocation are still seen by what is read after them, and nothing makes a dead token live.
    pub(super) async fn read(
        connection: &Connection,
        keys: &UserKeys,
        token: &AccessSubject,
    ) -> StoreResult<Self> {
        let (key, denied) = (keys.session(token.session), keys.denied());
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("ZMSCORE")
            .arg(&denied)
            .arg(keys::denied_session(token.session))
            .arg(keys::denied_token(token.token))
            .cmd("HMGET")
            .arg(&key)
            .arg(&["u", "v", "i", "a"])
            .cmd("HMGET")
            .arg(keys.cutoff())
            .arg(&CUTOFF_FIELDS)
            .cmd("GET")
            .arg(keys.incarnation());
        let entry = Entry { place: SESSION, key: &key };
        let value: Value = connection
            .run(|mut redis| async move { pipeline.query_async(&mut redis).await })
            .await
            .map_err(|error| store_error(entry, error))?;
        let (denied_until, session, cutoff, incarnation) = entry.convert(value)?;
        Ok(Self { denied_until, session, cutoff, incarnation })
    }

    /// A token stands only on what is positively there; its session's version tells whether a
    /// security event has ended it, so `iat` is compared with the incarnation alone.
    pub(super) fn judge(
        &self,
        keys: &UserKeys,
        token: &AccessSubject,
        now: Timestamp,
    ) -> StoreResult<AccessStatus> {
        let Some(since) = &self.incarnation else {
            return Ok(AccessStatus::StoreLost);
        };
        let entry = Entry { place: "incarnation", key: &keys.incarnation() };
        let since = Timestamp::from_millis(entry.read("since", Some(since))?);
        if token.issued_at.as_secs() < since.as_secs() {
            return Ok(AccessStatus::StoreLost);
        }
        let denied = self.denied_until.iter().flatten().any(|until| lies_after(*until, now));
        let stands = !denied && self.session_stands(keys, token, now)?;
        Ok(if stands { AccessStatus::Live } else { AccessStatus::Revoked })
    }

    /// Whether the token's session is the user's, has not ended, and counts after the cut-off.
    fn session_stands(&self, keys: &UserKeys, token: &AccessSubject, now: Timestamp) -> StoreResult<bool> {
        if self.session.iter().all(Option::is_none) {
            return Ok(false);
        }
        let entry = Entry { place: SESSION, key: &keys.session(token.session) };
        let [user, version, idle, absolute] = self.session.as_slice() else {
            return Err(entry.corrupt("is not what was stored"));
        };
        let user: UserId = entry.read("u", user.as_deref())?;
        let version: i64 = entry.read("v", version.as_deref())?;
        let idle = Timestamp::from_millis(entry.read("i", idle.as_deref())?);
        let absolute = Timestamp::from_millis(entry.read("a", absolute.as_deref())?);
        let counts = first_version(keys, &self.cutoff)?.is_none_or(|first| version >= first);
        Ok(user == token.user && counts && now < idle && now < absolute)
    }
}

/// The first version that counts after the user's last security event, out of the [`CUTOFF_FIELDS`].
pub(super) fn first_version(keys: &UserKeys, cutoff: &Fields) -> StoreResult<Option<i64>> {
    if cutoff.iter().all(Option::is_none) {
        return Ok(None);
    }
    let entry = Entry { place: CUTOFF, key: &keys.cutoff() };
    let version = cutoff.first().and_then(|version| version.as_deref());
    entry.read("version", version).map(Some)
}

/// Whether a sorted set's score, in milliseconds, lies after `now`. Both are far below 2^53, up to
/// which a double is exact.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since the epoch are exact in a double")]
fn lies_after(score: f64, now: Timestamp) -> bool {
    score > time(now) as f64
}
