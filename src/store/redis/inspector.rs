//! Looking at what Redis holds, and making it whole: all over one connection, so that what was read of
//! the server holds for what follows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use redis::{FromRedisValue, Pipeline, Value};

use super::codec::{Entry, Fields};
use super::connection::{Connection, WaitingConnection};
use super::errors::store_error;
use super::keys::Keys;
use super::time::{StoreTime, span};
use super::{orders, replay, scripts};
use crate::domain::journal::{EntryId, Mark, NewEntry, VouchingId};
use crate::domain::partition::Partition;
use crate::store::error::StoreResult;
use crate::store::examination::{Examination, NewPartition, PartitionState, ReplayStep, View};

const STATE: &str = "state of a partition";
const OWED: &str = "owed to the journal";

/// The fields of a `state`.
const STATE_FIELDS: [&str; 5] = ["incarnation", "vouching", "mark", "entry", "seal"];

/// How much longer than a single operation a batch of entries may take.
const REPLAY_WAIT: Duration = Duration::from_secs(2);

/// How many pipelines of a replay are under way at once: Redis works on one while the next is made.
const PIPELINES_AHEAD: usize = 3;

/// How many owed entries are read of a partition at a time.
const OWED_PAGE: u32 = 1_000;

/// A connection of its own to one server.
pub(super) struct Inspector {
    connection: WaitingConnection,
    keys: Keys,
    time: StoreTime,
    /// Which server was looked at: what follows is done to no other.
    server: Option<String>,
}

impl Inspector {
    pub(super) fn open(connection: Arc<Connection>, keys: Keys, time: StoreTime) -> Self {
        Self { connection: WaitingConnection::new(connection), keys, time, server: None }
    }

    async fn ask<T: FromRedisValue>(&mut self, entry: Entry<'_>, pipeline: Pipeline) -> StoreResult<T> {
        let server = self.server.clone();
        let asking = self.connection.run(server.as_deref(), Duration::ZERO, |mut redis| async move {
            pipeline.query_async::<Value>(&mut redis).await
        });
        entry.convert(asking.await.map_err(|error| store_error(entry, error))?)
    }

    /// Runs scripts one after the other without waiting in between; answers their verdicts.
    async fn run(
        &mut self,
        entry: Entry<'_>,
        scripts: Vec<redis::ScriptInvocation<'static>>,
    ) -> StoreResult<Vec<String>> {
        let count = scripts.len();
        let server = self.server.clone();
        let running = self.connection.run(server.as_deref(), REPLAY_WAIT, |redis| async move {
            let mut answers = Vec::with_capacity(count);
            let mut running = stream::FuturesOrdered::new();
            for script in scripts {
                let mut redis = redis.clone();
                running.push_back(async move { script.invoke_async::<Value>(&mut redis).await });
            }
            while let Some(answer) = running.next().await {
                answers.push(answer?);
            }
            Ok(answers)
        });
        let answers = running.await.map_err(|error| store_error(entry, error))?;
        answers.into_iter().map(|answer| Ok(super::codec::Answer::read(entry, answer)?.verdict)).collect()
    }
}

impl Inspector {
    /// Carries out the entries of all steps; one that fails ends this. Each step is a pipeline of its own, and
    /// the next are made while Redis works.
    async fn carry_out_again(&mut self, steps: &[ReplayStep], denial: Duration) -> StoreResult<()> {
        let time = self.time.argument_of_any_time();
        let steps: Vec<_> = steps.iter().filter(|step| !step.entries.is_empty()).cloned().collect();
        let (server, keys) = (self.server.clone(), self.keys.clone());
        let running = self.connection.run(server.as_deref(), REPLAY_WAIT, |redis| async move {
            for script in replay::SCRIPTS {
                script.load_async(&mut redis.clone()).await?;
            }
            let sent = steps.into_iter().map(|step| {
                let pipeline = replay::pipeline(step.partition, &step.entries, &keys, &time, denial);
                let mut redis = redis.clone();
                async move { pipeline.query_async(&mut redis).await }
            });
            let mut heard = stream::iter(sent).buffered(PIPELINES_AHEAD);
            while let Some(answer) = heard.next().await {
                answer?;
            }
            Ok(())
        });
        running.await.map_err(|error| store_error(Entry { place: STATE, key: "of a partition" }, error))
    }
}

#[async_trait]
impl Examination for Inspector {
    /// First who answers, then what it holds; the heads are read after both (model: IdentityBeforeHeads).
    async fn view(&mut self) -> StoreResult<View> {
        let mut pipeline = redis::pipe();
        for partition in Partition::all() {
            let keys = self.keys.partition(partition);
            pipeline.cmd("HMGET").arg(keys.state()).arg(&STATE_FIELDS);
            pipeline.cmd("EXISTS").arg(keys.owed());
        }
        pipeline.cmd("TIME");
        let entry = Entry { place: STATE, key: "of any partition" };
        self.server = None;
        // The server may have got another history over an open connection, too. Asked before what it
        // holds: that may only be newer.
        let server = self.connection.identify().await.map_err(|error| store_error(entry, error))?;
        self.server = Some(server.clone());
        let mut answers: Vec<Value> = self.ask(entry, pipeline).await?;
        let time = self.time.shown(entry.convert(answers.pop().unwrap_or(Value::Nil))?);
        let mut states = Vec::with_capacity(Partition::COUNT);
        let mut owes = false;
        for pair in answers.chunks(2) {
            let [state, owed] = pair else { break };
            states.push(read_state(entry, entry.convert(state.clone())?)?);
            owes |= entry.convert::<bool>(owed.clone())?;
        }
        Ok(View { server, states, owes, time })
    }

    async fn lease(&mut self, holder: EntryId, term: Duration) -> StoreResult<bool> {
        let key = self.keys.everybody().lease();
        let mut script = scripts::TAKE_LEASE.prepare_invoke();
        script.key(&key).arg(holder.get()).arg(span(term));
        let verdicts = self.run(Entry { place: "lease", key: &key }, vec![script]).await?;
        Ok(verdicts.first().is_some_and(|verdict| verdict == "held"))
    }

    async fn end_lease(&mut self, holder: EntryId) -> StoreResult<()> {
        let key = self.keys.everybody().lease();
        let mut script = scripts::END_LEASE.prepare_invoke();
        script.key(&key).arg(holder.get());
        self.run(Entry { place: "lease", key: &key }, vec![script]).await.map(drop)
    }

    async fn condemn(&mut self, partitions: &[(Partition, PartitionState)]) -> StoreResult<()> {
        let entry = Entry { place: STATE, key: "of a partition" };
        let condemn = |(partition, state): &(Partition, PartitionState)| {
            let mut script = scripts::CONDEMN_PARTITION.prepare_invoke();
            script
                .key(self.keys.partition(*partition).state())
                .arg(state.vouching.get())
                .arg(state.mark.position)
                .arg(state.mark.entry.get())
                .arg(VouchingId::NONE.get());
            script
        };
        let scripts = partitions.iter().map(condemn).collect();
        self.run(entry, scripts).await.map(drop)
    }

    async fn begin(&mut self, partitions: &[NewPartition]) -> StoreResult<()> {
        let begin = |NewPartition { partition, read, state }: &NewPartition| {
            let keys = self.keys.partition(*partition);
            let mut script = scripts::BEGIN_PARTITION.prepare_invoke();
            script
                .key(keys.state())
                .key(keys.applied())
                .arg(state.incarnation)
                .arg(state.vouching.get())
                .arg(state.mark.position)
                .arg(state.mark.entry.get())
                .arg(&state.seal)
                .arg(read.map(|vouching| vouching.get().to_string()).unwrap_or_default());
            script
        };
        let scripts = partitions.iter().map(begin).collect();
        self.run(Entry { place: STATE, key: "of a new partition" }, scripts).await.map(drop)
    }

    /// All entries before the marks (model: AppliedBeforeTheMark).
    async fn replay(&mut self, steps: &[ReplayStep], denial: Duration) -> StoreResult<Vec<bool>> {
        self.carry_out_again(steps, denial).await?;
        let move_mark = |step: &ReplayStep| {
            let keys = self.keys.partition(step.partition);
            let mut script = scripts::MOVE_MARK.prepare_invoke();
            script
                .key(keys.state())
                .key(keys.applied())
                .arg(step.from.position)
                .arg(step.from.entry.get())
                .arg(step.to.position)
                .arg(step.to.entry.get());
            script
        };
        let scripts = steps.iter().map(move_mark).collect();
        let verdicts = self.run(Entry { place: STATE, key: "of a partition" }, scripts).await?;
        Ok(verdicts.iter().map(|verdict| verdict == "moved").collect())
    }

    /// By the identity of the server that was looked at (model: SealIsTheServer).
    async fn seal(
        &mut self,
        partitions: &[(Partition, PartitionState)],
        vouching: VouchingId,
    ) -> StoreResult<()> {
        let entry = Entry { place: STATE, key: "of a partition" };
        let server = self.server.clone().ok_or_else(|| entry.corrupt("its server is not known"))?;
        let seal = |(partition, state): &(Partition, PartitionState)| {
            let mut script = scripts::SEAL_PARTITION.prepare_invoke();
            script
                .key(self.keys.partition(*partition).state())
                .arg(state.vouching.get())
                .arg(state.mark.position)
                .arg(vouching.get())
                .arg(&server);
            script
        };
        let scripts = partitions.iter().map(seal).collect();
        self.run(entry, scripts).await.map(drop)
    }

    async fn owed(&mut self) -> StoreResult<Vec<NewEntry>> {
        let mut pipeline = redis::pipe();
        for partition in Partition::all() {
            let key = self.keys.partition(partition).owed();
            pipeline.cmd("HSCAN").arg(key).arg(0).arg("COUNT").arg(OWED_PAGE);
        }
        let entry = Entry { place: OWED, key: "of any partition" };
        let pages: Vec<(u64, HashMap<String, String>)> = self.ask(entry, pipeline).await?;
        pages
            .iter()
            .flat_map(|(_, page)| page)
            .map(|(id, words)| orders::owed(Entry { place: OWED, key: id }, id, words))
            .collect()
    }
}

fn read_state(entry: Entry<'_>, fields: Fields) -> StoreResult<Option<PartitionState>> {
    if fields.iter().all(Option::is_none) {
        return Ok(None);
    }
    let number = |position: usize| -> StoreResult<i64> {
        let field = fields.get(position).and_then(Option::as_deref);
        entry.read(STATE_FIELDS.get(position).copied().unwrap_or_default(), field)
    };
    Ok(Some(PartitionState {
        incarnation: number(0)?,
        vouching: VouchingId::new(number(1)?),
        mark: Mark { position: number(2)?, entry: EntryId::new(number(3)?) },
        seal: entry.read("seal", fields.get(4).and_then(Option::as_deref))?,
    }))
}
