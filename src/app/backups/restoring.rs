//! Restoring: everything is made ready beside its place and then moved there, the database last. Cut off before
//! that, nothing was restored; after it, all is done.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::archive::Archive;
use super::error::BackupError;
use super::making::exists;
use super::manifest::Manifest;
use super::places::{WorkFolder, folder_of, on_disk, replace, replace_database};
use super::{DATABASE, SECRET, TOKENS};
use crate::app::database::{Database, is_postgres, open_database};
use crate::app::environment::Environment;
use crate::app::mailboxes;
use crate::app::secrets;
use crate::app::token_stores::open_token_store;
use crate::config::{DatabaseSettings, Secret, Settings};
use crate::domain::audit::{AuditAction, AuditActor, AuditEntry};
use crate::domain::ids::UserId;
use crate::store::StoreResult;
use crate::store::embedded::{FileLock, OpenError};
use crate::store::sql::sqlite::{SqliteOptions, SqliteStore, file_of, files};

/// Where everything is made ready, beside the database.
const WORK_FOLDER: &str = ".hallpass-restore";

/// How many accounts are moved on by one statement.
const BATCH: u32 = 500;

/// How long to wait until this process has let go of a file that it has closed.
const CLOSING: Duration = Duration::from_secs(30);

/// What was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// How many accounts there are: all of them must log in again.
    pub accounts: u64,
    /// How many keys and values are under no secret that the settings name; `None` where they name none.
    pub unreadable: Option<usize>,
    /// Which files are in their place now.
    pub files: Vec<&'static str>,
}

/// Restores a backup.
///
/// # Errors
/// [`BackupError`]; nothing was restored then.
pub async fn restore(
    settings: &Settings,
    file: PathBuf,
    force: bool,
    environment: &Environment,
) -> Result<(Manifest, Restored), BackupError> {
    let url = settings.database.url.expose();
    if is_postgres(url) {
        return Err(BackupError::RestoreByPostgres { file });
    }
    let database = file_of(url)?;
    let archive = on_disk(move || Archive::open(&file)).await?;
    let manifest = archive.manifest.clone();
    manifest.check()?;
    let places = Places {
        tokens: settings.token_store.is_in_process().then(|| settings.data_dir.join(TOKENS)),
        secret: manifest.has(SECRET).then(|| settings.data_dir.join(SECRET)),
        database,
    };
    // Held until all is in its place: a service that starts meanwhile finds it taken.
    let _lock = places.tokens.as_deref().map(take).transpose()?;
    places.refuse_what_is_there(force).await?;

    let work = folder_of(&places.database).join(WORK_FOLDER);
    let work = on_disk(move || WorkFolder::make(&work)).await?;
    let work = unpack(archive, work, places.tokens.is_some()).await?;
    let (accounts, unreadable) = make_ready(settings, work.path(), environment).await?;
    let files = on_disk(move || places.fill(&work)).await?;
    Ok((manifest, Restored { accounts, unreadable, files }))
}

/// Does what is to be done after the stores were restored by other means. Done twice, or once more after it was
/// cut off, it does all of it again.
///
/// # Errors
/// [`BackupError`].
pub async fn restore_in_place(
    settings: &Settings,
    environment: &Environment,
) -> Result<Restored, BackupError> {
    let url = settings.database.url.expose();
    if !is_postgres(url) {
        let file = file_of(url)?;
        if !exists(&file).await? {
            return Err(BackupError::Missing { path: file });
        }
        if !files::take_alone(&file, Duration::ZERO).await? {
            return Err(BackupError::InUse { path: file });
        }
    }
    let (database, _) = open_database(settings).await?;
    let accounts = begin_anew(settings, &database, environment).await?;
    let unreadable = secrets::count_unreadable(settings, &database, environment).await;
    Ok(Restored { accounts, unreadable: unreadable.map_err(BackupError::Unfinished)?, files: Vec::new() })
}

/// Ends whatever was opened and minted before: all accounts move on, and then the token store begins another
/// incarnation. In this order no session of the new incarnation is of a version that is past.
async fn begin_anew(
    settings: &Settings,
    database: &Database,
    environment: &Environment,
) -> Result<u64, BackupError> {
    let tokens = open_token_store(settings, database, environment).await?;
    let working = async {
        let now = environment.clock.now();
        let accounts = move_all_on(database, environment).await?;
        tokens.journaled.begin_anew().await?;
        let entry =
            AuditEntry::new(AuditAction::StoresRestored, AuditActor::Operator, now, &*environment.random);
        database.audit_log.append_audit(&[AuditEntry { count: Some(accounts), ..entry }]).await?;
        StoreResult::Ok(accounts)
    };
    working.await.map_err(BackupError::Unfinished)
}

async fn move_all_on(database: &Database, environment: &Environment) -> StoreResult<u64> {
    let (mut accounts, mut after) = (0, None::<UserId>);
    loop {
        let now = environment.clock.now();
        let moved = database.restored.advance_security_versions(after, BATCH, now).await?;
        accounts += moved.len() as u64;
        let Some(last) = moved.last() else { return Ok(accounts) };
        after = Some(*last);
    }
}

/// Brings what was unpacked up to date and begins it anew, where it is. Nobody has it open afterwards.
async fn make_ready(
    settings: &Settings,
    work: &Path,
    environment: &Environment,
) -> Result<(u64, Option<usize>), BackupError> {
    let (database, tokens) = (work.join(DATABASE), work.join(TOKENS));
    files::look_into(&database).await?;
    if exists(&tokens).await? {
        files::look_into(&tokens).await?;
    }
    let url = files::url_of(&database)?;
    let settings = Settings {
        data_dir: work.to_owned(),
        database: DatabaseSettings { url: Secret::new(url.as_str()), ..settings.database.clone() },
        ..settings.clone()
    };
    let store = SqliteStore::connect(&url, SqliteOptions::default()).await?;
    store.migrate().await?;
    mailboxes::fill_in(&store).await;
    let restored = Database::of(store.clone());
    let accounts = begin_anew(&settings, &restored, environment).await?;
    let unreadable = secrets::count_unreadable(&settings, &restored, environment).await;
    let unreadable = unreadable.map_err(BackupError::Unfinished)?;
    store.close().await;
    for file in [database, tokens] {
        // The token store closes by itself.
        if exists(&file).await? && !files::take_alone(&file, CLOSING).await? {
            return Err(BackupError::InUse { path: file });
        }
    }
    Ok((accounts, unreadable))
}

async fn unpack(mut archive: Archive, work: WorkFolder, tokens: bool) -> Result<WorkFolder, BackupError> {
    on_disk(move || {
        archive.unpack(DATABASE, &work.path().join(DATABASE))?;
        for (name, is_wanted) in [(TOKENS, tokens), (SECRET, true)] {
            if is_wanted && archive.manifest.has(name) {
                archive.unpack(name, &work.path().join(name))?;
            }
        }
        Ok(work)
    })
    .await
}

fn take(tokens: &Path) -> Result<FileLock, BackupError> {
    FileLock::take(tokens).map_err(|error| match error {
        OpenError::Create { path, source } => BackupError::File { path, source },
        _ => BackupError::InUse { path: tokens.to_owned() },
    })
}

/// Where everything belongs.
struct Places {
    database: PathBuf,
    /// Where the token store is the embedded one.
    tokens: Option<PathBuf>,
    /// Where the backup has a secret.
    secret: Option<PathBuf>,
}

impl Places {
    /// A token store without its database is what a restore has left that was cut off.
    async fn refuse_what_is_there(&self, force: bool) -> Result<(), BackupError> {
        if exists(&self.database).await? {
            // What is no database nobody can have open; it may be why there is something to restore.
            if matches!(files::take_alone(&self.database, Duration::ZERO).await, Ok(false)) {
                return Err(BackupError::InUse { path: self.database.clone() });
            }
            if !force {
                return Err(BackupError::Exists { path: self.database.clone() });
            }
        }
        Ok(())
    }

    /// Moves everything to its place, the database last.
    fn fill(&self, work: &WorkFolder) -> Result<Vec<&'static str>, BackupError> {
        let mut files = Vec::new();
        if let Some(tokens) = &self.tokens {
            replace_database(&work.path().join(TOKENS), tokens)?;
            files.push(TOKENS);
        }
        if let Some(secret) = &self.secret {
            replace(&work.path().join(SECRET), secret)?;
            files.push(SECRET);
        }
        replace_database(&work.path().join(DATABASE), &self.database)?;
        files.push(DATABASE);
        Ok(files)
    }
}
