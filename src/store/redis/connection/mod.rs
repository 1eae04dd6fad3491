//! The connections to Redis: bounded waits, reconnection, and a circuit breaker.
//!
//! All operations share one multiplexed connection, or one to each node of a Cluster. It is replaced as soon as a call on it breaks
//! or gets no answer in time: a connection whose other end has silently gone (failover, network
//! partition) looks healthy to TCP for many minutes, and redis' own `ConnectionManager` keeps such
//! a one, as it keeps for ever what failed at first for another reason than I/O. It is replaced as well
//! when the server that it leads to answers that it is the wrong one.
//!
//! A connection that was closed while it was idle costs no answer: the end is noticed before
//! anything is sent, and what the end overtook is sent on the next one. What may have been sent is
//! never sent again: it may have been done.

mod at;
mod channel;
mod cluster;
mod dialer;
mod in_turn;
mod live;
mod node;
mod sentinel;
mod verdict;
mod waiting;
mod wiring;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionLike as _;
use redis::{
    Cmd, ConnectionInfo, ErrorKind, Pipeline, RedisError, RedisResult, Script, ScriptInvocation,
    ServerErrorKind, Value,
};

use self::channel::Channel;
use self::cluster::Cluster;
use self::dialer::{Dialer, Target};
use self::node::{Node, Patience, has_moved};
use self::sentinel::Sentinels;
use self::wiring::Wiring;
use super::codec::{Answer, Entry};
use super::errors::{CallError, backend_error, unavailable};
use super::options::{Address, LedBy, RedisOptions, RedisUrlError};
use super::scripts::OrEval;
use super::wire;
use crate::domain::partition::Partition;
use crate::store::patience;
use crate::store::vouching::BackendResult;

pub(super) use self::at::At;
pub(super) use self::cluster::Seeds;
pub use self::cluster::{CLUSTER_SLOTS, ClusterNode, ClusterView};
pub(super) use self::live::Live;
pub(super) use self::sentinel::Watched;
pub use self::sentinel::{SentinelReport, SentinelView};
pub(super) use self::waiting::WaitingConnection;

/// The connections that all operations share: one, or one to each node of a Cluster.
pub(super) struct Connection {
    way: Way,
    info: ConnectionInfo,
    patience: Patience,
    address: String,
}

/// Where commands go.
enum Way {
    /// To one server, or the one that Sentinels lead to.
    One(Arc<Node>),
    /// To the node that has the slot.
    Cluster(Arc<Cluster>),
}

impl Connection {
    /// Prepares a connection; nothing is sent before the first operation.
    pub(super) fn lazy(url: &str, options: RedisOptions) -> Result<Self, RedisUrlError> {
        let Address { info, led_by, shown } = Address::parse(url)?;
        // Files of our own are small, and a mistake in them is told at once.
        let own_tls = match options.tls.is_default() {
            true => None,
            false => {
                Some(wire::tls_config(&options.tls).map_err(|error| RedisUrlError::Tls(error.to_string()))?)
            }
        };
        let (wiring, patience) = (Wiring::new(own_tls), Patience::from(&options));
        let account = info.redis_settings().clone();
        let one = |target| {
            let dialer = Dialer::new(info.addr().clone(), account.clone(), target, wiring.clone());
            Way::One(Arc::new(Node::new(dialer, patience)))
        };
        let way = match led_by {
            LedBy::Nobody => one(Target::One),
            LedBy::Sentinels(watched) => {
                one(Target::Sentinels(Arc::new(Sentinels::new(watched, wiring.clone()))))
            }
            LedBy::Cluster(seeds) => Way::Cluster(Arc::new(Cluster::new(seeds, account, wiring, patience))),
        };
        Ok(Self { way, info, patience, address: shown })
    }

    /// As whom it connects and to which database; where to, too, unless somebody else says that.
    pub(super) fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// The longest that one operation takes.
    pub(super) fn operation_timeout(&self) -> Duration {
        self.patience.operation_timeout
    }

    /// What the Sentinels say, where they are asked: each of them.
    pub(super) async fn ask_sentinels(&self) -> Option<SentinelView> {
        let Way::One(node) = &self.way else { return None };
        Some(node.dialer.sentinels()?.view().await)
    }

    /// Whether it is a Cluster.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.way, Way::Cluster(_))
    }

    /// What the nodes of a Cluster say, where it is one.
    pub(super) async fn ask_cluster(&self) -> Option<RedisResult<ClusterView>> {
        let Way::Cluster(cluster) = &self.way else { return None };
        Some(cluster.view().await)
    }

    /// The partitions that each server has: of a Cluster, those that nobody has are left out.
    ///
    /// # Errors
    /// [`CallError`], within the operation timeout.
    pub(super) async fn groups(&self) -> Result<Vec<Vec<Partition>>, CallError> {
        let Way::Cluster(cluster) = &self.way else { return Ok(vec![Partition::all().collect()]) };
        let asking = patience::within(self.operation_timeout(), cluster.groups());
        asking.await.map_err(unavailable)?.map_err(CallError::of)
    }

    /// Whether a connection is of no use any more for what is there.
    pub(super) fn is_over(&self, at: At<'_>, live: &Live) -> bool {
        match &self.way {
            Way::One(node) => node.dialer.is_over(live),
            Way::Cluster(cluster) => live.wire.has_ended() || cluster.has_moved_from(at.slot, &live.address),
        }
    }

    /// Opens a connection beside the shared one.
    pub(super) async fn open_another(&self, at: At<'_>) -> RedisResult<Live> {
        self.node(at).await?.dialer.open_another().await
    }

    async fn node(&self, at: At<'_>) -> RedisResult<Arc<Node>> {
        match &self.way {
            Way::One(node) => Ok(node.clone()),
            Way::Cluster(cluster) => cluster.node(at.slot).await,
        }
    }

    /// A connection beside the shared one has given no answer.
    pub(super) fn has_gone_silent(&self) {
        if let Way::Cluster(cluster) = &self.way {
            cluster.look_soon();
        }
    }

    /// A connection beside the shared one has failed: the slots may be elsewhere by now. Answers whether it is known
    /// that they are.
    pub(super) fn has_heard(&self, error: &RedisError) -> bool {
        self.has_gone_silent();
        has_moved(error)
    }

    /// Runs one operation on the connection to where that is, which is opened if need be; on that server alone, where
    /// one is named (model: SealIsTheServer).
    ///
    /// # Errors
    /// [`CallError`], always within the operation timeout, and once as much where the slots have to be asked for.
    pub(super) async fn run<T, Operation, Running>(
        &self,
        at: At<'_>,
        operation: Operation,
    ) -> Result<T, CallError>
    where
        Operation: FnOnce(Channel) -> Running,
        Running: Future<Output = RedisResult<T>>,
    {
        let cluster = match &self.way {
            Way::One(node) => return node.run(None, at.server, operation).await,
            Way::Cluster(cluster) => cluster,
        };
        let asking = patience::within(self.operation_timeout(), cluster.node(at.slot));
        let node = asking.await.map_err(unavailable)?.map_err(CallError::of)?;
        node.run(Some(cluster), at.server, operation).await
    }

    /// Reads what is about `entry`, on a master alone: a server that was demoted goes on answering over an open
    /// connection, and what the new master has taken since comes to it late. Asked last: whoever is the master then
    /// was it before (model: OnlyAMasterJudges).
    ///
    /// # Errors
    /// As [`run`](Self::run); a server that is no master is unavailable.
    pub(super) async fn read(
        &self,
        at: At<'_>,
        entry: Entry<'_>,
        pipeline: Pipeline,
    ) -> BackendResult<Vec<Value>> {
        self.ask_master(at, pipeline).await.map_err(|error| backend_error(entry, error))
    }

    /// The same, about anything.
    ///
    /// # Errors
    /// As [`run`](Self::run); a server that is no master is unavailable.
    pub(super) async fn ask_master(
        &self,
        at: At<'_>,
        mut pipeline: Pipeline,
    ) -> Result<Vec<Value>, CallError> {
        pipeline.cmd("ROLE");
        self.run(at, |mut redis| async move {
            let mut answers: Vec<Value> = pipeline.query_async(&mut redis).await?;
            match answers.pop() {
                Some(role) if is_master(&role) => Ok(answers),
                _ => Err(no_master()),
            }
        })
        .await
    }

    /// Runs a script that only reads, on a master alone; `None` where Redis refuses it, whatever for. Where it did not
    /// know it, it does by now.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(super) async fn read_by(
        &self,
        at: At<'_>,
        script: &'static Script,
        call: Cmd,
    ) -> Result<Option<Value>, CallError> {
        self.run(at, |mut redis| async move {
            let mut pipeline = redis::pipe();
            pipeline.add_command(call).cmd("ROLE");
            let answers = redis.req_packed_commands(&pipeline, 0, 2).await?;
            match answers.as_slice() {
                [Value::ServerError(refusal), _] => {
                    if refusal.kind() == Some(ServerErrorKind::NoScript) {
                        // Where it takes none, it is not to be asked by one.
                        let _ = script.load_async(&mut redis).await;
                    }
                    Ok(None)
                }
                [answer, role] if is_master(role) => Ok(Some(answer.clone())),
                _ => Err(no_master()),
            }
        })
        .await
    }

    /// Runs a script that is about `entry`.
    ///
    /// # Errors
    /// As [`run`](Self::run), or when the answer means nothing.
    pub(super) async fn call(
        &self,
        at: At<'_>,
        entry: Entry<'_>,
        script: ScriptInvocation<'static>,
    ) -> BackendResult<Answer> {
        let value = self
            .run(at, |redis| async move { script.invoke_async::<Value>(&mut OrEval::new(redis)).await })
            .await
            .map_err(|error| backend_error(entry, error))?;
        Ok(Answer::read(entry, value)?)
    }
}

fn no_master() -> RedisError {
    RedisError::from((ErrorKind::Server(ServerErrorKind::ReadOnly), "the server is no master any more"))
}

/// What `ROLE` answers begins with the role.
fn is_master(role: &Value) -> bool {
    match role {
        Value::Array(words) => matches!(words.first(), Some(Value::BulkString(role)) if role == b"master"),
        _ => false,
    }
}

/// Host, port and database only.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn debug_shows_where_but_no_secret() {
        for (url, shown) in [
            ("rediss://ada:hunter2@redis.example:6380/3?x=hunter2", "rediss://redis.example:6380/3"),
            (
                "redis+sentinel://ada:hunter2@one,two:1/main/3?sentinel_username=ada&sentinel_password=hunter2",
                "redis+sentinel://one:26379,two:1/main/3",
            ),
            ("redis+cluster://ada:hunter2@one,two:1", "redis+cluster://one:6379,two:1"),
        ] {
            let connection = Connection::lazy(url, RedisOptions::default()).expect("a connection");
            let text = format!("{connection:?}");
            assert!(text.contains(shown), "{text}");
            assert!(!text.contains("hunter2") && !text.contains("ada"), "{text}");
        }
    }
}
