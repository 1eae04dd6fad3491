//! What an administrator's list shows of many users: two round trips, no script.

use redis::{Pipeline, Value};
use uuid::Uuid;

use super::codec::Entry;
use super::connection::Connection;
use super::keys::UserKeys;
use super::{SESSIONS, store_error, time};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{SessionId, UserId};
use crate::store::StoreResult;

/// For each user, when the newest access token of their live sessions was minted. A session that a
/// cut-off has ended is no member of the user's set any more.
pub(super) async fn newest_access_tokens(
    connection: &Connection,
    users: &[UserId],
    now: Timestamp,
) -> StoreResult<Vec<Option<Timestamp>>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<UserKeys> = users.iter().map(|user| UserKeys::of(*user)).collect();
    let mut members = redis::pipe();
    for user in &keys {
        members.cmd("ZRANGEBYSCORE").arg(user.sessions()).arg(format!("({}", time(now))).arg("+inf");
    }
    let members: Vec<Vec<String>> = ask(connection, members).await?;
    let sessions: Vec<Vec<SessionId>> = members
        .iter()
        .map(|members| members.iter().filter_map(|member| session_of(member)).collect())
        .collect();

    let mut times = redis::pipe();
    for (user, sessions) in keys.iter().zip(&sessions) {
        for session in sessions {
            times.cmd("HGET").arg(user.session(*session)).arg("n");
        }
    }
    let times: Vec<Option<i64>> = if times.is_empty() { Vec::new() } else { ask(connection, times).await? };
    let mut times = times.into_iter();
    let mut newest = |sessions: &Vec<SessionId>| times.by_ref().take(sessions.len()).flatten().max();
    Ok(sessions.iter().map(&mut newest).map(|time| time.map(Timestamp::from_millis)).collect())
}

/// The session of a member `<sid>:<security version>`.
fn session_of(member: &str) -> Option<SessionId> {
    let (id, _) = member.split_once(':')?;
    Uuid::parse_str(id).ok().map(SessionId::from)
}

async fn ask<T: redis::FromRedisValue>(connection: &Connection, pipeline: Pipeline) -> StoreResult<T> {
    let entry = Entry { place: SESSIONS, key: "of several users" };
    let answer: Value = connection
        .run(|mut redis| async move { pipeline.query_async(&mut redis).await })
        .await
        .map_err(|error| store_error(entry, error))?;
    entry.convert(answer)
}
