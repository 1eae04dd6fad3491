//! The token store in one process, on an SQLite file of its own: for `hallpass dev` and for small
//! installations that run no Redis.
//!
//! - It is as durable as the accounts: an operation has reached the disk before it is answered, so
//!   a revocation survives a power cut.
//! - Writes go through one connection, each in one `BEGIN IMMEDIATE`, so that nothing interleaves.
//!   Reads have connections of their own: an access token is judged while a write waits for the
//!   disk, and sees everything that was acknowledged before.
//! - Every deadline is stored and compared with this process's clock; the purge task only saves room.
//! - A session's row is what its access tokens live by: no row, no access. Ending a session thus
//!   needs no entry in a denylist; the `denial` of the trait bounds single tokens and the feed.
//! - The file belongs to one process, which holds a lock beside it.
//! - Buckets of rate limits are in memory: an attempt does not wait for the disk.
//!
//! A noun has a file: `sessions`, `denylist`, `reset_tokens`, `revocations`, `rate_limits`. They say what is done in
//! one transaction; the statements stand with the table: `session_row`, `reset_row`, `cut_off_row`, `partitions`.

mod buckets;
mod cut_off_row;
mod denylist;
mod eviction;
mod examination;
mod fault;
mod feed;
mod file;
mod partitions;
mod presence;
mod purge;
mod rate_limits;
mod refresh;
mod reset_row;
mod reset_tokens;
mod revocations;
mod revoke;
mod session_row;
mod sessions;
mod store;
mod time;

use async_trait::async_trait;

use self::fault::bounded;
use crate::domain::partition::Partition;
use crate::store::backend::TokenBackend;
use crate::store::error::StoreResult;
use crate::store::examination::Examination;
use crate::store::revocations::{BackendReader, ReaderRole};
use crate::store::token_store::Probe;
use crate::store::vouching::{BackendResult, Vouched};

pub use self::file::{FileLock, OpenError, known_steps};
pub use self::store::EmbeddedTokenStore;
pub use self::time::EmbeddedTime;

#[async_trait]
impl TokenBackend for EmbeddedTokenStore {
    async fn examine(&self) -> StoreResult<Box<dyn Examination>> {
        Ok(Box::new(examination::Opening {
            file: self.file.writer.clone(),
            opening: self.opening.clone(),
            bell: self.feed_bell.clone(),
            time: self.time.clone(),
        }))
    }

    fn reader(&self, _: ReaderRole) -> Box<dyn BackendReader> {
        Box::new(feed::Reader::new(self.file.readers.clone(), self.feed_bell.listen(), self.time.clone()))
    }

    async fn probe(&self, side: Probe) -> StoreResult<()> {
        Ok(bounded(async {
            if side == Probe::Read {
                sqlx::query("SELECT 1 FROM sqlite_schema LIMIT 1").fetch_optional(self.reader()).await?;
                return Ok(());
            }
            let mut transaction = self.begin().await?;
            // A number in the file's head that nobody uses: its page is written like any other.
            sqlx::query("PRAGMA user_version = 0").execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(())
        })
        .await?)
    }

    /// Whether the store can be written to: a lock that is stuck shows here, too.
    async fn ping(&self) -> StoreResult<()> {
        Ok(bounded(async {
            self.begin().await?.rollback().await?;
            Ok(())
        })
        .await?)
    }

    async fn stands(&self, by: &Vouched, partition: Partition) -> BackendResult<()> {
        Ok(bounded(partitions::require(self.reader(), partition, by.of(partition))).await?)
    }
}
