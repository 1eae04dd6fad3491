//! Whether an access token still stands: one pipeline, no script, and in an order in which a revocation that comes
//! in between is seen.

use async_trait::async_trait;
use redis::Value;

use super::codec::{DENYLIST, Entry, Fields, SESSION, first_version};
use super::connection::{At, Connection};
use super::keys::{self, UserKeys};
use super::standing::{STANDING_FIELDS, standing_incarnation};
use super::store::RedisTokenStore;
use super::time::{StoreTime, Time, lies_after};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, UserId};
use crate::domain::partition::Partition;
use crate::store::denylist::{AccessStatus, AccessSubject, DenylistBackend};
use crate::store::error::StoreResult;
use crate::store::vouching::{BackendResult, Vouched};

#[async_trait]
impl DenylistBackend for RedisTokenStore {
    async fn access_status(&self, by: &Vouched, token: &AccessSubject) -> BackendResult<AccessStatus> {
        let keys = self.keys.of_user(token.user);
        AccessFacts::read(&self.connection, &self.time, by, &keys, token).await?.judge(&keys, token)
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

/// What Redis knows about an access token, read in one round trip.
struct AccessFacts {
    denied_until: Vec<Option<f64>>,
    session: Fields,
    cutoff: Option<String>,
    incarnation: i64,
    now: Timestamp,
}

impl AccessFacts {
    /// The order matters, since other clients' scripts may run in between: a cut-off and a
    /// revocation are still seen by what is read after them, and nothing makes a dead token live.
    async fn read(
        connection: &Connection,
        time: &StoreTime,
        by: &Vouched,
        keys: &UserKeys,
        token: &AccessSubject,
    ) -> BackendResult<Self> {
        let (key, denied) = (keys.session(token.session), keys.denied());
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("ZMSCORE")
            .arg(&denied)
            .arg(keys::denied_session(token.session))
            .arg(keys::denied_token(token.token))
            .cmd("HMGET")
            .arg(&key)
            .arg(&["u", "v", "i", "a", "b"])
            .cmd("GET")
            .arg(keys.cutoff())
            .cmd("HMGET")
            .arg(keys.partition().state())
            .arg(&STANDING_FIELDS)
            // Last: a clock that was set ahead may have ended what was read before.
            .cmd("TIME");
        let entry = Entry { place: SESSION, key: &key };
        let answers = connection.read(At::vouched(by, Partition::of(token.user)), entry, pipeline).await?;
        let (denied_until, session, cutoff, standing, shown) = entry.convert(Value::Array(answers))?;
        let now = time.decisive(shown)?;
        let incarnation = standing_incarnation(entry, by.of(Partition::of(token.user)), &standing)?;
        Ok(Self { denied_until, session, cutoff, incarnation, now })
    }

    /// A token stands only on what is positively there, and only in the incarnation that it was minted
    /// in; its session's version tells whether a security event has ended it. No clock decides but for
    /// its deadlines.
    fn judge(&self, keys: &UserKeys, token: &AccessSubject) -> BackendResult<AccessStatus> {
        if token.incarnation != self.incarnation {
            return Ok(AccessStatus::StoreLost);
        }
        let denied = self.denied_until.iter().flatten().any(|until| lies_after(*until, self.now));
        let stands = !denied && self.session_stands(keys, token)?;
        Ok(if stands { AccessStatus::Live } else { AccessStatus::Revoked })
    }

    /// Whether the token's session is the user's, has not ended, and counts after the cut-off.
    /// (model: TokensOfTheirIncarnation, VersionsNotTimes)
    fn session_stands(&self, keys: &UserKeys, token: &AccessSubject) -> StoreResult<bool> {
        if self.session.iter().all(Option::is_none) {
            return Ok(false);
        }
        let entry = Entry { place: SESSION, key: &keys.session(token.session) };
        let [user, version, idle, absolute, incarnation] = self.session.as_slice() else {
            return Err(entry.corrupt("is not what was stored"));
        };
        let user: UserId = entry.read("u", user.as_deref())?;
        let version: i64 = entry.read("v", version.as_deref())?;
        let idle = Timestamp::from_millis(entry.read("i", idle.as_deref())?);
        let absolute = Timestamp::from_millis(entry.read("a", absolute.as_deref())?);
        let incarnation: i64 = entry.read("b", incarnation.as_deref())?;
        let counts = incarnation == self.incarnation
            && first_version(keys, self.cutoff.as_deref())?.is_none_or(|first| version >= first);
        Ok(user == token.user && counts && self.now < idle && self.now < absolute)
    }
}
