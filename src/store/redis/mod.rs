//! The token store and the rate limits in Redis (6.2 or later).
//!
//! Each operation is one Lua script, and so atomic, or one pipeline; [`keys`] says what is kept where. A noun
//! has a file: `sessions`, `denylist`, `reset_tokens`, `revocations`, `rate_limits`; the store that they ask,
//! and how, is in `store`.

mod acl;
mod checks;
mod codec;
mod connection;
mod cut_off;
mod denylist;
mod errors;
mod eviction;
mod feed;
mod inspection;
mod inspector;
pub mod keys;
mod lanes;
mod listing;
mod mirrors;
mod options;
mod orders;
mod owner;
mod presence;
mod rate_limits;
mod replay;
mod replicas;
mod reset_tokens;
mod revocations;
mod scripts;
mod sessions;
mod standing;
mod store;
mod time;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use redis::Value;

use self::codec::{Entry, Fields};
use self::connection::At;
use self::errors::store_error;
use self::inspector::Inspector;
use self::lanes::STATE;
use self::standing::{STANDING_FIELDS, standing_incarnation};
use self::time::span;
use crate::domain::partition::Partition;
use crate::store::backend::TokenBackend;
use crate::store::error::StoreResult;
use crate::store::examination::Examination;
use crate::store::revocations::{BackendReader, ReaderRole};
use crate::store::token_store::Probe;
use crate::store::vouching::{BackendResult, Vouched};

pub use self::acl::{CLUSTER_RIGHTS, RedisLack, SENTINEL_RIGHTS, needed_commands};
pub use self::codec::CARRIED_FORMAT;
pub use self::connection::{CLUSTER_SLOTS, ClusterNode, ClusterView, SentinelReport, SentinelView};
pub use self::inspection::{EvictionPolicy, Persistence, RedisInspection, is_unfit};
pub use self::options::{RedisOptions, RedisUrlError};
pub use self::owner::Others;
pub use self::store::{ConnectError, RedisTokenStore};
pub use self::time::StoreTime;
pub use self::wire::RedisTls;

#[async_trait]
impl TokenBackend for RedisTokenStore {
    async fn examine(&self) -> StoreResult<Box<dyn Examination>> {
        Ok(Box::new(Inspector::open(self.connection.clone(), self.keys.clone(), self.time.clone())))
    }

    fn reader(&self, role: ReaderRole) -> Box<dyn BackendReader> {
        Box::new(feed::Reader::new(self.connection.clone(), self.time.clone(), &self.keys, role))
    }

    async fn probe(&self, side: Probe) -> StoreResult<()> {
        self.each_server("probe", |partition| self.probe_one(partition, side)).await.map(drop)
    }

    async fn ping(&self) -> StoreResult<()> {
        self.answers().await
    }

    async fn stands(&self, by: &Vouched, partition: Partition) -> BackendResult<()> {
        let key = self.keys.partition(partition).state();
        let entry = Entry { place: STATE, key: &key };
        let mut pipeline = redis::pipe();
        pipeline.cmd("HMGET").arg(&key).arg(&STANDING_FIELDS);
        let answers = self.connection.read(At::vouched(by, partition), entry, pipeline).await?;
        let (standing,): (Fields,) = entry.convert(Value::Array(answers))?;
        standing_incarnation(entry, by.of(partition), &standing).map(drop)
    }
}

impl RedisTokenStore {
    async fn probe_one(&self, partition: Partition, side: Probe) -> StoreResult<()> {
        let key = self.keys.partition(partition).probe();
        let entry = Entry { place: "probe", key: &key };
        let command = match side {
            Probe::Read => redis::cmd("GET").arg(&key).to_owned(),
            // A write that Redis does not refuse for want of memory, as it does not refuse revocations.
            Probe::Revoke => redis::cmd("DEL").arg(&key).to_owned(),
            Probe::Write => redis::cmd("SET").arg(&key).arg("").arg("PX").arg(span(PROBE_KEPT)).to_owned(),
        };
        self.connection
            .ask_master(At::key(&key), redis::pipe().add_command(command).clone())
            .await
            .map(drop)
            .map_err(|error| store_error(entry, error))
    }
}

/// How long what a probe has written stays.
const PROBE_KEPT: Duration = Duration::from_secs(60);
