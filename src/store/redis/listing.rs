//! What lists show, of one user's sessions and of many users: two round trips, no script.

use std::cmp::Reverse;

use redis::{Pipeline, Value};
use uuid::Uuid;

use super::access::{STANDING_FIELDS, first_version, lies_after, standing_incarnation};
use super::codec::{self, Entry, Fields};
use super::connection::Connection;
use super::keys::{Keys, SESSION_FIELDS, UserKeys};
use super::time::StoreTime;
use super::{CUTOFF, SESSION, SESSIONS, backend_error};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::partition::Partition;
use crate::domain::session::Session;
use crate::store::backend::{BackendResult, Vouched};

/// The user's live sessions, newest first.
///
/// The set of the user's sessions says where to look, the sessions themselves say whether they live:
/// one that ended between the two round trips is not listed. The cut-off is read behind them, so that a
/// session that a security event has just ended is known by its version, and last of all whether the data is
/// what was vouched for.
/// (model: TokensOfTheirIncarnation, VersionsNotTimes, VouchingIsPassed)
pub(super) async fn live_sessions(
    connection: &Connection,
    time: &StoreTime,
    by: &Vouched,
    keys: &Keys,
    user: UserId,
) -> BackendResult<Vec<Session>> {
    let keys = keys.of_user(user);
    let incarnation = by.of(Partition::of(user)).incarnation;
    let (now, mut ids) = unended(connection, time, by, std::slice::from_ref(&keys)).await?;
    let ids = ids.pop().unwrap_or_default();
    let mut pipeline = redis::pipe();
    for id in &ids {
        pipeline.cmd("HMGET").arg(keys.session(*id)).arg(&SESSION_FIELDS);
    }
    pipeline.cmd("GET").arg(keys.cutoff());
    pipeline.cmd("HMGET").arg(keys.partition().state()).arg(&STANDING_FIELDS);
    let mut stored: Vec<Value> = ask(connection, by, pipeline).await?;
    // Also where there is none: whoever ends all of them would be told that it is done.
    let entry = Entry { place: SESSIONS, key: &keys.sessions() };
    let standing: Fields = entry.convert(stored.pop().unwrap_or(Value::Nil))?;
    standing_incarnation(entry, by.of(Partition::of(user)), &standing)?;
    let entry = Entry { place: CUTOFF, key: &keys.cutoff() };
    let cutoff: Option<String> = entry.convert(stored.pop().unwrap_or(Value::Nil))?;
    let first_version = first_version(&keys, cutoff.as_deref())?;

    let mut sessions = Vec::with_capacity(ids.len());
    for (id, fields) in ids.into_iter().zip(stored) {
        let fields: Fields = Entry { place: SESSION, key: &keys.session(id) }.convert(fields)?;
        if fields.iter().all(Option::is_none) {
            continue;
        }
        let session = codec::session(Entry { place: SESSION, key: &keys.session(id) }, id, &fields)?;
        let counts = session.incarnation == incarnation
            && first_version.is_none_or(|first| session.subject.security_version.get() >= first);
        if session.subject.user == user && counts && !session.is_expired(now) {
            sessions.push(session);
        }
    }
    sessions.sort_by_key(|session| Reverse((session.created_at, session.id)));
    Ok(sessions)
}

/// For each user, when the newest access token of their live sessions was minted. A session that a
/// cut-off has ended is no member of the user's set any more.
///
/// No vouching is compared: it is a time that administrators are shown, from which nobody concludes that
/// something stands or has ended.
pub(super) async fn newest_access_tokens(
    connection: &Connection,
    time: &StoreTime,
    by: &Vouched,
    keys: &Keys,
    users: &[UserId],
) -> BackendResult<Vec<Option<Timestamp>>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<UserKeys> = users.iter().map(|user| keys.of_user(*user)).collect();
    let (_, sessions) = unended(connection, time, by, &keys).await?;

    let mut times = redis::pipe();
    for (user, sessions) in keys.iter().zip(&sessions) {
        for session in sessions {
            times.cmd("HGET").arg(user.session(*session)).arg("n");
        }
    }
    let times: Vec<Option<i64>> =
        if times.is_empty() { Vec::new() } else { ask(connection, by, times).await? };
    let mut times = times.into_iter();
    let mut newest = |sessions: &Vec<SessionId>| times.by_ref().take(sessions.len()).flatten().max();
    Ok(sessions.iter().map(&mut newest).map(|time| time.map(Timestamp::from_millis)).collect())
}

/// What the clock shows, and for each user the sessions in their set whose idle deadline has not come.
async fn unended(
    connection: &Connection,
    time: &StoreTime,
    by: &Vouched,
    users: &[UserKeys],
) -> BackendResult<(Timestamp, Vec<Vec<SessionId>>)> {
    let mut pipeline = redis::pipe();
    for user in users {
        pipeline.cmd("ZRANGE").arg(user.sessions()).arg(0).arg(-1).arg("WITHSCORES");
    }
    pipeline.cmd("TIME");
    let entry = Entry { place: SESSIONS, key: "of one or several users" };
    let mut answers: Vec<Value> = ask(connection, by, pipeline).await?;
    let now = time.decisive(entry.convert(answers.pop().unwrap_or(Value::Nil))?)?;
    let mut sessions = Vec::with_capacity(answers.len());
    for members in answers {
        let members: Vec<(String, f64)> = entry.convert(members)?;
        let unended = members.iter().filter(|(_, deadline)| lies_after(*deadline, now));
        sessions.push(unended.filter_map(|(member, _)| session_of(member)).collect());
    }
    Ok((now, sessions))
}

/// The session of a member `<sid>:<security version>`.
fn session_of(member: &str) -> Option<SessionId> {
    let (id, _) = member.split_once(':')?;
    Uuid::parse_str(id).ok().map(SessionId::from)
}

async fn ask<T: redis::FromRedisValue>(
    connection: &Connection,
    by: &Vouched,
    pipeline: Pipeline,
) -> BackendResult<T> {
    let entry = Entry { place: SESSIONS, key: "of one or several users" };
    let answer: Value = connection
        .run(Some(&by.server), |mut redis| async move { pipeline.query_async(&mut redis).await })
        .await
        .map_err(|error| backend_error(entry, error))?;
    Ok(entry.convert(answer)?)
}
