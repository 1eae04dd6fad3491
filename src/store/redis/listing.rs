//! What lists show, of one user's sessions and of many users: round trips in slices, no script. However many
//! sessions a user has, Redis serves others in between.

use std::cmp::Reverse;

use futures_util::future::try_join_all;
use redis::{Cmd, Pipeline, Value};
use uuid::Uuid;

use super::codec::{self, CUTOFF, Entry, Fields, Hash, SESSION, SESSIONS, first_version};
use super::connection::{At, Connection};
use super::errors::backend_error;
use super::keys::{Keys, UserKeys};
use super::standing::{STANDING_FIELDS, standing_incarnation};
use super::store::RedisTokenStore;
use super::time::{StoreTime, Time, lies_after};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::partition::Partition;
use crate::domain::session::Session;
use crate::domain::session_cap::{SessionCursor, SessionUse};
use crate::domain::user::SecurityVersion;
use crate::store::vouching::{BackendError, BackendResult, Vouched};

/// How many sessions are read by one call, or a few more.
const SLICE: usize = 500;

/// What lists are read by.
#[derive(Clone, Copy)]
pub(super) struct Lists<'a> {
    pub(super) connection: &'a Connection,
    pub(super) time: &'a StoreTime,
    pub(super) by: &'a Vouched,
    pub(super) keys: &'a Keys,
}

impl RedisTokenStore {
    /// What lists are read by.
    pub(super) fn lists<'a>(&'a self, by: &'a Vouched) -> Lists<'a> {
        Lists { connection: &self.connection, time: &self.time, by, keys: &self.keys }
    }
}

/// At most `limit` of the user's live sessions, newest first, from the one behind `after` on.
pub(super) async fn page(
    lists: &Lists<'_>,
    user: UserId,
    after: Option<SessionCursor>,
    limit: u32,
) -> BackendResult<Vec<Session>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut page: Vec<Session> = Vec::new();
    lists
        .each_live(user, |slice| {
            page.extend(
                slice
                    .into_iter()
                    .filter(|session| after.is_none_or(|after| SessionCursor::from(session) < after)),
            );
            // Never more of them in memory than a page and a slice.
            page.sort_by_key(|session| Reverse(SessionCursor::from(session)));
            page.truncate(limit);
        })
        .await?;
    Ok(page)
}

/// How each of the user's live sessions was used.
pub(super) async fn uses(lists: &Lists<'_>, user: UserId) -> BackendResult<Vec<SessionUse>> {
    let mut uses = Vec::new();
    lists.each_live(user, |slice| uses.extend(slice.iter().map(SessionUse::from))).await?;
    Ok(uses)
}

/// A live session of the user.
pub(super) async fn find(
    lists: &Lists<'_>,
    user: UserId,
    session: SessionId,
) -> BackendResult<Option<Session>> {
    Ok(lists.live(&lists.keys.of_user(user), &[session]).await?.pop())
}

/// The greatest security version that any of the user's sessions is of.
pub(super) async fn greatest_version(lists: &Lists<'_>, user: UserId) -> BackendResult<SecurityVersion> {
    let keys = lists.keys.of_user(user);
    let mut greatest = SecurityVersion::new(0);
    let mut next = Some(0);
    while let Some(from) = next {
        let slice = lists.members(&keys, from).await?;
        next = slice.next;
        let versions = slice.members.iter().filter_map(|(member, _)| version_of(member));
        greatest = versions.max().into_iter().fold(greatest, Ord::max);
    }
    Ok(greatest)
}

/// For each user, when the newest access token of their live sessions was minted. A session that a
/// cut-off has ended is no member of the user's set any more.
///
/// No vouching is compared: it is a time that administrators are shown, from which nobody concludes that
/// something stands or has ended.
pub(super) async fn newest_access_tokens(
    lists: &Lists<'_>,
    users: &[UserId],
) -> BackendResult<Vec<Option<Timestamp>>> {
    let keys: Vec<UserKeys> = users.iter().map(|user| lists.keys.of_user(*user)).collect();
    let mut newest: Vec<Option<i64>> = vec![None; keys.len()];
    // Of whom there is something left to read, and from where on.
    let mut waiting: Vec<(usize, u64)> = (0..keys.len()).map(|user| (user, 0)).collect();
    while !waiting.is_empty() {
        let asked: Vec<_> = waiting.iter().map(|(user, from)| (&keys[*user], *from)).collect();
        let (now, slices) = lists.members_of(&asked).await?;
        let mut sessions = Vec::new();
        let mut left = Vec::new();
        for ((user, _), slice) in waiting.iter().zip(slices) {
            let unended = slice.members.iter().filter(|(_, deadline)| lies_after(*deadline, now));
            sessions.extend(unended.filter_map(|(member, _)| Some((*user, session_of(member)?))));
            left.extend(slice.next.map(|next| (*user, next)));
        }
        for slice in sessions.chunks(SLICE) {
            let time_of = |(user, session): &(usize, SessionId)| {
                let get = redis::cmd("HGET").arg(keys[*user].session(*session)).arg("n").to_owned();
                (keys[*user].partition().partition(), get)
            };
            let (_, times) = lists.ask_each(slice.iter().map(time_of).collect()).await?;
            for ((user, _), time) in slice.iter().zip(times) {
                newest[*user] = newest[*user].max(OF_SOME.convert(time)?);
            }
        }
        waiting = left;
    }
    Ok(newest.into_iter().map(|time| time.map(Timestamp::from_millis)).collect())
}

/// How many sessions these users have together that have not ended by `now`, by their sets: a count for each.
///
/// No vouching is compared: nobody concludes from a number that something stands or has ended.
pub(super) async fn count(lists: &Lists<'_>, users: &[UserId], now: Timestamp) -> BackendResult<u64> {
    let mut total = 0;
    for slice in users.chunks(SLICE) {
        let counting = |user: &UserId| {
            let keys = lists.keys.of_user(*user);
            let above = format!("({}", now.as_millis());
            let count = redis::cmd("ZCOUNT").arg(keys.sessions()).arg(above).arg("+inf").to_owned();
            (keys.partition().partition(), count)
        };
        let (_, counts) = lists.ask_each(slice.iter().map(counting).collect()).await?;
        for count in counts {
            total += OF_SOME.convert::<u64>(count)?;
        }
    }
    Ok(total)
}

/// Some members of a user's set of sessions, with their idle deadlines.
struct Slice {
    members: Vec<(String, f64)>,
    /// Where reading goes on; `None` when all was read.
    next: Option<u64>,
}

impl Lists<'_> {
    /// Hands all live sessions of the user over, a slice at a time and in no order. What is in the set all
    /// the while is read, some of it twice at most where the set is large and changes.
    async fn each_live(&self, user: UserId, mut take: impl FnMut(Vec<Session>)) -> BackendResult<()> {
        let keys = self.keys.of_user(user);
        let mut seen = std::collections::HashSet::new();
        let mut next = Some(0);
        while let Some(from) = next {
            let slice = self.members(&keys, from).await?;
            next = slice.next;
            let ids = slice.members.iter().filter_map(|(member, _)| session_of(member));
            let ids: Vec<_> = ids.filter(|id| seen.insert(*id)).collect();
            // Also where there is none: whoever ends all of them would be told that it is done.
            for ids in ids.chunks(SLICE).chain(ids.is_empty().then_some(ids.as_slice())) {
                take(self.live(&keys, ids).await?);
            }
        }
        Ok(())
    }

    /// Those of these sessions that live.
    ///
    /// The set of the user's sessions says where to look, the sessions themselves say whether they live:
    /// one that ended meanwhile is not listed. The cut-off is read behind them, so that a session that a
    /// security event has just ended is known by its version, and last of all whether the data is what was
    /// vouched for, and what time it is.
    /// (model: TokensOfTheirIncarnation, VersionsNotTimes, VouchingIsPassed)
    async fn live(&self, keys: &UserKeys, ids: &[SessionId]) -> BackendResult<Vec<Session>> {
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.cmd("HGETALL").arg(keys.session(*id));
        }
        pipeline.cmd("GET").arg(keys.cutoff());
        pipeline.cmd("HMGET").arg(keys.partition().state()).arg(&STANDING_FIELDS);
        pipeline.cmd("TIME");
        let mut stored = self.ask(keys.partition().partition(), pipeline).await?;
        let entry = Entry { place: SESSIONS, key: &keys.sessions() };
        let now = self.time.decisive(entry.convert(stored.pop().unwrap_or(Value::Nil))?)?;
        let standing: Fields = entry.convert(stored.pop().unwrap_or(Value::Nil))?;
        let by = self.by.of(Partition::of(keys.user()));
        standing_incarnation(entry, by, &standing)?;
        let entry = Entry { place: CUTOFF, key: &keys.cutoff() };
        let cutoff: Option<String> = entry.convert(stored.pop().unwrap_or(Value::Nil))?;
        let first_version = first_version(keys, cutoff.as_deref())?;

        let mut sessions = Vec::with_capacity(ids.len());
        for (id, fields) in ids.iter().zip(stored) {
            let key = keys.session(*id);
            let entry = Entry { place: SESSION, key: &key };
            let fields: Hash = entry.convert(fields)?;
            if fields.is_empty() {
                continue;
            }
            let session = codec::session(entry, *id, &fields)?;
            let counts = session.incarnation == by.incarnation
                && first_version.is_none_or(|first| session.security_version.get() >= first);
            if session.user == keys.user() && counts && !session.is_expired(now) {
                sessions.push(session);
            }
        }
        Ok(sessions)
    }

    async fn members(&self, keys: &UserKeys, from: u64) -> BackendResult<Slice> {
        let (_, mut slices) = self.members_of(&[(keys, from)]).await?;
        Ok(slices.pop().unwrap_or(Slice { members: Vec::new(), next: None }))
    }

    /// What the clock shows, and of each user a slice of their sessions.
    async fn members_of(&self, users: &[(&UserKeys, u64)]) -> BackendResult<(Timestamp, Vec<Slice>)> {
        let scan = |(user, from): &(&UserKeys, u64)| {
            let scan = redis::cmd("ZSCAN").arg(user.sessions()).arg(*from).arg("COUNT").arg(SLICE).to_owned();
            (user.partition().partition(), scan)
        };
        let (now, answers) = self.ask_each(users.iter().map(scan).collect()).await?;
        let mut slices = Vec::with_capacity(answers.len());
        for answer in answers {
            let (next, members): (u64, Vec<(String, f64)>) = OF_SOME.convert(answer)?;
            slices.push(Slice { members, next: (next != 0).then_some(next) });
        }
        Ok((now, slices))
    }

    /// Asks about several partitions: each server what is about its own, all at once. Answers what the clock shows (of
    /// several the one that is ahead), and the answers in the order of the questions.
    async fn ask_each(&self, commands: Vec<(Partition, Cmd)>) -> BackendResult<(Timestamp, Vec<Value>)> {
        let groups = self.connection.groups().await.map_err(|error| backend_error(OF_SOME, error))?;
        let mut asked: Vec<(Vec<usize>, Partition, Pipeline)> = Vec::new();
        for (index, (partition, command)) in commands.into_iter().enumerate() {
            let is_beside = |other: &Partition| {
                *other == partition
                    || groups.iter().any(|group| group.contains(other) && group.contains(&partition))
            };
            match asked.iter_mut().find(|(_, other, _)| is_beside(other)) {
                Some((indexes, _, pipeline)) => {
                    indexes.push(index);
                    pipeline.add_command(command);
                }
                None => asked.push((vec![index], partition, redis::pipe().add_command(command).clone())),
            }
        }
        let asking = asked.iter_mut().map(|(indexes, partition, pipeline)| {
            let pipeline = pipeline.cmd("TIME").clone();
            async move { Ok::<_, BackendError>((indexes, self.ask(*partition, pipeline).await?)) }
        });
        let (mut latest, mut ordered) = (Time::default(), Vec::new());
        for (indexes, mut answers) in try_join_all(asking).await? {
            latest = latest.max(OF_SOME.convert(answers.pop().unwrap_or(Value::Nil))?);
            ordered.extend(indexes.drain(..).zip(answers));
        }
        ordered.sort_by_key(|(index, _)| *index);
        Ok((self.time.decisive(latest)?, ordered.into_iter().map(|(_, answer)| answer).collect()))
    }

    async fn ask(&self, partition: Partition, pipeline: Pipeline) -> BackendResult<Vec<Value>> {
        self.connection.read(At::vouched(self.by, partition), OF_SOME, pipeline).await
    }
}

const OF_SOME: Entry<'_> = Entry { place: SESSIONS, key: "of one or several users" };

/// The session of a member `<sid>:<security version>`.
fn session_of(member: &str) -> Option<SessionId> {
    let (id, _) = member.split_once(':')?;
    Uuid::parse_str(id).ok().map(SessionId::from)
}

/// The version of such a member.
fn version_of(member: &str) -> Option<SecurityVersion> {
    let (_, version) = member.split_once(':')?;
    version.parse().ok().map(SecurityVersion::new)
}
