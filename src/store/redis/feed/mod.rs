//! The revocation feed of Redis: a stream for each partition, one for everybody, read together.
//!
//! One server gives all of them by one command that waits. The nodes of a Cluster give one slot's streams by a command,
//! and a command that waits holds up its connection: there, what is waited for is everybody's streams, among them the
//! barriers, of which whoever revokes adds one behind it; then the others are read, each node's at once. The barriers
//! come first: what they were raised behind is in what is read after them.

mod entries;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};
use tokio::time::Instant;

use self::entries::revocations;
use self::streams::{Read, Streams};
use super::codec::Entry;
use super::connection::{At, Connection, WaitingConnection};
use super::errors::{CallError, backend_error, store_error, unavailable};
use super::keys::Keys;
use super::mirrors::{Barrier, Membership};
use super::scripts;
use super::store::RedisTokenStore;
use super::time::{StoreTime, span};
use crate::domain::clock::Timestamp;
use crate::domain::ids::KeyId;
use crate::domain::journal::VouchingId;
use crate::domain::partition::Partition;
use crate::store::error::StoreResult;
use crate::store::revocations::{BackendReader, FeedBatch, ReaderRole, Standing};
use crate::store::vouching::{BackendError, BackendResult, Vouched};

/// How many entries of each stream are read at a time.
const PAGE: usize = 1_000;

pub(super) const FEED: &str = "revocation feed";

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
        self.call(by, Partition::EVERYBODY, entry, script).await.map(drop)
    }
}

fn feed_error(error: CallError) -> BackendError {
    backend_error(Entry { place: FEED, key: "" }, error)
}

/// Reads all streams at once.
pub(super) struct Reader {
    shared: Arc<Connection>,
    time: StoreTime,
    keys: Keys,
    /// Of each server.
    servers: Vec<Streams>,
    /// What the positions are of: connections, and the vouching of each partition there.
    of: Option<(Vec<u64>, Vec<VouchingId>)>,
    /// The place among the mirrors; `None` for an observer.
    membership: Option<Membership>,
    /// Whether the last read was complete: only then is there a copy worth confirming.
    has_all: bool,
}

impl Reader {
    pub(super) fn new(shared: Arc<Connection>, time: StoreTime, keys: &Keys, role: ReaderRole) -> Self {
        let membership = match role {
            ReaderRole::Observer => None,
            ReaderRole::Mirror { name, max_staleness } => {
                Some(Membership::new(keys.everybody(), name, max_staleness))
            }
        };
        let keys = keys.clone();
        Self { shared, time, keys, servers: Vec::new(), of: None, membership, has_all: false }
    }

    /// The streams of each server that there is by now.
    async fn divide(&mut self) -> BackendResult<()> {
        let groups = self.shared.groups().await.map_err(feed_error)?;
        if groups.iter().eq(self.servers.iter().map(|streams| &streams.partitions)) {
            return Ok(());
        }
        let served: usize = groups.iter().map(Vec::len).sum();
        if served < Partition::COUNT {
            let lacks = std::io::Error::other("no node of the Redis Cluster has some of the slots");
            return Err(feed_error(unavailable(lacks)));
        }
        // A mirror acknowledges barriers; anybody on a Cluster is woken by them.
        let reads_barriers = self.membership.is_some() || self.shared.is_cluster();
        let barriers = reads_barriers.then(|| self.keys.everybody().barriers());
        let streams = |partitions: Vec<Partition>| {
            let further = barriers.clone().filter(|_| partitions.contains(&Partition::EVERYBODY));
            Streams::new(self.shared.clone(), &self.keys, partitions, further)
        };
        self.servers = groups.into_iter().map(streams).collect();
        self.of = None;
        Ok(())
    }

    /// Sees that the data is what was vouched for. Entries that were read over another connection, or
    /// by another vouching, tell nothing about where to go on: a failover may have lost a suffix of a
    /// stream, and later entries may have smaller ids.
    /// (model: ReadsWhatIsVouchedFor, NewVouchingReadsAnew)
    ///
    /// Answers whether it begins anew, and what the clock shows; of several the one that is behind.
    async fn settle_on(&mut self, by: &Vouched) -> BackendResult<(bool, Timestamp)> {
        self.divide().await?;
        let is_one = self.servers.len() == 1;
        let asked = self.servers.iter_mut().map(async |streams| match is_one {
            true => streams.require(by).await,
            // It is seen behind the read, by the same command.
            false => streams.time(by).await,
        });
        let mut earliest = None;
        for time in try_join_all(asked).await? {
            let now = self.time.decisive(time)?;
            earliest = Some(earliest.map_or(now, |earliest: Timestamp| earliest.min(now)));
        }
        let vouchings = Partition::all().map(|partition| by.of(partition).vouching).collect();
        let numbers: Option<Vec<u64>> =
            self.servers.iter().map(|streams| streams.connection.number()).collect();
        let of = numbers.map(|numbers| (numbers, vouchings));
        let is_new = self.of != of || of.is_none();
        if is_new {
            self.begin_anew();
            self.of = of;
        }
        Ok((is_new, earliest.unwrap_or_else(|| Timestamp::from_millis(0))))
    }

    /// Goes on from the beginning.
    fn begin_anew(&mut self) {
        self.servers.iter_mut().for_each(Streams::begin_anew);
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
        let connection = &mut everybodys(&mut self.servers)?.connection;
        let server = by.server(Partition::EVERYBODY);
        let joining = connection.run(Some(server), Duration::ZERO, |redis| membership.join(redis));
        joining.await.map_err(feed_error)
    }

    /// What came since the last read, of all servers; waits a little for something to come.
    async fn rows(&mut self, by: &Vouched, wait: Duration) -> BackendResult<Vec<Read>> {
        if let [only] = self.servers.as_mut_slice()
            && !self.shared.is_cluster()
        {
            let rows = only.wait_for_any(by, |_| true, wait).await?;
            // Once more: what was lost while this waited is not in what was read.
            only.require(by).await?;
            return Ok(rows);
        }
        let end = Instant::now() + wait;
        loop {
            let rows = self.rows_by_slot(by, end.saturating_duration_since(Instant::now())).await?;
            let barriers = self.keys.everybody().barriers();
            let (bells, told): (Vec<Read>, Vec<Read>) = rows.into_iter().partition(|(stream, rows)| {
                *stream == barriers && Barrier::newest(rows).is_ok_and(|newest| newest.is_none())
            });
            for (stream, rows) in &bells {
                everybodys(&mut self.servers)?.advance(stream, rows);
            }
            // What a bell was rung for may have been read before it rang.
            if !told.is_empty() || Instant::now() >= end {
                return Ok(told);
            }
        }
    }

    /// The same of a Cluster.
    async fn rows_by_slot(&mut self, by: &Vouched, wait: Duration) -> BackendResult<Vec<Read>> {
        let everybody = self.keys.everybody();
        let (own, barriers) = (everybody.partition().revocations(), everybody.barriers());
        let is_first = |stream: &str| stream == own || stream == barriers;
        let mut rows = everybodys(&mut self.servers)?.wait_for_any(by, is_first, wait).await?;
        let others = self.servers.iter_mut().map(|streams| streams.read_each(by, is_first));
        for read in join_all(others).await {
            rows.extend(read?);
        }
        Ok(rows)
    }
}

/// The streams of the server that has everybody's.
fn everybodys(servers: &mut [Streams]) -> BackendResult<&mut Streams> {
    let found = servers.iter_mut().find(|streams| streams.partitions.contains(&Partition::EVERYBODY));
    found.ok_or_else(|| Entry { place: FEED, key: "" }.corrupt("its server is not known").into())
}

#[async_trait]
impl BackendReader for Reader {
    async fn read(&mut self, by: &Vouched, wait: Duration) -> BackendResult<FeedBatch> {
        let (is_new, as_of) = self.settle_on(by).await?;
        self.join_mirrors(by).await?;
        let streams = self.rows(by, if is_new { Duration::ZERO } else { wait }).await?;
        let barriers = self.keys.everybody().barriers();
        let (mut announced, mut barrier, mut is_complete) = (Vec::new(), None, true);
        for (stream, rows) in &streams {
            is_complete &= rows.len() < PAGE;
            if *stream == barriers {
                barrier = Barrier::newest(rows)?;
                continue;
            }
            for (id, fields) in rows {
                let key = format!("{stream} {id}");
                announced.extend(revocations(Entry { place: FEED, key: &key }, fields)?);
            }
        }
        // Only now: had one of them been unreadable, they would be read again.
        for (stream, rows) in &streams {
            self.servers.iter_mut().for_each(|server| server.advance(stream, rows));
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
        let connection = &mut everybodys(&mut self.servers)?.connection;
        let server = by.server(Partition::EVERYBODY);
        let acknowledging =
            connection.run(Some(server), Duration::ZERO, |redis| membership.acknowledge(redis));
        Ok(if acknowledging.await.map_err(feed_error)? { Standing::Mirror } else { Standing::Observer })
    }

    async fn step_back(&mut self) -> StoreResult<()> {
        let Some(membership) = self.membership.take() else { return Ok(()) };
        if !self.shared.is_cluster() {
            let barriers = self.keys.everybody().barriers();
            self.servers.iter_mut().for_each(|streams| streams.forget(&barriers));
        }
        let place = At::partition(Partition::EVERYBODY);
        let mut connection = WaitingConnection::new(self.shared.clone(), place);
        let leaving = connection.run(None, Duration::ZERO, |redis| membership.leave(redis));
        leaving.await.map_err(|error| store_error(Entry { place: FEED, key: "" }, error))
    }
}
