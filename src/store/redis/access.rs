//! Whether an access token still stands: one pipeline, no script.

use std::time::Duration;

use redis::Value;

use super::codec::{Entry, Fields};
use super::connection::Connection;
use super::keys::{self, Everybody, Keys, UserKeys};
use super::time::{StoreTime, Time};
use super::{CUTOFF, DENYLIST, SESSION, backend_error, time};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, UserId};
use crate::domain::journal::Journaled;
use crate::domain::partition::Partition;
use crate::store::denylist::{AccessStatus, AccessSubject};
use crate::store::error::StoreResult;
use crate::store::revocations::Known;
use crate::store::vouching::{BackendError, BackendResult, Vouched, VouchedPartition};

/// What Redis knows about an access token, read in one round trip.
pub(super) struct AccessFacts {
    denied_until: Vec<Option<f64>>,
    session: Fields,
    cutoff: Option<String>,
    incarnation: i64,
    now: Timestamp,
}

impl AccessFacts {
    /// The order matters, since other clients' scripts may run in between: a cut-off and a
    /// revocation are still seen by what is read after them, and nothing makes a dead token live.
    pub(super) async fn read(
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
        let value: Value = connection
            .run(Some(&by.server), |mut redis| async move { pipeline.query_async(&mut redis).await })
            .await
            .map_err(|error| backend_error(entry, error))?;
        let (denied_until, session, cutoff, standing, shown) = entry.convert(value)?;
        let now = time.decisive(shown)?;
        let incarnation = standing_incarnation(entry, by.of(Partition::of(token.user)), &standing)?;
        Ok(Self { denied_until, session, cutoff, incarnation, now })
    }

    /// A token stands only on what is positively there, and only in the incarnation that it was minted
    /// in; its session's version tells whether a security event has ended it. No clock decides but for
    /// its deadlines.
    pub(super) fn judge(&self, keys: &UserKeys, token: &AccessSubject) -> BackendResult<AccessStatus> {
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

/// Whether a machine's access token stands: nobody has revoked it, and it was minted in this incarnation.
pub(super) async fn machine_status(
    connection: &Connection,
    time: &StoreTime,
    by: &Vouched,
    keys: &Everybody,
    token: Jti,
    minted_in: i64,
) -> BackendResult<AccessStatus> {
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
    let value: Value = connection
        .run(Some(&by.server), |mut redis| async move { pipeline.query_async(&mut redis).await })
        .await
        .map_err(|error| backend_error(entry, error))?;
    let (denied_until, standing, shown): (Option<f64>, Fields, Time) = entry.convert(value)?;
    let now = time.decisive(shown)?;
    let incarnation = standing_incarnation(entry, by.of(Partition::EVERYBODY), &standing)?;
    Ok(if minted_in != incarnation {
        AccessStatus::StoreLost
    } else if denied_until.is_some_and(|until| lies_after(until, now)) {
        AccessStatus::Revoked
    } else {
        AccessStatus::Live
    })
}

/// Whether a session that is over, or a token, is denied until then, and its entry in the journal.
///
/// The denial is read before what is owed: who denies owes in the same step, so that a denial that was seen
/// and is not owed afterwards stands in the journal.
/// (model: OwedUntilJournaled)
pub(super) async fn known_revocation(
    connection: &Connection,
    by: &Vouched,
    keys: &Keys,
    revoked: &Journaled,
    until: Timestamp,
) -> BackendResult<Known> {
    let (key, member) = match *revoked {
        Journaled::Session { user, session } => (keys.of_user(user).denied(), keys::denied_session(session)),
        Journaled::Token { user, token } => (keys.of_user(user).denied(), keys::denied_token(token)),
        Journaled::MachineToken(token) => (keys.everybody().denied(), keys::denied_token(token)),
        Journaled::User { .. } => return Ok(Known::Nothing),
    };
    let entry = Entry { place: DENYLIST, key: &key };
    let partition = keys.partition(revoked.partition());
    let mut pipeline = redis::pipe();
    pipeline
        .cmd("ZSCORE")
        .arg(&key)
        .arg(member)
        .cmd("EXISTS")
        .arg(partition.owed())
        .cmd("HMGET")
        .arg(partition.state())
        .arg(&STANDING_FIELDS);
    let value: Value = connection
        .run(Some(&by.server), |mut redis| async move { pipeline.query_async(&mut redis).await })
        .await
        .map_err(|error| backend_error(entry, error))?;
    let (denied_until, owes, standing): (Option<f64>, bool, Fields) = entry.convert(value)?;
    standing_incarnation(entry, by.of(revoked.partition()), &standing)?;
    let is_denied = denied_until.is_some_and(|denied| reaches(denied, until));
    Ok(match (is_denied, owes) {
        (false, _) => Known::Nothing,
        (true, true) => Known::CarriedOut,
        (true, false) => Known::Journaled,
    })
}

/// The fields of a partition's state that tell whether its data is what was vouched for.
pub(super) const STANDING_FIELDS: [&str; 2] = ["vouching", "incarnation"];

/// The incarnation of a partition that is what was vouched for, out of the [`STANDING_FIELDS`].
/// (model: VouchingIsPassed)
pub(super) fn standing_incarnation(
    entry: Entry<'_>,
    by: VouchedPartition,
    standing: &Fields,
) -> BackendResult<i64> {
    let field = |position: usize| standing.get(position).and_then(|field| field.as_deref());
    if field(0) != Some(by.vouching.get().to_string().as_str()) {
        return Err(BackendError::Unvouched);
    }
    Ok(entry.read("incarnation", field(1))?)
}

/// The first version that counts after the user's last security event.
pub(super) fn first_version(keys: &UserKeys, cutoff: Option<&str>) -> StoreResult<Option<i64>> {
    let entry = Entry { place: CUTOFF, key: &keys.cutoff() };
    cutoff.map(|version| entry.read("version", Some(version))).transpose()
}

/// Whether a sorted set's score, in milliseconds, is `moment` or later. Both are far below 2^53, up to
/// which a double is exact.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since the epoch are exact in a double")]
fn reaches(score: f64, moment: Timestamp) -> bool {
    score >= time(moment) as f64
}

/// Whether a score lies after `now`.
pub(super) fn lies_after(score: f64, now: Timestamp) -> bool {
    reaches(score, now.after(Duration::from_millis(1)))
}
