//! Making a backup, while the service runs or not.

use std::fs;
use std::path::{Path, PathBuf};

use super::archive::pack;
use super::error::BackupError;
use super::manifest::{FORMAT, Manifest, Packed};
use super::places::{WorkFolder, file_error, folder_of, on_disk, publish, replace};
use super::{DATABASE, SECRET, TOKENS};
use crate::app::database::is_postgres;
use crate::app::environment::Environment;
use crate::config::Settings;
use crate::domain::random;
use crate::store::sql::sqlite::{file_of, files};

/// A backup that is wanted.
#[derive(Clone, Debug)]
pub struct Making {
    /// Where it is to be.
    pub file: PathBuf,
    /// Whether it replaces what is there.
    pub force: bool,
    /// Whether the secret that lies in the data folder comes with it.
    pub with_secret: bool,
}

/// Makes a backup. The service may run: nothing holds it up, and whatever it has acknowledged before is in the
/// backup.
///
/// The token store is copied before the database. So the copy of the database knows every revocation that the
/// copy of the token store has had, and those that came in between: the journal makes them good. The
/// other way round the token store would be ahead of its journal.
///
/// # Errors
/// [`BackupError`]; no file is left behind then, and none is replaced.
pub async fn back_up(
    settings: &Settings,
    making: Making,
    environment: &Environment,
) -> Result<Manifest, BackupError> {
    let Making { file, force, with_secret } = making;
    let url = settings.database.url.expose();
    if is_postgres(url) {
        return Err(BackupError::MakeByPostgres { file });
    }
    let database = file_of(url)?;
    if !exists(&database).await? {
        return Err(BackupError::Missing { path: database });
    }
    if !force && exists(&file).await? {
        return Err(BackupError::Exists { path: file });
    }
    let folder = folder_of(&file);
    if !exists(folder).await? {
        return Err(BackupError::Missing { path: folder.to_owned() });
    }
    let secret = settings.data_dir.join(SECRET);
    if with_secret && !exists(&secret).await? {
        return Err(BackupError::NoSecretFile { path: secret });
    }
    let work = beside(&file, environment);
    let work = on_disk(move || WorkFolder::make(&work)).await?;
    let created_at = environment.clock.now().as_secs();
    let mut manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        deployment: None,
        created_at,
        files: Vec::new(),
    };
    let tokens = settings.data_dir.join(TOKENS);
    if settings.token_store.is_in_process() && exists(&tokens).await? {
        copy(&tokens, TOKENS, work.path(), &mut manifest).await?;
    }
    copy(&database, DATABASE, work.path(), &mut manifest).await?;
    on_disk(move || {
        if with_secret {
            let copy = work.path().join(SECRET);
            let bytes = fs::copy(&secret, &copy).map_err(file_error(&secret))?;
            manifest.files.push(Packed { name: SECRET.to_owned(), bytes, steps: Vec::new() });
        }
        let draft = work.path().join("backup");
        pack(&draft, &manifest, work.path())?;
        if force {
            replace(&draft, &file)?
        } else {
            publish(&draft, &file)?
        }
        Ok(manifest)
    })
    .await
}

/// Copies a database into the folder, and notes it.
async fn copy(from: &Path, name: &str, to: &Path, manifest: &mut Manifest) -> Result<(), BackupError> {
    let copy = to.join(name);
    files::copy_file(from, &copy).await?;
    let content = files::look_into(&copy).await?;
    let bytes = tokio::fs::metadata(&copy).await.map_err(file_error(&copy))?.len();
    let steps = content.steps.into_iter().map(|step| step.name).collect();
    manifest.deployment = manifest.deployment.or(content.deployment.map(|id| *id.as_uuid()));
    manifest.files.push(Packed { name: name.to_owned(), bytes, steps });
    Ok(())
}

/// A folder beside the file, on the same disk, that nobody else has.
fn beside(file: &Path, environment: &Environment) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", random::uuid(&*environment.random).simple()));
    folder_of(file).join(name)
}

pub(super) async fn exists(path: &Path) -> Result<bool, BackupError> {
    tokio::fs::try_exists(path).await.map_err(file_error(path))
}
