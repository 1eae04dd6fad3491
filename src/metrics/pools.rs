//! Connections that are shared out: who has how many of them, and how long they are waited for.

use std::time::Duration;

use super::families::families;

/// Connections that are shared out among those who need one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// To the database; of SQLite those that read.
    Database,
    /// The one of SQLite that writes.
    DatabaseWriter,
    /// To the file of the embedded token store, those that read.
    TokenStore,
    /// The one that writes it.
    TokenStoreWriter,
    /// To Redis, those on which its replicas are waited for.
    TokenStoreReplicas,
}

impl Pool {
    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::DatabaseWriter => "database_writer",
            Self::TokenStore => "token_store",
            Self::TokenStoreWriter => "token_store_writer",
            Self::TokenStoreReplicas => "token_store_replicas",
        }
    }
}

/// How many of them there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// Which.
    pub pool: Pool,
    /// How many somebody has.
    pub in_use: usize,
    /// How many are open, and nobody has.
    pub idle: usize,
    /// How many there may be.
    pub max: usize,
}

/// All connections were in use, and one was waited for this long: until it came free, or in vain.
pub fn pool_waited(pool: Pool, waited: Duration) {
    families().pool_wait.get_or_create(&[("pool", pool.word())]).observe(waited.as_secs_f64());
}
