//! The token store in one process, on an SQLite file of its own: for `hallpass dev` and for small
//! installations that run no Redis.
//!
//! - It is as durable as the accounts: an operation has reached the disk before it is answered, so
//!   a revocation survives a power cut.
//! - Writes go through one connection, each in one `BEGIN IMMEDIATE`, so that nothing interleaves.
//!   Reads have connections of their own: an access token is judged while a write waits for the
//!   disk, and sees everything that was acknowledged before.
//! - Every deadline is stored and compared with the caller's `now`; the purge task only saves room.
//! - A session's row is what its access tokens live by: no row, no access. Ending a session thus
//!   needs no entry in a denylist; the `denial` of the trait bounds single tokens and the feed.
//! - The file belongs to one process, which holds a lock beside it.
//! - Buckets of rate limits are in memory: an attempt does not wait for the disk.

mod buckets;
mod cut_off_row;
mod feed;
mod file;
mod purge;
mod rate_limits;
mod refresh;
mod session_row;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Sqlite, SqlitePool, Transaction};

use self::buckets::Buckets;
use self::feed::Bell;
use self::file::DataFile;
pub use self::file::OpenError;
use self::purge::PurgeTask;
use self::refresh::{Change, Decision};
use super::feed::{ReaderRole, RevocationFeed, RevocationReader};
use super::{
    AccessStatus, AccessSubject, OnReuse, OpenOutcome, RefreshOutcome, ResetGrant, StoreError, StoreResult,
    TokenStore,
};
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::revocation::{Revocation, Revoked};
use crate::domain::session::{Session, SessionLifetimes};
use crate::domain::tokens::{RefreshClaims, ResetClaims};
use crate::domain::user::SecurityVersion;

/// How long one operation may take, waiting for its turn included. A disk that is slower than
/// this answers [`StoreError::Unavailable`] instead of piling up requests.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a cut-off goes on refusing sessions of an older version: far longer than a login can be
/// on its way. Older sessions themselves end at once; and it ends at all, so that accounts which
/// are restored from a backup, with their older versions, can log in again.
const CUT_OFF_MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

/// [`TokenStore`] on an SQLite file. Dropping it ends its purge task and lets go of the file.
#[derive(Debug)]
pub struct EmbeddedTokenStore {
    purge: PurgeTask,
    buckets: Buckets,
    file: DataFile,
    feed_bell: Bell,
}

impl EmbeddedTokenStore {
    /// Opens the store in the file `path`, and makes file and folder if they are not there.
    ///
    /// Must be called within a tokio runtime, where a task then deletes what has ended by `clock`.
    ///
    /// # Errors
    /// [`OpenError`] when another process has the file, or it cannot be made or read.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let file = DataFile::open(path).await?;
        let purge = PurgeTask::spawn(file.writer.clone(), clock);
        Ok(Self { purge, buckets: Buckets::new(), file, feed_bell: Bell::new() })
    }

    /// Waits for what is under way, tidies the file up and closes it. Every call after that is
    /// answered with [`StoreError::Unavailable`]. What was acknowledged is safe without this.
    pub async fn close(&self) {
        self.purge.end();
        self.file.close().await;
    }

    /// Begins a write; dropped before its commit, it never was.
    ///
    /// Single statements go through this too: a statement of its own that answers rows is
    /// committed by the driver after the first of them is out, and a failure then goes unseen.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.file.writer.begin_with("BEGIN IMMEDIATE").await
    }

    fn reader(&self) -> &SqlitePool {
        &self.file.readers
    }
}

#[async_trait]
impl TokenStore for EmbeddedTokenStore {
    async fn open_session(&self, session: &Session, now: Timestamp) -> StoreResult<OpenOutcome> {
        let outcome = bounded(async {
            let mut tx = self.begin().await?;
            let cut_off = cut_off_row::find(&mut tx, session.subject.user, now).await?;
            if cut_off.is_some_and(|version| session.subject.security_version < version) {
                return Ok(OpenOutcome::Superseded);
            }
            session_row::insert(&mut tx, session).await?;
            sqlx::query("INSERT INTO incarnation (id, since) VALUES (1, ?1) ON CONFLICT DO NOTHING")
                .bind(now.as_millis())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(OpenOutcome::Opened)
        })
        .await?;
        self.purge.expect(purge::end_of(session));
        Ok(outcome)
    }

    async fn rotate(
        &self,
        token: &RefreshClaims,
        now: Timestamp,
        lifetimes: &SessionLifetimes,
    ) -> StoreResult<RefreshOutcome> {
        bounded(async {
            let mut tx = self.begin().await?;
            let row = session_row::find(&mut *tx, token.session, token.user).await?;
            let decision = refresh::rotate(row, token, now, lifetimes)?;
            self.settle(tx, token, decision, now.after(lifetimes.revocation())).await
        })
        .await
    }

    async fn check_refresh(
        &self,
        token: &RefreshClaims,
        now: Timestamp,
        lifetimes: &SessionLifetimes,
        on_reuse: OnReuse,
    ) -> StoreResult<RefreshOutcome> {
        bounded(async {
            // Nearly every check changes nothing, so it need not wait for its turn to write.
            let row = session_row::find(self.reader(), token.session, token.user).await?;
            let decision = refresh::check(row, token, now, lifetimes, on_reuse)?;
            if matches!(decision.change, Change::None) {
                return Ok(decision.outcome);
            }
            let mut tx = self.begin().await?;
            let row = session_row::find(&mut *tx, token.session, token.user).await?;
            let decision = refresh::check(row, token, now, lifetimes, on_reuse)?;
            self.settle(tx, token, decision, now.after(lifetimes.revocation())).await
        })
        .await
    }

    async fn revoke_session(
        &self,
        user: UserId,
        session: SessionId,
        now: Timestamp,
        denial: Duration,
    ) -> StoreResult<bool> {
        let expires_at = now.after(denial);
        let was_live = bounded(async {
            let mut tx = self.begin().await?;
            // One that has ended by itself stays, for its client to be told so.
            let ended = sqlx::query(
                "DELETE FROM sessions
                 WHERE id = ?1 AND user_id = ?2 AND idle_deadline > ?3 AND absolute_deadline > ?3",
            )
            .bind(session.to_string())
            .bind(user.get())
            .bind(now.as_millis())
            .execute(&mut *tx)
            .await?;
            let was_live = ended.rows_affected() > 0;
            if was_live {
                let revoked = Revoked::Session(session);
                feed::insert(&mut tx, &Revocation { revoked, until: expires_at }).await?;
            }
            tx.commit().await?;
            Ok(was_live)
        })
        .await?;
        self.announced(expires_at);
        Ok(was_live)
    }

    async fn revoke_access_token(
        &self,
        user: UserId,
        token: Jti,
        now: Timestamp,
        denial: Duration,
    ) -> StoreResult<()> {
        let expires_at = now.after(denial);
        bounded(async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "INSERT INTO denials (user_id, jti, expires_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET expires_at = max(expires_at, excluded.expires_at)",
            )
            .bind(user.get())
            .bind(token.to_string())
            .bind(expires_at.as_millis())
            .execute(&mut *tx)
            .await?;
            feed::insert(&mut tx, &Revocation { revoked: Revoked::Token(token), until: expires_at }).await?;
            tx.commit().await?;
            Ok(())
        })
        .await?;
        self.announced(expires_at);
        Ok(())
    }

    async fn cut_off(
        &self,
        user: UserId,
        version: SecurityVersion,
        now: Timestamp,
        denial: Duration,
    ) -> StoreResult<Vec<SessionId>> {
        let expires_at = now.after(denial.max(CUT_OFF_MEMORY));
        let ended = bounded(async {
            let mut tx = self.begin().await?;
            cut_off_row::keep(&mut tx, user, version, now, expires_at).await?;
            let ended = session_row::end_older(&mut tx, user, version, now).await?;
            sqlx::query("DELETE FROM reset_tokens WHERE user_id = ?1 AND security_version < ?2")
                .bind(user.get())
                .bind(version.get())
                .execute(&mut *tx)
                .await?;
            let until = now.after(denial);
            let event = Revoked::User { user, not_before: now };
            for revoked in ended.iter().map(|sid| Revoked::Session(*sid)).chain([event]) {
                feed::insert(&mut tx, &Revocation { revoked, until }).await?;
            }
            tx.commit().await?;
            Ok(ended)
        })
        .await?;
        self.announced(now.after(denial));
        Ok(ended)
    }

    async fn access_status(&self, token: &AccessSubject, now: Timestamp) -> StoreResult<AccessStatus> {
        bounded(async {
            let (since, live, denied): (Option<i64>, bool, bool) = sqlx::query_as(
                "SELECT
                   (SELECT since FROM incarnation),
                   EXISTS (SELECT 1 FROM sessions WHERE id = ?1 AND user_id = ?2
                             AND idle_deadline > ?4 AND absolute_deadline > ?4),
                   EXISTS (SELECT 1 FROM denials WHERE user_id = ?2 AND jti = ?3 AND expires_at > ?4)",
            )
            .bind(token.session.to_string())
            .bind(token.user.get())
            .bind(token.token.to_string())
            .bind(now.as_millis())
            .fetch_one(self.reader())
            .await?;

            // `iat` has whole seconds: a token of the very second is not older than the moment.
            let older_than =
                |moment: i64| token.issued_at.as_secs() < Timestamp::from_millis(moment).as_secs();
            Ok(if since.is_none_or(older_than) {
                AccessStatus::StoreLost
            } else if !live || denied {
                AccessStatus::Revoked
            } else {
                AccessStatus::Live
            })
        })
        .await
    }

    async fn newest_access_tokens(
        &self,
        users: &[UserId],
        now: Timestamp,
    ) -> StoreResult<Vec<Option<Timestamp>>> {
        bounded(async {
            let mut newest = Vec::with_capacity(users.len());
            for user in users {
                newest.push(session_row::newest_issue(self.reader(), *user, now).await?);
            }
            Ok(newest)
        })
        .await
    }

    async fn list_sessions(&self, user: UserId, now: Timestamp) -> StoreResult<Vec<Session>> {
        bounded(session_row::list_live(self.reader(), user, now)).await
    }

    async fn insert_reset_token(
        &self,
        token: &ResetClaims,
        grant: ResetGrant,
        _now: Timestamp,
    ) -> StoreResult<()> {
        // An earlier token is overwritten whatever its deadline.
        self.keep_reset_token(token, grant, Timestamp::from_millis(i64::MAX)).await
    }

    async fn find_reset_token(&self, token: &ResetClaims, now: Timestamp) -> StoreResult<Option<ResetGrant>> {
        bounded(async {
            let found: Option<(i64, i64)> = sqlx::query_as(
                "SELECT security_version, expires_at FROM reset_tokens
                 WHERE user_id = ?1 AND hash = ?2 AND expires_at > ?3",
            )
            .bind(token.user.get())
            .bind(token.hash.as_bytes().as_slice())
            .bind(now.as_millis())
            .fetch_optional(self.reader())
            .await?;
            Ok(found.map(grant))
        })
        .await
    }

    async fn take_reset_token(&self, token: &ResetClaims, now: Timestamp) -> StoreResult<Option<ResetGrant>> {
        bounded(async {
            let mut tx = self.begin().await?;
            let taken: Option<(i64, i64)> = sqlx::query_as(
                "DELETE FROM reset_tokens
                 WHERE user_id = ?1 AND hash = ?2 AND expires_at > ?3
                 RETURNING security_version, expires_at",
            )
            .bind(token.user.get())
            .bind(token.hash.as_bytes().as_slice())
            .bind(now.as_millis())
            .fetch_optional(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(taken.map(grant))
        })
        .await
    }

    async fn restore_reset_token(
        &self,
        token: &ResetClaims,
        grant: ResetGrant,
        now: Timestamp,
    ) -> StoreResult<()> {
        // A newer token that has expired stands no more.
        self.keep_reset_token(token, grant, now).await
    }

    /// Whether the store can be written to: a lock that is stuck shows here, too.
    async fn ping(&self) -> StoreResult<()> {
        bounded(async {
            self.begin().await?.rollback().await?;
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl RevocationFeed for EmbeddedTokenStore {
    fn reader(&self, _: ReaderRole) -> Box<dyn RevocationReader> {
        Box::new(feed::Reader::new(self.reader().clone(), self.feed_bell.listen()))
    }

    async fn announce(&self, revocation: &Revocation, _now: Timestamp) -> StoreResult<()> {
        bounded(async {
            let mut tx = self.begin().await?;
            feed::insert(&mut tx, revocation).await?;
            tx.commit().await?;
            Ok(())
        })
        .await?;
        self.announced(revocation.until);
        Ok(())
    }
}

impl EmbeddedTokenStore {
    /// Does to a session what a refresh token brought about.
    async fn settle(
        &self,
        mut tx: Transaction<'static, Sqlite>,
        token: &RefreshClaims,
        decision: Decision,
        denied_until: Timestamp,
    ) -> Result<RefreshOutcome, Fault> {
        let ends = matches!(decision.change, Change::End);
        session_row::apply(&mut tx, token.session, decision.change).await?;
        if ends {
            let revoked = Revoked::Session(token.session);
            feed::insert(&mut tx, &Revocation { revoked, until: denied_until }).await?;
        }
        tx.commit().await?;
        if ends {
            self.announced(denied_until);
        }
        Ok(decision.outcome)
    }

    /// Something was added to the feed that may go at `until`.
    fn announced(&self, until: Timestamp) {
        self.feed_bell.ring();
        self.purge.expect(until);
    }

    /// Keeps a reset token, in the place of one that has ended by `overwrite_until`.
    async fn keep_reset_token(
        &self,
        token: &ResetClaims,
        grant: ResetGrant,
        overwrite_until: Timestamp,
    ) -> StoreResult<()> {
        bounded(async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "INSERT INTO reset_tokens (user_id, hash, security_version, expires_at)
                 VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET hash = excluded.hash,
                   security_version = excluded.security_version, expires_at = excluded.expires_at
                   WHERE reset_tokens.expires_at <= ?5",
            )
            .bind(token.user.get())
            .bind(token.hash.as_bytes().as_slice())
            .bind(grant.version.get())
            .bind(grant.deadline.as_millis())
            .bind(overwrite_until.as_millis())
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(())
        })
        .await?;
        self.purge.expect(grant.deadline);
        Ok(())
    }
}

fn grant((version, deadline): (i64, i64)) -> ResetGrant {
    ResetGrant { version: SecurityVersion::new(version), deadline: Timestamp::from_millis(deadline) }
}

/// Why an operation came to no answer.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Driver(#[from] sqlx::Error),
    #[error("no answer within {} ms", OPERATION_TIMEOUT.as_millis())]
    TooSlow,
    #[error("{problem}")]
    Corrupt { place: &'static str, key: String, problem: String },
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Corrupt { place, key, problem } => Self::Corrupt { place, key, problem },
            Fault::Driver(_) | Fault::TooSlow => {
                Self::Unavailable { store: "token store", source: Box::new(fault) }
            }
        }
    }
}

/// Runs an operation for [`OPERATION_TIMEOUT`] at most. One that is given up is rolled back, unless
/// its commit was under way.
async fn bounded<T>(operation: impl Future<Output = Result<T, Fault>> + Send) -> StoreResult<T> {
    let answer = tokio::time::timeout(OPERATION_TIMEOUT, operation).await;
    Ok(answer.unwrap_or(Err(Fault::TooSlow))?)
}
