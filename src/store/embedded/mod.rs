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

mod buckets;
mod cut_off_row;
mod eviction;
mod examination;
mod feed;
mod file;
mod partitions;
mod purge;
mod rate_limits;
mod refresh;
mod reset_row;
mod revoke;
mod session_row;
mod time;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Sqlite, SqlitePool, Transaction};

use self::buckets::Buckets;
use self::feed::Bell;
use self::file::DataFile;
pub use self::file::OpenError;
use self::purge::PurgeTask;
use self::refresh::{Decision, Found};
use self::session_row::Change;
pub use self::time::EmbeddedTime;
use super::backend::TokenBackend;
use super::denylist::{AccessStatus, AccessSubject};
use super::error::{StoreError, StoreResult};
use super::examination::Examination;
use super::reset_tokens::{ResetGrant, ResetInsertion, ResetPlace};
use super::revocations::{BackendReader, CarriedOut, Known, Placed, Placement, ReaderRole};
use super::sessions::{Eviction, OnReuse, OpenOutcome, Opening, Presented};
use super::token_store::Probe;
use super::vouching::{BackendError, BackendResult, Vouched};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, KeyId, SessionId, UserId};
use crate::domain::journal::{EntryId, Journaled, NewEntry};
use crate::domain::partition::Partition;
use crate::domain::random::{self, Random};
use crate::domain::revocation::{Revocation, Revoked};
use crate::domain::session::{NewSession, Session, SessionLifetimes};
use crate::domain::session_cap::{SessionCursor, SessionUse};
use crate::domain::tokens::{RefreshClaims, ResetClaims};
use crate::domain::user::SecurityVersion;
use crate::store::denylist::DenylistBackend;
use crate::store::patience::{self, Line};
use crate::store::reset_tokens::ResetTokenBackend;
use crate::store::revocations::RevocationBackend;
use crate::store::sessions::SessionBackend;

/// How long no operation may be answered. A disk that is slower than this answers
/// [`StoreError::Unavailable`] instead of piling up requests.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(2);

/// How long one operation may take while others are answered, waiting for its turn included.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How long a cut-off goes on refusing sessions of an older version: far longer than a login can be
/// on its way. Older sessions themselves end at once; and it ends at all, so that accounts which
/// are restored from a backup, with their older versions, can log in again.
const CUT_OFF_MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

/// [`TokenBackend`] on an SQLite file. Dropping it ends its purge task and lets go of the file.
#[derive(Debug)]
pub struct EmbeddedTokenStore {
    purge: PurgeTask,
    buckets: Buckets,
    file: DataFile,
    feed_bell: Bell,
    /// Which opening this is: what was vouched for in another one is looked at anew
    /// (model: SealIsTheServer).
    opening: String,
    time: EmbeddedTime,
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
        Ok(Self { purge, buckets: Buckets::new(), file, feed_bell: Bell::new(), opening, time })
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
impl SessionBackend for EmbeddedTokenStore {
    /// Judged and opened in one transaction (model: NoSessionBelowTheCutOff).
    async fn open_session(
        &self,
        by: &Vouched,
        session: &NewSession,
        lifetimes: &SessionLifetimes,
    ) -> BackendResult<Opening> {
        let user = session.subject.user;
        let outcome = bounded(async {
            let mut tx = self.begin_on(by, Partition::of(user)).await?;
            let now = self.time.now()?;
            if let Some(first) = cut_off_row::find(&mut tx, user, now).await?
                && session.subject.security_version < first
            {
                return Ok(Opening::Settled(OpenOutcome::Superseded { first }));
            }
            if session_row::older_stand(&mut tx, user, session.subject.security_version, now).await? {
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

#[async_trait]
impl DenylistBackend for EmbeddedTokenStore {
    async fn access_status(&self, by: &Vouched, token: &AccessSubject) -> BackendResult<AccessStatus> {
        let partition = Partition::of(token.user);
        let by = by.of(partition);
        Ok(bounded(async {
            let now = self.time.now()?;
            let (vouching, live, denied): (Option<i64>, bool, bool) = sqlx::query_as(
                "SELECT
                   (SELECT vouching FROM partitions WHERE partition = ?5),
                   EXISTS (SELECT 1 FROM sessions WHERE id = ?1 AND user_id = ?2 AND incarnation = ?6
                             AND idle_deadline > ?4 AND absolute_deadline > ?4),
                   EXISTS (SELECT 1 FROM denials WHERE user_id = ?2 AND jti = ?3 AND expires_at > ?4)",
            )
            .bind(token.session.to_string())
            .bind(token.user.get())
            .bind(token.token.to_string())
            .bind(now.as_millis())
            .bind(i64::from(partition.number()))
            .bind(by.incarnation)
            .fetch_one(self.reader())
            .await?;
            if vouching != Some(by.vouching.get()) {
                return Err(Fault::Unvouched);
            }
            Ok(if token.incarnation != by.incarnation {
                AccessStatus::StoreLost
            } else if !live || denied {
                AccessStatus::Revoked
            } else {
                AccessStatus::Live
            })
        })
        .await?)
    }

    async fn machine_status(
        &self,
        by: &Vouched,
        token: Jti,
        incarnation: i64,
    ) -> BackendResult<AccessStatus> {
        let by = by.of(Partition::EVERYBODY);
        Ok(bounded(async {
            let now = self.time.now()?;
            let (vouching, denied): (Option<i64>, bool) = sqlx::query_as(
                "SELECT
                   (SELECT vouching FROM partitions WHERE partition = ?1),
                   EXISTS (SELECT 1 FROM denials WHERE user_id = ?2 AND jti = ?3 AND expires_at > ?4)",
            )
            .bind(i64::from(Partition::EVERYBODY.number()))
            .bind(revoke::MACHINES)
            .bind(token.to_string())
            .bind(now.as_millis())
            .fetch_one(self.reader())
            .await?;
            if vouching != Some(by.vouching.get()) {
                return Err(Fault::Unvouched);
            }
            Ok(if incarnation != by.incarnation {
                AccessStatus::StoreLost
            } else if denied {
                AccessStatus::Revoked
            } else {
                AccessStatus::Live
            })
        })
        .await?)
    }
}

#[async_trait]
impl ResetTokenBackend for EmbeddedTokenStore {
    async fn insert_reset_token(
        &self,
        by: &Vouched,
        token: &ResetClaims,
        place: ResetPlace,
        version: SecurityVersion,
        ttl: Duration,
    ) -> BackendResult<ResetInsertion> {
        let now = self.time.now()?;
        let grant = ResetGrant { version, deadline: now.after(ttl), place: place.mark };
        let partition = Partition::of(token.user);
        let insertion = bounded(async {
            let mut tx = self.begin_on(by, partition).await?;
            let vouching = by.of(partition).vouching;
            let insertion = reset_row::insert(&mut tx, token, grant, place.room, vouching, now).await?;
            tx.commit().await?;
            Ok(insertion)
        })
        .await?;
        self.purge.expect(grant.deadline);
        Ok(insertion)
    }

    async fn find_reset_token(&self, by: &Vouched, token: &ResetClaims) -> BackendResult<Option<ResetGrant>> {
        let partition = Partition::of(token.user);
        Ok(bounded(async {
            let mut reader = self.begin_reading(by, partition).await?;
            let now = self.time.now()?;
            reset_row::find(&mut reader, token, by.of(partition).vouching, now).await
        })
        .await?)
    }

    async fn take_reset_token(&self, by: &Vouched, token: &ResetClaims) -> BackendResult<Option<ResetGrant>> {
        let partition = Partition::of(token.user);
        Ok(bounded(async {
            let mut tx = self.begin_on(by, partition).await?;
            let now = self.time.now()?;
            let taken = reset_row::take(&mut tx, token, by.of(partition).vouching, now).await?;
            tx.commit().await?;
            Ok(taken)
        })
        .await?)
    }

    async fn restore_reset_token(
        &self,
        by: &Vouched,
        token: &ResetClaims,
        grant: ResetGrant,
    ) -> BackendResult<()> {
        let partition = Partition::of(token.user);
        bounded(async {
            let mut tx = self.begin_on(by, partition).await?;
            let now = self.time.now()?;
            reset_row::restore(&mut tx, token, grant, by.of(partition).vouching, now).await?;
            tx.commit().await?;
            Ok(())
        })
        .await?;
        self.purge.expect(grant.deadline);
        Ok(())
    }
}

#[async_trait]
impl RevocationBackend for EmbeddedTokenStore {
    async fn known_revocation(
        &self,
        by: &Vouched,
        revoked: &Journaled,
        until: Timestamp,
    ) -> BackendResult<Known> {
        let partition = revoked.partition();
        Ok(bounded(async {
            let mut reader = self.begin_reading(by, partition).await?;
            let is_denied = revoke::is_denied(&mut reader, revoked, until).await?;
            let owes = partitions::owes(&mut *reader).await?;
            Ok(match (is_denied, owes) {
                (false, _) => Known::Nothing,
                (true, true) => Known::CarriedOut,
                (true, false) => Known::Journaled,
            })
        })
        .await?)
    }

    /// What it does, the mark and what is owed go together (model: AppliedBeforeTheMark, OwedUntilJournaled).
    async fn carry_out(
        &self,
        by: &Vouched,
        entry: &NewEntry,
        placement: Placement,
        denial: Duration,
    ) -> BackendResult<CarriedOut> {
        let partition = entry.revoked.partition();
        let (now, carried_out) = bounded(async {
            let mut tx = self.begin_on(by, partition).await?;
            let now = self.time.now()?;
            let (was_owed, placed) = match placement {
                Placement::At(link) => {
                    let was_owed = partitions::settle(&mut tx, entry.id).await?;
                    (was_owed, partitions::pass(&mut tx, partition, link).await?)
                }
                Placement::Owed => {
                    partitions::owe(&mut tx, entry).await?;
                    (false, Placed::Counted)
                }
            };
            let ended = match was_owed {
                true => Vec::new(),
                false => revoke::carry_out(&mut tx, &entry.revoked, now, denial).await?,
            };
            tx.commit().await?;
            Ok((now, CarriedOut { ended, placed }))
        })
        .await?;
        self.announced(now.after(denial));
        Ok(carried_out)
    }

    /// Carried out and owed in one transaction (model: OwedUntilJournaled).
    async fn cut_off_ahead(
        &self,
        by: &Vouched,
        user: UserId,
        id: EntryId,
        until: Timestamp,
        denial: Duration,
    ) -> BackendResult<(SecurityVersion, Vec<SessionId>)> {
        let (now, outcome) = bounded(async {
            let mut tx = self.begin_on(by, Partition::of(user)).await?;
            let now = self.time.now()?;
            let below = revoke::next_version(&mut tx, user, now).await?;
            let revoked = Journaled::User { user, below };
            let ended = revoke::carry_out(&mut tx, &revoked, now, denial).await?;
            partitions::owe(&mut tx, &NewEntry { id, revoked, until }).await?;
            tx.commit().await?;
            Ok((now, (below, ended)))
        })
        .await?;
        self.announced(now.after(denial));
        Ok(outcome)
    }

    /// No copy outside this process answers from this file.
    async fn passed_on(&self, _: &Vouched) -> BackendResult<()> {
        Ok(())
    }

    async fn replicated(&self, _: &Vouched) -> BackendResult<()> {
        Ok(())
    }

    async fn announce_key(&self, by: &Vouched, key: &KeyId, remembered: Duration) -> BackendResult<()> {
        let until = self.time.now()?.after(remembered);
        bounded(async {
            let mut tx = self.begin_on(by, Partition::EVERYBODY).await?;
            feed::insert(&mut tx, &Revocation { revoked: Revoked::Key(key.clone()), until }).await?;
            tx.commit().await?;
            Ok(())
        })
        .await?;
        self.announced(until);
        Ok(())
    }
}

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
}

impl EmbeddedTokenStore {
    /// Begins a write to a partition that is what was vouched for.
    /// (model: VouchingIsPassed)
    async fn begin_on(
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
    async fn begin_reading(
        &self,
        by: &Vouched,
        partition: Partition,
    ) -> Result<Transaction<'static, Sqlite>, Fault> {
        let mut tx = self.reader().begin().await?;
        partitions::require(&mut *tx, partition, by.of(partition)).await?;
        Ok(tx)
    }

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

    /// Something was added to the feed that may go at `until`.
    fn announced(&self, until: Timestamp) {
        self.feed_bell.ring();
        self.purge.expect(until);
    }
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
    #[error("the data is not what was vouched for")]
    Unvouched,
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Corrupt { place, key, problem } => Self::Corrupt { place, key, problem },
            Fault::Driver(_) | Fault::TooSlow | Fault::Unvouched => {
                Self::Unavailable { store: "token store", source: Box::new(fault) }
            }
        }
    }
}

impl From<Fault> for BackendError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unvouched => Self::Unvouched,
            fault => Self::Store(fault.into()),
        }
    }
}

/// Runs an operation, for as long as operations are answered at all: a busy machine makes long lines,
/// and only a line that stands still has something that holds it up. One that is given up is rolled
/// back, unless its commit was under way.
async fn bounded<T>(operation: impl Future<Output = Result<T, Fault>> + Send) -> Result<T, Fault> {
    /// A process has one such store.
    static LINE: Line = Line::new();
    let answer = patience::while_it_moves(&LINE, OPERATION_TIMEOUT, LONGEST_WAIT, operation).await;
    if matches!(answer, Ok(Ok(_) | Err(Fault::Corrupt { .. } | Fault::Unvouched))) {
        LINE.moves();
    }
    answer.unwrap_or(Err(Fault::TooSlow))
}
