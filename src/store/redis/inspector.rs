//! Looking at what Redis holds, and making it whole: all over one connection to each server, so that what was read of
//! a server holds for what follows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use redis::Value;

use super::codec::Entry;
use super::connection::Connection;
use super::errors::store_error;
use super::keys::Keys;
use super::lanes::{Lanes, OF_ANY, REPLAY_WAIT, STATE};
use super::time::{StoreTime, millis, span};
use super::{orders, replay, scripts};
use crate::domain::clock::Timestamp;
use crate::domain::journal::{EntryId, NewEntry, VouchingId};
use crate::domain::partition::Partition;
use crate::store::error::{StoreError, StoreResult};
use crate::store::examination::{Examination, NewPartition, PartitionState, ReplayStep, View};

const OWED: &str = "owed to the journal";

const OF_ONE: Entry<'_> = Entry { place: STATE, key: "of a partition" };

/// How many pipelines of a replay are under way at once: Redis works on one while the next is made.
const PIPELINES_AHEAD: usize = 3;

/// How many owed entries are read of a partition at a time.
const OWED_PAGE: u32 = 1_000;

/// A connection of its own to each server.
pub(super) struct Inspector {
    lanes: Lanes,
    keys: Keys,
    time: StoreTime,
}

impl Inspector {
    pub(super) fn open(shared: Arc<Connection>, keys: Keys, time: StoreTime) -> Self {
        Self { lanes: Lanes::new(shared), keys, time }
    }

    /// Carries out the entries of all steps; one that fails ends this. Each step is a pipeline of its own, and
    /// the next are made while Redis works.
    async fn carry_out_again(&mut self, steps: &[ReplayStep], denial: Duration) -> StoreResult<()> {
        let time = self.time.argument_of_any_time();
        let mut waiting: Vec<_> = steps.iter().filter(|step| !step.entries.is_empty()).cloned().collect();
        while let Some(first) = waiting.first() {
            let keys = self.keys.clone();
            let lane = self.lanes.of(first.partition)?;
            let (own, others): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|step| lane.partitions.contains(&step.partition));
            waiting = others;
            let time = &time;
            let running = lane.connection.run(lane.server.as_deref(), REPLAY_WAIT, |redis| async move {
                for script in replay::SCRIPTS {
                    script.load_async(&mut redis.clone()).await?;
                }
                let sent = own.into_iter().map(|step| {
                    let pipeline = replay::pipeline(step.partition, &step.entries, &keys, time, denial);
                    let mut redis = redis.clone();
                    async move { pipeline.query_async(&mut redis).await }
                });
                let mut heard = stream::iter(sent).buffered(PIPELINES_AHEAD);
                while let Some(answer) = heard.next().await {
                    answer?;
                }
                Ok(())
            });
            running.await.map_err(|error| store_error(OF_ONE, error))?;
        }
        Ok(())
    }
}

#[async_trait]
impl Examination for Inspector {
    /// All servers at once. One that does not answer leaves what it has unknown.
    async fn view(&mut self) -> StoreResult<View> {
        self.lanes.divide().await?;
        let keys = &self.keys;
        let parts = join_all(self.lanes.all.iter_mut().map(|lane| async move {
            let part = lane.look(keys).await;
            (lane.partitions.as_slice(), part)
        }));
        let mut view = View {
            servers: vec![None; Partition::COUNT],
            states: vec![None; Partition::COUNT],
            owes: false,
            time: Timestamp::from_millis(0),
        };
        let (mut latest, mut failed) = (None, None);
        for (partitions, part) in parts.await {
            let part = match part {
                Ok(part) => part,
                // What stands there means nothing: waiting mends that as little as another server does.
                Err(error @ StoreError::Corrupt { .. }) => return Err(error),
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            latest = latest.max(Some(part.time));
            for (partition, state) in partitions.iter().zip(part.states) {
                let Some((state, owes)) = state else { continue };
                view.servers[partition.index()] = Some(part.server.clone());
                view.states[partition.index()] = state;
                view.owes |= owes;
            }
        }
        match (latest, failed) {
            (None, Some(error)) => Err(error),
            (None, None) => Err(OF_ANY.corrupt("no server has any")),
            (Some(latest), _) => Ok(View { time: self.time.shown(latest), ..view }),
        }
    }

    async fn lease(&mut self, holder: EntryId, term: Duration) -> StoreResult<bool> {
        self.lanes.divide_once().await?;
        let place = self.lanes.lease_place();
        let key = self.keys.partition(place).lease();
        let mut script = scripts::TAKE_LEASE.prepare_invoke();
        script.key(&key).arg(holder.get()).arg(span(term));
        let verdicts = self.lanes.run(Entry { place: "lease", key: &key }, vec![(place, script)]).await?;
        Ok(verdicts.first().is_some_and(|verdict| verdict == "held"))
    }

    async fn end_lease(&mut self, holder: EntryId) -> StoreResult<()> {
        let place = self.lanes.lease_place();
        let key = self.keys.partition(place).lease();
        let mut script = scripts::END_LEASE.prepare_invoke();
        script.key(&key).arg(holder.get());
        self.lanes.run(Entry { place: "lease", key: &key }, vec![(place, script)]).await.map(drop)
    }

    async fn condemn(&mut self, partitions: &[(Partition, PartitionState)]) -> StoreResult<()> {
        let condemn = |(partition, state): &(Partition, PartitionState)| {
            let mut script = scripts::CONDEMN_PARTITION.prepare_invoke();
            script
                .key(self.keys.partition(*partition).state())
                .arg(state.vouching.get())
                .arg(state.mark.position)
                .arg(state.mark.entry.get())
                .arg(VouchingId::NONE.get());
            (*partition, script)
        };
        let scripts = partitions.iter().map(condemn).collect();
        self.lanes.run(OF_ONE, scripts).await.map(drop)
    }

    async fn begin(&mut self, partitions: &[NewPartition], denial: Duration) -> StoreResult<()> {
        let begin = |NewPartition { partition, read, state, deleted_clients }: &NewPartition| {
            let keys = self.keys.partition(*partition);
            let mut script = scripts::BEGIN_PARTITION.prepare_invoke();
            script
                .key(keys.state())
                .key(keys.applied())
                .key(keys.revocations())
                .arg(state.incarnation)
                .arg(state.vouching.get())
                .arg(state.mark.position)
                .arg(state.mark.entry.get())
                .arg(&state.seal)
                .arg(read.map(|vouching| vouching.get().to_string()).unwrap_or_default())
                .arg(span(denial));
            for (client, until) in deleted_clients {
                script.arg(client.as_str()).arg(millis(*until));
            }
            (*partition, script)
        };
        let scripts = partitions.iter().map(begin).collect();
        self.lanes.run(Entry { place: STATE, key: "of a new partition" }, scripts).await.map(drop)
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
            (step.partition, script)
        };
        let scripts = steps.iter().map(move_mark).collect();
        let verdicts = self.lanes.run(OF_ONE, scripts).await?;
        Ok(verdicts.iter().map(|verdict| verdict == "moved").collect())
    }

    /// By the identity of the server that was looked at (model: SealIsTheServer).
    async fn seal(
        &mut self,
        partitions: &[(Partition, PartitionState)],
        vouching: VouchingId,
    ) -> StoreResult<()> {
        let mut scripts = Vec::with_capacity(partitions.len());
        for (partition, state) in partitions {
            let server = self
                .lanes
                .of(*partition)?
                .server
                .clone()
                .ok_or_else(|| OF_ONE.corrupt("its server is not known"))?;
            let mut script = scripts::SEAL_PARTITION.prepare_invoke();
            script
                .key(self.keys.partition(*partition).state())
                .arg(state.vouching.get())
                .arg(state.mark.position)
                .arg(vouching.get())
                .arg(&*server);
            scripts.push((*partition, script));
        }
        self.lanes.run(OF_ONE, scripts).await.map(drop)
    }

    async fn owed(&mut self) -> StoreResult<Vec<NewEntry>> {
        let mut owed = Vec::new();
        for lane in &mut self.lanes.all {
            let Some(server) = lane.server.clone() else { continue };
            let mut pipeline = redis::pipe();
            for partition in &lane.partitions {
                let key = self.keys.partition(*partition).owed();
                pipeline.cmd("HSCAN").arg(key).arg(0).arg("COUNT").arg(OWED_PAGE);
            }
            let entry = Entry { place: OWED, key: "of any partition" };
            for page in lane.answers(&server, pipeline).await? {
                if matches!(page, Value::ServerError(_)) {
                    continue;
                }
                let (_, page): (u64, HashMap<String, String>) = entry.convert(page)?;
                for (id, words) in &page {
                    owed.push(orders::owed(Entry { place: OWED, key: id }, id, words)?);
                }
            }
        }
        Ok(owed)
    }
}
