//! The table of reset tokens: one for each place that a user asked for one at.

use sqlx::SqliteConnection;

use super::fault::Fault;
use crate::domain::clock::Timestamp;
use crate::domain::ids::UserId;
use crate::domain::journal::VouchingId;
use crate::domain::rate_limit::PlaceMark;
use crate::domain::tokens::ResetClaims;
use crate::domain::user::SecurityVersion;
use crate::store::reset_tokens::{ResetGrant, ResetInsertion};

/// Writes a token in place of any earlier one of its place, if that has one or there is room for another.
pub(super) async fn insert(
    tx: &mut SqliteConnection,
    token: &ResetClaims,
    grant: ResetGrant,
    room: u32,
    vouching: VouchingId,
    now: Timestamp,
) -> Result<ResetInsertion, Fault> {
    sqlx::query("DELETE FROM reset_tokens WHERE user_id = ?1 AND (expires_at <= ?2 OR vouching <> ?3)")
        .bind(token.user.get())
        .bind(now.as_millis())
        .bind(vouching.get())
        .execute(&mut *tx)
        .await?;
    let (places, has_one): (i64, bool) =
        sqlx::query_as("SELECT count(*), coalesce(max(place = ?2), 0) FROM reset_tokens WHERE user_id = ?1")
            .bind(token.user.get())
            .bind(grant.place.as_bytes().as_slice())
            .fetch_one(&mut *tx)
            .await?;
    if !has_one && places >= i64::from(room) {
        return Ok(ResetInsertion::Full);
    }
    write(tx, token, grant, vouching).await?;
    Ok(ResetInsertion::Kept)
}

/// The token, if it is the newest of its place and has not ended.
pub(super) async fn find(
    reader: &mut SqliteConnection,
    token: &ResetClaims,
    vouching: VouchingId,
    now: Timestamp,
) -> Result<Option<ResetGrant>, Fault> {
    let found: Option<(i64, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT security_version, expires_at, place FROM reset_tokens
         WHERE user_id = ?1 AND hash = ?2 AND expires_at > ?3 AND vouching = ?4",
    )
    .bind(token.user.get())
    .bind(token.hash.as_bytes().as_slice())
    .bind(now.as_millis())
    .bind(vouching.get())
    .fetch_optional(reader)
    .await?;
    found.map(|row| grant(token.user, row)).transpose()
}

/// Deletes the token and all others of the user.
pub(super) async fn take(
    tx: &mut SqliteConnection,
    token: &ResetClaims,
    vouching: VouchingId,
    now: Timestamp,
) -> Result<Option<ResetGrant>, Fault> {
    let taken = find(&mut *tx, token, vouching, now).await?;
    if taken.is_some() {
        sqlx::query("DELETE FROM reset_tokens WHERE user_id = ?1").bind(token.user.get()).execute(tx).await?;
    }
    Ok(taken)
}

/// Writes a token again, unless a newer one of its place stands there.
pub(super) async fn restore(
    tx: &mut SqliteConnection,
    token: &ResetClaims,
    grant: ResetGrant,
    vouching: VouchingId,
    now: Timestamp,
) -> Result<(), Fault> {
    let is_taken: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM reset_tokens
           WHERE user_id = ?1 AND place = ?2 AND expires_at > ?3 AND vouching = ?4)",
    )
    .bind(token.user.get())
    .bind(grant.place.as_bytes().as_slice())
    .bind(now.as_millis())
    .bind(vouching.get())
    .fetch_one(&mut *tx)
    .await?;
    match is_taken {
        true => Ok(()),
        false => Ok(write(tx, token, grant, vouching).await?),
    }
}

async fn write(
    tx: &mut SqliteConnection,
    token: &ResetClaims,
    grant: ResetGrant,
    vouching: VouchingId,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT OR REPLACE INTO reset_tokens (user_id, place, hash, security_version, expires_at, vouching)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .bind(token.user.get())
    .bind(grant.place.as_bytes().as_slice())
    .bind(token.hash.as_bytes().as_slice())
    .bind(grant.version.get())
    .bind(grant.deadline.as_millis())
    .bind(vouching.get())
    .execute(tx)
    .await?;
    Ok(())
}

fn grant(user: UserId, (version, deadline, place): (i64, i64, Vec<u8>)) -> Result<ResetGrant, Fault> {
    let place = place.try_into().map(PlaceMark::new).map_err(|_| Fault::Corrupt {
        place: "reset_tokens",
        key: user.to_string(),
        problem: "`place` is malformed".to_owned(),
    })?;
    let version = SecurityVersion::new(version);
    Ok(ResetGrant { version, deadline: Timestamp::from_millis(deadline), place })
}
