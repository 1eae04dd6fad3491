//! Bringing the schema of a file up to date, in one transaction.

use sqlx::migrate::{Migrate, MigrateError, Migration, Migrator};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::store::{SqliteStore, unreachable_file};
use crate::store::sql::error::DatabaseError;
use crate::store::sql::failure::text_of;
use crate::store::sql::migrations::{self, MIGRATION_TIMEOUT, TABLE};

pub(super) static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

impl SqliteStore {
    /// Brings the schema up to date and answers the names of the steps taken. Replicas that start
    /// at once on one file take each step once.
    ///
    /// # Errors
    /// [`DatabaseError::Newer`], [`DatabaseError::Migration`] or [`DatabaseError::Unreachable`];
    /// the database is as it was then.
    pub async fn migrate(&self) -> Result<Vec<String>, DatabaseError> {
        let migrating = async {
            let mut connection = self.connection_of_its_own().await?;
            // sqlx locks nothing on SQLite, so two processes would both find a step missing. In
            // one write transaction around all steps the second finds them taken.
            let mut transaction = connection
                .begin_with("BEGIN IMMEDIATE")
                .await
                .map_err(|error| DatabaseError::Migration(text_of(&error)))?;
            let taken = take_steps(&mut transaction).await?;
            transaction.commit().await.map_err(|error| DatabaseError::Migration(text_of(&error)))?;
            self.finish(connection).await?;
            Ok(taken)
        };
        tokio::time::timeout(MIGRATION_TIMEOUT, migrating)
            .await
            .unwrap_or_else(|elapsed| Err(DatabaseError::Migration(text_of(&elapsed))))
    }

    /// The names of the steps that [`migrate`](Self::migrate) would take. Changes nothing.
    ///
    /// # Errors
    /// [`DatabaseError::Newer`], and others when the database does not answer.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, DatabaseError> {
        let mut connection = self.connection_of_its_own().await?;
        let noted: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')")
                .fetch_one(&mut connection)
                .await
                .map_err(|error| unreachable_file(&self.path, &error))?;
        let pending = match noted {
            true => pending(&mut connection).await?,
            false => migrations::all(&MIGRATOR),
        };
        self.finish(connection).await?;
        Ok(pending)
    }

    /// A connection that may wait longer than a request could.
    async fn connection_of_its_own(&self) -> Result<SqliteConnection, DatabaseError> {
        let options = (*self.writer.connect_options()).clone().busy_timeout(MIGRATION_TIMEOUT);
        options.connect().await.map_err(|error| unreachable_file(&self.path, &error))
    }

    /// Closes a connection now; dropped, it would be closed by a thread at some later time.
    async fn finish(&self, connection: SqliteConnection) -> Result<(), DatabaseError> {
        connection.close().await.map_err(|error| unreachable_file(&self.path, &error))
    }
}

/// Takes the steps that the file has not had, and answers their names. Nobody else writes meanwhile.
async fn take_steps(connection: &mut SqliteConnection) -> Result<Vec<String>, DatabaseError> {
    let failed = |error: MigrateError| DatabaseError::Migration(text_of(&error));
    connection.ensure_migrations_table(TABLE).await.map_err(failed)?;
    let pending = pending(connection).await?;
    // Steps of a later hallpass have been judged.
    let migrator =
        Migrator { migrations: MIGRATOR.migrations.clone(), ignore_missing: true, ..Migrator::DEFAULT };
    migrator.run_direct(None, connection, false).await.map_err(failed)?;
    Ok(pending)
}

/// The names of the steps that a file, which notes its steps already, has not had; an error when it has had
/// others that this program is not to be used with.
async fn pending(connection: &mut SqliteConnection) -> Result<Vec<String>, DatabaseError> {
    let applied: Vec<(i64, String)> =
        sqlx::query_as("SELECT version, description FROM _sqlx_migrations ORDER BY version")
            .fetch_all(connection)
            .await
            .map_err(|error| DatabaseError::Migration(text_of(&error)))?;
    migrations::check_later(&MIGRATOR, &applied)?;
    let is_pending = |step: &&Migration| applied.iter().all(|(version, _)| *version != step.version);
    Ok(MIGRATOR.iter().filter(is_pending).map(migrations::name).collect())
}
