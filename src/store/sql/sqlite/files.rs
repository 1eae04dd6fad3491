//! SQLite files as a whole: copied while others use them, looked into, and taken from those who use them.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::time::{Instant, sleep};

use super::super::rows;
use super::migration::MIGRATOR;
use super::store::{is_busy, unreachable_file};
use crate::domain::ids::DeploymentId;
use crate::store::sql::error::DatabaseError;
use crate::store::sql::migrations::{self, MIGRATION_TIMEOUT};

/// How long to wait before a file that others have is asked for again.
const PAUSE: Duration = Duration::from_millis(10);

/// A step of a schema that a file has had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenStep {
    /// Its number.
    pub version: i64,
    /// The name of its file, less the ending.
    pub name: String,
}

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileContent {
    /// The steps that its schema has had, in their order.
    pub steps: Vec<TakenStep>,
    /// Which deployment it is the database of; `None` where it is of none.
    pub deployment: Option<DeploymentId>,
}

/// Copies a file that others may write to meanwhile: all of one moment, the write-ahead log included, which
/// a copy of the file alone lacks (<https://sqlite.org/lang_vacuum.html>, "VACUUM INTO"). `to` must not be there,
/// and is made as others make files: its folder is to keep them out. Nobody is held up.
///
/// # Errors
/// [`DatabaseError::Unreachable`] when there is no such file, it is no database, or there is no room.
pub async fn copy_file(from: &Path, to: &Path) -> Result<(), DatabaseError> {
    let failed = |error: &sqlx::Error| unreachable_file(from, error);
    let Some(target) = to.to_str() else {
        return Err(DatabaseError::Url(format!("{} is not UTF-8", to.display())));
    };
    let mut connection = open(from).await.map_err(|error| failed(&error))?;
    let copied = sqlx::query("VACUUM INTO ?1").bind(target).execute(&mut connection).await;
    let closed = connection.close().await;
    copied.map_err(|error| failed(&error))?;
    closed.map_err(|error| failed(&error))
}

/// Reads what a file says of itself, after looking whether it is whole.
///
/// # Errors
/// [`DatabaseError::Unreachable`] when it is no database, or a broken one.
pub async fn look_into(path: &Path) -> Result<FileContent, DatabaseError> {
    let looking = async {
        let mut connection = open(path).await?;
        let whole: Vec<String> =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_all(&mut connection).await?;
        let content = match whole.first().map(String::as_str) {
            Some("ok") => Ok(read(&mut connection).await?),
            problem => Err(problem.unwrap_or("nothing is known of it").to_owned()),
        };
        connection.close().await?;
        Ok::<_, sqlx::Error>(content)
    };
    looking.await.map_err(|error| unreachable_file(path, &error))?.map_err(|problem| {
        let (place, source) = (path.display().to_string(), problem.into());
        DatabaseError::Unreachable { place, may_pass: false, source }
    })
}

async fn read(connection: &mut SqliteConnection) -> sqlx::Result<FileContent> {
    let is_there = |table: &'static str| {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)").bind(table)
    };
    let mut content = FileContent { steps: Vec::new(), deployment: None };
    if is_there(migrations::TABLE).fetch_one(&mut *connection).await? {
        let steps: Vec<(i64, String)> =
            sqlx::query_as("SELECT version, description FROM _sqlx_migrations ORDER BY version")
                .fetch_all(&mut *connection)
                .await?;
        let named = |(version, description): (i64, String)| TakenStep {
            version,
            name: format!("{version:04}_{}", description.replace(' ', "_")),
        };
        content.steps = steps.into_iter().map(named).collect();
    }
    if is_there("deployment").fetch_one(&mut *connection).await? {
        let ids: Vec<String> =
            sqlx::query_scalar("SELECT uuid FROM deployment WHERE id = 1").fetch_all(connection).await?;
        // One that cannot be read is found out by whoever opens the database.
        content.deployment = ids.first().and_then(|text| rows::deployment_id(text).ok());
    }
    Ok(content)
}

/// Sees that nobody else has the file open, and folds its write-ahead log into it: the file is all there is
/// of it then. Waits `patience` for those who have it; answers `false` when they keep it.
///
/// SQLite leaves the WAL mode only while nobody else is connected
/// (<https://sqlite.org/wal.html#activating_and_configuring_wal_mode>).
///
/// # Errors
/// [`DatabaseError::Unreachable`] when there is no such file or it is no database.
pub async fn take_alone(path: &Path, patience: Duration) -> Result<bool, DatabaseError> {
    let deadline = Instant::now() + patience;
    loop {
        match leave_wal(path).await {
            Ok(()) => return Ok(true),
            Err(error) if !is_busy(&error) => return Err(unreachable_file(path, &error)),
            Err(_) if Instant::now() >= deadline => return Ok(false),
            Err(_) => sleep(PAUSE).await,
        }
    }
}

async fn leave_wal(path: &Path) -> sqlx::Result<()> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(PAUSE);
    let mut connection = options.connect().await?;
    let left =
        sqlx::query_scalar::<_, String>("PRAGMA journal_mode = DELETE").fetch_all(&mut connection).await;
    let closed = connection.close().await;
    left?;
    closed
}

/// The numbers of all steps of the schema that this version knows.
pub fn known_steps() -> Vec<i64> {
    MIGRATOR.iter().map(|step| step.version).collect()
}

/// A URL that names the file.
///
/// # Errors
/// [`DatabaseError::Url`] when the path cannot be written as text.
pub fn url_of(path: &Path) -> Result<String, DatabaseError> {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');
    let text = path.to_str().ok_or_else(|| DatabaseError::Url(format!("{} is not UTF-8", path.display())))?;
    Ok(format!("sqlite://{}", utf8_percent_encode(text, ENCODED)))
}

/// A connection that makes no file and waits longer than a request could.
async fn open(path: &Path) -> sqlx::Result<SqliteConnection> {
    SqliteConnectOptions::new().filename(path).busy_timeout(MIGRATION_TIMEOUT).connect().await
}

#[cfg(test)]
mod tests {
    use super::super::{SqliteOptions, SqliteStore, file_of};
    use super::*;
    use crate::store::deployment::DeploymentStore as _;

    #[tokio::test]
    async fn a_url_leads_back_to_its_file() {
        for path in ["/tmp/a b/hallpass.db", "data/100%?x=1/ä#.db"] {
            assert_eq!(file_of(&url_of(Path::new(path)).unwrap()).unwrap(), Path::new(path));
        }
    }

    #[tokio::test]
    async fn a_copy_has_what_stands_in_the_log_alone_and_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hallpass.db");
        let store = SqliteStore::connect(&url_of(&path).unwrap(), SqliteOptions::default()).await.unwrap();
        store.migrate().await.unwrap();
        let id = store.deployment_id(uuid::Uuid::from_u128(7).into()).await.unwrap();
        let (plain, copy) = (folder.path().join("plain.db"), folder.path().join("copy.db"));
        std::fs::copy(&path, &plain).unwrap();
        copy_file(&path, &copy).await.unwrap();
        assert_eq!(look_into(&plain).await.unwrap().deployment, None);
        let FileContent { steps, deployment } = look_into(&copy).await.unwrap();
        assert_eq!(deployment, Some(id));
        assert_eq!(steps.iter().map(|step| step.version).collect::<Vec<_>>(), known_steps());
        assert_eq!(steps[0].name, "0001_users");

        assert!(!take_alone(&path, Duration::ZERO).await.unwrap(), "the store has it open");
        store.close().await;
        assert!(take_alone(&path, Duration::ZERO).await.unwrap());
        assert!(!folder.path().join("hallpass.db-wal").exists());
        copy_file(&folder.path().join("none.db"), &folder.path().join("none")).await.unwrap_err();
        assert!(!folder.path().join("none.db").exists(), "looking makes no file");
    }

    #[tokio::test]
    async fn what_is_no_whole_database_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.db");
        std::fs::write(&path, "no database, but a text that is longer than the head of one would be")
            .unwrap();
        look_into(&path).await.unwrap_err();
        take_alone(&path, Duration::ZERO).await.unwrap_err();
    }
}
