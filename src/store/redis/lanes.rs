//! The servers that Redis is made of, and what each says of its partitions: one, or the masters of a Cluster.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use redis::aio::ConnectionLike;
use redis::{Pipeline, RedisError, ScriptInvocation, ServerErrorKind, Value};

use super::codec::{Answer, Entry, Fields};
use super::connection::{At, Connection, WaitingConnection};
use super::errors::store_error;
use super::keys::Keys;
use super::time::Time;
use crate::domain::journal::{EntryId, Mark, VouchingId};
use crate::domain::partition::Partition;
use crate::store::error::StoreResult;
use crate::store::examination::PartitionState;

pub(super) const STATE: &str = "state of a partition";
pub(super) const OF_ANY: Entry<'_> = Entry { place: STATE, key: "of any partition" };

/// The fields of a `state`.
const STATE_FIELDS: [&str; 5] = ["incarnation", "vouching", "mark", "entry", "seal"];

/// How much longer than a single operation a batch of entries may take.
pub(super) const REPLAY_WAIT: Duration = Duration::from_secs(2);

/// A connection to each server.
pub(super) struct Lanes {
    shared: Arc<Connection>,
    pub(super) all: Vec<Lane>,
}

/// A server, and what it has.
pub(super) struct Lane {
    pub(super) partitions: Vec<Partition>,
    pub(super) connection: WaitingConnection,
    /// Which server was looked at: what follows is done to no other. `None` where none answers.
    pub(super) server: Option<Arc<str>>,
}

/// What a server says of its partitions.
pub(super) struct Part {
    pub(super) server: Arc<str>,
    /// `None` where it says of one that another has it, or is being given it.
    pub(super) states: Vec<Option<(Option<PartitionState>, bool)>>,
    pub(super) time: Time,
}

impl Lane {
    /// First who answers, then what it holds; the heads are read after both (model: IdentityBeforeHeads).
    pub(super) async fn look(&mut self, keys: &Keys) -> StoreResult<Part> {
        self.server = None;
        // The server may have got another history over an open connection, too. Asked before what it
        // holds: that may only be newer.
        let server = self.connection.identify().await.map_err(|error| store_error(OF_ANY, error))?;
        let mut pipeline = redis::pipe();
        for partition in &self.partitions {
            let keys = keys.partition(*partition);
            pipeline.cmd("HMGET").arg(keys.state()).arg(&STATE_FIELDS);
            pipeline.cmd("EXISTS").arg(keys.owed());
        }
        pipeline.cmd("TIME");
        let mut answers = self.answers(&server, pipeline).await?;
        let time = OF_ANY.convert(answers.pop().unwrap_or(Value::Nil))?;
        let mut states = Vec::with_capacity(self.partitions.len());
        for pair in answers.chunks(2) {
            let [state, owed] = pair else { break };
            states.push(match (state, owed) {
                (Value::ServerError(_), _) | (_, Value::ServerError(_)) => None,
                (state, owed) => {
                    Some((read_state(OF_ANY, OF_ANY.convert(state.clone())?)?, OF_ANY.convert(owed.clone())?))
                }
            });
        }
        let server: Arc<str> = server.into();
        self.server = Some(server.clone());
        Ok(Part { server, states, time })
    }

    /// Each answer, where it is a refusal of one slot as well.
    pub(super) async fn answers(&mut self, server: &str, pipeline: Pipeline) -> StoreResult<Vec<Value>> {
        let asking = self.connection.run(Some(server), Duration::ZERO, |mut redis| async move {
            let count = pipeline.cmd_iter().count();
            let answers = redis.req_packed_commands(&pipeline, 0, count).await?;
            match answers.iter().find_map(refusal_of_all) {
                Some(error) => Err(error),
                None => Ok(answers),
            }
        });
        let answers = asking.await.map_err(|error| store_error(OF_ANY, error))?;
        if answers.iter().any(|answer| matches!(answer, Value::ServerError(_))) {
            self.connection.has_other_slots();
        }
        Ok(answers)
    }

    /// Runs scripts one after the other without waiting in between; answers their verdicts.
    async fn run(
        &mut self,
        entry: Entry<'_>,
        scripts: Vec<ScriptInvocation<'static>>,
    ) -> StoreResult<Vec<String>> {
        let running = self.connection.run(self.server.as_deref(), REPLAY_WAIT, |redis| async move {
            let mut answers = Vec::with_capacity(scripts.len());
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
        answers.into_iter().map(|answer| Ok(Answer::read(entry, answer)?.verdict)).collect()
    }
}

/// What a node of a Cluster refuses for its slot is of that slot alone.
fn refusal_of_all(answer: &Value) -> Option<RedisError> {
    let Value::ServerError(error) = answer else { return None };
    let is_of_slot = matches!(
        error.kind(),
        Some(
            ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
        )
    );
    (!is_of_slot).then(|| error.clone().into())
}

impl Lanes {
    pub(super) fn new(shared: Arc<Connection>) -> Self {
        Self { shared, all: Vec::new() }
    }

    /// A connection to each server that there is by now.
    pub(super) async fn divide(&mut self) -> StoreResult<()> {
        let groups = self.shared.groups().await.map_err(|error| store_error(OF_ANY, error))?;
        if groups.iter().eq(self.all.iter().map(|lane| &lane.partitions)) {
            return Ok(());
        }
        let lane = |partitions: Vec<Partition>| {
            let place = At::partition(*partitions.first()?);
            let connection = WaitingConnection::new(self.shared.clone(), place);
            Some(Lane { partitions, connection, server: None })
        };
        self.all = groups.into_iter().filter_map(lane).collect();
        Ok(())
    }

    /// The same, unless that was done before.
    pub(super) async fn divide_once(&mut self) -> StoreResult<()> {
        if self.all.is_empty() { self.divide().await } else { Ok(()) }
    }

    /// The connection to a partition's server.
    pub(super) fn of(&mut self, partition: Partition) -> StoreResult<&mut Lane> {
        let found = self.all.iter_mut().find(|lane| lane.partitions.contains(&partition));
        found.ok_or_else(|| OF_ANY.corrupt("nobody has it"))
    }

    /// Runs scripts of a partition each, one after the other without waiting in between; answers their verdicts.
    pub(super) async fn run(
        &mut self,
        entry: Entry<'_>,
        scripts: Vec<(Partition, ScriptInvocation<'static>)>,
    ) -> StoreResult<Vec<String>> {
        let mut verdicts: Vec<(usize, String)> = Vec::with_capacity(scripts.len());
        let mut waiting: Vec<_> = scripts.into_iter().enumerate().collect();
        while let Some((_, (first, _))) = waiting.first() {
            let lane = self.of(*first)?;
            let (own, others): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|(_, (partition, _))| lane.partitions.contains(partition));
            waiting = others;
            let (indexes, scripts): (Vec<_>, Vec<_>) =
                own.into_iter().map(|(index, (_, script))| (index, script)).unzip();
            let answers = lane.run(entry, scripts).await?;
            verdicts.extend(indexes.into_iter().zip(answers));
        }
        verdicts.sort_by_key(|(index, _)| *index);
        Ok(verdicts.into_iter().map(|(_, verdict)| verdict).collect())
    }

    /// Where the lease is kept: with the first partition that a server answers for, from everybody's on.
    pub(super) fn lease_place(&self) -> Partition {
        let answers = |partition: &Partition| {
            self.all.iter().any(|lane| lane.server.is_some() && lane.partitions.contains(partition))
        };
        let mut places = std::iter::once(Partition::EVERYBODY).chain(Partition::users());
        places.find(answers).unwrap_or(Partition::EVERYBODY)
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
