//! How a revocation waits for Redis' own replicas, and for its log on disk.
//!
//! A *fence* is written behind what was revoked, and it is waited until enough replicas have that:
//! replication is one stream in one order, so a replica that has the fence has all that stood before it. `WAIT`
//! counts what its own connection has written, and holds up whatever else is sent over it. Hence the
//! script that writes the fence and the `WAIT` go over a connection that nothing else uses meanwhile, out
//! of a pool. Who waits here finds all of it confirmed, whoever has carried it out.
//!
//! The pool's connections are opened as all others are, and `deadpool-redis` asks each for a sign of life
//! before it is used again. Which server one leads to is asked when the replicas have answered: what they
//! have is that server's history (model: SealIsTheServer).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult};
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult, Value};
use tokio::time::Instant;

use super::codec::{Answer, Entry};
use super::connection::{At, Connection, Live};
use super::errors::{CallError, backend_error, is_forbidden, unavailable};
use super::inspection::{self, RedisInspection};
use super::keys::Keys;
use super::options::RedisUrlError;
use super::scripts::{self, OrEval};
use super::time::span;
use crate::domain::partition::Partition;
use crate::metrics::{self, PoolUse};
use crate::store::patience;
use crate::store::vouching::{BackendError, BackendResult, Vouched};

/// The most connections. One is in use for as long as replicas take, or a log that is written once a second.
const CONNECTIONS_MAX: usize = 64;

/// The most of one partition of a Cluster.
const CONNECTIONS_OF_PARTITION_MAX: usize = 8;

/// Of how many servers, each in one history, it is remembered whether they keep a log.
const SERVERS_MAX: usize = 256;

/// How long replicas have to answer, of the time that an operation has: they answer within milliseconds, or
/// are behind, hung or away.
const REPLICAS_SHARE: (u32, u32) = (5, 8);

/// How long the log is waited for: Redis writes it once a second (`appendfsync everysec`) at the least, and
/// an end below that would refuse some of those who wait for nothing else.
const LOG_WAIT: Duration = Duration::from_millis(1_100);

/// How long the answer to that may take beside.
const ANSWER_WAIT: Duration = Duration::from_millis(100);

/// How long a fence is kept. It is never read.
const FENCE_KEPT: Duration = Duration::from_secs(60);

const FENCE: &str = "fence";

/// Not as many replicas have it as are to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{have} of {wanted} replicas have it so far")]
struct TooFewReplicas {
    have: u32,
    wanted: u32,
}

/// The log on disk has not got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not in the log on disk so far")]
struct NotInLog;

/// What revocations wait for.
pub(super) struct Replicas {
    /// One, or in a Cluster one for each partition, whose node may become another.
    pools: Mutex<HashMap<Option<Partition>, Pool<Opener>>>,
    shared: Arc<Connection>,
    keys: Keys,
    wanted: u32,
    operation_timeout: Duration,
    /// Of which servers it is known whether their log can be waited for.
    logs: Mutex<HashMap<String, bool>>,
}

impl Replicas {
    /// A pool of connections to where the shared one leads. Nothing is sent yet.
    ///
    /// # Errors
    /// [`RedisUrlError`].
    pub(super) fn new(shared: &Arc<Connection>, keys: Keys, wanted: u32) -> Result<Self, RedisUrlError> {
        // An address that the pool cannot use is told at once.
        let pool = new_pool(shared, Partition::EVERYBODY)?;
        let of = (!shared.is_cluster()).then_some((None, pool));
        Ok(Self {
            pools: Mutex::new(of.into_iter().collect()),
            shared: shared.clone(),
            keys,
            wanted,
            operation_timeout: shared.operation_timeout(),
            logs: Mutex::default(),
        })
    }

    fn pool_for(&self, partition: Partition) -> Result<Pool<Opener>, CallError> {
        let of = self.shared.is_cluster().then_some(partition);
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&of) {
            return Ok(pool.clone());
        }
        let pool = new_pool(&self.shared, partition).map_err(unavailable)?;
        Ok(pools.entry(of).or_insert(pool).clone())
    }

    /// How the connections are used just now, of all partitions.
    pub(super) fn use_of(&self) -> PoolUse {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let none = PoolUse { pool: metrics::Pool::TokenStoreReplicas, in_use: 0, idle: 0, max: 0 };
        pools.values().map(Pool::status).fold(none, |sum, pool| PoolUse {
            in_use: sum.in_use + pool.size.saturating_sub(pool.available),
            idle: sum.idle + pool.available,
            max: sum.max + pool.max_size,
            ..sum
        })
    }

    /// Returns once enough replicas, and the log where it can be waited for, have all that was carried out
    /// before in a partition, on the server that was vouched for.
    ///
    /// # Errors
    /// [`BackendError::Unvouched`] when another server answers, or the same with other data;
    /// [`BackendError::Store`] when too few replicas have it within the operation timeout, the log has it
    /// not within a second, or there is no answer. It is carried out all the same.
    pub(super) async fn have_it(&self, by: &Vouched, partition: Partition) -> BackendResult<()> {
        let key = self.keys.partition(partition).fence();
        let entry = Entry { place: FENCE, key: &key };
        let limit = self.operation_timeout;
        let waiting = patience::within(limit, self.wait_for_replicas(by, partition, entry)).await;
        let (mut connection, log) = waiting.map_err(|slow| backend_error(entry, unavailable(slow)))??;
        if log {
            let limit = LOG_WAIT + ANSWER_WAIT;
            let waiting = patience::within(limit, wait_for_log(&mut connection.redis)).await;
            let in_log = waiting.map_err(|slow| backend_error(entry, unavailable(slow)))?;
            match in_log {
                Ok(true) => {}
                Ok(false) => {
                    connection.give_back();
                    return Err(backend_error(entry, unavailable(NotInLog)));
                }
                Err(error) => {
                    // It may keep none any more.
                    self.logs.lock().unwrap_or_else(PoisonError::into_inner).remove(by.server(partition));
                    return Err(backend_error(entry, CallError::of(error)));
                }
            }
        }
        connection.give_back();
        Ok(())
    }

    /// Writes a fence and waits for the replicas; answers whether there is a log to wait for as well.
    async fn wait_for_replicas(
        &self,
        by: &Vouched,
        partition: Partition,
        entry: Entry<'_>,
    ) -> BackendResult<(Checkout, bool)> {
        let failed = |error: RedisError| backend_error(entry, CallError::of(error));
        let mut connection = self.check_out(partition).await.map_err(|error| backend_error(entry, error))?;
        let redis = &mut connection.redis;
        let log = self.log_of(by.server(partition), redis).await.map_err(failed)?;
        let mut script = scripts::WRITE_FENCE.prepare_invoke();
        script
            .key(entry.key)
            .key(self.keys.partition(partition).state())
            .arg(by.of(partition).vouching.get())
            .arg(span(FENCE_KEPT));
        let answer = script.invoke_async::<Value>(&mut OrEval::new(redis.clone())).await.map_err(failed)?;
        if Answer::read(entry, answer)?.verdict == "unvouched" {
            return Err(BackendError::Unvouched);
        }
        let (part, whole) = REPLICAS_SHARE;
        let limit = span(self.operation_timeout * part / whole);
        let wait = redis::cmd("WAIT").arg(self.wanted).arg(limit).to_owned();
        let have: u32 = wait.query_async(redis).await.map_err(failed)?;
        if inspection::server_of(redis).await.map_err(failed)? != by.server(partition) {
            return Err(BackendError::Unvouched);
        }
        if have < self.wanted {
            connection.give_back();
            let too_few = TooFewReplicas { have, wanted: self.wanted };
            return Err(backend_error(entry, unavailable(too_few)));
        }
        Ok((connection, log))
    }

    async fn check_out(&self, partition: Partition) -> Result<Checkout, CallError> {
        let (pool, asked) = (self.pool_for(partition)?, Instant::now());
        let status = pool.status();
        let got = pool.get().await;
        if status.available == 0 && status.size >= status.max_size {
            metrics::pool_waited(metrics::Pool::TokenStoreReplicas, asked.elapsed());
        }
        match got {
            Ok(connection) => Ok(Checkout::new(connection)),
            Err(PoolError::Backend(error)) => Err(CallError::of(error)),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Whether a server's log can be waited for. Asked once for each: it tells what it keeps, and does not
    /// have to be found out by a command that it does not know.
    async fn log_of(&self, server: &str, redis: &mut MultiplexedConnection) -> RedisResult<bool> {
        if let Some(log) = self.logs.lock().unwrap_or_else(PoisonError::into_inner).get(server) {
            return Ok(*log);
        }
        let info: String = redis::cmd("INFO").query_async(redis).await?;
        let log = RedisInspection::read(Some(&info), None).can_wait_for_log() && is_written(redis).await?;
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        if logs.len() >= SERVERS_MAX {
            // Most of them are gone, and the others are asked once more.
            logs.clear();
        }
        logs.insert(server.to_owned(), log);
        Ok(log)
    }
}

fn new_pool(shared: &Arc<Connection>, partition: Partition) -> Result<Pool<Opener>, RedisUrlError> {
    // Not the library's own words: they may repeat parts of the address.
    let malformed = || RedisUrlError::Malformed("such a connection is not made here".to_owned());
    let signs_of_life =
        deadpool_redis::Manager::new(shared.info().clone()).map_err(|_: RedisError| malformed())?;
    let max = if shared.is_cluster() { CONNECTIONS_OF_PARTITION_MAX } else { CONNECTIONS_MAX };
    let opener = Opener { shared: shared.clone(), place: At::partition(partition), signs_of_life };
    let pool = Pool::builder(opener).max_size(max).queue_mode(QueueMode::Lifo).build();
    pool.map_err(|_| malformed())
}

/// Whether Redis says that it writes its log at least once a second, and does not leave that to the
/// operating system (`appendfsync no`), which takes half a minute.
async fn is_written(redis: &mut MultiplexedConnection) -> RedisResult<bool> {
    let get = redis::cmd("CONFIG").arg("GET").arg("appendfsync").to_owned();
    match get.query_async::<Vec<String>>(redis).await {
        Ok(pair) => Ok(pair.get(1).is_some_and(|policy| policy != "no")),
        Err(error) if is_forbidden(error.kind()) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Waits until the log of the server that this leads to is on disk up to here. Not those of replicas: they
/// may keep none.
async fn wait_for_log(redis: &mut MultiplexedConnection) -> RedisResult<bool> {
    let wait = redis::cmd("WAITAOF").arg(1).arg(0).arg(span(LOG_WAIT)).to_owned();
    let (local, _): (u32, u32) = wait.query_async(redis).await?;
    Ok(local > 0)
}

impl std::fmt::Debug for Replicas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replicas").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

/// Opens the connections of the pool.
struct Opener {
    shared: Arc<Connection>,
    place: At<'static>,
    signs_of_life: deadpool_redis::Manager,
}

impl Manager for Opener {
    type Type = Live;
    type Error = RedisError;

    async fn create(&self) -> RedisResult<Live> {
        self.shared.open_another(self.place).await
    }

    async fn recycle(&self, live: &mut Live, metrics: &Metrics) -> RecycleResult<RedisError> {
        if self.shared.is_over(self.place, live) {
            return Err(RecycleError::message("the server has closed it, or is the master no more"));
        }
        self.signs_of_life.recycle(live.redis(), metrics).await
    }
}

/// A connection out of the pool. It goes back there only when nothing is under way on it: who is given up
/// while Redis waits would leave a connection behind that holds up the next one.
struct Checkout {
    redis: MultiplexedConnection,
    pooled: Option<Object<Opener>>,
}

impl Checkout {
    fn new(mut pooled: Object<Opener>) -> Self {
        Self { redis: pooled.redis().clone(), pooled: Some(pooled) }
    }

    fn give_back(mut self) {
        drop(self.pooled.take());
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if let Some(pooled) = self.pooled.take() {
            drop(Object::take(pooled));
        }
    }
}
