//! Bringing the schema up to date, in one transaction: all steps are taken or none is, a pooler in between
//! makes no difference, and the lock goes with the transaction whatever happens.

use std::collections::BTreeMap;

use sqlx::migrate::{Migration, Migrator};
use sqlx::{AssertSqlSafe, Row};
use tokio::time::timeout;

use super::pool::Transaction;
use super::rights::{self, Lack, is_refusal};
use super::store::{PostgresStore, unreachable_at};
use crate::store::sql::error::DatabaseError;
use crate::store::sql::failure::{text_of, text_of_driver};
use crate::store::sql::migrations::{self, MIGRATION_TIMEOUT, TABLE};

static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

/// What a migration locks: "hpsteps" in ASCII.
const MIGRATION_LOCK: i64 = 0x68_7073_7465_7073;

/// As sqlx keeps it, which has made it in older databases.
const CREATE_TABLE: &str = "
CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
    success BOOLEAN NOT NULL,
    checksum BYTEA NOT NULL,
    execution_time BIGINT NOT NULL
)";

impl PostgresStore {
    /// Brings the schema up to date and answers the names of the steps taken. Replicas that start
    /// at once take each step once. Makes the schema itself where the URL names one that is not there.
    ///
    /// # Errors
    /// [`DatabaseError::Newer`], [`DatabaseError::MayNotMigrate`], [`DatabaseError::MayNotLook`],
    /// [`DatabaseError::Migration`] or [`DatabaseError::Unreachable`]. No step is taken then.
    pub async fn migrate(&self) -> Result<Vec<String>, DatabaseError> {
        let migrating = async {
            // A role that may only use what is there need not be able to change it.
            let lacking = self.pending_migrations().await?;
            if lacking.is_empty() {
                return Ok(Vec::new());
            }
            self.take_steps().await.map_err(|error| self.explained(error, lacking))
        };
        timeout(MIGRATION_TIMEOUT, migrating)
            .await
            .unwrap_or_else(|elapsed| Err(DatabaseError::Migration(text_of(&elapsed))))
    }

    /// The names of the steps that [`migrate`](Self::migrate) would take. Changes nothing.
    ///
    /// # Errors
    /// [`DatabaseError::Newer`], and others when the database does not answer.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, DatabaseError> {
        let asking = async {
            let mut transaction = self.pool.begin_migration().await?;
            if let Some(schema) = hidden_schema(&mut transaction, self.schema.as_deref()).await? {
                let problem = format!("it lacks {}", Lack::Schema(schema));
                let role = self.role.clone();
                return Err(StepError::Database(DatabaseError::MayNotLook { role, source: problem.into() }));
            }
            pending(&mut transaction).await
        };
        let asked = timeout(self.pool.connect_timeout(), asking).await;
        let pending = asked.unwrap_or_else(|elapsed| {
            let (place, source) = (self.place.clone(), text_of(&elapsed));
            Err(StepError::Database(DatabaseError::Unreachable { place, may_pass: true, source }))
        });
        let pending = pending.map_err(|error| match error {
            StepError::Driver(source) if is_refusal(&source) => {
                DatabaseError::MayNotLook { role: self.role.clone(), source: text_of(&source) }
            }
            StepError::Driver(source) => unreachable_at(&self.place, &source),
            StepError::Database(error) => error,
        })?;
        Ok(pending.into_iter().map(migrations::name).collect())
    }

    /// Gives `role` what it lacks of the rights that the service needs, as the owner of the tables. Answers
    /// what it gave.
    ///
    /// # Errors
    /// [`DatabaseError::Migration`] when the tables are not ours to give rights on, or there is no such role.
    pub async fn grant_rights(&self, role: &str) -> Result<Vec<Lack>, DatabaseError> {
        let granting = async {
            let mut transaction = self.pool.begin_migration().await?;
            let lacking = rights::lacking(&mut transaction, role).await?;
            for lack in &lacking {
                sqlx::raw_sql(AssertSqlSafe(lack.grant_to(role))).execute(&mut transaction).await?;
            }
            transaction.commit().await?;
            Ok::<_, sqlx::Error>(lacking)
        };
        granting.await.map_err(|error| DatabaseError::Migration(text_of_driver(&error)))
    }

    async fn take_steps(&self) -> Result<Vec<String>, StepError> {
        let mut transaction = self.pool.begin_migration().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(MIGRATION_LOCK)
            .execute(&mut transaction)
            .await?;
        if let Some(schema) = &self.schema {
            let is_there = sqlx::query("SELECT 1 FROM pg_namespace WHERE nspname = $1").bind(schema);
            if is_there.fetch_optional(&mut transaction).await?.is_none() {
                // A plain name, as the URL's reader sees to.
                let create = format!("CREATE SCHEMA \"{schema}\"");
                sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut transaction).await?;
            }
        }
        // First of all: it hears what others have made while we waited for the lock, and a look does not.
        sqlx::raw_sql(CREATE_TABLE).execute(&mut transaction).await?;
        let pending = pending(&mut transaction).await?;
        for step in &pending {
            sqlx::raw_sql(step.sql.clone()).execute(&mut transaction).await?;
            let note =
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                        VALUES ($1, $2, TRUE, $3, -1)";
            sqlx::query(note)
                .bind(step.version)
                .bind(&*step.description)
                .bind(&*step.checksum)
                .execute(&mut transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(pending.into_iter().map(migrations::name).collect())
    }

    fn explained(&self, error: StepError, steps: Vec<String>) -> DatabaseError {
        match error {
            StepError::Driver(source) if is_refusal(&source) => {
                DatabaseError::MayNotMigrate { role: self.role.clone(), steps, source: text_of(&source) }
            }
            StepError::Driver(source) => DatabaseError::Migration(text_of_driver(&source)),
            StepError::Database(error) => error,
        }
    }
}

enum StepError {
    Driver(sqlx::Error),
    Database(DatabaseError),
}

impl From<sqlx::Error> for StepError {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

/// The schema that everything should be in, when it is there and may not be looked into.
async fn hidden_schema(transaction: &mut Transaction, named: Option<&str>) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "SELECT nspname::text FROM pg_namespace
         WHERE nspname = COALESCE($1, 'public') AND NOT has_schema_privilege(oid, 'USAGE')",
    )
    .bind(named)
    .fetch_optional(transaction)
    .await
}

/// The steps that the database has not had; an error when it has had others.
async fn pending(transaction: &mut Transaction) -> Result<Vec<&'static Migration>, StepError> {
    let is_noted = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(TABLE);
    let (mut applied, mut named) = (BTreeMap::new(), Vec::new());
    if is_noted.fetch_one(&mut *transaction).await? {
        let select = "SELECT version, checksum, description FROM _sqlx_migrations ORDER BY version";
        for row in sqlx::query(select).fetch_all(&mut *transaction).await? {
            applied.insert(row.try_get::<i64, _>(0)?, row.try_get::<Vec<u8>, _>(1)?);
            named.push((row.try_get(0)?, row.try_get(2)?));
        }
    }
    migrations::check_later(&MIGRATOR, &named).map_err(StepError::Database)?;
    let changed =
        MIGRATOR.iter().find(|step| applied.get(&step.version).is_some_and(|sum| **sum != *step.checksum));
    if let Some(step) = changed {
        let problem =
            format!("the database has had another {} than this hallpass has", migrations::name(step));
        return Err(StepError::Database(DatabaseError::Migration(problem.into())));
    }
    Ok(MIGRATOR.iter().filter(|step| !applied.contains_key(&step.version)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// They are all taken in one.
    #[test]
    fn every_step_can_be_taken_in_a_transaction() {
        assert!(MIGRATOR.iter().all(|step| !step.no_tx));
    }
}
