//! The table of sessions.

use sqlx::{SqliteConnection, SqliteExecutor};
use uuid::Uuid;

use super::fault::Fault;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::session::Session;
use crate::domain::session_cap::SessionCursor;
use crate::domain::session_carried::Carried;
use crate::domain::tokens::Generation;
use crate::domain::user::SecurityVersion;

/// A session as it is stored.
#[derive(sqlx::FromRow)]
pub(super) struct SessionRow {
    id: String,
    user_id: i64,
    security_version: i64,
    generation: i64,
    created_at: i64,
    rotated_at: i64,
    issued_at: i64,
    idle_deadline: i64,
    absolute_deadline: i64,
    incarnation: i64,
    carried: String,
}

/// The session of that id, if it is that user's and of that incarnation.
/// (model: TokensOfTheirIncarnation)
pub(super) async fn find(
    executor: impl SqliteExecutor<'_>,
    session: SessionId,
    user: UserId,
    incarnation: i64,
) -> Result<Option<SessionRow>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM sessions WHERE id = ?1 AND user_id = ?2 AND incarnation = ?3")
        .bind(session.to_string())
        .bind(user.get())
        .bind(incarnation)
        .fetch_optional(executor)
        .await
}

/// At most `limit` of the user's live sessions, newest first, from the one behind `after` on.
/// (model: TokensOfTheirIncarnation)
pub(super) async fn list_live(
    executor: impl SqliteExecutor<'_>,
    user: UserId,
    incarnation: i64,
    now: Timestamp,
    after: Option<SessionCursor>,
    limit: u32,
) -> Result<Vec<Session>, Fault> {
    let rows: Vec<SessionRow> = sqlx::query_as(
        "SELECT * FROM sessions
         WHERE user_id = ?1 AND idle_deadline > ?2 AND absolute_deadline > ?2 AND incarnation = ?3
           AND (?4 IS NULL OR (created_at, id) < (?4, ?5))
         ORDER BY created_at DESC, id DESC LIMIT ?6",
    )
    .bind(user.get())
    .bind(now.as_millis())
    .bind(incarnation)
    .bind(after.map(|after| after.created_at.as_millis()))
    .bind(after.map(|after| after.id.to_string()))
    .bind(limit)
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(Session::try_from).collect()
}

/// How many live sessions the user has.
pub(super) async fn count_live(
    connection: &mut SqliteConnection,
    user: UserId,
    incarnation: i64,
    now: Timestamp,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT count(*) FROM sessions
         WHERE user_id = ?1 AND idle_deadline > ?2 AND absolute_deadline > ?2 AND incarnation = ?3",
    )
    .bind(user.get())
    .bind(now.as_millis())
    .bind(incarnation)
    .fetch_one(connection)
    .await
}

/// Adds a session.
pub(super) async fn insert(tx: &mut SqliteConnection, session: &Session) -> Result<(), Fault> {
    let carried = session.carried.encode();
    let carried = carried.map_err(|error| corrupt("sessions.carried", &session.id.to_string(), error))?;
    sqlx::query(
        "INSERT INTO sessions (id, user_id, security_version, generation, created_at, rotated_at, issued_at,
           idle_deadline, absolute_deadline, incarnation, carried)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )
    .bind(session.id.to_string())
    .bind(session.user.get())
    .bind(session.security_version.get())
    .bind(i64::from(session.generation.get()))
    .bind(session.created_at.as_millis())
    .bind(session.rotated_at.as_millis())
    .bind(session.issued_at.as_millis())
    .bind(session.idle_deadline.as_millis())
    .bind(session.absolute_deadline.as_millis())
    .bind(session.incarnation)
    .bind(carried)
    .execute(tx)
    .await?;
    Ok(())
}

/// Does to the session what a refresh token brought about.
pub(super) async fn apply(
    tx: &mut SqliteConnection,
    session: SessionId,
    change: Change,
) -> Result<(), sqlx::Error> {
    match change {
        Change::None => Ok(()),
        Change::Keep(session) => update(tx, &session).await,
        Change::End { .. } => delete(tx, session).await,
    }
}

async fn update(tx: &mut SqliteConnection, session: &Session) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE sessions SET generation = ?2, rotated_at = ?3, issued_at = ?4, idle_deadline = ?5,
           created_at = ?6, absolute_deadline = ?7
         WHERE id = ?1",
    )
    .bind(session.id.to_string())
    .bind(i64::from(session.generation.get()))
    .bind(session.rotated_at.as_millis())
    .bind(session.issued_at.as_millis())
    .bind(session.idle_deadline.as_millis())
    .bind(session.created_at.as_millis())
    .bind(session.absolute_deadline.as_millis())
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes a session.
pub(super) async fn delete(tx: &mut SqliteConnection, session: SessionId) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM sessions WHERE id = ?1").bind(session.to_string()).execute(tx).await?;
    Ok(())
}

/// Ends the user's sessions of a version before `version`; answers those that were still live.
/// (model: VersionsNotTimes)
pub(super) async fn end_older(
    tx: &mut SqliteConnection,
    user: UserId,
    version: SecurityVersion,
    now: Timestamp,
) -> Result<Vec<SessionId>, Fault> {
    let ended: Vec<(String, bool)> = sqlx::query_as(
        "DELETE FROM sessions WHERE user_id = ?1 AND security_version < ?2
         RETURNING id, idle_deadline > ?3 AND absolute_deadline > ?3",
    )
    .bind(user.get())
    .bind(version.get())
    .bind(now.as_millis())
    .fetch_all(tx)
    .await?;
    ended.into_iter().filter(|(_, was_live)| *was_live).map(|(id, _)| parse_id(&id)).collect()
}

/// Whether live sessions of the user are of a version before `version`.
pub(super) async fn older_stand(
    tx: &mut SqliteConnection,
    user: UserId,
    version: SecurityVersion,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sessions WHERE user_id = ?1 AND security_version < ?2
                          AND idle_deadline > ?3 AND absolute_deadline > ?3)",
    )
    .bind(user.get())
    .bind(version.get())
    .bind(now.as_millis())
    .fetch_one(tx)
    .await
}

/// Whether the user has any session, of whatever version and incarnation.
pub(super) async fn has_any(connection: &mut SqliteConnection, user: UserId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sessions WHERE user_id = ?1)")
        .bind(user.get())
        .fetch_one(connection)
        .await
}

/// When the newest access token of the user's live sessions was minted.
pub(super) async fn newest_issue(
    executor: impl SqliteExecutor<'_>,
    user: UserId,
    incarnation: i64,
    now: Timestamp,
) -> Result<Option<Timestamp>, sqlx::Error> {
    let newest: Option<i64> = sqlx::query_scalar(
        "SELECT max(issued_at) FROM sessions
         WHERE user_id = ?1 AND idle_deadline > ?2 AND absolute_deadline > ?2 AND incarnation = ?3",
    )
    .bind(user.get())
    .bind(now.as_millis())
    .bind(incarnation)
    .fetch_one(executor)
    .await?;
    Ok(newest.map(Timestamp::from_millis))
}

fn parse_id(id: &str) -> Result<SessionId, Fault> {
    Uuid::parse_str(id).map(SessionId::from).map_err(|error| corrupt("sessions.id", id, error))
}

fn corrupt(place: &'static str, id: &str, problem: impl ToString) -> Fault {
    Fault::Corrupt { place, key: id.to_owned(), problem: problem.to_string() }
}

impl TryFrom<SessionRow> for Session {
    type Error = Fault;

    fn try_from(row: SessionRow) -> Result<Self, Fault> {
        let id = row.id.as_str();
        let generation = u32::try_from(row.generation)
            .map(Generation::new)
            .map_err(|error| corrupt("sessions.generation", id, error))?;
        Ok(Self {
            id: parse_id(id)?,
            user: UserId::try_from(row.user_id).map_err(|error| corrupt("sessions.user_id", id, error))?,
            security_version: SecurityVersion::new(row.security_version),
            carried: Carried::decode(&row.carried).map_err(|error| corrupt("sessions.carried", id, error))?,
            incarnation: row.incarnation,
            generation,
            created_at: Timestamp::from_millis(row.created_at),
            rotated_at: Timestamp::from_millis(row.rotated_at),
            issued_at: Timestamp::from_millis(row.issued_at),
            idle_deadline: Timestamp::from_millis(row.idle_deadline),
            absolute_deadline: Timestamp::from_millis(row.absolute_deadline),
        })
    }
}

/// What an operation does to the session.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and most hold the session")]
pub(super) enum Change {
    /// Nothing.
    None,
    /// Its current token, its deadline, or the time of its newest access token has moved on.
    Keep(Session),
    /// It is revoked, which matters until it would have ended by itself.
    End {
        /// When it would have.
        of_itself_at: Timestamp,
    },
}

impl Change {
    pub(super) fn end(session: &Session) -> Self {
        Self::End { of_itself_at: session.idle_deadline.min(session.absolute_deadline) }
    }
}
