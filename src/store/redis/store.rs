//! The store in Redis, and how it is asked.

use std::sync::Arc;

use futures_util::future::join_all;
use redis::{ScriptInvocation, Value};

use super::checks::Checks;
use super::codec::{Answer, Entry, Fields};
use super::connection::{At, ClusterView, Connection, SentinelView};
use super::errors::{CallError, backend_error, is_forbidden, store_error};
use super::inspection::RedisInspection;
use super::keys::{Keys, PartitionKeys};
use super::mirrors::Mirrors;
use super::options::{RedisOptions, RedisUrlError};
use super::replicas::Replicas;
use super::standing::{STANDING_FIELDS, standing_incarnation};
use super::time::{StoreTime, Time};
use crate::domain::clock::Timestamp;
use crate::domain::deployment::DeploymentMark;
use crate::domain::partition::Partition;
use crate::metrics::PoolUse;
use crate::store::error::{StoreError, StoreResult};
use crate::store::pools::Pooled;
use crate::store::vouching::{BackendError, BackendResult, Vouched};

/// A [`TokenBackend`](crate::store::backend::TokenBackend) in Redis, over one multiplexed connection to each server.
#[derive(Debug)]
pub struct RedisTokenStore {
    pub(super) connection: Arc<Connection>,
    pub(super) keys: Keys,
    pub(super) mirrors: Mirrors,
    /// What revocations wait for, where the settings say so.
    pub(super) replicas: Option<Replicas>,
    pub(super) time: StoreTime,
    /// Who waits for the next check of access tokens.
    pub(super) checks: Arc<Checks>,
}

/// Why a store could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be used.
    #[error(transparent)]
    Url(#[from] RedisUrlError),
    /// Redis did not answer.
    #[error("Redis does not answer")]
    Unreachable(#[source] StoreError),
}

impl RedisTokenStore {
    /// A store that connects on its first operation and again whenever the connection is lost, so
    /// that the service starts without Redis and recovers when Redis comes. Nothing is sent yet. All
    /// its keys begin with `mark`; those that begin with another are another deployment's.
    ///
    /// # Errors
    /// [`RedisUrlError`] when `url` is not the address of a Redis
    /// (`redis[s]://[[user]:password@]host[:port][/database]`, or `unix://` and a path) nor that of Sentinels
    /// ([`SentinelUrl`](crate::domain::sentinel_url::SentinelUrl)) or of a Cluster
    /// ([`ClusterUrl`](crate::domain::cluster_url::ClusterUrl)).
    pub fn connect_lazy(
        url: &str,
        mark: &DeploymentMark,
        options: RedisOptions,
    ) -> Result<Self, RedisUrlError> {
        let wait_replicas = options.wait_replicas;
        let connection = Arc::new(Connection::lazy(url, options)?);
        let keys = Keys::new(mark);
        let replicas = match wait_replicas {
            0 => None,
            wanted => Some(Replicas::new(&connection, keys.clone(), wanted)?),
        };
        Ok(Self {
            mirrors: Mirrors::new(connection.clone(), keys.everybody()),
            replicas,
            connection,
            keys,
            time: StoreTime::default(),
            checks: Arc::default(),
        })
    }

    /// The same store, that decides by what is known of its clock.
    #[must_use]
    pub fn with_time(self, time: StoreTime) -> Self {
        Self { time, ..self }
    }

    /// The same, and sees that Redis answers, within [`RedisOptions::operation_timeout`].
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(
        url: &str,
        mark: &DeploymentMark,
        options: RedisOptions,
    ) -> Result<Self, ConnectError> {
        let store = Self::connect_lazy(url, mark, options)?;
        store.answers().await.map_err(ConnectError::Unreachable)?;
        Ok(store)
    }

    /// What this Redis says about itself: whether it may forget keys (`maxmemory-policy`), what it
    /// keeps on disk, and its version; of several servers the worst. Managed services that forbid `INFO` leave all
    /// unknown, and those that forbid `CONFIG` whether it keeps snapshots.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: no server answers.
    pub async fn inspect(&self) -> StoreResult<RedisInspection> {
        let asked = self.each_server("INFO", |partition| self.inspect_one(At::partition(partition))).await?;
        let worst = asked.into_iter().reduce(RedisInspection::worse_of);
        Ok(worst.unwrap_or(RedisInspection::UNKNOWN))
    }

    async fn inspect_one(&self, at: At<'static>) -> StoreResult<RedisInspection> {
        let info: Option<String> = self.ask_if_allowed(at, "INFO", redis::cmd("INFO")).await?;
        let get = redis::cmd("CONFIG").arg("GET").arg("save").to_owned();
        // A name and a value, or nothing where there is no such setting.
        let save: Option<Vec<String>> = self.ask_if_allowed(at, "CONFIG GET", get).await?;
        let save_points = save.as_ref().and_then(|pair| pair.get(1)).map(String::as_str);
        Ok(RedisInspection::read(info.as_deref(), save_points))
    }

    /// Asks every server, by a partition that it has, of which one or several may be away; answers what the others say.
    pub(super) async fn each_server<T, Asking>(
        &self,
        name: &'static str,
        ask: impl Fn(Partition) -> Asking,
    ) -> StoreResult<Vec<T>>
    where
        Asking: Future<Output = StoreResult<T>>,
    {
        let groups = self.connection.groups().await;
        let groups = groups.map_err(|error| store_error(Entry { place: "server", key: name }, error))?;
        let first: Vec<Partition> = groups.iter().filter_map(|group| group.first().copied()).collect();
        let asked = join_all(first.into_iter().map(ask)).await;
        let (answers, errors): (Vec<_>, Vec<_>) = asked.into_iter().partition(Result::is_ok);
        match (errors.into_iter().find_map(Result::err), answers.is_empty()) {
            (Some(error), true) => Err(error),
            _ => Ok(answers.into_iter().flatten().collect()),
        }
    }

    /// What the nodes of a Cluster say, where the address is theirs; an error where none says who they are.
    pub async fn ask_cluster(&self) -> Option<StoreResult<ClusterView>> {
        let view = self.connection.ask_cluster().await?;
        Some(
            view.map_err(|error| {
                store_error(Entry { place: "server", key: "CLUSTER" }, CallError::of(error))
            }),
        )
    }

    /// What the Sentinels say of the master, where the address is theirs.
    pub async fn ask_sentinels(&self) -> Option<SentinelView> {
        self.connection.ask_sentinels().await
    }

    /// What time it is by the clock of Redis; of several servers by the one that is ahead.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn time(&self) -> StoreResult<Timestamp> {
        let entry = Entry { place: "server", key: "TIME" };
        let ask = |partition| async move {
            let asking = self.connection.run(At::partition(partition), |mut redis| async move {
                redis::cmd("TIME").query_async::<Time>(&mut redis).await
            });
            asking.await.map_err(|error| store_error(entry, error))
        };
        let latest = self.each_server(entry.key, ask).await?.into_iter().max();
        latest.map(|time| self.time.shown(time)).ok_or_else(|| entry.corrupt("no server answers"))
    }

    /// Whether Redis answers: of several servers one.
    pub(super) async fn answers(&self) -> StoreResult<()> {
        let entry = Entry { place: "server", key: "PING" };
        let ask = |partition| async move {
            let asking = self.connection.run(At::partition(partition), |mut redis| async move {
                redis::cmd("PING").query_async::<()>(&mut redis).await
            });
            asking.await.map_err(|error| store_error(entry, error))
        };
        self.each_server(entry.key, ask).await.map(drop)
    }

    /// Runs a script on the server that was vouched for (model: SealIsTheServer), which compares the vouching
    /// (model: VouchingIsPassed).
    pub(super) async fn call(
        &self,
        by: &Vouched,
        partition: Partition,
        entry: Entry<'_>,
        script: ScriptInvocation<'static>,
    ) -> BackendResult<Answer> {
        let answer = self.connection.call(At::vouched(by, partition), entry, script).await?;
        match answer.verdict.as_str() {
            "unvouched" => Err(BackendError::Unvouched),
            "implausible" => {
                self.time.has_jumped();
                Err(BackendError::Unvouched)
            }
            _ => Ok(answer),
        }
    }

    /// Runs one command on the server that was vouched for.
    /// (model: SealIsTheServer)
    pub(super) async fn ask_vouched(
        &self,
        by: &Vouched,
        partition: Partition,
        entry: Entry<'_>,
        command: redis::Cmd,
    ) -> BackendResult<Value> {
        self.connection
            .run(At::vouched(by, partition), |mut redis| async move { command.query_async(&mut redis).await })
            .await
            .map_err(|error| backend_error(entry, error))
    }

    /// The same, and sees that the data of a partition is what was vouched for. Asked afterwards: data that
    /// was vouched for anew, or lost, in between counts for nothing. Answers what the clock shows as well.
    /// (model: VouchingIsPassed)
    pub(super) async fn ask_standing(
        &self,
        by: &Vouched,
        entry: Entry<'_>,
        partition: &PartitionKeys,
        command: redis::Cmd,
    ) -> BackendResult<(Value, Timestamp)> {
        let mut pipeline = redis::pipe();
        pipeline.add_command(command).cmd("HMGET").arg(partition.state()).arg(&STANDING_FIELDS).cmd("TIME");
        let at = At::vouched(by, partition.partition());
        let answers = self.connection.read(at, entry, pipeline).await?;
        let (answer, standing, shown): (Value, Fields, Time) = entry.convert(Value::Array(answers))?;
        standing_incarnation(entry, by.of(partition.partition()), &standing)?;
        Ok((answer, self.time.decisive(shown)?))
    }

    /// Returns once no replica of this Redis' mirrors can be without what was revoked before.
    /// (model: RevocationWaitsForMirrors)
    pub(super) async fn pass_on(&self, by: &Vouched) -> BackendResult<()> {
        Ok(self.mirrors.have_caught_up(by.server(Partition::EVERYBODY)).await?)
    }

    /// What Redis answers; `None` where it may not be asked that.
    async fn ask_if_allowed<T>(
        &self,
        at: At<'static>,
        name: &'static str,
        command: redis::Cmd,
    ) -> StoreResult<Option<T>>
    where
        T: redis::FromRedisValue + Send + 'static,
    {
        let asking = self.connection.run(at, |mut redis| async move {
            match command.query_async::<T>(&mut redis).await {
                Err(error) if is_forbidden(error.kind()) => Ok(None),
                answer => answer.map(Some),
            }
        });
        asking.await.map_err(|error| store_error(Entry { place: "server", key: name }, error))
    }
}

/// All operations share one connection to each server, but those that wait for its replicas.
impl Pooled for RedisTokenStore {
    fn pools(&self) -> Vec<PoolUse> {
        self.replicas.iter().map(Replicas::use_of).collect()
    }
}
