//! The revocation feed of Redis: a stream for each partition, one for everybody, read together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;

use super::codec::Entry;
use super::connection::{Connection, WaitingConnection};
use super::errors::{CallError, backend_error, store_error};
use super::keys::{Everybody, Keys};
use super::mirrors::{Barrier, Membership, Row};
use super::scripts;
use super::store::RedisTokenStore;
use super::time::{StoreTime, Time, span};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, KeyId, SessionId, UserId};
use crate::domain::journal::VouchingId;
use crate::domain::partition::Partition;
use crate::domain::revocation::{Revocation, Revoked};
use crate::domain::user::SecurityVersion;
use crate::store::error::StoreResult;
use crate::store::revocations::{BackendReader, FeedBatch, ReaderRole, Standing};
use crate::store::vouching::{BackendError, BackendResult, Vouched};

/// How many entries of each stream are read at a time.
const PAGE: usize = 1_000;

/// Before the first entry of a stream.
const BEGINNING: &str = "0";

const FEED: &str = "revocation feed";

impl RedisTokenStore {
    /// Announces that a signing key was revoked.
    pub(super) async fn announce_revoked_key(
        &self,
        by: &Vouched,
        revoked: &KeyId,
        remembered: Duration,
    ) -> BackendResult<()> {
        let everybody = self.keys.everybody();
        let key = everybody.partition().revocations();
        let entry = Entry { place: FEED, key: &key };
        let mut script = scripts::ANNOUNCE.prepare_invoke();
        script
            .key(&key)
            .key(everybody.partition().state())
            .arg(self.time.argument())
            .arg(revoked.as_str())
            .arg(span(remembered))
            .arg(by.of(Partition::EVERYBODY).vouching.get());
        self.call(by, entry, script).await.map(drop)
    }
}

fn feed_error(error: CallError) -> BackendError {
    backend_error(Entry { place: FEED, key: "" }, error)
}

/// Reads all streams at once, on a connection of its own: a read that waits would hold up others.
pub(super) struct Reader {
    connection: WaitingConnection,
    time: StoreTime,
    keys: Everybody,
    /// The state of each partition.
    states: Vec<String>,
    /// Each stream and the last entry of it that was read.
    positions: Vec<(String, String)>,
    /// What the positions are of: a connection, and the vouching of each partition there.
    of: Option<(u64, Vec<VouchingId>)>,
    /// The place among the mirrors; `None` for an observer.
    membership: Option<Membership>,
    /// Whether the last read was complete: only then is there a copy worth confirming.
    has_all: bool,
}

impl Reader {
    pub(super) fn new(connection: Arc<Connection>, time: StoreTime, keys: &Keys, role: ReaderRole) -> Self {
        let everybody = keys.everybody();
        let streams = Partition::all().map(|partition| keys.partition(partition).revocations());
        let (barriers, membership) = match role {
            ReaderRole::Observer => (None, None),
            ReaderRole::Mirror { name, max_staleness } => {
                let membership = Membership::new(everybody.clone(), name, max_staleness);
                (Some(everybody.barriers()), Some(membership))
            }
        };
        let positions = streams.chain(barriers).map(|stream| (stream, BEGINNING.to_owned())).collect();
        let states = Partition::all().map(|partition| keys.partition(partition).state()).collect();
        let connection = WaitingConnection::new(connection);
        Self { connection, time, keys: everybody, states, positions, of: None, membership, has_all: false }
    }

    async fn run(&mut self, by: &Vouched, command: redis::Cmd, wait: Duration) -> BackendResult<Value> {
        let running = self
            .connection
            .run(Some(&by.server), wait, |mut redis| async move { command.query_async(&mut redis).await });
        running.await.map_err(feed_error)
    }

    /// Sees that the data is what was vouched for. Entries that were read over another connection, or
    /// by another vouching, tell nothing about where to go on: a failover may have lost a suffix of a
    /// stream, and later entries may have smaller ids.
    /// (model: ReadsWhatIsVouchedFor, NewVouchingReadsAnew)
    ///
    /// Answers whether it begins anew, and what the clock shows.
    async fn settle_on(&mut self, by: &Vouched) -> BackendResult<(bool, Timestamp)> {
        let now = self.require(by).await?;
        let vouchings = Partition::all().map(|partition| by.of(partition).vouching).collect();
        let of = self.connection.number().map(|number| (number, vouchings));
        let is_new = self.of != of || of.is_none();
        if is_new {
            self.begin_anew();
            self.of = of;
        }
        Ok((is_new, now))
    }

    /// Sees that every partition is what was vouched for: one alone can be begun anew, and what its stream
    /// has lost is as little known as what all have. Answers what the clock shows.
    async fn require(&mut self, by: &Vouched) -> BackendResult<Timestamp> {
        let mut pipeline = redis::pipe();
        for state in &self.states {
            pipeline.cmd("HGET").arg(state).arg("vouching");
        }
        pipeline.cmd("TIME");
        let asking = self.connection.run(Some(&by.server), Duration::ZERO, |mut redis| async move {
            pipeline.query_async::<Vec<Value>>(&mut redis).await
        });
        let mut answers = asking.await.map_err(feed_error)?;
        let entry = Entry { place: "state of a partition", key: "of any partition" };
        let shown: Time = entry.convert(answers.pop().unwrap_or(Value::Nil))?;
        let stored: Vec<Option<String>> = entry.convert(Value::Array(answers))?;
        let expected = Partition::all().map(|partition| Some(by.of(partition).vouching.get().to_string()));
        if !stored.into_iter().eq(expected) {
            return Err(BackendError::Unvouched);
        }
        self.time.decisive(shown)
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
    /// (model: OnlyMembersAnswer)
    async fn join_mirrors(&mut self, by: &Vouched) -> BackendResult<()> {
        let Some(membership) = self.membership.as_mut().filter(|_| self.has_all) else { return Ok(()) };
        let joining = self.connection.run(Some(&by.server), Duration::ZERO, |redis| membership.join(redis));
        joining.await.map_err(feed_error)
    }

    async fn rows(&mut self, by: &Vouched, wait: Duration) -> BackendResult<Vec<(String, Vec<Row>)>> {
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
        let answer = self.run(by, read, wait).await?;
        let streams: Option<Vec<(String, Vec<Row>)>> = Entry { place: FEED, key: "" }.convert(answer)?;
        Ok(streams.unwrap_or_default())
    }
}

#[async_trait]
impl BackendReader for Reader {
    async fn read(&mut self, by: &Vouched, wait: Duration) -> BackendResult<FeedBatch> {
        let (is_new, as_of) = self.settle_on(by).await?;
        self.join_mirrors(by).await?;
        let streams = self.rows(by, if is_new { Duration::ZERO } else { wait }).await?;
        // Once more: what was lost while this waited is not in what was read.
        self.require(by).await?;
        let barriers = self.keys.barriers();
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
        announced.retain(|revocation| as_of < revocation.until);
        let vouching = by.of(Partition::EVERYBODY).vouching;
        Ok(FeedBatch { announced, vouching, incarnations: by.incarnations(), as_of, is_complete })
    }

    /// A read that was not all there is does not count (model: OnlyCompleteReadsCount).
    async fn confirm(&mut self, by: &Vouched) -> BackendResult<Standing> {
        let Some(membership) = &mut self.membership else { return Ok(Standing::Observer) };
        if !self.has_all {
            return Ok(Standing::CatchingUp);
        }
        let acknowledging =
            self.connection.run(Some(&by.server), Duration::ZERO, |redis| membership.acknowledge(redis));
        Ok(if acknowledging.await.map_err(feed_error)? { Standing::Mirror } else { Standing::Observer })
    }

    async fn step_back(&mut self) -> StoreResult<()> {
        let Some(membership) = self.membership.take() else { return Ok(()) };
        let barriers = self.keys.barriers();
        self.positions.retain(|(stream, _)| *stream != barriers);
        let leaving = self.connection.run(None, Duration::ZERO, |redis| membership.leave(redis));
        leaving.await.map_err(|error| store_error(Entry { place: FEED, key: "" }, error))
    }
}

/// What an entry of a stream says; [`super::keys`] has the shapes.
fn revocations(entry: Entry<'_>, fields: &HashMap<String, String>) -> StoreResult<Vec<Revocation>> {
    let text = |name: &str| fields.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let until = Timestamp::from_millis(entry.read("until", text("until"))?);
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
    } else {
        let user = entry.read::<UserId>("sub", text("sub"))?;
        for sid in text("sids").unwrap_or_default().split(',').filter(|sid| !sid.is_empty()) {
            revoked.push(session(sid)?);
        }
        let below = SecurityVersion::new(entry.read("sv", text("sv"))?);
        revoked.push(Revoked::User { user, below });
    }
    Ok(revoked.into_iter().map(|revoked| Revocation { revoked, until }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::error::StoreError;

    fn read(fields: &[(&str, &str)]) -> Result<Vec<Revocation>, StoreError> {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        revocations(Entry { place: FEED, key: "stream 1-1" }, &fields)
    }

    #[test]
    fn a_security_event_names_its_user_and_each_session() {
        let (a, b) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
        let sids = format!("{a},{b}");
        let revoked = read(&[("sub", "7"), ("sv", "5"), ("sids", &sids), ("until", "9000")]).unwrap();
        let user = UserId::try_from(7).unwrap();
        let below = SecurityVersion::new(5);
        let expected =
            [Revoked::Session(a.into()), Revoked::Session(b.into()), Revoked::User { user, below }];
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
            &[("sub", "7"), ("sv", "x"), ("until", "9000")],
        ] {
            let error = read(fields).unwrap_err().to_string();
            assert!(error.contains("stream 1-1"), "{fields:?}: {error}");
        }
    }
}
