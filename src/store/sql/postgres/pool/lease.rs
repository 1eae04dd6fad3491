//! A connection in use, and the transaction on it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::idle::{Idle, Open};

/// A connection in use. Dropped in the middle of something, it is brought to an end beside the requests.
pub(super) struct Lease {
    idle: Arc<Idle>,
    open: Option<Open>,
    place: Option<OwnedSemaphorePermit>,
    /// Whether a transaction may have begun that has not ended.
    is_inside: bool,
    /// How long a connection that was dropped is waited for.
    patience: Duration,
}

impl Lease {
    pub(super) fn new(
        idle: Arc<Idle>,
        open: Open,
        place: Option<OwnedSemaphorePermit>,
        patience: Duration,
    ) -> Self {
        Self { idle, open: Some(open), place, is_inside: false, patience }
    }

    /// The connection, as long as it has not been given back.
    pub(super) fn connection(&mut self) -> sqlx::Result<&mut PgConnection> {
        self.open.as_mut().map(|open| &mut open.connection).ok_or(sqlx::Error::PoolClosed)
    }

    /// Begins a transaction.
    pub(super) async fn begin(&mut self, begin: &str) -> sqlx::Result<()> {
        self.is_inside = true;
        sqlx::raw_sql(AssertSqlSafe(begin)).execute(self.connection()?).await.map(drop)
    }

    pub(super) async fn commit(mut self) -> sqlx::Result<()> {
        // Whatever becomes of it, the transaction is over.
        self.is_inside = false;
        sqlx::raw_sql("COMMIT").execute(self.connection()?).await?;
        self.give_back();
        Ok(())
    }

    /// Gives the connection back for others, whose transaction has ended.
    pub(super) fn give_back(mut self) {
        self.is_inside = false;
        if let Some(open) = self.open.take() {
            self.idle.keep(open);
        }
        drop(self.place.take());
        self.idle.came_free.notify_one();
    }

    /// Closes the connection without a word; its place stays taken.
    pub(super) fn discard(mut self) -> Option<OwnedSemaphorePermit> {
        self.open = None;
        self.place.take()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        let (idle, place, is_inside, patience) =
            (self.idle.clone(), self.place.take(), self.is_inside, self.patience);
        let Ok(runtime) = Handle::try_current() else { return };
        // The server may still be at a statement whose answer is not waited for any more. A host that vanished
        // without a word would keep the place for a quarter of an hour (TCP retransmission).
        runtime.spawn(async move {
            if !idle.retired.is(open.since.elapsed()) {
                let end = async {
                    match is_inside {
                        true => sqlx::raw_sql("ROLLBACK").execute(&mut open.connection).await.map(drop),
                        false => open.connection.ping().await,
                    }
                };
                if let Ok(Ok(())) = timeout(patience, end).await {
                    idle.keep(open);
                }
            }
            drop(place);
            idle.came_free.notify_one();
        });
    }
}

/// A transaction. Dropped before [`commit`](Self::commit), it is rolled back.
pub(in crate::store::sql) struct Transaction {
    pub(super) lease: Lease,
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

/// What statements are run over, by the name that the driver's own transactions have for it.
impl AsMut<Self> for Transaction {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

impl Transaction {
    /// Makes what was done last.
    pub(in crate::store::sql) async fn commit(self) -> sqlx::Result<()> {
        self.lease.commit().await
    }

    /// The connection that it is on.
    pub(in crate::store::sql::postgres) fn connection(&mut self) -> sqlx::Result<&mut PgConnection> {
        self.lease.connection()
    }
}
