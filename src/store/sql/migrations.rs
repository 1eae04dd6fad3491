//! Bringing the schema up to date.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migration, Migrator};

use super::error::DatabaseError;
use super::failure::text_of;

/// How long bringing the schema up to date may take, waiting for another replica that is at it
/// included. Rewriting a large table takes its time.
pub(super) const MIGRATION_TIMEOUT: Duration = Duration::from_secs(300);

/// Where the steps that a database has had are noted (sqlx's own name).
pub(super) const TABLE: &str = "_sqlx_migrations";

/// Takes the steps that the database has not had, and answers their names.
///
/// The caller holds a lock on the database, so that what is pending stays so until it is done.
pub(super) async fn run<C>(migrator: &Migrator, connection: &mut C) -> Result<Vec<String>, DatabaseError>
where
    C: Migrate + Send,
{
    connection.ensure_migrations_table(TABLE).await.map_err(failed)?;
    let pending = pending(migrator, connection).await?;
    migrator.run_direct(None, connection, false).await.map_err(failed)?;
    Ok(pending)
}

/// The names of the steps that a database, which notes its steps already, has not had; an error when it
/// has had others.
pub(super) async fn pending<C>(migrator: &Migrator, connection: &mut C) -> Result<Vec<String>, DatabaseError>
where
    C: Migrate + Send,
{
    let applied = connection.list_applied_migrations(TABLE).await.map_err(failed)?;
    let applied: HashSet<i64> = applied.iter().map(|step| step.version).collect();
    let known: HashSet<i64> = migrator.iter().map(|step| step.version).collect();
    if let Some(unknown) = applied.difference(&known).min() {
        return Err(DatabaseError::Newer(*unknown));
    }
    Ok(migrator.iter().filter(|step| !applied.contains(&step.version)).map(name).collect())
}

/// The names of all steps: what is pending on a database that notes none yet.
pub(super) fn all(migrator: &Migrator) -> Vec<String> {
    migrator.iter().map(name).collect()
}

/// The name of a step's file, less the ending.
pub(super) fn name(step: &Migration) -> String {
    format!("{:04}_{}", step.version, step.description.replace(' ', "_"))
}

pub(super) fn failed(error: MigrateError) -> DatabaseError {
    match error {
        MigrateError::VersionMissing(version) => DatabaseError::Newer(version),
        other => DatabaseError::Migration(text_of(&other)),
    }
}
