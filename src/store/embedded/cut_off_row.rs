//! The table of cut-offs.

use sqlx::SqliteConnection;

use crate::domain::clock::Timestamp;
use crate::domain::ids::UserId;
use crate::domain::user::SecurityVersion;

/// The version that sessions of the user must have, if there was a security event of late.
pub(super) async fn find(
    tx: &mut SqliteConnection,
    user: UserId,
    now: Timestamp,
) -> Result<Option<SecurityVersion>, sqlx::Error> {
    let version: Option<i64> =
        sqlx::query_scalar("SELECT security_version FROM cutoffs WHERE user_id = ?1 AND expires_at > ?2")
            .bind(user.get())
            .bind(now.as_millis())
            .fetch_optional(tx)
            .await?;
    Ok(version.map(SecurityVersion::new))
}

/// Writes the security event down. A repeated one is remembered longer; a late one changes nothing.
/// (model: CutOffNeverGoesDown)
pub(super) async fn keep(
    tx: &mut SqliteConnection,
    user: UserId,
    version: SecurityVersion,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM cutoffs WHERE user_id = ?1 AND expires_at <= ?2")
        .bind(user.get())
        .bind(now.as_millis())
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "INSERT INTO cutoffs (user_id, security_version, expires_at)
         VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET
           security_version = max(security_version, excluded.security_version),
           expires_at = max(expires_at, excluded.expires_at)",
    )
    .bind(user.get())
    .bind(version.get())
    .bind(expires_at.as_millis())
    .execute(tx)
    .await?;
    Ok(())
}
