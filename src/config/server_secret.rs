//! The server secret, and the one that `dev` makes for itself.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::engine::{ConfigError, ConfigErrors, Origin, Profile, Secret};
use super::sections::secret::SECRET_HELP;
use super::settings::Settings;
use crate::crypto::secret::SECRET_MIN_BYTES;
use crate::domain::random::Random;

/// The file in the data folder that keeps the secret of `hallpass dev`.
pub const SECRET_FILE: &str = "secret";

/// The data folder cannot keep the secret of `hallpass dev`.
#[derive(Debug, thiserror::Error)]
#[error("the secret of `hallpass dev` cannot be kept in {}", path.display())]
pub struct SecretFileError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Why there is no server secret.
#[derive(Debug, thiserror::Error)]
pub enum ServerSecretError {
    /// None is configured, or the kept one is unfit.
    #[error(transparent)]
    Settings(#[from] ConfigErrors),
    /// The data folder cannot be read or written.
    #[error(transparent)]
    File(#[from] SecretFileError),
}

/// The server secret: the configured one or, in `dev` alone, one that is made at the first start
/// and kept in the data folder, so that tokens outlive a restart.
///
/// # Errors
/// [`ServerSecretError`]; outside `dev` also when no secret is configured.
pub fn server_secret(settings: &Settings, random: &dyn Random) -> Result<Secret, ServerSecretError> {
    match (&settings.secret, settings.profile) {
        (Some(secret), _) => Ok(secret.clone()),
        (None, Profile::Dev) => kept_secret(&settings.data_dir, random),
        (None, Profile::Serve) => {
            let missing = ConfigError::new("secret", Origin::Default, "is not set", SECRET_HELP);
            Err(ConfigErrors::from(vec![missing]).into())
        }
    }
}

/// The server secret for a command that an operator runs beside the service: the configured one, or
/// the one that `dev` keeps in the data folder. None is made.
///
/// # Errors
/// [`ServerSecretError`]: there is none.
pub fn existing_secret(settings: &Settings, random: &dyn Random) -> Result<Secret, ServerSecretError> {
    if settings.secret.is_none() && settings.data_dir.join(SECRET_FILE).exists() {
        return kept_secret(&settings.data_dir, random);
    }
    server_secret(settings, random)
}

fn kept_secret(data_dir: &Path, random: &dyn Random) -> Result<Secret, ServerSecretError> {
    let path = data_dir.join(SECRET_FILE);
    let text =
        read_or_make(&path, random).map_err(|source| SecretFileError { path: path.clone(), source })?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.len() < SECRET_MIN_BYTES {
        let origin = Origin::File { path, line: None };
        let problem = format!("is shorter than {SECRET_MIN_BYTES} bytes");
        let help = "delete the file to have a new secret made; all sessions end";
        return Err(ConfigErrors::from(vec![ConfigError::new("secret", origin, problem, help)]).into());
    }
    Ok(Secret::new(text))
}

/// Of several processes that start at once, one makes the file and the others read it.
fn read_or_make(path: &Path, random: &dyn Random) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        outcome => return outcome,
    }
    if let Some(folder) = path.parent() {
        make_private_folder(folder)?;
    }
    let draft = path.with_extension(format!("{}.tmp", random_text::<12>(random)));
    let outcome = write_private(&draft, &random_text::<SECRET_MIN_BYTES>(random))
        // Unlike a rename, a link never replaces what another process has put there meanwhile.
        .and_then(|()| fs::hard_link(&draft, path));
    // Whatever happened, the draft has done its duty; at worst it stays behind, as private as it is.
    let _ = fs::remove_file(&draft);
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::read_to_string(path),
    }
}

fn random_text<const BYTES: usize>(random: &dyn Random) -> String {
    let mut bytes = [0; BYTES];
    random.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Makes the folder for its owner alone; one that is there stays as it is.
fn make_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Writes a new file that its owner alone can read.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    /// Counts up, so that no two fills are alike.
    #[derive(Default)]
    struct Counting(AtomicU8);

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill_with(|| self.0.fetch_add(1, Ordering::SeqCst));
        }
    }

    #[test]
    fn the_secret_of_dev_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("not/there/yet");
        let random = Counting::default();
        let first = kept_secret(&data_dir, &random).unwrap();
        let second = kept_secret(&data_dir, &random).unwrap();
        assert_eq!(first, second);
        assert!(first.expose().len() >= SECRET_MIN_BYTES);
        assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1, "no draft stays behind");
    }

    #[cfg(unix)]
    #[test]
    fn the_secret_of_dev_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        kept_secret(&data_dir, &Counting::default()).unwrap();
        for (path, mode) in [(data_dir.join(SECRET_FILE), 0o600), (data_dir, 0o700)] {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{path:?}");
        }
    }

    #[test]
    fn processes_that_start_at_once_share_one_secret() {
        let folder = tempfile::tempdir().unwrap();
        let random = Counting::default();
        let secrets: Vec<Secret> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..8).map(|_| scope.spawn(|| kept_secret(folder.path(), &random).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    }

    #[test]
    fn a_kept_secret_that_was_cut_short_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(SECRET_FILE), "short\n").unwrap();
        let error = kept_secret(folder.path(), &Counting::default()).unwrap_err().to_string();
        assert!(error.contains("is shorter than 32 bytes"), "{error}");
        assert!(!error.contains("short\n"), "{error}");
    }
}
