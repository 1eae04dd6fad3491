//! Carrying out revocations, once or again.

use std::time::Duration;

use sqlx::SqliteConnection;

use super::fault::Fault;
use super::{cut_off_row, feed, session_row};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::journal::Journaled;
use crate::domain::revocation::{Revocation, Revoked};
use crate::domain::user::SecurityVersion;

/// How long a cut-off goes on refusing sessions of an older version: far longer than a login can be
/// on its way. Older sessions themselves end at once; and it ends at all, so that accounts which
/// are restored from a backup, with their older versions, can log in again.
const CUT_OFF_MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

/// Under which number machines' tokens stand among the denials: no user's.
pub(super) const MACHINES: i64 = 0;

/// Carries a revocation out and announces it; answers the sessions that ended.
pub(super) async fn carry_out(
    tx: &mut SqliteConnection,
    revoked: &Journaled,
    entry_until: Timestamp,
    now: Timestamp,
    denial: Duration,
) -> Result<Vec<SessionId>, Fault> {
    let until = now.after(denial);
    match *revoked {
        Journaled::Session { user, session } => end_session(tx, user, session, now, until).await,
        Journaled::User { user, below } => {
            cut_off_row::keep(tx, user, below, now, now.after(denial.max(CUT_OFF_MEMORY))).await?;
            let ended = session_row::end_older(tx, user, below, now).await?;
            sqlx::query("DELETE FROM reset_tokens WHERE user_id = ?1 AND security_version < ?2")
                .bind(user.get())
                .bind(below.get())
                .execute(&mut *tx)
                .await?;
            let event = Revoked::User { user, below };
            for revoked in ended.iter().map(|sid| Revoked::Session(*sid)).chain([event]) {
                feed::insert(tx, &Revocation { revoked, until }).await?;
            }
            Ok(ended)
        }
        Journaled::Token { user, token } => deny(tx, user.get(), token, until).await,
        Journaled::MachineToken(token) => deny(tx, MACHINES, token, until).await,
        Journaled::Client(ref client) => {
            let revoked = Revoked::Client(client.clone());
            feed::insert(tx, &Revocation { revoked, until: entry_until }).await?;
            Ok(Vec::new())
        }
    }
}

/// One that is another user's lives on.
async fn end_session(
    tx: &mut SqliteConnection,
    user: UserId,
    session: SessionId,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<SessionId>, Fault> {
    let foreign: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sessions WHERE id = ?1 AND user_id <> ?2)")
            .bind(session.to_string())
            .bind(user.get())
            .fetch_one(&mut *tx)
            .await?;
    if foreign {
        return Ok(Vec::new());
    }
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
    feed::insert(tx, &Revocation { revoked: Revoked::Session(session), until }).await?;
    Ok(if ended.rows_affected() > 0 { vec![session] } else { Vec::new() })
}

async fn deny(
    tx: &mut SqliteConnection,
    owner: i64,
    token: Jti,
    until: Timestamp,
) -> Result<Vec<SessionId>, Fault> {
    sqlx::query(
        "INSERT INTO denials (user_id, jti, expires_at) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET expires_at = max(expires_at, excluded.expires_at)",
    )
    .bind(owner)
    .bind(token.to_string())
    .bind(until.as_millis())
    .execute(&mut *tx)
    .await?;
    feed::insert(tx, &Revocation { revoked: Revoked::Token(token), until }).await?;
    Ok(Vec::new())
}

/// Whether a session that is over, or a token, was revoked, which is told until then at least.
pub(super) async fn is_denied(
    connection: &mut SqliteConnection,
    revoked: &Journaled,
    until: Timestamp,
) -> Result<bool, sqlx::Error> {
    let (owner, token) = match *revoked {
        Journaled::Session { session, .. } => {
            // No row, no access: only what was announced tells that there was one.
            return sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM revocations WHERE subject = ?1 AND kind = 'sid' AND expires_at >= ?2)",
            )
            .bind(session.to_string())
            .bind(until.as_millis())
            .fetch_one(connection)
            .await;
        }
        Journaled::Token { user, token } => (user.get(), token),
        Journaled::MachineToken(token) => (MACHINES, token),
        Journaled::User { .. } | Journaled::Client(_) => return Ok(false),
    };
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM denials WHERE user_id = ?1 AND jti = ?2 AND expires_at >= ?3)",
    )
    .bind(owner)
    .bind(token.to_string())
    .bind(until.as_millis())
    .fetch_one(connection)
    .await
}

/// The first version of a user that nothing here is of.
/// (model: VersionsAreNew)
pub(super) async fn next_version(
    tx: &mut SqliteConnection,
    user: UserId,
    now: Timestamp,
) -> Result<SecurityVersion, Fault> {
    let greatest: i64 = sqlx::query_scalar(
        "SELECT max(
           ifnull((SELECT max(security_version) FROM sessions WHERE user_id = ?1), 0),
           ifnull((SELECT security_version FROM cutoffs WHERE user_id = ?1), 0))",
    )
    .bind(user.get())
    .fetch_one(tx)
    .await?;
    Ok(SecurityVersion::new(greatest).next(now))
}
