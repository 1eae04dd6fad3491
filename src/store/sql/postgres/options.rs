//! How the store uses Postgres.

use std::time::Duration;

use crate::store::sql::calls::STATEMENT_TIMEOUT;

/// How the store uses Postgres.
#[derive(Clone, Copy, Debug)]
pub struct PostgresOptions {
    /// The most connections at once; default 10.
    pub max_connections: u32,
    /// How long a call waits for a connection, making a new one included; default 400 ms. With what the
    /// statement may take, a call is over within a second.
    pub acquire_timeout: Duration,
    /// How long a statement may take, its waiting for locks included; default 400 ms.
    pub statement_timeout: Duration,
    /// How long a connection at start may take: name lookup, TLS and a server that is far away; default 5 s.
    pub connect_timeout: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            max_connections: 10,
            acquire_timeout: Duration::from_millis(400),
            statement_timeout: STATEMENT_TIMEOUT,
            connect_timeout: Duration::from_secs(5),
        }
    }
}
