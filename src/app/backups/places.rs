//! Where files are made, and how they come to where they belong.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::error::BackupError;

/// What a file could not be used for.
pub(super) fn file_error(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { path, source }
}

/// A folder for its owner alone that goes with whatever is in it.
pub(super) struct WorkFolder(PathBuf);

impl WorkFolder {
    /// Makes it; whatever has that name already is what a command has left that was cut off.
    pub(super) fn make(path: &Path) -> Result<Self, BackupError> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file_error(path)(error)),
            _ => {}
        }
        make_folder(path).map_err(file_error(path))?;
        Ok(Self(path.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // What stays is as private as it was.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// Makes a new file for its owner alone.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create_new(true).open(path)
}

/// Gives a finished file its name, and never takes that from another one.
pub(super) fn publish(draft: &Path, path: &Path) -> Result<(), BackupError> {
    // Unlike a rename, a link never replaces what another process has put there meanwhile.
    match fs::hard_link(draft, path) {
        Ok(()) => sync_folder(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(BackupError::Exists { path: path.to_owned() })
        }
        Err(error) => Err(file_error(path)(error)),
    }
}

/// Puts a file in the place of whatever is there. Where the two are on different disks it is copied.
pub(super) fn replace(from: &Path, to: &Path) -> Result<(), BackupError> {
    let replacing = || match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let near = side_file(to, ".part");
            match fs::remove_file(&near) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut copy = create_private(&near)?;
            io::copy(&mut File::open(from)?, &mut copy)?;
            copy.sync_all()?;
            fs::rename(near, to)
        }
        renamed => renamed,
    };
    replacing().map_err(file_error(to))?;
    sync_folder(to)
}

/// Puts a database that nobody has open in the place of another one, whose log is not that of this one.
pub(super) fn replace_database(from: &Path, to: &Path) -> Result<(), BackupError> {
    File::open(from).and_then(|file| file.sync_all()).map_err(file_error(from))?;
    for ending in ["-wal", "-shm", "-journal"] {
        let side = side_file(to, ending);
        match fs::remove_file(&side) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file_error(&side)(error)),
            _ => {}
        }
    }
    replace(from, to)
}

fn side_file(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Sees to it that a file has its name after a power cut as well.
fn sync_folder(path: &Path) -> Result<(), BackupError> {
    #[cfg(unix)]
    {
        let folder = folder_of(path);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(file_error(folder))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Runs what waits for the disk on a thread that may.
pub(super) async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}
