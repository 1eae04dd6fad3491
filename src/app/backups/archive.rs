//! The file that a backup is: a ZIP archive, so that other programs can look into it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use super::error::BackupError;
use super::manifest::Manifest;
use super::places::{create_private, file_error};

/// What the backup says of itself.
const MANIFEST: &str = "manifest.json";

/// More than any manifest has.
const MANIFEST_MAX_BYTES: u64 = 1024 * 1024;

/// Writes a backup to a new file, for its owner alone. It is on the disk then.
pub(super) fn pack(to: &Path, manifest: &Manifest, folder: &Path) -> Result<(), BackupError> {
    let writing = || {
        let mut archive = ZipWriter::new(BufWriter::new(create_private(to)?));
        // Whatever is in it may be longer than 4 GiB.
        let options = SimpleFileOptions::default().large_file(true).unix_permissions(0o600);
        archive.start_file(MANIFEST, options)?;
        archive.write_all(&serde_json::to_vec_pretty(manifest)?)?;
        for file in &manifest.files {
            archive.start_file(file.name.as_str(), options)?;
            io::copy(&mut File::open(folder.join(&file.name))?, &mut archive)?;
        }
        let file = archive.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()
    };
    writing().map_err(file_error(to))
}

/// A backup that is read.
pub(super) struct Archive {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
    pub(super) manifest: Manifest,
}

impl Archive {
    /// Opens a backup.
    ///
    /// # Errors
    /// [`BackupError::Foreign`] when it is none, or its end is missing; [`BackupError::File`].
    pub(super) fn open(path: &Path) -> Result<Self, BackupError> {
        let file = File::open(path).map_err(file_error(path))?;
        let foreign =
            |source: io::Error| BackupError::Foreign { path: path.to_owned(), source: source.into() };
        let reading = || {
            // What it holds stands at its end.
            let mut archive = ZipArchive::new(BufReader::new(file))?;
            let text = archive.by_name(MANIFEST)?.take(MANIFEST_MAX_BYTES);
            let manifest = serde_json::from_reader(text)?;
            Ok::<_, io::Error>((archive, manifest))
        };
        let (archive, manifest) = reading().map_err(foreign)?;
        Ok(Self { path: path.to_owned(), archive, manifest })
    }

    /// Writes one of its files to a new file, for its owner alone, and sees that it is the one that was packed
    /// (its length, and the checksum of the archive).
    ///
    /// # Errors
    /// [`BackupError::Foreign`], [`BackupError::File`].
    pub(super) fn unpack(&mut self, name: &str, to: &Path) -> Result<(), BackupError> {
        let packed = self.manifest.files.iter().find(|file| file.name == name).map(|file| file.bytes);
        let foreign =
            |source: io::Error| BackupError::Foreign { path: self.path.clone(), source: source.into() };
        let bytes = packed.ok_or_else(|| foreign(io::ErrorKind::NotFound.into()))?;
        let mut file = create_private(to).map_err(file_error(to))?;
        let entry = self.archive.by_name(name).map_err(|error| foreign(error.into()))?;
        let mut entry = entry.take(bytes.saturating_add(1));
        let mut buffer = vec![0; 256 * 1024];
        let mut written = 0_u64;
        loop {
            let read = entry.read(&mut buffer).map_err(foreign)?;
            if read == 0 {
                break;
            }
            file.write_all(&buffer[..read]).map_err(file_error(to))?;
            written += read as u64;
        }
        if written != bytes {
            return Err(foreign(io::Error::other(format!("{name} is not as long as it was"))));
        }
        file.sync_all().map_err(file_error(to))
    }
}
