//! Ending sessions of accounts that have too many, and remembering the latest of these ends.

use std::time::Duration;

use sqlx::SqliteConnection;

use super::fault::Fault;
use super::store::EmbeddedTokenStore;
use super::{feed, partitions, session_row};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::journal::{EntryId, Journaled, NewEntry};
use crate::domain::partition::Partition;
use crate::domain::revocation::{Revocation, Revoked};
use crate::domain::session::Session;
use crate::store::sessions::{EVICTIONS_REMEMBERED, Eviction};
use crate::store::vouching::Vouched;

impl EmbeddedTokenStore {
    /// Ended, owed and remembered in one transaction (model: OwedUntilJournaled). Answers until when it
    /// matters, and until when its access tokens are denied.
    pub(super) async fn evict(
        &self,
        by: &Vouched,
        eviction: &Eviction,
        id: EntryId,
        denial: Duration,
    ) -> Result<Option<(Timestamp, Timestamp)>, Fault> {
        let Eviction { user, session, max } = *eviction;
        let partition = Partition::of(user);
        let incarnation = by.of(partition).incarnation;
        let mut tx = self.begin_on(by, partition).await?;
        let now = self.time.now()?;
        let live = session_row::count_live(&mut tx, user, incarnation, now).await?;
        let row = session_row::find(&mut *tx, session, user, incarnation).await?;
        let standing = row.map(Session::try_from).transpose()?.filter(|session| !session.is_expired(now));
        let Some(standing) = standing.filter(|_| live > i64::from(max)) else { return Ok(None) };
        let denied_until = now.after(denial);
        let until = denied_until.max(standing.idle_deadline.min(standing.absolute_deadline));
        session_row::delete(&mut tx, session).await?;
        feed::insert(&mut tx, &Revocation { revoked: Revoked::Session(session), until: denied_until })
            .await?;
        let revoked = Journaled::Session { user, session };
        partitions::owe(&mut tx, &NewEntry { id, revoked, until }).await?;
        remember(&mut tx, user, session, until).await?;
        tx.commit().await?;
        Ok(Some((until, denied_until)))
    }
}

async fn remember(
    tx: &mut SqliteConnection,
    user: UserId,
    session: SessionId,
    until: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT OR REPLACE INTO evictions (session, user_id, expires_at) VALUES (?1, ?2, ?3)")
        .bind(session.to_string())
        .bind(user.get())
        .bind(until.as_millis())
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "DELETE FROM evictions WHERE session IN (SELECT session FROM evictions WHERE user_id = ?1
           ORDER BY expires_at DESC, session DESC LIMIT -1 OFFSET ?2)",
    )
    .bind(user.get())
    .bind(EVICTIONS_REMEMBERED)
    .execute(tx)
    .await?;
    Ok(())
}

/// Until when it matters that a session of that user was ended since there were too many; `None` where that
/// is not known.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    user: UserId,
    session: SessionId,
) -> Result<Option<Timestamp>, sqlx::Error> {
    let until: Option<i64> =
        sqlx::query_scalar("SELECT expires_at FROM evictions WHERE session = ?1 AND user_id = ?2")
            .bind(session.to_string())
            .bind(user.get())
            .fetch_optional(connection)
            .await?;
    Ok(until.map(Timestamp::from_millis))
}
