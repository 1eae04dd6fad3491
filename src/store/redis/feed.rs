//! The revocation feed of Redis: a stream for each partition, one for everybody, read together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;

use super::codec::Entry;
use super::connection::{CallError, Connection, WaitingConnection};
use super::keys::{Everybody, Partition};
use super::mirrors::{Barrier, Membership, Row};
use super::{RedisTokenStore, scripts, span, store_error, time};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, KeyId, SessionId, UserId};
use crate::domain::revocation::{Revocation, Revoked};
use crate::store::feed::{FeedBatch, ReaderRole, RevocationFeed, RevocationReader, Standing};
use crate::store::{StoreError, StoreResult};

/// How many entries of each stream are read at a time.
const PAGE: usize = 1_000;

/// Before the first entry of a stream.
const BEGINNING: &str = "0";

const FEED: &str = "revocation feed";

#[async_trait]
impl RevocationFeed for RedisTokenStore {
    fn reader(&self, role: ReaderRole) -> Box<dyn RevocationReader> {
        Box::new(Reader::new(self.connection.clone(), role))
    }

    async fn announce(&self, revocation: &Revocation, now: Timestamp) -> StoreResult<()> {
        let (kind, subject, not_before) = match &revocation.revoked {
            Revoked::Token(jti) => ("jti", jti.to_string(), None),
            Revoked::Key(kid) => ("kid", kid.as_str().to_owned(), None),
            Revoked::Everything { not_before } => ("all", "1".to_owned(), Some(*not_before)),
            // Those are announced by the operations that end them.
            Revoked::Session(_) | Revoked::User { .. } => return Ok(()),
        };
        let key = Everybody.revocations();
        let entry = Entry { place: FEED, key: &key };
        let mut script = scripts::ANNOUNCE.prepare_invoke();
        script
            .key(&key)
            .arg(time(now))
            .arg(span(revocation.until.since(now)))
            .arg(kind)
            .arg(subject)
            .arg(not_before.map(|moment| time(moment).to_string()).unwrap_or_default())
            .arg(time(revocation.until));
        self.call(entry, script).await?;
        self.mirrors.have_caught_up(now).await
    }
}

fn feed_error(error: CallError) -> StoreError {
    store_error(Entry { place: FEED, key: "" }, error)
}

/// Reads all streams at once, on a connection of its own: a read that waits would hold up others.
struct Reader {
    connection: WaitingConnection,
    /// Each stream and the last entry of it that was read.
    positions: Vec<(String, String)>,
    remembers_since: Option<Timestamp>,
    /// The place among the mirrors; `None` for an observer.
    membership: Option<Membership>,
    /// Whether the last read was complete: only then is there a copy worth confirming.
    has_all: bool,
}

impl Reader {
    fn new(connection: Arc<Connection>, role: ReaderRole) -> Self {
        let streams = Partition::all().map(Partition::revocations).chain([Everybody.revocations()]);
        let (barriers, membership) = match role {
            ReaderRole::Observer => (None, None),
            ReaderRole::Mirror { name, max_staleness } => {
                (Some(Everybody.barriers()), Some(Membership::new(name, max_staleness)))
            }
        };
        let positions = streams.chain(barriers).map(|stream| (stream, BEGINNING.to_owned())).collect();
        let connection = WaitingConnection::new(connection);
        Self { connection, positions, remembers_since: None, membership, has_all: false }
    }

    async fn run(&mut self, command: redis::Cmd, wait: Duration) -> StoreResult<Value> {
        let running =
            self.connection.run(wait, |mut redis| async move { command.query_async(&mut redis).await });
        running.await.map_err(feed_error)
    }

    /// Since when Redis remembers. Where it has forgotten that, it has forgotten everything, and
    /// begins to remember now.
    async fn incarnation(&mut self, now: Timestamp) -> StoreResult<Timestamp> {
        let key = Everybody.incarnation();
        let get = redis::cmd("GET").arg(&key).to_owned();
        let mut stored = self.run(get.clone(), Duration::ZERO).await?;
        if stored == Value::Nil {
            let set = redis::cmd("SET").arg(&key).arg(time(now)).arg("NX").to_owned();
            self.run(set, Duration::ZERO).await?;
            stored = self.run(get, Duration::ZERO).await?;
        }
        let entry = Entry { place: "incarnation", key: &key };
        let text: Option<String> = entry.convert(stored)?;
        Ok(Timestamp::from_millis(entry.read("value", text.as_deref())?))
    }

    /// Goes on from the beginning: these are other streams, or none at all, and entries of theirs may
    /// have any ids.
    fn begin_anew(&mut self) {
        self.positions.iter_mut().for_each(|(_, position)| BEGINNING.clone_into(position));
        self.has_all = false;
        if let Some(membership) = &mut self.membership {
            membership.begin_anew();
        }
    }

    /// Makes sure that the next read counts for a mirror's copy. A copy that lacks anything is not
    /// worth that others wait for it.
    async fn join_mirrors(&mut self, now: Timestamp) -> StoreResult<()> {
        let Some(membership) = self.membership.as_mut().filter(|_| self.has_all) else { return Ok(()) };
        let joining = self.connection.run(Duration::ZERO, |redis| membership.join(now, redis));
        joining.await.map_err(feed_error)
    }

    async fn rows(&mut self, wait: Duration) -> StoreResult<Vec<(String, Vec<Row>)>> {
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(PAGE);
        let millis = wait.as_millis();
        if millis > 0 {
            read.arg("BLOCK").arg(u64::try_from(millis).unwrap_or(u64::MAX));
        }
        read.arg("STREAMS");
        for (stream, _) in &self.positions {
            read.arg(stream);
        }
        for (_, position) in &self.positions {
            read.arg(position);
        }
        let answer = self.run(read, wait).await?;
        let streams: Option<Vec<(String, Vec<Row>)>> = Entry { place: FEED, key: "" }.convert(answer)?;
        Ok(streams.unwrap_or_default())
    }
}

#[async_trait]
impl RevocationReader for Reader {
    async fn read(&mut self, now: Timestamp, wait: Duration) -> StoreResult<FeedBatch> {
        let remembers_since = self.incarnation(now).await?;
        let is_new = self.remembers_since.replace(remembers_since) != Some(remembers_since);
        if is_new {
            self.begin_anew();
        }
        self.join_mirrors(now).await?;
        let streams = self.rows(if is_new { Duration::ZERO } else { wait }).await?;
        let barriers = Everybody.barriers();
        let (mut announced, mut barrier, mut is_complete) = (Vec::new(), None, true);
        for (stream, rows) in &streams {
            is_complete &= rows.len() < PAGE;
            if *stream == barriers {
                barrier = rows.last().map(Barrier::of_row).transpose()?;
                continue;
            }
            for (id, fields) in rows {
                let key = format!("{stream} {id}");
                announced.extend(revocations(Entry { place: FEED, key: &key }, fields)?);
            }
        }
        // Only now: had one of them been unreadable, they would be read again.
        for (stream, rows) in streams {
            let position = self.positions.iter_mut().find(|(name, _)| *name == stream);
            if let (Some((_, position)), Some((id, _))) = (position, rows.into_iter().next_back()) {
                *position = id;
            }
        }
        if let (Some(membership), Some(barrier)) = (&mut self.membership, barrier) {
            membership.owe(barrier);
        }
        self.has_all = is_complete;
        announced.retain(|revocation| now < revocation.until);
        Ok(FeedBatch { announced, remembers_since, is_complete })
    }

    async fn confirm(&mut self, now: Timestamp) -> StoreResult<Standing> {
        let Some(membership) = &mut self.membership else { return Ok(Standing::Observer) };
        if !self.has_all {
            return Ok(Standing::CatchingUp);
        }
        let acknowledging = self.connection.run(Duration::ZERO, |redis| membership.acknowledge(now, redis));
        Ok(if acknowledging.await.map_err(feed_error)? { Standing::Mirror } else { Standing::Observer })
    }

    async fn step_back(&mut self) -> StoreResult<()> {
        let Some(membership) = self.membership.take() else { return Ok(()) };
        let barriers = Everybody.barriers();
        self.positions.retain(|(stream, _)| *stream != barriers);
        self.connection.run(Duration::ZERO, |redis| membership.leave(redis)).await.map_err(feed_error)
    }
}

/// What an entry of a stream says; [`super::keys`] has the shapes.
fn revocations(entry: Entry<'_>, fields: &HashMap<String, String>) -> StoreResult<Vec<Revocation>> {
    let text = |name: &str| fields.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let until = Timestamp::from_millis(entry.read("until", text("until"))?);
    let not_before =
        || -> StoreResult<Timestamp> { entry.read("nbf", text("nbf")).map(Timestamp::from_millis) };
    let session = |text: &str| -> StoreResult<Revoked> {
        let id = uuid::Uuid::parse_str(text).map_err(|_| entry.corrupt("`sids` is malformed"))?;
        Ok(Revoked::Session(SessionId::from(id)))
    };
    let mut revoked = Vec::new();
    if let Some(jti) = text("jti") {
        revoked.push(Revoked::Token(Jti::from(entry.read::<uuid::Uuid>("jti", Some(jti))?)));
    } else if let Some(sid) = text("sid") {
        revoked.push(session(sid)?);
    } else if let Some(kid) = text("kid") {
        revoked.push(Revoked::Key(KeyId::new(kid)));
    } else if text("all").is_some() {
        revoked.push(Revoked::Everything { not_before: not_before()? });
    } else {
        let user = entry.read::<UserId>("sub", text("sub"))?;
        for sid in text("sids").unwrap_or_default().split(',').filter(|sid| !sid.is_empty()) {
            revoked.push(session(sid)?);
        }
        revoked.push(Revoked::User { user, not_before: not_before()? });
    }
    Ok(revoked.into_iter().map(|revoked| Revocation { revoked, until }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Result<Vec<Revocation>, StoreError> {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        revocations(Entry { place: FEED, key: "stream 1-1" }, &fields)
    }

    #[test]
    fn a_security_event_names_its_user_and_each_session() {
        let (a, b) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
        let sids = format!("{a},{b}");
        let revoked = read(&[("sub", "7"), ("nbf", "5000"), ("sids", &sids), ("until", "9000")]).unwrap();
        let user = UserId::try_from(7).unwrap();
        let not_before = Timestamp::from_millis(5_000);
        let expected =
            [Revoked::Session(a.into()), Revoked::Session(b.into()), Revoked::User { user, not_before }];
        assert_eq!(revoked.iter().map(|r| r.revoked.clone()).collect::<Vec<_>>(), expected);
        assert!(revoked.iter().all(|r| r.until == Timestamp::from_millis(9_000)));
    }

    #[test]
    fn what_means_nothing_is_an_error_that_names_the_entry() {
        for fields in [
            &[][..],
            &[("until", "9000")],
            &[("sub", "7"), ("until", "9000")],
            &[("sub", "7"), ("sid", "x"), ("until", "9000")],
            &[("sub", "7"), ("jti", "x"), ("until", "9000")],
            &[("all", "1"), ("nbf", ""), ("until", "9000")],
        ] {
            let error = read(fields).unwrap_err().to_string();
            assert!(error.contains("stream 1-1"), "{fields:?}: {error}");
        }
    }
}
