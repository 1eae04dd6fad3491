//! The store in one Redis, and how it is asked.

use std::sync::Arc;

use redis::{ScriptInvocation, Value};

use super::codec::{Answer, Entry, Fields};
use super::connection::{Connection, SentinelView};
use super::errors::{backend_error, is_forbidden, store_error};
use super::inspection::RedisInspection;
use super::keys::{Keys, PartitionKeys};
use super::mirrors::Mirrors;
use super::options::{RedisOptions, RedisUrlError};
use super::replicas::Replicas;
use super::standing::{STANDING_FIELDS, standing_incarnation};
use super::time::{StoreTime, Time};
use crate::domain::clock::Timestamp;
use crate::domain::deployment::DeploymentMark;
use crate::store::error::{StoreError, StoreResult};
use crate::store::vouching::{BackendError, BackendResult, Vouched};

/// A [`TokenBackend`](crate::store::backend::TokenBackend) in one Redis, over one multiplexed connection.
#[derive(Debug)]
pub struct RedisTokenStore {
    pub(super) connection: Arc<Connection>,
    pub(super) keys: Keys,
    pub(super) mirrors: Mirrors,
    /// What revocations wait for, where the settings say so.
    pub(super) replicas: Option<Replicas>,
    pub(super) time: StoreTime,
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
    /// ([`SentinelUrl`](crate::domain::sentinel_url::SentinelUrl)).
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
            wanted => Some(Replicas::new(&connection, keys.everybody(), wanted)?),
        };
        Ok(Self {
            mirrors: Mirrors::new(connection.clone(), keys.everybody()),
            replicas,
            connection,
            keys,
            time: StoreTime::default(),
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
    /// keeps on disk, and its version. Managed services that forbid `INFO` leave all unknown, and those
    /// that forbid `CONFIG` whether it keeps snapshots.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn inspect(&self) -> StoreResult<RedisInspection> {
        let info: Option<String> = self.ask_if_allowed("INFO", redis::cmd("INFO")).await?;
        let get = redis::cmd("CONFIG").arg("GET").arg("save").to_owned();
        // A name and a value, or nothing where there is no such setting.
        let save: Option<Vec<String>> = self.ask_if_allowed("CONFIG GET", get).await?;
        let save_points = save.as_ref().and_then(|pair| pair.get(1)).map(String::as_str);
        Ok(RedisInspection::read(info.as_deref(), save_points))
    }

    /// What the Sentinels say of the master, where the address is theirs.
    pub async fn ask_sentinels(&self) -> Option<SentinelView> {
        self.connection.ask_sentinels().await
    }

    /// What time it is by the clock of Redis.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn time(&self) -> StoreResult<Timestamp> {
        let time = self
            .connection
            .run(None, |mut redis| async move { redis::cmd("TIME").query_async(&mut redis).await })
            .await
            .map_err(|error| store_error(Entry { place: "server", key: "TIME" }, error))?;
        Ok(self.time.shown(time))
    }

    /// Whether Redis answers.
    pub(super) async fn answers(&self) -> StoreResult<()> {
        self.connection
            .run(None, |mut redis| async move { redis::cmd("PING").query_async::<()>(&mut redis).await })
            .await
            .map_err(|error| store_error(Entry { place: "server", key: "PING" }, error))
    }

    /// Runs a script on the server that was vouched for (model: SealIsTheServer), which compares the vouching
    /// (model: VouchingIsPassed).
    pub(super) async fn call(
        &self,
        by: &Vouched,
        entry: Entry<'_>,
        script: ScriptInvocation<'static>,
    ) -> BackendResult<Answer> {
        let answer = self.connection.call(Some(&by.server), entry, script).await?;
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
        entry: Entry<'_>,
        command: redis::Cmd,
    ) -> BackendResult<Value> {
        self.connection
            .run(Some(&by.server), |mut redis| async move { command.query_async(&mut redis).await })
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
        let answers = self
            .connection
            .run(Some(&by.server), |mut redis| async move { pipeline.query_async::<Value>(&mut redis).await })
            .await
            .map_err(|error| backend_error(entry, error))?;
        let (answer, standing, shown): (Value, Fields, Time) = entry.convert(answers)?;
        standing_incarnation(entry, by.of(partition.partition()), &standing)?;
        Ok((answer, self.time.decisive(shown)?))
    }

    /// Returns once no replica of this Redis' mirrors can be without what was revoked before.
    /// (model: RevocationWaitsForMirrors)
    pub(super) async fn pass_on(&self, by: &Vouched) -> BackendResult<()> {
        Ok(self.mirrors.have_caught_up(&by.server).await?)
    }

    /// What Redis answers; `None` where it may not be asked that.
    async fn ask_if_allowed<T>(&self, name: &'static str, command: redis::Cmd) -> StoreResult<Option<T>>
    where
        T: redis::FromRedisValue + Send + 'static,
    {
        let asking = self.connection.run(None, |mut redis| async move {
            match command.query_async::<T>(&mut redis).await {
                Err(error) if is_forbidden(error.kind()) => Ok(None),
                answer => answer.map(Some),
            }
        });
        asking.await.map_err(|error| store_error(Entry { place: "server", key: name }, error))
    }
}
