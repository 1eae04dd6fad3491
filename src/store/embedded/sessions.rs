//! Sessions: what is done to their table, in which transaction.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Sqlite, Transaction};

use super::fault::{Fault, bounded};
use super::refresh::{self, Decision, Found};
use super::session_row::{self, Change};
use super::store::EmbeddedTokenStore;
use super::{cut_off_row, eviction, feed, partitions, purge};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::journal::{EntryId, Journaled, NewEntry};
use crate::domain::partition::Partition;
use crate::domain::revocation::{Revocation, Revoked};
use crate::domain::session::{NewSession, Session, SessionLifetimes};
use crate::domain::session_cap::{SessionCursor, SessionUse};
use crate::domain::tokens::RefreshClaims;
use crate::store::sessions::{Eviction, OnReuse, OpenOutcome, Opening, Presented, SessionBackend};
use crate::store::vouching::{BackendResult, Vouched};

#[async_trait]
impl SessionBackend for EmbeddedTokenStore {
    /// Judged and opened in one transaction (model: NoSessionBelowTheCutOff).
    async fn open_session(
        &self,
        by: &Vouched,
        session: &NewSession,
        lifetimes: &SessionLifetimes,
    ) -> BackendResult<Opening> {
        let user = session.user;
        let outcome = bounded(async {
            let mut tx = self.begin_on(by, Partition::of(user)).await?;
            let now = self.time.now()?;
            if let Some(first) = cut_off_row::find(&mut tx, user, now).await?
                && session.security_version < first
            {
                return Ok(Opening::Settled(OpenOutcome::Superseded { first }));
            }
            if session_row::older_stand(&mut tx, user, session.security_version, now).await? {
                return Ok(Opening::OlderStand);
            }
            let session = session.at(now, by.of(Partition::of(user)).incarnation, lifetimes);
            session_row::insert(&mut tx, &session).await?;
            tx.commit().await?;
            Ok(Opening::Settled(OpenOutcome::Opened(session)))
        })
        .await?;
        if let Opening::Settled(OpenOutcome::Opened(session)) = &outcome {
            self.purge.expect(purge::end_of(session));
        }
        Ok(outcome)
    }

    async fn has_sessions(&self, by: &Vouched, user: UserId) -> BackendResult<bool> {
        Ok(bounded(async {
            let mut reader = self.begin_reading(by, Partition::of(user)).await?;
            Ok(session_row::has_any(&mut reader, user).await?)
        })
        .await?)
    }

    async fn rotate(
        &self,
        by: &Vouched,
        token: &RefreshClaims,
        alarm: EntryId,
        lifetimes: &SessionLifetimes,
    ) -> BackendResult<Presented> {
        Ok(bounded(async {
            let mut tx = self.begin_on(by, Partition::of(token.user)).await?;
            let row = self.row(&mut tx, by, token).await?;
            let now = self.time.now()?;
            let decision = refresh::rotate(row, token, now, lifetimes)?;
            self.settle(tx, token, decision, alarm, now.after(lifetimes.revocation())).await
        })
        .await?)
    }

    async fn check_refresh(
        &self,
        by: &Vouched,
        token: &RefreshClaims,
        alarm: EntryId,
        lifetimes: &SessionLifetimes,
        on_reuse: OnReuse,
    ) -> BackendResult<Presented> {
        Ok(bounded(async {
            // Nearly every check changes nothing, so it need not wait for its turn to write.
            let mut reader = self.reader().acquire().await?;
            partitions::require(&mut *reader, Partition::of(token.user), by.of(Partition::of(token.user)))
                .await?;
            let row = self.row(&mut reader, by, token).await?;
            drop(reader);
            let now = self.time.now()?;
            let decision = refresh::check(row, token, now, lifetimes, on_reuse)?;
            if matches!(decision.change, Change::None) {
                return Ok(Presented { outcome: decision.outcome, ended_until: None });
            }
            let mut tx = self.begin_on(by, Partition::of(token.user)).await?;
            let row = self.row(&mut tx, by, token).await?;
            let now = self.time.now()?;
            let decision = refresh::check(row, token, now, lifetimes, on_reuse)?;
            self.settle(tx, token, decision, alarm, now.after(lifetimes.revocation())).await
        })
        .await?)
    }

    async fn session_end(
        &self,
        by: &Vouched,
        user: UserId,
        session: SessionId,
    ) -> BackendResult<Option<Timestamp>> {
        Ok(bounded(async {
            let mut reader = self.begin_reading(by, Partition::of(user)).await?;
            let end: Option<i64> = sqlx::query_scalar(
                "SELECT idle_deadline FROM sessions WHERE id = ?1 AND user_id = ?2 AND incarnation = ?3",
            )
            .bind(session.to_string())
            .bind(user.get())
            .bind(by.of(Partition::of(user)).incarnation)
            .fetch_optional(&mut *reader)
            .await?;
            Ok(end.map(Timestamp::from_millis))
        })
        .await?)
    }

    async fn evict_session(
        &self,
        by: &Vouched,
        eviction: &Eviction,
        entry: EntryId,
        denial: Duration,
    ) -> BackendResult<Option<Timestamp>> {
        let evicted = bounded(self.evict(by, eviction, entry, denial)).await?;
        Ok(evicted.map(|(until, denied_until)| {
            self.announced(denied_until);
            until
        }))
    }

    async fn newest_access_tokens(
        &self,
        by: &Vouched,
        users: &[UserId],
    ) -> BackendResult<Vec<Option<Timestamp>>> {
        Ok(bounded(async {
            let now = self.time.now()?;
            // No vouching is compared: it is a time that administrators are shown, from which nobody concludes
            // that something stands or has ended.
            let mut newest = Vec::with_capacity(users.len());
            for user in users {
                let incarnation = by.of(Partition::of(*user)).incarnation;
                newest.push(session_row::newest_issue(self.reader(), *user, incarnation, now).await?);
            }
            Ok(newest)
        })
        .await?)
    }

    async fn count_sessions(&self, by: &Vouched, users: &[UserId], now: Timestamp) -> BackendResult<u64> {
        Ok(bounded(async {
            // No vouching is compared: nobody concludes from a number that something stands or has ended.
            let mut reader = self.reader().acquire().await?;
            let mut total = 0;
            for user in users {
                let incarnation = by.of(Partition::of(*user)).incarnation;
                total += session_row::count_live(&mut reader, *user, incarnation, now).await?;
            }
            Ok(u64::try_from(total).unwrap_or_default())
        })
        .await?)
    }

    async fn list_sessions(
        &self,
        by: &Vouched,
        user: UserId,
        after: Option<SessionCursor>,
        limit: u32,
    ) -> BackendResult<Vec<Session>> {
        let partition = Partition::of(user);
        Ok(bounded(async {
            let mut reader = self.begin_reading(by, partition).await?;
            let now = self.time.now()?;
            let incarnation = by.of(partition).incarnation;
            session_row::list_live(&mut *reader, user, incarnation, now, after, limit).await
        })
        .await?)
    }

    async fn session_uses(&self, by: &Vouched, user: UserId) -> BackendResult<Vec<SessionUse>> {
        let sessions = self.list_sessions(by, user, None, u32::MAX).await?;
        Ok(sessions.iter().map(SessionUse::from).collect())
    }

    async fn find_session(
        &self,
        by: &Vouched,
        user: UserId,
        session: SessionId,
    ) -> BackendResult<Option<Session>> {
        let partition = Partition::of(user);
        Ok(bounded(async {
            let mut reader = self.begin_reading(by, partition).await?;
            let now = self.time.now()?;
            let row = session_row::find(&mut *reader, session, user, by.of(partition).incarnation).await?;
            let session = row.map(Session::try_from).transpose()?;
            Ok(session.filter(|session| !session.is_expired(now)))
        })
        .await?)
    }
}

impl EmbeddedTokenStore {
    /// The session that a refresh token names.
    async fn row(
        &self,
        connection: &mut sqlx::SqliteConnection,
        by: &Vouched,
        token: &RefreshClaims,
    ) -> Result<Found, Fault> {
        let incarnation = by.of(Partition::of(token.user)).incarnation;
        let row = session_row::find(&mut *connection, token.session, token.user, incarnation).await?;
        Ok(match row {
            Some(row) => Found::Session(Box::new(row)),
            None => match eviction::find(connection, token.user, token.session).await? {
                Some(until) => Found::Evicted { until },
                None => Found::Nothing,
            },
        })
    }

    /// Does to a session what a refresh token brought about.
    /// (model: ReuseEndsTheSession, OwedUntilJournaled)
    async fn settle(
        &self,
        mut tx: Transaction<'static, Sqlite>,
        token: &RefreshClaims,
        decision: Decision,
        alarm: EntryId,
        denied_until: Timestamp,
    ) -> Result<Presented, Fault> {
        let Decision { outcome, change } = decision;
        let ended_until = match &change {
            Change::End { of_itself_at } => Some(denied_until.max(*of_itself_at)),
            Change::None | Change::Keep(_) => None,
        };
        session_row::apply(&mut tx, token.session, change).await?;
        if let Some(until) = ended_until {
            let revoked = Revoked::Session(token.session);
            feed::insert(&mut tx, &Revocation { revoked, until: denied_until }).await?;
            let revoked = Journaled::Session { user: token.user, session: token.session };
            partitions::owe(&mut tx, &NewEntry { id: alarm, revoked, until }).await?;
        }
        tx.commit().await?;
        if ended_until.is_some() {
            self.announced(denied_until);
        }
        Ok(Presented { outcome, ended_until })
    }
}
