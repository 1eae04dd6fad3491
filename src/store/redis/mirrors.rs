//! How whoever revokes waits for the replicas that answer from a copy of the revocation feed.
//!
//! A *mirror* is such a replica. It is in a register, and uses its copy for at most `max_staleness`
//! after the moment at which it began a read that told it everything. Whoever has revoked something
//! raises a *barrier* behind it, a numbered entry of a stream that mirrors read together with the
//! feed, and waits until every mirror of the register has acknowledged the barrier, or until
//! `max_staleness` is over for those that are silent. Then no mirror can be without the revocation:
//!
//! - One that has acknowledged has taken in all that was revoked before, since one read of all
//!   streams never gives an entry and leaves an earlier one out.
//! - One that is silent began its last read before the barrier was raised, and has stopped using its
//!   copy. It is then removed, unless it has acknowledged in that very moment.
//! - One that joins after the barrier was raised uses its copy only after a read that it began as a
//!   member, and that read has the revocation.
//! - One that was removed finds out when it acknowledges the barrier that it was removed for, which
//!   it does before it relies on the read that brought the barrier.
//!
//! Nothing here compares the clocks of two machines; they only have to run equally fast. A Redis that
//! loses its data, or goes back in time, loses the register too: after each vouching revocations are
//! acknowledged only when every copy that the lost register may have named is over (see
//! [`journaled`](crate::store::journaled)).

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::codec::{Answer, Entry};
use super::connection::{At, Connection, WaitingConnection};
use super::errors::store_error;
use super::keys::Everybody;
use super::scripts;
use super::time::span;
use crate::domain::partition::Partition;
use crate::store::error::{StoreError, StoreResult};
use crate::store::vouching::BackendError;

/// How long the register is kept after a mirror was last heard of.
pub(super) const REGISTER_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long barriers and acknowledgements are kept: far longer than anybody waits for one.
pub(super) const BARRIER_KEPT: Duration = Duration::from_secs(60);

/// How much longer than its `max_staleness` a silent mirror is waited for: clocks run equally fast
/// but for drift.
const DRIFT_ALLOWANCE: Duration = Duration::from_millis(50);

/// How long one read of the acknowledgements waits: a Redis that is gone is noticed this soon, and so is who
/// revokes meanwhile.
const READ_WAIT: Duration = Duration::from_millis(100);

/// How long whoever revokes waits for the barrier before theirs. While mirrors answer, one after the other
/// serves all; while one is silent, nobody waits for what others wait for.
const OVERLAP_AFTER: Duration = Duration::from_millis(100);

/// A row of a stream: its id, its fields.
pub(super) type Row = (String, HashMap<String, String>);

/// The field of a row that is no barrier, and only wakes those who read.
const BELL: &str = "bell";

const REGISTER: &str = "register of mirrors";
const BARRIERS: &str = "barriers";
const ACKNOWLEDGEMENTS: &str = "acknowledgements";

/// A barrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Barrier {
    /// Which register it was raised in: numbers begin anew in a register that was lost.
    pub(super) epoch: String,
    /// Which one it is there.
    pub(super) number: u64,
}

impl Barrier {
    /// The newest barrier among rows of the stream. Where there was no mirror a row is a bell alone.
    pub(super) fn newest(rows: &[Row]) -> StoreResult<Option<Self>> {
        let newest = rows.iter().rfind(|(_, fields)| !fields.contains_key(BELL));
        newest.map(Self::of_row).transpose()
    }

    fn of_row((id, fields): &Row) -> StoreResult<Self> {
        let entry = Entry { place: BARRIERS, key: id };
        let text = |name: &str| fields.get(name).map(String::as_str);
        let epoch = entry.read("epoch", text("epoch"))?;
        Ok(Self { epoch, number: entry.read("number", text("number"))? })
    }
}

/// A revocation's wait for the mirrors. One barrier serves all who wait when it is raised, and no barrier waits
/// for the one before where a mirror is silent.
#[derive(Debug)]
pub(super) struct Mirrors {
    connection: Arc<Connection>,
    keys: Everybody,
    waiting: OnceLock<mpsc::UnboundedSender<Request>>,
}

/// Somebody who has revoked something, and on which server.
struct Request {
    server: String,
    answer: oneshot::Sender<Result<(), Arc<StoreError>>>,
}

/// What became of the barrier that several wait for.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the replicas could not be waited for")]
struct Unconfirmed(#[source] Arc<StoreError>);

/// The task that waits has ended.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("nobody waits for the replicas any more")]
struct Ended;

impl Mirrors {
    pub(super) fn new(connection: Arc<Connection>, keys: Everybody) -> Self {
        Self { connection, keys, waiting: OnceLock::new() }
    }

    /// Returns once no mirror can be without what was revoked on that server before this call
    /// (model: RevocationWaitsForMirrors).
    ///
    /// # Errors
    /// Redis does not answer. The revocation stands, and mirrors will have it; only it is not known
    /// that they do.
    pub(super) async fn have_caught_up(&self, server: &str) -> StoreResult<()> {
        let waiting = self.waiting.get_or_init(|| {
            let (sender, requests) = mpsc::unbounded_channel();
            tokio::spawn(Watch::new(self.connection.clone(), self.keys.clone()).serve(requests));
            sender
        });
        let (answer, outcome) = oneshot::channel();
        // Should the task have ended, there is no answer either.
        let _ = waiting.send(Request { server: server.to_owned(), answer });
        match outcome.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(unavailable(Unconfirmed(error))),
            Err(_) => Err(unavailable(Ended)),
        }
    }
}

/// Where the register is, and the barriers.
fn here() -> At<'static> {
    At::partition(Partition::EVERYBODY)
}

/// Another server answers than the one that has the revocation.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the server that has carried out the revocation does not answer any more")]
struct Lost;

fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable { store: "token store", source: Box::new(source) }
}

/// A mirror that is waited for.
#[derive(Debug)]
struct Awaited {
    /// What the register says of it.
    acknowledged: u64,
    max_staleness: Duration,
}

/// A barrier that was raised, and whom it waits for.
#[derive(Debug)]
struct Raised {
    barrier: Barrier,
    at: Instant,
    /// The last acknowledgement before it.
    position: String,
    silent: HashMap<String, Awaited>,
}

/// A barrier that was raised, and those who wait until it has passed.
struct Passing {
    raised: Raised,
    server: String,
    requests: Vec<Request>,
}

impl Passing {
    fn end(self, outcome: &Result<(), Arc<StoreError>>) {
        answer(self.requests, outcome);
    }
}

fn answer(requests: Vec<Request>, outcome: &Result<(), Arc<StoreError>>) {
    for request in requests {
        // Who has gone meanwhile needs no answer.
        let _ = request.answer.send(outcome.clone());
    }
}

/// Ends those that nobody is silent for any more.
fn end_passed(passing: &mut Vec<Passing>) {
    let (passed, others) = passing.drain(..).partition(|passing| passing.raised.silent.is_empty());
    *passing = others;
    let passed: Vec<Passing> = passed;
    passed.into_iter().for_each(|passing| passing.end(&Ok(())));
}

/// Raises barriers and watches them pass.
struct Watch {
    connection: Arc<Connection>,
    keys: Everybody,
    waiting: WaitingConnection,
}

impl Watch {
    fn new(connection: Arc<Connection>, keys: Everybody) -> Self {
        Self { waiting: WaitingConnection::new(connection.clone(), here()), connection, keys }
    }

    /// Serves for as long as anybody may ask.
    async fn serve(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let (mut waiting, mut passing) = (Vec::new(), Vec::<Passing>::new());
        loop {
            if waiting.is_empty() && passing.is_empty() {
                let Some(first) = requests.recv().await else { return };
                waiting.push(first);
            }
            while let Ok(next) = requests.try_recv() {
                waiting.push(next);
            }
            let newest = passing.last().map(|passing| passing.raised.at);
            if newest.is_none_or(|at| at.elapsed() >= OVERLAP_AFTER) {
                self.raise_for(&mut waiting, &mut passing).await;
            }
            let Some(server) = passing.last().map(|passing| passing.server.clone()) else { continue };
            if let Err(error) = self.watch(&server, &mut passing).await {
                let outcome = Err(Arc::new(error));
                passing.drain(..).for_each(|passing| passing.end(&outcome));
            }
        }
    }

    /// Raises a barrier for all who wait. They are of one server, unless it was lost in this very moment.
    async fn raise_for(&self, waiting: &mut Vec<Request>, passing: &mut Vec<Passing>) {
        while let Some(server) = waiting.first().map(|request| request.server.clone()) {
            let (requests, others) = waiting.drain(..).partition(|request| request.server == server);
            *waiting = others;
            match self.raise(&server).await {
                Ok(None) => answer(requests, &Ok(())),
                Err(error) => answer(requests, &Err(Arc::new(error))),
                Ok(Some(raised)) => {
                    // Nobody hears any more of what another server was to tell.
                    let (same, lost) = passing.drain(..).partition(|passing| passing.server == server);
                    *passing = same;
                    let lost: Vec<Passing> = lost;
                    let outcome = Err(Arc::new(unavailable(Lost)));
                    lost.into_iter().for_each(|passing| passing.end(&outcome));
                    passing.push(Passing { raised, server, requests });
                }
            }
        }
    }

    async fn call(
        &self,
        server: &str,
        entry: Entry<'_>,
        script: redis::ScriptInvocation<'static>,
    ) -> StoreResult<Answer> {
        match self.connection.call(here().on(server), entry, script).await {
            Ok(answer) => Ok(answer),
            Err(BackendError::Store(error)) => Err(error),
            Err(BackendError::Unvouched) => Err(unavailable(Lost)),
        }
    }

    /// Ends the barriers that every mirror has passed, or whose `max_staleness` is over
    /// (model: RevocationWaitsForMirrors); waits a little for that.
    async fn watch(&mut self, server: &str, passing: &mut Vec<Passing>) -> StoreResult<()> {
        for barrier in 0..passing.len() {
            for name in passing[barrier].raised.those_over() {
                let Some(awaited) = passing[barrier].raised.silent.remove(&name) else { continue };
                if self.remove(server, &name, &awaited).await? {
                    // It uses no copy before it has joined again, and that is after all these barriers.
                    for passing in &mut *passing {
                        passing.raised.silent.remove(&name);
                    }
                }
            }
        }
        end_passed(passing);
        let all = || passing.iter().map(|passing| &passing.raised);
        let Some(end) = all().map(Raised::next_end).min() else { return Ok(()) };
        let earliest = all().min_by_key(|raised| row_number(&raised.position));
        let position = earliest.map(|raised| raised.position.clone()).unwrap_or_default();
        for row in self.acknowledgements(server, &position, end).await? {
            for passing in &mut *passing {
                passing.raised.hear(&row)?;
            }
        }
        end_passed(passing);
        Ok(())
    }

    /// Raises a barrier; `None` where there is no mirror.
    async fn raise(&self, server: &str) -> StoreResult<Option<Raised>> {
        let mut script = scripts::RAISE_BARRIER.prepare_invoke();
        script
            .key(self.keys.mirrors())
            .key(self.keys.barriers())
            .key(self.keys.acknowledgements())
            .arg(span(BARRIER_KEPT))
            // Readers of a Cluster wait at this stream, mirrors or not.
            .arg(if self.connection.is_cluster() { BELL } else { "" });
        let key = self.keys.mirrors();
        let entry = Entry { place: REGISTER, key: &key };
        let answer = self.call(server, entry, script).await?;
        match answer.verdict.as_str() {
            "alone" => Ok(None),
            "raised" => Raised::read(entry, &answer).map(Some),
            verdict => Err(entry.corrupt(format!("unexpected verdict `{verdict}`"))),
        }
    }

    /// Removes a mirror from the register, unless it has acknowledged something meanwhile; answers whether it is
    /// out.
    async fn remove(&self, server: &str, name: &str, awaited: &Awaited) -> StoreResult<bool> {
        tracing::warn!(mirror = name, "a replica is silent: it is not waited for until it is back");
        let key = self.keys.mirrors();
        let entry = Entry { place: REGISTER, key: &key };
        let seen = format!("{}:{}", awaited.acknowledged, awaited.max_staleness.as_millis());
        let mut script = scripts::REMOVE_MIRROR.prepare_invoke();
        script.key(&key).arg(name).arg(seen);
        Ok(self.call(server, entry, script).await?.verdict == "removed")
    }

    /// What was acknowledged after `position`; waits a little for something to come.
    async fn acknowledgements(
        &mut self,
        server: &str,
        position: &str,
        end: Instant,
    ) -> StoreResult<Vec<Row>> {
        let wait = end.saturating_duration_since(Instant::now()).min(READ_WAIT);
        let key = self.keys.acknowledgements();
        let entry = Entry { place: ACKNOWLEDGEMENTS, key: &key };
        let mut read = redis::cmd("XREAD");
        // BLOCK 0 would be without end.
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        read.arg("BLOCK").arg(millis).arg("STREAMS").arg(&key).arg(position);
        let reading = self
            .waiting
            .run(Some(server), wait, |mut redis| async move { read.query_async(&mut redis).await });
        let answer: Value = reading.await.map_err(|error| store_error(entry, error))?;
        let streams: Option<Vec<(String, Vec<Row>)>> = entry.convert(answer)?;
        Ok(streams.into_iter().flatten().flat_map(|(_, rows)| rows).collect())
    }
}

impl Raised {
    fn read(entry: Entry<'_>, answer: &Answer) -> StoreResult<Self> {
        let text = |position: usize| answer.fields.get(position).and_then(Option::as_deref);
        let barrier =
            Barrier { epoch: entry.read("epoch", text(0))?, number: entry.read("barriers", text(1))? };
        let position = entry.read("last acknowledgement", text(2))?;
        let mut silent = HashMap::new();
        for mirror in answer.fields.get(3..).unwrap_or_default().chunks(3) {
            let word = |position: usize| mirror.get(position).and_then(Option::as_deref);
            let name: String = entry.read("mirror", word(0))?;
            let acknowledged = entry.read(&name, word(1))?;
            let max_staleness = Duration::from_millis(entry.read(&name, word(2))?);
            silent.insert(name, Awaited { acknowledged, max_staleness });
        }
        Ok(Self { barrier, at: Instant::now(), position, silent })
    }

    /// Takes in an acknowledgement.
    fn hear(&mut self, (id, fields): &Row) -> StoreResult<()> {
        let entry = Entry { place: ACKNOWLEDGEMENTS, key: id };
        let text = |name: &str| fields.get(name).map(String::as_str);
        let number: u64 = entry.read("number", text("number"))?;
        let is_meant = text("epoch") == Some(&self.barrier.epoch) && number >= self.barrier.number;
        if let Some(mirror) = text("mirror").filter(|_| is_meant) {
            self.silent.remove(mirror);
        }
        self.position.clone_from(id);
        Ok(())
    }

    /// The mirrors that use their copies no more.
    fn those_over(&self) -> Vec<String> {
        let over = |awaited: &Awaited| self.end_of(awaited) <= Instant::now();
        self.silent.iter().filter(|(_, awaited)| over(awaited)).map(|(name, _)| name.clone()).collect()
    }

    /// When the next of them stops using its copy.
    fn next_end(&self) -> Instant {
        self.silent.values().map(|awaited| self.end_of(awaited)).min().unwrap_or(self.at)
    }

    fn end_of(&self, awaited: &Awaited) -> Instant {
        self.at + awaited.max_staleness + DRIFT_ALLOWANCE
    }
}

/// Where a row of a stream stands among the others; what means nothing comes first.
fn row_number(id: &str) -> (u64, u64) {
    let (millis, number) = id.split_once('-').unwrap_or((id, ""));
    (millis.parse().unwrap_or_default(), number.parse().unwrap_or_default())
}

/// A mirror's own side: its place in the register, and what it owes.
#[derive(Debug)]
pub(super) struct Membership {
    keys: Everybody,
    name: Uuid,
    max_staleness: Duration,
    /// The newest barrier that was read and not acknowledged yet.
    owed: Option<Barrier>,
    /// How often it has entered the register: a register that was lost has no earlier name again.
    joined: u64,
    /// Whether it was in the register before the last read began.
    is_member: bool,
}

impl Membership {
    pub(super) fn new(keys: Everybody, name: Uuid, max_staleness: Duration) -> Self {
        Self { keys, name, max_staleness, owed: None, joined: 0, is_member: false }
    }

    /// Enters the register, or stays in it. To be done before a read.
    /// (model: OnlyMembersAnswer)
    pub(super) async fn join(&mut self, mut redis: MultiplexedConnection) -> RedisResult<()> {
        self.is_member = false;
        self.joined += 1;
        let epoch = format!("{}.{}", self.name.simple(), self.joined);
        let mut script = scripts::JOIN_MIRRORS.prepare_invoke();
        script
            .key(self.keys.mirrors())
            .arg(self.name.to_string())
            .arg(span(self.max_staleness))
            .arg(epoch)
            .arg(span(REGISTER_KEPT));
        script.invoke_async::<Value>(&mut redis).await?;
        self.is_member = true;
        Ok(())
    }

    /// A barrier was read.
    pub(super) fn owe(&mut self, barrier: Barrier) {
        self.owed = Some(barrier);
    }

    /// Nothing that was read counts any more: the reader begins anew.
    pub(super) fn begin_anew(&mut self) {
        self.owed = None;
        self.is_member = false;
    }

    /// Acknowledges what is owed. Answers whether the copy counts on the strength of the last read.
    /// (model: OnlyMembersAnswer)
    pub(super) async fn acknowledge(&mut self, mut redis: MultiplexedConnection) -> RedisResult<bool> {
        let Some(barrier) = &self.owed else { return Ok(self.is_member) };
        let mut script = scripts::ACKNOWLEDGE_BARRIER.prepare_invoke();
        script
            .key(self.keys.mirrors())
            .key(self.keys.acknowledgements())
            .arg(self.name.to_string())
            .arg(&barrier.epoch)
            .arg(barrier.number)
            .arg(span(BARRIER_KEPT));
        let (verdict,): (String,) = script.invoke_async(&mut redis).await?;
        self.owed = None;
        self.is_member &= verdict == "noted";
        Ok(self.is_member)
    }

    /// Leaves the register. The copy must not be in use any more.
    pub(super) async fn leave(&self, mut redis: MultiplexedConnection) -> RedisResult<()> {
        let member = format!("m:{}", self.name);
        redis::cmd("HDEL").arg(self.keys.mirrors()).arg(member).query_async(&mut redis).await
    }
}
