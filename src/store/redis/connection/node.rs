//! One server, or the one that Sentinels lead to: the connection that all operations share there, and a circuit
//! breaker.

use std::sync::Arc;
use std::time::Duration;

use redis::{ConnectionAddr, ErrorKind, RedisConnectionInfo, RedisError, RedisResult, ServerErrorKind};

use super::channel::Channel;
use super::cluster::{Cluster, NodePlace};
use super::dialer::{Dialer, Target};
use super::verdict::{Verdict, verdict};
use super::wiring::Wiring;
use crate::metrics;
use crate::store::breaker::Breaker;
use crate::store::patience;
use crate::store::redis::errors::{CallError, unavailable};
use crate::store::redis::options::RedisOptions;

/// How long a server is waited for, and when it is not asked any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// The longest that one operation takes.
    pub(super) operation_timeout: Duration,
    breaker_threshold: u32,
    breaker_pause: Duration,
}

impl From<&RedisOptions> for Patience {
    fn from(options: &RedisOptions) -> Self {
        Self {
            operation_timeout: options.operation_timeout,
            breaker_threshold: options.breaker_threshold,
            breaker_pause: options.breaker_pause,
        }
    }
}

/// A server.
pub(super) struct Node {
    pub(super) dialer: Dialer,
    patience: Patience,
    breaker: Breaker,
    /// Which one of a Cluster.
    place: Option<NodePlace>,
}

impl Node {
    pub(super) fn new(dialer: Dialer, patience: Patience) -> Self {
        let breaker =
            Breaker::new(metrics::Store::TokenStore, patience.breaker_threshold, patience.breaker_pause);
        Self { dialer, patience, breaker, place: None }
    }

    /// One of a Cluster.
    pub(super) fn of_cluster(
        place: NodePlace,
        address: ConnectionAddr,
        account: RedisConnectionInfo,
        wiring: Wiring,
        patience: Patience,
    ) -> Self {
        let dialer = Dialer::new(address, account, Target::NodeOfCluster, wiring);
        Self { place: Some(place), ..Self::new(dialer, patience) }
    }

    /// Runs one operation on the shared connection, which is opened if need be; on that server alone, where one
    /// is named (model: SealIsTheServer).
    ///
    /// # Errors
    /// [`CallError`], always within the operation timeout.
    pub(super) async fn run<T, Operation, Running>(
        self: &Arc<Self>,
        cluster: Option<&Arc<Cluster>>,
        server: Option<&str>,
        operation: Operation,
    ) -> Result<T, CallError>
    where
        Operation: FnOnce(Channel) -> Running,
        Running: Future<Output = RedisResult<T>>,
    {
        let permit = self.breaker.acquire().map_err(unavailable)?;
        let mut used = None;
        let attempt = patience::within(self.patience.operation_timeout, async {
            let live = self.dialer.live().await?;
            used = Some(live.clone());
            match server {
                Some(server) if *server != *live.server => Ok(None),
                _ => {
                    let is_bound = server.is_some();
                    let channel = Channel { node: self.clone(), cluster: cluster.cloned(), live, is_bound };
                    operation(channel).await.map(Some)
                }
            }
        });
        let result = match attempt.await {
            Ok(result) => result,
            Err(too_slow) => {
                self.dialer.discard(used.map(|live| live.number));
                permit.failed();
                if let Some(cluster) = cluster {
                    cluster.look_soon();
                }
                return Err(unavailable(too_slow));
            }
        };
        match result {
            Ok(Some(answer)) => {
                permit.succeeded();
                Ok(answer)
            }
            Ok(None) => {
                permit.succeeded();
                // What it leads to may have another history by now than when it was opened.
                self.dialer.discard(used.map(|live| live.number));
                Err(CallError::Unvouched)
            }
            Err(error) => {
                let is_left = used.as_ref().is_some_and(|live| live.is_to_be_left(&error));
                if is_left || verdict(&error) == Verdict::Broken {
                    self.dialer.discard(used.map(|live| live.number));
                }
                // An answer, even a refusal, shows that Redis is there: waiting is no problem then.
                let is_answer = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
                if is_answer {
                    permit.succeeded()
                } else {
                    permit.failed()
                }
                if let Some(cluster) = cluster.filter(|_| is_left || !is_answer) {
                    cluster.look_soon();
                }
                let is_led = cluster.is_some() || self.dialer.sentinels().is_some();
                // It was refused and not done: who asks looks at the new master, and repeats it there.
                if server.is_some() && (is_left && is_led || has_moved(&error)) {
                    return Err(CallError::Unvouched);
                }
                Err(CallError::of(error))
            }
        }
    }

    /// Where a node of a Cluster sends whoever asks for a slot that it has not.
    pub(super) fn redirect(&self, cluster: &Arc<Cluster>, error: &RedisError) -> Option<NodePlace> {
        cluster.redirected(error, self.place.as_ref()?)
    }
}

/// Whether a slot is elsewhere: nothing was done.
pub(super) fn has_moved(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::Moved)
}
