//! The store in one file, and how its data is read and written.

use std::path::Path;

use sqlx::{Sqlite, SqlitePool, Transaction};

use super::buckets::Buckets;
use super::fault::Fault;
use super::feed::Bell;
use super::file::{DataFile, OpenError};
use super::partitions;
use super::presence::Presences;
use super::purge::PurgeTask;
use super::time::EmbeddedTime;
use crate::domain::clock::Timestamp;
use crate::domain::partition::Partition;
use crate::domain::random::{self, Random};
use crate::metrics::{Pool, PoolUse};
use crate::store::pools::Pooled;
use crate::store::sqlite_pool;
use crate::store::vouching::Vouched;

/// [`TokenBackend`](crate::store::backend::TokenBackend) on an SQLite file. Dropping it ends its purge task and
/// lets go of the file.
#[derive(Debug)]
pub struct EmbeddedTokenStore {
    pub(super) purge: PurgeTask,
    pub(super) buckets: Buckets,
    pub(super) presences: Presences,
    pub(super) file: DataFile,
    pub(super) feed_bell: Bell,
    /// Which opening this is: what was vouched for in another one is looked at anew
    /// (model: SealIsTheServer).
    pub(super) opening: String,
    pub(super) time: EmbeddedTime,
}

impl EmbeddedTokenStore {
    /// Opens the store in the file `path`, and makes file and folder if they are not there.
    ///
    /// Must be called within a tokio runtime, where a task then deletes what has ended by `time`.
    ///
    /// # Errors
    /// [`OpenError`] when another process has the file, or it cannot be made or read.
    pub async fn open(path: &Path, time: EmbeddedTime, random: &dyn Random) -> Result<Self, OpenError> {
        let file = DataFile::open(path).await?;
        let purge = PurgeTask::spawn(file.writer.clone(), time.clone());
        let opening = random::uuid(random).to_string();
        let (buckets, presences) = (Buckets::new(), Presences::default());
        Ok(Self { purge, buckets, presences, file, feed_bell: Bell::new(), opening, time })
    }

    /// Waits for what is under way, tidies the file up and closes it. Every call after that is
    /// answered with [`StoreError::Unavailable`](crate::store::StoreError::Unavailable). What was acknowledged is
    /// safe without this.
    pub async fn close(&self) {
        self.purge.end();
        self.file.close().await;
    }

    /// Begins a write; dropped before its commit, it never was.
    ///
    /// Single statements go through this too: a statement of its own that answers rows is
    /// committed by the driver after the first of them is out, and a failure then goes unseen.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.file.writer.begin_with("BEGIN IMMEDIATE").await
    }

    pub(super) fn reader(&self) -> &SqlitePool {
        &self.file.readers
    }

    /// Begins a write to a partition that is what was vouched for.
    /// (model: VouchingIsPassed)
    pub(super) async fn begin_on(
        &self,
        by: &Vouched,
        partition: Partition,
    ) -> Result<Transaction<'static, Sqlite>, Fault> {
        let mut tx = self.begin().await?;
        partitions::require(&mut *tx, partition, by.of(partition)).await?;
        Ok(tx)
    }

    /// Begins to read a partition that is what was vouched for: all that is read is of one moment.
    /// (model: VouchingIsPassed)
    pub(super) async fn begin_reading(
        &self,
        by: &Vouched,
        partition: Partition,
    ) -> Result<Transaction<'static, Sqlite>, Fault> {
        let mut tx = self.reader().begin().await?;
        partitions::require(&mut *tx, partition, by.of(partition)).await?;
        Ok(tx)
    }

    /// Something was added to the feed that may go at `until`.
    pub(super) fn announced(&self, until: Timestamp) {
        self.feed_bell.ring();
        self.purge.expect(until);
    }
}

impl Pooled for EmbeddedTokenStore {
    fn pools(&self) -> Vec<PoolUse> {
        let (of, file) = (sqlite_pool::use_of, &self.file);
        vec![of(Pool::TokenStore, &file.readers), of(Pool::TokenStoreWriter, &file.writer)]
    }
}
