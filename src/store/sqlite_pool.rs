//! What the two stores on SQLite files ask of their connections.

use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Connection, SqliteConnection, SqlitePool};

use crate::metrics::{Pool, PoolUse};

/// Connections that live as long as their pool: a file does not hang up, so none is tested first. One whose
/// transaction does not end is given up for another.
///
/// SQLite itself rolls back when the disk is full or fails ("Response To Errors Within A Transaction" in its `BEGIN`).
/// The driver then rolls back once more, is told that there is nothing to roll back, and counts itself within a
/// transaction for good.
pub(super) fn lasting() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(is_free(connection)))
}

/// How the connections of a pool are used just now.
pub(super) fn use_of(pool: Pool, connections: &SqlitePool) -> PoolUse {
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let (open, idle) = (count(connections.size()), connections.num_idle());
    let max = count(connections.options().get_max_connections());
    PoolUse { pool, in_use: open.saturating_sub(idle), idle, max }
}

/// Whether no transaction is under way on a connection that nobody has.
async fn is_free(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    if connection.is_in_transaction() {
        // The end of a transaction that was dropped may be on its way; this comes after it.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}
